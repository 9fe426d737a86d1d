//! Updates of matrices by products of two vectors.

use rgpu_softgpu_math::blas::structured::{Form, Meaning, Structured};
use rgpu_softgpu_math::blas::vector::Vector;
use rgpu_softgpu_math::element::{c32, c64};
use rgpu_softgpu_math::gemm::{Matrix, Shape, Threads, gemm};
use rgpu_softgpu_math::queue::Span;

use super::level2::{column, stepped, structured};
use super::{Dev, Handle};
use crate::args::{Index, extent, leading, size, triangle};
use crate::handle::{Call, Factor};
use crate::names::named;
use crate::status::Result;
use crate::types::{Blas, C, Real};

/// A = alpha x y' + A, or with the conjugates of y.
///
/// # Safety
/// A scalar in host memory is valid.
unsafe fn general<T: Blas, I: Index>(
    call: Call,
    (m, n): (I, I),
    alpha: *const C<T>,
    (x, incx): (Dev, I),
    (y, incy): (Dev, I),
    (a, lda): (Dev, I),
    conjugate: bool,
) -> Result {
    let (m, n) = (size(m)?, size(n)?);
    let lda = leading(lda, m)?;
    // SAFETY: the caller's promise.
    let alpha = unsafe { call.scalar(alpha.cast::<T>())? };
    let (x, y): (Vector<T>, Vector<T>) = (stepped(x, m, incx)?, stepped(y, n, incy)?);
    let a = Span::new(a.cast::<T>().cast_const(), extent(m, n, lda))?;
    call.enqueue(move |_| {
        let right = column(&y).transposed();
        let right = if conjugate { right.conjugated() } else { right };
        let a = Matrix::columns(a.pointer(), lda);
        let shape = Shape { m, n, k: 1 };
        // SAFETY: the driver has vouched for all three.
        unsafe {
            gemm(
                shape,
                alpha.get(),
                column(&x),
                right,
                T::one(),
                a,
                Threads::Pool,
            )
        };
        Ok(())
    })
}

named! {
    /// A = alpha x y' + A
    unsafe fn geru<T: Blas, I: Index>(
        handle: Handle, m: I, n: I, alpha: *const C<T>, x: Dev, incx: I, y: Dev, incy: I, a: Dev, lda: I,
    ) -> Result {
        let call = Call::new("ger", handle)?;
        // SAFETY: the contract of this function.
        unsafe { general::<T, I>(call, (m, n), alpha, (x, incx), (y, incy), (a, lda), false) }
    }
    cublasSger_v2, cublasSger_v2_64: f32;
    cublasDger_v2, cublasDger_v2_64: f64;
    cublasCgeru_v2, cublasCgeru_v2_64: c32;
    cublasZgeru_v2, cublasZgeru_v2_64: c64;
}

named! {
    /// A = alpha x y* + A
    unsafe fn gerc<T: Blas, I: Index>(
        handle: Handle, m: I, n: I, alpha: *const C<T>, x: Dev, incx: I, y: Dev, incy: I, a: Dev, lda: I,
    ) -> Result {
        let call = Call::new("gerc", handle)?;
        // SAFETY: the contract of this function.
        unsafe { general::<T, I>(call, (m, n), alpha, (x, incx), (y, incy), (a, lda), true) }
    }
    cublasCgerc_v2, cublasCgerc_v2_64: c32;
    cublasZgerc_v2, cublasZgerc_v2_64: c64;
}

/// [`Structured::update`]
fn enqueue<T: Blas>(
    call: Call,
    matrix: Structured<T>,
    alpha: Factor<T>,
    x: Vector<T>,
    y: Option<Vector<T>>,
) -> Result {
    call.enqueue(move |_| {
        let alpha = alpha.get();
        if !alpha.is_zero() {
            // SAFETY: the driver has vouched for all three.
            unsafe { matrix.update(alpha, x, y) };
        }
        Ok(())
    })
}

/// A symmetric matrix.
fn symmetric<T: Blas, I: Index>(uplo: u32, n: I, a: Dev, lda: I) -> Result<Structured<T>> {
    let (meaning, n) = (Meaning::Symmetric(triangle(uplo)?), size(n)?);
    structured(a, (n, n), Form::Full(leading(lda, n)?), meaning)
}

/// A Hermitian matrix.
fn hermitian<T: Blas, I: Index>(uplo: u32, n: I, a: Dev, lda: I) -> Result<Structured<T>> {
    let (meaning, n) = (Meaning::Hermitian(triangle(uplo)?), size(n)?);
    structured(a, (n, n), Form::Full(leading(lda, n)?), meaning)
}

/// A packed symmetric matrix; of complex numbers, a Hermitian one.
fn packed<T: Blas, I: Index>(uplo: u32, n: I, ap: Dev) -> Result<Structured<T>> {
    let (triangle, n) = (triangle(uplo)?, size(n)?);
    structured(
        ap,
        (n, n),
        Form::Packed(triangle),
        Meaning::Hermitian(triangle),
    )
}

named! {
    /// A = alpha x x' + A
    unsafe fn syr<T: Blas, I: Index>(
        handle: Handle, uplo: u32, n: I, alpha: *const C<T>, x: Dev, incx: I, a: Dev, lda: I,
    ) -> Result {
        let call = Call::new("syr", handle)?;
        // SAFETY: the contract of this function.
        let alpha = unsafe { Factor::any(&call, alpha)? };
        let matrix = symmetric::<T, I>(uplo, n, a, lda)?;
        enqueue(call, matrix, alpha, stepped(x, matrix.rows, incx)?, None)
    }
    cublasSsyr_v2, cublasSsyr_v2_64: f32;
    cublasDsyr_v2, cublasDsyr_v2_64: f64;
    cublasCsyr_v2, cublasCsyr_v2_64: c32;
    cublasZsyr_v2, cublasZsyr_v2_64: c64;
}

named! {
    /// A = alpha x y' + alpha y x' + A
    unsafe fn syr2<T: Blas, I: Index>(
        handle: Handle, uplo: u32, n: I, alpha: *const C<T>, x: Dev, incx: I, y: Dev, incy: I, a: Dev, lda: I,
    ) -> Result {
        let call = Call::new("syr2", handle)?;
        // SAFETY: the contract of this function.
        let alpha = unsafe { Factor::any(&call, alpha)? };
        let matrix = symmetric::<T, I>(uplo, n, a, lda)?;
        let y = stepped(y, matrix.rows, incy)?;
        enqueue(call, matrix, alpha, stepped(x, matrix.rows, incx)?, Some(y))
    }
    cublasSsyr2_v2, cublasSsyr2_v2_64: f32;
    cublasDsyr2_v2, cublasDsyr2_v2_64: f64;
    cublasCsyr2_v2, cublasCsyr2_v2_64: c32;
    cublasZsyr2_v2, cublasZsyr2_v2_64: c64;
}

named! {
    /// A = alpha x x* + A
    unsafe fn her<T: Blas, I: Index>(
        handle: Handle, uplo: u32, n: I, alpha: *const Real<T>, x: Dev, incx: I, a: Dev, lda: I,
    ) -> Result {
        let call = Call::new("her", handle)?;
        // SAFETY: the contract of this function.
        let alpha = unsafe { Factor::real(&call, alpha)? };
        let matrix = hermitian::<T, I>(uplo, n, a, lda)?;
        enqueue(call, matrix, alpha, stepped(x, matrix.rows, incx)?, None)
    }
    cublasCher_v2, cublasCher_v2_64: c32;
    cublasZher_v2, cublasZher_v2_64: c64;
}

named! {
    /// A = alpha x y* + conj(alpha) y x* + A
    unsafe fn her2<T: Blas, I: Index>(
        handle: Handle, uplo: u32, n: I, alpha: *const C<T>, x: Dev, incx: I, y: Dev, incy: I, a: Dev, lda: I,
    ) -> Result {
        let call = Call::new("her2", handle)?;
        // SAFETY: the contract of this function.
        let alpha = unsafe { Factor::any(&call, alpha)? };
        let matrix = hermitian::<T, I>(uplo, n, a, lda)?;
        let y = stepped(y, matrix.rows, incy)?;
        enqueue(call, matrix, alpha, stepped(x, matrix.rows, incx)?, Some(y))
    }
    cublasCher2_v2, cublasCher2_v2_64: c32;
    cublasZher2_v2, cublasZher2_v2_64: c64;
}

named! {
    /// A = alpha x x* + A, packed.
    unsafe fn hpr<T: Blas, I: Index>(
        handle: Handle, uplo: u32, n: I, alpha: *const Real<T>, x: Dev, incx: I, ap: Dev,
    ) -> Result {
        let call = Call::new("spr", handle)?;
        // SAFETY: the contract of this function.
        let alpha = unsafe { Factor::real(&call, alpha)? };
        let matrix = packed::<T, I>(uplo, n, ap)?;
        enqueue(call, matrix, alpha, stepped(x, matrix.rows, incx)?, None)
    }
    cublasSspr_v2, cublasSspr_v2_64: f32;
    cublasDspr_v2, cublasDspr_v2_64: f64;
    cublasChpr_v2, cublasChpr_v2_64: c32;
    cublasZhpr_v2, cublasZhpr_v2_64: c64;
}

named! {
    /// A = alpha x y* + conj(alpha) y x* + A, packed.
    unsafe fn hpr2<T: Blas, I: Index>(
        handle: Handle, uplo: u32, n: I, alpha: *const C<T>, x: Dev, incx: I, y: Dev, incy: I, ap: Dev,
    ) -> Result {
        let call = Call::new("spr2", handle)?;
        // SAFETY: the contract of this function.
        let alpha = unsafe { Factor::any(&call, alpha)? };
        let matrix = packed::<T, I>(uplo, n, ap)?;
        let y = stepped(y, matrix.rows, incy)?;
        enqueue(call, matrix, alpha, stepped(x, matrix.rows, incx)?, Some(y))
    }
    cublasSspr2_v2, cublasSspr2_v2_64: f32;
    cublasDspr2_v2, cublasDspr2_v2_64: f64;
    cublasChpr2_v2, cublasChpr2_v2_64: c32;
    cublasZhpr2_v2, cublasZhpr2_v2_64: c64;
}
