//! Products and transforms.

use std::ffi::c_void;

use rgpu_softgpu_math::blas::status::Result;
use rgpu_softgpu_math::queue::{Context, Stream};

use super::algorithms::plan;
use super::helper::check;
use crate::fields::{algorithm, matrix, transform};
use crate::matmul::enqueue;
use crate::transform as transformation;

pub(crate) unsafe fn cublasLtMatmul(
    handle: *mut c_void,
    descriptor: *mut c_void,
    alpha: *const c_void,
    a: *mut c_void,
    a_layout: *mut c_void,
    b: *mut c_void,
    b_layout: *mut c_void,
    beta: *const c_void,
    c: *mut c_void,
    c_layout: *mut c_void,
    d: *mut c_void,
    d_layout: *mut c_void,
    chosen: *const c_void,
    _workspace: *mut c_void,
    _workspace_bytes: usize,
    stream: *mut c_void,
) -> Result {
    check(handle)?;
    Context::current_or_primary()?;
    // SAFETY: the contract of this function.
    unsafe {
        if !chosen.is_null() {
            algorithm::LAYOUT.open(chosen)?;
        }
        let plan = plan(descriptor, [a_layout, b_layout, c_layout, d_layout])?;
        enqueue(plan, [a, b, c, d], alpha, beta, Stream(stream))
    }
}

pub(crate) unsafe fn cublasLtMatrixTransform(
    handle: *mut c_void,
    descriptor: *mut c_void,
    alpha: *const c_void,
    a: *mut c_void,
    a_layout: *mut c_void,
    beta: *const c_void,
    b: *mut c_void,
    b_layout: *mut c_void,
    c: *mut c_void,
    c_layout: *mut c_void,
    stream: *mut c_void,
) -> Result {
    check(handle)?;
    Context::current_or_primary()?;
    // SAFETY: the contract of this function.
    unsafe {
        let descriptor = transform::LAYOUT.open(descriptor)?;
        let open = |pointer: *mut c_void| match pointer.is_null() {
            true => Ok(None),
            false => matrix::LAYOUT.open(pointer).map(Some),
        };
        transformation::enqueue(
            descriptor,
            [
                (a, open(a_layout)?),
                (b, open(b_layout)?),
                (c, open(c_layout)?),
            ],
            [alpha, beta],
            Stream(stream),
        )
    }
}
