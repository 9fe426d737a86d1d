//! Batch normalisation, with parameters for each channel (spatial) or for each element of a sample.

use super::pointwise::gate;
use super::reduce::{fold, scatter};
use super::tensor::{Layout, Real, Tensor, Type};
use super::walk::{Shared, walk};
use super::{Error, Result};

/// The parameters of a normalisation, and where its statistics go.
#[derive(Debug, Clone)]
pub struct Training {
    /// Factors.
    pub scale: Tensor,
    /// Terms.
    pub bias: Tensor,
    /// Running mean and variance, and the weight of this batch in them.
    pub running: Option<(Tensor, Tensor, f64)>,
    /// Mean and inverse deviation, for the way back.
    pub saved: Option<(Tensor, Tensor)>,
    /// Added to the variance.
    pub epsilon: f64,
}

/// What comes after the normalisation: another tensor is added, negative values become zero.
#[derive(Debug, Clone, Default)]
pub struct After {
    /// What is added.
    pub add: Option<Tensor>,
    /// Whether negative values become zero.
    pub relu: bool,
}

/// The values of a parameter, in the order of its dimensions.
fn parameter<T: Real>(tensor: &Tensor) -> Vec<f64> {
    let values = tensor.read::<T>();
    let Layout { dims, strides, .. } = &tensor.layout;
    let packed = Layout::packed(Type::F64, dims);
    let mut all = vec![0.0; packed.elements()];
    let target = Shared::new(&mut all);
    walk(
        dims,
        [&packed.strides, strides],
        |[to, from], len, [st, sf]| {
            for at in 0..len {
                // SAFETY: every element of `all` once.
                unsafe { target.set(to + at * st, values[from + at * sf].get()) };
            }
        },
    );
    all
}

/// `y = alpha * after(factor * x + term) + beta * y`; factors and terms in the order of `kept`, the dimensions of the
/// parameters.
fn apply<T: Real>(
    (alpha, beta): (f64, f64),
    x: &Tensor,
    y: &Tensor,
    kept: &[usize],
    [factors, terms]: [Vec<T>; 2],
    after: &After,
) -> Result {
    let dims = &x.layout.dims;
    let parameters = Layout::packed(Type::F64, kept).broadcast(dims)?;
    let added = after.add.as_ref().unwrap_or(x);
    if *dims != y.layout.dims || *dims != added.layout.dims {
        return Err(Error::Shape);
    }
    let (input, other) = (x.read::<T>(), added.read::<T>());
    let mut output = y.output::<T>(alpha, beta, &[x, added]);
    let values = Shared::new(output.values());
    let strides = [
        &y.layout.strides,
        &x.layout.strides,
        &added.layout.strides,
        &parameters,
    ];
    let adds = after.add.is_some();
    let one = |x: T, z: T, factor: T, term: T| {
        let mut value = x * factor + term;
        if adds {
            value += z;
        }
        match after.relu {
            true => gate(value > T::zero(), value),
            false => value,
        }
    };
    walk(dims, strides, |[to, x, z, p], len, steps| match steps {
        [1, 1, 1, pitch @ (0 | 1)] => {
            // SAFETY: inside of the output's extent, and every element once.
            let target = unsafe { values.part(to, len) };
            let (input, other) = (&input[x..x + len], &other[z..z + len]);
            if pitch == 0 {
                let (factor, term) = (factors[p], terms[p]);
                for at in 0..len {
                    target[at] = one(input[at], other[at], factor, term);
                }
            } else {
                let (factors, terms) = (&factors[p..p + len], &terms[p..p + len]);
                for at in 0..len {
                    target[at] = one(input[at], other[at], factors[at], terms[at]);
                }
            }
        }
        [sy, sx, sz, sp] => {
            for at in 0..len {
                let p = p + at * sp;
                let value = one(input[x + at * sx], other[z + at * sz], factors[p], terms[p]);
                // SAFETY: as above.
                unsafe { values.set(to + at * sy, value) };
            }
        }
    });
    output.finish();
    Ok(())
}

/// `scale / deviation` and `bias - mean * that`.
fn line<T: Real>(scale: &[f64], bias: &[f64], mean: &[f64], inverse: &[f64]) -> [Vec<T>; 2] {
    let factors = scale
        .iter()
        .zip(inverse)
        .map(|(scale, inverse)| scale * inverse);
    let terms = factors.clone().zip(bias.iter().zip(mean));
    [
        factors.map(T::of).collect(),
        terms
            .map(|(factor, (bias, mean))| T::of(bias - mean * factor))
            .collect(),
    ]
}

/// With given statistics: `estimated` are mean and variance.
pub fn inference<T: Real>(
    blend: (f64, f64),
    x: &Tensor,
    y: &Tensor,
    [scale, bias, mean, variance]: [&Tensor; 4],
    epsilon: f64,
    after: &After,
) -> Result {
    let kept = &scale.layout.dims;
    let values = [scale, bias, mean, variance].map(parameter::<T>);
    let inverse: Vec<f64> = values[3]
        .iter()
        .map(|variance| 1.0 / (variance + epsilon).sqrt())
        .collect();
    if values.iter().any(|value| value.len() != inverse.len()) {
        return Err(Error::Shape);
    }
    apply::<T>(
        blend,
        x,
        y,
        kept,
        line(&values[0], &values[1], &values[2], &inverse),
        after,
    )
}

/// Mean and variance of the batch.
fn statistics<T: Real>(x: &Tensor, kept: &[usize]) -> Result<(Vec<f64>, Vec<f64>, f64)> {
    let dims = &x.layout.dims;
    let values = x.read::<T>();
    let both = [(&*values, &*x.layout.strides); 2];
    let count = x.layout.elements() as f64 / kept.iter().product::<usize>().max(1) as f64;
    let plain = |a: f64, b: f64| a + b;
    let mut mean = fold(dims, both, kept, 0.0, |sum, _, x, _| sum + x.get(), plain)?;
    mean.iter_mut().for_each(|sum| *sum /= count);
    let square = |sum: f64, at: usize, x: T, _: T| {
        let off = x.get() - mean[at];
        off.mul_add(off, sum)
    };
    let mut variance = fold(dims, both, kept, 0.0, square, plain)?;
    variance.iter_mut().for_each(|sum| *sum /= count);
    Ok((mean, variance, count))
}

/// With the statistics of the batch.
pub fn training<T: Real>(
    blend: (f64, f64),
    x: &Tensor,
    y: &Tensor,
    parameters: &Training,
    after: &After,
) -> Result {
    let kept = &parameters.scale.layout.dims;
    let (mean, variance, count) = statistics::<T>(x, kept)?;
    let (scale, bias) = (
        parameter::<T>(&parameters.scale),
        parameter::<T>(&parameters.bias),
    );
    if scale.len() != mean.len() || bias.len() != mean.len() {
        return Err(Error::Shape);
    }
    let epsilon = parameters.epsilon;
    let inverse: Vec<f64> = variance
        .iter()
        .map(|variance| 1.0 / (variance + epsilon).sqrt())
        .collect();
    apply::<T>(
        blend,
        x,
        y,
        kept,
        line(&scale, &bias, &mean, &inverse),
        after,
    )?;
    if let Some((running_mean, running_variance, weight)) = &parameters.running {
        let unbiased = if count > 1.0 {
            count / (count - 1.0)
        } else {
            1.0
        };
        let blend = (*weight, 1.0 - weight);
        scatter::<T>(&mean, blend, running_mean, &[], |value| value);
        scatter::<T>(&variance, blend, running_variance, &[], |value| {
            value * unbiased
        });
    }
    if let Some((saved_mean, saved_inverse)) = &parameters.saved {
        scatter::<T>(&mean, (1.0, 0.0), saved_mean, &[], |value| value);
        scatter::<T>(&inverse, (1.0, 0.0), saved_inverse, &[], |value| value);
    }
    Ok(())
}

/// The tensors of the way back.
#[derive(Debug, Clone)]
pub struct Backward {
    /// The input.
    pub x: Tensor,
    /// The gradient of the output.
    pub dy: Tensor,
    /// The output, if negative values became zero.
    pub relu: Option<Tensor>,
    /// The gradient of the input.
    pub dx: Tensor,
    /// The gradient of what was added.
    pub dz: Option<Tensor>,
    /// Factors.
    pub scale: Tensor,
    /// The gradient of the factors.
    pub dscale: Tensor,
    /// The gradient of the terms.
    pub dbias: Tensor,
    /// Mean and inverse deviation, if they were saved.
    pub saved: Option<(Tensor, Tensor)>,
    /// Added to the variance.
    pub epsilon: f64,
}

/// Gradients of input and parameters; how each is blended with what is there.
pub fn backward<T: Real>(data: (f64, f64), parameters: (f64, f64), all: &Backward) -> Result {
    let Backward { x, dx, scale, .. } = all;
    let (dims, kept) = (&x.layout.dims, &scale.layout.dims);
    if *dims != all.dy.layout.dims || *dims != dx.layout.dims {
        return Err(Error::Shape);
    }
    // What was cut off has no gradient.
    let masked;
    let mut memory;
    let dy = match &all.relu {
        None => &all.dy,
        Some(y) => {
            let layout = Layout {
                kind: T::KIND,
                ..all.dy.layout.clone()
            };
            memory = vec![T::default(); layout.extent()];
            // SAFETY: the memory outlives the tensor.
            masked = unsafe { Tensor::trusted(layout, memory.as_mut_ptr().cast()) };
            super::pointwise::binary((1.0, 0.0), [y, &all.dy], &masked, |y: T, dy| {
                gate(y > T::zero(), dy)
            })?;
            &masked
        }
    };
    let (mean, inverse) = match &all.saved {
        Some((mean, inverse)) => (parameter::<T>(mean), parameter::<T>(inverse)),
        None => {
            let (mean, variance, _) = statistics::<T>(x, kept)?;
            (
                mean,
                variance
                    .iter()
                    .map(|variance| 1.0 / (variance + all.epsilon).sqrt())
                    .collect(),
            )
        }
    };
    let factor = parameter::<T>(scale);
    if mean.len() != factor.len() || inverse.len() != factor.len() {
        return Err(Error::Shape);
    }
    let (input, gradient) = (x.read::<T>(), dy.read::<T>());
    let both = [
        (&*gradient, &*dy.layout.strides),
        (&*input, &*x.layout.strides),
    ];
    let plain = |a: f64, b: f64| a + b;
    let dbias = fold(dims, both, kept, 0.0, |sum, _, dy, _| sum + dy.get(), plain)?;
    let along = |sum: f64, at: usize, dy: T, x: T| dy.get().mul_add(x.get() - mean[at], sum);
    let mut dscale = fold(dims, both, kept, 0.0, along, plain)?;
    dscale
        .iter_mut()
        .zip(&inverse)
        .for_each(|(sum, inverse)| *sum *= inverse);

    let count = x.layout.elements() as f64 / kept.iter().product::<usize>().max(1) as f64;
    // dx = a * dy + b * x + c, for each parameter.
    let lines: Vec<[T; 3]> = (0..factor.len())
        .map(|at| {
            let a = factor[at] * inverse[at];
            let b = -a * inverse[at] * dscale[at] / count;
            [a, b, -a * dbias[at] / count - b * mean[at]].map(T::of)
        })
        .collect();
    let to_lines = Layout::packed(Type::F64, kept).broadcast(dims)?;
    let mut output = dx.output::<T>(data.0, data.1, &[x, dy]);
    let values = Shared::new(output.values());
    let strides = [
        &dx.layout.strides,
        &dy.layout.strides,
        &x.layout.strides,
        &to_lines,
    ];
    walk(dims, strides, |[to, dy, x, p], len, [st, sd, sx, sp]| {
        for at in 0..len {
            let [a, b, c] = lines[p + at * sp];
            let value = a * gradient[dy + at * sd] + b * input[x + at * sx] + c;
            // SAFETY: inside of the output's extent, and every element once.
            unsafe { values.set(to + at * st, value) };
        }
    });
    if let Some(dz) = &all.dz {
        super::pointwise::unary(data, dy, dz, |dy: T| dy)?;
    }
    drop((input, gradient));
    output.finish();
    scatter::<T>(&dscale, parameters, &all.dscale, &[], |value| value);
    scatter::<T>(&dbias, parameters, &all.dbias, &[], |value| value);
    Ok(())
}
