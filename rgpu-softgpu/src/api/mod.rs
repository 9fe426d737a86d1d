//! The C interface: one function per row, by family. They only translate: C arguments in, one call of the logic,
//! C results out.
//!
//! Every function here has the safety contract of the C function of the same name: pointers are null or valid for
//! what the CUDA documentation says of that parameter.
#![expect(non_snake_case, reason = "functions carry the names of the C API")]
#![expect(
    clippy::too_many_arguments,
    reason = "the signatures are those of the C functions"
)]

mod context;
mod device;
mod event;
mod init;
mod launch;
mod library;
mod linker;
mod memory;
mod module;
mod pool;
mod stream;
mod vmm;

use std::ffi::{CStr, c_char, c_void};

use crate::status::{Result, Status, require};

pub(crate) use context::*;
pub(crate) use device::*;
pub(crate) use event::*;
pub(crate) use init::*;
pub(crate) use launch::*;
pub(crate) use library::*;
pub(crate) use linker::*;
pub(crate) use memory::*;
pub(crate) use module::*;
pub(crate) use pool::*;
pub(crate) use stream::*;
pub(crate) use vmm::*;

/// Stores a result that the program must want.
///
/// # Safety
/// `out` is null or writable.
unsafe fn put<T>(out: *mut T, value: T) -> Result {
    require(!out.is_null())?;
    // SAFETY: not null, so writable.
    unsafe { out.write_unaligned(value) };
    Ok(())
}

/// Stores a result where the program wants it.
///
/// # Safety
/// `out` is null or writable.
unsafe fn put_if_wanted<T>(out: *mut T, value: T) {
    if !out.is_null() {
        // SAFETY: not null, so writable.
        unsafe { out.write_unaligned(value) };
    }
}

/// Stores text, cut to fit, with its end.
///
/// # Safety
/// `out` is null or has room for `room` bytes.
unsafe fn put_text(out: *mut c_void, room: i32, text: &[u8]) -> Result {
    require(!out.is_null() && room > 0)?;
    let length = text.len().min(room as usize - 1);
    // SAFETY: `length` and the end fit `room`.
    unsafe {
        out.cast::<u8>()
            .copy_from_nonoverlapping(text.as_ptr(), length);
        out.cast::<u8>().add(length).write(0);
    }
    Ok(())
}

/// Text of the program.
///
/// # Safety
/// `text` is null or NUL-terminated, and stays so for `'a`.
unsafe fn text<'a>(text: *const c_char) -> Result<&'a str> {
    require(!text.is_null())?;
    // SAFETY: not null, so NUL-terminated.
    let text = unsafe { CStr::from_ptr(text) };
    text.to_str().map_err(|_| Status::ERROR_INVALID_VALUE)
}

/// Reads a structure or one field of it. A field that is an enumeration in C is read as the integer it is, since
/// a program may have put any number there.
///
/// # Safety
/// `from` is null or readable.
unsafe fn read<T: Copy>(from: *const T) -> Result<T> {
    require(!from.is_null())?;
    // SAFETY: not null, so readable.
    Ok(unsafe { from.read_unaligned() })
}
