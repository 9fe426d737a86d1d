//! Types of elements that are known only at run time: `cudaDataType`.

use crate::element::{Compute, bf16, c32, c64, f16};
use crate::float8::{E4M3, E5M2};
use crate::gemm::{Matrix, gather, scatter};

/// A type of elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "they are the types of the same name")]
pub enum Kind {
    F32,
    F64,
    F16,
    I8,
    C32,
    C64,
    I32,
    BF16,
    E4M3,
    E5M2,
}

impl Kind {
    /// The type behind a `cudaDataType`.
    pub fn of_data_type(number: u32) -> Option<Self> {
        Some(match number {
            0 => Self::F32,
            1 => Self::F64,
            2 => Self::F16,
            3 => Self::I8,
            4 => Self::C32,
            5 => Self::C64,
            10 => Self::I32,
            14 => Self::BF16,
            28 => Self::E4M3,
            29 => Self::E5M2,
            _ => return None,
        })
    }

    /// Bytes of an element.
    pub fn bytes(self) -> usize {
        match self {
            Self::I8 | Self::E4M3 | Self::E5M2 => 1,
            Self::F16 | Self::BF16 => 2,
            Self::F32 | Self::I32 => 4,
            Self::F64 | Self::C32 => 8,
            Self::C64 => 16,
        }
    }

    /// Whether it is a float of 8 bits.
    pub fn is_float8(self) -> bool {
        matches!(self, Self::E4M3 | Self::E5M2)
    }
}

/// A type that is computed with, for elements of several types.
pub trait Dynamic: Compute {
    /// The type itself, as it is stored.
    const KIND: Kind;

    /// Whether elements of a type can be computed with so.
    fn holds(kind: Kind) -> bool;

    /// The elements, column after column. Distances in the matrix are in elements.
    ///
    /// # Safety
    /// They are of this type and lie in memory that may be read.
    ///
    /// # Panics
    /// The type is not one that [`Self::holds`].
    unsafe fn gather(kind: Kind, matrix: Matrix<u8>, rows: usize, columns: usize) -> Vec<Self>;

    /// Stores the elements, which are given column after column.
    ///
    /// # Safety
    /// They are of this type and lie in memory that may be written.
    ///
    /// # Panics
    /// The type is not one that [`Self::holds`].
    unsafe fn scatter(kind: Kind, values: &[Self], rows: usize, matrix: Matrix<u8>);
}

macro_rules! dynamic {
    ($($compute:ident as $own:ident: $($kind:ident $type:ty),*;)*) => {$(
        impl Dynamic for $compute {
            const KIND: Kind = Kind::$own;

            fn holds(kind: Kind) -> bool {
                matches!(kind, $(Kind::$kind)|*)
            }

            unsafe fn gather(kind: Kind, matrix: Matrix<u8>, rows: usize, columns: usize) -> Vec<Self> {
                match kind {
                    // SAFETY: the caller's promise.
                    $(Kind::$kind => unsafe { gather(matrix.cast::<$type>(), rows, columns) },)*
                    #[allow(unreachable_patterns, reason = "some hold every type")]
                    other => unreachable!("{other:?} is not computed with as {:?}", Self::KIND),
                }
            }

            unsafe fn scatter(kind: Kind, values: &[Self], rows: usize, matrix: Matrix<u8>) {
                match kind {
                    // SAFETY: the caller's promise.
                    $(Kind::$kind => unsafe { scatter(values, rows, matrix.cast::<$type>()) },)*
                    #[allow(unreachable_patterns, reason = "some hold every type")]
                    other => unreachable!("{other:?} is not computed with as {:?}", Self::KIND),
                }
            }
        }
    )*};
}

dynamic! {
    f32 as F32: F32 f32, F16 f16, BF16 bf16, I8 i8, E4M3 E4M3, E5M2 E5M2;
    f64 as F64: F64 f64, F32 f32, F16 f16, BF16 bf16, I8 i8, I32 i32;
    c32 as C32: C32 c32;
    c64 as C64: C64 c64;
}
