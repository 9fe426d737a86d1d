//! Page-locked buffers between the wire and the device.
//!
//! Chunks of a fixed size are handed out, tied to an event that says when the device is done with them, and
//! handed out again. The number of chunks is bounded: by the client's credit on the way in, by waiting on
//! the way out.

use std::collections::VecDeque;
use std::ffi::c_void;
use std::sync::{Condvar, Mutex, PoisonError};

use rgpu_proto::status::Status;

use super::driver::Driver;
use super::event::Event;

/// Page-locked bytes; given back to the driver when dropped at the end of the process only.
pub(super) struct Chunk {
    at: *mut u8,
    len: usize,
}

// SAFETY: a chunk owns its memory, which any thread may touch.
unsafe impl Send for Chunk {}

impl std::fmt::Debug for Chunk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Chunk")
            .field("len", &self.len)
            .finish_non_exhaustive()
    }
}

impl Chunk {
    /// Allocates `len` page-locked bytes.
    pub(super) fn allocate(driver: &Driver, len: usize) -> Result<Self, Status> {
        /// `CU_MEMHOSTALLOC_PORTABLE`: page-locked for every context of the process.
        const PORTABLE: u32 = 1;
        let mut at: *mut c_void = std::ptr::null_mut();
        // SAFETY: `at` is live; the driver writes the address of `len` bytes to it.
        unsafe { driver.cuMemHostAlloc((&raw mut at).cast(), len, PORTABLE)? };
        Ok(Self { at: at.cast(), len })
    }

    /// Gives the memory back.
    pub(super) fn free(self, driver: &Driver) {
        // SAFETY: the chunk came from `cuMemHostAlloc` and is not used again. An error (a poisoned context)
        // leaves the memory to the end of the process.
        let _ = unsafe { driver.cuMemFreeHost(self.at.cast()) };
    }

    /// Its bytes.
    pub(super) fn bytes(&self) -> &[u8] {
        // SAFETY: the chunk owns `len` initialised bytes; the device writes only while the borrower waits.
        unsafe { std::slice::from_raw_parts(self.at, self.len) }
    }

    /// Its bytes, to write.
    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and the borrow is exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.at, self.len) }
    }

    /// Its address, for the driver.
    pub(super) const fn address(&self) -> *mut c_void {
        self.at.cast()
    }
}

/// A bounded set of chunks of one size.
#[derive(Debug)]
pub(super) struct Pool {
    chunk: usize,
    most: usize,
    state: Mutex<PoolState>,
    returned: Condvar,
}

#[derive(Debug, Default)]
struct PoolState {
    free: Vec<Chunk>,
    made: usize,
    /// In the order in which they were issued.
    in_flight: VecDeque<(Event, Chunk)>,
}

impl Pool {
    /// At most `most` chunks of `chunk` bytes, made as needed.
    pub(super) fn new(chunk: usize, most: usize) -> Self {
        Self {
            chunk,
            most,
            state: Mutex::default(),
            returned: Condvar::new(),
        }
    }

    /// A chunk; waits for one where all are in use.
    pub(super) fn take(&self, driver: &Driver) -> Result<Chunk, Status> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            state.collect();
            if let Some(chunk) = state.free.pop() {
                return Ok(chunk);
            }
            if state.made < self.most {
                let chunk = Chunk::allocate(driver, self.chunk)?;
                state.made += 1;
                return Ok(chunk);
            }
            // All are made: those behind one that takes long may be done.
            state.collect_all();
            if let Some(chunk) = state.free.pop() {
                return Ok(chunk);
            }
            if let Some((event, chunk)) = state.in_flight.pop_front() {
                // A failed context has stopped using the chunk too.
                let _ = event.synchronize();
                return Ok(chunk);
            }
            state = self
                .returned
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Takes a chunk back that the device no longer uses.
    pub(super) fn give(&self, chunk: Chunk) {
        self.state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .free
            .push(chunk);
        self.returned.notify_one();
    }

    /// Takes a chunk back that the device uses until `event`.
    pub(super) fn give_after(&self, chunk: Chunk, event: Event) {
        self.state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .in_flight
            .push_back((event, chunk));
        self.returned.notify_one();
    }
}

impl PoolState {
    /// Moves all chunks whose event has happened back to the free ones.
    fn collect_all(&mut self) {
        let (waiting, done): (VecDeque<_>, VecDeque<_>) = self
            .in_flight
            .drain(..)
            .partition(|(event, _)| event.is_pending());
        self.in_flight = waiting;
        self.free.extend(done.into_iter().map(|(_, chunk)| chunk));
    }

    /// Moves the first chunks back to the free ones, up to one that the device still uses: those behind it are mostly
    /// in use too, and each question is a call of the driver.
    fn collect(&mut self) {
        while let Some((event, _)) = self.in_flight.front()
            && !event.is_pending()
        {
            let done = self.in_flight.pop_front();
            self.free.extend(done.map(|(_, chunk)| chunk));
        }
    }
}
