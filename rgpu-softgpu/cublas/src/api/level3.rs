//! Triangular and diagonal matrices, and sums of matrices.

use rgpu_softgpu_math::blas::level3::{add, multiply_diagonal, multiply_triangular, solve};
use rgpu_softgpu_math::blas::structured::{Form, Meaning};
use rgpu_softgpu_math::blas::{Side, Triangle};
use rgpu_softgpu_math::element::{c32, c64};
use rgpu_softgpu_math::gemm::{Matrix, Threads, batch, scale};
use rgpu_softgpu_math::queue::Span;

use super::level2::structured;
use super::{Dev, Handle};
use crate::args::{self, Batch, Index, Operation, diagonal, extent, leading, size, triangle};
use crate::handle::{Call, Factor};
use crate::names::named;
use crate::status::Result;
use crate::types::{Blas, C};

/// The triangle of the matrix that stands on the left, where what stands on the right is turned over: X op(A) = B is
/// op(A)' X' = B'.
fn meant(stored: Triangle, operation: Operation, from_right: bool) -> Triangle {
    match operation.transposes() == from_right {
        true => stored,
        false => stored.other(),
    }
}

/// Solves op(A) X = alpha B or X op(A) = alpha B in the place of B: matrices one by one, or at addresses in arrays.
///
/// # Safety
/// A scalar in host memory is valid.
unsafe fn solutions<T: Blas, I: Index>(
    call: Call,
    [side, uplo, trans, diag]: [u32; 4],
    (m, n): (I, I),
    alpha: *const C<T>,
    (a, lda): (Dev, I),
    (b, ldb): (Dev, I),
    count: Option<I>,
) -> Result {
    let from_right = args::side(side)? == Side::Right;
    let (stored, diagonal, operation) = (triangle(uplo)?, diagonal(diag)?, Operation::new(trans)?);
    let (m, n) = (size(m)?, size(n)?);
    let (rows, columns) = if from_right { (n, m) } else { (m, n) };
    let (lda, ldb) = (leading(lda, rows)?, leading(ldb, m)?);
    // SAFETY: the caller's promise.
    let alpha = unsafe { Factor::<T>::any(&call, alpha)? };
    let number = count.map_or(Ok(1), size)?;
    if m == 0 || n == 0 || number == 0 {
        return Ok(());
    }
    let extents = [alpha.needs(extent(rows, rows, lda)), extent(m, n, ldb)];
    let places = |pointer: Dev, extent| match count {
        None => Batch::<T>::strided(pointer.cast(), extent, 0, 1),
        Some(_) => Batch::array(pointer.cast(), number),
    };
    let (a, b) = (places(a, extents[0])?, places(b, extents[1])?);
    let triangle = meant(stored, operation, from_right);
    call.enqueue(move |run| {
        let a = a.resolve(run, number, extents[0])?;
        let b = b.resolve(run, number, extents[1])?;
        let alpha = alpha.get();
        batch(number, |index, threads| {
            let b = Matrix::columns(b.get(index), ldb);
            // SAFETY: the driver has vouched for both.
            unsafe {
                scale(m, n, alpha, b);
                if alpha.is_zero() {
                    return;
                }
                let a = operation.apply(Matrix::columns(a.get(index), lda));
                let (a, b) = match from_right {
                    true => (a.transposed(), b.transposed()),
                    false => (a, b),
                };
                solve(triangle, diagonal, rows, columns, a, b, threads);
            }
        });
        Ok(())
    })
}

named! {
    /// One matrix of right sides.
    unsafe fn trsm<T: Blas, I: Index>(
        handle: Handle, side: u32, uplo: u32, trans: u32, diag: u32, m: I, n: I, alpha: *const C<T>, a: Dev, lda: I,
        b: Dev, ldb: I,
    ) -> Result {
        let call = Call::new("trsm", handle)?;
        // SAFETY: the contract of this function.
        unsafe { solutions::<T, I>(call, [side, uplo, trans, diag], (m, n), alpha, (a, lda), (b, ldb), None) }
    }
    cublasStrsm_v2, cublasStrsm_v2_64: f32;
    cublasDtrsm_v2, cublasDtrsm_v2_64: f64;
    cublasCtrsm_v2, cublasCtrsm_v2_64: c32;
    cublasZtrsm_v2, cublasZtrsm_v2_64: c64;
}

named! {
    /// Matrices at addresses in arrays.
    unsafe fn trsm_array<T: Blas, I: Index>(
        handle: Handle, side: u32, uplo: u32, trans: u32, diag: u32, m: I, n: I, alpha: *const C<T>, a: Dev, lda: I,
        b: Dev, ldb: I, count: I,
    ) -> Result {
        let call = Call::new("trsmBatched", handle)?;
        // SAFETY: the contract of this function.
        unsafe { solutions::<T, I>(call, [side, uplo, trans, diag], (m, n), alpha, (a, lda), (b, ldb), Some(count)) }
    }
    cublasStrsmBatched, cublasStrsmBatched_64: f32;
    cublasDtrsmBatched, cublasDtrsmBatched_64: f64;
    cublasCtrsmBatched, cublasCtrsmBatched_64: c32;
    cublasZtrsmBatched, cublasZtrsmBatched_64: c64;
}

named! {
    /// C = alpha op(A) B, or alpha B op(A); B may be C.
    unsafe fn trmm<T: Blas, I: Index>(
        handle: Handle, side: u32, uplo: u32, trans: u32, diag: u32, m: I, n: I, alpha: *const C<T>, a: Dev, lda: I,
        b: Dev, ldb: I, c: Dev, ldc: I,
    ) -> Result {
        let call = Call::new("trmm", handle)?;
        let from_right = args::side(side)? == Side::Right;
        let (stored, diagonal, operation) = (triangle(uplo)?, diagonal(diag)?, Operation::new(trans)?);
        let (m, n) = (size(m)?, size(n)?);
        let (rows, columns) = if from_right { (n, m) } else { (m, n) };
        let (lda, ldb, ldc) = (leading(lda, rows)?, leading(ldb, m)?, leading(ldc, m)?);
        // SAFETY: the contract of this function.
        let alpha = unsafe { Factor::<T>::any(&call, alpha)? };
        let a = Span::new(a.cast::<T>().cast_const(), alpha.needs(extent(rows, rows, lda)))?;
        let b = Span::new(b.cast::<T>().cast_const(), alpha.needs(extent(m, n, ldb)))?;
        let c = Span::new(c.cast::<T>().cast_const(), extent(m, n, ldc))?;
        let triangle = meant(stored, operation, from_right);
        call.enqueue(move |_| {
            let (b, c) = (Matrix::columns(b.pointer(), ldb), Matrix::columns(c.pointer(), ldc));
            let a = operation.apply(Matrix::columns(a.pointer(), lda));
            let (a, turned) = match from_right {
                true => (a.transposed(), c.transposed()),
                false => (a, c),
            };
            let alpha = alpha.get();
            // SAFETY: the driver has vouched for all three.
            unsafe {
                add((m, n), [(alpha, b), (T::zero(), b)], c);
                if !alpha.is_zero() {
                    multiply_triangular(triangle, diagonal, rows, columns, a, turned, Threads::Pool);
                }
            }
            Ok(())
        })
    }
    cublasStrmm_v2, cublasStrmm_v2_64: f32;
    cublasDtrmm_v2, cublasDtrmm_v2_64: f64;
    cublasCtrmm_v2, cublasCtrmm_v2_64: c32;
    cublasZtrmm_v2, cublasZtrmm_v2_64: c64;
}

named! {
    /// C = diag(x) A, or A diag(x); A may be C.
    unsafe fn dgmm<T: Blas, I: Index>(
        handle: Handle, mode: u32, m: I, n: I, a: Dev, lda: I, x: Dev, incx: I, c: Dev, ldc: I,
    ) -> Result {
        let call = Call::new("dgmm", handle)?;
        let (side, m, n) = (args::side(mode)?, size(m)?, size(n)?);
        let (lda, ldc) = (leading(lda, m)?, leading(ldc, m)?);
        let x = args::vector::<T>(x.cast(), side.of(m, n), incx)?;
        let a = Span::new(a.cast::<T>().cast_const(), extent(m, n, lda))?;
        let c = Span::new(c.cast::<T>().cast_const(), extent(m, n, ldc))?;
        call.enqueue(move |_| {
            let (a, c) = (Matrix::columns(a.pointer(), lda), Matrix::columns(c.pointer(), ldc));
            // SAFETY: the driver has vouched for all three.
            unsafe { multiply_diagonal(side, (m, n), a, x, c) };
            Ok(())
        })
    }
    cublasSdgmm, cublasSdgmm_64: f32;
    cublasDdgmm, cublasDdgmm_64: f64;
    cublasCdgmm, cublasCdgmm_64: c32;
    cublasZdgmm, cublasZdgmm_64: c64;
}

/// Copies one triangle from one form into the other.
fn repack<T: Blas, I: Index>(
    call: Call,
    uplo: u32,
    n: I,
    ap: Dev,
    (a, lda): (Dev, I),
    pack: bool,
) -> Result {
    let (triangle, n) = (triangle(uplo)?, size(n)?);
    let full = structured::<T>(a, (n, n), Form::Full(leading(lda, n)?), Meaning::General)?;
    let packed = structured::<T>(ap, (n, n), Form::Packed(triangle), Meaning::General)?;
    call.enqueue(move |_| {
        // SAFETY: the driver has vouched for both.
        unsafe {
            match pack {
                true => full.copy_triangle(triangle, &packed),
                false => packed.copy_triangle(triangle, &full),
            }
        }
        Ok(())
    })
}

named! {
    /// A packed triangle as one of a matrix.
    unsafe fn tpttr<T: Blas, I: Index>(handle: Handle, uplo: u32, n: I, ap: Dev, a: Dev, lda: I) -> Result {
        repack::<T, I>(Call::new("tpttr", handle)?, uplo, n, ap, (a, lda), false)
    }
    cublasStpttr: f32;
    cublasDtpttr: f64;
    cublasCtpttr: c32;
    cublasZtpttr: c64;
}

named! {
    /// A triangle of a matrix, packed.
    unsafe fn trttp<T: Blas, I: Index>(handle: Handle, uplo: u32, n: I, a: Dev, lda: I, ap: Dev) -> Result {
        repack::<T, I>(Call::new("trttp", handle)?, uplo, n, ap, (a, lda), true)
    }
    cublasStrttp: f32;
    cublasDtrttp: f64;
    cublasCtrttp: c32;
    cublasZtrttp: c64;
}

named! {
    /// C = alpha op(A) + beta op(B)
    unsafe fn geam<T: Blas, I: Index>(
        handle: Handle, transa: u32, transb: u32, m: I, n: I, alpha: *const C<T>, a: Dev, lda: I, beta: *const C<T>,
        b: Dev, ldb: I, c: Dev, ldc: I,
    ) -> Result {
        let call = Call::new("geam", handle)?;
        let (m, n) = (size(m)?, size(n)?);
        let ldc = leading(ldc, m)?;
        let term = |trans, factor: *const C<T>, pointer: Dev, ld| {
            let operation = Operation::new(trans)?;
            let (rows, columns) = operation.stored(m, n);
            let ld = leading(ld, rows)?;
            // SAFETY: the contract of this function.
            let factor = unsafe { Factor::<T>::any(&call, factor)? };
            let span = Span::new(pointer.cast::<T>().cast_const(), factor.needs(extent(rows, columns, ld)))?;
            Ok((factor, operation.apply(Matrix::columns(span.pointer(), ld))))
        };
        let terms: [(Factor<T>, Matrix<T>); 2] = match (term(transa, alpha, a, lda), term(transb, beta, b, ldb)) {
            (Ok(a), Ok(b)) => [a, b],
            (Err(status), _) | (_, Err(status)) => return Err(status),
        };
        let c = Span::new(c.cast::<T>().cast_const(), extent(m, n, ldc))?;
        call.enqueue(move |_| {
            let terms = terms.map(|(factor, matrix)| (factor.get(), matrix));
            // SAFETY: the driver has vouched for all three.
            unsafe { add((m, n), terms, Matrix::columns(c.pointer(), ldc)) };
            Ok(())
        })
    }
    cublasSgeam, cublasSgeam_64: f32;
    cublasDgeam, cublasDgeam_64: f64;
    cublasCgeam, cublasCgeam_64: c32;
    cublasZgeam, cublasZgeam_64: c64;
}
