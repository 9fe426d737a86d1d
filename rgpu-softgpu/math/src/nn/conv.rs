//! Convolutions: forwards, and backwards by data and by filter. One to three dimensions, groups, dilation, any strides.
//!
//! All three are products by [`Panels`]. Positions whose window reaches over the edge of the input look at a copy
//! that has zeros there; the others look at the input itself. The gradient by data is, for each remainder of its
//! position by the stride, a convolution of the output's gradient with those taps of the filter that reach it.

use rayon::prelude::*;

use super::product::{Panels, Tile};
use super::tensor::{Layout, Tensor};
use super::walk::Shared;
use super::window::{Position, Run, Window, count, dot, three};
use super::{Error, Result};

/// Positions that are computed together: what they look at stays in the fastest cache.
const BLOCK: usize = 96;
/// More of them, where each looks at few elements, so that finding out where costs little.
const WIDEST: usize = 960;
/// Positions that are worth a product of their own, to save a copy of the results.
const LONG: usize = 48;
/// Memory for partial sums of a filter's gradient.
const PARTIAL: usize = 64 << 20;

/// The parameters of a convolution, one per spatial dimension.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Convolution {
    /// Zeros in front.
    pub pad: Vec<usize>,
    /// Zeros behind; only the shape of the output depends on them.
    pub post: Vec<usize>,
    /// Steps from one position to the next.
    pub stride: Vec<usize>,
    /// Steps from one tap to the next.
    pub dilation: Vec<usize>,
    /// A convolution in the sense of mathematics: the filter is mirrored. Else it is a correlation.
    pub mirrored: bool,
}

impl Convolution {
    /// The dimensions of the output.
    pub fn output(&self, input: &[usize], filter: &[usize]) -> Result<Vec<usize>> {
        let rank = self.pad.len();
        if input.len() != rank + 2 || filter.len() != rank + 2 {
            return Err(Error::Shape);
        }
        let mut dims = vec![input[0], filter[0]];
        for at in 0..rank {
            let seen = self.dilation[at] * (filter[at + 2].checked_sub(1).ok_or(Error::Shape)?) + 1;
            let padded = input[at + 2] + self.pad[at] + self.post[at];
            let room = padded.checked_sub(seen).ok_or(Error::Shape)?;
            dims.push(room / self.stride[at].max(1) + 1);
        }
        Ok(dims)
    }
}

/// One of the two tensors with spatial dimensions.
#[derive(Debug, Clone, Copy)]
struct Side {
    batch: usize,
    channels: usize,
    size: Position,
    batch_stride: usize,
    channel_stride: usize,
    strides: Position,
}

impl Side {
    fn new(layout: &Layout) -> Result<Self> {
        if layout.dims.len() < 3 || layout.dims.len() > 5 {
            return Err(Error::Unsupported);
        }
        Ok(Self {
            batch: layout.dims[0],
            channels: layout.dims[1],
            size: three(&layout.dims[2..], 1)?,
            batch_stride: layout.strides[0],
            channel_stride: layout.strides[1],
            strides: three(&layout.strides[2..], 0)?,
        })
    }
}

/// A checked convolution: `x` is the input, `y` the output, `w` the filter.
#[derive(Debug)]
struct Geometry {
    x: Side,
    y: Side,
    /// The filter's channels are the input's divided by the groups.
    w: Side,
    groups: usize,
    pad: Position,
    stride: Position,
    dilation: Position,
    mirrored: bool,
}

impl Geometry {
    fn new(conv: &Convolution, x: &Layout, w: &Layout, y: &Layout) -> Result<Self> {
        let (x, w, y) = (Side::new(x)?, Side::new(w)?, Side::new(y)?);
        let geometry = Self {
            groups: x.channels.checked_div(w.channels).unwrap_or(0),
            x,
            y,
            w,
            pad: three(&conv.pad, 0)?,
            stride: three(&conv.stride, 1)?,
            dilation: three(&conv.dilation, 1)?,
            mirrored: conv.mirrored,
        };
        let groups = geometry.groups;
        let fits = groups > 0
            && w.channels * groups == x.channels
            && w.batch.is_multiple_of(groups)
            && y.channels == w.batch
            && x.batch == y.batch
            && geometry
                .stride
                .iter()
                .chain(&geometry.dilation)
                .all(|&step| step > 0);
        // Every position of the output starts inside of the padded input.
        match fits {
            true => Ok(geometry),
            false => Err(Error::Shape),
        }
    }

    /// The taps of the filter: where each is in it, and how far from the window's position it looks.
    fn taps(&self) -> Vec<(usize, [isize; 3])> {
        let [depth, height, width] = self.w.size;
        let mut taps = Vec::with_capacity(depth * height * width);
        for z in 0..depth {
            for y in 0..height {
                for x in 0..width {
                    let tap = [z, y, x];
                    let stored = match self.mirrored {
                        true => std::array::from_fn(|dim| self.w.size[dim] - 1 - tap[dim]),
                        false => tap,
                    };
                    let shift = std::array::from_fn(|dim| {
                        (tap[dim] * self.dilation[dim]) as isize - self.pad[dim] as isize
                    });
                    taps.push((dot(stored, self.w.strides), shift));
                }
            }
        }
        taps
    }

    fn window(&self, taps: &[(usize, [isize; 3])]) -> Window {
        Window {
            output: self.y.size,
            input: self.x.size,
            stride: self.stride,
            shifts: taps.iter().map(|&(_, shift)| shift).collect(),
        }
    }
}

/// How blocks of positions look at one image of the input.
struct Looking<'a, T> {
    window: &'a Window,
    side: Side,
    channels: usize,
    /// For each shift and channel: how far from the lowest of them.
    taps: Vec<usize>,
    /// The lowest of them, relative to the position.
    lowest: isize,
    image: &'a [T],
}

impl<'a, T: Tile> Looking<'a, T> {
    fn new(window: &'a Window, side: Side, channels: usize, image: &'a [T]) -> Self {
        let reach = |shift: &[isize; 3]| -> isize {
            shift
                .iter()
                .zip(side.strides)
                .map(|(&by, stride)| by * stride as isize)
                .sum()
        };
        let lowest = window.shifts.iter().map(reach).min().unwrap_or(0);
        let mut taps = Vec::with_capacity(window.shifts.len() * channels);
        for shift in &window.shifts {
            let base = (reach(shift) - lowest) as usize;
            taps.extend((0..channels).map(|channel| base + channel * side.channel_stride));
        }
        Self {
            window,
            side,
            channels,
            taps,
            lowest,
            image,
        }
    }

    /// Where positions whose windows lie inside start to look.
    fn starts(&self, runs: &[Run], rows: &mut Vec<usize>) {
        let steps = std::array::from_fn(|dim| self.window.stride[dim] * self.side.strides[dim]);
        rows.clear();
        for run in runs {
            let lowest = |place: usize| (place as isize + self.lowest) as usize;
            rows.extend(run.places(steps).map(lowest));
        }
    }

    /// What positions see, one after the other, and where each starts.
    fn copies(&self, runs: &[Run], seen: &mut Vec<T>, rows: &mut Vec<usize>) {
        seen.clear();
        for position in runs.iter().flat_map(|run| run.positions()) {
            self.copy(position, seen);
        }
        rows.clear();
        rows.extend((0..count(runs)).map(|row| row * self.taps.len()));
    }

    /// Appends what a position sees, zeros outside.
    fn copy(&self, position: Position, seen: &mut Vec<T>) {
        for &shift in &self.window.shifts {
            match self.window.sees(position, shift) {
                Some(at) => {
                    let base = dot(at, self.side.strides);
                    let channels =
                        (0..self.channels).map(|channel| channel * self.side.channel_stride);
                    seen.extend(channels.map(|channel| self.image[base + channel]));
                }
                None => seen.extend((0..self.channels).map(|_| T::zero())),
            }
        }
    }
}

/// Where the results of a window's positions go: at `start`, `steps` apart.
#[derive(Debug, Clone, Copy)]
struct Target {
    start: usize,
    steps: Position,
    channels: usize,
    channel_stride: usize,
}

/// Works that are done on blocks of positions, reused from block to block.
struct Scratch<T> {
    inside: Vec<Run>,
    border: Vec<Run>,
    rows: Vec<usize>,
    seen: Vec<T>,
    results: Vec<T>,
}

impl<T> Default for Scratch<T> {
    fn default() -> Self {
        Self {
            inside: Vec::new(),
            border: Vec::new(),
            rows: Vec::new(),
            seen: Vec::new(),
            results: Vec::new(),
        }
    }
}

/// Computes the positions `from..to` of one image and group.
fn block<T: Tile>(
    looking: &Looking<'_, T>,
    panels: &Panels<T>,
    target: Target,
    output: Shared<'_, T>,
    (from, to): (usize, usize),
    scratch: &mut Scratch<T>,
) {
    let Scratch {
        inside,
        border,
        rows,
        seen,
        results,
    } = scratch;
    looking.window.sort(from, to, inside, border);
    results.resize((to - from) * panels.pitch(), T::zero());
    // Long rows of results that lie without gaps are computed where they belong.
    let dense = target.channel_stride == 1
        && target.channels == panels.pitch()
        && target.steps[2] == target.channels;
    if dense {
        inside.retain(|run| {
            if run.count < LONG {
                return true;
            }
            looking.starts(&[*run], rows);
            let start = target.start + dot(run.first, target.steps);
            // SAFETY: inside of the output's extent, and every position is written by one thread.
            let output = unsafe { output.part(start, run.count * target.channels) };
            panels.multiply(looking.image, rows, &looking.taps, output, false);
            false
        });
    }
    if !inside.is_empty() {
        looking.starts(inside, rows);
        panels.multiply(looking.image, rows, &looking.taps, results, false);
        put(inside, results, panels.pitch(), target, output);
    }
    if !border.is_empty() {
        looking.copies(border, seen, rows);
        let taps: Vec<usize> = (0..looking.taps.len()).collect();
        panels.multiply(seen, rows, &taps, results, false);
        put(border, results, panels.pitch(), target, output);
    }
}

fn put<T: Tile>(runs: &[Run], results: &[T], pitch: usize, target: Target, output: Shared<'_, T>) {
    let mut results = results;
    for run in runs {
        let start = target.start + dot(run.first, target.steps);
        let step = target.steps[2];
        if target.channel_stride == 1 {
            for (row, results) in results.chunks_exact(pitch).take(run.count).enumerate() {
                // SAFETY: inside of the output's extent, and every position is written by one thread.
                let output = unsafe { output.part(start + row * step, target.channels) };
                output.copy_from_slice(&results[..target.channels]);
            }
        } else {
            for channel in 0..target.channels {
                let column = results[channel..].iter().step_by(pitch).take(run.count);
                let start = start + channel * target.channel_stride;
                for (row, &value) in column.enumerate() {
                    // SAFETY: as above.
                    unsafe { output.set(start + row * step, value) };
                }
            }
        }
        results = &results[run.count * pitch..];
    }
}

/// All positions of all images and groups.
#[expect(clippy::too_many_arguments, reason = "both sides of a convolution")]
fn all<T: Tile>(
    window: &Window,
    from: Side,
    from_channels: usize,
    input: &[T],
    to: Side,
    to_channels: usize,
    (start, steps): (usize, Position),
    panels: &[Panels<T>],
    output: Shared<'_, T>,
) {
    let positions = window.positions();
    let depth = (window.shifts.len() * from_channels).max(1);
    let wide = (BLOCK * 64 / depth).clamp(BLOCK, WIDEST);
    let blocks = positions.div_ceil(wide);
    let groups = panels.len();
    (0..from.batch * groups * blocks)
        .into_par_iter()
        .for_each_init(Scratch::default, |scratch, task| {
            let (image, group, block_at) = (
                task / blocks / groups,
                task / blocks % groups,
                task % blocks,
            );
            let first = image * from.batch_stride + group * from_channels * from.channel_stride;
            let looking = Looking::new(window, from, from_channels, &input[first..]);
            let target = Target {
                start: start + image * to.batch_stride + group * to_channels * to.channel_stride,
                steps,
                channels: to_channels,
                channel_stride: to.channel_stride,
            };
            let range = (block_at * wide, positions.min((block_at + 1) * wide));
            block(&looking, &panels[group], target, output, range, scratch);
        });
}

/// `y = alpha * conv(x, w) + beta * y`.
pub fn forward<T: Tile>(
    conv: &Convolution,
    (alpha, beta): (f64, f64),
    x: &Tensor,
    w: &Tensor,
    y: &Tensor,
) -> Result {
    let geometry = Geometry::new(conv, &x.layout, &w.layout, &y.layout)?;
    let (input, filter) = (x.read::<T>(), w.read::<T>());
    let mut output = y.output::<T>(alpha, beta, &[x, w]);
    let taps = geometry.taps();
    let (inputs, outputs) = (geometry.w.channels, geometry.w.batch / geometry.groups);
    let panels: Vec<_> = (0..geometry.groups)
        .map(|group| {
            let mut panels = Panels::default();
            panels.pack(taps.len() * inputs, outputs, |row, column| {
                let at = taps[row / inputs].0
                    + row % inputs * geometry.w.channel_stride
                    + (group * outputs + column) * geometry.w.batch_stride;
                filter[at]
            });
            panels
        })
        .collect();
    all(
        &geometry.window(&taps),
        geometry.x,
        inputs,
        &input,
        geometry.y,
        outputs,
        (0, geometry.y.strides),
        &panels,
        Shared::new(output.values()),
    );
    output.finish();
    Ok(())
}

/// `dx = alpha * (gradient of x) + beta * dx`, `dy` being that of the output.
pub fn backward_data<T: Tile>(
    conv: &Convolution,
    (alpha, beta): (f64, f64),
    w: &Tensor,
    dy: &Tensor,
    dx: &Tensor,
) -> Result {
    let geometry = Geometry::new(conv, &dx.layout, &w.layout, &dy.layout)?;
    let (gradient, filter) = (dy.read::<T>(), w.read::<T>());
    let mut output = dx.output::<T>(alpha, beta, &[dy, w]);
    let taps = geometry.taps();
    let (inputs, outputs) = (geometry.w.channels, geometry.w.batch / geometry.groups);
    let stride = geometry.stride;
    let values = Shared::new(output.values());
    for phase in 0..stride.iter().product() {
        let first = [
            phase / stride[2] / stride[1],
            phase / stride[2] % stride[1],
            phase % stride[2],
        ];
        if (0..3).any(|dim| first[dim] >= geometry.x.size[dim]) {
            continue;
        }
        // Positions first + stride * j of dx: a tap reaches them from j + (first - shift) / stride, if that is whole.
        let reached = |&(at, shift): &(usize, [isize; 3])| {
            let mut from = [0; 3];
            for dim in 0..3 {
                let distance = first[dim] as isize - shift[dim];
                if distance.rem_euclid(stride[dim] as isize) != 0 {
                    return None;
                }
                from[dim] = distance.div_euclid(stride[dim] as isize);
            }
            Some((at, from))
        };
        let taps: Vec<_> = taps.iter().filter_map(reached).collect();
        let window = Window {
            output: std::array::from_fn(|dim| {
                (geometry.x.size[dim] - first[dim]).div_ceil(stride[dim])
            }),
            input: geometry.y.size,
            stride: [1; 3],
            shifts: taps.iter().map(|&(_, shift)| shift).collect(),
        };
        let panels: Vec<_> = (0..geometry.groups)
            .map(|group| {
                let mut panels = Panels::default();
                panels.pack(taps.len() * outputs, inputs, |row, column| {
                    let at = taps[row / outputs].0
                        + (group * outputs + row % outputs) * geometry.w.batch_stride
                        + column * geometry.w.channel_stride;
                    filter[at]
                });
                panels
            })
            .collect();
        all(
            &window,
            geometry.y,
            outputs,
            &gradient,
            geometry.x,
            inputs,
            (
                dot(first, geometry.x.strides),
                std::array::from_fn(|dim| geometry.x.strides[dim] * stride[dim]),
            ),
            &panels,
            values,
        );
    }
    output.finish();
    Ok(())
}

/// `dw = alpha * (gradient of w) + beta * dw`, `dy` being that of the output.
pub fn backward_filter<T: Tile>(
    conv: &Convolution,
    (alpha, beta): (f64, f64),
    x: &Tensor,
    dy: &Tensor,
    dw: &Tensor,
) -> Result {
    let geometry = Geometry::new(conv, &x.layout, &dw.layout, &dy.layout)?;
    let (input, gradient) = (x.read::<T>(), dy.read::<T>());
    let mut output = dw.output::<T>(alpha, beta, &[x, dy]);
    let taps = geometry.taps();
    let window = geometry.window(&taps);
    let (inputs, outputs) = (geometry.w.channels, geometry.w.batch / geometry.groups);
    let pitch = outputs.next_multiple_of(T::COLUMNS);
    let rows = taps.len() * inputs;
    let sums = rows * pitch;
    let positions = window.positions();
    let chunk = 4 * BLOCK;
    let chunks = positions.div_ceil(chunk);
    let work = geometry.x.batch * chunks;
    // The parts depend on the shape only, so that the sums do not depend on how many threads there are.
    let parts = (PARTIAL / (sums * size_of::<T>()).max(1))
        .clamp(1, 8)
        .min(work.max(1));
    let cuts = (8 / parts).clamp(1, rows.div_ceil(64).max(1));
    let values = Shared::new(output.values());
    for group in 0..geometry.groups {
        let mut partial = vec![T::zero(); sums * parts];
        let slots = Shared::new(&mut partial);
        (0..parts * cuts).into_par_iter().for_each(|task| {
            let (part, cut) = (task / cuts, task % cuts);
            let own = rows * cut / cuts..rows * (cut + 1) / cuts;
            // SAFETY: each task has rows of its own in its part.
            let sums = unsafe { slots.part(part * sums + own.start * pitch, own.len() * pitch) };
            let mut scratch = Scratch::default();
            let mut panels = Panels::default();
            for at in work * part / parts..work * (part + 1) / parts {
                let image = at / chunks;
                let from = at % chunks * chunk;
                let first =
                    image * geometry.x.batch_stride + group * inputs * geometry.x.channel_stride;
                let looking = Looking::new(&window, geometry.x, inputs, &input[first..]);
                let first =
                    image * geometry.y.batch_stride + group * outputs * geometry.y.channel_stride;
                let gradient = &gradient[first..];
                add(
                    &looking,
                    (gradient, geometry.y, outputs),
                    (from, positions.min(from + chunk)),
                    own.clone(),
                    &mut panels,
                    &mut scratch,
                    sums,
                );
            }
        });
        (0..rows).into_par_iter().for_each(|row| {
            for column in 0..outputs {
                let mut sum = T::zero();
                for part in 0..parts {
                    sum += partial[part * sums + row * pitch + column];
                }
                let at = taps[row / inputs].0
                    + row % inputs * geometry.w.channel_stride
                    + (group * outputs + column) * geometry.w.batch_stride;
                // SAFETY: inside of the filter's extent, and every element once.
                unsafe { values.set(at, sum) };
            }
        });
    }
    output.finish();
    Ok(())
}

/// Adds to the rows `own` of a filter's gradient what the positions `from..to` contribute.
fn add<T: Tile>(
    looking: &Looking<'_, T>,
    (gradient, side, outputs): (&[T], Side, usize),
    (from, to): (usize, usize),
    own: std::ops::Range<usize>,
    panels: &mut Panels<T>,
    scratch: &mut Scratch<T>,
    sums: &mut [T],
) {
    let Scratch {
        inside,
        border,
        rows,
        seen,
        ..
    } = scratch;
    looking.window.sort(from, to, inside, border);
    let pack = |panels: &mut Panels<T>, runs: &[Run], rows: &mut Vec<usize>| {
        rows.clear();
        rows.extend(runs.iter().flat_map(|run| run.places(side.strides)));
        if side.channel_stride == 1 {
            panels.pack_rows(rows.len(), outputs, |row| &gradient[rows[row]..][..outputs]);
        } else {
            panels.pack(rows.len(), outputs, |row, column| {
                gradient[rows[row] + column * side.channel_stride]
            });
        }
    };
    if !inside.is_empty() {
        pack(panels, inside, rows);
        looking.starts(inside, rows);
        panels.multiply(looking.image, &looking.taps[own.clone()], rows, sums, true);
    }
    if !border.is_empty() {
        pack(panels, border, rows);
        looking.copies(border, seen, rows);
        let own: Vec<usize> = own.collect();
        panels.multiply(seen, &own, rows, sums, true);
    }
}
