//! What the functions do, by family; named as in C, with the C parameters.
#![allow(
    non_snake_case,
    clippy::too_many_arguments,
    reason = "names and arguments are those of the C API"
)]

mod copies;
mod factors;
mod gemm;
mod gemm_ex;
mod helper;
mod level1;
mod level1_ex;
mod level2;
mod level3;
mod rotations;
mod rotations_ex;
mod symmetric;
mod updates;

use std::ffi::c_void;

pub(crate) use copies::*;
pub(crate) use factors::*;
pub(crate) use gemm::*;
pub(crate) use gemm_ex::*;
pub(crate) use helper::*;
pub(crate) use level1::*;
pub(crate) use level1_ex::*;
pub(crate) use level2::*;
pub(crate) use level3::*;
pub(crate) use rotations::*;
pub(crate) use rotations_ex::*;
pub(crate) use symmetric::*;
pub(crate) use updates::*;

/// A `cublasHandle_t`.
type Handle = *mut c_void;
/// A pointer into device memory.
type Dev = *mut c_void;

/// Writes a result of the host.
///
/// # Safety
/// `out` is null or may be written.
unsafe fn put<T>(out: *mut T, value: T) -> crate::status::Result {
    crate::status::require(!out.is_null())?;
    // SAFETY: the caller's promise.
    unsafe { out.write(value) };
    Ok(())
}
