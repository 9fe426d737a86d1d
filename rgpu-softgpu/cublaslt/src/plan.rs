//! A product that was asked for, checked: what descriptors and layouts say, as types.

use rgpu_softgpu_math::blas::status::{Result, Status, require};
use rgpu_softgpu_math::gemm::{Matrix, Shape};
use rgpu_softgpu_math::kind::Kind;

use crate::epilogue::Epilogue;
use crate::fields::{Fields, matrix, product};

/// A matrix, or a batch of them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Layout {
    pub(crate) kind: Kind,
    by_rows: bool,
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    ld: usize,
    pub(crate) count: usize,
    /// From one of the batch to the next, in elements.
    pub(crate) stride: usize,
}

impl Layout {
    pub(crate) fn new(fields: Fields) -> Result<Self> {
        let kind = Kind::of_data_type(fields.get(matrix::TYPE)).ok_or(Status::NOT_SUPPORTED)?;
        let size = |attribute| {
            usize::try_from(fields.get::<u64>(attribute)).map_err(|_| Status::INVALID_VALUE)
        };
        let by_rows = match fields.get::<u32>(matrix::ORDER) {
            0 => false,
            1 => true,
            // The orders of tensor cores.
            _ => return Err(Status::NOT_SUPPORTED),
        };
        let layout = Self {
            kind,
            by_rows,
            rows: size(matrix::ROWS)?,
            columns: size(matrix::COLUMNS)?,
            ld: size(matrix::LD)?,
            count: fields.get::<i32>(matrix::COUNT).max(0) as usize,
            stride: size(matrix::STRIDE)?,
        };
        fields.refuse(&[matrix::PLANE_OFFSET])?;
        if fields.get::<u32>(matrix::BATCH_MODE) != 0 {
            return Err(Status::NOT_SUPPORTED);
        }
        require(layout.rows > 0 && layout.columns > 0 && layout.count > 0)?;
        let length = if by_rows { layout.columns } else { layout.rows };
        require(layout.ld >= length)?;
        Ok(layout)
    }

    /// Bytes that the whole batch spans.
    pub(crate) fn bytes(self) -> usize {
        let (length, lines) = match self.by_rows {
            true => (self.columns, self.rows),
            false => (self.rows, self.columns),
        };
        let one = (lines - 1).saturating_mul(self.ld).saturating_add(length);
        let all = (self.count - 1)
            .saturating_mul(self.stride)
            .saturating_add(one);
        all.saturating_mul(self.kind.bytes())
    }

    /// One of the batch, of which the first is at `pointer`. Its distances are in elements.
    pub(crate) fn matrix(self, pointer: *mut u8, index: usize) -> Matrix<u8> {
        let pointer = pointer.wrapping_add(index * self.stride * self.kind.bytes());
        match self.by_rows {
            true => Matrix::rows(pointer, self.ld),
            false => Matrix::columns(pointer, self.ld),
        }
    }
}

/// `cublasOperation_t`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    None,
    Transpose,
    Conjugate,
}

impl Operation {
    pub(crate) fn new(value: u32) -> Result<Self> {
        match value {
            0 => Ok(Self::None),
            1 => Ok(Self::Transpose),
            2 => Ok(Self::Conjugate),
            _ => Err(Status::INVALID_VALUE),
        }
    }

    /// Rows and columns of the result.
    pub(crate) fn size(self, layout: Layout) -> (usize, usize) {
        match self {
            Self::None => (layout.rows, layout.columns),
            _ => (layout.columns, layout.rows),
        }
    }

    pub(crate) fn apply<T>(self, matrix: Matrix<T>) -> Matrix<T> {
        match self {
            Self::None => matrix,
            Self::Transpose => matrix.transposed(),
            Self::Conjugate => matrix.transposed().conjugated(),
        }
    }
}

/// What sums are computed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sums {
    Single,
    Double,
    ComplexSingle,
    ComplexDouble,
}

/// Where alpha and beta are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scalars {
    Host,
    Device,
    /// Alpha has a value for each row of D.
    Vector(Beta),
}

/// Beta beside a vector of alphas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Beta {
    Vector,
    Zero,
    Host,
}

/// A product, checked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) shape: Shape,
    pub(crate) sums: Sums,
    /// The type of alpha and beta.
    pub(crate) scalar: Kind,
    pub(crate) scalars: Scalars,
    pub(crate) alpha_stride: usize,
    pub(crate) operations: [Operation; 2],
    pub(crate) a: Layout,
    pub(crate) b: Layout,
    pub(crate) c: Layout,
    pub(crate) d: Layout,
    /// Device addresses of the scales of A, B, C and D, or 0.
    pub(crate) scales: [usize; 4],
    /// Where the largest absolute value of D goes, or 0.
    pub(crate) d_maximum: usize,
    pub(crate) epilogue: Epilogue,
}

impl Plan {
    /// What a descriptor and four layouts mean.
    pub(crate) fn new(descriptor: Fields, [a, b, c, d]: [Fields; 4]) -> Result<Self> {
        let [a, b, c, d] = [
            Layout::new(a)?,
            Layout::new(b)?,
            Layout::new(c)?,
            Layout::new(d)?,
        ];
        let operations = [
            Operation::new(descriptor.get(product::TRANSA))?,
            Operation::new(descriptor.get(product::TRANSB))?,
        ];
        let (m, k) = operations[0].size(a);
        let (other_k, n) = operations[1].size(b);
        let shape = Shape { m, n, k };
        require(k == other_k)?;
        require([(c.rows, c.columns), (d.rows, d.columns)] == [(m, n); 2])?;
        require([a, b, c].iter().all(|layout| layout.count == d.count))?;
        if descriptor.get::<u32>(product::TRANSC) != 0
            || descriptor.get::<u32>(product::FILL_MODE) != 2
        {
            return Err(Status::NOT_SUPPORTED);
        }
        descriptor.refuse(&product::UNHEEDED)?;
        // One scale for a whole matrix is the only mode.
        if product::SCALE_MODES
            .iter()
            .any(|&mode| descriptor.get::<u32>(mode) != 0)
        {
            return Err(Status::NOT_SUPPORTED);
        }
        let scalar =
            Kind::of_data_type(descriptor.get(product::SCALE_TYPE)).ok_or(Status::NOT_SUPPORTED)?;
        let kinds = [a.kind, b.kind, c.kind, d.kind];
        let sums = sums(descriptor.get(product::COMPUTE_TYPE), scalar, kinds)?;
        let scalars = match descriptor.get::<u32>(product::POINTER_MODE) {
            0 => Scalars::Host,
            1 => Scalars::Device,
            2 => Scalars::Vector(Beta::Vector),
            3 => Scalars::Vector(Beta::Zero),
            4 => Scalars::Vector(Beta::Host),
            _ => return Err(Status::INVALID_VALUE),
        };
        let epilogue = Epilogue::new(descriptor, d, sums)?;
        let address = |attribute| descriptor.get::<u64>(attribute) as usize;
        Ok(Self {
            shape,
            sums,
            scalar,
            scalars,
            alpha_stride: usize::try_from(descriptor.get::<i64>(product::ALPHA_STRIDE))
                .map_err(|_| Status::INVALID_VALUE)?,
            operations,
            a,
            b,
            c,
            d,
            scales: product::SCALES.map(address),
            d_maximum: address(product::D_MAXIMUM),
            epilogue,
        })
    }
}

/// What sums are computed in, where the combination of types is one of those documented for `cublasLtMatmul`.
fn sums(compute_type: u32, scalar: Kind, [a, b, c, d]: [Kind; 4]) -> Result<Sums> {
    use Kind::*;
    let sums = match (compute_type, scalar) {
        (64 | 65, F16) if [a, b, c, d] == [F16; 4] => Sums::Single,
        (68 | 69 | 74 | 75 | 77 | 78, F32) => match (a, b) {
            (F32, F32) if (c, d) == (F32, F32) => Sums::Single,
            (F16, F16) if c == d && matches!(d, F16 | F32) => Sums::Single,
            (BF16, BF16) if c == d && matches!(d, BF16 | F32) => Sums::Single,
            (I8, I8) if (c, d) == (F32, F32) => Sums::Single,
            (E4M3 | E5M2, E4M3 | E5M2)
                if matches!(c, F16 | BF16 | F32) && (c == d || d.is_float8()) =>
            {
                Sums::Single
            }
            _ => return Err(Status::NOT_SUPPORTED),
        },
        (68 | 69 | 74 | 75 | 77 | 78, C32) if [a, b, c, d] == [C32; 4] => Sums::ComplexSingle,
        (70 | 71, F64) if [a, b, c, d] == [F64; 4] => Sums::Double,
        (70 | 71, C64) if [a, b, c, d] == [C64; 4] => Sums::ComplexDouble,
        // Integers are computed with as doubles, which hold every sum.
        (72 | 73, I32) if [a, b, c, d] == [I8, I8, I32, I32] => Sums::Double,
        (72 | 73, F32) if [a, b, c, d] == [I8; 4] => Sums::Double,
        _ => return Err(Status::NOT_SUPPORTED),
    };
    Ok(sums)
}
