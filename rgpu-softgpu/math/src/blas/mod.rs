//! BLAS beside the products of general matrices.

pub mod factors;
pub mod level3;
pub mod status;
pub mod structured;
pub mod vector;

/// Which half of a matrix is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Triangle {
    /// Rows not above the diagonal.
    Lower,
    /// Rows not below it.
    Upper,
}

impl Triangle {
    /// Whether the element of `row` and `column` is in it.
    pub fn has(self, row: usize, column: usize) -> bool {
        match self {
            Self::Lower => row >= column,
            Self::Upper => row <= column,
        }
    }

    /// The rows of a column that are in it, of a matrix with `n` rows.
    pub fn rows_of(self, column: usize, n: usize) -> std::ops::Range<usize> {
        match self {
            Self::Lower => column..n,
            Self::Upper => 0..column + 1,
        }
    }

    /// That of the transposed matrix.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Lower => Self::Upper,
            Self::Upper => Self::Lower,
        }
    }
}

/// From which side a matrix is multiplied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// A B
    Left,
    /// B A
    Right,
}

impl Side {
    /// How many rows and columns the matrix on this side of one with `rows` and `columns` has.
    pub fn of(self, rows: usize, columns: usize) -> usize {
        match self {
            Self::Left => rows,
            Self::Right => columns,
        }
    }
}

/// The diagonal of a triangular matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Diagonal {
    /// It is stored.
    Stored,
    /// It is all ones, and what is stored there is not read.
    Unit,
}
