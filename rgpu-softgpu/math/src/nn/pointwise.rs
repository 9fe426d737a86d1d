//! Functions of elements. Tensors with one element along a dimension are repeated along it.

use super::tensor::{Real, Tensor};
use super::walk::{Shared, walk};
use super::{Error, Result};

/// `y = alpha * f(x) + beta * y`.
pub fn unary<T: Real>(
    (alpha, beta): (f64, f64),
    x: &Tensor,
    y: &Tensor,
    f: impl Fn(T) -> T + Sync,
) -> Result {
    ternary((alpha, beta), [x, x, x], y, |x, _, _| f(x))
}

/// `y = alpha * f(a, b) + beta * y`.
pub fn binary<T: Real>(
    (alpha, beta): (f64, f64),
    [a, b]: [&Tensor; 2],
    y: &Tensor,
    f: impl Fn(T, T) -> T + Sync,
) -> Result {
    ternary((alpha, beta), [a, b, a], y, |a, b, _| f(a, b))
}

/// `y = alpha * f(a, b, c) + beta * y`.
pub fn ternary<T: Real>(
    (alpha, beta): (f64, f64),
    [a, b, c]: [&Tensor; 3],
    y: &Tensor,
    f: impl Fn(T, T, T) -> T + Sync,
) -> Result {
    let dims = &y.layout.dims;
    let [va, vb, vc] = [a.read::<T>(), b.read::<T>(), c.read::<T>()];
    let strides = |tensor: &Tensor| tensor.layout.broadcast(dims);
    let strides = [
        y.layout.strides.clone(),
        strides(a)?,
        strides(b)?,
        strides(c)?,
    ];
    let mut output = y.output::<T>(alpha, beta, &[a, b, c]);
    let values = Shared::new(output.values());
    walk(dims, strides, |[to, a, b, c], len, [step, sa, sb, sc]| {
        if step == 1 && [sa, sb, sc].iter().all(|&step| step == 1) {
            // SAFETY: inside of the output's extent, and every element once.
            let target = unsafe { values.part(to, len) };
            let (va, vb, vc) = (&va[a..a + len], &vb[b..b + len], &vc[c..c + len]);
            for at in 0..len {
                target[at] = f(va[at], vb[at], vc[at]);
            }
            return;
        }
        for at in 0..len {
            let value = f(va[a + at * sa], vb[b + at * sb], vc[c + at * sc]);
            // SAFETY: as above.
            unsafe { values.set(to + at * step, value) };
        }
    });
    output.finish();
    Ok(())
}

/// Every element becomes `value`.
pub fn fill<T: Real>(y: &Tensor, value: f64) {
    let mut output = y.output::<T>(1.0, 0.0, &[]);
    let values = Shared::new(output.values());
    walk(&y.layout.dims, [&y.layout.strides], |[to], len, [step]| {
        for at in 0..len {
            // SAFETY: inside of the output's extent, and every element once.
            unsafe { values.set(to + at * step, T::of(value)) };
        }
    });
    output.finish();
}

/// An activation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Activation {
    /// `1 / (1 + exp(-x))`.
    Sigmoid,
    /// What is positive; not-a-numbers pass if so wished.
    Relu {
        /// Whether they do.
        nan: bool,
    },
    /// The hyperbolic tangent.
    Tanh,
    /// What is positive, up to a limit.
    Clipped {
        /// The limit.
        limit: f64,
        /// Whether not-a-numbers pass.
        nan: bool,
    },
    /// `alpha * (exp(x) - 1)` for what is negative.
    Elu {
        /// The factor.
        alpha: f64,
    },
    /// Nothing.
    Identity,
    /// `x * sigmoid(beta * x)`.
    Swish {
        /// The factor.
        beta: f64,
    },
}

/// `1 / (1 + exp(-x))`, without overflow.
pub fn sigmoid<T: Real>(x: T) -> T {
    T::one() / (T::one() + (-x).exp())
}

fn positive<T: Real>(x: T, nan: bool) -> T {
    match x > T::zero() || nan && x.is_nan() {
        true => x,
        false => T::zero(),
    }
}

/// `y = alpha * activation(x) + beta * y`.
pub fn activate<T: Real>(
    activation: Activation,
    blend: (f64, f64),
    x: &Tensor,
    y: &Tensor,
) -> Result {
    match activation {
        Activation::Sigmoid => unary(blend, x, y, sigmoid::<T>),
        Activation::Relu { nan } => unary(blend, x, y, |x: T| positive(x, nan)),
        Activation::Tanh => unary(blend, x, y, T::tanh),
        Activation::Clipped { limit, nan } => unary(blend, x, y, |x: T| {
            let positive = positive(x, nan);
            match positive > T::of(limit) {
                true => T::of(limit),
                false => positive,
            }
        }),
        Activation::Elu { alpha } => unary(blend, x, y, |x: T| elu(x, T::of(alpha))),
        Activation::Identity => unary(blend, x, y, |x: T| x),
        Activation::Swish { beta } => unary(blend, x, y, |x: T| x * sigmoid(T::of(beta) * x)),
    }
}

/// `alpha * (exp(x) - 1)` for what is negative.
pub fn elu<T: Real>(x: T, alpha: T) -> T {
    match x > T::zero() {
        true => x,
        false => alpha * x.exp_m1(),
    }
}

/// `dx = alpha * (gradient of x) + beta * dx`, from output, its gradient, and input.
pub fn activate_backward<T: Real>(
    activation: Activation,
    blend: (f64, f64),
    y: Option<&Tensor>,
    dy: &Tensor,
    x: Option<&Tensor>,
    dx: &Tensor,
) -> Result {
    let one = T::one();
    let y_or = y.or(x).ok_or(Error::Unsupported)?;
    let x_or = x.or(y).ok_or(Error::Unsupported)?;
    let of_y = [y_or, dy];
    match activation {
        Activation::Sigmoid => binary(blend, of_y, dx, |y: T, dy| dy * y * (one - y)),
        Activation::Relu { .. } => binary(blend, of_y, dx, |y: T, dy| gate(y > T::zero(), dy)),
        Activation::Tanh => binary(blend, of_y, dx, |y: T, dy| dy * (one - y * y)),
        Activation::Clipped { limit, .. } => binary(blend, [x_or, dy], dx, |x: T, dy| {
            gate(x > T::zero() && x < T::of(limit), dy)
        }),
        Activation::Elu { alpha } => binary(blend, of_y, dx, |y: T, dy| match y > T::zero() {
            true => dy,
            false => dy * (y + T::of(alpha)),
        }),
        Activation::Identity => unary(blend, dy, dx, |dy: T| dy),
        Activation::Swish { beta } => {
            let x = x.ok_or(Error::Unsupported)?;
            binary(blend, [x, dy], dx, |x: T, dy| {
                dy * swish_slope(x, T::of(beta))
            })
        }
    }
}

/// The derivative of `x * sigmoid(beta * x)`.
pub fn swish_slope<T: Real>(x: T, beta: T) -> T {
    let s = sigmoid(beta * x);
    s + beta * x * s * (T::one() - s)
}

/// The value, if it passes.
pub fn gate<T: Real>(passes: bool, value: T) -> T {
    match passes {
        true => value,
        false => T::zero(),
    }
}
