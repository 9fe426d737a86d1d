//! Rotations whose types are arguments. Halves and brain floats are computed with as singles. A complex rotation has both
//! its cosine and its sine of the type that is named for them.

use std::ffi::c_void;

use rgpu_softgpu_math::element::{Compute, Element, bf16, c32, c64, f16};

use super::gemm_ex::Any;
use super::{Dev, Handle, rotations};
use crate::args::Index;
use crate::handle::Call;
use crate::names::named;
use crate::status::{Result, Status};
use crate::types::data::*;

/// Calls a function with the types that are computed with and of the elements, of real numbers.
macro_rules! of_real_type {
    ($types:expr, $sum:ident $element:ident => $call:expr) => {
        match $types {
            [R_32F, R_16F] => of_real_type!(@one $sum = f32, $element = f16, $call),
            [R_32F, R_16BF] => of_real_type!(@one $sum = f32, $element = bf16, $call),
            [R_32F, R_32F] => of_real_type!(@one $sum = f32, $element = f32, $call),
            [R_64F, R_64F] => of_real_type!(@one $sum = f64, $element = f64, $call),
            _ => Err(Status::NOT_SUPPORTED),
        }
    };
    (@one $sum:ident = $of:ty, $element:ident = $in:ty, $call:expr) => {{
        type $sum = $of;
        type $element = $in;
        $call
    }};
}

/// The type, if it is the same for all.
fn common<const N: usize>(types: [u32; N]) -> Result<u32> {
    match types.iter().all(|kind| *kind == types[0]) {
        true => Ok(types[0]),
        false => Err(Status::NOT_SUPPORTED),
    }
}

/// A rotation of complex vectors by numbers of the type P.
///
/// # Safety
/// Scalars in host memory are valid.
unsafe fn rotate<S: Compute, P: Copy + Send + Sync + 'static, I: Index>(
    call: Call,
    n: I,
    vectors: [Dev; 2],
    steps: [I; 2],
    [c, s]: [*const c_void; 2],
    meant: fn(P) -> S,
) -> Result {
    let (c, s) = (c.cast::<P>(), s.cast::<P>());
    // SAFETY: the caller's promise.
    unsafe { rotations::rotate::<S, S, P, P, I>(call, n, vectors, steps, (c, meant), (s, meant)) }
}

named! {
    /// A rotation by a cosine and a sine.
    unsafe fn rot_ex<T: Any, I: Index>(
        handle: Handle, n: I, x: Dev, x_type: u32, incx: I, y: Dev, y_type: u32, incy: I, c: *const c_void,
        s: *const c_void, cs_type: u32, execution: u32,
    ) -> Result {
        let call = Call::new("RotEx", handle)?;
        let (element, vectors, steps) = (common([x_type, y_type])?, [x, y], [incx, incy]);
        // SAFETY: the contract of this function.
        unsafe {
            match [execution, element, cs_type] {
                [C_32F, C_32F, R_32F] => rotate::<c32, f32, I>(call, n, vectors, steps, [c, s], c32::of_real),
                [C_32F, C_32F, C_32F] => rotate::<c32, c32, I>(call, n, vectors, steps, [c, s], |value| value),
                [C_64F, C_64F, R_64F] => rotate::<c64, f64, I>(call, n, vectors, steps, [c, s], c64::of_real),
                [C_64F, C_64F, C_64F] => rotate::<c64, c64, I>(call, n, vectors, steps, [c, s], |value| value),
                _ => of_real_type!([execution, common([element, cs_type])?], S E => {
                    let load = <E as Element<S>>::load;
                    let (c, s) = (c.cast::<E>(), s.cast::<E>());
                    rotations::rotate::<S, E, E, E, I>(call, n, vectors, steps, (c, load), (s, load))
                }),
            }
        }
    }
    cublasRotEx, cublasRotEx_64: ();
}

named! {
    /// The rotation that makes the second of two numbers zero.
    unsafe fn rotg_ex<T: Any, I: Index>(
        handle: Handle, a: *mut c_void, b: *mut c_void, ab_type: u32, c: *mut c_void, s: *mut c_void, cs_type: u32,
        execution: u32,
    ) -> Result {
        let (call, numbers) = (Call::new("RotgEx", handle)?, [a, b, c, s]);
        // SAFETY: the contract of this function.
        unsafe {
            match [execution, ab_type, cs_type] {
                [C_32F, C_32F, C_32F] => rotations::make::<c32, c32, c32, c32>(call, numbers, c32::of_real),
                [C_64F, C_64F, C_64F] => rotations::make::<c64, c64, c64, c64>(call, numbers, c64::of_real),
                _ => of_real_type!([execution, common([ab_type, cs_type])?], S E => {
                    rotations::make::<S, E, E, E>(call, numbers, <E as Element<S>>::store)
                }),
            }
        }
    }
    cublasRotgEx: ();
}

named! {
    /// A modified rotation.
    unsafe fn rotm_ex<T: Any, I: Index>(
        handle: Handle, n: I, x: Dev, x_type: u32, incx: I, y: Dev, y_type: u32, incy: I, parameters: *const c_void,
        parameters_type: u32, execution: u32,
    ) -> Result {
        let call = Call::new("RotmEx", handle)?;
        let (vectors, steps) = ([x, y], [incx, incy]);
        of_real_type!([execution, common([x_type, y_type, parameters_type])?], S E => {
            // SAFETY: the contract of this function.
            unsafe { rotations::rotate_modified::<S, E, E, I>(call, n, vectors, steps, parameters.cast()) }
        })
    }
    cublasRotmEx, cublasRotmEx_64: ();
}

named! {
    /// The modified rotation that makes the second of two numbers zero.
    unsafe fn rotmg_ex<T: Any, I: Index>(
        handle: Handle, d1: *mut c_void, d1_type: u32, d2: *mut c_void, d2_type: u32, x1: *mut c_void, x1_type: u32,
        y1: *const c_void, y1_type: u32, parameters: *mut c_void, parameters_type: u32, execution: u32,
    ) -> Result {
        let call = Call::new("RotmgEx", handle)?;
        let element = common([d1_type, d2_type, x1_type, y1_type, parameters_type])?;
        of_real_type!([execution, element], S E => {
            // SAFETY: the contract of this function.
            unsafe { rotations::make_modified::<S, E>(call, [d1, d2, x1], y1.cast(), parameters) }
        })
    }
    cublasRotmgEx: ();
}
