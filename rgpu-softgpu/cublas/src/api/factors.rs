//! Factors of batches of small matrices, and what is solved with them. Matrices are at addresses in arrays, pivots and what
//! went wrong in arrays of the device.

use rgpu_softgpu_math::blas::factors::{
    Equation, factor_lu, factor_qr, invert_lu, least_squares, solve_lu,
};
use rgpu_softgpu_math::element::{c32, c64};
use rgpu_softgpu_math::gemm::{Matrix, batch, gather};
use rgpu_softgpu_math::queue::Span;

use super::{Dev, Handle, put};
use crate::args::{Batch, Index, Operation, extent, leading, size};
use crate::handle::Call;
use crate::names::named;
use crate::status::{Result, Status};
use crate::types::Blas;

/// Rows that were exchanged: `n` for each of `count` matrices; none, where none are.
fn pivots(pointer: Dev, n: usize, count: usize) -> Result<Option<Span<i32>>> {
    match pointer.is_null() {
        true => Ok(None),
        false => {
            let len = n.saturating_mul(count);
            Ok(Some(Span::new(pointer.cast::<i32>().cast_const(), len)?))
        }
    }
}

/// Those of one matrix.
fn of(pivots: Option<Span<i32>>, n: usize, index: usize) -> Option<*mut i32> {
    pivots.map(|pivots| pivots.part(index * n, n).pointer())
}

/// One number for each matrix, written when it is done.
fn results(pointer: Dev, count: usize) -> Result<Span<i32>> {
    Ok(Span::new(pointer.cast::<i32>().cast_const(), count)?)
}

/// # Safety
/// Nobody else writes the number of this matrix.
unsafe fn set(results: Span<i32>, index: usize, value: i32) {
    // SAFETY: the driver has vouched for it, and the caller's promise.
    unsafe { results.part(index, 1).pointer().write(value) };
}

named! {
    /// LU factors.
    unsafe fn getrf<T: Blas, I: Index>(handle: Handle, n: I, a: Dev, lda: I, p: Dev, info: Dev, count: I) -> Result {
        let call = Call::new("getrfBatched", handle)?;
        let (n, count) = (size(n)?, size(count)?);
        let lda = leading(lda, n)?;
        let (a, info) = (Batch::<T>::array(a.cast(), count)?, results(info, count)?);
        let pivots = pivots(p, n, count)?;
        call.enqueue(move |run| {
            let a = a.resolve(run, count, extent(n, n, lda))?;
            batch(count, |index, threads| {
                // SAFETY: the driver has vouched for all of it, and every matrix has its own.
                unsafe {
                    let a = Matrix::columns(a.get(index), lda);
                    set(info, index, factor_lu(n, a, of(pivots, n, index), threads));
                }
            });
            Ok(())
        })
    }
    cublasSgetrfBatched: f32;
    cublasDgetrfBatched: f64;
    cublasCgetrfBatched: c32;
    cublasZgetrfBatched: c64;
}

named! {
    /// Inverses, from LU factors.
    unsafe fn getri<T: Blas, I: Index>(
        handle: Handle, n: I, a: Dev, lda: I, p: Dev, c: Dev, ldc: I, info: Dev, count: I,
    ) -> Result {
        let call = Call::new("getriBatched", handle)?;
        let (n, count) = (size(n)?, size(count)?);
        let (lda, ldc) = (leading(lda, n)?, leading(ldc, n)?);
        let (a, c) = (Batch::<T>::array(a.cast(), count)?, Batch::<T>::array(c.cast(), count)?);
        let (info, pivots) = (results(info, count)?, pivots(p, n, count)?);
        call.enqueue(move |run| {
            let a = a.resolve(run, count, extent(n, n, lda))?;
            let c = c.resolve(run, count, extent(n, n, ldc))?;
            batch(count, |index, threads| {
                let (a, c) = (Matrix::columns(a.get(index), lda), Matrix::columns(c.get(index), ldc));
                let pivots = of(pivots, n, index).map(<*mut i32>::cast_const);
                // SAFETY: the driver has vouched for all of it, and every matrix has its own.
                unsafe { set(info, index, invert_lu(n, a, pivots, c, threads)) };
            });
            Ok(())
        })
    }
    cublasSgetriBatched: f32;
    cublasDgetriBatched: f64;
    cublasCgetriBatched: c32;
    cublasZgetriBatched: c64;
}

named! {
    /// Inverses of matrices with at most 32 rows.
    unsafe fn matinv<T: Blas, I: Index>(
        handle: Handle, n: I, a: Dev, lda: I, inverse: Dev, ld_inverse: I, info: Dev, count: I,
    ) -> Result {
        let call = Call::new("matinvBatched", handle)?;
        let (n, count) = (size(n)?, size(count)?);
        let (lda, ldc) = (leading(lda, n)?, leading(ld_inverse, n)?);
        if n > 32 {
            return Err(Status::INVALID_VALUE);
        }
        let (a, c) = (Batch::<T>::array(a.cast(), count)?, Batch::<T>::array(inverse.cast(), count)?);
        let info = results(info, count)?;
        call.enqueue(move |run| {
            let a = a.resolve(run, count, extent(n, n, lda))?;
            let c = c.resolve(run, count, extent(n, n, ldc))?;
            batch(count, |index, threads| {
                let (a, c) = (Matrix::columns(a.get(index), lda), Matrix::columns(c.get(index), ldc));
                // SAFETY: the driver has vouched for all of it; the factors are a copy.
                unsafe {
                    let mut lu: Vec<T> = gather(a, n, n);
                    let mut pivots = vec![0; n];
                    let lu = Matrix::columns(lu.as_mut_ptr(), n);
                    let singular = match factor_lu(n, lu, Some(pivots.as_mut_ptr()), threads) {
                        0 => invert_lu(n, lu, Some(pivots.as_ptr()), c, threads),
                        singular => singular,
                    };
                    set(info, index, singular);
                }
            });
            Ok(())
        })
    }
    cublasSmatinvBatched: f32;
    cublasDmatinvBatched: f64;
    cublasCmatinvBatched: c32;
    cublasZmatinvBatched: c64;
}

/// Says which parameter is wrong, counted from 1 as in LAPACK, or that none is.
///
/// # Safety
/// `info` is null or may be written.
unsafe fn judge(info: *mut i32, parameters: &[(i32, Result)]) -> Result {
    let wrong = parameters.iter().find(|(_, result)| result.is_err());
    // SAFETY: the caller's promise.
    unsafe { put(info, wrong.map_or(0, |(number, _)| -number))? };
    wrong.map_or(Ok(()), |(_, result)| *result)
}

named! {
    /// Solutions, with LU factors.
    unsafe fn getrs<T: Blas, I: Index>(
        handle: Handle, trans: u32, n: I, columns: I, a: Dev, lda: I, p: Dev, b: Dev, ldb: I, info: *mut i32, count: I,
    ) -> Result {
        let call = Call::new("getrsBatched", handle)?;
        let operation = Operation::new(trans);
        let (rows, right, number) = (size(n), size(columns), size(count));
        let (lda, ldb) = (leading(lda, rows.unwrap_or(0)), leading(ldb, rows.unwrap_or(0)));
        let parameters = [
            (1, operation.map(|_| ())), (2, rows.map(|_| ())), (3, right.map(|_| ())), (5, lda.map(|_| ())),
            (8, ldb.map(|_| ())), (10, number.map(|_| ())),
        ];
        // SAFETY: the contract of this function.
        unsafe { judge(info, &parameters)? };
        let (n, columns, count, lda, ldb) = (rows?, right?, number?, lda?, ldb?);
        let equation = match operation? {
            Operation::None => Equation::Plain,
            Operation::Transpose => Equation::Transposed,
            Operation::Conjugate => Equation::Conjugated,
        };
        let (a, b) = (Batch::<T>::array(a.cast(), count)?, Batch::<T>::array(b.cast(), count)?);
        let pivots = pivots(p, n, count)?;
        call.enqueue(move |run| {
            let a = a.resolve(run, count, extent(n, n, lda))?;
            let b = b.resolve(run, count, extent(n, columns, ldb))?;
            batch(count, |index, threads| {
                let (a, b) = (Matrix::columns(a.get(index), lda), Matrix::columns(b.get(index), ldb));
                let pivots = of(pivots, n, index).map(<*mut i32>::cast_const);
                // SAFETY: the driver has vouched for all of it.
                unsafe { solve_lu(equation, (n, columns), a, pivots, b, threads) };
            });
            Ok(())
        })
    }
    cublasSgetrsBatched: f32;
    cublasDgetrsBatched: f64;
    cublasCgetrsBatched: c32;
    cublasZgetrsBatched: c64;
}

named! {
    /// QR factors.
    unsafe fn geqrf<T: Blas, I: Index>(
        handle: Handle, m: I, n: I, a: Dev, lda: I, tau: Dev, info: *mut i32, count: I,
    ) -> Result {
        let call = Call::new("geqrfBatched", handle)?;
        let (rows, columns, number) = (size(m), size(n), size(count));
        let lda = leading(lda, rows.unwrap_or(0));
        let parameters = [
            (1, rows.map(|_| ())), (2, columns.map(|_| ())), (4, lda.map(|_| ())), (7, number.map(|_| ())),
        ];
        // SAFETY: the contract of this function.
        unsafe { judge(info, &parameters)? };
        let (m, n, lda, count) = (rows?, columns?, lda?, number?);
        let (a, tau) = (Batch::<T>::array(a.cast(), count)?, Batch::<T>::array(tau.cast(), count)?);
        call.enqueue(move |run| {
            let a = a.resolve(run, count, extent(m, n, lda))?;
            let tau = tau.resolve(run, count, m.min(n))?;
            batch(count, |index, _| {
                // SAFETY: the driver has vouched for both.
                unsafe { factor_qr((m, n), Matrix::columns(a.get(index), lda), tau.get(index)) };
            });
            Ok(())
        })
    }
    cublasSgeqrfBatched: f32;
    cublasDgeqrfBatched: f64;
    cublasCgeqrfBatched: c32;
    cublasZgeqrfBatched: c64;
}

named! {
    /// Least squares, of matrices with at least as many rows as columns.
    unsafe fn gels<T: Blas, I: Index>(
        handle: Handle, trans: u32, m: I, n: I, columns: I, a: Dev, lda: I, c: Dev, ldc: I, info: *mut i32,
        results_at: Dev, count: I,
    ) -> Result {
        let call = Call::new("gelsBatched", handle)?;
        let operation = Operation::new(trans);
        let (rows, width, right, number) = (size(m), size(n), size(columns), size(count));
        let (lda, ldc) = (leading(lda, rows.unwrap_or(0)), leading(ldc, rows.unwrap_or(0)));
        let parameters = [
            (1, operation.map(|_| ())), (2, rows.map(|_| ())), (3, width.map(|_| ())), (4, right.map(|_| ())),
            (6, lda.map(|_| ())), (8, ldc.map(|_| ())), (11, number.map(|_| ())),
        ];
        // SAFETY: the contract of this function.
        unsafe { judge(info, &parameters)? };
        let (m, n, columns, count, lda, ldc) = (rows?, width?, right?, number?, lda?, ldc?);
        if operation? != Operation::None || m < n {
            return Err(Status::NOT_SUPPORTED);
        }
        let (a, c) = (Batch::<T>::array(a.cast(), count)?, Batch::<T>::array(c.cast(), count)?);
        let results = match results_at.is_null() {
            true => None,
            false => Some(results(results_at, count)?),
        };
        call.enqueue(move |run| {
            let a = a.resolve(run, count, extent(m, n, lda))?;
            let c = c.resolve(run, count, extent(m, columns, ldc))?;
            batch(count, |index, threads| {
                let (a, c) = (Matrix::columns(a.get(index), lda), Matrix::columns(c.get(index), ldc));
                // SAFETY: the driver has vouched for all of it, and every matrix has its own.
                unsafe {
                    let singular = least_squares((m, n, columns), a, c, threads);
                    if let Some(results) = results {
                        set(results, index, singular);
                    }
                }
            });
            Ok(())
        })
    }
    cublasSgelsBatched: f32;
    cublasDgelsBatched: f64;
    cublasCgelsBatched: c32;
    cublasZgelsBatched: c64;
}
