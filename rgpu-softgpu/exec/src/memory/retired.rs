//! Memory that is kept mapped after it was freed, for a pool that will use it again.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{DeviceMemory, MemoryError, Result};

impl DeviceMemory {
    /// Takes an allocation out of use but keeps its memory, until [`Self::revive`] or [`Self::discard`]. False if
    /// somebody still holds it ([`super::Pin`]): then it is freed when they let go.
    pub fn retire(&self, base: u64) -> Result<bool> {
        let mut state = self.inner.state();
        match state.entries.get(&base) {
            Some(entry) if !entry.is_mapping() => {}
            _ => return Err(MemoryError::NotAllocated),
        }
        let entry = state.entries.remove(&base);
        let Some(entry) = entry.and_then(Arc::into_inner) else {
            return Ok(false);
        };
        state.retired.insert(base, entry);
        Ok(true)
    }

    /// Makes retired memory an allocation of `size` bytes again.
    pub fn revive(&self, base: u64, size: u64) -> Result<()> {
        let mut state = self.inner.state();
        let entry = state.retired.remove(&base);
        self.inner
            .enter(&mut state, entry.ok_or(MemoryError::NotAllocated)?);
        drop(state);
        self.resize(base, size)
    }

    /// Frees retired memory.
    pub fn discard(&self, base: u64) -> Result<()> {
        let entry = self.inner.state().retired.remove(&base);
        self.inner.end(&entry.ok_or(MemoryError::NotAllocated)?);
        Ok(())
    }

    /// Makes an allocation one of `size` bytes, as far as there is room, and another than it was.
    pub fn resize(&self, base: u64, size: u64) -> Result<()> {
        let state = self.inner.state();
        let entry = state.entries.get(&base).ok_or(MemoryError::NotAllocated)?;
        if size == 0 || size > entry.room {
            return Err(MemoryError::Invalid("no room for the new size"));
        }
        entry.size.store(size, Ordering::Relaxed);
        entry.id.store(self.inner.next_id(), Ordering::Relaxed);
        Ok(())
    }
}
