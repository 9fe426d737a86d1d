//! The unsafe part: from a program's bare pointer to a sized image, and back.
//!
//! The pointer that a program gives to `cuModuleLoadData` has no length; the image's own headers tell how far
//! it goes. Here those headers are believed, as the driver believes them.

use std::ffi::{CStr, c_char, c_void};
use std::fmt;
use std::ptr;
use std::slice;

use crate::container::{CONTAINER_HEADER, container_extent};
use crate::elf;
use crate::sniff::WRAPPER_MAGIC;
use crate::{Error, ImageKind, MAX_IMAGE_BYTES, sniff};

const WRAPPER_VERSION: u32 = 1;
const WRAPPER_VERSION_LINKED: u32 = 2;

/// The most relocatable containers that one linked program may list.
const MAX_PRELINKED: usize = 1 << 16;

/// `__fatBinC_Wrapper_t` of `fatbinary_section.h`.
#[repr(C)]
struct Wrapper {
    magic: u32,
    version: u32,
    data: *const c_void,
    /// Version 1: a file name or null. Version 2: a null-terminated array of pointers to containers.
    filename_or_fatbins: *const c_void,
}

/// A program's module image, measured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RawImage<'a> {
    /// Fat binary containers, each for [`Fatbin::parse`](crate::Fatbin::parse).
    Fatbin {
        /// The container to load from.
        main: &'a [u8],
        /// Of a program linked from relocatable device code: the containers of its parts. They are what to
        /// link if `main`, which then holds machine code only, has no image for the device.
        prelinked: Vec<&'a [u8]>,
    },
    /// A cubin.
    Elf(&'a [u8]),
    /// PTX text, without its NUL.
    Ptx(&'a [u8]),
}

/// Measures the image at `image`, of any kind.
///
/// # Safety
///
/// `image` must point to a module image as `cuModuleLoadData` takes it, which stays alive and unchanged for
/// `'a`: one that starts with the magic number of a wrapper, a container or an ELF file is complete, anything
/// else is NUL-terminated. Null is allowed and is an error.
pub unsafe fn image<'a>(image: *const c_void) -> Result<RawImage<'a>, Error> {
    // SAFETY: the caller vouches for NUL-terminated text at least; `head` stops at the first NUL.
    let head = unsafe { head(image)? };
    let magic = u32::from_le_bytes(head.bytes);
    match sniff(&head.bytes[..head.len]) {
        // SAFETY: the magic number says that a wrapper is here, and the caller that it is complete.
        Some(ImageKind::Wrapper) => unsafe { wrapper(image) },
        Some(ImageKind::Fatbin) => Ok(RawImage::Fatbin {
            // SAFETY: as above, of a container.
            main: unsafe { container(image)? },
            prelinked: Vec::new(),
        }),
        // SAFETY: as above, of an ELF file.
        Some(ImageKind::Elf) => unsafe { cubin(image) },
        // SAFETY: the caller vouches that anything else is NUL-terminated.
        Some(ImageKind::Ptx) => unsafe { ptx(image) },
        None => Err(Error::BadMagic(magic)),
    }
}

/// Measures the bare container at `container`, as some of cudart's private entry points pass it.
///
/// # Safety
///
/// `container` must be null or point to a complete container that stays alive and unchanged for `'a`.
pub unsafe fn container<'a>(container: *const c_void) -> Result<&'a [u8], Error> {
    if container.is_null() {
        return Err(Error::Invalid("null image pointer"));
    }
    let start = container.cast::<u8>();
    // SAFETY: a complete container has a header of this size.
    let header = unsafe { slice::from_raw_parts(start, CONTAINER_HEADER) };
    let (_, total) = container_extent(header)?;
    // SAFETY: a complete container spans what its header says; the limit keeps it below isize::MAX.
    Ok(unsafe { slice::from_raw_parts(start, total) })
}

/// The first bytes of an image, as far as its first NUL.
struct Head {
    bytes: [u8; crate::SNIFF_BYTES],
    len: usize,
}

/// # Safety
///
/// `image` must be null or readable up to its first NUL or for four bytes.
unsafe fn head(image: *const c_void) -> Result<Head, Error> {
    if image.is_null() {
        return Err(Error::Invalid("null image pointer"));
    }
    let mut head = Head {
        bytes: [0; crate::SNIFF_BYTES],
        len: 0,
    };
    while head.len < head.bytes.len() {
        // SAFETY: no byte before this one was NUL, so this one is readable.
        let byte = unsafe { image.cast::<u8>().add(head.len).read() };
        head.bytes[head.len] = byte;
        if byte == 0 {
            break;
        }
        head.len += 1;
    }
    Ok(head)
}

/// # Safety
///
/// A complete wrapper must be at `image`, its containers alive for `'a`.
unsafe fn wrapper<'a>(image: *const c_void) -> Result<RawImage<'a>, Error> {
    // SAFETY: the caller says that a wrapper is here; read unaligned, since nothing promises an alignment.
    let wrapper = unsafe { image.cast::<Wrapper>().read_unaligned() };
    let mut prelinked = Vec::new();
    match wrapper.version {
        WRAPPER_VERSION => {}
        WRAPPER_VERSION_LINKED => {
            let mut next = wrapper.filename_or_fatbins.cast::<*const c_void>();
            while !next.is_null() {
                // SAFETY: version 2 means an array that a null pointer ends; we are not past it.
                let part = unsafe { next.read_unaligned() };
                if part.is_null() {
                    break;
                }
                if prelinked.len() == MAX_PRELINKED {
                    return Err(Error::Invalid("number of prelinked fatbins"));
                }
                // SAFETY: every pointer of the array is to a complete container.
                prelinked.push(unsafe { container(part)? });
                // SAFETY: the array goes on after an element that is not null.
                next = unsafe { next.add(1) };
            }
        }
        version => {
            return Err(Error::BadVersion {
                what: "fatbin wrapper",
                version,
            });
        }
    }
    // SAFETY: `data` of a complete wrapper is a complete container.
    let main = unsafe { container(wrapper.data)? };
    Ok(RawImage::Fatbin { main, prelinked })
}

/// # Safety
///
/// A complete ELF file must be at `image` for `'a`.
unsafe fn cubin<'a>(image: *const c_void) -> Result<RawImage<'a>, Error> {
    let start = image.cast::<u8>();
    let size = elf::extent(|at, len| {
        // SAFETY: a complete file holds its header and the tables that the header names, which is all that
        // `extent` asks for.
        Some(unsafe { slice::from_raw_parts(start.add(at), len) })
    })?;
    // SAFETY: a complete file spans all its tables, sections and segments.
    Ok(RawImage::Elf(unsafe { slice::from_raw_parts(start, size) }))
}

/// # Safety
///
/// NUL-terminated text must be at `image` for `'a`.
unsafe fn ptx<'a>(image: *const c_void) -> Result<RawImage<'a>, Error> {
    // SAFETY: the caller's promise.
    let text = unsafe { CStr::from_ptr(image.cast::<c_char>()) }.to_bytes();
    if text.len() > MAX_IMAGE_BYTES {
        return Err(Error::TooLarge {
            what: "PTX text",
            size: text.len() as u64,
            limit: MAX_IMAGE_BYTES as u64,
        });
    }
    Ok(RawImage::Ptx(text))
}

/// A wrapper made here, around containers that came as bytes, to hand to a real driver.
pub struct OwnedWrapper {
    wrapper: Box<Wrapper>,
    /// What `wrapper` points to; the words keep containers on the 8-byte boundaries that drivers rely on.
    _containers: Vec<Box<[u64]>>,
    _list: Box<[*const c_void]>,
}

impl OwnedWrapper {
    /// A wrapper around `main`, and of version 2 if there are `prelinked` parts.
    pub fn new(main: &[u8], prelinked: &[&[u8]]) -> Self {
        let mut containers = vec![aligned_copy(main)];
        containers.extend(prelinked.iter().map(|part| aligned_copy(part)));
        let mut list: Vec<*const c_void> = containers.iter().skip(1).map(|c| address(c)).collect();
        list.push(ptr::null());
        let list = list.into_boxed_slice();
        let wrapper = Box::new(Wrapper {
            magic: WRAPPER_MAGIC,
            version: match prelinked.is_empty() {
                true => WRAPPER_VERSION,
                false => WRAPPER_VERSION_LINKED,
            },
            data: address(&containers[0]),
            filename_or_fatbins: match prelinked.is_empty() {
                true => ptr::null(),
                false => list.as_ptr().cast(),
            },
        });
        Self {
            wrapper,
            _containers: containers,
            _list: list,
        }
    }

    /// What to pass to `cuModuleLoadData`; valid while `self` lives.
    pub fn as_ptr(&self) -> *const c_void {
        ptr::from_ref(&*self.wrapper).cast()
    }
}

impl fmt::Debug for OwnedWrapper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnedWrapper")
            .field("version", &self.wrapper.version)
            .finish_non_exhaustive()
    }
}

// SAFETY: the pointers are to memory that the value owns and nobody writes.
unsafe impl Send for OwnedWrapper {}
// SAFETY: as above.
unsafe impl Sync for OwnedWrapper {}

fn aligned_copy(bytes: &[u8]) -> Box<[u64]> {
    bytes
        .chunks(8)
        .map(|chunk| {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            u64::from_ne_bytes(word)
        })
        .collect()
}

fn address(words: &[u64]) -> *const c_void {
    words.as_ptr().cast()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Fatbin;

    const PLAIN: &[u8] = include_bytes!("../testdata/plain.fatbin");
    const CUBIN: &[u8] = include_bytes!("../testdata/sm_75.cubin");

    /// # Safety
    ///
    /// As [`image`].
    unsafe fn measure<'a>(at: *const u8) -> Result<RawImage<'a>, Error> {
        // SAFETY: the caller's promise.
        unsafe { image(at.cast()) }
    }

    #[test]
    fn measures_a_bare_container() {
        let mut bytes = PLAIN.to_vec();
        bytes.extend_from_slice(b"what follows in the program");
        // SAFETY: a complete container.
        let found = unsafe { measure(bytes.as_ptr()) }.unwrap();
        assert_eq!(
            found,
            RawImage::Fatbin {
                main: PLAIN,
                prelinked: Vec::new()
            }
        );
    }

    #[test]
    fn measures_a_cubin() {
        let mut bytes = CUBIN.to_vec();
        bytes.extend_from_slice(&[0xAA; 100]);
        // SAFETY: a complete ELF file.
        let found = unsafe { measure(bytes.as_ptr()) }.unwrap();
        assert_eq!(found, RawImage::Elf(CUBIN));
    }

    #[test]
    fn measures_text_of_any_length() {
        for text in [c"\n.version 9.0\n", c"//", c"a"] {
            // SAFETY: NUL-terminated.
            let found = unsafe { measure(text.as_ptr().cast()) }.unwrap();
            assert_eq!(found, RawImage::Ptx(text.to_bytes()));
        }
    }

    #[test]
    fn refuses_what_is_no_image() {
        // SAFETY: null is allowed.
        assert!(unsafe { measure(ptr::null()) }.is_err());
        for text in [c"", c"\x01\x02\x03\x04\x05"] {
            // SAFETY: NUL-terminated.
            let found = unsafe { measure(text.as_ptr().cast()) };
            assert!(matches!(found, Err(Error::BadMagic(_))), "{found:?}");
        }
    }

    #[test]
    fn a_wrapper_survives_the_round_trip() {
        let plain = OwnedWrapper::new(PLAIN, &[]);
        // SAFETY: a complete wrapper.
        let found = unsafe { image(plain.as_ptr()) }.unwrap();
        assert_eq!(
            found,
            RawImage::Fatbin {
                main: PLAIN,
                prelinked: Vec::new()
            }
        );

        let part = include_bytes!("../testdata/lz4_ptx.fatbin").as_slice();
        let linked = OwnedWrapper::new(PLAIN, &[part, part]);
        // SAFETY: a complete wrapper.
        let found = unsafe { image(linked.as_ptr()) }.unwrap();
        let RawImage::Fatbin { main, prelinked } = found else {
            panic!("not a fatbin: {found:?}");
        };
        assert_eq!((main, prelinked), (PLAIN, vec![part, part]));
        assert_eq!(Fatbin::parse(main).unwrap().entries().len(), 2);
    }

    #[test]
    fn refuses_an_unknown_wrapper_version() {
        let mut wrapper = OwnedWrapper::new(PLAIN, &[]);
        wrapper.wrapper.version = 3;
        // SAFETY: a complete wrapper.
        let found = unsafe { image(wrapper.as_ptr()) };
        assert!(matches!(found, Err(Error::BadVersion { version: 3, .. })));
    }
}
