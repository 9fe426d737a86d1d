//! Shared memory of blocks: its end is the end of a page, and guards on both sides are never accessible, so that an
//! access outside of it faults, whether compiled code has checked it or not.

use std::io;
use std::sync::{Mutex, PoisonError};

use crate::abi::SHARED_GUARD;

const PAGE: usize = 4096;
/// Most that a block can have: what the largest frame of the compiler allows, static and dynamic.
const LARGEST: usize = 1 << 31;
/// What vector accesses of the host need. Addresses that programs see are offsets, aligned as they like.
const ALIGN: usize = 16;
/// Kept for reuse, each with some pages of memory.
const KEPT: usize = 256;

/// The shared memory of one block.
#[derive(Debug)]
pub(crate) struct SharedMemory {
    mapped: *mut libc::c_void,
    /// Where accessible memory ends.
    end: usize,
    /// Bytes that are accessible, whole pages.
    open: usize,
    size: usize,
}

// SAFETY: the mapping belongs to this value alone, and no thread is special to it.
unsafe impl Send for SharedMemory {}

impl SharedMemory {
    fn length() -> usize {
        LARGEST + 2 * SHARED_GUARD as usize
    }

    fn new() -> io::Result<Self> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: a fresh mapping wherever the kernel likes.
        let mapped = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                Self::length(),
                libc::PROT_NONE,
                flags,
                -1,
                0,
            )
        };
        if mapped == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        Ok(Self {
            mapped,
            end: mapped.expose_provenance() + LARGEST + SHARED_GUARD as usize,
            open: 0,
            size: 0,
        })
    }

    /// Makes exactly the pages of `size` bytes accessible.
    fn resize(&mut self, size: usize) -> io::Result<()> {
        let open = size.next_multiple_of(PAGE);
        if open > LARGEST {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        if open > self.open {
            let access = libc::PROT_READ | libc::PROT_WRITE;
            self.protect(open, open - self.open, access)?;
        } else if open < self.open {
            self.protect(self.open, self.open - open, libc::PROT_NONE)?;
        }
        self.open = open;
        self.size = size.next_multiple_of(ALIGN);
        Ok(())
    }

    /// Changes what may be done with `length` bytes that begin `below` bytes before the end.
    fn protect(&self, below: usize, length: usize, access: libc::c_int) -> io::Result<()> {
        let start = std::ptr::with_exposed_provenance_mut(self.end - below);
        // SAFETY: the range lies in our mapping, and no kernel runs with it now.
        match unsafe { libc::mprotect(start, length, access) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Its first byte.
    pub(crate) fn pointer(&self) -> *mut u8 {
        std::ptr::with_exposed_provenance_mut(self.end - self.size)
    }
}

impl Drop for SharedMemory {
    fn drop(&mut self) {
        // SAFETY: the mapping of `new`; whoever drops this runs no kernel with it any more.
        unsafe { libc::munmap(self.mapped, Self::length()) };
    }
}

/// Shared memory for all blocks of a pool, kept for reuse.
#[derive(Debug, Default)]
pub(crate) struct SharedPool {
    free: Mutex<Vec<SharedMemory>>,
}

impl SharedPool {
    /// Shared memory of `size` bytes, which hold anything.
    pub(crate) fn take(&self, size: u32) -> io::Result<SharedMemory> {
        let found = self.lock().pop();
        let mut memory = match found {
            Some(memory) => memory,
            None => SharedMemory::new()?,
        };
        memory.resize(size as usize)?;
        Ok(memory)
    }

    pub(crate) fn give(&self, memory: SharedMemory) {
        let mut free = self.lock();
        if free.len() < KEPT {
            free.push(memory);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<SharedMemory>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_with_its_page_and_is_reused_with_another_size() {
        let pool = SharedPool::default();
        let memory = pool.take(100).unwrap();
        assert_eq!(memory.pointer().addr() % PAGE, PAGE - 112);
        // SAFETY: inside of the 100 bytes.
        unsafe { memory.pointer().add(99).write(7) };
        let first = memory.end;
        pool.give(memory);
        let memory = pool.take(5000).unwrap();
        assert_eq!((memory.end, memory.open), (first, 2 * PAGE));
        pool.give(memory);
        assert_eq!(pool.take(0).unwrap().open, 0);
    }

    #[test]
    fn more_than_there_can_be_is_refused() {
        let pool = SharedPool::default();
        assert!(pool.take(u32::MAX).is_err());
    }
}
