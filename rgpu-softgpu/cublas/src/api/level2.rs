//! Products of matrices and vectors.

use rgpu_softgpu_math::blas::structured::{Form, Meaning, Structured};
use rgpu_softgpu_math::blas::vector::Vector;
use rgpu_softgpu_math::element::{Element, bf16, c32, c64, f16};
use rgpu_softgpu_math::gemm::{Matrix, Shape, batch, gemm};
use rgpu_softgpu_math::queue::Span;

use super::{Dev, Handle};
use crate::args::{Batch, Index, Operation, diagonal, extent, leading, size, triangle, vector};
use crate::handle::Call;
use crate::names::named;
use crate::status::{Result, require};
use crate::types::{Blas, C};

/// A structured matrix of a call, stored in `len` elements.
pub(super) fn structured<T: Blas>(
    pointer: Dev,
    (rows, columns): (usize, usize),
    form: Form,
    meaning: Meaning,
) -> Result<Structured<T>> {
    let len = match form {
        Form::Full(ld) => extent(rows, columns, ld),
        Form::Band(ld, below, above) => extent(below + above + 1, columns, ld),
        Form::Packed(_) => rows.saturating_mul(rows + 1) / 2,
    };
    Ok(Structured {
        pointer: Span::new(pointer.cast::<T>().cast_const(), len)?.pointer(),
        rows,
        columns,
        form,
        meaning,
        transposed: false,
        conjugate: false,
    })
}

/// The matrix as an operation leaves it.
pub(super) fn operated<T: Blas>(matrix: Structured<T>, operation: Operation) -> Structured<T> {
    Structured {
        transposed: operation.transposes(),
        conjugate: operation == Operation::Conjugate,
        ..matrix
    }
}

/// A vector whose step is not 0.
pub(super) fn stepped<T, I: Index>(pointer: Dev, len: usize, step: I) -> Result<Vector<T>> {
    require(step.into() != 0)?;
    vector(pointer.cast(), len, step)
}

/// y = alpha A x + beta y
///
/// # Safety
/// Scalars in host memory are valid.
unsafe fn multiply<T: Blas, I: Index>(
    call: Call,
    matrix: Structured<T>,
    alpha: *const C<T>,
    (x, incx): (Dev, I),
    beta: *const C<T>,
    (y, incy): (Dev, I),
) -> Result {
    // SAFETY: the caller's promise.
    let (alpha, beta) = unsafe {
        (
            call.scalar(alpha.cast::<T>())?,
            call.scalar(beta.cast::<T>())?,
        )
    };
    let (rows, columns) = match matrix.transposed {
        true => (matrix.columns, matrix.rows),
        false => (matrix.rows, matrix.columns),
    };
    let x = stepped(x, columns, incx)?;
    let y = stepped(y, rows, incy)?;
    call.enqueue(move |_| {
        // SAFETY: the driver has vouched for all three.
        unsafe { matrix.multiply(alpha.get(), x, beta.get(), y) };
        Ok(())
    })
}

named! {
    /// A matrix with bands.
    unsafe fn gbmv<T: Blas, I: Index>(
        handle: Handle, trans: u32, m: I, n: I, kl: I, ku: I, alpha: *const C<T>, a: Dev, lda: I, x: Dev, incx: I,
        beta: *const C<T>, y: Dev, incy: I,
    ) -> Result {
        let call = Call::new("gbmv", handle)?;
        let operation = Operation::new(trans)?;
        let (m, n, below, above) = (size(m)?, size(n)?, size(kl)?, size(ku)?);
        let form = Form::Band(leading(lda, below + above + 1)?, below, above);
        let matrix = operated(structured::<T>(a, (m, n), form, Meaning::General)?, operation);
        // SAFETY: the contract of this function.
        unsafe { multiply(call, matrix, alpha, (x, incx), beta, (y, incy)) }
    }
    cublasSgbmv_v2, cublasSgbmv_v2_64: f32;
    cublasDgbmv_v2, cublasDgbmv_v2_64: f64;
    cublasCgbmv_v2, cublasCgbmv_v2_64: c32;
    cublasZgbmv_v2, cublasZgbmv_v2_64: c64;
}

named! {
    /// A symmetric matrix.
    unsafe fn symv<T: Blas, I: Index>(
        handle: Handle, uplo: u32, n: I, alpha: *const C<T>, a: Dev, lda: I, x: Dev, incx: I, beta: *const C<T>, y: Dev,
        incy: I,
    ) -> Result {
        let call = Call::new("symv", handle)?;
        let (meaning, n) = (Meaning::Symmetric(triangle(uplo)?), size(n)?);
        let matrix = structured::<T>(a, (n, n), Form::Full(leading(lda, n)?), meaning)?;
        // SAFETY: the contract of this function.
        unsafe { multiply(call, matrix, alpha, (x, incx), beta, (y, incy)) }
    }
    cublasSsymv_v2, cublasSsymv_v2_64: f32;
    cublasDsymv_v2, cublasDsymv_v2_64: f64;
    cublasCsymv_v2, cublasCsymv_v2_64: c32;
    cublasZsymv_v2, cublasZsymv_v2_64: c64;
}

named! {
    /// A Hermitian matrix.
    unsafe fn hemv<T: Blas, I: Index>(
        handle: Handle, uplo: u32, n: I, alpha: *const C<T>, a: Dev, lda: I, x: Dev, incx: I, beta: *const C<T>, y: Dev,
        incy: I,
    ) -> Result {
        let call = Call::new("hemv", handle)?;
        let (meaning, n) = (Meaning::Hermitian(triangle(uplo)?), size(n)?);
        let matrix = structured::<T>(a, (n, n), Form::Full(leading(lda, n)?), meaning)?;
        // SAFETY: the contract of this function.
        unsafe { multiply(call, matrix, alpha, (x, incx), beta, (y, incy)) }
    }
    cublasChemv_v2, cublasChemv_v2_64: c32;
    cublasZhemv_v2, cublasZhemv_v2_64: c64;
}

/// A band of `k` diagonals beside the main one, in the stored triangle.
fn band<I: Index>(uplo: u32, k: I, ld: I) -> Result<Form> {
    let k = size(k)?;
    let ld = leading(ld, k + 1)?;
    Ok(match triangle(uplo)? {
        rgpu_softgpu_math::blas::Triangle::Lower => Form::Band(ld, k, 0),
        rgpu_softgpu_math::blas::Triangle::Upper => Form::Band(ld, 0, k),
    })
}

named! {
    /// A symmetric matrix with bands; of complex numbers, a Hermitian one.
    unsafe fn sbmv<T: Blas, I: Index>(
        handle: Handle, uplo: u32, n: I, k: I, alpha: *const C<T>, a: Dev, lda: I, x: Dev, incx: I, beta: *const C<T>,
        y: Dev, incy: I,
    ) -> Result {
        let call = Call::new("sbmv", handle)?;
        let (meaning, n) = (Meaning::Hermitian(triangle(uplo)?), size(n)?);
        let matrix = structured::<T>(a, (n, n), band(uplo, k, lda)?, meaning)?;
        // SAFETY: the contract of this function.
        unsafe { multiply(call, matrix, alpha, (x, incx), beta, (y, incy)) }
    }
    cublasSsbmv_v2, cublasSsbmv_v2_64: f32;
    cublasDsbmv_v2, cublasDsbmv_v2_64: f64;
    cublasChbmv_v2, cublasChbmv_v2_64: c32;
    cublasZhbmv_v2, cublasZhbmv_v2_64: c64;
}

named! {
    /// A packed symmetric matrix; of complex numbers, a Hermitian one.
    unsafe fn spmv<T: Blas, I: Index>(
        handle: Handle, uplo: u32, n: I, alpha: *const C<T>, ap: Dev, x: Dev, incx: I, beta: *const C<T>, y: Dev, incy: I,
    ) -> Result {
        let call = Call::new("spmv", handle)?;
        let (triangle, n) = (triangle(uplo)?, size(n)?);
        let matrix = structured::<T>(ap, (n, n), Form::Packed(triangle), Meaning::Hermitian(triangle))?;
        // SAFETY: the contract of this function.
        unsafe { multiply(call, matrix, alpha, (x, incx), beta, (y, incy)) }
    }
    cublasSspmv_v2, cublasSspmv_v2_64: f32;
    cublasDspmv_v2, cublasDspmv_v2_64: f64;
    cublasChpmv_v2, cublasChpmv_v2_64: c32;
    cublasZhpmv_v2, cublasZhpmv_v2_64: c64;
}

/// What is done with a triangular matrix and a vector.
#[derive(Debug, Clone, Copy)]
struct Triangular {
    meaning: Meaning,
    operation: Operation,
    n: usize,
    solve: bool,
}

impl Triangular {
    fn new<I: Index>([uplo, trans, diag]: [u32; 3], n: I, solve: bool) -> Result<Self> {
        Ok(Self {
            meaning: Meaning::Triangular(triangle(uplo)?, diagonal(diag)?),
            operation: Operation::new(trans)?,
            n: size(n)?,
            solve,
        })
    }

    fn enqueue<T: Blas, I: Index>(self, call: Call, a: Dev, form: Form, x: Dev, incx: I) -> Result {
        let matrix = operated(
            structured::<T>(a, (self.n, self.n), form, self.meaning)?,
            self.operation,
        );
        let x = stepped(x, self.n, incx)?;
        call.enqueue(move |_| {
            // SAFETY: the driver has vouched for both.
            unsafe {
                match self.solve {
                    true => matrix.solve(x),
                    false => matrix.multiply_in_place(x),
                }
            }
            Ok(())
        })
    }
}

/// The functions of triangular matrices: full, with bands, packed.
macro_rules! triangular {
    ($($solve:literal $call:literal:
        $full:ident [$($full_name:ident, $full_wide:ident: $full_type:ty;)*]
        $banded:ident [$($band_name:ident, $band_wide:ident: $band_type:ty;)*]
        $packed:ident [$($packed_name:ident, $packed_wide:ident: $packed_type:ty;)*]
    )*) => {$(
        named! {
            unsafe fn $full<T: Blas, I: Index>(
                handle: Handle, uplo: u32, trans: u32, diag: u32, n: I, a: Dev, lda: I, x: Dev, incx: I,
            ) -> Result {
                let call = Call::new($call, handle)?;
                let what = Triangular::new([uplo, trans, diag], n, $solve)?;
                what.enqueue::<T, I>(call, a, Form::Full(leading(lda, what.n)?), x, incx)
            }
            $($full_name, $full_wide: $full_type;)*
        }

        named! {
            unsafe fn $banded<T: Blas, I: Index>(
                handle: Handle, uplo: u32, trans: u32, diag: u32, n: I, k: I, a: Dev, lda: I, x: Dev, incx: I,
            ) -> Result {
                let call = Call::new($call, handle)?;
                let what = Triangular::new([uplo, trans, diag], n, $solve)?;
                what.enqueue::<T, I>(call, a, band(uplo, k, lda)?, x, incx)
            }
            $($band_name, $band_wide: $band_type;)*
        }

        named! {
            unsafe fn $packed<T: Blas, I: Index>(
                handle: Handle, uplo: u32, trans: u32, diag: u32, n: I, ap: Dev, x: Dev, incx: I,
            ) -> Result {
                let call = Call::new($call, handle)?;
                let what = Triangular::new([uplo, trans, diag], n, $solve)?;
                what.enqueue::<T, I>(call, ap, Form::Packed(triangle(uplo)?), x, incx)
            }
            $($packed_name, $packed_wide: $packed_type;)*
        }
    )*};
}

triangular! {
    false "trmv":
    trmv [
        cublasStrmv_v2, cublasStrmv_v2_64: f32; cublasDtrmv_v2, cublasDtrmv_v2_64: f64;
        cublasCtrmv_v2, cublasCtrmv_v2_64: c32; cublasZtrmv_v2, cublasZtrmv_v2_64: c64;
    ]
    tbmv [
        cublasStbmv_v2, cublasStbmv_v2_64: f32; cublasDtbmv_v2, cublasDtbmv_v2_64: f64;
        cublasCtbmv_v2, cublasCtbmv_v2_64: c32; cublasZtbmv_v2, cublasZtbmv_v2_64: c64;
    ]
    tpmv [
        cublasStpmv_v2, cublasStpmv_v2_64: f32; cublasDtpmv_v2, cublasDtpmv_v2_64: f64;
        cublasCtpmv_v2, cublasCtpmv_v2_64: c32; cublasZtpmv_v2, cublasZtpmv_v2_64: c64;
    ]
    true "trsv":
    trsv [
        cublasStrsv_v2, cublasStrsv_v2_64: f32; cublasDtrsv_v2, cublasDtrsv_v2_64: f64;
        cublasCtrsv_v2, cublasCtrsv_v2_64: c32; cublasZtrsv_v2, cublasZtrsv_v2_64: c64;
    ]
    tbsv [
        cublasStbsv_v2, cublasStbsv_v2_64: f32; cublasDtbsv_v2, cublasDtbsv_v2_64: f64;
        cublasCtbsv_v2, cublasCtbsv_v2_64: c32; cublasZtbsv_v2, cublasZtbsv_v2_64: c64;
    ]
    tpsv [
        cublasStpsv_v2, cublasStpsv_v2_64: f32; cublasDtpsv_v2, cublasDtpsv_v2_64: f64;
        cublasCtpsv_v2, cublasCtpsv_v2_64: c32; cublasZtpsv_v2, cublasZtpsv_v2_64: c64;
    ]
}

/// What all products of a call with general matrices have in common.
#[derive(Debug, Clone, Copy)]
struct Products {
    operation: Operation,
    stored: (usize, usize),
    ld: usize,
    steps: [i64; 2],
    count: usize,
}

/// Where the matrices or vectors of a call are.
#[derive(Debug, Clone, Copy)]
enum Source {
    Strided(Dev, i64),
    Array(Dev),
}

impl Source {
    fn batch<T>(self, extent: usize, count: usize) -> Result<Batch<T>> {
        match self {
            Self::Strided(pointer, stride) => Batch::strided(pointer.cast(), extent, stride, count),
            Self::Array(pointer) => Batch::array(pointer.cast(), count),
        }
    }
}

impl Products {
    fn new<I: Index>(
        trans: u32,
        m: I,
        n: I,
        lda: I,
        [incx, incy]: [I; 2],
        count: usize,
    ) -> Result<Self> {
        let stored = (size(m)?, size(n)?);
        let steps = [incx.into(), incy.into()];
        require(steps.iter().all(|step| *step != 0))?;
        Ok(Self {
            operation: Operation::new(trans)?,
            stored,
            ld: leading(lda, stored.0)?,
            steps,
            count,
        })
    }

    /// Elements of type A, results of type Y, scalars and sums of type S.
    ///
    /// # Safety
    /// Scalars in host memory are valid.
    unsafe fn enqueue<
        S: rgpu_softgpu_math::element::Compute,
        X: Element<S>,
        A: Element<S>,
        Y: Element<S>,
    >(
        self,
        call: Call,
        [alpha, beta]: [*const X; 2],
        a: Source,
        x: Source,
        y: Source,
    ) -> Result {
        // SAFETY: the caller's promise.
        let (alpha, beta) = unsafe { (call.scalar(alpha)?, call.scalar(beta)?) };
        let (rows, columns) = self.operation.stored(self.stored.0, self.stored.1);
        if rows == 0 || self.count == 0 {
            return Ok(());
        }
        let spans = move |len: usize, step: i64| match len {
            0 => 0,
            _ => (len - 1)
                .saturating_mul(step.unsigned_abs() as usize)
                .saturating_add(1),
        };
        let extents = [
            extent(self.stored.0, self.stored.1, self.ld),
            spans(columns, self.steps[0]),
            spans(rows, self.steps[1]),
        ];
        let a: Batch<A> = a.batch(extents[0], self.count)?;
        let x: Batch<A> = x.batch(extents[1], self.count)?;
        let y: Batch<Y> = y.batch(extents[2], self.count)?;
        call.enqueue(move |run| {
            let a = a.resolve(run, self.count, extents[0])?;
            let x = x.resolve(run, self.count, extents[1])?;
            let y = y.resolve(run, self.count, extents[2])?;
            let (alpha, beta) = (alpha.get().load(), beta.get().load());
            batch(self.count, |index, threads| {
                let a = self.operation.apply(Matrix::columns(a.get(index), self.ld));
                let [incx, incy] = self.steps.map(|step| step as isize);
                let x = column(&Vector::new(x.get(index), columns, incx));
                let y = column(&Vector::new(y.get(index), rows, incy));
                let shape = Shape {
                    m: rows,
                    n: 1,
                    k: columns,
                };
                // SAFETY: the driver has vouched for all three.
                unsafe { gemm(shape, alpha, a, x, beta, y, threads) };
            });
            Ok(())
        })
    }
}

/// A vector as a matrix of one column.
pub(super) fn column<T>(vector: &Vector<T>) -> Matrix<T> {
    Matrix {
        pointer: vector.pointer,
        row: vector.step,
        column: 1,
        conjugate: false,
    }
}

named! {
    /// A general matrix.
    unsafe fn gemv<T: Blas, I: Index>(
        handle: Handle, trans: u32, m: I, n: I, alpha: *const C<T>, a: Dev, lda: I, x: Dev, incx: I, beta: *const C<T>,
        y: Dev, incy: I,
    ) -> Result {
        let call = Call::new("gemv", handle)?;
        let products = Products::new(trans, m, n, lda, [incx, incy], 1)?;
        let [a, x, y] = [a, x, y].map(|pointer| Source::Strided(pointer, 0));
        // SAFETY: the contract of this function.
        unsafe { products.enqueue::<T, T, T, T>(call, [alpha.cast(), beta.cast()], a, x, y) }
    }
    cublasSgemv_v2, cublasSgemv_v2_64: f32;
    cublasDgemv_v2, cublasDgemv_v2_64: f64;
    cublasCgemv_v2, cublasCgemv_v2_64: c32;
    cublasZgemv_v2, cublasZgemv_v2_64: c64;
}

/// Products in batches: types of scalars (in C), sums, factors and results.
pub(crate) trait Batched {
    type Scalar: Element<Self::Sum>;
    type C: Copy;
    type Sum: rgpu_softgpu_math::element::Compute;
    type Factor: Element<Self::Sum>;
    type Out: Element<Self::Sum>;
}

macro_rules! batched {
    ($($name:ident: $scalar:ty, $c:ty, $sum:ty, $factor:ty, $out:ty;)*) => {$(
        #[derive(Debug)]
        pub(crate) struct $name;

        impl Batched for $name {
            type Scalar = $scalar;
            type C = $c;
            type Sum = $sum;
            type Factor = $factor;
            type Out = $out;
        }
    )*};
}

batched! {
    S: f32, f32, f32, f32, f32;
    D: f64, f64, f64, f64, f64;
    Single: c32, [f32; 2], c32, c32, c32;
    Double: c64, [f64; 2], c64, c64, c64;
    Hsh: f32, f32, f32, f16, f16;
    Hss: f32, f32, f32, f16, f32;
    Tst: f32, f32, f32, bf16, bf16;
    Tss: f32, f32, f32, bf16, f32;
}

type ScalarOf<T> = <T as Batched>::C;

named! {
    /// Vectors and matrices at addresses in arrays.
    unsafe fn gemv_array<T: Batched, I: Index>(
        handle: Handle, trans: u32, m: I, n: I, alpha: *const ScalarOf<T>, a: Dev, lda: I, x: Dev, incx: I,
        beta: *const ScalarOf<T>, y: Dev, incy: I, count: I,
    ) -> Result {
        let call = Call::new("gemvBatched", handle)?;
        let products = Products::new(trans, m, n, lda, [incx, incy], size(count)?)?;
        let [a, x, y] = [a, x, y].map(Source::Array);
        // SAFETY: the contract of this function.
        unsafe {
            products.enqueue::<T::Sum, T::Scalar, T::Factor, T::Out>(call, [alpha.cast(), beta.cast()], a, x, y)
        }
    }
    cublasSgemvBatched, cublasSgemvBatched_64: S;
    cublasDgemvBatched, cublasDgemvBatched_64: D;
    cublasCgemvBatched, cublasCgemvBatched_64: Single;
    cublasZgemvBatched, cublasZgemvBatched_64: Double;
    cublasHSHgemvBatched, cublasHSHgemvBatched_64: Hsh;
    cublasHSSgemvBatched, cublasHSSgemvBatched_64: Hss;
    cublasTSTgemvBatched, cublasTSTgemvBatched_64: Tst;
    cublasTSSgemvBatched, cublasTSSgemvBatched_64: Tss;
}

named! {
    /// Vectors and matrices at equal distances.
    unsafe fn gemv_strided<T: Batched, I: Index>(
        handle: Handle, trans: u32, m: I, n: I, alpha: *const ScalarOf<T>, a: Dev, lda: I, a_stride: i64, x: Dev, incx: I,
        x_stride: i64, beta: *const ScalarOf<T>, y: Dev, incy: I, y_stride: i64, count: I,
    ) -> Result {
        let call = Call::new("gemvStridedBatched", handle)?;
        let products = Products::new(trans, m, n, lda, [incx, incy], size(count)?)?;
        let (a, x) = (Source::Strided(a, a_stride), Source::Strided(x, x_stride));
        let y = Source::Strided(y, y_stride);
        // SAFETY: the contract of this function.
        unsafe {
            products.enqueue::<T::Sum, T::Scalar, T::Factor, T::Out>(call, [alpha.cast(), beta.cast()], a, x, y)
        }
    }
    cublasSgemvStridedBatched, cublasSgemvStridedBatched_64: S;
    cublasDgemvStridedBatched, cublasDgemvStridedBatched_64: D;
    cublasCgemvStridedBatched, cublasCgemvStridedBatched_64: Single;
    cublasZgemvStridedBatched, cublasZgemvStridedBatched_64: Double;
    cublasHSHgemvStridedBatched, cublasHSHgemvStridedBatched_64: Hsh;
    cublasHSSgemvStridedBatched, cublasHSSgemvStridedBatched_64: Hss;
    cublasTSTgemvStridedBatched, cublasTSTgemvStridedBatched_64: Tst;
    cublasTSSgemvStridedBatched, cublasTSSgemvStridedBatched_64: Tss;
}
