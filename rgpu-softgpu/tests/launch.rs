//! Modules, libraries, launches, and contexts that a fault poisons.

mod support;

use std::ffi::{CStr, CString, c_void};
use std::ptr::null_mut;

use cudarc::driver::sys;
use rgpu_softgpu::entry::*;
use support::*;

#[test]
fn arguments_come_as_pointers_or_as_one_buffer() {
    let _context = Context::new();
    let add_function = function(module(), "add");
    let device = zeros(400);
    assert_eq!(add(add_function, device, 5, 100, null_mut()), SUCCESS);

    #[repr(C)]
    struct Packed(u64, u32, u32);
    let packed = Packed(device, 2, 99);
    let mut size = size_of::<Packed>();
    let (pointer, size_name) = (
        std::ptr::without_provenance(1),
        std::ptr::without_provenance(2),
    );
    let mut extra: [*const c_void; 5] = [
        pointer,
        (&raw const packed).cast(),
        size_name,
        (&raw const size).cast(),
        std::ptr::null(),
    ];
    let launch_extra = |extra: &mut [*const c_void; 5]| {
        cu!(cuLaunchKernel(
            add_function,
            2,
            1,
            1,
            64,
            1,
            1,
            0,
            null_mut(),
            null_mut(),
            extra.as_mut_ptr().cast()
        ))
    };
    assert_eq!(launch_extra(&mut extra), SUCCESS);
    let found = words(device, 100);
    assert!(found[..99].iter().all(|&word| word == 7));
    assert_eq!(found[99], 5);

    size = 8;
    assert_eq!(launch_extra(&mut extra), INVALID_VALUE, "too few bytes");
    assert_eq!(size, 8);
    assert_eq!(
        launch(add_function, 1, 1, null_mut(), &mut []),
        INVALID_VALUE
    );
}

#[test]
fn impossible_launches_are_refused_and_nothing_runs() {
    let _context = Context::new();
    let module = module();
    let bounded = function(module, "bounded");
    assert_eq!(launch(bounded, 1, 64, null_mut(), &mut []), SUCCESS);
    assert_eq!(launch(bounded, 1, 65, null_mut(), &mut []), INVALID_VALUE);
    assert_eq!(launch(bounded, 1, 1025, null_mut(), &mut []), INVALID_VALUE);
    assert_eq!(launch(bounded, 0, 1, null_mut(), &mut []), INVALID_VALUE);
    assert_eq!(
        launch(null_mut(), 1, 1, null_mut(), &mut []),
        INVALID_HANDLE
    );
    let twice = function(module, "twice");
    let with_shared = |bytes| {
        cu!(cuLaunchKernel(
            twice,
            1,
            1,
            1,
            1,
            1,
            1,
            bytes,
            null_mut(),
            null_mut(),
            null_mut()
        ))
    };
    assert_eq!(with_shared((48 << 10) - 16), SUCCESS);
    assert_eq!(with_shared((48 << 10) - 15), INVALID_VALUE);
    ok!(cuFuncSetAttribute(twice, 8, (227 << 10) - 16));
    assert_eq!(
        cu!(cuFuncSetAttribute(twice, 8, (227 << 10) - 15)),
        INVALID_VALUE
    );
    assert_eq!(with_shared((227 << 10) - 16), SUCCESS);
    let cooperative = |blocks| {
        cu!(cuLaunchCooperativeKernel(
            bounded,
            blocks,
            1,
            1,
            64,
            1,
            1,
            0,
            null_mut(),
            null_mut()
        ))
    };
    assert_eq!(cooperative(1), SUCCESS);
    assert_eq!(cooperative(1 << 20), COOPERATIVE_LAUNCH_TOO_LARGE);
    ok!(cuCtxSynchronize());
}

#[test]
fn attributes_of_a_launch_are_heeded_or_refused() {
    let _context = Context::new();
    let bounded = function(module(), "bounded");
    // SAFETY: all zeros are valid for this structure of integers and pointers.
    let mut config: sys::CUlaunchConfig = unsafe { std::mem::zeroed() };
    config.gridDimX = 2;
    (config.gridDimY, config.gridDimZ) = (1, 1);
    (config.blockDimX, config.blockDimY, config.blockDimZ) = (32, 1, 1);
    // SAFETY: all zeros are valid: attribute 0 is ignored.
    let mut attribute: sys::CUlaunchAttribute = unsafe { std::mem::zeroed() };
    config.attrs = &raw mut attribute;
    config.numAttrs = 1;
    let launch = |config: &sys::CUlaunchConfig| {
        cu!(cuLaunchKernelEx(
            (&raw const *config).cast(),
            bounded,
            null_mut(),
            null_mut()
        ))
    };
    assert_eq!(launch(&config), SUCCESS);
    attribute.id = sys::CUlaunchAttributeID::CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION;
    attribute.value.clusterDim =
        sys::CUlaunchAttributeValue_union__bindgen_ty_1 { x: 1, y: 1, z: 1 };
    assert_eq!(launch(&config), SUCCESS);
    attribute.value.clusterDim.x = 2;
    assert_eq!(launch(&config), NOT_SUPPORTED);
    // A number that is no attribute.
    // SAFETY: the field is four bytes wide; it is not read as an enumeration again.
    unsafe { (&raw mut attribute.id).cast::<u32>().write(4711) };
    assert_eq!(launch(&config), INVALID_VALUE);
}

/// A sum of `count` words, all of which are read before the first is added.
fn sum_of(name: &str, directives: &str, count: u32) -> String {
    let each = |f: &dyn Fn(u32) -> String| (0..count).map(f).collect::<String>();
    format!(
        ".visible .entry {name}(.param .u64 p) {directives} {{ .reg .b32 %r<{}>; .reg .b64 %rd<2>;\n\
         ld.param.u64 %rd1, [p]; {} {} st.global.u32 [%rd1], %r0; ret; }}\n",
        count + 1,
        each(&|n| format!("ld.global.u32 %r{n}, [%rd1+{}];\n", 4 * n)),
        each(&|n| format!("add.u32 %r0, %r0, %r{n};\n")),
    )
}

#[test]
fn registers_are_those_that_a_kernel_needs() {
    let _context = Context::new();
    let text = String::from(".version 8.0\n.target sm_75\n.address_size 64\n")
        + &sum_of("few", "", 4)
        + &sum_of("many", "", 40)
        + &sum_of("limited", ".maxnreg 24", 40)
        + &sum_of("crowded", ".maxntid 1024, 1, 1\n.minnctapersm 2", 100)
        + &sum_of("alone", ".maxntid 128, 1, 1", 100);
    let text = CString::new(text).unwrap();
    let mut module = null_mut();
    ok!(cuModuleLoadData(&mut module, text.as_ptr().cast()));
    let registers = |name| {
        let mut registers = 0;
        ok!(cuFuncGetAttribute(
            &mut registers,
            4,
            function(module, name)
        ));
        registers
    };
    // The words, their address, and a few of the machine's own.
    assert!((6..=16).contains(&registers("few")));
    assert!((42..=52).contains(&registers("many")));
    assert_eq!(registers("limited"), 24);
    // 65,536 registers, 2,048 threads.
    assert_eq!(registers("crowded"), 32);
    assert!((102..=112).contains(&registers("alone")));

    let fit = |name, threads| {
        let mut blocks = 0;
        let function = function(module, name);
        ok!(cuOccupancyMaxActiveBlocksPerMultiprocessor(
            &mut blocks,
            function,
            threads,
            0
        ));
        blocks
    };
    assert_eq!(fit("few", 128), 16);
    assert_eq!(fit("crowded", 1024), 2);
    // 112 registers of 32 threads are 3,584: 18 warps, of four warps each four blocks.
    assert_eq!(fit("alone", 128), 4);
}

#[test]
fn a_fault_poisons_its_context_and_no_other() {
    let sound = Context::new();
    let poisoned = Context::new();
    let module_here = module();
    let data = zeros(4);
    assert_eq!(
        launch(function(module_here, "wild"), 1, 1, null_mut(), &mut []),
        SUCCESS
    );
    assert_eq!(cu!(cuCtxSynchronize()), ILLEGAL_ADDRESS);
    let mut address = 0;
    assert_eq!(cu!(cuMemAlloc_v2(&mut address, 4)), ILLEGAL_ADDRESS);
    assert_eq!(cu!(cuMemFree_v2(data)), ILLEGAL_ADDRESS);
    assert_eq!(cu!(cuStreamSynchronize(null_mut())), ILLEGAL_ADDRESS);

    ok!(cuCtxSetCurrent(sound.0));
    let data = zeros(4);
    assert_eq!(
        add(function(module(), "add"), data, 3, 1, null_mut()),
        SUCCESS
    );
    assert_eq!(words(data, 1), [3]);

    ok!(cuCtxDestroy_v2(poisoned.0));
    std::mem::forget(poisoned);
}

#[test]
fn a_fault_ends_the_kernels_that_run_beside_it() {
    let _context = Context::new();
    let module = module();
    let (spinning, faulting) = (stream(1), stream(1));
    // Nobody will ever set its flag.
    let _endless = Spin::start(module, spinning);
    assert_eq!(
        launch(function(module, "wild"), 1, 1, faulting, &mut []),
        SUCCESS
    );
    assert_eq!(cu!(cuStreamSynchronize(spinning)), ILLEGAL_ADDRESS);
    assert_eq!(cu!(cuCtxSynchronize()), ILLEGAL_ADDRESS);
}

#[test]
fn a_destroyed_context_is_of_no_use_to_other_threads() {
    let context = Context::new();
    let handle = context.0.addr();
    let (send, receive) = std::sync::mpsc::channel::<()>();
    let other = std::thread::spawn(move || {
        ok!(cuCtxSetCurrent(std::ptr::without_provenance_mut(handle)));
        receive.recv().unwrap();
        let mut address = 0;
        cu!(cuMemAlloc_v2(&mut address, 4))
    });
    drop(context);
    send.send(()).unwrap();
    // Either it was current before, or it could not be made current any more: the thread then panics.
    assert!(matches!(other.join(), Ok(CONTEXT_IS_DESTROYED) | Err(_)));
    let mut current = null_mut();
    ok!(cuCtxGetCurrent(&mut current));
    assert!(current.is_null());
    let mut address = 0;
    assert_eq!(cu!(cuMemAlloc_v2(&mut address, 4)), INVALID_CONTEXT);
}

#[test]
fn variables_belong_to_their_module() {
    let _context = Context::new();
    let (first, second) = (module(), module());
    let global = |module, name: &CStr| {
        let (mut address, mut size) = (0, 0);
        ok!(cuModuleGetGlobal_v2(
            &mut address,
            &mut size,
            module,
            name.as_ptr()
        ));
        (address, size)
    };
    let (here, size) = global(first, c"counter");
    let (there, _) = global(second, c"counter");
    assert_eq!(size, 4);
    assert_ne!(here, there);
    assert_eq!(words(here, 1), [41]);
    ok!(cuMemsetD32_v2(here, 1, 1));
    assert_eq!(words(there, 1), [41]);
    assert_eq!(global(first, c"table").1, 8);
    assert_eq!(cu!(cuMemFree_v2(here)), INVALID_VALUE);
    let mut address = 0;
    let missing = cu!(cuModuleGetGlobal_v2(
        &mut address,
        null_mut(),
        first,
        c"nothing".as_ptr()
    ));
    assert_eq!(missing, NOT_FOUND);
    let gone = function(first, "add");
    ok!(cuModuleUnload(first));
    assert_eq!(add(gone, there, 1, 1, null_mut()), INVALID_HANDLE);
    assert_eq!(cu!(cuModuleUnload(first)), INVALID_HANDLE);
    let mut count = 0;
    ok!(cuModuleGetFunctionCount(&mut count, second));
    assert_eq!(count, 5);
}

#[test]
fn bad_modules_say_why() {
    let _context = Context::new();
    let mut log = [0u8; 512];
    let mut options = [5u32, 6];
    let load = |image: &CStr, log: &mut [u8; 512], options: &mut [u32; 2]| {
        let mut values: [*mut c_void; 2] = [
            log.as_mut_ptr().cast(),
            std::ptr::without_provenance_mut(512),
        ];
        let mut module = null_mut();
        cu!(cuModuleLoadDataEx(
            &mut module,
            image.as_ptr().cast(),
            2,
            options.as_mut_ptr(),
            values.as_mut_ptr().cast()
        ))
    };
    let text = PTX.replace("add.u32 %r7", "frobnicate.u32 %r7");
    assert_eq!(
        load(&CString::new(text).unwrap(), &mut log, &mut options),
        INVALID_PTX
    );
    let message = CStr::from_bytes_until_nul(&log).unwrap().to_str().unwrap();
    assert!(message.contains("frobnicate"), "{message}");
    let text = PTX.replace("sm_75", "sm_100");
    assert_eq!(
        load(&CString::new(text).unwrap(), &mut log, &mut options),
        INVALID_PTX
    );

    let mut builder = rgpu_fatbin::Builder::new();
    builder.push_image(
        rgpu_fatbin::Kind::ELF,
        90,
        rgpu_fatbin::Flags::ADDRESS_64,
        b"\x7fELF",
    );
    let bytes = builder.finish();
    let mut module = null_mut();
    assert_eq!(
        cu!(cuModuleLoadData(&mut module, bytes.as_ptr().cast())),
        NO_BINARY_FOR_GPU
    );
    assert_eq!(cu!(cuModuleLoadData(&mut module, no_data())), INVALID_VALUE);
    assert_eq!(
        cu!(cuModuleLoad(&mut module, c"/no/such/file".as_ptr())),
        301
    );
}

#[test]
fn a_library_serves_every_context() {
    let mut builder = rgpu_fatbin::Builder::new();
    builder.push_ptx(75, PTX.as_bytes());
    let bytes = builder.finish();
    ok!(cuInit(0));
    let mut library = null_mut();
    ok!(cuLibraryLoadData(
        &mut library,
        bytes.as_ptr().cast(),
        null_mut(),
        null_mut(),
        0,
        null_mut(),
        null_mut(),
        0
    ));
    let mut kernel = null_mut();
    ok!(cuLibraryGetKernel(&mut kernel, library, c"add".as_ptr()));
    let (mut offset, mut size) = (0, 0);
    ok!(cuKernelGetParamInfo(kernel, 2, &mut offset, &mut size));
    assert_eq!((offset, size), (12, 4));
    for _ in 0..2 {
        let _context = Context::new();
        let data = zeros(40);
        // A kernel may stand where a function is expected.
        assert_eq!(add(kernel, data, 6, 10, null_mut()), SUCCESS);
        assert_eq!(words(data, 10), [6; 10]);
        let (mut address, mut bytes) = (0, 0);
        ok!(cuLibraryGetGlobal(
            &mut address,
            &mut bytes,
            library,
            c"counter".as_ptr()
        ));
        assert_eq!(words(address, 1), [41], "fresh in every context");
        ok!(cuMemsetD32_v2(address, 0, 1));
        let mut function = null_mut();
        ok!(cuKernelGetFunction(&mut function, kernel));
        assert_eq!(add(function, data, 1, 10, null_mut()), SUCCESS);
        assert_eq!(words(data, 10), [7; 10]);
    }
    ok!(cuLibraryUnload(library));
    assert_eq!(cu!(cuLibraryUnload(library)), INVALID_HANDLE);
}
