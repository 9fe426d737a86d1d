//! Descriptors of cuBLASLt. They are the client's own: they lie in the application's memory, and what differs from
//! the defaults travels with each call that uses them.
//!
//! | module | holds |
//! |---|---|
//! | here | which attributes each kind of descriptor has |
//! | [`Descriptor`] | a descriptor in memory |

mod descriptor;

pub use descriptor::Descriptor;

/// The attributes of a descriptor that differ from their defaults: number and value.
pub type Attributes = Vec<(u32, u64)>;

/// An attribute of a descriptor.
#[derive(Debug, Clone, Copy)]
pub struct Attribute {
    /// Its number in the C enum.
    pub number: u32,
    /// Its bytes; at most eight.
    pub bytes: usize,
    /// What it is before it is set.
    pub default: u64,
    /// It is an address in device memory.
    pub device: bool,
}

impl Attribute {
    /// One that is 0 until it is set.
    pub const fn new(number: u32, bytes: usize) -> Self {
        Self {
            number,
            bytes,
            default: 0,
            device: false,
        }
    }

    /// The same, with another default.
    #[must_use]
    pub const fn or(mut self, default: u64) -> Self {
        self.default = default;
        self
    }

    const fn device(number: u32) -> Self {
        let mut attribute = Self::new(number, 8);
        attribute.device = true;
        attribute
    }

    /// The part of `value` that is the attribute's.
    pub const fn trim(&self, value: u64) -> u64 {
        value & (u64::MAX >> (64 - 8 * self.bytes))
    }
}

/// A kind of descriptor.
#[derive(Debug)]
pub struct Shape {
    /// What its memory starts with.
    mark: u32,
    /// Bytes of its opaque structure, in CUDA 12.0 and since 12.2.
    bytes: [usize; 2],
    /// In the order of their numbers, which is that of their age: a shorter structure has the older ones.
    pub attributes: &'static [Attribute],
}

impl Shape {
    /// A kind whose structure has as many bytes in CUDA 12.0 and since 12.2.
    pub const fn new(mark: [u8; 4], bytes: [usize; 2], attributes: &'static [Attribute]) -> Self {
        Self {
            mark: u32::from_le_bytes(mark),
            bytes,
            attributes,
        }
    }

    /// The attribute of a number.
    pub fn attribute(&self, number: u32) -> Option<&'static Attribute> {
        self.attributes
            .iter()
            .find(|attribute| attribute.number == number)
    }
}

/// The value of an attribute, which may be its default.
pub fn value_of(shape: &Shape, attributes: &Attributes, number: u32) -> u64 {
    let set = attributes.iter().find(|(set, _)| *set == number);
    set.map(|(_, value)| *value)
        .or_else(|| Some(shape.attribute(number)?.default))
        .unwrap_or(0)
}

/// `CUBLASLT_MATMUL_DESC_COMPUTE_TYPE`.
pub const COMPUTE_TYPE: u32 = 0;
/// `CUBLASLT_MATMUL_DESC_SCALE_TYPE`.
pub const SCALE_TYPE: u32 = 1;
/// `CUBLASLT_MATMUL_DESC_POINTER_MODE`.
pub const POINTER_MODE: u32 = 2;

// The tables follow cublasLt.h of CUDA 12.9: enum, size and default of each attribute.

/// `cublasLtMatmulDescAttributes_t`.
pub static MATMUL: Shape = Shape {
    mark: u32::from_le_bytes(*b"rgLm"),
    bytes: [184, 256],
    attributes: &[
        Attribute::new(COMPUTE_TYPE, 4),
        Attribute::new(SCALE_TYPE, 4),
        Attribute::new(POINTER_MODE, 4),
        // Transposition of A, B and C.
        Attribute::new(3, 4),
        Attribute::new(4, 4),
        Attribute::new(5, 4),
        // CUBLAS_FILL_MODE_FULL
        Attribute::new(6, 4).or(2),
        // CUBLASLT_EPILOGUE_DEFAULT
        Attribute::new(7, 4).or(1),
        // Bias, its stride; auxiliary matrix, its leading dimension and stride; stride of alpha.
        Attribute::device(8),
        Attribute::new(10, 8),
        Attribute::device(11),
        Attribute::new(12, 8),
        Attribute::new(13, 8),
        Attribute::new(14, 8),
        // Multiprocessors to aim at.
        Attribute::new(15, 4),
        // Scales of A, B, C and D; maximum of D.
        Attribute::device(17),
        Attribute::device(18),
        Attribute::device(19),
        Attribute::device(20),
        Attribute::device(21),
        // Type, scale and maximum of the auxiliary matrix.
        Attribute::new(22, 4).or(0xffff_ffff),
        Attribute::device(23),
        Attribute::device(24),
        // Fast accumulation; type of the bias.
        Attribute::new(25, 1),
        Attribute::new(26, 4).or(0xffff_ffff),
        // Chunks of rows and columns; counters that are waited for, and that are raised.
        Attribute::new(27, 4),
        Attribute::new(28, 4),
        Attribute::device(29),
        Attribute::device(30),
        // What the scales of A, B, C, D and the auxiliary matrix are.
        Attribute::new(31, 4),
        Attribute::new(32, 4),
        Attribute::new(33, 4),
        Attribute::new(34, 4),
        Attribute::new(35, 4),
        // Scales that are computed for D, and what they are.
        Attribute::device(36),
        Attribute::new(37, 4),
    ],
};

/// `CUBLASLT_MATRIX_LAYOUT_TYPE`.
pub const LAYOUT_TYPE: u32 = 0;
/// `CUBLASLT_MATRIX_LAYOUT_ROWS`.
pub const LAYOUT_ROWS: u32 = 2;
/// `CUBLASLT_MATRIX_LAYOUT_COLS`.
pub const LAYOUT_COLUMNS: u32 = 3;
/// `CUBLASLT_MATRIX_LAYOUT_LD`.
pub const LAYOUT_LD: u32 = 4;

/// `cublasLtMatrixLayoutAttribute_t`.
pub static LAYOUT: Shape = Shape {
    mark: u32::from_le_bytes(*b"rgLl"),
    bytes: [64, 64],
    attributes: &[
        Attribute::new(LAYOUT_TYPE, 4),
        // Order.
        Attribute::new(1, 4),
        Attribute::new(LAYOUT_ROWS, 8),
        Attribute::new(LAYOUT_COLUMNS, 8),
        Attribute::new(LAYOUT_LD, 8),
        // Batches, their stride; stride of the imaginary plane; how batches lie.
        Attribute::new(5, 4).or(1),
        Attribute::new(6, 8),
        Attribute::new(7, 8),
        Attribute::new(8, 4),
    ],
};

/// `cublasLtMatmulPreferenceAttributes_t`.
pub static PREFERENCE: Shape = Shape {
    mark: u32::from_le_bytes(*b"rgLp"),
    bytes: [64, 64],
    attributes: &[
        // How to search; bytes of the workspace.
        Attribute::new(0, 4),
        Attribute::new(1, 8),
        // CUBLASLT_REDUCTION_SCHEME_MASK
        Attribute::new(3, 4).or(7),
        // Alignment of A, B, C and D.
        Attribute::new(5, 4).or(256),
        Attribute::new(6, 4).or(256),
        Attribute::new(7, 4).or(256),
        Attribute::new(8, 4).or(256),
        // Waves, a float; mask of implementations.
        Attribute::new(9, 4),
        Attribute::new(12, 8).or(u64::MAX),
    ],
};

/// `CUBLASLT_MATRIX_TRANSFORM_DESC_SCALE_TYPE`.
pub const TRANSFORM_SCALE_TYPE: u32 = 0;
/// `CUBLASLT_MATRIX_TRANSFORM_DESC_POINTER_MODE`.
pub const TRANSFORM_POINTER_MODE: u32 = 1;

/// `cublasLtMatrixTransformDescAttributes_t`.
pub static TRANSFORM: Shape = Shape {
    mark: u32::from_le_bytes(*b"rgLt"),
    bytes: [64, 64],
    attributes: &[
        Attribute::new(TRANSFORM_SCALE_TYPE, 4),
        Attribute::new(TRANSFORM_POINTER_MODE, 4),
        // Transposition of A and B.
        Attribute::new(2, 4),
        Attribute::new(3, 4),
    ],
};

/// Whether alpha and beta are in device memory; beta may be absent. `None` for modes that do not exist.
pub const fn scalars_on_device(pointer_mode: u64) -> Option<[Option<bool>; 2]> {
    // cublasLtPointerMode_t: host, device, vectors on the device, such a vector and zero, such a vector and a
    // value on the host.
    Some(match pointer_mode {
        0 => [Some(false), Some(false)],
        1 | 2 => [Some(true), Some(true)],
        3 => [Some(true), None],
        4 => [Some(true), Some(false)],
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPES: [&Shape; 4] = [&MATMUL, &LAYOUT, &PREFERENCE, &TRANSFORM];

    #[test]
    fn attributes_are_in_order_and_as_small_as_a_value() {
        for shape in SHAPES {
            let numbers = shape.attributes.windows(2);
            assert!(numbers.into_iter().all(|two| two[0].number < two[1].number));
            for attribute in shape.attributes {
                assert!(matches!(attribute.bytes, 1 | 4 | 8));
                assert_eq!(attribute.trim(attribute.default), attribute.default);
                assert!(!attribute.device || attribute.bytes == 8);
            }
        }
    }

    #[test]
    fn values_that_are_not_set_are_defaults() {
        // CUBLASLT_MATMUL_DESC_EPILOGUE is CUBLASLT_EPILOGUE_DEFAULT, 1, unless set.
        assert_eq!(value_of(&MATMUL, &vec![], 7), 1);
        assert_eq!(value_of(&MATMUL, &vec![(7, 4)], 7), 4);
    }
}
