//! A set of free address spans: first fit, neighbours merge.

use std::collections::BTreeMap;
use std::ops::Range;

/// Free spans of one address range. Addresses and lengths are multiples of `unit`.
#[derive(Debug)]
pub(crate) struct Spans {
    unit: u64,
    /// Start to end of every free span; no two touch.
    free: BTreeMap<u64, u64>,
}

impl Spans {
    /// All of `start..end` free.
    pub(crate) fn new(start: u64, end: u64, unit: u64) -> Self {
        let free = if start < end {
            BTreeMap::from([(start, end)])
        } else {
            BTreeMap::new()
        };
        Self { unit, free }
    }

    /// `size` rounded up to whole units; `None` on overflow.
    pub(crate) fn rounded(&self, size: u64) -> Option<u64> {
        size.max(1).checked_next_multiple_of(self.unit)
    }

    /// Takes the first span of `size` bytes whose start is a multiple of `align` (a power of two).
    pub(crate) fn take(&mut self, size: u64, align: u64) -> Option<u64> {
        let size = self.rounded(size)?;
        let align = align.max(self.unit);
        let (start, end, at) = self.free.iter().find_map(|(&start, &end)| {
            let at = start.checked_next_multiple_of(align)?;
            (at.checked_add(size)? <= end).then_some((start, end, at))
        })?;
        self.carve(start, end, at, size);
        Some(at)
    }

    /// Takes exactly `at..at + size` if all of it is free.
    pub(crate) fn take_at(&mut self, at: u64, size: u64) -> bool {
        let Some(size) = self.rounded(size) else {
            return false;
        };
        let Some(stop) = at.checked_add(size) else {
            return false;
        };
        if !at.is_multiple_of(self.unit) {
            return false;
        }
        match self.free.range(..=at).next_back() {
            Some((&start, &end)) if stop <= end => {
                self.carve(start, end, at, size);
                true
            }
            _ => false,
        }
    }

    fn carve(&mut self, start: u64, end: u64, at: u64, size: u64) {
        self.free.remove(&start);
        if start < at {
            self.free.insert(start, at);
        }
        if at + size < end {
            self.free.insert(at + size, end);
        }
    }

    /// Gives back what a `take` of `size` bytes at `at` took.
    pub(crate) fn give(&mut self, at: u64, size: u64) {
        let Some(size) = self.rounded(size) else {
            return;
        };
        let (mut start, mut end) = (at, at + size);
        if let Some((&before, &touches)) = self.free.range(..at).next_back()
            && touches == at
        {
            self.free.remove(&before);
            start = before;
        }
        if let Some(after) = self.free.remove(&end) {
            end = after;
        }
        self.free.insert(start, end);
    }

    /// The free span that holds `at`.
    pub(crate) fn around(&self, at: u64) -> Option<Range<u64>> {
        let (&start, &end) = self.free.range(..=at).next_back()?;
        (at < end).then_some(start..end)
    }

    /// Whether `start..end` is one free span.
    pub(crate) fn is_whole(&self, start: u64, end: u64) -> bool {
        self.free.get(&start) == Some(&end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_fit_and_merge() {
        let mut spans = Spans::new(0x1000, 0x5000, 0x1000);
        assert_eq!(spans.take(1, 1), Some(0x1000));
        assert_eq!(spans.take(0x1001, 1), Some(0x2000));
        assert_eq!(spans.take(0x2000, 1), None);
        spans.give(0x1000, 1);
        spans.give(0x2000, 0x1001);
        assert!(spans.is_whole(0x1000, 0x5000));
        assert_eq!(spans.take(0x1000, 1), Some(0x1000));
        assert_eq!(spans.around(0x1fff), None);
        assert_eq!(spans.around(0x2000), Some(0x2000..0x5000));
        assert_eq!(spans.around(0x5000), None);
    }

    #[test]
    fn alignment_leaves_the_gap_free() {
        let mut spans = Spans::new(0x1000, 0x9000, 0x1000);
        assert_eq!(spans.take(0x1000, 0x4000), Some(0x4000));
        assert_eq!(spans.take(0x3000, 1), Some(0x1000));
        assert_eq!(spans.take(0x4000, 1), Some(0x5000));
    }

    #[test]
    fn exact_place() {
        let mut spans = Spans::new(0, 0x4000, 0x1000);
        assert!(spans.take_at(0x1000, 0x1000));
        assert!(!spans.take_at(0x1000, 0x1000));
        assert!(!spans.take_at(0x3000, 0x2000));
        assert!(!spans.take_at(0x2800, 0x800));
        assert!(!spans.take_at(u64::MAX - 10, 0x1000));
        assert!(spans.take_at(0x2000, 0x2000));
    }

    proptest::proptest! {
        #[test]
        fn takes_never_overlap_and_all_comes_back(ops in proptest::collection::vec((0u64..5000, 0u32..4, proptest::bool::ANY), 1..80)) {
            let mut spans = Spans::new(0, 1 << 16, 512);
            let mut held: Vec<(u64, u64)> = Vec::new();
            for (size, align, give) in ops {
                if give && !held.is_empty() {
                    let (at, size) = held.swap_remove(size as usize % held.len());
                    spans.give(at, size);
                } else if let Some(at) = spans.take(size, 512 << align) {
                    let end = at + spans.rounded(size).unwrap();
                    proptest::prop_assert!(at % (512 << align) == 0);
                    for &(other, length) in &held {
                        let other_end = other + spans.rounded(length).unwrap();
                        proptest::prop_assert!(end <= other || other_end <= at);
                    }
                    held.push((at, size));
                }
            }
            for (at, size) in held {
                spans.give(at, size);
            }
            proptest::prop_assert!(spans.is_whole(0, 1 << 16));
        }
    }
}
