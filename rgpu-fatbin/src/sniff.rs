//! Telling the kinds of module images apart by their first bytes.

use crate::container::{CONTAINER_MAGIC, le_u32};
use crate::elf::ELF_MAGIC;

/// How many bytes [`sniff`] looks at.
pub const SNIFF_BYTES: usize = 4;

/// The first four bytes of a `__fatBinC_Wrapper_t`.
pub(crate) const WRAPPER_MAGIC: u32 = 0x4662_43B1;

/// What a program may hand to `cuModuleLoadData`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageKind {
    /// A `__fatBinC_Wrapper_t`: holds pointers, so it means something only in the program's own memory.
    Wrapper,
    /// A bare fatbin container.
    Fatbin,
    /// A cubin.
    Elf,
    /// PTX text.
    Ptx,
}

/// The kind of the image that starts with `head`; `None` if it is none (`CUDA_ERROR_INVALID_IMAGE`). PTX is
/// whatever starts like text; it may be shorter than [`SNIFF_BYTES`].
pub fn sniff(head: &[u8]) -> Option<ImageKind> {
    match le_u32(head, 0) {
        Some(WRAPPER_MAGIC) => return Some(ImageKind::Wrapper),
        Some(CONTAINER_MAGIC) => return Some(ImageKind::Fatbin),
        _ => {}
    }
    if head.starts_with(&ELF_MAGIC) {
        return Some(ImageKind::Elf);
    }
    let text = head.iter().take(SNIFF_BYTES).take_while(|&&byte| byte != 0);
    let mut length = 0;
    for &byte in text {
        let printable = byte.is_ascii_graphic() || byte.is_ascii_whitespace();
        // A byte order mark is no part of PTX, but editors put it there.
        if !printable && ![0xEF, 0xBB, 0xBF].contains(&byte) {
            return None;
        }
        length += 1;
    }
    (length > 0).then_some(ImageKind::Ptx)
}
