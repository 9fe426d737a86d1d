//! How much memory the device has, and how much of it is taken.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::MemoryError;

/// What a charge is rounded up to; also the alignment of every allocation.
pub(crate) const GRAIN: u64 = 512;

/// The device's memory cap. A charge that does not fit is refused, one that does fit is granted: nothing else
/// decides whether an allocation is out of memory.
#[derive(Debug)]
pub(crate) struct Budget {
    capacity: u64,
    used: AtomicU64,
}

impl Budget {
    pub(crate) fn new(capacity: u64) -> Arc<Self> {
        Arc::new(Self {
            capacity: capacity / GRAIN * GRAIN,
            used: AtomicU64::new(0),
        })
    }

    pub(crate) fn capacity(&self) -> u64 {
        self.capacity
    }

    pub(crate) fn used(&self) -> u64 {
        self.used.load(Ordering::Acquire)
    }

    /// Charges `size` bytes, rounded up to [`GRAIN`].
    pub(crate) fn charge(self: &Arc<Self>, size: u64) -> Result<Charge, MemoryError> {
        let size = size
            .checked_next_multiple_of(GRAIN)
            .ok_or(MemoryError::OutOfMemory)?;
        self.used
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |used| {
                used.checked_add(size).filter(|&sum| sum <= self.capacity)
            })
            .map_err(|_| MemoryError::OutOfMemory)?;
        Ok(Charge {
            budget: self.clone(),
            size,
        })
    }
}

/// Memory charged to a [`Budget`] until dropped.
#[derive(Debug)]
pub(crate) struct Charge {
    budget: Arc<Budget>,
    size: u64,
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.size, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cap_is_exact() {
        let budget = Budget::new(4096);
        let most = budget.charge(4096 - 512).unwrap();
        assert!(matches!(budget.charge(513), Err(MemoryError::OutOfMemory)));
        let rest = budget.charge(1).unwrap();
        assert_eq!(budget.used(), 4096);
        drop(most);
        drop(rest);
        assert_eq!(budget.used(), 0);
        assert!(matches!(
            budget.charge(u64::MAX),
            Err(MemoryError::OutOfMemory)
        ));
    }
}
