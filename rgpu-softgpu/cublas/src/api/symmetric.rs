//! Products with symmetric and Hermitian matrices, and products that are such.

use rgpu_softgpu_math::blas::level3::{Update, multiply_structured};
use rgpu_softgpu_math::blas::structured::{Form, Meaning};
use rgpu_softgpu_math::element::{c32, c64};
use rgpu_softgpu_math::gemm::{Matrix, Threads};
use rgpu_softgpu_math::queue::Span;

use super::level2::structured;
use super::{Dev, Handle};
use crate::args::{Index, Operation, extent, leading, side, size, triangle};
use crate::handle::{Call, Factor};
use crate::names::named;
use crate::status::{Result, Status, require};
use crate::types::data::C_32F;
use crate::types::{Blas, C, Real};

/// C = alpha A B + beta C, or with B A.
///
/// # Safety
/// Scalars in host memory are valid.
unsafe fn multiply<T: Blas, I: Index>(
    call: Call,
    which: u32,
    meaning: Meaning,
    (m, n): (I, I),
    [alpha, beta]: [*const C<T>; 2],
    (a, lda): (Dev, I),
    (b, ldb): (Dev, I),
    (c, ldc): (Dev, I),
) -> Result {
    let (side, m, n) = (side(which)?, size(m)?, size(n)?);
    let rows = side.of(m, n);
    let (lda, ldb, ldc) = (leading(lda, rows)?, leading(ldb, m)?, leading(ldc, m)?);
    // SAFETY: the caller's promise.
    let (alpha, beta) = unsafe {
        (
            Factor::<T>::any(&call, alpha)?,
            Factor::<T>::any(&call, beta)?,
        )
    };
    if m == 0 || n == 0 {
        return Ok(());
    }
    let rows = if alpha.is_known_zero() { 0 } else { rows };
    let a = structured::<T>(a, (rows, rows), Form::Full(lda), meaning)?;
    let b = Span::new(b.cast::<T>().cast_const(), alpha.needs(extent(m, n, ldb)))?;
    let c = Span::new(c.cast::<T>().cast_const(), extent(m, n, ldc))?;
    call.enqueue(move |_| {
        let (b, c) = (
            Matrix::columns(b.pointer(), ldb),
            Matrix::columns(c.pointer(), ldc),
        );
        let (alpha, beta) = (alpha.get(), beta.get());
        // SAFETY: the driver has vouched for all three.
        unsafe { multiply_structured(side, (m, n), alpha, &a, b, beta, c, Threads::Pool) };
        Ok(())
    })
}

named! {
    /// A symmetric matrix.
    unsafe fn symm<T: Blas, I: Index>(
        handle: Handle, side: u32, uplo: u32, m: I, n: I, alpha: *const C<T>, a: Dev, lda: I, b: Dev, ldb: I,
        beta: *const C<T>, c: Dev, ldc: I,
    ) -> Result {
        let call = Call::new("symm", handle)?;
        let meaning = Meaning::Symmetric(triangle(uplo)?);
        // SAFETY: the contract of this function.
        unsafe { multiply::<T, I>(call, side, meaning, (m, n), [alpha, beta], (a, lda), (b, ldb), (c, ldc)) }
    }
    cublasSsymm_v2, cublasSsymm_v2_64: f32;
    cublasDsymm_v2, cublasDsymm_v2_64: f64;
    cublasCsymm_v2, cublasCsymm_v2_64: c32;
    cublasZsymm_v2, cublasZsymm_v2_64: c64;
}

named! {
    /// A Hermitian matrix.
    unsafe fn hemm<T: Blas, I: Index>(
        handle: Handle, side: u32, uplo: u32, m: I, n: I, alpha: *const C<T>, a: Dev, lda: I, b: Dev, ldb: I,
        beta: *const C<T>, c: Dev, ldc: I,
    ) -> Result {
        let call = Call::new("hemm", handle)?;
        let meaning = Meaning::Hermitian(triangle(uplo)?);
        // SAFETY: the contract of this function.
        unsafe { multiply::<T, I>(call, side, meaning, (m, n), [alpha, beta], (a, lda), (b, ldb), (c, ldc)) }
    }
    cublasChemm_v2, cublasChemm_v2_64: c32;
    cublasZhemm_v2, cublasZhemm_v2_64: c64;
}

/// What kind of product is added to a triangle.
#[derive(Debug, Clone, Copy)]
struct Kind {
    hermitian: bool,
    /// Whether the mirror image of the product is added too.
    twice: bool,
}

impl Kind {
    const fn of(hermitian: bool, twice: bool) -> Self {
        Self { hermitian, twice }
    }
}

const SYMMETRIC: Kind = Kind::of(false, false);
const HERMITIAN: Kind = Kind::of(true, false);
const SYMMETRIC_TWICE: Kind = Kind::of(false, true);
const HERMITIAN_TWICE: Kind = Kind::of(true, true);

impl Kind {
    /// Changes one triangle of C; A and B may be the same.
    fn enqueue<T: Blas, I: Index>(
        self,
        call: Call,
        [uplo, trans]: [u32; 2],
        (n, k): (I, I),
        [alpha, beta]: [Factor<T>; 2],
        (a, lda): (Dev, I),
        (b, ldb): (Dev, I),
        (c, ldc): (Dev, I),
    ) -> Result {
        let (triangle, operation) = (triangle(uplo)?, Operation::new(trans)?);
        if T::COMPLEX {
            // The other transposition would make the product neither.
            let [wrong, _] = match self.hermitian {
                true => [Operation::Transpose, Operation::Conjugate],
                false => [Operation::Conjugate, Operation::Transpose],
            };
            require(operation != wrong)?;
        }
        let (n, k) = (size(n)?, size(k)?);
        let (rows, columns) = operation.stored(n, k);
        let (lda, ldb, ldc) = (leading(lda, rows)?, leading(ldb, rows)?, leading(ldc, n)?);
        if n == 0 {
            return Ok(());
        }
        let factor = |pointer: Dev, ld| {
            let len = alpha.needs(extent(rows, columns, ld));
            Span::new(pointer.cast::<T>().cast_const(), len)
        };
        let (a, b) = (factor(a, lda)?, factor(b, ldb)?);
        let c = Span::new(c.cast::<T>().cast_const(), extent(n, n, ldc))?;
        call.enqueue(move |_| {
            let update = Update {
                triangle,
                hermitian: self.hermitian,
                twice: self.twice,
                alpha: alpha.get(),
                beta: beta.get(),
            };
            let a = operation.apply(Matrix::columns(a.pointer(), lda));
            let b = operation.apply(Matrix::columns(b.pointer(), ldb));
            let c = Matrix::columns(c.pointer(), ldc);
            // SAFETY: the driver has vouched for all three.
            unsafe { update.apply((n, k), a, b, c, Threads::Pool) };
            Ok(())
        })
    }
}

named! {
    /// C = alpha A A' + beta C
    unsafe fn syrk<T: Blas, I: Index>(
        handle: Handle, uplo: u32, trans: u32, n: I, k: I, alpha: *const C<T>, a: Dev, lda: I, beta: *const C<T>, c: Dev,
        ldc: I,
    ) -> Result {
        let call = Call::new("syrk", handle)?;
        // SAFETY: the contract of this function.
        let factors = unsafe { [Factor::<T>::any(&call, alpha)?, Factor::any(&call, beta)?] };
        SYMMETRIC.enqueue(call, [uplo, trans], (n, k), factors, (a, lda), (a, lda), (c, ldc))
    }
    cublasSsyrk_v2, cublasSsyrk_v2_64: f32;
    cublasDsyrk_v2, cublasDsyrk_v2_64: f64;
    cublasCsyrk_v2, cublasCsyrk_v2_64: c32;
    cublasZsyrk_v2, cublasZsyrk_v2_64: c64;
}

named! {
    /// C = alpha A A* + beta C
    unsafe fn herk<T: Blas, I: Index>(
        handle: Handle, uplo: u32, trans: u32, n: I, k: I, alpha: *const Real<T>, a: Dev, lda: I, beta: *const Real<T>,
        c: Dev, ldc: I,
    ) -> Result {
        let call = Call::new("herk", handle)?;
        // SAFETY: the contract of this function.
        let factors = unsafe { [Factor::<T>::real(&call, alpha)?, Factor::real(&call, beta)?] };
        HERMITIAN.enqueue(call, [uplo, trans], (n, k), factors, (a, lda), (a, lda), (c, ldc))
    }
    cublasCherk_v2, cublasCherk_v2_64: c32;
    cublasZherk_v2, cublasZherk_v2_64: c64;
}

named! {
    /// C = alpha A A' + beta C, with types as arguments.
    unsafe fn syrk_ex<T: Blas, I: Index>(
        handle: Handle, uplo: u32, trans: u32, n: I, k: I, alpha: *const C<T>, a: Dev, atype: u32, lda: I,
        beta: *const C<T>, c: Dev, ctype: u32, ldc: I,
    ) -> Result {
        if [atype, ctype] != [C_32F; 2] {
            return Err(Status::NOT_SUPPORTED);
        }
        // SAFETY: the contract of this function.
        unsafe { syrk::<T, I>(handle, uplo, trans, n, k, alpha, a, lda, beta, c, ldc) }
    }
    cublasCsyrkEx, cublasCsyrkEx_64: c32;
    cublasCsyrk3mEx, cublasCsyrk3mEx_64: c32;
}

named! {
    /// C = alpha A A* + beta C, with types as arguments.
    unsafe fn herk_ex<T: Blas, I: Index>(
        handle: Handle, uplo: u32, trans: u32, n: I, k: I, alpha: *const Real<T>, a: Dev, atype: u32, lda: I,
        beta: *const Real<T>, c: Dev, ctype: u32, ldc: I,
    ) -> Result {
        if [atype, ctype] != [C_32F; 2] {
            return Err(Status::NOT_SUPPORTED);
        }
        // SAFETY: the contract of this function.
        unsafe { herk::<T, I>(handle, uplo, trans, n, k, alpha, a, lda, beta, c, ldc) }
    }
    cublasCherkEx, cublasCherkEx_64: c32;
    cublasCherk3mEx, cublasCherk3mEx_64: c32;
}

/// The products of two matrices: a name for the log, which kind it is, and how its second scalar is read.
macro_rules! of_two {
    ($($generic:ident $call:literal $kind:expr, $beta:ident as $of:ident [
        $($name:ident, $wide:ident: $type:ty;)*
    ])*) => {$(
        named! {
            unsafe fn $generic<T: Blas, I: Index>(
                handle: Handle, uplo: u32, trans: u32, n: I, k: I, alpha: *const C<T>, a: Dev, lda: I, b: Dev, ldb: I,
                beta: *const $of<T>, c: Dev, ldc: I,
            ) -> Result {
                let call = Call::new($call, handle)?;
                // SAFETY: the contract of this function.
                let factors = unsafe { [Factor::<T>::any(&call, alpha)?, Factor::$beta(&call, beta)?] };
                $kind.enqueue(call, [uplo, trans], (n, k), factors, (a, lda), (b, ldb), (c, ldc))
            }
            $($name, $wide: $type;)*
        }
    )*};
}

of_two! {
    syr2k "syr2k" SYMMETRIC_TWICE, any as C [
        cublasSsyr2k_v2, cublasSsyr2k_v2_64: f32; cublasDsyr2k_v2, cublasDsyr2k_v2_64: f64;
        cublasCsyr2k_v2, cublasCsyr2k_v2_64: c32; cublasZsyr2k_v2, cublasZsyr2k_v2_64: c64;
    ]
    her2k "her2k" HERMITIAN_TWICE, real as Real [
        cublasCher2k_v2, cublasCher2k_v2_64: c32; cublasZher2k_v2, cublasZher2k_v2_64: c64;
    ]
    syrkx "syrkx" SYMMETRIC, any as C [
        cublasSsyrkx, cublasSsyrkx_64: f32; cublasDsyrkx, cublasDsyrkx_64: f64;
        cublasCsyrkx, cublasCsyrkx_64: c32; cublasZsyrkx, cublasZsyrkx_64: c64;
    ]
    herkx "herkx" HERMITIAN, real as Real [
        cublasCherkx, cublasCherkx_64: c32; cublasZherkx, cublasZherkx_64: c64;
    ]
}
