//! Host memory that kernels may access in place: allocated pinned, or registered.

use std::collections::BTreeMap;
use std::sync::RwLock;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{MemoryError, PAGE};

/// A range of host memory that kernels may access. Its device address is its host address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostRange {
    /// First byte.
    pub base: u64,
    /// Bytes.
    pub size: u64,
    /// The caller's flags, kept for queries.
    pub flags: u32,
    /// Whether [`HostRegistry::allocate`] made it.
    pub allocated: bool,
}

impl HostRange {
    fn end(&self) -> u64 {
        self.base + self.size
    }

    /// Whether `size` bytes from `address` lie inside.
    pub fn holds(&self, address: u64, size: u64) -> bool {
        address >= self.base
            && address
                .checked_add(size)
                .is_some_and(|end| end <= self.end())
    }
}

/// All pinned and registered host memory.
#[derive(Debug, Default)]
pub struct HostRegistry {
    ranges: RwLock<BTreeMap<u64, HostRange>>,
    generation: AtomicU64,
}

impl HostRegistry {
    /// Registers memory that the program owns.
    ///
    /// # Safety
    /// `base..base + size` must be mapped, and stay so until [`Self::unregister`].
    pub unsafe fn register(&self, base: u64, size: u64, flags: u32) -> Result<(), MemoryError> {
        self.insert(HostRange {
            base,
            size,
            flags,
            allocated: false,
        })
    }

    /// Forgets memory registered at `base`.
    pub fn unregister(&self, base: u64) -> Result<HostRange, MemoryError> {
        self.remove(base, false)
    }

    /// Allocates zeroed, page-aligned host memory and registers it.
    pub fn allocate(&self, size: u64, flags: u32) -> Result<*mut u8, MemoryError> {
        if size == 0 {
            return Err(MemoryError::Invalid("a pinned allocation of no bytes"));
        }
        let length = size
            .checked_next_multiple_of(PAGE)
            .ok_or(MemoryError::OutOfMemory)?;
        let length = usize::try_from(length).map_err(|_| MemoryError::OutOfMemory)?;
        // SAFETY: a fresh anonymous mapping wherever the kernel likes.
        let base = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                length,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        if base == libc::MAP_FAILED {
            return Err(MemoryError::OutOfMemory);
        }
        let range = HostRange {
            base: base.expose_provenance() as u64,
            size,
            flags,
            allocated: true,
        };
        if let Err(error) = self.insert(range) {
            // Registered memory was unmapped behind our back, and the kernel reused its place.
            // SAFETY: mapped above, and known to nobody.
            unsafe { libc::munmap(base, length) };
            return Err(error);
        }
        Ok(base.cast())
    }

    /// Frees memory of [`Self::allocate`].
    ///
    /// # Safety
    /// Nothing may use the memory any more.
    pub unsafe fn free(&self, base: u64) -> Result<HostRange, MemoryError> {
        let range = self.remove(base, true)?;
        let address = std::ptr::with_exposed_provenance_mut(base as usize);
        // SAFETY: the range came from `mmap` in `allocate`, and is no longer in the table.
        unsafe { libc::munmap(address, range.size.next_multiple_of(PAGE) as usize) };
        Ok(range)
    }

    /// The range that holds the byte at `address`.
    pub fn find(&self, address: u64) -> Option<HostRange> {
        let ranges = self
            .ranges
            .read()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        let (_, range) = ranges.range(..=address).next_back()?;
        range.holds(address, 1).then_some(*range)
    }

    /// Changes whenever a range is forgotten: what was found before may be gone.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    fn insert(&self, range: HostRange) -> Result<(), MemoryError> {
        if range.size == 0 || range.base == 0 || range.base.checked_add(range.size).is_none() {
            return Err(MemoryError::Invalid("an empty or wrapping host range"));
        }
        let mut ranges = self
            .ranges
            .write()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some((_, before)) = ranges.range(..range.end()).next_back()
            && before.end() > range.base
        {
            return Err(MemoryError::InUse);
        }
        ranges.insert(range.base, range);
        Ok(())
    }

    fn remove(&self, base: u64, allocated: bool) -> Result<HostRange, MemoryError> {
        let mut ranges = self
            .ranges
            .write()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        match ranges.get(&base) {
            Some(range) if range.allocated == allocated => {}
            _ => return Err(MemoryError::NotAllocated),
        }
        self.generation.fetch_add(1, Ordering::AcqRel);
        ranges.remove(&base).ok_or(MemoryError::NotAllocated)
    }
}

impl Drop for HostRegistry {
    fn drop(&mut self) {
        let ranges = std::mem::take(
            &mut *self
                .ranges
                .write()
                .unwrap_or_else(|poisoned| poisoned.into_inner()),
        );
        for range in ranges.values().filter(|range| range.allocated) {
            let address = std::ptr::with_exposed_provenance_mut(range.base as usize);
            // SAFETY: the range came from `mmap` in `allocate`; its owner, the device, is going away.
            unsafe { libc::munmap(address, range.size.next_multiple_of(PAGE) as usize) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_by_any_byte_and_refuses_overlap() {
        let registry = HostRegistry::default();
        let memory = vec![0u8; 4096];
        let base = memory.as_ptr().expose_provenance() as u64;
        // SAFETY: `memory` outlives the registration.
        unsafe { registry.register(base, 4096, 7) }.unwrap();
        assert_eq!(registry.find(base + 4095).unwrap().flags, 7);
        assert!(registry.find(base + 4096).is_none());
        // SAFETY: as above; it is refused.
        let again = unsafe { registry.register(base + 100, 10, 0) };
        assert!(matches!(again, Err(MemoryError::InUse)));
        let before = registry.generation();
        registry.unregister(base).unwrap();
        assert_ne!(registry.generation(), before);
        assert!(registry.find(base).is_none());
        assert!(matches!(
            registry.unregister(base),
            Err(MemoryError::NotAllocated)
        ));
    }

    #[test]
    fn pinned_memory_is_zeroed_and_freed_once() {
        let registry = HostRegistry::default();
        let pointer = registry.allocate(10_000, 0).unwrap();
        let base = pointer.expose_provenance() as u64;
        // SAFETY: just allocated with this size.
        let bytes = unsafe { std::slice::from_raw_parts(pointer, 10_000) };
        assert!(bytes.iter().all(|&byte| byte == 0));
        assert!(matches!(
            registry.unregister(base),
            Err(MemoryError::NotAllocated)
        ));
        // SAFETY: not used any more.
        unsafe { registry.free(base) }.unwrap();
        // SAFETY: refused, since it is free already.
        let again = unsafe { registry.free(base) };
        assert!(matches!(again, Err(MemoryError::NotAllocated)));
    }
}
