//! The functions of pointwise operations.

use rgpu_softgpu_math::nn;
use rgpu_softgpu_math::nn::pointwise::{binary, elu, gate, sigmoid, swish_slope, ternary, unary};
use rgpu_softgpu_math::nn::tensor::{Real, Tensor};

use super::descriptor::Descriptor;
use super::names::*;
use crate::status::{Result, Status};

/// A `cudnnPointwiseMode_t` and its parameters.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Function {
    mode: u32,
    lower: f64,
    upper: f64,
    slope: f64,
    alpha: f64,
    softplus: f64,
    swish: f64,
}

impl Function {
    pub(crate) fn new(held: &Descriptor) -> Result<Self> {
        let mode = held.number(POINTWISE_MODE).ok_or(Status::BAD_PARAM)?;
        let real = |name, missing| held.real(name).unwrap_or(missing);
        match mode {
            0..=23 | 100..=107 | 200..=207 | 300..=305 | 400..=402 | 601 => Ok(Self {
                mode,
                lower: real(POINTWISE_RELU_LOWER_CLIP, 0.0),
                upper: real(POINTWISE_RELU_UPPER_CLIP, f64::INFINITY),
                slope: real(POINTWISE_RELU_LOWER_CLIP_SLOPE, 0.0),
                alpha: real(POINTWISE_ELU_ALPHA, 1.0),
                softplus: real(POINTWISE_SOFTPLUS_BETA, 1.0),
                swish: real(POINTWISE_SWISH_BETA, 1.0),
            }),
            501 => Err(Status::NOT_SUPPORTED_GRAPH_PATTERN),
            _ => Err(Status::BAD_PARAM),
        }
    }

    /// Whether it is the sum of two.
    pub(crate) fn adds(self) -> bool {
        self.mode == 0
    }

    /// The operand as it is.
    pub(crate) fn alone(self) -> Self {
        Self { mode: 21, ..self }
    }

    /// How many tensors it takes.
    pub(crate) fn operands(self) -> usize {
        match self.mode {
            4 | 10..=22 | 100..=107 | 402 => 1,
            601 => 3,
            _ => 2,
        }
    }

    /// Whether it is the way back of an activation.
    pub(crate) fn backward(self) -> bool {
        (200..300).contains(&self.mode)
    }

    /// The function of one operand.
    fn one<T: Real>(self, x: T) -> T {
        let of = T::of;
        match self.mode {
            4 => x.sqrt(),
            10 => x.abs(),
            11 => x.ceil(),
            12 => x.cos(),
            13 => x.exp(),
            14 => x.floor(),
            15 => x.ln(),
            16 => -x,
            17 => x.sqrt().recip(),
            18 => x.sin(),
            19 => x.tan(),
            20 => of(erf(x.get())),
            22 => x.recip(),
            100 => self.relu(x),
            101 => x.tanh(),
            102 => sigmoid(x),
            103 => elu(x, of(self.alpha)),
            104 => x * of(normal(x.get())),
            105 => of(softplus(x.get(), self.softplus)),
            106 => x * sigmoid(of(self.swish) * x),
            107 => {
                let inner = approximation(x.get()).0;
                of(0.5 * x.get() * (1.0 + inner.tanh()))
            }
            402 => truth(x == T::zero()),
            _ => x,
        }
    }

    fn relu<T: Real>(self, x: T) -> T {
        let (lower, upper) = (T::of(self.lower), T::of(self.upper));
        if x > upper {
            upper
        } else if x > lower || x.is_nan() {
            x
        } else {
            lower + T::of(self.slope) * (x - lower)
        }
    }

    /// The function of two operands; of the way back, the gradient is the first.
    fn two<T: Real>(self, a: T, b: T) -> T {
        let (one, of) = (T::one(), T::of);
        match self.mode {
            0 => a + b,
            1 => a * b,
            2 => {
                if a < b || a.is_nan() {
                    a
                } else {
                    b
                }
            }
            3 => {
                if a > b || a.is_nan() {
                    a
                } else {
                    b
                }
            }
            5 => a + b * b,
            6 => a / b,
            7 => a % b,
            8 => a.powf(b),
            9 => a - b,
            23 => a.atan2(b),
            200 => {
                let inside = b > of(self.lower) && b < of(self.upper);
                if inside {
                    a
                } else {
                    gate(b <= of(self.lower), a * of(self.slope))
                }
            }
            // Of the output, as cuDNN documents for tanh, sigmoid.
            201 => a * (one - b * b),
            202 => a * b * (one - b),
            203 => {
                if b > T::zero() {
                    a
                } else {
                    a * of(self.alpha) * b.exp()
                }
            }
            204 => {
                let x = b.get();
                a * of(normal(x) + x * (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt())
            }
            205 => a * sigmoid(of(self.softplus) * b),
            206 => a * swish_slope(b, of(self.swish)),
            207 => {
                let x = b.get();
                let (inner, slope) = approximation(x);
                let tanh = inner.tanh();
                a * of(0.5 * (1.0 + tanh) + 0.5 * x * (1.0 - tanh * tanh) * slope)
            }
            300 => truth(a == b),
            301 => truth(a != b),
            302 => truth(a > b),
            303 => truth(a >= b),
            304 => truth(a < b),
            305 => truth(a <= b),
            400 => truth(a != T::zero() && b != T::zero()),
            401 => truth(a != T::zero() || b != T::zero()),
            _ => a,
        }
    }

    /// `y = f(alpha1 * first, alpha2 * second, third)`.
    pub(crate) fn apply<T: Real>(
        self,
        inputs: &[&Tensor],
        y: &Tensor,
        [alpha1, alpha2]: [f64; 2],
    ) -> nn::Result {
        let blend = (1.0, 0.0);
        let (one, two) = (T::of(alpha1), T::of(alpha2));
        let plain = alpha1 == 1.0 && alpha2 == 1.0;
        match (self.mode, inputs) {
            // What most graphs consist of, so that it runs in vectors.
            (0, &[a, b]) if plain => binary(blend, [a, b], y, |a: T, b| a + b),
            (0, &[a, b]) => binary(blend, [a, b], y, |a: T, b| one * a + two * b),
            (1, &[a, b]) => binary(blend, [a, b], y, |a: T, b| (one * a) * (two * b)),
            (21, &[x]) => unary(blend, x, y, |x: T| one * x),
            (100, &[x])
                if plain && (self.lower, self.upper, self.slope) == (0.0, f64::INFINITY, 0.0) =>
            {
                unary(
                    blend,
                    x,
                    y,
                    |x: T| if x <= T::zero() { T::zero() } else { x },
                )
            }
            // The condition is the last operand.
            (601, &[a, b, t]) => ternary(
                blend,
                [a, b, t],
                y,
                |a: T, b, t| if t == T::zero() { b } else { a },
            ),
            (_, &[x]) => unary(blend, x, y, |x: T| self.one(one * x)),
            (_, &[a, b]) => binary(blend, [a, b], y, |a: T, b| self.two(one * a, two * b)),
            _ => Err(nn::Error::Unsupported),
        }
    }
}

fn truth<T: Real>(holds: bool) -> T {
    gate(holds, T::one())
}

/// `ln(1 + exp(beta x)) / beta`, without overflow.
fn softplus(x: f64, beta: f64) -> f64 {
    let x = x * beta;
    (x.max(0.0) + (-x.abs()).exp().ln_1p()) / beta
}

/// The argument of tanh in the approximation of GELU, and its derivative.
fn approximation(x: f64) -> (f64, f64) {
    let root = (2.0 / std::f64::consts::PI).sqrt();
    (
        root * (x + 0.044715 * x * x * x),
        root * (1.0 + 3.0 * 0.044715 * x * x),
    )
}

/// The distribution function of the normal distribution.
fn normal(x: f64) -> f64 {
    0.5 * (1.0 + erf(x * std::f64::consts::FRAC_1_SQRT_2))
}

fn erf(x: f64) -> f64 {
    libm::erf(x)
}
