//! Copies of rectangles and boxes.

use std::sync::Arc;

use rgpu_softgpu_exec::memory::Access;

use super::copy::{Ends, Wait};
use super::place::{Place, Span};
use crate::device::limits;
use crate::driver::{self, Driver};
use crate::status::{Result, Status, require};
use crate::stream::Stream;

/// One end of the copy: where the box starts, and how rows and slices follow each other.
#[derive(Debug, Clone, Copy)]
pub(crate) struct End {
    /// The whole image.
    pub(crate) place: Place,
    /// Where the box starts in it, in bytes, rows and slices.
    pub(crate) origin: [u64; 3],
    /// Bytes from row to row; 0 means rows without gaps.
    pub(crate) pitch: u64,
    /// Rows from slice to slice; 0 means slices without gaps.
    pub(crate) height: u64,
}

/// A copy of a box.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Box3 {
    pub(crate) to: End,
    pub(crate) from: End,
    /// Bytes, rows, slices.
    pub(crate) extent: [u64; 3],
}

/// Distances of a proven end.
#[derive(Debug, Clone, Copy)]
struct Steps {
    row: usize,
    slice: usize,
}

impl End {
    /// Proves this end for `extent`.
    fn prove(self, driver: &Driver, extent: [u64; 3], access: Access) -> Result<(Span, Steps)> {
        let [width, rows, slices] = extent;
        let pitch = match self.pitch {
            0 => self.origin[0]
                .checked_add(width)
                .ok_or(Status::ERROR_INVALID_VALUE)?,
            pitch => pitch,
        };
        let height = match self.height {
            0 => self.origin[1]
                .checked_add(rows)
                .ok_or(Status::ERROR_INVALID_VALUE)?,
            height => height,
        };
        let fits = |origin: u64, size: u64, limit: u64| {
            origin.checked_add(size).is_some_and(|end| end <= limit)
        };
        require(rows == 1 && slices == 1 || fits(self.origin[0], width, pitch))?;
        require(slices == 1 || fits(self.origin[1], rows, height))?;
        require(pitch <= limits::MAX_PITCH)?;
        let slice = pitch
            .checked_mul(height)
            .ok_or(Status::ERROR_INVALID_VALUE)?;
        let at = |x: u64, y: u64, z: u64| {
            let rows = pitch.checked_mul(y)?;
            slice.checked_mul(z)?.checked_add(rows)?.checked_add(x)
        };
        let first = at(self.origin[0], self.origin[1], self.origin[2]);
        let last = at(width, rows - 1, slices - 1);
        let (Some(first), Some(length)) = (first, last) else {
            return Err(Status::ERROR_INVALID_VALUE);
        };
        let span = self.place.plus(first)?.span(driver, length, access)?;
        let steps = Steps {
            row: pitch as usize,
            slice: slice as usize,
        };
        Ok((span, steps))
    }
}

/// Copies a box in `stream`.
pub(crate) fn copy(boxed: &Box3, stream: &Arc<Stream>, wait: Wait) -> Result {
    let [width, rows, slices] = boxed.extent;
    if width == 0 || rows == 0 || slices == 0 {
        return Ok(());
    }
    let driver = driver::get()?;
    let (to, to_steps) = boxed.to.prove(driver, boxed.extent, Access::ReadWrite)?;
    let (from, from_steps) = boxed.from.prove(driver, boxed.extent, Access::Read)?;
    let ends = Ends { to, from };
    let must_wait = ends.must_wait(wait);
    let (width, rows, slices) = (width as usize, rows as usize, slices as usize);
    let work = move || {
        for slice in 0..slices {
            for row in 0..rows {
                let to = slice * to_steps.slice + row * to_steps.row;
                let from = slice * from_steps.slice + row * from_steps.row;
                // SAFETY: `prove` covered the whole box on both sides; rows may overlap.
                unsafe {
                    let from = ends.from.host().add(from).cast_const();
                    std::ptr::copy(from, ends.to.host().add(to), width);
                }
            }
        }
        Ok(())
    };
    if must_wait {
        stream.run(work)
    } else {
        stream.enqueue(work);
        Ok(())
    }
}
