//! Products whose types are arguments.

use std::ffi::c_void;

use rgpu_softgpu_math::element::{bf16, c32, c64, f16};

use super::gemm::{Product, Source};
use super::{Dev, Handle};
use crate::args::Index;
use crate::handle::Call;
use crate::names::named;
use crate::status::{Result, Status};
use crate::types::data::*;

/// The types of A, B and C, as numbers.
type Types = [u32; 3];

/// How sums are computed: `cublasComputeType_t`, without what says how fast.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sums {
    Half,
    Single,
    Double,
    Integer,
}

impl Sums {
    fn new(compute_type: u32) -> Result<Self> {
        match compute_type {
            64 | 65 => Ok(Self::Half),
            // Plain, pedantic, and three that may round the factors; and an emulation of singles.
            68 | 69 | 74 | 75 | 77 | 78 => Ok(Self::Single),
            70 | 71 => Ok(Self::Double),
            72 | 73 => Ok(Self::Integer),
            _ => Err(Status::NOT_SUPPORTED),
        }
    }
}

/// Puts products into the stream, if the combination of types is one of those in the documentation of `cublasGemmEx`.
///
/// # Safety
/// The scalars, if they are in host memory, are valid for the type that the combination asks for.
unsafe fn enqueue(
    call: Call,
    product: Product,
    sums: Sums,
    types: Types,
    scalars: [*const c_void; 2],
    [a, b, c]: [Source; 3],
) -> Result {
    macro_rules! combinations {
        ($($sums:ident [$a:ident $b:ident $c:ident]: $sum:ty, $scalar:ty, $at:ty, $bt:ty, $ct:ty;)*) => {
            match (sums, types) {
                $((Sums::$sums, [$a, $b, $c]) => {
                    // SAFETY: the caller's promise.
                    unsafe { product.enqueue::<$sum, $scalar, $at, $bt, $ct>(call, scalars, a, b, c) }
                })*
                _ => Err(Status::NOT_SUPPORTED),
            }
        };
    }
    combinations! {
        Half [R_16F R_16F R_16F]: f32, f16, f16, f16, f16;
        Single [R_16F R_16F R_16F]: f32, f32, f16, f16, f16;
        Single [R_16F R_16F R_32F]: f32, f32, f16, f16, f32;
        Single [R_16BF R_16BF R_16BF]: f32, f32, bf16, bf16, bf16;
        Single [R_16BF R_16BF R_32F]: f32, f32, bf16, bf16, f32;
        Single [R_8I R_8I R_32F]: f32, f32, i8, i8, f32;
        Single [R_32F R_32F R_32F]: f32, f32, f32, f32, f32;
        Single [C_32F C_32F C_32F]: c32, c32, c32, c32, c32;
        Double [R_64F R_64F R_64F]: f64, f64, f64, f64, f64;
        Double [C_64F C_64F C_64F]: c64, c64, c64, c64, c64;
        Integer [R_8I R_8I R_32I]: f64, i32, i8, i8, i32;
    }
}

named! {
    /// One product; the types of scalars and sums follow from the compute type.
    unsafe fn gemm_ex<T: Any, I: Index>(
        handle: Handle, transa: u32, transb: u32, m: I, n: I, k: I, alpha: *const c_void,
        a: Dev, atype: u32, lda: I, b: Dev, btype: u32, ldb: I, beta: *const c_void,
        c: Dev, ctype: u32, ldc: I, compute_type: u32, _algo: u32,
    ) -> Result {
        let call = Call::new("GemmEx", handle)?;
        let product = Product::new([transa, transb], [m, n, k], [lda, ldb, ldc], I::of(1))?;
        let (sums, types) = (Sums::new(compute_type)?, [atype, btype, ctype]);
        let sources = [Source::One(a), Source::One(b), Source::One(c)];
        // SAFETY: the contract of this function.
        unsafe { enqueue(call, product, sums, types, [alpha, beta], sources) }
    }
    cublasGemmEx, cublasGemmEx_64: ();
}

named! {
    /// Products at addresses in arrays.
    unsafe fn gemm_array_ex<T: Any, I: Index>(
        handle: Handle, transa: u32, transb: u32, m: I, n: I, k: I, alpha: *const c_void,
        a: Dev, atype: u32, lda: I, b: Dev, btype: u32, ldb: I, beta: *const c_void,
        c: Dev, ctype: u32, ldc: I, count: I, compute_type: u32, _algo: u32,
    ) -> Result {
        let call = Call::new("GemmBatchedEx", handle)?;
        let product = Product::new([transa, transb], [m, n, k], [lda, ldb, ldc], count)?;
        let (sums, types) = (Sums::new(compute_type)?, [atype, btype, ctype]);
        let sources = [Source::Array(a), Source::Array(b), Source::Array(c)];
        // SAFETY: the contract of this function.
        unsafe { enqueue(call, product, sums, types, [alpha, beta], sources) }
    }
    cublasGemmBatchedEx, cublasGemmBatchedEx_64: ();
}

named! {
    /// Products at equal distances.
    unsafe fn gemm_strided_ex<T: Any, I: Index>(
        handle: Handle, transa: u32, transb: u32, m: I, n: I, k: I, alpha: *const c_void,
        a: Dev, atype: u32, lda: I, a_stride: i64, b: Dev, btype: u32, ldb: I, b_stride: i64,
        beta: *const c_void, c: Dev, ctype: u32, ldc: I, c_stride: i64, count: I,
        compute_type: u32, _algo: u32,
    ) -> Result {
        let call = Call::new("GemmStridedBatchedEx", handle)?;
        let product = Product::new([transa, transb], [m, n, k], [lda, ldb, ldc], count)?;
        let (sums, types) = (Sums::new(compute_type)?, [atype, btype, ctype]);
        let sources = [
            Source::Strided(a, a_stride),
            Source::Strided(b, b_stride),
            Source::Strided(c, c_stride),
        ];
        // SAFETY: the contract of this function.
        unsafe { enqueue(call, product, sums, types, [alpha, beta], sources) }
    }
    cublasGemmStridedBatchedEx, cublasGemmStridedBatchedEx_64: ();
}

named! {
    /// Scalars and sums are of the type T, singles or complex ones.
    unsafe fn gemm_typed_ex<T: crate::types::Typed, I: Index>(
        handle: Handle, transa: u32, transb: u32, m: I, n: I, k: I, alpha: *const crate::types::C<T>,
        a: Dev, atype: u32, lda: I, b: Dev, btype: u32, ldb: I, beta: *const crate::types::C<T>,
        c: Dev, ctype: u32, ldc: I,
    ) -> Result {
        let call = Call::new("gemmEx", handle)?;
        let product = Product::new([transa, transb], [m, n, k], [lda, ldb, ldc], I::of(1))?;
        let complex = <T::Compute as rgpu_softgpu_math::element::Compute>::COMPLEX;
        if complex != (atype == C_32F) {
            return Err(Status::NOT_SUPPORTED);
        }
        let (scalars, types) = ([alpha.cast(), beta.cast()], [atype, btype, ctype]);
        let sources = [Source::One(a), Source::One(b), Source::One(c)];
        // SAFETY: the contract of this function.
        unsafe { enqueue(call, product, Sums::Single, types, scalars, sources) }
    }
    cublasSgemmEx, cublasSgemmEx_64: f32;
    cublasCgemmEx, cublasCgemmEx_64: c32;
    cublasCgemm3mEx, cublasCgemm3mEx_64: c32;
}

/// For functions whose types are all arguments.
pub(super) trait Any {}

impl Any for () {}

/// The parameters of a grouped product that differ by group, in host memory.
struct Groups<I> {
    operations: [*const u32; 2],
    sizes: [*const I; 3],
    ld: [*const I; 3],
    scalars: [*const c_void; 2],
    scalar_bytes: usize,
    counts: *const I,
}

impl<I: Index> Groups<I> {
    /// Puts the products of every group into the stream, after all arguments were found right.
    ///
    /// # Safety
    /// Every array has `groups` items.
    unsafe fn enqueue(
        self,
        call: Call,
        groups: I,
        sums: Sums,
        types: Types,
        [a, b, c]: [Dev; 3],
    ) -> Result {
        let groups = crate::args::size(groups)?;
        let pointers = [
            self.operations[0].cast(),
            self.operations[1].cast(),
            self.sizes[0].cast(),
            self.sizes[1].cast(),
            self.sizes[2].cast(),
            self.ld[0].cast(),
            self.ld[1].cast(),
            self.ld[2].cast(),
            self.scalars[0],
            self.scalars[1],
            self.counts.cast(),
        ];
        if groups > 0
            && pointers
                .iter()
                .any(|pointer: &*const c_void| pointer.is_null())
        {
            return Err(Status::INVALID_VALUE);
        }
        let product = |group: usize| {
            // SAFETY: the caller's promise.
            unsafe {
                let at = |array: *const I| array.add(group).read();
                Product::new(
                    self.operations.map(|array| array.add(group).read()),
                    self.sizes.map(at),
                    self.ld.map(at),
                    at(self.counts),
                )
            }
        };
        let products = (0..groups).map(product).collect::<Result<Vec<_>>>()?;
        let mut first = 0;
        for (group, product) in products.into_iter().enumerate() {
            let scalars = self
                .scalars
                .map(|array| array.wrapping_byte_add(group * self.scalar_bytes));
            let at =
                |array: Dev| Source::Array(array.wrapping_byte_add(first * size_of::<usize>()));
            // SAFETY: the caller's promise.
            unsafe { enqueue(call, product, sums, types, scalars, [at(a), at(b), at(c)])? };
            first += product.count;
        }
        Ok(())
    }
}

/// Bytes of a scalar.
fn scalar_bytes(sums: Sums, types: Types) -> usize {
    let complex = matches!(types[0], C_32F | C_64F);
    let real = match sums {
        Sums::Half => 2,
        Sums::Single | Sums::Integer => 4,
        Sums::Double => 8,
    };
    if complex { 2 * real } else { real }
}

named! {
    /// Products in groups of the same shape.
    unsafe fn gemm_grouped_ex<T: Any, I: Index>(
        handle: Handle, transa: *const u32, transb: *const u32, m: *const I, n: *const I, k: *const I,
        alpha: *const c_void, a: Dev, atype: u32, lda: *const I, b: Dev, btype: u32, ldb: *const I,
        beta: *const c_void, c: Dev, ctype: u32, ldc: *const I, groups: I, counts: *const I, compute_type: u32,
    ) -> Result {
        // Arrays of scalars are in host memory like the rest of what differs by group.
        let call = Call::new("GemmGroupedBatchedEx", handle)?.with_host_scalars();
        let (sums, types) = (Sums::new(compute_type)?, [atype, btype, ctype]);
        let parameters = Groups {
            operations: [transa, transb],
            sizes: [m, n, k],
            ld: [lda, ldb, ldc],
            scalars: [alpha, beta],
            scalar_bytes: scalar_bytes(sums, types),
            counts,
        };
        // SAFETY: the contract of this function.
        unsafe { parameters.enqueue(call, groups, sums, types, [a, b, c]) }
    }
    cublasGemmGroupedBatchedEx, cublasGemmGroupedBatchedEx_64: ();
}

/// A real type with grouped products of its own.
trait Grouped {
    const TYPE: u32;
    const COMPUTE: u32;
}

impl Grouped for f32 {
    const TYPE: u32 = R_32F;
    const COMPUTE: u32 = 68;
}

impl Grouped for f64 {
    const TYPE: u32 = R_64F;
    const COMPUTE: u32 = 70;
}

named! {
    /// Products of one type in groups of the same shape.
    unsafe fn gemm_grouped<T: Grouped, I: Index>(
        handle: Handle, transa: *const u32, transb: *const u32, m: *const I, n: *const I, k: *const I, alpha: *const T,
        a: Dev, lda: *const I, b: Dev, ldb: *const I, beta: *const T, c: Dev, ldc: *const I, groups: I, counts: *const I,
    ) -> Result {
        let (alpha, beta) = (alpha.cast(), beta.cast());
        // SAFETY: the contract of this function.
        unsafe {
            gemm_grouped_ex::<(), I>(
                handle, transa, transb, m, n, k, alpha, a, T::TYPE, lda, b, T::TYPE, ldb, beta, c, T::TYPE,
                ldc, groups, counts, T::COMPUTE,
            )
        }
    }
    cublasSgemmGroupedBatched, cublasSgemmGroupedBatched_64: f32;
    cublasDgemmGroupedBatched, cublasDgemmGroupedBatched_64: f64;
}
