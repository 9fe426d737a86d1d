//! Handles and their settings.

use std::ffi::{c_char, c_void};

use rgpu_softgpu_math::queue::{Span, Stream};

use super::{Dev, Handle, put};
use crate::handle::{create, destroy, settings};
use crate::status::{Result, Status, VERSION, require};

pub(crate) unsafe fn cublasCreate_v2(handle: *mut Handle) -> Result {
    require(!handle.is_null())?;
    // SAFETY: the contract of this function.
    unsafe { put(handle, create()?) }
}

pub(crate) unsafe fn cublasDestroy_v2(handle: Handle) -> Result {
    destroy(handle)
}

pub(crate) unsafe fn cublasGetVersion_v2(_: Handle, version: *mut i32) -> Result {
    let [major, minor, patch] = VERSION;
    // SAFETY: the contract of this function.
    unsafe { put(version, major * 10_000 + minor * 100 + patch) }
}

/// `libraryPropertyType`: 0 major version, 1 minor version, 2 patch level.
pub(crate) unsafe fn cublasGetProperty(kind: u32, value: *mut i32) -> Result {
    let part = VERSION.get(kind as usize).ok_or(Status::INVALID_VALUE)?;
    // SAFETY: the contract of this function.
    unsafe { put(value, *part) }
}

pub(crate) unsafe fn cublasSetStream_v2(handle: Handle, stream: *mut c_void) -> Result {
    settings(handle, |settings| settings.stream = Stream(stream))
}

pub(crate) unsafe fn cublasGetStream_v2(handle: Handle, stream: *mut *mut c_void) -> Result {
    let value = settings(handle, |settings| settings.stream.0)?;
    // SAFETY: the contract of this function.
    unsafe { put(stream, value) }
}

pub(crate) unsafe fn cublasSetPointerMode_v2(handle: Handle, mode: u32) -> Result {
    settings(handle, |settings| {
        require(mode <= 1)?;
        settings.pointer_mode = mode;
        Ok(())
    })?
}

pub(crate) unsafe fn cublasGetPointerMode_v2(handle: Handle, mode: *mut u32) -> Result {
    let value = settings(handle, |settings| settings.pointer_mode)?;
    // SAFETY: the contract of this function.
    unsafe { put(mode, value) }
}

/// The lowest bits are the mode, of which 0 to 3 (and 4, an emulation) exist; two flags lie above.
pub(crate) unsafe fn cublasSetMathMode(handle: Handle, mode: u32) -> Result {
    settings(handle, |settings| {
        require(mode & 15 <= 4 && mode & !(15 | 16 | 32) == 0)?;
        settings.math_mode = mode;
        Ok(())
    })?
}

pub(crate) unsafe fn cublasGetMathMode(handle: Handle, mode: *mut u32) -> Result {
    let value = settings(handle, |settings| settings.math_mode)?;
    // SAFETY: the contract of this function.
    unsafe { put(mode, value) }
}

pub(crate) unsafe fn cublasSetAtomicsMode(handle: Handle, mode: u32) -> Result {
    settings(handle, |settings| {
        require(mode <= 1)?;
        settings.atomics_mode = mode;
        Ok(())
    })?
}

pub(crate) unsafe fn cublasGetAtomicsMode(handle: Handle, mode: *mut u32) -> Result {
    let value = settings(handle, |settings| settings.atomics_mode)?;
    // SAFETY: the contract of this function.
    unsafe { put(mode, value) }
}

pub(crate) unsafe fn cublasSetSmCountTarget(handle: Handle, sm_count_target: i32) -> Result {
    settings(handle, |settings| {
        require(sm_count_target >= 0)?;
        settings.sm_count = sm_count_target;
        Ok(())
    })?
}

pub(crate) unsafe fn cublasGetSmCountTarget(handle: Handle, sm_count_target: *mut i32) -> Result {
    let value = settings(handle, |settings| settings.sm_count)?;
    // SAFETY: the contract of this function.
    unsafe { put(sm_count_target, value) }
}

/// Room that is never used, but must be there.
pub(crate) unsafe fn cublasSetWorkspace_v2(handle: Handle, workspace: Dev, bytes: usize) -> Result {
    settings(handle, |_| ())?;
    if workspace.is_null() {
        return require(bytes == 0);
    }
    // Documented as aligned to 256 bytes; XLA's are to 128, and work with NVIDIA's library.
    Span::new(workspace.cast::<u8>().cast_const(), bytes).map_err(|_| Status::INVALID_VALUE)?;
    Ok(())
}

/// The logger is that of all our libraries: `RGPU_LOG`. A program's own wishes are taken and have no effect.
pub(crate) unsafe fn cublasLoggerConfigure(_: i32, _: i32, _: i32, _: *const c_char) -> Result {
    Ok(())
}

static LOGGER: std::sync::Mutex<Option<unsafe extern "C" fn()>> = std::sync::Mutex::new(None);

pub(crate) unsafe fn cublasSetLoggerCallback(callback: Option<unsafe extern "C" fn()>) -> Result {
    *LOGGER.lock().map_err(|_| Status::INTERNAL_ERROR)? = callback;
    Ok(())
}

pub(crate) unsafe fn cublasGetLoggerCallback(callback: *mut c_void) -> Result {
    let known = *LOGGER.lock().map_err(|_| Status::INTERNAL_ERROR)?;
    // SAFETY: the contract of this function: a pointer to a `cublasLogCallback`.
    unsafe { put(callback.cast(), known) }
}
