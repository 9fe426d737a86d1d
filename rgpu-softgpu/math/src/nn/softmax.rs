//! Softmax over the channels of each position, or over a whole sample.

use super::tensor::{Real, Tensor};
use super::walk::{Loops, Shared, walk};
use super::{Error, Result};

/// The offsets of what is normalised together, in two tensors, and the dimensions of the rest.
fn split(dims: &[usize], whole: bool, [a, b]: [&[usize]; 2]) -> (Vec<[usize; 2]>, Vec<usize>) {
    let together = |dim: usize| dim == 1 || whole && dim > 1;
    let pick = |inner: bool| -> Vec<usize> {
        (0..dims.len())
            .map(|dim| if together(dim) == inner { dims[dim] } else { 1 })
            .collect()
    };
    let loops = Loops::new(&pick(true), [a, b], 0);
    let (len, steps) = loops.inner();
    let mut offsets = Vec::with_capacity(len * loops.rows());
    for row in 0..loops.rows() {
        let [a, b] = loops.start(row);
        offsets.extend((0..len).map(|at| [a + at * steps[0], b + at * steps[1]]));
    }
    (offsets, pick(false))
}

/// `y = alpha * softmax(x) + beta * y`, or its logarithm; over the channels, or the `whole` sample.
pub fn forward<T: Real>(
    log: bool,
    whole: bool,
    (alpha, beta): (f64, f64),
    x: &Tensor,
    y: &Tensor,
) -> Result {
    let (dims, strides) = (&x.layout.dims, &x.layout.strides);
    if *dims != y.layout.dims || dims.len() < 2 {
        return Err(Error::Shape);
    }
    let (offsets, outer) = split(dims, whole, [strides, &y.layout.strides]);
    let input = x.read::<T>();
    let mut output = y.output::<T>(alpha, beta, &[x]);
    let values = Shared::new(output.values());
    walk(
        &outer,
        [strides, &y.layout.strides],
        |[from, to], len, [step, pitch]| {
            for (from, to) in (0..len).map(|at| (from + at * step, to + at * pitch)) {
                let each = || offsets.iter().map(|[at, _]| input[from + at]);
                let most = each().fold(T::neg_infinity(), |most, x| {
                    if x > most || x.is_nan() { x } else { most }
                });
                let sum: f64 = each().map(|x| (x - most).exp().get()).sum();
                for &[a, b] in &offsets {
                    let x = input[from + a] - most;
                    let value = match log {
                        true => x - T::of(sum.ln()),
                        false => T::of(x.exp().get() / sum),
                    };
                    // SAFETY: inside of the output's extent, and every element once.
                    unsafe { values.set(to + b, value) };
                }
            }
        },
    );
    output.finish();
    Ok(())
}

/// `dx = alpha * (gradient of x) + beta * dx`, from the output and its gradient.
pub fn backward<T: Real>(
    log: bool,
    whole: bool,
    (alpha, beta): (f64, f64),
    y: &Tensor,
    dy: &Tensor,
    dx: &Tensor,
) -> Result {
    let dims = &y.layout.dims;
    if *dims != dy.layout.dims || *dims != dx.layout.dims || dims.len() < 2 {
        return Err(Error::Shape);
    }
    let strides = [
        &y.layout.strides[..],
        &dy.layout.strides,
        &dx.layout.strides,
    ];
    let (of_y, outer) = split(dims, whole, [strides[0], strides[1]]);
    // The same order: both are sorted by the strides of y.
    let (of_dx, _) = split(dims, whole, [strides[0], strides[2]]);
    let (output_values, gradient) = (y.read::<T>(), dy.read::<T>());
    let mut output = dx.output::<T>(alpha, beta, &[y, dy]);
    let values = Shared::new(output.values());
    walk(&outer, strides, |[y, dy, dx], len, [sy, sdy, sdx]| {
        for at in 0..len {
            let (y, dy, dx) = (y + at * sy, dy + at * sdy, dx + at * sdx);
            let pair = |&[a, b]: &[usize; 2]| (output_values[y + a], gradient[dy + b]);
            let sum: f64 = of_y
                .iter()
                .map(pair)
                .map(|(y, dy)| if log { dy } else { y * dy }.get())
                .sum();
            for (both, [_, to]) in of_y.iter().zip(&of_dx) {
                let (y, dy) = pair(both);
                let value = match log {
                    true => dy - y.exp() * T::of(sum),
                    false => y * (dy - T::of(sum)),
                };
                // SAFETY: inside of the output's extent, and every element once.
                unsafe { values.set(dx + to, value) };
            }
        }
    });
    output.finish();
    Ok(())
}
