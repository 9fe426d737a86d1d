//! Which elements of the input an element of the output sees: the geometry of convolutions and pooling.

use super::{Error, Result};

/// Positions along depth, height and width; fewer dimensions have ones in front.
pub type Position = [usize; 3];

/// Positions that follow each other along the width.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// The first.
    pub first: Position,
    /// How many.
    pub count: usize,
}

impl Run {
    /// Each of them.
    pub fn positions(self) -> impl Iterator<Item = Position> {
        let [depth, height, width] = self.first;
        (width..width + self.count).map(move |width| [depth, height, width])
    }

    /// Where each lies, with these strides.
    pub fn places(self, strides: Position) -> impl Iterator<Item = usize> {
        let first = dot(self.first, strides);
        (0..self.count).map(move |at| first + at * strides[2])
    }
}

/// How many positions these are.
pub fn count(runs: &[Run]) -> usize {
    runs.iter().map(|run| run.count).sum()
}

/// A value per spatial dimension, with `missing` for those in front that there are not.
pub fn three<T: Copy>(values: &[T], missing: T) -> Result<[T; 3]> {
    let mut all = [missing; 3];
    let first = 3usize.checked_sub(values.len()).ok_or(Error::Unsupported)?;
    all[first..].copy_from_slice(values);
    Ok(all)
}

/// Every element of the output at position `p` sees the input at `p * stride + shift`, for each of the shifts; those
/// outside of the input see zeros.
#[derive(Debug, Clone)]
pub struct Window {
    /// Positions of the output.
    pub output: Position,
    /// Positions of the input.
    pub input: Position,
    /// How far the window moves from one position to the next.
    pub stride: Position,
    /// What it sees, relative to where it is.
    pub shifts: Vec<[isize; 3]>,
}

impl Window {
    /// The positions along one dimension whose whole window lies inside of the input: from, to.
    fn inside(&self, dim: usize) -> (usize, usize) {
        let along = self.shifts.iter().map(|shift| shift[dim]);
        let low = along.clone().min().unwrap_or(0);
        let high = along.max().unwrap_or(0);
        let stride = self.stride[dim] as isize;
        let from = (-low).max(0).div_ceil_of(stride);
        let last = self.input[dim] as isize - 1 - high;
        let to = if last < 0 { 0 } else { last / stride + 1 };
        let to = to.clamp(0, self.output[dim] as isize);
        (from.min(to) as usize, to as usize)
    }

    /// How many positions the output has.
    pub fn positions(&self) -> usize {
        self.output.iter().product()
    }

    /// The position with that number.
    pub fn position(&self, number: usize) -> Position {
        let [_, height, width] = self.output;
        [
            number / width / height,
            number / width % height,
            number % width,
        ]
    }

    /// Sorts the positions `from..to` into those whose whole window lies inside of the input, and others.
    pub fn sort(&self, from: usize, to: usize, inside: &mut Vec<Run>, border: &mut Vec<Run>) {
        inside.clear();
        border.clear();
        let limits = [self.inside(0), self.inside(1), self.inside(2)];
        let width = self.output[2].max(1);
        let mut next = from;
        while next < to {
            let first = self.position(next);
            let end = width.min(first[2] + to - next);
            let within = |dim: usize| (limits[dim].0..limits[dim].1).contains(&first[dim]);
            let (low, high) = match within(0) && within(1) {
                true => limits[2],
                false => (end, end),
            };
            let (low, high) = (low.clamp(first[2], end), high.clamp(first[2], end));
            let high = high.max(low);
            let add = |runs: &mut Vec<Run>, from: usize, to: usize| {
                if from < to {
                    let first = [first[0], first[1], from];
                    let count = to - from;
                    runs.push(Run { first, count });
                }
            };
            add(border, first[2], low);
            add(inside, low, high);
            add(border, high, end);
            next += end - first[2];
        }
    }

    /// Where in the input a position looks with one of its shifts; none if that is outside.
    pub fn sees(&self, position: Position, shift: [isize; 3]) -> Option<Position> {
        let mut seen = [0; 3];
        for dim in 0..3 {
            let at = (position[dim] * self.stride[dim]) as isize + shift[dim];
            seen[dim] = usize::try_from(at)
                .ok()
                .filter(|&at| at < self.input[dim])?;
        }
        Some(seen)
    }
}

trait DivCeil {
    fn div_ceil_of(self, by: Self) -> Self;
}

impl DivCeil for isize {
    /// Of numbers that are not negative.
    fn div_ceil_of(self, by: Self) -> Self {
        (self + by - 1) / by
    }
}

/// The sum of the products.
pub fn dot(position: Position, strides: Position) -> usize {
    position
        .iter()
        .zip(strides)
        .map(|(at, stride)| at * stride)
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_sorted_into_runs() {
        // Three by three taps around each of four by five positions: the middle two by three see no edge.
        let steps = [-1, 0, 1];
        let window = Window {
            output: [1, 4, 5],
            input: [1, 4, 5],
            stride: [1; 3],
            shifts: steps
                .iter()
                .flat_map(|&y| steps.map(|x| [0, y, x]))
                .collect(),
        };
        let (mut inside, mut border) = (Vec::new(), Vec::new());
        // From the third position of the second row to the second of the third.
        window.sort(7, 12, &mut inside, &mut border);
        let run = |height, width, count| Run {
            first: [0, height, width],
            count,
        };
        assert_eq!(inside, [run(1, 2, 2), run(2, 1, 1)]);
        assert_eq!(border, [run(1, 4, 1), run(2, 0, 1)]);
        window.sort(0, 7, &mut inside, &mut border);
        assert_eq!(inside, [run(1, 1, 1)]);
        assert_eq!(border, [run(0, 0, 5), run(1, 0, 1)]);
        assert_eq!(run(1, 2, 2).places([20, 5, 1]).collect::<Vec<_>>(), [7, 8]);
    }
}
