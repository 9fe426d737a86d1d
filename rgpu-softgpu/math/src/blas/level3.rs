//! Level 3 of BLAS beside the products of general matrices.

use super::{Diagonal, Triangle};
use crate::element::Compute;
use crate::gemm::{Matrix, Shape, Threads, gather, gemm, scatter};

/// Solves A X = B, where A is triangular with `n` rows and B has `columns`; X replaces B.
///
/// # Safety
/// Both matrices lie in memory that may be read and, for B, written. This holds for all functions of this module.
pub unsafe fn solve<T: Compute>(
    triangle: Triangle,
    diagonal: Diagonal,
    n: usize,
    columns: usize,
    a: Matrix<T>,
    b: Matrix<T>,
    threads: Threads,
) {
    const SMALL: usize = 32;
    // SAFETY: the caller's promise, of parts of the same matrices.
    unsafe {
        if n <= SMALL {
            return solve_small(triangle, diagonal, n, columns, a, b);
        }
        let half = n / 2;
        let parts = [(0, half), (half, n - half)];
        let (first, second) = match triangle {
            Triangle::Lower => (parts[0], parts[1]),
            Triangle::Upper => (parts[1], parts[0]),
        };
        let part = |(at, size): (usize, usize)| {
            solve(
                triangle,
                diagonal,
                size,
                columns,
                a.at(at, at),
                b.at(at, 0),
                threads,
            );
        };
        part(first);
        let shape = Shape {
            m: second.1,
            n: columns,
            k: first.1,
        };
        let (left, right) = (a.at(second.0, first.0), b.at(first.0, 0));
        gemm(
            shape,
            -T::one(),
            left,
            right,
            T::one(),
            b.at(second.0, 0),
            threads,
        );
        part(second);
    }
}

/// # Safety
/// As [`solve`].
unsafe fn solve_small<T: Compute>(
    triangle: Triangle,
    diagonal: Diagonal,
    n: usize,
    columns: usize,
    a: Matrix<T>,
    b: Matrix<T>,
) {
    // SAFETY: the caller's promise.
    unsafe {
        let a: Vec<T> = gather(a, n, n);
        for column in 0..columns {
            for step in 0..n {
                let (row, known) = match triangle {
                    Triangle::Lower => (step, 0..step),
                    Triangle::Upper => (n - 1 - step, n - step..n),
                };
                let mut value: T = b.load(row, column);
                for other in known {
                    value -= a[other * n + row] * b.load(other, column);
                }
                if diagonal == Diagonal::Stored {
                    value /= a[row * n + row];
                }
                b.store(row, column, value);
            }
        }
    }
}

/// C = alpha A + beta B, which may both be C. What has a factor of 0 is not read.
///
/// # Safety
/// As [`solve`].
pub unsafe fn add<T: Compute>((m, n): (usize, usize), terms: [(T, Matrix<T>); 2], c: Matrix<T>) {
    let mut sums = vec![T::zero(); m * n];
    // SAFETY: the caller's promise.
    unsafe {
        for (factor, matrix) in terms.into_iter().filter(|(factor, _)| !factor.is_zero()) {
            let values: Vec<T> = gather(matrix, m, n);
            sums.iter_mut()
                .zip(values)
                .for_each(|(sum, value)| *sum += factor * value);
        }
        scatter(&sums, m, c);
    }
}
