//! Local response normalisation across channels.

use super::tensor::{Real, Tensor};
use super::walk::{Shared, walk};
use super::{Error, Result};

/// `y = x / (k + alpha / width * sum of squares over the window of channels) ^ beta`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Lrn {
    /// Channels in the window.
    pub width: usize,
    /// As in the formula.
    pub alpha: f64,
    /// As in the formula.
    pub beta: f64,
    /// As in the formula.
    pub k: f64,
}

impl Lrn {
    /// The window around a channel: one more ahead than behind if its width is even.
    fn window(&self, channel: usize, channels: usize) -> std::ops::Range<usize> {
        let behind = self.width.saturating_sub(1) / 2;
        let ahead = self.width - behind;
        channel.saturating_sub(behind)..channels.min(channel + ahead)
    }

    /// The channels whose window has `channel`.
    fn reached(&self, channel: usize, channels: usize) -> std::ops::Range<usize> {
        let behind = self.width.saturating_sub(1) / 2;
        let ahead = self.width - 1 - behind;
        channel.saturating_sub(ahead)..channels.min(channel + behind + 1)
    }

    fn scale<T: Real>(&self, channel: usize, channels: usize, x: impl Fn(usize) -> T) -> f64 {
        let squares = self.window(channel, channels).map(|at| x(at).get().powi(2));
        self.k + self.alpha / self.width as f64 * squares.sum::<f64>()
    }
}

/// The same dimensions, but one channel.
fn without_channels(dims: &[usize]) -> Vec<usize> {
    let mut dims = dims.to_vec();
    dims[1] = 1;
    dims
}

/// `y = alpha * lrn(x) + beta * y`.
pub fn forward<T: Real>(lrn: &Lrn, (alpha, beta): (f64, f64), x: &Tensor, y: &Tensor) -> Result {
    let dims = &x.layout.dims;
    if dims.len() < 2 || *dims != y.layout.dims {
        return Err(Error::Shape);
    }
    let channels = dims[1];
    let input = x.read::<T>();
    let mut output = y.output::<T>(alpha, beta, &[x]);
    let values = Shared::new(output.values());
    let steps = [x.layout.strides[1], y.layout.strides[1]];
    let strides = [&x.layout.strides, &y.layout.strides];
    walk(
        &without_channels(dims),
        strides,
        |[from, to], len, [sf, st]| {
            for at in 0..len {
                let x = |channel: usize| input[from + at * sf + channel * steps[0]];
                for channel in 0..channels {
                    let scale = lrn.scale(channel, channels, x);
                    let value = T::of(x(channel).get() * scale.powf(-lrn.beta));
                    // SAFETY: inside of the output's extent, and every element once.
                    unsafe { values.set(to + at * st + channel * steps[1], value) };
                }
            }
        },
    );
    output.finish();
    Ok(())
}

/// `dx = alpha * (gradient of x) + beta * dx`, from output, its gradient and input.
pub fn backward<T: Real>(
    lrn: &Lrn,
    (alpha, beta): (f64, f64),
    [y, dy, x]: [&Tensor; 3],
    dx: &Tensor,
) -> Result {
    let dims = &x.layout.dims;
    if dims.len() < 2 || [y, dy, dx].iter().any(|tensor| tensor.layout.dims != *dims) {
        return Err(Error::Shape);
    }
    let channels = dims[1];
    let [vy, vdy, vx] = [y.read::<T>(), dy.read::<T>(), x.read::<T>()];
    let mut output = dx.output::<T>(alpha, beta, &[y, dy, x]);
    let values = Shared::new(output.values());
    let tensors = [y, dy, x, dx].map(|tensor| &tensor.layout.strides[..]);
    let steps = tensors.map(|strides| strides[1]);
    let factor = 2.0 * lrn.alpha * lrn.beta / lrn.width as f64;
    walk(
        &without_channels(dims),
        tensors,
        |[y, dy, x, dx], len, [sy, sdy, sx, sdx]| {
            for at in 0..len {
                let x = |channel: usize| vx[x + at * sx + channel * steps[2]];
                let dy = |channel: usize| vdy[dy + at * sdy + channel * steps[1]].get();
                let y = |channel: usize| vy[y + at * sy + channel * steps[0]].get();
                let scales: Vec<f64> = (0..channels)
                    .map(|channel| lrn.scale(channel, channels, x))
                    .collect();
                for channel in 0..channels {
                    let reached = lrn.reached(channel, channels);
                    let sum: f64 = reached
                        .map(|other| dy(other) * y(other) / scales[other])
                        .sum();
                    let own = dy(channel) * scales[channel].powf(-lrn.beta);
                    let value = T::of(own - factor * x(channel).get() * sum);
                    // SAFETY: inside of the output's extent, and every element once.
                    unsafe { values.set(dx + at * sdx + channel * steps[3], value) };
                }
            }
        },
    );
    output.finish();
    Ok(())
}
