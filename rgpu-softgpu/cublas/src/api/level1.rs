//! Vectors.

use rgpu_softgpu_math::blas::vector;
use rgpu_softgpu_math::element::{Compute, Element, c32, c64};

use super::{Dev, Handle};
use crate::args::{Index, length, vector as argument};
use crate::handle::Call;
use crate::names::named;
use crate::status::Result;
use crate::types::{Blas, C, Real};

/// y += alpha x, for any types of scalar and elements.
///
/// # Safety
/// A scalar in host memory is valid.
pub(super) unsafe fn axpy<S: Compute, A: Element<S>, T: Element<S>, I: Index>(
    call: Call,
    n: I,
    alpha: *const A,
    x: Dev,
    incx: I,
    y: Dev,
    incy: I,
) -> Result {
    // SAFETY: the caller's promise.
    let alpha = unsafe { call.scalar(alpha)? };
    let n = length(n);
    let (x, y) = (
        argument::<T>(x.cast(), n, incx)?,
        argument::<T>(y.cast(), n, incy)?,
    );
    call.enqueue(move |_| {
        // SAFETY: the driver has vouched for both.
        unsafe { vector::axpy(alpha.get().load(), x, y) };
        Ok(())
    })
}

/// x = alpha x, for any types of scalar and elements.
///
/// # Safety
/// A scalar in host memory is valid.
pub(super) unsafe fn scale<S: Compute, A: Element<R>, R: Into<S>, T: Element<S>, I: Index>(
    call: Call,
    n: I,
    alpha: *const A,
    x: Dev,
    incx: I,
) -> Result {
    // SAFETY: the caller's promise.
    let alpha = unsafe { call.scalar(alpha)? };
    // As in BLAS, a step that leads nowhere changes nothing.
    let n = if incx.into() <= 0 { 0 } else { length(n) };
    let x = argument::<T>(x.cast(), n, incx)?;
    call.enqueue(move |_| {
        // SAFETY: the driver has vouched for it.
        unsafe { vector::scale::<S, T>(alpha.get().load().into(), x) };
        Ok(())
    })
}

/// x = y, or the two exchanged.
pub(super) fn copy<T: Copy + Send + 'static, I: Index>(
    call: Call,
    n: I,
    x: Dev,
    incx: I,
    y: Dev,
    incy: I,
    exchange: bool,
) -> Result {
    let n = length(n);
    let (x, y) = (
        argument::<T>(x.cast(), n, incx)?,
        argument::<T>(y.cast(), n, incy)?,
    );
    call.enqueue(move |_| {
        // SAFETY: the driver has vouched for both.
        unsafe {
            match exchange {
                true => vector::swap(x, y),
                false => vector::copy(x, y),
            }
        }
        Ok(())
    })
}

/// A sum of products.
///
/// # Safety
/// A result in host memory may be written.
pub(super) unsafe fn dot<S: Compute, T: Element<S>, I: Index>(
    call: Call,
    n: I,
    x: Dev,
    incx: I,
    y: Dev,
    incy: I,
    result: *mut T,
    conjugate: bool,
) -> Result {
    let n = length(n);
    let (x, y) = (
        argument::<T>(x.cast(), n, incx)?,
        argument::<T>(y.cast(), n, incy)?,
    );
    // SAFETY: the caller's promise; the driver has vouched for the vectors.
    unsafe {
        call.result(result, move |_| {
            Ok(T::store(vector::dot::<S, T, T>(x, y, conjugate)))
        })
    }
}

/// The Euclidean norm, or the sum of absolute values.
///
/// # Safety
/// A result in host memory may be written.
pub(super) unsafe fn norm<S: Compute, T: Element<S>, R: Element<S::Real>, I: Index>(
    call: Call,
    n: I,
    x: Dev,
    incx: I,
    result: *mut R,
    euclidean: bool,
) -> Result {
    let n = if incx.into() <= 0 { 0 } else { length(n) };
    let x = argument::<T>(x.cast(), n, incx)?;
    let work = move |_: &_| {
        // SAFETY: the driver has vouched for it.
        Ok(R::store(unsafe {
            match euclidean {
                true => vector::norm::<S, T>(x),
                false => vector::sizes::<S, T>(x),
            }
        }))
    };
    // SAFETY: the caller's promise.
    unsafe { call.result(result, work) }
}

/// The index of the largest or smallest element.
///
/// # Safety
/// A result in host memory may be written.
pub(super) unsafe fn extreme<S: Compute, T: Element<S>, I: Index>(
    call: Call,
    n: I,
    x: Dev,
    incx: I,
    result: *mut I,
    largest: bool,
) -> Result {
    let n = if incx.into() <= 0 { 0 } else { length(n) };
    let x = argument::<T>(x.cast(), n, incx)?;
    // SAFETY: the caller's promise; the driver has vouched for the vector.
    unsafe {
        call.result(result, move |_| {
            Ok(I::of(vector::extreme::<S, T>(x, largest)))
        })
    }
}

named! {
    /// y += alpha x
    unsafe fn typed_axpy<T: Blas, I: Index>(handle: Handle, n: I, alpha: *const C<T>, x: Dev, incx: I, y: Dev, incy: I) -> Result {
        // SAFETY: the contract of this function.
        unsafe { axpy::<T, T, T, I>(Call::new("axpy", handle)?, n, alpha.cast(), x, incx, y, incy) }
    }
    cublasSaxpy_v2, cublasSaxpy_v2_64: f32;
    cublasDaxpy_v2, cublasDaxpy_v2_64: f64;
    cublasCaxpy_v2, cublasCaxpy_v2_64: c32;
    cublasZaxpy_v2, cublasZaxpy_v2_64: c64;
}

named! {
    /// x = alpha x
    unsafe fn typed_scal<T: Blas, I: Index>(handle: Handle, n: I, alpha: *const C<T>, x: Dev, incx: I) -> Result {
        // SAFETY: the contract of this function.
        unsafe { scale::<T, T, T, T, I>(Call::new("scal", handle)?, n, alpha.cast(), x, incx) }
    }
    cublasSscal_v2, cublasSscal_v2_64: f32;
    cublasDscal_v2, cublasDscal_v2_64: f64;
    cublasCscal_v2, cublasCscal_v2_64: c32;
    cublasZscal_v2, cublasZscal_v2_64: c64;
}

named! {
    /// x = alpha x, with a real factor.
    unsafe fn real_scal<T: Complex, I: Index>(handle: Handle, n: I, alpha: *const Real<T>, x: Dev, incx: I) -> Result {
        // SAFETY: the contract of this function.
        unsafe { scale::<T, Real<T>, Real<T>, T, I>(Call::new("scal", handle)?, n, alpha, x, incx) }
    }
    cublasCsscal_v2, cublasCsscal_v2_64: c32;
    cublasZdscal_v2, cublasZdscal_v2_64: c64;
}

/// C and Z.
pub(super) trait Complex: Blas + From<Real<Self>> {}

impl Complex for c32 {}
impl Complex for c64 {}

named! {
    /// y = x
    unsafe fn typed_copy<T: Blas, I: Index>(handle: Handle, n: I, x: Dev, incx: I, y: Dev, incy: I) -> Result {
        copy::<T, I>(Call::new("copy", handle)?, n, x, incx, y, incy, false)
    }
    cublasScopy_v2, cublasScopy_v2_64: f32;
    cublasDcopy_v2, cublasDcopy_v2_64: f64;
    cublasCcopy_v2, cublasCcopy_v2_64: c32;
    cublasZcopy_v2, cublasZcopy_v2_64: c64;
}

named! {
    /// Exchanges x and y.
    unsafe fn typed_swap<T: Blas, I: Index>(handle: Handle, n: I, x: Dev, incx: I, y: Dev, incy: I) -> Result {
        copy::<T, I>(Call::new("swap", handle)?, n, x, incx, y, incy, true)
    }
    cublasSswap_v2, cublasSswap_v2_64: f32;
    cublasDswap_v2, cublasDswap_v2_64: f64;
    cublasCswap_v2, cublasCswap_v2_64: c32;
    cublasZswap_v2, cublasZswap_v2_64: c64;
}

named! {
    /// The sum of the products of x and y.
    unsafe fn typed_dot<T: Blas, I: Index>(
        handle: Handle, n: I, x: Dev, incx: I, y: Dev, incy: I, result: *mut C<T>,
    ) -> Result {
        // SAFETY: the contract of this function.
        unsafe { dot::<T, T, I>(Call::new("dot", handle)?, n, x, incx, y, incy, result.cast(), false) }
    }
    cublasSdot_v2, cublasSdot_v2_64: f32;
    cublasDdot_v2, cublasDdot_v2_64: f64;
    cublasCdotu_v2, cublasCdotu_v2_64: c32;
    cublasZdotu_v2, cublasZdotu_v2_64: c64;
}

named! {
    /// The sum of the products of x's conjugates and y.
    unsafe fn conjugated_dot<T: Blas, I: Index>(
        handle: Handle, n: I, x: Dev, incx: I, y: Dev, incy: I, result: *mut C<T>,
    ) -> Result {
        // SAFETY: the contract of this function.
        unsafe { dot::<T, T, I>(Call::new("dotc", handle)?, n, x, incx, y, incy, result.cast(), true) }
    }
    cublasCdotc_v2, cublasCdotc_v2_64: c32;
    cublasZdotc_v2, cublasZdotc_v2_64: c64;
}

named! {
    /// The Euclidean norm.
    unsafe fn typed_norm<T: Blas, I: Index>(handle: Handle, n: I, x: Dev, incx: I, result: *mut Real<T>) -> Result {
        // SAFETY: the contract of this function.
        unsafe { norm::<T, T, Real<T>, I>(Call::new("nrm2", handle)?, n, x, incx, result, true) }
    }
    cublasSnrm2_v2, cublasSnrm2_v2_64: f32;
    cublasDnrm2_v2, cublasDnrm2_v2_64: f64;
    cublasScnrm2_v2, cublasScnrm2_v2_64: c32;
    cublasDznrm2_v2, cublasDznrm2_v2_64: c64;
}

named! {
    /// The sum of absolute values.
    unsafe fn typed_asum<T: Blas, I: Index>(handle: Handle, n: I, x: Dev, incx: I, result: *mut Real<T>) -> Result {
        // SAFETY: the contract of this function.
        unsafe { norm::<T, T, Real<T>, I>(Call::new("asum", handle)?, n, x, incx, result, false) }
    }
    cublasSasum_v2, cublasSasum_v2_64: f32;
    cublasDasum_v2, cublasDasum_v2_64: f64;
    cublasScasum_v2, cublasScasum_v2_64: c32;
    cublasDzasum_v2, cublasDzasum_v2_64: c64;
}

named! {
    /// The first of the largest elements.
    unsafe fn typed_amax<T: Blas, I: Index>(handle: Handle, n: I, x: Dev, incx: I, result: *mut I) -> Result {
        // SAFETY: the contract of this function.
        unsafe { extreme::<T, T, I>(Call::new("amax", handle)?, n, x, incx, result, true) }
    }
    cublasIsamax_v2, cublasIsamax_v2_64: f32;
    cublasIdamax_v2, cublasIdamax_v2_64: f64;
    cublasIcamax_v2, cublasIcamax_v2_64: c32;
    cublasIzamax_v2, cublasIzamax_v2_64: c64;
}

named! {
    /// The first of the smallest elements.
    unsafe fn typed_amin<T: Blas, I: Index>(handle: Handle, n: I, x: Dev, incx: I, result: *mut I) -> Result {
        // SAFETY: the contract of this function.
        unsafe { extreme::<T, T, I>(Call::new("amin", handle)?, n, x, incx, result, false) }
    }
    cublasIsamin_v2, cublasIsamin_v2_64: f32;
    cublasIdamin_v2, cublasIdamin_v2_64: f64;
    cublasIcamin_v2, cublasIcamin_v2_64: c32;
    cublasIzamin_v2, cublasIzamin_v2_64: c64;
}
