//! Stacks of device threads, kept for reuse.

use std::io;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use corosensei::stack::{Stack, StackPointer};

/// Usable bytes of a stack unless set otherwise.
pub const DEFAULT_STACK: usize = 64 << 10;
/// Inaccessible bytes below a stack: more than any function steps over at once.
const GUARD: usize = 64 << 10;
const PAGE: usize = 4096;
/// Free stacks kept for reuse.
const KEPT: usize = 4096;
/// Threads that a multiprocessor holds at one time (compute capability 9.0). A grid whose blocks wait for each other
/// may count on that many.
const THREADS_PER_MULTIPROCESSOR: usize = 2048;
/// Threads that may have stacks at one time even on the smallest machine.
const LEAST_RESIDENT: usize = 8192;

/// One stack, with its guard below.
#[derive(Debug)]
pub(crate) struct ThreadStack {
    /// Lowest address, that of the guard.
    limit: NonZeroUsize,
    length: usize,
    /// Bytes left unused at the high end.
    offset: usize,
}

impl ThreadStack {
    fn new(usable: usize) -> io::Result<Self> {
        let usable = usable.clamp(4 * PAGE, 1 << 30).next_multiple_of(PAGE);
        let length = usable + GUARD;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_STACK;
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a fresh mapping wherever the kernel likes.
        let base = unsafe { libc::mmap(std::ptr::null_mut(), length, protection, flags, -1, 0) };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let limit =
            NonZeroUsize::new(base.expose_provenance()).ok_or(io::ErrorKind::OutOfMemory)?;
        let stack = Self {
            limit,
            length,
            offset: next_offset(),
        };
        // SAFETY: the guard lies at the beginning of the mapping, which nobody uses yet.
        let guarded =
            unsafe { guard_lightly(base) || libc::mprotect(base, GUARD, libc::PROT_NONE) == 0 };
        if guarded {
            Ok(stack)
        } else {
            Err(io::Error::last_os_error())
        }
    }

    /// The addresses that must never be touched.
    pub(crate) fn guard(&self) -> Range<usize> {
        self.limit.get()..self.limit.get() + GUARD
    }

    fn usable(&self) -> usize {
        self.length - GUARD
    }
}

/// Makes a range inaccessible without making it a mapping of its own, of which Linux allows a process 65,530: with
/// this, stacks side by side are one mapping. Linux 6.13 and later; false on others.
///
/// # Safety
/// `base` is the beginning of `GUARD` mapped bytes that nobody uses.
unsafe fn guard_lightly(base: *mut libc::c_void) -> bool {
    const MADV_GUARD_INSTALL: libc::c_int = 102;
    // SAFETY: by contract.
    unsafe { libc::madvise(base, GUARD, MADV_GUARD_INSTALL) == 0 }
}

/// Stacks begin at different cache lines of a page: threads that take turns use the same few lines of their stacks,
/// and would all compete for the same few sets of the cache.
fn next_offset() -> usize {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    COUNT.fetch_add(1, Ordering::Relaxed) % 32 * 128
}

impl Drop for ThreadStack {
    fn drop(&mut self) {
        let base = std::ptr::with_exposed_provenance_mut(self.limit.get());
        // SAFETY: the mapping of `new`; no coroutine runs on it, since coroutines own their stack.
        unsafe { libc::munmap(base, self.length) };
    }
}

// SAFETY: the mapping has a guard at its low end, at least 16 KiB above it, and lives as long as this value.
unsafe impl Stack for ThreadStack {
    fn base(&self) -> StackPointer {
        self.limit.saturating_add(self.length - self.offset)
    }

    fn limit(&self) -> StackPointer {
        self.limit
    }
}

/// Stacks for all device threads of a pool.
#[derive(Debug)]
pub(crate) struct StackPool {
    size: AtomicUsize,
    free: Mutex<Vec<ThreadStack>>,
    threads: AtomicUsize,
    most_threads: usize,
}

impl StackPool {
    /// Stacks of `size` bytes for a device of so many multiprocessors.
    pub(crate) fn new(size: usize, multiprocessors: u32) -> Self {
        let most_threads = THREADS_PER_MULTIPROCESSOR * multiprocessors as usize;
        Self {
            size: AtomicUsize::new(size),
            free: Mutex::new(Vec::new()),
            threads: AtomicUsize::new(0),
            most_threads: most_threads.max(LEAST_RESIDENT),
        }
    }

    /// Makes stacks at least `size` bytes from now on.
    pub(crate) fn grow(&self, size: usize) {
        self.size.fetch_max(size, Ordering::Relaxed);
    }

    pub(crate) fn take(&self) -> io::Result<ThreadStack> {
        let size = self.size.load(Ordering::Relaxed);
        let found = self.lock().pop();
        match found {
            Some(stack) if stack.usable() >= size => Ok(stack),
            _ => ThreadStack::new(size),
        }
    }

    pub(crate) fn give(&self, stacks: impl Iterator<Item = ThreadStack>) {
        let mut free = self.lock();
        let room = KEPT.saturating_sub(free.len());
        let mut stacks = stacks;
        free.extend(stacks.by_ref().take(room));
        drop(free);
        stacks.for_each(drop);
    }

    /// Makes room for `threads` more threads; `must` even if there is none.
    pub(crate) fn admit(&self, threads: usize, must: bool) -> bool {
        let update =
            |held: usize| (must || held + threads <= self.most_threads).then_some(held + threads);
        self.threads
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, update)
            .is_ok()
    }

    /// Undoes [`Self::admit`].
    pub(crate) fn dismiss(&self, threads: usize) {
        self.threads.fetch_sub(threads, Ordering::AcqRel);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<ThreadStack>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_grow_and_small_stacks_go() {
        let pool = StackPool::new(20 << 10, 1);
        let small = pool.take().unwrap();
        assert_eq!(small.usable(), 20 << 10);
        assert_eq!(small.guard().len(), GUARD);
        pool.give(std::iter::once(small));
        pool.grow(100 << 10);
        pool.grow(1);
        assert_eq!(pool.take().unwrap().usable(), 100 << 10);
    }

    #[test]
    fn residency_is_bounded_but_never_below_one_block() {
        let pool = StackPool::new(DEFAULT_STACK, 8);
        assert!(pool.admit(16 << 10, false));
        assert!(!pool.admit(1, false));
        assert!(pool.admit(1024, true));
        pool.dismiss(1024);
        pool.dismiss(16 << 10);
        assert!(pool.admit(1, false));
    }

    #[test]
    fn as_many_as_ten_multiprocessors_need() {
        let stacks: io::Result<Vec<_>> = (0..20_000)
            .map(|_| ThreadStack::new(DEFAULT_STACK))
            .collect();
        assert_eq!(stacks.unwrap().len(), 20_000);
    }
}
