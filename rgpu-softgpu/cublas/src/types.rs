//! Types of elements, by the letters of the API and by number.

use rgpu_softgpu_math::element::{Compute, Element, c32, c64, f16};

/// A type that functions are named for: S, D, C, Z, and H of the products.
pub(crate) trait Typed: Element<Self::Compute> {
    /// What it is computed with.
    type Compute: Compute;
    /// What C calls it.
    type C: Copy;
    /// The type of its absolute values, in C and here.
    type Real: Compute<Real = Self::Real>;
}

macro_rules! typed {
    ($($type:ty: $compute:ty, $c:ty, $real:ty;)*) => {$(
        impl Typed for $type {
            type Compute = $compute;
            type C = $c;
            type Real = $real;
        }
    )*};
}

typed! {
    f32: Self, Self, Self;
    f64: Self, Self, Self;
    c32: Self, [f32; 2], f32;
    c64: Self, [f64; 2], f64;
    f16: f32, u16, f32;
}

/// What C calls an element.
pub(crate) type C<T> = <T as Typed>::C;

/// A type that is stored as it is computed with: S, D, C, Z.
pub(crate) trait Blas:
    Typed<Compute = Self> + Compute<Real = <Self as Typed>::Real>
{
}

impl<T: Typed<Compute = T> + Compute<Real = <T as Typed>::Real>> Blas for T {}

/// The type of absolute values, in C and here.
pub(crate) type Real<T> = <T as Typed>::Real;

/// `cudaDataType` numbers.
pub(crate) mod data {
    pub(crate) const R_32F: u32 = 0;
    pub(crate) const R_64F: u32 = 1;
    pub(crate) const R_16F: u32 = 2;
    pub(crate) const R_8I: u32 = 3;
    pub(crate) const C_32F: u32 = 4;
    pub(crate) const C_64F: u32 = 5;
    pub(crate) const R_32I: u32 = 10;
    pub(crate) const R_16BF: u32 = 14;
}
