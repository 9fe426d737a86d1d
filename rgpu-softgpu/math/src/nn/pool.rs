//! Pooling: the largest or the mean of a window.

use rayon::prelude::*;

use super::tensor::{Layout, Real, Tensor};
use super::walk::Shared;
use super::window::{Position, Window, dot, three};
use super::{Error, Result};

/// Channels that are done together where they lie side by side.
const LANES: usize = 16;

/// What becomes of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Its largest element.
    Max,
    /// Its mean, what lies outside counted as zeros.
    AverageAll,
    /// The mean of what lies inside.
    AverageInside,
}

/// The parameters of a pooling, one per spatial dimension.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pooling {
    /// What becomes of a window.
    pub mode: Mode,
    /// Its size.
    pub window: Vec<usize>,
    /// Elements outside of the input in front.
    pub pad: Vec<usize>,
    /// Steps from one window to the next.
    pub stride: Vec<usize>,
    /// Whether a window with a not-a-number gives one.
    pub nan: bool,
}

impl Pooling {
    /// The dimensions of the output.
    pub fn output(&self, input: &[usize]) -> Result<Vec<usize>> {
        if input.len() != self.window.len() + 2 {
            return Err(Error::Shape);
        }
        let mut dims = input[..2].to_vec();
        for at in 0..self.window.len() {
            let padded = input[at + 2] + 2 * self.pad[at];
            let room = padded.checked_sub(self.window[at]).ok_or(Error::Shape)?;
            dims.push(room / self.stride[at].max(1) + 1);
        }
        Ok(dims)
    }
}

/// The channels of an image that are done together.
#[derive(Debug, Clone, Copy)]
struct Lanes {
    image: usize,
    channel: usize,
    count: usize,
}

impl Lanes {
    /// Of all images and channels; side by side in `layout`, or one by one.
    fn all(layout: &Layout) -> Vec<Self> {
        let (images, channels) = (layout.dims[0], layout.dims[1]);
        let step = if layout.strides[1] == 1 { LANES } else { 1 };
        let of_image = |image| {
            (0..channels).step_by(step).map(move |channel| Self {
                image,
                channel,
                count: step.min(channels - channel),
            })
        };
        (0..images).flat_map(of_image).collect()
    }

    fn start(self, layout: &Layout) -> usize {
        self.image * layout.strides[0] + self.channel * layout.strides[1]
    }
}

fn geometry(pooling: &Pooling, x: &Layout, y: &Layout) -> Result<Window> {
    let rank = pooling.window.len();
    if x.dims.len() != rank + 2 || y.dims.len() != rank + 2 || x.dims[..2] != y.dims[..2] {
        return Err(Error::Shape);
    }
    let [depth, height, width] = three(&pooling.window, 1)?;
    let pad = three(&pooling.pad, 0)?;
    let mut shifts = Vec::with_capacity(depth * height * width);
    for z in 0..depth {
        for y in 0..height {
            for x in 0..width {
                let at = [z, y, x];
                shifts.push(std::array::from_fn(|dim| {
                    at[dim] as isize - pad[dim] as isize
                }));
            }
        }
    }
    Ok(Window {
        output: three(&y.dims[2..], 1)?,
        input: three(&x.dims[2..], 1)?,
        stride: three(&pooling.stride, 1)?,
        shifts,
    })
}

fn strides(layout: &Layout) -> Result<Position> {
    three(&layout.strides[2..], 0)
}

/// `y = alpha * pooling(x) + beta * y`.
pub fn forward<T: Real>(
    pooling: &Pooling,
    (alpha, beta): (f64, f64),
    x: &Tensor,
    y: &Tensor,
) -> Result {
    let window = geometry(pooling, &x.layout, &y.layout)?;
    let (from, to) = (strides(&x.layout)?, strides(&y.layout)?);
    let (step_in, step_out) = (x.layout.strides[1], y.layout.strides[1]);
    let input = x.read::<T>();
    let mut output = y.output::<T>(alpha, beta, &[x]);
    let values = Shared::new(output.values());
    let max = pooling.mode == Mode::Max;
    Lanes::all(&x.layout).into_par_iter().for_each(|lanes| {
        let (source, target) = (lanes.start(&x.layout), lanes.start(&y.layout));
        for position in (0..window.positions()).map(|number| window.position(number)) {
            let mut sums = [if max { T::neg_infinity() } else { T::zero() }; LANES];
            let mut seen = 0;
            for &shift in &window.shifts {
                let Some(at) = window.sees(position, shift) else {
                    continue;
                };
                seen += 1;
                let first = source + dot(at, from);
                for (lane, sum) in sums[..lanes.count].iter_mut().enumerate() {
                    let value = input[first + lane * step_in];
                    if !max {
                        *sum += value;
                    } else if value > *sum || pooling.nan && value.is_nan() {
                        *sum = value;
                    }
                }
            }
            let share = share(pooling.mode, window.shifts.len(), seen);
            for (lane, sum) in sums[..lanes.count].iter().enumerate() {
                let value = if max { *sum } else { *sum * T::of(share) };
                // SAFETY: inside of the output's extent, and every element once.
                unsafe { values.set(target + dot(position, to) + lane * step_out, value) };
            }
        }
    });
    output.finish();
    Ok(())
}

fn share(mode: Mode, all: usize, seen: usize) -> f64 {
    match mode {
        Mode::Max => 1.0,
        Mode::AverageAll => 1.0 / all as f64,
        Mode::AverageInside => 1.0 / seen.max(1) as f64,
    }
}

/// `dx = alpha * (gradient of x) + beta * dx`. The first of several largest elements has the gradient.
pub fn backward<T: Real>(
    pooling: &Pooling,
    (alpha, beta): (f64, f64),
    dy: &Tensor,
    x: &Tensor,
    dx: &Tensor,
) -> Result {
    let window = geometry(pooling, &x.layout, &dy.layout)?;
    if x.layout.dims != dx.layout.dims {
        return Err(Error::Shape);
    }
    let (of_x, of_dx, of_dy) = (
        strides(&x.layout)?,
        strides(&dx.layout)?,
        strides(&dy.layout)?,
    );
    let step = [&x.layout, &dx.layout, &dy.layout].map(|layout| layout.strides[1]);
    let (input, gradient) = (x.read::<T>(), dy.read::<T>());
    let mut output = dx.output::<T>(alpha, beta, &[dy, x]);
    let values = Shared::new(output.values());
    Lanes::all(&dx.layout).into_par_iter().for_each(|lanes| {
        let [source, target, above] =
            [&x.layout, &dx.layout, &dy.layout].map(|layout| lanes.start(layout));
        let own = 0..lanes.count;
        let inputs = Window {
            output: window.input,
            ..window.clone()
        };
        for position in (0..inputs.positions()).map(|number| inputs.position(number)) {
            for lane in own.clone() {
                // SAFETY: inside of the output's extent; these lanes are this thread's.
                unsafe { values.set(target + dot(position, of_dx) + lane * step[1], T::zero()) };
            }
        }
        for position in (0..window.positions()).map(|number| window.position(number)) {
            let first = above + dot(position, of_dy);
            let seen = window
                .shifts
                .iter()
                .filter_map(|&shift| window.sees(position, shift));
            if pooling.mode == Mode::Max {
                for lane in own.clone() {
                    let mut largest: Option<(T, Position)> = None;
                    for at in seen.clone() {
                        let value = input[source + dot(at, of_x) + lane * step[0]];
                        if largest
                            .is_none_or(|(most, _)| value > most || pooling.nan && value.is_nan())
                        {
                            largest = Some((value, at));
                        }
                    }
                    let Some((_, at)) = largest else { continue };
                    let at = target + dot(at, of_dx) + lane * step[1];
                    // SAFETY: as above.
                    unsafe { values.set(at, values.get(at) + gradient[first + lane * step[2]]) };
                }
                continue;
            }
            let share = T::of(share(
                pooling.mode,
                window.shifts.len(),
                seen.clone().count(),
            ));
            for at in seen {
                for lane in own.clone() {
                    let at = target + dot(at, of_dx) + lane * step[1];
                    // SAFETY: as above.
                    unsafe {
                        values.set(
                            at,
                            values.get(at) + share * gradient[first + lane * step[2]],
                        )
                    };
                }
            }
        }
    });
    output.finish();
    Ok(())
}
