//! Which elements of the input an element of the output sees: the geometry of convolutions and pooling.

use super::{Error, Result};

/// Positions along depth, height and width; fewer dimensions have ones in front.
pub type Position = [usize; 3];

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
    pub fn sort(
        &self,
        from: usize,
        to: usize,
        inside: &mut Vec<Position>,
        border: &mut Vec<Position>,
    ) {
        inside.clear();
        border.clear();
        let limits = [self.inside(0), self.inside(1), self.inside(2)];
        for position in (from..to).map(|number| self.position(number)) {
            let whole = position
                .iter()
                .zip(limits)
                .all(|(at, (low, high))| (low..high).contains(at));
            match whole {
                true => inside.push(position),
                false => border.push(position),
            }
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
