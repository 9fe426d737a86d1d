//! Products of matrices of one type: one, many at equal distances, many at addresses in an array.

use std::ffi::c_void;

use rgpu_softgpu_math::element::{Compute, Element, c32, c64, f16};
use rgpu_softgpu_math::gemm::{Matrix, Shape, batch, gemm};
use rgpu_softgpu_math::queue::Scalar;

use super::{Dev, Handle};
use crate::args::{Batch, Index, Operation, extent, leading, size};
use crate::handle::Call;
use crate::names::named;
use crate::status::Result;
use crate::types::{C, Typed};

/// What all products of a call have in common, checked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Product {
    pub(super) shape: Shape,
    operations: [Operation; 2],
    ld: [usize; 3],
    pub(super) count: usize,
}

impl Product {
    pub(super) fn new<I: Index>(
        operations: [u32; 2],
        sizes: [I; 3],
        ld: [I; 3],
        count: I,
    ) -> Result<Self> {
        let operations = [
            Operation::new(operations[0])?,
            Operation::new(operations[1])?,
        ];
        let shape = Shape {
            m: size(sizes[0])?,
            n: size(sizes[1])?,
            k: size(sizes[2])?,
        };
        let Shape { m, n, k } = shape;
        let ld = [
            leading(ld[0], operations[0].stored(m, k).0)?,
            leading(ld[1], operations[1].stored(k, n).0)?,
            leading(ld[2], m)?,
        ];
        let count = size(count)?;
        Ok(Self {
            shape,
            operations,
            ld,
            count,
        })
    }

    /// Whether there is nothing to do.
    pub(super) fn is_empty(&self) -> bool {
        self.shape.m == 0 || self.shape.n == 0 || self.count == 0
    }

    /// Elements that A, B and C span.
    pub(super) fn extents(&self) -> [usize; 3] {
        let Shape { m, n, k } = self.shape;
        let (a, b) = (
            self.operations[0].stored(m, k),
            self.operations[1].stored(k, n),
        );
        [
            extent(a.0, a.1, self.ld[0]),
            extent(b.0, b.1, self.ld[1]),
            extent(m, n, self.ld[2]),
        ]
    }

    /// Puts the products into the stream: elements of the types A, B and R, scalars of the type X, sums in S.
    ///
    /// # Safety
    /// The scalars, if they are in host memory, are valid.
    pub(super) unsafe fn enqueue<S, X, A, B, R>(
        self,
        call: Call,
        scalars: [*const c_void; 2],
        a: Source,
        b: Source,
        c: Source,
    ) -> Result
    where
        S: Compute,
        X: Element<S>,
        A: Element<S>,
        B: Element<S>,
        R: Element<S>,
    {
        // SAFETY: the caller's promise.
        let [alpha, beta] = unsafe {
            [
                call.scalar(scalars[0].cast::<X>())?,
                call.scalar(scalars[1].cast::<X>())?,
            ]
        };
        if self.is_empty() {
            return Ok(());
        }
        // As in BLAS, A and B are not touched where alpha is 0.
        let extents = move |alpha: S| match (alpha.is_zero(), self.extents()) {
            (true, [_, _, c]) => [0, 0, c],
            (false, all) => all,
        };
        let known = match alpha {
            Scalar::Known(alpha) => extents(alpha.load()),
            Scalar::Device(_) => self.extents(),
        };
        let a: Batch<A> = a.batch(known[0], self.count)?;
        let b: Batch<B> = b.batch(known[1], self.count)?;
        let c: Batch<R> = c.batch(known[2], self.count)?;
        call.enqueue(move |run| {
            let (alpha, beta) = (alpha.get().load(), beta.get().load());
            let [a_extent, b_extent, c_extent] = extents(alpha);
            let a = a.resolve(run, self.count, a_extent)?;
            let b = b.resolve(run, self.count, b_extent)?;
            let c = c.resolve(run, self.count, c_extent)?;
            batch(self.count, |index, threads| {
                let [a_ld, b_ld, c_ld] = self.ld;
                let [a_op, b_op] = self.operations;
                let a = a_op.apply(Matrix::columns(a.get(index), a_ld));
                let b = b_op.apply(Matrix::columns(b.get(index), b_ld));
                let c = Matrix::columns(c.get(index), c_ld);
                // SAFETY: the driver has vouched for all three.
                unsafe { gemm(self.shape, alpha, a, b, beta, c, threads) };
            });
            Ok(())
        })
    }
}

/// Where the matrices of a call are, of whatever type.
#[derive(Debug, Clone, Copy)]
pub(super) enum Source {
    /// One.
    One(Dev),
    /// Many, as far apart.
    Strided(Dev, i64),
    /// Many, at the addresses in an array.
    Array(Dev),
}

impl Source {
    fn batch<T>(self, extent: usize, count: usize) -> Result<Batch<T>> {
        match self {
            Self::One(pointer) => Batch::strided(pointer.cast(), extent, 0, count),
            Self::Strided(pointer, stride) => Batch::strided(pointer.cast(), extent, stride, count),
            Self::Array(pointer) => Batch::array(pointer.cast(), count),
        }
    }
}

named! {
    /// One product.
    unsafe fn gemm_one<T: Typed, I: Index>(
        handle: Handle, transa: u32, transb: u32, m: I, n: I, k: I, alpha: *const C<T>,
        a: Dev, lda: I, b: Dev, ldb: I, beta: *const C<T>, c: Dev, ldc: I,
    ) -> Result {
        let call = Call::new("gemm", handle)?;
        let product = Product::new([transa, transb], [m, n, k], [lda, ldb, ldc], I::of(1))?;
        let scalars = [alpha.cast(), beta.cast()];
        let [a, b, c] = [Source::One(a), Source::One(b), Source::One(c)];
        // SAFETY: the contract of this function.
        unsafe { product.enqueue::<T::Compute, T, T, T, T>(call, scalars, a, b, c) }
    }
    cublasHgemm, cublasHgemm_64: f16;
    cublasSgemm_v2, cublasSgemm_v2_64: f32;
    cublasDgemm_v2, cublasDgemm_v2_64: f64;
    cublasCgemm_v2, cublasCgemm_v2_64: c32;
    cublasZgemm_v2, cublasZgemm_v2_64: c64;
    cublasCgemm3m, cublasCgemm3m_64: c32;
    cublasZgemm3m, cublasZgemm3m_64: c64;
}

named! {
    /// Products at addresses in arrays.
    unsafe fn gemm_array<T: Typed, I: Index>(
        handle: Handle, transa: u32, transb: u32, m: I, n: I, k: I, alpha: *const C<T>,
        a: Dev, lda: I, b: Dev, ldb: I, beta: *const C<T>, c: Dev, ldc: I, count: I,
    ) -> Result {
        let call = Call::new("gemmBatched", handle)?;
        let product = Product::new([transa, transb], [m, n, k], [lda, ldb, ldc], count)?;
        let scalars = [alpha.cast(), beta.cast()];
        let [a, b, c] = [Source::Array(a), Source::Array(b), Source::Array(c)];
        // SAFETY: the contract of this function.
        unsafe { product.enqueue::<T::Compute, T, T, T, T>(call, scalars, a, b, c) }
    }
    cublasHgemmBatched, cublasHgemmBatched_64: f16;
    cublasSgemmBatched, cublasSgemmBatched_64: f32;
    cublasDgemmBatched, cublasDgemmBatched_64: f64;
    cublasCgemmBatched, cublasCgemmBatched_64: c32;
    cublasZgemmBatched, cublasZgemmBatched_64: c64;
    cublasCgemm3mBatched, cublasCgemm3mBatched_64: c32;
}

named! {
    /// Products at equal distances.
    unsafe fn gemm_strided<T: Typed, I: Index>(
        handle: Handle, transa: u32, transb: u32, m: I, n: I, k: I, alpha: *const C<T>,
        a: Dev, lda: I, a_stride: i64, b: Dev, ldb: I, b_stride: i64, beta: *const C<T>,
        c: Dev, ldc: I, c_stride: i64, count: I,
    ) -> Result {
        let call = Call::new("gemmStridedBatched", handle)?;
        let product = Product::new([transa, transb], [m, n, k], [lda, ldb, ldc], count)?;
        let scalars = [alpha.cast(), beta.cast()];
        let [a, b, c] = [
            Source::Strided(a, a_stride),
            Source::Strided(b, b_stride),
            Source::Strided(c, c_stride),
        ];
        // SAFETY: the contract of this function.
        unsafe { product.enqueue::<T::Compute, T, T, T, T>(call, scalars, a, b, c) }
    }
    cublasHgemmStridedBatched, cublasHgemmStridedBatched_64: f16;
    cublasSgemmStridedBatched, cublasSgemmStridedBatched_64: f32;
    cublasDgemmStridedBatched, cublasDgemmStridedBatched_64: f64;
    cublasCgemmStridedBatched, cublasCgemmStridedBatched_64: c32;
    cublasZgemmStridedBatched, cublasZgemmStridedBatched_64: c64;
    cublasCgemm3mStridedBatched, cublasCgemm3mStridedBatched_64: c32;
}
