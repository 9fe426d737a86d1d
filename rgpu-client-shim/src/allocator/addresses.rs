//! Free addresses of the window: chunks come from the low end, reservations from the high one.

use std::collections::BTreeMap;

/// Ranges of free addresses: start to size; no two touch.
#[derive(Debug)]
pub(super) struct Addresses {
    free: BTreeMap<u64, u64>,
}

impl Addresses {
    pub(super) fn new(base: u64, size: u64) -> Self {
        Self {
            free: BTreeMap::from([(base, size)]),
        }
    }

    /// The lowest free range of `size`.
    pub(super) fn take_low(&mut self, size: u64, alignment: u64) -> Option<u64> {
        let at = self.free.iter().find_map(|(&start, &len)| {
            let at = start.checked_next_multiple_of(alignment)?;
            (at - start <= len && size <= len - (at - start)).then_some(at)
        })?;
        self.take_at(at, size)
    }

    /// The highest free range of `size`.
    pub(super) fn take_high(&mut self, size: u64, alignment: u64) -> Option<u64> {
        let at = self.free.iter().rev().find_map(|(&start, &len)| {
            let at = (start + len).checked_sub(size)? / alignment * alignment;
            (at >= start).then_some(at)
        })?;
        self.take_at(at, size)
    }

    /// [at, +size), if it is free.
    pub(super) fn take_at(&mut self, at: u64, size: u64) -> Option<u64> {
        let (&start, &len) = self.free.range(..=at).next_back()?;
        let before = at - start;
        let after = len.checked_sub(before)?.checked_sub(size)?;
        self.free.remove(&start);
        if before > 0 {
            self.free.insert(start, before);
        }
        if after > 0 {
            self.free.insert(at + size, after);
        }
        Some(at)
    }

    /// Gives a range back.
    pub(super) fn give(&mut self, at: u64, size: u64) {
        let (mut start, mut len) = (at, size);
        if let Some((&before, &before_len)) = self.free.range(..at).next_back()
            && before + before_len == at
        {
            self.free.remove(&before);
            (start, len) = (before, len + before_len);
        }
        if let Some(after) = self.free.remove(&(at + size)) {
            len += after;
        }
        self.free.insert(start, len);
    }
}
