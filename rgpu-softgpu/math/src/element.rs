//! Types: what elements are stored as, and what is computed with.

use std::fmt::Debug;
use std::ops::Neg;

pub use half::{bf16, f16};
pub use num_complex::{Complex32 as c32, Complex64 as c64};
pub use num_traits::Float;
use num_traits::{NumAssign, NumCast, One, ToPrimitive, Zero};

/// A type that is computed with.
pub trait Compute:
    Copy + Send + Sync + Debug + Default + NumAssign + Neg<Output = Self> + Element<Self>
{
    /// The type of absolute values.
    type Real: Compute<Real = Self::Real> + Float;
    /// Whether it has an imaginary part.
    const COMPLEX: bool;

    /// The complex conjugate.
    fn conj(self) -> Self;
    /// The real part.
    fn re(self) -> Self::Real;
    /// The imaginary part.
    fn im(self) -> Self::Real;
    /// A number on the real axis.
    fn of_real(real: Self::Real) -> Self;
    /// The absolute value.
    fn modulus(self) -> Self::Real;
    /// A number on the real axis, rounded.
    fn of_f64(real: f64) -> Self {
        Self::of_real(<Self::Real as NumCast>::from(real).unwrap_or_else(Self::Real::nan))
    }
    /// The absolute value, as a double.
    fn modulus_f64(self) -> f64 {
        self.modulus().to_f64().unwrap_or(f64::NAN)
    }
    /// The sum of the absolute values of both parts, by which BLAS compares complex numbers.
    fn size(self) -> Self::Real {
        self.re().abs() + self.im().abs()
    }
}

macro_rules! real {
    ($($type:ty),*) => {$(
        impl Compute for $type {
            type Real = Self;
            const COMPLEX: bool = false;

            fn conj(self) -> Self {
                self
            }
            fn re(self) -> Self {
                self
            }
            fn im(self) -> Self {
                0.0
            }
            fn of_real(real: Self) -> Self {
                real
            }
            fn modulus(self) -> Self {
                self.abs()
            }
        }
    )*};
}

real!(f32, f64);

macro_rules! complex {
    ($($type:ty: $real:ty),*) => {$(
        impl Compute for $type {
            type Real = $real;
            const COMPLEX: bool = true;

            fn conj(self) -> Self {
                Self::conj(&self)
            }
            fn re(self) -> $real {
                self.re
            }
            fn im(self) -> $real {
                self.im
            }
            fn of_real(real: $real) -> Self {
                Self::new(real, 0.0)
            }
            fn modulus(self) -> $real {
                self.norm()
            }
        }
    )*};
}

complex!(c32: f32, c64: f64);

/// A type that elements are stored as, and computed with as `S`.
///
/// Any bytes are a value of it.
pub trait Element<S>: Copy + Send + Sync + Debug + 'static {
    /// As it is computed with.
    fn load(self) -> S;
    /// Rounded to the nearest, as it is stored.
    fn store(value: S) -> Self;
}

macro_rules! same {
    ($($type:ty),*) => {$(
        impl Element<$type> for $type {
            fn load(self) -> $type {
                self
            }
            fn store(value: $type) -> Self {
                value
            }
        }
    )*};
}

same!(f32, f64, c32, c64);

macro_rules! half {
    ($($type:ty),*) => {$(
        impl Element<f32> for $type {
            fn load(self) -> f32 {
                self.to_f32()
            }
            fn store(value: f32) -> Self {
                Self::from_f32(value)
            }
        }

        impl Element<f64> for $type {
            fn load(self) -> f64 {
                self.to_f64()
            }
            fn store(value: f64) -> Self {
                Self::from_f64(value)
            }
        }
    )*};
}

half!(f16, bf16);

macro_rules! converted {
    ($($type:ty as $compute:ty),*) => {$(
        impl Element<$compute> for $type {
            fn load(self) -> $compute {
                self as $compute
            }
            /// Beyond the type's range: its end, as `cvt.sat` has it.
            fn store(value: $compute) -> Self {
                value.round_ties_even() as $type
            }
        }
    )*};
}

converted!(
    i8 as f32, i8 as f64, u8 as f32, u8 as f64, i32 as f32, i32 as f64, i64 as f32, i64 as f64
);

impl Element<f64> for f32 {
    fn load(self) -> f64 {
        self.into()
    }
    fn store(value: f64) -> Self {
        value as Self
    }
}

impl Element<f32> for f64 {
    fn load(self) -> f32 {
        self as f32
    }
    fn store(value: f32) -> Self {
        value.into()
    }
}

impl Element<c64> for c32 {
    fn load(self) -> c64 {
        c64::new(self.re.into(), self.im.into())
    }
    fn store(value: c64) -> Self {
        Self::new(value.re as f32, value.im as f32)
    }
}

/// Zero, without naming a trait.
pub fn zero<T: Zero>() -> T {
    T::zero()
}

/// One, without naming a trait.
pub fn one<T: One>() -> T {
    T::one()
}
