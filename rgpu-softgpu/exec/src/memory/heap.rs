//! The heap behind `malloc` and `free` in kernels: one allocation of device memory, made at the first use.

use std::collections::BTreeMap;
use std::sync::Mutex;

use super::spans::Spans;
use super::{DeviceMemory, MemoryError, lock};

/// Alignment of what `malloc` returns.
const ALIGN: u64 = 16;

/// A device heap. Its bookkeeping lies on the host, where kernels cannot break it.
#[derive(Debug)]
pub struct Heap {
    memory: DeviceMemory,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    limit: u64,
    arena: Option<Arena>,
}

#[derive(Debug)]
struct Arena {
    base: u64,
    free: Spans,
    /// Size of every block in use.
    used: BTreeMap<u64, u64>,
}

impl Heap {
    /// A heap of `limit` bytes.
    pub fn new(memory: DeviceMemory, limit: u64) -> Self {
        Self {
            memory,
            state: Mutex::new(State { limit, arena: None }),
        }
    }

    /// Bytes.
    pub fn limit(&self) -> u64 {
        lock(&self.state).limit
    }

    /// Changes the size; refused once a kernel has used the heap.
    pub fn set_limit(&self, limit: u64) -> Result<(), MemoryError> {
        let mut state = lock(&self.state);
        if state.arena.is_some() {
            return Err(MemoryError::InUse);
        }
        state.limit = limit;
        Ok(())
    }

    /// Gives back what kernels have taken, for a device that starts afresh with `limit` bytes of heap. No kernel may run.
    pub fn reset(&self, limit: u64) {
        let arena = {
            let mut state = lock(&self.state);
            state.limit = limit;
            state.arena.take()
        };
        if let Some(arena) = arena
            && let Err(error) = self.memory.release(arena.base)
        {
            tracing::error!(%error, "the device heap could not be freed");
        }
    }

    /// The address of `size` fresh bytes; `None` when the heap is full.
    pub(crate) fn allocate(&self, size: u64) -> Option<u64> {
        let mut state = lock(&self.state);
        if state.arena.is_none() {
            let limit = state.limit;
            let base = self.memory.allocate(limit).ok()?;
            state.arena = Some(Arena {
                base,
                free: Spans::new(base, base + limit, ALIGN),
                used: BTreeMap::new(),
            });
        }
        let arena = state.arena.as_mut()?;
        let address = arena.free.take(size, ALIGN)?;
        arena.used.insert(address, size);
        Some(address)
    }

    /// Frees; false if `address` is no block of the heap.
    pub(crate) fn free(&self, address: u64) -> bool {
        let mut state = lock(&self.state);
        let Some(arena) = state.arena.as_mut() else {
            return false;
        };
        let Some(size) = arena.used.remove(&address) else {
            return false;
        };
        arena.free.give(address, size);
        true
    }
}
