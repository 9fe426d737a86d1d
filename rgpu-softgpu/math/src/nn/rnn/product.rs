//! Products of matrices in slices, by the crate's own [`gemm()`].

use super::Number;
use crate::gemm::{Matrix, Shape, Threads, gemm};

/// A matrix in a slice.
#[derive(Debug, Clone, Copy)]
pub(super) struct View<'a, T> {
    values: &'a [T],
    rows: usize,
    columns: usize,
    pitch: usize,
    transposed: bool,
}

impl<'a, T> View<'a, T> {
    /// Rows of `columns` elements, `pitch` apart.
    pub(super) fn rows(values: &'a [T], columns: usize, pitch: usize) -> Self {
        let rows = match pitch {
            0 => 0,
            _ => (values.len() + pitch - columns) / pitch,
        };
        Self {
            values,
            rows,
            columns,
            pitch,
            transposed: false,
        }
    }

    /// Rows without gaps.
    pub(super) fn whole(values: &'a [T], columns: usize) -> Self {
        Self::rows(values, columns, columns)
    }

    pub(super) fn transposed(self) -> Self {
        Self {
            transposed: !self.transposed,
            ..self
        }
    }

    fn size(&self) -> (usize, usize) {
        match self.transposed {
            true => (self.columns, self.rows),
            false => (self.rows, self.columns),
        }
    }

    fn matrix(self) -> Matrix<T> {
        let matrix = Matrix::rows(self.values.as_ptr().cast_mut(), self.pitch);
        match self.transposed {
            true => matrix.transposed(),
            false => matrix,
        }
    }
}

/// Adds the product to `c`, whose rows are `pitch` apart, or sets it.
///
/// # Panics
/// When the sizes do not fit together.
pub(super) fn multiply<T: Number>(
    a: View<'_, T>,
    b: View<'_, T>,
    c: &mut [T],
    pitch: usize,
    add: bool,
) {
    let ((m, k), (depth, n)) = (a.size(), b.size());
    if m == 0 || n == 0 {
        return;
    }
    assert!(k == depth && n <= pitch && (m - 1) * pitch + n <= c.len());
    let beta = if add { T::one() } else { T::zero() };
    let c = Matrix::rows(c.as_mut_ptr(), pitch);
    // SAFETY: views have as many rows and columns as they say, and `c` has room, as checked. It is borrowed for writing,
    // so that it shares nothing with the others, which are only read.
    unsafe {
        gemm(
            Shape { m, n, k },
            T::one(),
            a.matrix(),
            b.matrix(),
            beta,
            c,
            Threads::Pool,
        );
    }
}
