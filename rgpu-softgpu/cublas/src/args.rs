//! Arguments: what C passes as numbers, checked.

use rgpu_softgpu_math::blas::vector::Vector;
use rgpu_softgpu_math::blas::{Diagonal, Side, Triangle};
use rgpu_softgpu_math::gemm::Matrix;
use rgpu_softgpu_math::queue::{self, Run, Span};

use crate::status::{Result, Status, require};

/// `int` or `int64_t`: what sizes are in the plain functions and in those that end in `_64`.
pub(crate) trait Index: Copy + Into<i64> + Send + 'static {
    /// The index of an element, counted from 1.
    fn of(value: usize) -> Self;
}

impl Index for i32 {
    fn of(value: usize) -> Self {
        value as Self
    }
}

impl Index for i64 {
    fn of(value: usize) -> Self {
        value as Self
    }
}

/// A number of rows, columns or products.
pub(crate) fn size(value: impl Index) -> Result<usize> {
    usize::try_from(value.into()).map_err(|_| Status::INVALID_VALUE)
}

/// A leading dimension, which must be as large as what it leads.
pub(crate) fn leading(value: impl Index, rows: usize) -> Result<usize> {
    let value = size(value)?;
    require(value >= rows.max(1))?;
    Ok(value)
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

    pub(crate) fn transposes(self) -> bool {
        self != Self::None
    }

    /// The numbers, exchanged if it transposes.
    pub(crate) fn stored(self, rows: usize, columns: usize) -> (usize, usize) {
        match self.transposes() {
            true => (columns, rows),
            false => (rows, columns),
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

/// `cublasFillMode_t`, without the full one.
pub(crate) fn triangle(value: u32) -> Result<Triangle> {
    match value {
        0 => Ok(Triangle::Lower),
        1 => Ok(Triangle::Upper),
        _ => Err(Status::INVALID_VALUE),
    }
}

/// `cublasSideMode_t`.
pub(crate) fn side(value: u32) -> Result<Side> {
    match value {
        0 => Ok(Side::Left),
        1 => Ok(Side::Right),
        _ => Err(Status::INVALID_VALUE),
    }
}

/// `cublasDiagType_t`.
pub(crate) fn diagonal(value: u32) -> Result<Diagonal> {
    match value {
        0 => Ok(Diagonal::Stored),
        1 => Ok(Diagonal::Unit),
        _ => Err(Status::INVALID_VALUE),
    }
}

/// How many elements a matrix spans in memory.
pub(crate) fn extent(rows: usize, columns: usize, ld: usize) -> usize {
    match rows == 0 || columns == 0 {
        true => 0,
        false => (columns - 1).saturating_mul(ld).saturating_add(rows),
    }
}

/// A vector of a call; one without elements needs no memory.
pub(crate) fn vector<T>(pointer: *const T, len: usize, step: impl Index) -> Result<Vector<T>> {
    let step: i64 = step.into();
    let extent = match len {
        0 => 0,
        _ => (len - 1)
            .saturating_mul(step.unsigned_abs() as usize)
            .saturating_add(1),
    };
    let span = Span::new(pointer, extent)?;
    Ok(Vector::new(span.pointer(), len, step as isize))
}

/// A number of elements of a vector; less than none is none.
pub(crate) fn length(value: impl Index) -> usize {
    usize::try_from(value.into()).unwrap_or(0)
}

/// The matrices of a batch.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Batch<T> {
    /// From one to the next it is always as far.
    Strided(Span<T>, usize),
    /// The device addresses of each, in device memory.
    Array(Span<usize>),
}

impl<T> Batch<T> {
    /// `count` matrices that span `extent` elements each, `stride` elements apart.
    pub(crate) fn strided(
        pointer: *const T,
        extent: usize,
        stride: i64,
        count: usize,
    ) -> Result<Self> {
        let stride = usize::try_from(stride).map_err(|_| Status::INVALID_VALUE)?;
        let last = stride.saturating_mul(count.saturating_sub(1));
        let all = match extent == 0 || count == 0 {
            true => 0,
            false => last.saturating_add(extent),
        };
        Ok(Self::Strided(Span::new(pointer, all)?, stride))
    }

    /// `count` matrices at the addresses in an array.
    pub(crate) fn array(pointer: *const *const T, count: usize) -> Result<Self> {
        Ok(Self::Array(Span::new(pointer.cast(), count)?))
    }

    /// Where the matrices are; for use when the work runs.
    pub(crate) fn resolve(
        self,
        run: &Run,
        count: usize,
        extent: usize,
    ) -> queue::Result<Places<T>> {
        let pointers = match self {
            Self::Strided(span, stride) => (0..count)
                .map(|index| span.pointer().wrapping_add(index * stride))
                .collect(),
            Self::Array(span) => (0..count)
                .map(|index| {
                    // SAFETY: the driver has vouched for `count` addresses.
                    let address = unsafe { span.pointer().add(index).read() };
                    let pointer: *const T = std::ptr::with_exposed_provenance(address);
                    Ok(run.span(pointer, extent)?.pointer())
                })
                .collect::<queue::Result<_>>()?,
        };
        Ok(Places(pointers))
    }
}

/// Where the matrices of a batch are, checked.
#[derive(Debug)]
pub(crate) struct Places<T>(Vec<*mut T>);

// SAFETY: memory of the device, which belongs to no thread.
unsafe impl<T: Send> Send for Places<T> {}
// SAFETY: as above.
unsafe impl<T: Sync> Sync for Places<T> {}

impl<T> Places<T> {
    pub(crate) fn get(&self, index: usize) -> *mut T {
        self.0[index]
    }
}
