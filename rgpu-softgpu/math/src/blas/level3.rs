//! Level 3 of BLAS beside the products of general matrices.

use super::structured::Structured;
use super::vector::Vector;
use super::{Diagonal, Side, Triangle};
use crate::element::Compute;
use crate::gemm::{Matrix, Shape, Threads, gather, gemm, scatter};

/// What is left after this many rows is done at once.
const SMALL: usize = 32;

/// The two parts that `n` rows are split into, the first and the rest: where each starts, and how many rows it has.
fn halves(n: usize) -> [(usize, usize); 2] {
    [(0, n / 2), (n / 2, n - n / 2)]
}

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
    // SAFETY: the caller's promise, of parts of the same matrices.
    unsafe {
        if n <= SMALL {
            return solve_small(triangle, diagonal, n, columns, a, b);
        }
        let parts = halves(n);
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

/// B = A B, where A is triangular with `n` rows and B has `columns`.
///
/// # Safety
/// As [`solve`].
pub unsafe fn multiply_triangular<T: Compute>(
    triangle: Triangle,
    diagonal: Diagonal,
    n: usize,
    columns: usize,
    a: Matrix<T>,
    b: Matrix<T>,
    threads: Threads,
) {
    let shape = |m, k| Shape { m, n: columns, k };
    // SAFETY: the caller's promise, of parts of the same matrices.
    unsafe {
        if n <= SMALL {
            let mut filled: Vec<T> = gather(a, n, n);
            for column in 0..n {
                for row in 0..n {
                    let place = &mut filled[column * n + row];
                    if !triangle.has(row, column) {
                        *place = T::zero();
                    } else if row == column && diagonal == Diagonal::Unit {
                        *place = T::one();
                    }
                }
            }
            let mut copy: Vec<T> = gather(b, n, columns);
            let filled = Matrix::columns(filled.as_mut_ptr(), n);
            let copy = Matrix::columns(copy.as_mut_ptr(), n);
            let (one, zero) = (T::one(), T::zero());
            return gemm(shape(n, n), one, filled, copy, zero, b, threads);
        }
        // What the other part still needs comes last.
        let (first, second) = match (triangle, halves(n)) {
            (Triangle::Lower, [top, bottom]) => (bottom, top),
            (Triangle::Upper, [top, bottom]) => (top, bottom),
        };
        let part = |(at, size): (usize, usize)| {
            let (a, b) = (a.at(at, at), b.at(at, 0));
            multiply_triangular(triangle, diagonal, size, columns, a, b, threads);
        };
        part(first);
        let (left, right) = (a.at(first.0, second.0), b.at(second.0, 0));
        let sums = b.at(first.0, 0);
        let one = T::one();
        gemm(
            shape(first.1, second.1),
            one,
            left,
            right,
            one,
            sums,
            threads,
        );
        part(second);
    }
}

/// C = alpha A B + beta C, or with B A, where A is structured; B and C have `m` rows and `n` columns.
///
/// # Safety
/// All matrices lie in memory that may be read and, for C, written. C overlaps with neither A nor B.
#[expect(clippy::too_many_arguments, reason = "they are those of BLAS")]
pub unsafe fn multiply_structured<T: Compute>(
    side: Side,
    (m, n): (usize, usize),
    alpha: T,
    a: &Structured<T>,
    b: Matrix<T>,
    beta: T,
    c: Matrix<T>,
    threads: Threads,
) {
    let k = side.of(m, n);
    // SAFETY: the caller's promise; where alpha is 0, A is not read.
    unsafe {
        let mut filled = match alpha.is_zero() {
            true => Vec::new(),
            false => a.expand(),
        };
        let filled = Matrix::columns(filled.as_mut_ptr(), k);
        let (left, right) = match side {
            Side::Left => (filled, b),
            Side::Right => (b, filled),
        };
        gemm(Shape { m, n, k }, alpha, left, right, beta, c, threads);
    }
}

/// One triangle of C = alpha A B* + beta C, or of alpha A B* + conj(alpha) B A* + beta C; of a symmetric matrix without
/// the conjugates.
#[derive(Debug, Clone, Copy)]
pub struct Update<T> {
    /// The triangle of C that is changed.
    pub triangle: Triangle,
    /// Whether C is Hermitian: then its diagonal is real.
    pub hermitian: bool,
    /// Whether the mirror image of the product is added.
    pub twice: bool,
    /// Factor of the product.
    pub alpha: T,
    /// Factor of C.
    pub beta: T,
}

impl<T: Compute> Update<T> {
    fn star(&self, matrix: Matrix<T>) -> Matrix<T> {
        match self.hermitian {
            true => matrix.transposed().conjugated(),
            false => matrix.transposed(),
        }
    }

    /// The products of the rows of A and B, `m` and `n` of them; without a triangle.
    ///
    /// # Safety
    /// As [`Self::apply`].
    unsafe fn block(
        &self,
        shape: Shape,
        [a_rows, b_rows]: [Matrix<T>; 2],
        [a_columns, b_columns]: [Matrix<T>; 2],
        beta: T,
        c: Matrix<T>,
        threads: Threads,
    ) {
        // SAFETY: the caller's promise.
        unsafe {
            gemm(
                shape,
                self.alpha,
                a_rows,
                self.star(b_columns),
                beta,
                c,
                threads,
            );
            if self.twice {
                let alpha = match self.hermitian {
                    true => self.alpha.conj(),
                    false => self.alpha,
                };
                gemm(
                    shape,
                    alpha,
                    b_rows,
                    self.star(a_columns),
                    T::one(),
                    c,
                    threads,
                );
            }
        }
    }

    /// A and B have `n` rows and `k` columns, C has `n` rows and columns.
    ///
    /// # Safety
    /// As [`multiply_structured`].
    pub unsafe fn apply(
        self,
        (n, k): (usize, usize),
        a: Matrix<T>,
        b: Matrix<T>,
        c: Matrix<T>,
        threads: Threads,
    ) {
        let shape = |m, n| Shape { m, n, k };
        // SAFETY: the caller's promise, of parts of the same matrices.
        unsafe {
            if n <= SMALL {
                let mut sums = vec![T::zero(); n * n];
                let room = Matrix::columns(sums.as_mut_ptr(), n);
                self.block(shape(n, n), [a, b], [a, b], T::zero(), room, threads);
                for column in 0..n {
                    for row in self.triangle.rows_of(column, n) {
                        let mut value = sums[column * n + row];
                        if !self.beta.is_zero() {
                            value += self.beta * c.load::<T>(row, column);
                        }
                        if self.hermitian && row == column {
                            value = T::of_real(value.re());
                        }
                        c.store(row, column, value);
                    }
                }
                return;
            }
            let parts = halves(n);
            for (at, size) in parts {
                let (a, b) = (a.at(at, 0), b.at(at, 0));
                self.apply((size, k), a, b, c.at(at, at), threads);
            }
            let (rows, columns) = match self.triangle {
                Triangle::Lower => (parts[1], parts[0]),
                Triangle::Upper => (parts[0], parts[1]),
            };
            let at = |(at, _): (usize, usize)| [a.at(at, 0), b.at(at, 0)];
            let (shape, corner) = (shape(rows.1, columns.1), c.at(rows.0, columns.0));
            self.block(shape, at(rows), at(columns), self.beta, corner, threads);
        }
    }
}

/// C = A with its rows (from the left) or columns (from the right) multiplied by the elements of x.
///
/// # Safety
/// As [`solve`]; A may be C.
pub unsafe fn multiply_diagonal<T: Compute>(
    side: Side,
    (m, n): (usize, usize),
    a: Matrix<T>,
    x: Vector<T>,
    c: Matrix<T>,
) {
    for column in 0..n {
        for row in 0..m {
            let index = if side == Side::Left { row } else { column };
            // SAFETY: the caller's promise.
            unsafe {
                let value = a.load::<T>(row, column) * x.load::<T>(index);
                c.store(row, column, value);
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
