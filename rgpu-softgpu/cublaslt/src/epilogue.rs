//! What happens to a product before it is stored: bias, activation, and their gradients.

use rgpu_softgpu_math::blas::status::{Result, Status, require};
use rgpu_softgpu_math::element::Compute;
use rgpu_softgpu_math::gemm::Matrix;
use rgpu_softgpu_math::kind::{Dynamic, Kind};
use rgpu_softgpu_math::queue::{self, Span};

use crate::fields::{Fields, product};
use crate::plan::{Layout, Sums};

/// `cublasLtEpilogue_t` in its parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Activation {
    None,
    /// Nothing below 0; with an auxiliary matrix, one bit for each element says which are above.
    Relu,
    /// In its form with `tanh`; with an auxiliary matrix, that is what it was given.
    Gelu,
    /// The gradient where the bits of [`Self::Relu`] are.
    ReluGradient,
    /// The gradient where what [`Self::Gelu`] was given is.
    GeluGradient,
}

/// Where a bias comes from or its gradient goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bias {
    None,
    /// Added to each column of the product.
    Added,
    /// The sums of the rows of D.
    OfD,
    /// The sums of the rows of A.
    OfA,
    /// The sums of the columns of B.
    OfB,
}

/// An epilogue and its arguments.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Epilogue {
    activation: Activation,
    bias: Bias,
    bias_kind: Kind,
    bias_at: usize,
    bias_stride: usize,
    auxiliary: bool,
    aux_kind: Kind,
    aux_at: usize,
    aux_ld: usize,
    aux_stride: usize,
}

impl Epilogue {
    pub(crate) fn new(descriptor: Fields, d: Layout, sums: Sums) -> Result<Self> {
        let (activation, bias, auxiliary) = match descriptor.get::<u32>(product::EPILOGUE) {
            1 => (Activation::None, Bias::None, false),
            2 => (Activation::Relu, Bias::None, false),
            130 => (Activation::Relu, Bias::None, true),
            4 => (Activation::None, Bias::Added, false),
            6 => (Activation::Relu, Bias::Added, false),
            134 => (Activation::Relu, Bias::Added, true),
            136 => (Activation::ReluGradient, Bias::None, true),
            152 => (Activation::ReluGradient, Bias::OfD, true),
            32 => (Activation::Gelu, Bias::None, false),
            160 => (Activation::Gelu, Bias::None, true),
            36 => (Activation::Gelu, Bias::Added, false),
            164 => (Activation::Gelu, Bias::Added, true),
            192 => (Activation::GeluGradient, Bias::None, true),
            208 => (Activation::GeluGradient, Bias::OfD, true),
            256 => (Activation::None, Bias::OfA, false),
            512 => (Activation::None, Bias::OfB, false),
            _ => return Err(Status::INVALID_VALUE),
        };
        let complex = matches!(sums, Sums::ComplexSingle | Sums::ComplexDouble);
        if complex && activation != Activation::None {
            return Err(Status::NOT_SUPPORTED);
        }
        let kind = |attribute, default| match descriptor.get::<i32>(attribute) {
            -1 => Ok(default),
            number => Kind::of_data_type(number as u32).ok_or(Status::NOT_SUPPORTED),
        };
        // Documented: as D, and where D has 8 bits, as wide as can be added to it.
        let bias_default = match d.kind {
            Kind::E4M3 | Kind::E5M2 => Kind::BF16,
            Kind::I8 => Kind::F32,
            other => other,
        };
        let size = |attribute| {
            usize::try_from(descriptor.get::<i64>(attribute)).map_err(|_| Status::INVALID_VALUE)
        };
        let epilogue = Self {
            activation,
            bias,
            bias_kind: kind(product::BIAS_TYPE, bias_default)?,
            bias_at: descriptor.get::<u64>(product::BIAS) as usize,
            bias_stride: size(product::BIAS_STRIDE)?,
            auxiliary,
            aux_kind: kind(product::AUX_TYPE, d.kind)?,
            aux_at: descriptor.get::<u64>(product::AUX) as usize,
            aux_ld: size(product::AUX_LD)?,
            aux_stride: size(product::AUX_STRIDE)?,
        };
        let holds = match sums {
            Sums::Single => f32::holds,
            Sums::Double => f64::holds,
            Sums::ComplexSingle => rgpu_softgpu_math::element::c32::holds,
            Sums::ComplexDouble => rgpu_softgpu_math::element::c64::holds,
        };
        if bias != Bias::None && !holds(epilogue.bias_kind) {
            return Err(Status::NOT_SUPPORTED);
        }
        if auxiliary && !epilogue.has_bits() && !holds(epilogue.aux_kind) {
            return Err(Status::NOT_SUPPORTED);
        }
        Ok(epilogue)
    }

    fn has_bits(self) -> bool {
        matches!(self.activation, Activation::Relu | Activation::ReluGradient)
    }

    /// Whether the product itself is what is stored.
    pub(crate) fn is_none(self) -> bool {
        self.activation == Activation::None && self.bias == Bias::None
    }

    /// With the memory that it needs, checked; for D with `m` rows and `n` columns, `count` times.
    pub(crate) fn attach(self, m: usize, n: usize, count: usize) -> Result<Attached> {
        let bias_length = if self.bias == Bias::OfB { n } else { m };
        let bias = match self.bias {
            Bias::None => None,
            _ => {
                require(self.bias_at != 0)?;
                let all = (count - 1)
                    .saturating_mul(self.bias_stride)
                    .saturating_add(bias_length);
                Some(bytes(
                    self.bias_at,
                    all.saturating_mul(self.bias_kind.bytes()),
                )?)
            }
        };
        let auxiliary = match self.auxiliary {
            false => None,
            true => {
                require(self.aux_at != 0 && self.aux_ld >= m)?;
                let all = |last: usize| {
                    let one = (n - 1).saturating_mul(self.aux_ld).saturating_add(last);
                    (count - 1)
                        .saturating_mul(self.aux_stride)
                        .saturating_add(one)
                };
                let size = match self.has_bits() {
                    true => {
                        // Documented: columns of bits start at multiples of 16 bytes.
                        require(
                            self.aux_ld.is_multiple_of(128) && self.aux_stride.is_multiple_of(8),
                        )?;
                        all(m).div_ceil(8)
                    }
                    false => all(m).saturating_mul(self.aux_kind.bytes()),
                };
                Some(bytes(self.aux_at, size)?)
            }
        };
        Ok(Attached {
            epilogue: self,
            bias,
            auxiliary,
        })
    }
}

fn bytes(address: usize, size: usize) -> queue::Result<Span<u8>> {
    Span::new(std::ptr::with_exposed_provenance(address), size)
}

/// An epilogue and its memory.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attached {
    epilogue: Epilogue,
    bias: Option<Span<u8>>,
    auxiliary: Option<Span<u8>>,
}

impl Attached {
    /// The bias of one of a batch, as a matrix of one column.
    fn bias(&self, index: usize) -> Option<Matrix<u8>> {
        let offset = index * self.epilogue.bias_stride * self.epilogue.bias_kind.bytes();
        let bias = self.bias?.pointer().wrapping_add(offset);
        Some(Matrix::columns(bias, usize::MAX >> 1))
    }

    /// Changes the sums of D, given column after column, of the product number `index`.
    ///
    /// # Safety
    /// `a` has `m` rows and `k` columns, `b` `k` rows and `n` columns.
    pub(crate) unsafe fn apply<S: Dynamic + Activated>(
        &self,
        index: usize,
        sums: &mut [S],
        m: usize,
        k: usize,
        [a, b]: [(Kind, Matrix<u8>); 2],
    ) {
        let n = sums.len() / m;
        let epilogue = self.epilogue;
        if epilogue.bias == Bias::Added
            && let Some(bias) = self.bias(index)
        {
            // SAFETY: `m` elements, which the driver has vouched for.
            let bias = unsafe { S::gather(epilogue.bias_kind, bias, m, 1) };
            for column in sums.chunks_exact_mut(m) {
                for (value, bias) in column.iter_mut().zip(&bias) {
                    *value += *bias;
                }
            }
        }
        // SAFETY: the auxiliary matrix has `m` rows and `n` columns, which the driver has vouched for.
        unsafe { self.activate(index, sums, m) };
        let Some(bias) = self.bias(index) else { return };
        let mut gradient = match epilogue.bias {
            Bias::None | Bias::Added => return,
            Bias::OfD | Bias::OfA => vec![S::zero(); m],
            Bias::OfB => Vec::new(),
        };
        let rows = |values: &[S], gradient: &mut [S]| {
            for column in values.chunks_exact(m) {
                for (sum, value) in gradient.iter_mut().zip(column) {
                    *sum += *value;
                }
            }
        };
        match epilogue.bias {
            Bias::OfD => rows(sums, &mut gradient),
            // SAFETY: the caller's promise.
            Bias::OfA => rows(&unsafe { S::gather(a.0, a.1, m, k) }, &mut gradient),
            Bias::OfB => {
                // SAFETY: the caller's promise.
                let b = unsafe { S::gather(b.0, b.1, k, n) };
                gradient.extend(
                    b.chunks_exact(k)
                        .map(|column| column.iter().fold(S::zero(), |sum, x| sum + *x)),
                );
            }
            Bias::None | Bias::Added => {}
        }
        // SAFETY: as many elements as the gradient has, which the driver has vouched for.
        unsafe { S::scatter(epilogue.bias_kind, &gradient, gradient.len(), bias) };
    }

    /// # Safety
    /// The auxiliary matrix is large enough for `m` rows and as many columns as `sums` has.
    unsafe fn activate<S: Dynamic + Activated>(&self, index: usize, sums: &mut [S], m: usize) {
        let epilogue = self.epilogue;
        let bits = self.auxiliary.map(|span| Bits {
            first: span.pointer().wrapping_add(index * epilogue.aux_stride / 8),
            ld: epilogue.aux_ld,
        });
        let matrix = self.auxiliary.map(|span| {
            let offset = index * epilogue.aux_stride * epilogue.aux_kind.bytes();
            Matrix::columns(span.pointer().wrapping_add(offset), epilogue.aux_ld)
        });
        let n = sums.len() / m;
        match epilogue.activation {
            Activation::None => {}
            Activation::Relu => {
                if let Some(bits) = bits {
                    // SAFETY: the caller's promise.
                    unsafe { bits.write(sums, m) };
                }
                sums.iter_mut().for_each(|value| *value = value.relu());
            }
            Activation::Gelu => {
                if let Some(matrix) = matrix {
                    // SAFETY: the caller's promise.
                    unsafe { S::scatter(epilogue.aux_kind, sums, m, matrix) };
                }
                sums.iter_mut().for_each(|value| *value = value.gelu());
            }
            Activation::ReluGradient => {
                let Some(bits) = bits else { return };
                for (at, value) in sums.iter_mut().enumerate() {
                    // SAFETY: the caller's promise.
                    if !unsafe { bits.get(at % m, at / m) } {
                        *value = S::zero();
                    }
                }
            }
            Activation::GeluGradient => {
                let Some(matrix) = matrix else { return };
                // SAFETY: the caller's promise.
                let inputs = unsafe { S::gather(epilogue.aux_kind, matrix, m, n) };
                for (value, input) in sums.iter_mut().zip(inputs) {
                    *value *= input.gelu_gradient();
                }
            }
        }
    }
}

/// A matrix of bits, column after column.
#[derive(Debug, Clone, Copy)]
struct Bits {
    first: *mut u8,
    ld: usize,
}

impl Bits {
    /// # Safety
    /// The element lies inside.
    unsafe fn get(self, row: usize, column: usize) -> bool {
        let at = column * self.ld + row;
        // SAFETY: the caller's promise.
        unsafe { self.first.add(at / 8).read() >> (at % 8) & 1 == 1 }
    }

    /// One bit for each value that is above 0.
    ///
    /// # Safety
    /// `m` rows and as many columns as there are values lie inside.
    unsafe fn write<S: Activated>(self, values: &[S], m: usize) {
        for (column, values) in values.chunks_exact(m).enumerate() {
            for (byte, values) in values.chunks(8).enumerate() {
                let bits = values.iter().enumerate();
                let bits = bits.fold(0u8, |bits, (at, value)| {
                    bits | u8::from(value.is_above_zero()) << at
                });
                // SAFETY: the caller's promise; columns start at whole bytes.
                unsafe { self.first.add(column * self.ld / 8 + byte).write(bits) };
            }
        }
    }
}

/// Activations. Complex numbers have none, and [`Epilogue::new`] refuses them.
pub(crate) trait Activated: Compute {
    fn relu(self) -> Self;
    fn is_above_zero(self) -> bool;
    fn gelu(self) -> Self;
    fn gelu_gradient(self) -> Self;
}

macro_rules! activated {
    ($($type:ty),*) => {$(
        impl Activated for $type {
            fn relu(self) -> Self {
                let x = self.re();
                if x > 0.0 || x.is_nan() { self } else { Self::default() }
            }

            fn is_above_zero(self) -> bool {
                self.re() > 0.0
            }

            fn gelu(self) -> Self {
                let x = self.re();
                Self::of_real(0.5 * x * (1.0 + (INNER as <Self as Compute>::Real * (x + CUBE as <Self as Compute>::Real * x * x * x)).tanh()))
            }

            fn gelu_gradient(self) -> Self {
                let x = self.re();
                let (inner, cube) = (INNER as <Self as Compute>::Real, CUBE as <Self as Compute>::Real);
                let tanh = (inner * (x + cube * x * x * x)).tanh();
                let slope = inner * (1.0 + 3.0 * cube * x * x);
                Self::of_real(0.5 * (1.0 + tanh) + 0.5 * x * (1.0 - tanh * tanh) * slope)
            }
        }
    )*};
}

/// The square root of 2 / pi.
const INNER: f64 = std::f64::consts::FRAC_2_SQRT_PI * std::f64::consts::FRAC_1_SQRT_2;
const CUBE: f64 = 0.044715;

activated!(
    f32,
    f64,
    rgpu_softgpu_math::element::c32,
    rgpu_softgpu_math::element::c64
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gelu_is_its_published_approximation() {
        assert!((INNER - (2.0 / std::f64::consts::PI).sqrt()).abs() < 1e-15);
        // The exact function, x times the normal distribution's integral, is 0.8413447 at 1 and -0.1586553 at -1.
        assert!((1f64.gelu() - 0.8413447).abs() < 5e-4);
        assert!(((-1f64).gelu() + 0.1586553).abs() < 5e-4);
        assert_eq!(0f64.gelu(), 0.0);
    }

    #[test]
    fn its_gradient_is_the_quotient_of_differences() {
        for x in [-3.0f64, -0.7, 0.0, 0.3, 2.5] {
            let h = 1e-6;
            let slope = ((x + h).gelu() - (x - h).gelu()) / (2.0 * h);
            assert!((x.gelu_gradient() - slope).abs() < 1e-8, "{x}");
        }
    }
}
