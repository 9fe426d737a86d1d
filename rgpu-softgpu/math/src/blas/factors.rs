//! Factors of matrices, and what is solved with them, as in LAPACK.

use num_traits::Float;

use super::level3::solve;
use super::{Diagonal, Triangle};
use crate::element::Compute;
use crate::gemm::{Matrix, Shape, Threads, gemm};

/// LU factors in the place of a matrix with `n` rows and columns. Into `pivots` go the rows that were exchanged, counted
/// from 1; without it none are. The result is the number of the first pivot that is 0, or 0.
///
/// # Safety
/// The matrix, the pivots, and in the other functions all matrices and arrays, lie in memory that may be read and
/// written.
pub unsafe fn factor_lu<T: Compute>(
    n: usize,
    a: Matrix<T>,
    pivots: Option<*mut i32>,
    threads: Threads,
) -> i32 {
    let mut panel = Panel {
        matrix: a,
        rows: n,
        columns: n,
        pivots,
        singular: 0,
        threads,
    };
    // SAFETY: the caller's promise.
    unsafe { panel.factor(0, n) };
    panel.singular
}

/// A matrix whose columns are being factored.
struct Panel<T> {
    matrix: Matrix<T>,
    rows: usize,
    columns: usize,
    pivots: Option<*mut i32>,
    /// The number of the first pivot that was 0, or 0.
    singular: i32,
    threads: Threads,
}

impl<T: Compute> Panel<T> {
    /// Factors `count` columns, those before `from` being done; the rows that change places do so in all columns.
    ///
    /// # Safety
    /// The matrix and the pivots lie in memory that may be written.
    unsafe fn factor(&mut self, from: usize, count: usize) {
        const SMALL: usize = 8;
        // SAFETY: the caller's promise.
        unsafe {
            if count <= SMALL {
                (from..from + count).for_each(|step| self.step(step, from + count));
                return;
            }
            let left = count / 2;
            let (middle, end) = (from + left, from + count);
            self.factor(from, left);
            let (a, threads) = (self.matrix, self.threads);
            let right = end - middle;
            let (lower, unit) = (Triangle::Lower, Diagonal::Unit);
            let above = a.at(from, middle);
            solve(lower, unit, left, right, a.at(from, from), above, threads);
            let shape = Shape {
                m: self.rows - middle,
                n: right,
                k: left,
            };
            let (below, rest) = (a.at(middle, from), a.at(middle, middle));
            gemm(shape, -T::one(), below, above, T::one(), rest, threads);
            self.factor(middle, right);
        }
    }

    /// One column, and what follows from it for the columns up to `end`.
    ///
    /// # Safety
    /// As [`Self::factor`].
    unsafe fn step(&mut self, step: usize, end: usize) {
        let a = self.matrix;
        // SAFETY: the caller's promise.
        unsafe {
            if let Some(pivots) = self.pivots {
                let size = |row| a.load::<T>(row, step).size();
                let best = (step + 1..self.rows).fold(step, |best, row| {
                    if size(row) > size(best) { row } else { best }
                });
                pivots.add(step).write(best as i32 + 1);
                exchange(a, self.columns, step, best);
            }
            let pivot: T = a.load(step, step);
            if pivot.is_zero() {
                if self.singular == 0 {
                    self.singular = step as i32 + 1;
                }
                return;
            }
            for row in step + 1..self.rows {
                let factor = a.load::<T>(row, step) / pivot;
                a.store(row, step, factor);
                for column in step + 1..end {
                    let change = factor * a.load::<T>(step, column);
                    a.store(row, column, a.load::<T>(row, column) - change);
                }
            }
        }
    }
}

/// # Safety
/// The matrix lies in memory that may be written.
unsafe fn exchange<T: Compute>(matrix: Matrix<T>, columns: usize, one: usize, other: usize) {
    if one == other {
        return;
    }
    for column in 0..columns {
        // SAFETY: the caller's promise.
        unsafe {
            let (x, y): (T, T) = (matrix.load(one, column), matrix.load(other, column));
            matrix.store(one, column, y);
            matrix.store(other, column, x);
        }
    }
}

/// Which matrix an equation has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Equation {
    /// A X = B
    Plain,
    /// With A transposed.
    Transposed,
    /// With A transposed and conjugated.
    Conjugated,
}

/// Solves an equation with the factors of [`factor_lu`]; X replaces B, which has `columns`.
///
/// # Safety
/// As [`factor_lu`].
pub unsafe fn solve_lu<T: Compute>(
    equation: Equation,
    (n, columns): (usize, usize),
    lu: Matrix<T>,
    pivots: Option<*const i32>,
    b: Matrix<T>,
    threads: Threads,
) {
    let row = |step: usize| {
        let Some(pivots) = pivots else { return };
        // SAFETY: the caller's promise. Pivots that are not row numbers exchange nothing.
        unsafe {
            let other = usize::try_from(i64::from(pivots.add(step).read()) - 1);
            let other = other.ok().filter(|other| *other < n).unwrap_or(step);
            exchange(b, columns, step, other);
        }
    };
    let part = |triangle, diagonal, matrix| {
        // SAFETY: the caller's promise.
        unsafe { solve(triangle, diagonal, n, columns, matrix, b, threads) };
    };
    let (lower, upper) = (Triangle::Lower, Triangle::Upper);
    let transposed = match equation {
        Equation::Plain => {
            (0..n).for_each(row);
            part(lower, Diagonal::Unit, lu);
            part(upper, Diagonal::Stored, lu);
            return;
        }
        Equation::Transposed => lu.transposed(),
        Equation::Conjugated => lu.transposed().conjugated(),
    };
    part(lower, Diagonal::Stored, transposed);
    part(upper, Diagonal::Unit, transposed);
    (0..n).rev().for_each(row);
}

/// The inverse, from the factors of [`factor_lu`]. The result is the number of the first pivot that is 0, or 0.
///
/// # Safety
/// As [`factor_lu`].
pub unsafe fn invert_lu<T: Compute>(
    n: usize,
    lu: Matrix<T>,
    pivots: Option<*const i32>,
    inverse: Matrix<T>,
    threads: Threads,
) -> i32 {
    // SAFETY: the caller's promise.
    unsafe {
        if let Some(step) = zero_on_diagonal(n, lu) {
            return step;
        }
        for column in 0..n {
            for row in 0..n {
                let one = row == column;
                inverse.store(row, column, if one { T::one() } else { T::zero() });
            }
        }
        solve_lu(Equation::Plain, (n, n), lu, pivots, inverse, threads);
    }
    0
}

/// The number of the first element of the diagonal that is 0, counted from 1.
///
/// # Safety
/// The matrix lies in memory that may be read.
unsafe fn zero_on_diagonal<T: Compute>(n: usize, matrix: Matrix<T>) -> Option<i32> {
    // SAFETY: the caller's promise.
    let zero = |step: &usize| unsafe { matrix.load::<T>(*step, *step) }.is_zero();
    (0..n).find(zero).map(|step| step as i32 + 1)
}

/// QR factors in the place of a matrix with `m` rows and `n` columns: R, and below it the reflections, whose factors go
/// into `tau`, as many as the smaller of both.
///
/// # Safety
/// As [`factor_lu`].
pub unsafe fn factor_qr<T: Compute>((m, n): (usize, usize), a: Matrix<T>, tau: *mut T) {
    for step in 0..m.min(n) {
        // SAFETY: the caller's promise.
        unsafe {
            let factor = reflect(m - step, a.at(step, step));
            tau.add(step).write(factor);
            for column in step + 1..n {
                mirror(
                    m - step,
                    factor.conj(),
                    a.at(step, step),
                    a.at(step, column),
                );
            }
        }
    }
}

/// The reflection that leaves only the first element of a column, in its place: the vector, whose first element is 1,
/// where what is left is stored. The result is its factor.
///
/// # Safety
/// As [`factor_lu`].
unsafe fn reflect<T: Compute>(len: usize, column: Matrix<T>) -> T {
    let zero = T::Real::default();
    // SAFETY: the caller's promise.
    unsafe {
        let size = |row| column.load::<T>(row, 0).modulus();
        let rest = (1..len).fold(zero, |norm: T::Real, row| norm.hypot(size(row)));
        let first: T = column.load(0, 0);
        if rest == zero && first.im() == zero {
            return T::zero();
        }
        let left = T::of_real(-first.modulus().hypot(rest).copysign(first.re()));
        for row in 1..len {
            column.store(row, 0, column.load::<T>(row, 0) / (first - left));
        }
        column.store(0, 0, left);
        (left - first) / left
    }
}

/// Applies the reflection with `vector` (whose first element is 1) and `factor` to a column.
///
/// # Safety
/// As [`factor_lu`].
unsafe fn mirror<T: Compute>(len: usize, factor: T, vector: Matrix<T>, column: Matrix<T>) {
    let vector = |row: usize| match row {
        0 => T::one(),
        // SAFETY: the caller's promise.
        row => unsafe { vector.load(row, 0) },
    };
    // SAFETY: the caller's promise.
    unsafe {
        let sum = (0..len).fold(T::zero(), |sum, row| {
            sum + vector(row).conj() * column.load::<T>(row, 0)
        });
        for row in 0..len {
            let value = column.load::<T>(row, 0) - factor * sum * vector(row);
            column.store(row, 0, value);
        }
    }
}

/// The X that brings A X nearest to C, of a matrix with at least as many rows as columns. X replaces the first rows of C,
/// the QR factors A. The result is the number of the first element of R's diagonal that is 0, or 0.
///
/// # Safety
/// As [`factor_lu`].
pub unsafe fn least_squares<T: Compute>(
    (m, n, columns): (usize, usize, usize),
    a: Matrix<T>,
    c: Matrix<T>,
    threads: Threads,
) -> i32 {
    let mut tau = vec![T::zero(); n];
    // SAFETY: the caller's promise; there are `n` factors, no more than rows.
    unsafe {
        factor_qr((m, n), a, tau.as_mut_ptr());
        for column in 0..columns {
            for (step, factor) in tau.iter().enumerate() {
                mirror(
                    m - step,
                    factor.conj(),
                    a.at(step, step),
                    c.at(step, column),
                );
            }
        }
        if let Some(step) = zero_on_diagonal(n, a) {
            return step;
        }
        let (upper, stored) = (Triangle::Upper, Diagonal::Stored);
        solve(upper, stored, n, columns, a, c, threads);
    }
    0
}
