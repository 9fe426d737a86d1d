//! One function per `local` and `custom` row. Those of descriptors, products and algorithms are in their modules.

#![expect(non_snake_case, reason = "functions carry the names of the C API")]

use std::ffi::{c_char, c_void};
use std::sync::OnceLock;

use rgpu_client_libs::session;
use rgpu_proto::library::{Fault, derived};

pub(crate) use crate::algorithms::*;
use crate::answers;
pub(crate) use crate::descriptors::*;
pub(crate) use crate::products::*;

pub(crate) type Result<T = ()> = std::result::Result<T, Fault>;

/// The version of the server's library, as `CUBLAS_VERSION` counts; 0 where there is none.
pub(crate) fn version() -> usize {
    static VERSION: OnceLock<usize> = OnceLock::new();
    if let Some(version) = VERSION.get() {
        return *version;
    }
    // MAJOR_VERSION, MINOR_VERSION and PATCH_LEVEL are 0, 1 and 2 (library_types.h).
    let property = |number| -> Result<usize> {
        let mut value = 0;
        // SAFETY: `value` is live.
        unsafe {
            derived::client::cublasLtGetProperty(&session::get()?, number, &raw mut value)?;
        }
        usize::try_from(value).map_err(|_| Fault::Value)
    };
    match (property(0), property(1), property(2)) {
        (Ok(major), Ok(minor), Ok(patch)) => {
            *VERSION.get_or_init(|| major * 10_000 + minor * 100 + patch)
        }
        _ => 0,
    }
}

/// Stores a result of a call.
///
/// # Safety
/// A non-null `place` has room for it.
pub(crate) unsafe fn put<T>(place: *mut T, value: T) -> Result {
    if place.is_null() {
        return Err(Fault::Value);
    }
    // SAFETY: the caller's promise, and not null.
    unsafe { place.write_unaligned(value) };
    Ok(())
}

pub(crate) unsafe fn cublasLtHeuristicsCacheGetCapacity(capacity: *mut usize) -> Result {
    // SAFETY: as the C function of this name requires.
    unsafe { put(capacity, answers::capacity()) }
}

pub(crate) unsafe fn cublasLtHeuristicsCacheSetCapacity(capacity: usize) -> Result {
    answers::set_capacity(capacity);
    Ok(())
}

// The log is that of the server's library; here there is none to configure.

pub(crate) unsafe fn cublasLtLoggerForceDisable() -> Result {
    Ok(())
}

pub(crate) unsafe fn cublasLtLoggerOpenFile(_file: *const c_char) -> Result {
    Ok(())
}

pub(crate) unsafe fn cublasLtLoggerSetCallback(
    _callback: Option<unsafe extern "C" fn()>,
) -> Result {
    Ok(())
}

pub(crate) unsafe fn cublasLtLoggerSetFile(_file: *mut c_void) -> Result {
    Ok(())
}

pub(crate) unsafe fn cublasLtLoggerSetLevel(level: i32) -> Result {
    // "CUBLAS_STATUS_INVALID_VALUE if log level is not one of the above levels": off, and five more.
    if (0..=5).contains(&level) {
        Ok(())
    } else {
        Err(Fault::Value)
    }
}

pub(crate) unsafe fn cublasLtLoggerSetMask(_mask: i32) -> Result {
    Ok(())
}
