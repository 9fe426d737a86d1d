//! What memory pools hold: their allocations, what is freed in a stream, and what they keep for their next allocations.
//!
//! At a synchronisation a pool lets go what it keeps beyond its release threshold; where an allocation would fail
//! otherwise, all pools let go all.

use std::collections::BTreeMap;

use super::{ALIGNMENT, Allocator, Use};

/// A pool.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Held {
    /// `CU_MEMPOOL_ATTR_RELEASE_THRESHOLD`.
    pub(crate) threshold: u64,
    /// Bytes it may hold at most.
    pub(crate) most: u64,
    /// Bytes it holds.
    pub(crate) reserved: u64,
    /// The most that it has held.
    pub(crate) high: u64,
}

impl Allocator {
    /// There is a pool, which holds at most so many bytes.
    pub(crate) fn add_pool(&mut self, pool: u32, most: u64) {
        let held = Held {
            threshold: 0,
            most,
            reserved: 0,
            high: 0,
        };
        self.pools.insert(pool, held);
    }

    /// The pool is gone; what is still allocated from it is free for all once it is freed.
    pub(crate) fn remove_pool(&mut self, pool: u32) {
        self.trim(pool, 0);
        self.pools.remove(&pool);
    }

    /// What a pool holds.
    pub(crate) fn pool(&self, pool: u32) -> Option<&Held> {
        self.pools.get(&pool)
    }

    /// The same, to be set.
    pub(crate) fn pool_mut(&mut self, pool: u32) -> Option<&mut Held> {
        self.pools.get_mut(&pool)
    }

    /// Gives back what a pool keeps, the largest first, until it holds no more than `keep` bytes.
    pub(crate) fn trim(&mut self, pool: u32, keep: u64) {
        while let Some(held) = self.pools.get(&pool)
            && let spare = held.reserved.saturating_sub(keep) / ALIGNMENT * ALIGNMENT
            && spare > 0
            && let Some(&(size, address)) = self.kept.get(&pool).and_then(|kept| kept.last())
        {
            let least = size.saturating_sub(spare);
            if least > 0 {
                // The first bytes stay.
                self.split(address, least, Use::Kept(pool));
            }
            self.unindex((size - least, address + least), Use::Kept(pool));
            self.release(address + least, Use::Free);
            self.refund_pool(pool, size - least);
        }
    }

    /// Gives back all that pools keep.
    pub(super) fn empty_pools(&mut self) {
        for pool in self.pools.keys().copied().collect::<Vec<_>>() {
            self.trim(pool, 0);
        }
    }

    /// The host has waited: pools let go what is beyond their thresholds.
    pub(super) fn heed_thresholds(&mut self) {
        let thresholds: BTreeMap<u32, u64> = self
            .kept
            .keys()
            .filter_map(|pool| Some((*pool, self.pools.get(pool)?.threshold)))
            .collect();
        for (pool, threshold) in thresholds {
            self.trim(pool, threshold);
        }
    }

    /// Whether a pool may hold `room` bytes more; lets go what it keeps, if that helps.
    pub(super) fn charge_pool(&mut self, pool: u32, room: u64) -> bool {
        let Some(held) = self.pools.get(&pool) else {
            return true;
        };
        let Some(left) = held.most.checked_sub(room) else {
            return false;
        };
        if held.reserved > left {
            self.trim(pool, left);
        }
        self.pools
            .get(&pool)
            .is_some_and(|held| held.reserved <= left)
    }

    /// A pool holds `room` bytes more.
    pub(super) fn book(&mut self, pool: u32, room: u64) {
        if let Some(held) = self.pools.get_mut(&pool) {
            held.reserved += room;
            held.high = held.high.max(held.reserved);
        }
    }

    /// A pool holds `room` bytes less.
    pub(super) fn refund_pool(&mut self, pool: u32, room: u64) {
        if let Some(held) = self.pools.get_mut(&pool) {
            held.reserved = held.reserved.saturating_sub(room);
        }
    }

    /// Where memory of a pool goes that nobody uses any more.
    pub(super) fn home(&self, pool: u32) -> Use {
        if self.pools.contains_key(&pool) {
            Use::Kept(pool)
        } else {
            Use::Free
        }
    }

    /// What a pool keeps and is large enough, the smallest of it.
    pub(super) fn take_kept(&mut self, room: u64, pool: u32) -> Option<u64> {
        let (size, address) = self.kept.get(&pool)?.range((room, 0)..).next().copied()?;
        self.unindex((size, address), Use::Kept(pool));
        self.carve(address, size, room, Use::Kept(pool));
        Some(address)
    }

    /// Cuts a block that nobody uses in two, the first of `size` bytes.
    fn split(&mut self, address: u64, size: u64, used: Use) {
        let Some(chunk) = self.chunk_of_mut(address) else {
            return;
        };
        let Some(block) = chunk.blocks.get_mut(&address) else {
            return;
        };
        let (all, rest) = (block.size, block.size - size);
        block.size = size;
        let tail = super::Block { size: rest, used };
        chunk.blocks.insert(address + size, tail);
        self.unindex((all, address), used);
        self.index(address, size, used);
        self.index(address + size, rest, used);
    }
}
