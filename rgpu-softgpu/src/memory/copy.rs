//! Copies.
//!
//! What a call may return before (CUDA Driver API, "API synchronization behavior"):
//!
//! | copy | synchronous call | asynchronous call |
//! |---|---|---|
//! | from pageable host memory | waits | takes the bytes along if they are few, else waits |
//! | to pageable host memory | waits | waits |
//! | between host ranges, one of them pageable | waits | waits |
//! | pinned host to or from device | waits | returns |
//! | within the device | returns | returns |

use std::sync::Arc;

use rgpu_softgpu_exec::memory::Access;

use super::place::{Place, Span};
use crate::driver;
use crate::status::Result;
use crate::stream::Stream;

/// Bytes that an asynchronous copy takes along from pageable memory.
const STAGED: u64 = 64 << 10;

/// Whether a call waits for its copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wait {
    /// `cuMemcpy…`.
    Synchronous,
    /// `cuMemcpy…Async`.
    Asynchronous,
}

/// Two proven ends of a copy.
#[derive(Debug)]
pub(super) struct Ends {
    pub(super) to: Span,
    pub(super) from: Span,
}

impl Ends {
    /// Whether the call must wait for this copy.
    pub(super) fn must_wait(&self, wait: Wait) -> bool {
        match wait {
            Wait::Synchronous => !(self.to.is_device() && self.from.is_device()),
            Wait::Asynchronous => self.to.is_pageable() || self.from.is_pageable(),
        }
    }
}

/// Copies `size` bytes in `stream`.
pub(crate) fn copy(to: Place, from: Place, size: u64, stream: &Arc<Stream>, wait: Wait) -> Result {
    if size == 0 {
        return Ok(());
    }
    let driver = driver::get()?;
    let ends = Ends {
        to: to.span(driver, size, Access::ReadWrite)?,
        from: from.span(driver, size, Access::Read)?,
    };
    let length = size as usize;
    if wait == Wait::Asynchronous
        && size <= STAGED
        && ends.from.is_pageable()
        && ends.to.is_device()
    {
        let mut staged = vec![0u8; length];
        // SAFETY: the program vouches for its memory, and `staged` is as long.
        unsafe { std::ptr::copy_nonoverlapping(ends.from.host(), staged.as_mut_ptr(), length) };
        stream.enqueue(move || {
            // SAFETY: the span is `length` bytes of device memory.
            unsafe { std::ptr::copy_nonoverlapping(staged.as_ptr(), ends.to.host(), length) };
            Ok(())
        });
        return Ok(());
    }
    let must_wait = ends.must_wait(wait);
    let work = move || {
        // SAFETY: both ends are proven for `length` bytes, or vouched for by the program; they may overlap.
        unsafe { std::ptr::copy(ends.from.host().cast_const(), ends.to.host(), length) };
        Ok(())
    };
    if must_wait {
        stream.run(work)
    } else {
        stream.enqueue(work);
        Ok(())
    }
}
