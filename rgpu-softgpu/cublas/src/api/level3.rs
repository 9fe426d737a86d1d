//! Solutions with triangular matrices, and sums of matrices.

use rgpu_softgpu_math::blas::level3::{add, solve};
use rgpu_softgpu_math::element::{c32, c64};
use rgpu_softgpu_math::gemm::{Matrix, batch, scale};
use rgpu_softgpu_math::queue::{Scalar, Span};

use super::{Dev, Handle};
use crate::args::{Batch, Index, Operation, diagonal, extent, leading, size, triangle};
use crate::handle::Call;
use crate::names::named;
use crate::status::{Result, Status};
use crate::types::{Blas, C};

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
    let from_right = match side {
        0 => false,
        1 => true,
        _ => return Err(Status::INVALID_VALUE),
    };
    let (stored, diagonal, operation) = (triangle(uplo)?, diagonal(diag)?, Operation::new(trans)?);
    let (m, n) = (size(m)?, size(n)?);
    let (rows, columns) = if from_right { (n, m) } else { (m, n) };
    let (lda, ldb) = (leading(lda, rows)?, leading(ldb, m)?);
    // SAFETY: the caller's promise.
    let alpha = unsafe { call.scalar(alpha.cast::<T>())? };
    let number = count.map_or(Ok(1), size)?;
    if m == 0 || n == 0 || number == 0 {
        return Ok(());
    }
    let extents = [needed(&alpha, extent(rows, rows, lda)), extent(m, n, ldb)];
    let places = |pointer: Dev, extent| match count {
        None => Batch::<T>::strided(pointer.cast(), extent, 0, 1),
        Some(_) => Batch::array(pointer.cast(), number),
    };
    let (a, b) = (places(a, extents[0])?, places(b, extents[1])?);
    // X op(A) = B is op(A)' X' = B'.
    let triangle = match operation.transposes() == from_right {
        true => stored,
        false => stored.other(),
    };
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

/// How many elements of a matrix must be there: none where its factor is known to be 0.
fn needed<T: Blas>(factor: &Scalar<T>, extent: usize) -> usize {
    match factor {
        Scalar::Known(factor) if factor.is_zero() => 0,
        _ => extent,
    }
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
            let factor = unsafe { call.scalar(factor.cast::<T>())? };
            let span = Span::new(pointer.cast::<T>().cast_const(), needed(&factor, extent(rows, columns, ld)))?;
            Ok((factor, operation.apply(Matrix::columns(span.pointer(), ld))))
        };
        let terms: [(Scalar<T>, Matrix<T>); 2] = match (term(transa, alpha, a, lda), term(transb, beta, b, ldb)) {
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
