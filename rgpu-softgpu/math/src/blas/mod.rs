//! BLAS beside the products of general matrices.

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

    /// That of the transposed matrix.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Lower => Self::Upper,
            Self::Upper => Self::Lower,
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
