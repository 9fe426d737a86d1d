//! The driver's linker: what may be an input, and what is said of inputs that are not.

mod support;

use std::ffi::{CStr, c_void};
use std::ptr::null_mut;

use support::{Context, Handle, INVALID_HANDLE, INVALID_VALUE, NO_BINARY_FOR_GPU, cu, ok};

use rgpu_softgpu::entry::*;

const INVALID_IMAGE: u32 = 200;

const CUBIN: u32 = 0;
const PTX: u32 = 1;
const FATBINARY: u32 = 2;
const OBJECT: u32 = 3;
const LIBRARY: u32 = 4;
const NVVM: u32 = 5;

/// `nvcc -dc` of a file with the kernel `bump`, and a library of it; machine code.
const RELOCATABLE: &[u8] = include_bytes!("../../rgpu-fatbin/testdata/relocatable.o");
const STATIC_LIBRARY: &[u8] = include_bytes!("../../rgpu-fatbin/testdata/library.a");
const FAT: &[u8] = include_bytes!("../../rgpu-fatbin/testdata/lz4_ptx.fatbin");
const MACHINE_CODE: &[u8] = include_bytes!("../../rgpu-fatbin/testdata/sm_75.cubin");

// `CUjit_option`.
const INFO_BUFFER: u32 = 3;
const INFO_SIZE: u32 = 4;
const ERROR_BUFFER: u32 = 5;
const ERROR_SIZE: u32 = 6;
const VERBOSE: u32 = 12;

/// A link whose logs can be read.
struct Link {
    state: Handle,
    info: Box<[u8; 1024]>,
    error: Box<[u8; 1024]>,
    options: Vec<u32>,
    values: Vec<*mut c_void>,
}

impl Link {
    fn new() -> Self {
        let mut link = Self {
            state: null_mut(),
            info: Box::new([0; 1024]),
            error: Box::new([0; 1024]),
            options: vec![INFO_BUFFER, INFO_SIZE, ERROR_BUFFER, ERROR_SIZE, VERBOSE],
            values: Vec::new(),
        };
        let number = std::ptr::without_provenance_mut;
        link.values = vec![
            link.info.as_mut_ptr().cast(),
            number(1024),
            link.error.as_mut_ptr().cast(),
            number(1024),
            number(1),
        ];
        ok!(cuLinkCreate_v2(
            5,
            link.options.as_mut_ptr(),
            link.values.as_mut_ptr().cast(),
            &mut link.state
        ));
        link
    }

    fn add(&self, kind: u32, input: &[u8]) -> u32 {
        let data = input.as_ptr().cast_mut().cast();
        cu!(cuLinkAddData_v2(
            self.state,
            kind,
            data,
            input.len(),
            c"the input".as_ptr(),
            0,
            null_mut(),
            null_mut()
        ))
    }

    /// The names of the kernels of the image.
    fn complete(&self) -> Result<Vec<String>, u32> {
        let (mut image, mut size) = (null_mut::<c_void>(), 0);
        let code = cu!(cuLinkComplete(
            self.state,
            (&raw mut image).cast(),
            &mut size
        ));
        if code != 0 {
            return Err(code);
        }
        assert!(size > 0);
        let (mut module, mut count) = (null_mut(), 0);
        ok!(cuModuleLoadData(&mut module, image));
        ok!(cuModuleGetFunctionCount(&mut count, module));
        let mut functions = vec![null_mut(); count as usize];
        ok!(cuModuleEnumerateFunctions(
            functions.as_mut_ptr(),
            count,
            module
        ));
        let names = functions.into_iter().map(|function| {
            let mut name = std::ptr::null::<std::ffi::c_char>();
            ok!(cuFuncGetName((&raw mut name).cast(), function));
            // SAFETY: the driver's name lives as long as the module.
            unsafe { CStr::from_ptr(name) }.to_str().unwrap().to_owned()
        });
        let names = names.collect();
        ok!(cuModuleUnload(module));
        Ok(names)
    }

    fn said(&self) -> (&str, &str) {
        let text = |bytes| CStr::from_bytes_until_nul(bytes).unwrap().to_str().unwrap();
        (text(&self.info[..]), text(&self.error[..]))
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        ok!(cuLinkDestroy(self.state));
    }
}

fn text(body: &str) -> String {
    format!(".version 8.0\n.target sm_70\n.address_size 64\n{body}\0")
}

#[test]
fn objects_and_fat_binaries_bring_their_ptx() {
    let _context = Context::new();
    for (kind, input) in [(OBJECT, RELOCATABLE), (FATBINARY, FAT)] {
        let link = Link::new();
        assert_eq!(link.add(kind, input), 0, "{kind}: {}", link.said().1);
        assert_eq!(link.complete(), Ok(vec!["bump".to_owned()]));
        assert!(link.said().0.contains("the input"), "{}", link.said().0);
    }
}

#[test]
fn a_part_of_a_library_is_linked_where_it_is_needed() {
    let _context = Context::new();
    let plain = text(".visible .entry k() { ret; }");
    let link = Link::new();
    assert_eq!(link.add(PTX, plain.as_bytes()), 0);
    assert_eq!(link.add(LIBRARY, STATIC_LIBRARY), 0, "{}", link.said().1);
    assert_eq!(link.complete(), Ok(vec!["k".to_owned()]));
    let user = text(
        ".extern .entry bump(.param .u64 p);
        .visible .global .align 8 .u64 table = bump;
        .visible .entry k() { ret; }",
    );
    let link = Link::new();
    assert_eq!(link.add(PTX, user.as_bytes()), 0, "{}", link.said().1);
    assert_eq!(link.add(LIBRARY, STATIC_LIBRARY), 0);
    let kernels = link.complete().map(|mut names| {
        names.sort();
        names
    });
    let both = ["bump", "k"].map(str::to_owned).to_vec();
    assert_eq!(kernels, Ok(both), "{}", link.said().1);
}

#[test]
fn an_image_can_be_linked_again() {
    let _context = Context::new();
    let link = Link::new();
    let caller = text(".extern .func f(); .visible .entry k() { call f; ret; }");
    assert_eq!(
        link.add(PTX, text(".visible .func f() { ret; }").as_bytes()),
        0
    );
    let (mut image, mut size) = (null_mut::<c_void>(), 0);
    ok!(cuLinkComplete(
        link.state,
        (&raw mut image).cast(),
        &mut size
    ));
    // SAFETY: the link's image, of this size.
    let image = unsafe { std::slice::from_raw_parts(image.cast::<u8>(), size) };
    let again = Link::new();
    assert_eq!(again.add(PTX, caller.as_bytes()), 0);
    assert_eq!(again.add(CUBIN, image), 0, "{}", again.said().1);
    assert_eq!(again.complete(), Ok(vec!["k".to_owned()]));
    assert_eq!(link.add(PTX, caller.as_bytes()), INVALID_VALUE);
}

#[test]
fn machine_code_is_no_binary_for_this_gpu() {
    let _context = Context::new();
    let link = Link::new();
    for kind in [CUBIN, OBJECT] {
        assert_eq!(link.add(kind, MACHINE_CODE), NO_BINARY_FOR_GPU);
    }
    assert!(link.said().1.contains("the input"), "{}", link.said().1);
}

#[test]
fn what_is_not_what_it_is_said_to_be_is_an_invalid_image() {
    let _context = Context::new();
    let link = Link::new();
    let text = text("");
    for (kind, input) in [
        (FATBINARY, text.as_bytes()),
        (OBJECT, text.as_bytes()),
        (LIBRARY, RELOCATABLE),
        (FATBINARY, MACHINE_CODE),
    ] {
        assert_eq!(link.add(kind, input), INVALID_IMAGE, "{kind}");
    }
    assert_eq!(link.add(NVVM, text.as_bytes()), INVALID_VALUE);
    assert_eq!(link.complete(), Err(INVALID_VALUE), "nothing to link");
}

#[test]
fn a_link_that_is_gone_is_an_invalid_handle() {
    let _context = Context::new();
    let link = Link::new();
    let state = link.state;
    drop(link);
    assert_eq!(cu!(cuLinkDestroy(state)), INVALID_HANDLE);
}
