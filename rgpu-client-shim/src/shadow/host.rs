//! Page-locked host memory: what this library allocated, and what the application registered. To this library
//! all host memory is alike; the application is told what it would be told by a local GPU.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use rgpu_proto::status::Status;

/// A range of page-locked memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HostRange {
    /// Bytes.
    pub(crate) size: usize,
    /// `CU_MEMHOSTALLOC_*` or `CU_MEMHOSTREGISTER_*`.
    pub(crate) flags: u32,
    /// Allocated here, not registered.
    pub(crate) owned: bool,
    /// In which context.
    pub(crate) context: u32,
    /// Numbers ranges; never the same for two.
    pub(crate) serial: u64,
}

/// The lowest and the highest address that page-locked memory has ever had: most words are none of its addresses,
/// and that is told without a lock.
#[derive(Debug)]
pub(crate) struct Bounds {
    low: AtomicUsize,
    high: AtomicUsize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            low: AtomicUsize::new(usize::MAX),
            high: AtomicUsize::new(0),
        }
    }
}

impl Bounds {
    /// Memory [at, +size) is page-locked from now on.
    pub(crate) fn widen(&self, at: usize, size: usize) {
        self.low.fetch_min(at, Ordering::Release);
        self.high
            .fetch_max(at.saturating_add(size), Ordering::Release);
    }

    /// Whether no memory has ever been page-locked.
    pub(crate) fn is_empty(&self) -> bool {
        self.high.load(Ordering::Acquire) == 0
    }

    /// Whether `address` could be page-locked.
    pub(crate) fn may_hold(&self, address: usize) -> bool {
        address >= self.low.load(Ordering::Acquire) && address < self.high.load(Ordering::Acquire)
    }
}

/// All page-locked memory.
#[derive(Debug, Default)]
pub(crate) struct HostMemory {
    ranges: BTreeMap<usize, HostRange>,
    serial: u64,
}

impl HostMemory {
    /// The range that holds `address`, with its start.
    pub(crate) fn containing(&self, address: usize) -> Option<(usize, HostRange)> {
        let (&start, range) = self.ranges.range(..=address).next_back()?;
        (address - start < range.size).then_some((start, *range))
    }

    /// Whether all of [at, +len) is page-locked.
    pub(crate) fn covers(&self, at: usize, len: usize) -> bool {
        self.containing(at)
            .is_some_and(|(start, range)| at - start + len <= range.size)
    }

    /// Allocates zeroed memory of whole pages.
    pub(crate) fn allocate(
        &mut self,
        size: usize,
        flags: u32,
        context: u32,
    ) -> Result<usize, Status> {
        let length = size
            .checked_next_multiple_of(PAGE)
            .filter(|_| size > 0)
            .ok_or(Status::ERROR_INVALID_VALUE)?;
        // SAFETY: a fresh mapping at an address of the system's choice.
        let at = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                length,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        if at == libc::MAP_FAILED {
            return Err(Status::ERROR_OUT_OF_MEMORY);
        }
        let at = at as usize;
        self.insert(at, size, flags, true, context);
        Ok(at)
    }

    /// Registers memory of the application.
    pub(crate) fn register(
        &mut self,
        at: usize,
        size: usize,
        flags: u32,
        context: u32,
    ) -> Result<(), Status> {
        let end = at
            .checked_add(size)
            .filter(|_| at != 0 && size > 0)
            .ok_or(Status::ERROR_INVALID_VALUE)?;
        let overlaps = self
            .ranges
            .range(..end)
            .next_back()
            .is_some_and(|(start, range)| start + range.size > at);
        if overlaps {
            return Err(Status::ERROR_HOST_MEMORY_ALREADY_REGISTERED);
        }
        self.insert(at, size, flags, false, context);
        Ok(())
    }

    fn insert(&mut self, at: usize, size: usize, flags: u32, owned: bool, context: u32) {
        self.serial += 1;
        let range = HostRange {
            size,
            flags,
            owned,
            context,
            serial: self.serial,
        };
        self.ranges.insert(at, range);
    }

    /// Forgets a registration.
    pub(crate) fn unregister(&mut self, at: usize) -> Result<(), Status> {
        match self.ranges.get(&at) {
            Some(range) if !range.owned => {
                self.ranges.remove(&at);
                Ok(())
            }
            _ => Err(Status::ERROR_HOST_MEMORY_NOT_REGISTERED),
        }
    }

    /// The allocation that starts at `at`, if there is one.
    pub(crate) fn owned(&self, at: usize) -> Result<HostRange, Status> {
        self.ranges
            .get(&at)
            .copied()
            .filter(|range| range.owned)
            .ok_or(Status::ERROR_INVALID_VALUE)
    }

    /// Frees an allocation.
    pub(crate) fn free(&mut self, at: usize) -> Result<(), Status> {
        let range = self.owned(at)?;
        self.ranges.remove(&at);
        // SAFETY: the mapping was made by `allocate` with this length and has just been forgotten; the
        // application gives it up.
        unsafe { libc::munmap(at as *mut libc::c_void, range.size.next_multiple_of(PAGE)) };
        Ok(())
    }
}

/// Pages of x86-64; those of other machines are multiples.
const PAGE: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn allocations_are_zeroed_and_freed_once() {
        let mut host = HostMemory::default();
        let at = host.allocate(5000, 1, 1).unwrap();
        // SAFETY: the allocation has 5000 bytes.
        assert_eq!(unsafe { *((at + 4999) as *const u8) }, 0);
        assert!(host.covers(at + 1, 4999) && !host.covers(at + 1, 5000));
        assert_eq!(
            host.unregister(at),
            Err(Status::ERROR_HOST_MEMORY_NOT_REGISTERED)
        );
        host.free(at).unwrap();
        assert_eq!(host.free(at), Err(Status::ERROR_INVALID_VALUE));
        assert_eq!(host.allocate(0, 0, 1), Err(Status::ERROR_INVALID_VALUE));
    }

    #[test]
    fn a_range_is_registered_once() {
        let mut host = HostMemory::default();
        host.register(0x1000, 100, 0, 1).unwrap();
        for (at, size) in [(0x1000, 1), (0xfff, 2), (0x1063, 10), (0xf00, 0x1000)] {
            assert_eq!(
                host.register(at, size, 0, 1),
                Err(Status::ERROR_HOST_MEMORY_ALREADY_REGISTERED)
            );
        }
        host.register(0x1064, 10, 0, 1).unwrap();
        host.unregister(0x1000).unwrap();
        assert_eq!(
            host.unregister(0x1000),
            Err(Status::ERROR_HOST_MEMORY_NOT_REGISTERED)
        );
        assert_eq!(host.register(0, 10, 0, 1), Err(Status::ERROR_INVALID_VALUE));
    }
}
