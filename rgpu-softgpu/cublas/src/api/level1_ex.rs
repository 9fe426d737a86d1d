//! Vectors whose types are arguments. Halves and brain floats are computed with as singles; scalars are of the type that
//! is computed with, results of the type of the elements (or of their absolute values).

use std::ffi::c_void;

use rgpu_softgpu_math::element::{Compute, Element, bf16, c32, c64, f16};

use super::gemm_ex::Any;
use super::{Dev, Handle, level1};
use crate::args::Index;
use crate::handle::Call;
use crate::names::named;
use crate::status::{Result, Status};
use crate::types::data::*;

/// Calls a function with the type that is computed with and that of the elements.
macro_rules! of_type {
    ($types:expr, $with:ident => $call:expr) => {{
        match $types {
            R_16F => of_type!(@one $with, f32, f16, $call),
            R_16BF => of_type!(@one $with, f32, bf16, $call),
            R_32F => of_type!(@one $with, f32, f32, $call),
            R_64F => of_type!(@one $with, f64, f64, $call),
            C_32F => of_type!(@one $with, c32, c32, $call),
            C_64F => of_type!(@one $with, c64, c64, $call),
            _ => Err(Status::NOT_SUPPORTED),
        }
    }};
    (@one $with:ident, $sum:ty, $element:ty, $call:expr) => {{
        type $with = Pair<$sum, $element>;
        $call
    }};
}

/// Two types.
struct Pair<S, T>(std::marker::PhantomData<(S, T)>);

/// What is asked of a pair.
trait Types {
    type Sum: Compute;
    type Element: Element<Self::Sum>;
    /// What norms are stored as.
    type Norm: Element<<Self::Sum as Compute>::Real>;
}

impl<S: Compute, T: Element<S> + Norm<S>> Types for Pair<S, T> {
    type Sum = S;
    type Element = T;
    type Norm = T::Norm;
}

/// What the norms of vectors of a type are stored as.
trait Norm<S: Compute> {
    type Norm: Element<S::Real>;
}

macro_rules! norms {
    ($($sum:ty, $element:ty: $norm:ty;)*) => {$(
        impl Norm<$sum> for $element {
            type Norm = $norm;
        }
    )*};
}

norms! {
    f32, f16: f16;
    f32, bf16: bf16;
    f32, f32: f32;
    f64, f64: f64;
    c32, c32: f32;
    c64, c64: f64;
}

/// The type of scalars for elements of a type.
fn scalar_type(element: u32) -> u32 {
    match element {
        R_16F | R_16BF => R_32F,
        other => other,
    }
}

/// The type of norms of elements of a type.
fn norm_type(element: u32) -> u32 {
    match element {
        C_32F => R_32F,
        C_64F => R_64F,
        other => other,
    }
}

/// Refuses types that do not go together.
fn supported(condition: bool) -> Result {
    match condition {
        true => Ok(()),
        false => Err(Status::NOT_SUPPORTED),
    }
}

type SumOf<P> = <P as Types>::Sum;
type ElementOf<P> = <P as Types>::Element;
type NormOf<P> = <P as Types>::Norm;

named! {
    /// y += alpha x
    unsafe fn axpy_ex<T: Any, I: Index>(
        handle: Handle, n: I, alpha: *const c_void, alpha_type: u32, x: Dev, x_type: u32, incx: I, y: Dev, y_type: u32,
        incy: I, execution: u32,
    ) -> Result {
        let call = Call::new("AxpyEx", handle)?;
        let scalar = scalar_type(x_type);
        supported(x_type == y_type && [alpha_type, execution] == [scalar; 2])?;
        // SAFETY: the contract of this function.
        of_type!(x_type, P => unsafe {
            level1::axpy::<SumOf<P>, SumOf<P>, ElementOf<P>, I>(call, n, alpha.cast(), x, incx, y, incy)
        })
    }
    cublasAxpyEx, cublasAxpyEx_64: ();
}

named! {
    /// x = alpha x
    unsafe fn scal_ex<T: Any, I: Index>(
        handle: Handle, n: I, alpha: *const c_void, alpha_type: u32, x: Dev, x_type: u32, incx: I, execution: u32,
    ) -> Result {
        let call = Call::new("ScalEx", handle)?;
        supported([alpha_type, execution] == [scalar_type(x_type); 2])?;
        // SAFETY: the contract of this function.
        of_type!(x_type, P => unsafe {
            level1::scale::<SumOf<P>, SumOf<P>, SumOf<P>, ElementOf<P>, I>(call, n, alpha.cast(), x, incx)
        })
    }
    cublasScalEx, cublasScalEx_64: ();
}

/// # Safety
/// A result in host memory may be written.
unsafe fn dot<I: Index>(
    call: Call,
    n: I,
    [x, y]: [Dev; 2],
    [incx, incy]: [I; 2],
    types: [u32; 3],
    result: *mut c_void,
    execution: u32,
    conjugate: bool,
) -> Result {
    supported(types == [types[0]; 3] && execution == scalar_type(types[0]))?;
    // SAFETY: the caller's promise.
    of_type!(types[0], P => unsafe {
        level1::dot::<SumOf<P>, ElementOf<P>, I>(call, n, x, incx, y, incy, result.cast(), conjugate)
    })
}

named! {
    /// The sum of the products of x and y.
    unsafe fn dot_ex<T: Any, I: Index>(
        handle: Handle, n: I, x: Dev, x_type: u32, incx: I, y: Dev, y_type: u32, incy: I, result: *mut c_void,
        result_type: u32, execution: u32,
    ) -> Result {
        let (call, types) = (Call::new("DotEx", handle)?, [x_type, y_type, result_type]);
        // SAFETY: the contract of this function.
        unsafe { dot(call, n, [x, y], [incx, incy], types, result, execution, false) }
    }
    cublasDotEx, cublasDotEx_64: ();
}

named! {
    /// The sum of the products of x's conjugates and y.
    unsafe fn dotc_ex<T: Any, I: Index>(
        handle: Handle, n: I, x: Dev, x_type: u32, incx: I, y: Dev, y_type: u32, incy: I, result: *mut c_void,
        result_type: u32, execution: u32,
    ) -> Result {
        let (call, types) = (Call::new("DotcEx", handle)?, [x_type, y_type, result_type]);
        // SAFETY: the contract of this function.
        unsafe { dot(call, n, [x, y], [incx, incy], types, result, execution, true) }
    }
    cublasDotcEx, cublasDotcEx_64: ();
}

/// # Safety
/// A result in host memory may be written.
unsafe fn norm<I: Index>(
    call: Call,
    n: I,
    x: Dev,
    incx: I,
    types: [u32; 2],
    result: *mut c_void,
    execution: u32,
    euclidean: bool,
) -> Result {
    let executed = norm_type(scalar_type(types[0]));
    supported(types[1] == norm_type(types[0]) && execution == executed)?;
    // SAFETY: the caller's promise.
    of_type!(types[0], P => unsafe {
        level1::norm::<SumOf<P>, ElementOf<P>, NormOf<P>, I>(call, n, x, incx, result.cast(), euclidean)
    })
}

named! {
    /// The Euclidean norm.
    unsafe fn norm_ex<T: Any, I: Index>(
        handle: Handle, n: I, x: Dev, x_type: u32, incx: I, result: *mut c_void, result_type: u32, execution: u32,
    ) -> Result {
        let call = Call::new("Nrm2Ex", handle)?;
        // SAFETY: the contract of this function.
        unsafe { norm(call, n, x, incx, [x_type, result_type], result, execution, true) }
    }
    cublasNrm2Ex, cublasNrm2Ex_64: ();
}

named! {
    /// The sum of absolute values.
    unsafe fn asum_ex<T: Any, I: Index>(
        handle: Handle, n: I, x: Dev, x_type: u32, incx: I, result: *mut c_void, result_type: u32, execution: u32,
    ) -> Result {
        let call = Call::new("AsumEx", handle)?;
        // SAFETY: the contract of this function.
        unsafe { norm(call, n, x, incx, [x_type, result_type], result, execution, false) }
    }
    cublasAsumEx, cublasAsumEx_64: ();
}

named! {
    /// The first of the largest elements.
    unsafe fn amax_ex<T: Any, I: Index>(handle: Handle, n: I, x: Dev, x_type: u32, incx: I, result: *mut I) -> Result {
        let call = Call::new("IamaxEx", handle)?;
        // SAFETY: the contract of this function.
        of_type!(x_type, P => unsafe {
            level1::extreme::<SumOf<P>, ElementOf<P>, I>(call, n, x, incx, result, true)
        })
    }
    cublasIamaxEx, cublasIamaxEx_64: ();
}

named! {
    /// The first of the smallest elements.
    unsafe fn amin_ex<T: Any, I: Index>(handle: Handle, n: I, x: Dev, x_type: u32, incx: I, result: *mut I) -> Result {
        let call = Call::new("IaminEx", handle)?;
        // SAFETY: the contract of this function.
        of_type!(x_type, P => unsafe {
            level1::extreme::<SumOf<P>, ElementOf<P>, I>(call, n, x, incx, result, false)
        })
    }
    cublasIaminEx, cublasIaminEx_64: ();
}

named! {
    /// y = x
    unsafe fn copy_ex<T: Any, I: Index>(
        handle: Handle, n: I, x: Dev, x_type: u32, incx: I, y: Dev, y_type: u32, incy: I,
    ) -> Result {
        let call = Call::new("CopyEx", handle)?;
        supported(x_type == y_type)?;
        of_type!(x_type, P => level1::copy::<ElementOf<P>, I>(call, n, x, incx, y, incy, false))
    }
    cublasCopyEx, cublasCopyEx_64: ();
}

named! {
    /// Exchanges x and y.
    unsafe fn swap_ex<T: Any, I: Index>(
        handle: Handle, n: I, x: Dev, x_type: u32, incx: I, y: Dev, y_type: u32, incy: I,
    ) -> Result {
        let call = Call::new("SwapEx", handle)?;
        supported(x_type == y_type)?;
        of_type!(x_type, P => level1::copy::<ElementOf<P>, I>(call, n, x, incx, y, incy, true))
    }
    cublasSwapEx, cublasSwapEx_64: ();
}
