//! Matrices of which only a part is stored: bands, packed triangles, symmetric, Hermitian and triangular ones; and what
//! level 2 of BLAS does with them.

use super::vector::Vector;
use super::{Diagonal, Triangle};
use crate::element::Compute;

/// Where elements lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Column after column, so many elements apart.
    Full(usize),
    /// Diagonals as rows, columns so many elements apart; so many diagonals below and above the main one.
    Band(usize, usize, usize),
    /// The columns of a triangle, one after the other.
    Packed(Triangle),
}

/// What is meant by the elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// They are all.
    General,
    /// The others are their mirror images.
    Symmetric(Triangle),
    /// The others are the conjugates of their mirror images.
    Hermitian(Triangle),
    /// The others are zero.
    Triangular(Triangle, Diagonal),
}

/// A matrix that is stored in part.
#[derive(Debug, Clone, Copy)]
pub struct Structured<T> {
    /// Where it starts.
    pub pointer: *mut T,
    /// How many rows it has.
    pub rows: usize,
    /// How many columns.
    pub columns: usize,
    /// Where elements lie.
    pub form: Form,
    /// What is meant by them.
    pub meaning: Meaning,
    /// Whether rows and columns are exchanged.
    pub transposed: bool,
    /// Whether the conjugates are meant.
    pub conjugate: bool,
}

// SAFETY: a pointer and numbers; whoever follows it must know that it may.
unsafe impl<T: Send> Send for Structured<T> {}
// SAFETY: as above.
unsafe impl<T: Sync> Sync for Structured<T> {}

impl<T: Compute> Structured<T> {
    /// Where the stored element of `row` and `column` lies.
    fn offset(&self, row: usize, column: usize) -> usize {
        match self.form {
            Form::Full(ld) => column * ld + row,
            Form::Band(ld, _, above) => column * ld + above + row - column,
            Form::Packed(Triangle::Upper) => column * (column + 1) / 2 + row,
            Form::Packed(Triangle::Lower) => column * (2 * self.rows - column - 1) / 2 + row,
        }
    }

    fn in_band(&self, row: usize, column: usize) -> bool {
        match self.form {
            Form::Band(_, below, above) => row <= column + below && column <= row + above,
            Form::Full(_) | Form::Packed(_) => true,
        }
    }

    /// Where an element is stored that is.
    fn place(&self, row: usize, column: usize) -> *mut T {
        self.pointer.wrapping_add(self.offset(row, column))
    }

    /// An element of the matrix that is meant.
    ///
    /// # Safety
    /// What is stored lies in memory that may be read.
    unsafe fn get(&self, row: usize, column: usize) -> T {
        let (row, column) = match self.transposed {
            true => (column, row),
            false => (row, column),
        };
        let stored = |row, column| match self.in_band(row, column) {
            // SAFETY: the caller's promise.
            true => unsafe { self.place(row, column).read() },
            false => T::zero(),
        };
        let mirrored = |triangle: Triangle| !triangle.has(row, column);
        let value = match self.meaning {
            Meaning::General => stored(row, column),
            Meaning::Symmetric(triangle) if mirrored(triangle) => stored(column, row),
            Meaning::Symmetric(_) => stored(row, column),
            Meaning::Hermitian(_) if row == column => T::of_real(stored(row, column).re()),
            Meaning::Hermitian(triangle) if mirrored(triangle) => stored(column, row).conj(),
            Meaning::Hermitian(_) => stored(row, column),
            Meaning::Triangular(triangle, _) if mirrored(triangle) => T::zero(),
            Meaning::Triangular(_, Diagonal::Unit) if row == column => T::one(),
            Meaning::Triangular(..) => stored(row, column),
        };
        if self.conjugate { value.conj() } else { value }
    }

    /// All of it, column after column.
    ///
    /// # Safety
    /// What is stored lies in memory that may be read.
    pub unsafe fn expand(&self) -> Vec<T> {
        let (rows, columns) = self.size();
        let elements = (0..columns).flat_map(|column| (0..rows).map(move |row| (row, column)));
        // SAFETY: the caller's promise.
        elements
            .map(|(row, column)| unsafe { self.get(row, column) })
            .collect()
    }

    /// Stores what is stored of it in another form: one triangle.
    ///
    /// # Safety
    /// Both lie in memory that may be read and, for the other, written.
    pub unsafe fn copy_triangle(&self, triangle: Triangle, other: &Self) {
        for column in 0..self.columns {
            for row in triangle.rows_of(column, self.rows) {
                // SAFETY: the caller's promise.
                unsafe {
                    other
                        .place(row, column)
                        .write(self.place(row, column).read())
                };
            }
        }
    }

    /// Rows and columns of what is meant.
    fn size(&self) -> (usize, usize) {
        match self.transposed {
            true => (self.columns, self.rows),
            false => (self.rows, self.columns),
        }
    }

    /// The columns in which a row may have anything.
    fn columns_of(&self, row: usize) -> std::ops::Range<usize> {
        let (_, columns) = self.size();
        let (left, right) = match self.form {
            Form::Band(_, below, above) if self.transposed => (above, below),
            Form::Band(_, below, above) => (below, above),
            Form::Full(_) | Form::Packed(_) => return 0..columns,
        };
        let wide = match self.meaning {
            Meaning::Symmetric(_) | Meaning::Hermitian(_) => (left.max(right), left.max(right)),
            Meaning::General | Meaning::Triangular(..) => (left, right),
        };
        row.saturating_sub(wide.0)..columns.min(row + wide.1 + 1)
    }

    /// y = alpha A x + beta y. Where beta is 0, y is not read.
    ///
    /// # Safety
    /// Matrix and vectors lie in memory that may be read and, for y, written.
    pub unsafe fn multiply(&self, alpha: T, x: Vector<T>, beta: T, y: Vector<T>) {
        for row in 0..self.size().0 {
            // SAFETY: the caller's promise.
            unsafe {
                let old = match beta.is_zero() {
                    true => T::zero(),
                    false => beta * y.load(row),
                };
                let sum = match alpha.is_zero() {
                    true => T::zero(),
                    false => self.product_of(row, |column| x.load(column)),
                };
                y.store(row, alpha * sum + old);
            }
        }
    }

    /// # Safety
    /// The matrix lies in memory that may be read.
    unsafe fn product_of(&self, row: usize, x: impl Fn(usize) -> T) -> T {
        // SAFETY: the caller's promise.
        let term = |column| unsafe { self.get(row, column) } * x(column);
        self.columns_of(row)
            .map(term)
            .fold(T::zero(), |sum, term| sum + term)
    }

    /// x = A x, of a triangular matrix.
    ///
    /// # Safety
    /// As [`Self::multiply`].
    pub unsafe fn multiply_in_place(&self, x: Vector<T>) {
        // SAFETY: the caller's promise.
        unsafe {
            let old: Vec<T> = (0..self.rows).map(|index| x.load(index)).collect();
            for row in 0..self.rows {
                x.store(row, self.product_of(row, |column| old[column]));
            }
        }
    }

    /// Solves A x = b, of a triangular matrix; x comes in as b.
    ///
    /// # Safety
    /// As [`Self::multiply`].
    pub unsafe fn solve(&self, x: Vector<T>) {
        let Meaning::Triangular(triangle, diagonal) = self.meaning else {
            return;
        };
        let lower = (triangle == Triangle::Lower) != self.transposed;
        for step in 0..self.rows {
            let row = if lower { step } else { self.rows - 1 - step };
            // SAFETY: the caller's promise.
            unsafe {
                let mut value: T = x.load(row);
                for column in self.columns_of(row) {
                    let known = if lower { column < row } else { column > row };
                    if known {
                        value -= self.get(row, column) * x.load(column);
                    }
                }
                if diagonal == Diagonal::Stored {
                    value /= self.get(row, row);
                }
                x.store(row, value);
            }
        }
    }

    /// The stored triangle of A = A + alpha x x*, or of A + alpha x y* + conj(alpha) y x*; of a symmetric matrix without
    /// the conjugates.
    ///
    /// # Safety
    /// As [`Self::multiply`], and the matrix may be written.
    pub unsafe fn update(&self, alpha: T, x: Vector<T>, y: Option<Vector<T>>) {
        let (triangle, hermitian) = match self.meaning {
            Meaning::Symmetric(triangle) => (triangle, false),
            Meaning::Hermitian(triangle) => (triangle, true),
            Meaning::General | Meaning::Triangular(..) => return,
        };
        let star = |value: T| if hermitian { value.conj() } else { value };
        for column in 0..self.columns {
            // SAFETY: the caller's promise, of all that follows.
            unsafe {
                let right = star(y.unwrap_or(x).load::<T>(column)) * alpha;
                let mirrored = star(alpha * x.load::<T>(column));
                for row in triangle.rows_of(column, self.rows) {
                    let mut value = self.place(row, column).read() + x.load::<T>(row) * right;
                    if let Some(y) = y {
                        value += y.load::<T>(row) * mirrored;
                    }
                    if hermitian && row == column {
                        value = T::of_real(value.re());
                    }
                    self.place(row, column).write(value);
                }
            }
        }
    }
}
