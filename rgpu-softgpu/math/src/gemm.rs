//! Products of matrices.
//!
//! The products themselves are the `gemm` crate's (docs/adr/0019). What it lacks is here: elements of one type, computed
//! with another; BLAS's rules for zero scalars; batches.

use std::any::TypeId;

use rayon::prelude::*;

use crate::element::{Compute, Element};

/// A matrix: where its first element is, and how far apart the next in its column and in its row are. Transposition is
/// an exchange of these distances.
#[derive(Debug, Clone, Copy)]
pub struct Matrix<T> {
    /// The element of row 0 and column 0.
    pub pointer: *mut T,
    /// From one row to the next.
    pub row: isize,
    /// From one column to the next.
    pub column: isize,
    /// Whether the conjugates of its elements are meant.
    pub conjugate: bool,
}

// SAFETY: a pointer and numbers; whoever follows it must know that it may.
unsafe impl<T: Send> Send for Matrix<T> {}
// SAFETY: as above.
unsafe impl<T: Sync> Sync for Matrix<T> {}

impl<T> Matrix<T> {
    /// Column after column, `ld` elements apart, as BLAS has it.
    pub fn columns(pointer: *mut T, ld: usize) -> Self {
        Self {
            pointer,
            row: 1,
            column: ld as isize,
            conjugate: false,
        }
    }

    /// Row after row, `ld` elements apart.
    pub fn rows(pointer: *mut T, ld: usize) -> Self {
        Self::columns(pointer, ld).transposed()
    }

    /// The same numbers, with elements of another type.
    pub fn cast<U>(self) -> Matrix<U> {
        Matrix {
            pointer: self.pointer.cast(),
            row: self.row,
            column: self.column,
            conjugate: self.conjugate,
        }
    }

    /// With rows and columns exchanged.
    #[must_use]
    pub fn transposed(self) -> Self {
        Self {
            row: self.column,
            column: self.row,
            ..self
        }
    }

    /// With its elements' conjugates.
    #[must_use]
    pub fn conjugated(self) -> Self {
        Self {
            conjugate: !self.conjugate,
            ..self
        }
    }

    /// The matrix whose first element is at row `row` and column `column`.
    #[must_use]
    pub fn at(self, row: usize, column: usize) -> Self {
        let offset = row as isize * self.row + column as isize * self.column;
        self.moved(offset)
    }

    /// The matrix that starts `elements` further on in memory.
    #[must_use]
    pub fn moved(self, elements: isize) -> Self {
        Self {
            pointer: self.pointer.wrapping_offset(elements),
            ..self
        }
    }

    /// The element at `row` and `column`.
    ///
    /// # Safety
    /// It lies in memory that may be read.
    pub unsafe fn load<S: Compute>(self, row: usize, column: usize) -> S
    where
        T: Element<S>,
    {
        // SAFETY: the promise of this function.
        let value = unsafe { self.at(row, column).pointer.read() }.load();
        if self.conjugate { value.conj() } else { value }
    }

    /// Stores the element at `row` and `column`.
    ///
    /// # Safety
    /// It lies in memory that may be written.
    pub unsafe fn store<S: Compute>(self, row: usize, column: usize, value: S)
    where
        T: Element<S>,
    {
        let value = if self.conjugate { value.conj() } else { value };
        // SAFETY: the promise of this function.
        unsafe { self.at(row, column).pointer.write(T::store(value)) };
    }
}

/// Rows of the result, its columns, and the length of the sums.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Rows of A and C.
    pub m: usize,
    /// Columns of B and C.
    pub n: usize,
    /// Columns of A, rows of B.
    pub k: usize,
}

/// How many threads one product may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Threads {
    /// The calling one.
    One,
    /// Those of the pool that this runs in ([`crate::cpu::compute`]), if the product is large enough.
    Pool,
}

impl Threads {
    fn parallelism(self) -> gemm::Parallelism {
        match self {
            Self::One => gemm::Parallelism::None,
            Self::Pool => gemm::Parallelism::Rayon(rayon::current_num_threads()),
        }
    }
}

/// C = alpha A B + beta C, with the sums in `S`. Where beta is 0, C is not read; where alpha is 0, A and B are not.
///
/// # Safety
/// Every element of the matrices lies in memory that may be read, or for C written. C overlaps with neither A nor B.
pub unsafe fn gemm<S, A, B, C>(
    shape: Shape,
    alpha: S,
    a: Matrix<A>,
    b: Matrix<B>,
    beta: S,
    c: Matrix<C>,
    threads: Threads,
) where
    S: Compute,
    A: Element<S>,
    B: Element<S>,
    C: Element<S>,
{
    let Shape { m, n, k } = shape;
    if m == 0 || n == 0 {
        return;
    }
    if k == 0 || alpha.is_zero() {
        // SAFETY: the promise of this function.
        unsafe { scale(m, n, beta, c) };
        return;
    }
    let mut a_room = Vec::new();
    let mut b_room = Vec::new();
    // SAFETY: the promise of this function.
    let (a, b) = unsafe {
        (
            as_computed(a, m, k, &mut a_room),
            as_computed(b, k, n, &mut b_room),
        )
    };
    if let Some(c) = same::<C, S>(c) {
        // SAFETY: the promise of this function.
        unsafe { product(shape, alpha, a, b, beta, c, threads) };
        return;
    }
    // SAFETY: the promise of this function; the sums have `m` rows and `n` columns.
    unsafe {
        let mut sums = match beta.is_zero() {
            true => vec![S::zero(); m * n],
            false => gather(c, m, n),
        };
        let room = Matrix::columns(sums.as_mut_ptr(), m);
        product(shape, alpha, a, b, beta, room, threads);
        scatter(&sums, m, c);
    }
}

/// C = beta C.
///
/// # Safety
/// Every element of C lies in memory that may be read and written.
pub unsafe fn scale<S: Compute, C: Element<S>>(m: usize, n: usize, beta: S, c: Matrix<C>) {
    if beta.is_one() {
        return;
    }
    for column in 0..n {
        for row in 0..m {
            // SAFETY: the promise of this function.
            unsafe {
                let value = match beta.is_zero() {
                    true => S::zero(),
                    false => beta * c.load(row, column),
                };
                c.store(row, column, value);
            }
        }
    }
}

/// The same matrix, if its elements are of the type that is computed with.
fn same<T: Copy + 'static, S: 'static>(matrix: Matrix<T>) -> Option<Matrix<S>> {
    (TypeId::of::<T>() == TypeId::of::<S>()).then(|| matrix.cast())
}

/// The matrix with elements of the type that is computed with: itself, or a copy in `room`.
///
/// # Safety
/// Its `rows` times `columns` elements lie in memory that may be read.
unsafe fn as_computed<S: Compute, T: Element<S>>(
    matrix: Matrix<T>,
    rows: usize,
    columns: usize,
    room: &mut Vec<S>,
) -> Matrix<S> {
    if let Some(matrix) = same(matrix) {
        return matrix;
    }
    // Along memory, whichever way it lies.
    if matrix.column.unsigned_abs() < matrix.row.unsigned_abs() {
        // SAFETY: the promise of this function.
        *room = unsafe { gather(matrix.transposed(), columns, rows) };
        Matrix::rows(room.as_mut_ptr(), columns)
    } else {
        // SAFETY: the promise of this function.
        *room = unsafe { gather(matrix, rows, columns) };
        Matrix::columns(room.as_mut_ptr(), rows)
    }
}

/// The elements, column after column, as they are computed with.
///
/// # Safety
/// They lie in memory that may be read.
pub unsafe fn gather<S: Compute, T: Element<S>>(
    matrix: Matrix<T>,
    rows: usize,
    columns: usize,
) -> Vec<S> {
    let mut values = Vec::with_capacity(rows * columns);
    for column in 0..columns {
        // SAFETY: the promise of this function.
        values.extend((0..rows).map(|row| unsafe { matrix.load(row, column) }));
    }
    values
}

/// Stores the elements, which are given column after column.
///
/// # Safety
/// They lie in memory that may be written.
pub unsafe fn scatter<S: Compute, T: Element<S>>(values: &[S], rows: usize, matrix: Matrix<T>) {
    for (column, values) in values.chunks_exact(rows.max(1)).enumerate() {
        for (row, &value) in values.iter().enumerate() {
            // SAFETY: the promise of this function.
            unsafe { matrix.store(row, column, value) };
        }
    }
}

/// The product, of one type.
///
/// # Safety
/// As [`gemm()`]; the product is not empty.
unsafe fn product<S: Compute>(
    Shape { m, n, k }: Shape,
    alpha: S,
    a: Matrix<S>,
    b: Matrix<S>,
    beta: S,
    c: Matrix<S>,
    threads: Threads,
) {
    // SAFETY: the promise of this function. What the crate calls alpha is our beta.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            c.pointer,
            c.column,
            c.row,
            !beta.is_zero(),
            a.pointer,
            a.column,
            a.row,
            b.pointer,
            b.column,
            b.row,
            beta,
            alpha,
            c.conjugate,
            a.conjugate,
            b.conjugate,
            threads.parallelism(),
        );
    }
}

/// Runs `one` for every product of a batch: side by side where there are enough of them, otherwise one after another
/// with all threads for each.
pub fn batch(count: usize, one: impl Fn(usize, Threads) + Send + Sync) {
    if count >= rayon::current_num_threads() {
        (0..count)
            .into_par_iter()
            .for_each(|index| one(index, Threads::One));
    } else {
        (0..count).for_each(|index| one(index, Threads::Pool));
    }
}
