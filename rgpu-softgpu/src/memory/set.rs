//! Sets: filling device memory with a pattern.

use std::sync::Arc;

use rgpu_softgpu_exec::memory::Access;

use super::place::Place;
use crate::device::limits;
use crate::driver;
use crate::status::{Result, Status, require};
use crate::stream::Stream;

/// Rows to fill.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rows {
    pub(crate) to: u64,
    /// Bytes from row to row; without meaning for a single row.
    pub(crate) pitch: u64,
    /// Elements of a row.
    pub(crate) width: u64,
    pub(crate) height: u64,
}

impl Rows {
    /// `count` elements in a row.
    pub(crate) fn line(to: u64, count: u64) -> Self {
        Self {
            to,
            pitch: 0,
            width: count,
            height: 1,
        }
    }
}

/// Fills rows with `pattern`, an element of 1, 2 or 4 bytes.
pub(crate) fn set<const N: usize>(rows: Rows, pattern: [u8; N], stream: &Arc<Stream>) -> Result {
    let Rows {
        to,
        pitch,
        width,
        height,
    } = rows;
    require(to.is_multiple_of(N as u64))?;
    if width == 0 || height == 0 {
        return Ok(());
    }
    let bytes = width
        .checked_mul(N as u64)
        .ok_or(Status::ERROR_INVALID_VALUE)?;
    if height > 1 {
        require(pitch >= bytes && pitch.is_multiple_of(N as u64) && pitch <= limits::MAX_PITCH)?;
    }
    let length = pitch
        .checked_mul(height - 1)
        .and_then(|rows| rows.checked_add(bytes))
        .ok_or(Status::ERROR_INVALID_VALUE)?;
    let span = Place::Device(to).span(driver::get()?, length, Access::ReadWrite)?;
    let must_wait = !span.is_device();
    let work = move || {
        for row in 0..height {
            // SAFETY: the span covers every row.
            unsafe {
                fill(
                    span.host().add((row * pitch) as usize),
                    pattern,
                    width as usize,
                )
            };
        }
        Ok(())
    };
    // Sets of pinned host memory are synchronous, all others are not.
    if must_wait {
        stream.run(work)
    } else {
        stream.enqueue(work);
        Ok(())
    }
}

/// # Safety
/// `count` elements at `to` are writable.
unsafe fn fill<const N: usize>(to: *mut u8, pattern: [u8; N], count: usize) {
    if pattern.iter().all(|&byte| byte == pattern[0]) {
        // SAFETY: the caller's promise.
        unsafe { std::ptr::write_bytes(to, pattern[0], count * N) };
        return;
    }
    for index in 0..count {
        // SAFETY: the caller's promise; an array of bytes has no alignment.
        unsafe { to.cast::<[u8; N]>().add(index).write(pattern) };
    }
}
