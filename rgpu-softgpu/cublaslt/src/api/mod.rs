//! What the functions do; named as in C, with the C parameters.
#![allow(
    non_snake_case,
    clippy::too_many_arguments,
    reason = "names and arguments are those of the C API"
)]

mod algorithms;
mod descriptors;
mod helper;
mod products;

pub(crate) use algorithms::*;
pub(crate) use descriptors::*;
pub(crate) use helper::*;
pub(crate) use products::*;

/// Writes a result of the host.
///
/// # Safety
/// `out` is null or may be written.
unsafe fn put<T>(out: *mut T, value: T) -> rgpu_softgpu_math::blas::status::Result {
    rgpu_softgpu_math::blas::status::require(!out.is_null())?;
    // SAFETY: the caller's promise.
    unsafe { out.write(value) };
    Ok(())
}
