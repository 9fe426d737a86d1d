//! BLAS beside the products of general matrices.

pub mod status;

/// Which half of a matrix is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Triangle {
    /// Rows not above the diagonal.
    Lower,
    /// Rows not below it.
    Upper,
}

/// From which side a matrix is multiplied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// A B
    Left,
    /// B A
    Right,
}

/// The diagonal of a triangular matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Diagonal {
    /// It is stored.
    Stored,
    /// It is all ones, and what is stored there is not read.
    Unit,
}
