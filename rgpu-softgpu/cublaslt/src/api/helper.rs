//! Handles, version, cache and logger.

use std::ffi::{c_char, c_void};
use std::sync::atomic::{AtomicUsize, Ordering};

use rgpu_softgpu_math::blas::status::{Result, Status, VERSION, require};
use rgpu_softgpu_math::handles::{CUBLAS, CUBLASLT, Handles, has_bits};
use rgpu_softgpu_math::queue::Context;

use super::put;

static HANDLES: Handles<()> = Handles::new(CUBLASLT);

/// Refuses what is no handle. Those of cuBLAS are handles here too, as documented.
pub(super) fn check(handle: *mut c_void) -> Result {
    match has_bits(handle, CUBLAS) || HANDLES.get(handle).is_some() {
        true => Ok(()),
        false => Err(Status::NOT_INITIALIZED),
    }
}

pub(crate) unsafe fn cublasLtCreate(handle: *mut *mut c_void) -> Result {
    require(!handle.is_null())?;
    Context::current_or_primary()?;
    // SAFETY: the contract of this function.
    unsafe { put(handle, HANDLES.add(())) }
}

pub(crate) unsafe fn cublasLtDestroy(handle: *mut c_void) -> Result {
    HANDLES.remove(handle).ok_or(Status::NOT_INITIALIZED)?;
    Ok(())
}

/// `libraryPropertyType`: 0 major version, 1 minor version, 2 patch level.
pub(crate) unsafe fn cublasLtGetProperty(kind: u32, value: *mut i32) -> Result {
    let part = VERSION.get(kind as usize).ok_or(Status::INVALID_VALUE)?;
    // SAFETY: the contract of this function.
    unsafe { put(value, *part) }
}

/// Entries of the cache of heuristics, of which there is none: one algorithm needs no search.
static CAPACITY: AtomicUsize = AtomicUsize::new(8192);

pub(crate) unsafe fn cublasLtHeuristicsCacheGetCapacity(capacity: *mut usize) -> Result {
    // SAFETY: the contract of this function.
    unsafe { put(capacity, CAPACITY.load(Ordering::Relaxed)) }
}

pub(crate) unsafe fn cublasLtHeuristicsCacheSetCapacity(capacity: usize) -> Result {
    CAPACITY.store(capacity, Ordering::Relaxed);
    Ok(())
}

// The logger is that of all our libraries: `RGPU_LOG`. A program's own wishes are taken and have no effect.

pub(crate) unsafe fn cublasLtLoggerForceDisable() -> Result {
    Ok(())
}

pub(crate) unsafe fn cublasLtLoggerOpenFile(_: *const c_char) -> Result {
    Ok(())
}

pub(crate) unsafe fn cublasLtLoggerSetCallback(_: Option<unsafe extern "C" fn()>) -> Result {
    Ok(())
}

pub(crate) unsafe fn cublasLtLoggerSetFile(_: *mut c_void) -> Result {
    Ok(())
}

pub(crate) unsafe fn cublasLtLoggerSetLevel(level: i32) -> Result {
    require((0..=5).contains(&level))
}

pub(crate) unsafe fn cublasLtLoggerSetMask(_: i32) -> Result {
    Ok(())
}
