//! The device's copy of page-locked host memory that kernels were given the address of.
//!
//! The program and the kernels mean the same bytes. Before a launch, what the program has changed since goes to the
//! device; behind the launch, the device's bytes are fetched, and those that differ from what it was known to have are
//! the ones that kernels have changed. While fetches are under way nothing is sent, so that "known" stays what both
//! sides started from.

use std::ops::Range;

/// Bytes that are compared, and sent, together.
const BLOCK: usize = 64;

/// One such copy.
#[derive(Debug)]
pub(crate) struct Mirror {
    /// Its device memory.
    pub(crate) device: u64,
    /// In which context.
    pub(crate) context: u32,
    /// Where the program's bytes are; `None` when that memory is gone.
    host: Option<usize>,
    /// What the device is known to have.
    known: Vec<u8>,
    /// Number of the last fetch.
    issued: u64,
    /// Number of the last fetch that has arrived.
    arrived: u64,
    /// The order in which fetches under way run.
    order: u32,
}

impl Mirror {
    /// A copy at `device`, where `content` of the memory at `host` is on its way to.
    pub(crate) const fn new(device: u64, context: u32, host: usize, content: Vec<u8>) -> Self {
        Self {
            device,
            context,
            host: Some(host),
            known: content,
            issued: 0,
            arrived: 0,
            order: 0,
        }
    }

    /// The program gives the memory up.
    pub(crate) const fn forget(&mut self) {
        self.host = None;
    }

    /// The order of the fetches under way.
    pub(crate) fn under_way(&self) -> Option<u32> {
        (self.issued != self.arrived).then_some(self.order)
    }

    /// Whether the program has changed anything, where its bytes are `now`.
    pub(crate) fn differs(&self, now: &[u8]) -> bool {
        self.known != now
    }

    /// What the program has changed; it is sent, and so known, from now on.
    pub(crate) fn changes(&mut self, now: &[u8]) -> Vec<Range<usize>> {
        let ranges = differing_blocks(&self.known, now);
        for range in &ranges {
            self.known[range.clone()].copy_from_slice(&now[range.clone()]);
        }
        ranges
    }

    /// Numbers a fetch behind a launch in `order`.
    pub(crate) const fn fetch(&mut self, order: u32) -> u64 {
        self.issued += 1;
        self.order = order;
        self.issued
    }

    /// Fetch `number` has brought `fetched`.
    ///
    /// # Safety
    /// The memory at `host` is valid until [`Self::forget`] returns.
    pub(crate) unsafe fn arrive(&mut self, number: u64, fetched: &[u8]) {
        // Answers may overtake each other; a later one holds all that an earlier one would bring.
        if number <= self.arrived {
            return;
        }
        self.arrived = number;
        let Some(host) = self.host else { return };
        for range in differing_blocks(&self.known, fetched) {
            for at in range {
                if self.known[at] != fetched[at] {
                    self.known[at] = fetched[at];
                    // SAFETY: the caller's promise; the program leaves alone what its kernels write.
                    unsafe { (host as *mut u8).add(at).write(fetched[at]) };
                }
            }
        }
    }
}

/// Where `a` and `b`, which are of the same length, differ: in whole blocks, neighbours joined.
fn differing_blocks(a: &[u8], b: &[u8]) -> Vec<Range<usize>> {
    let mut ranges: Vec<Range<usize>> = Vec::new();
    if a == b {
        return ranges;
    }
    for (number, (of_a, of_b)) in a.chunks(BLOCK).zip(b.chunks(BLOCK)).enumerate() {
        if of_a == of_b {
            continue;
        }
        let start = number * BLOCK;
        let end = start + of_a.len();
        match ranges.last_mut() {
            Some(last) if last.end == start => last.end = end,
            _ => ranges.push(start..end),
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mirror(host: &mut [u8]) -> Mirror {
        Mirror::new(0x1000, 1, host.as_mut_ptr() as usize, host.to_vec())
    }

    #[test]
    fn what_the_program_changes_is_sent_once_in_blocks() {
        let mut host = vec![0; 300];
        let mut mirror = mirror(&mut host);
        assert!(!mirror.differs(&host));
        (host[0], host[70], host[299]) = (1, 2, 3);
        assert!(mirror.differs(&host));
        assert_eq!(mirror.changes(&host), [0..128, 256..300]);
        assert_eq!(mirror.changes(&host), []);
    }

    #[test]
    fn what_kernels_change_arrives_beside_what_the_program_changes_meanwhile() {
        let mut host = vec![0; 200];
        let mut mirror = mirror(&mut host);
        let number = mirror.fetch(16);
        assert_eq!(mirror.under_way(), Some(16));
        host[100] = 7;
        let mut fetched = vec![0; 200];
        fetched[101] = 9;
        // SAFETY: `host` is live.
        unsafe { mirror.arrive(number, &fetched) };
        assert_eq!((host[100], host[101]), (7, 9));
        assert_eq!(mirror.under_way(), None);
        assert_eq!(mirror.changes(&host), vec![64..128]);
    }

    #[test]
    fn an_overtaken_fetch_and_one_for_memory_that_is_gone_change_nothing() {
        let mut host = vec![0; 10];
        let mut mirror = mirror(&mut host);
        let (first, second) = (mirror.fetch(1), mirror.fetch(1));
        // SAFETY: `host` is live.
        unsafe {
            mirror.arrive(second, &[5; 10]);
            mirror.arrive(first, &[4; 10]);
        }
        assert_eq!(host, [5; 10]);
        let third = mirror.fetch(1);
        mirror.forget();
        // SAFETY: the memory is forgotten.
        unsafe { mirror.arrive(third, &[6; 10]) };
        assert_eq!(host, [5; 10]);
    }
}
