//! Device addresses. The client owns a window of them and decides where an allocation lies; the server only
//! puts memory behind the chunks that this module names.
//!
//! ```text
//! window  ├ chunk ┤├──── chunk ────┤            …free addresses…            ├ reservations (cuMemAddressReserve) ┤
//!          ▓▓░▓░░░  ▓▓▓▓▓▓▓▓▓▓▓░░░░     ▓ allocated   ░ free, can be allocated   ▒ freed in a stream, see below
//! ```
//!
//! Invariants: chunks are whole granules and do not overlap; the blocks of a chunk cover it; no two free blocks
//! of a chunk touch; the sum of all chunks is at most the lease. Chunks stay backed when they fall empty, and
//! are given back only where an allocation would not fit otherwise.
//!
//! Memory of a pool stays the pool's when it is freed, as far as the pool keeps it (`held`).
//!
//! Memory that is freed for all is allocated again only behind a [`Step::Fence`], which the next allocation that
//! could use it asks for. Memory that is freed in a stream (`cuMemFreeAsync`) may be allocated again in that stream at once, since the
//! stream orders the uses; by others only after [`Allocator::settle`] or [`Allocator::settle_all`].
//!
//! This module is pure: it answers with the [`Step`]s that the caller has to tell the server, in order.

mod addresses;
mod held;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use addresses::Addresses;
pub(crate) use held::Held;

/// Every allocation starts at a multiple of this, as on NVIDIA's GPUs at least 256 is promised.
pub(crate) const ALIGNMENT: u64 = 512;

/// Allocations up to this share chunks of [`SMALL_CHUNK`].
const SMALL: u64 = 1 << 20;

/// Bytes of a chunk of small allocations.
const SMALL_CHUNK: u64 = 2 << 20;

/// What the server has to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Put memory behind [address, +size).
    Back(u64, u64),
    /// Take the memory behind [address, +size) away.
    Unback(u64, u64),
    /// Work issued later waits for all work issued before.
    Fence,
}

/// Why there is no allocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The lease does not cover it.
    OutOfMemory,
    /// No allocation starts there.
    Unknown,
}

/// An allocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Allocation {
    /// First address.
    pub(crate) address: u64,
    /// Bytes asked for.
    pub(crate) size: u64,
    /// In which context.
    pub(crate) context: u32,
    /// From which pool, 0 for none.
    pub(crate) pool: u32,
    /// Numbers allocations; never the same for two.
    pub(crate) serial: u64,
}

/// What lies at an address of a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    Free,
    /// Kept by this pool.
    Kept(u32),
    /// Freed in a stream, and of a pool.
    Pending {
        stream: u32,
        pool: u32,
    },
    Live,
}

#[derive(Debug, Clone, Copy)]
struct Block {
    size: u64,
    used: Use,
}

#[derive(Debug)]
struct Chunk {
    size: u64,
    small: bool,
    blocks: BTreeMap<u64, Block>,
}

/// The client's view of its device memory.
#[derive(Debug)]
pub(crate) struct Allocator {
    addresses: Addresses,
    granularity: u64,
    lease: u64,
    /// Bytes of all chunks.
    backed: u64,
    /// Bytes of physical memory made by `cuMemCreate`.
    physical: u64,
    chunks: BTreeMap<u64, Chunk>,
    /// Free blocks by size.
    free: BTreeSet<(u64, u64)>,
    /// Blocks freed in a stream, by stream and pool, and size.
    pending: BTreeMap<(u32, u32), BTreeSet<(u64, u64)>>,
    /// Blocks that pools keep, by size.
    kept: BTreeMap<u32, BTreeSet<(u64, u64)>>,
    pools: BTreeMap<u32, Held>,
    live: BTreeMap<u64, Allocation>,
    serial: u64,
    /// Something was freed, and no fence has followed.
    unfenced: bool,
    /// How often memory was freed in a stream.
    stream_frees: u64,
}

impl Allocator {
    /// An allocator for `lease` bytes in [base, +size).
    pub(crate) fn new(base: u64, size: u64, granularity: u64, lease: u64) -> Self {
        Self {
            addresses: Addresses::new(base, size),
            granularity,
            lease,
            backed: 0,
            physical: 0,
            chunks: BTreeMap::new(),
            free: BTreeSet::new(),
            pending: BTreeMap::new(),
            kept: BTreeMap::new(),
            pools: BTreeMap::new(),
            live: BTreeMap::new(),
            serial: 0,
            unfenced: false,
            stream_frees: 0,
        }
    }

    /// Allocates `size` bytes, more than none. Where `stream` is given, memory freed in it may be used.
    pub(crate) fn allocate(
        &mut self,
        size: u64,
        context: u32,
        pool: u32,
        stream: Option<u32>,
        steps: &mut Vec<Step>,
    ) -> Result<Allocation, Refusal> {
        let room = size
            .checked_next_multiple_of(ALIGNMENT)
            .filter(|room| *room <= self.lease)
            .ok_or(Refusal::OutOfMemory)?;
        let address = self
            .find_room(room, pool, stream, steps)
            .ok_or(Refusal::OutOfMemory)?;
        self.serial += 1;
        let allocation = Allocation {
            address,
            size,
            context,
            pool,
            serial: self.serial,
        };
        self.live.insert(address, allocation);
        Ok(allocation)
    }

    fn find_room(
        &mut self,
        room: u64,
        pool: u32,
        stream: Option<u32>,
        steps: &mut Vec<Step>,
    ) -> Option<u64> {
        if let Some(address) = stream.and_then(|stream| self.take_pending(room, stream, pool)) {
            return Some(address);
        }
        if let Some(address) = self.take_kept(room, pool) {
            self.fence(steps);
            return Some(address);
        }
        if !self.charge_pool(pool, room) {
            return None;
        }
        let address = self.find_new(room, steps)?;
        self.book(pool, room);
        Some(address)
    }

    /// Room that is nobody's.
    fn find_new(&mut self, room: u64, steps: &mut Vec<Step>) -> Option<u64> {
        let small = room <= SMALL;
        if let Some(address) = self.take_free(room, Some(small), steps) {
            return Some(address);
        }
        if let Some(address) = self.back_new(room, small, steps) {
            return Some(address);
        }
        // Under pressure: take back what streams have freed and pools keep, then any hole, then the memory of empty chunks.
        self.collect(steps);
        if let Some(address) = self.take_free(room, None, steps) {
            return Some(address);
        }
        self.give_back(room, steps);
        self.back_new(room, small, steps)
            .or_else(|| self.back_new(room, false, steps))
    }

    /// The smallest fitting hole, in chunks of small or large allocations only where `small` says so.
    fn take_free(&mut self, room: u64, small: Option<bool>, steps: &mut Vec<Step>) -> Option<u64> {
        let fits = |address: u64| {
            small.is_none_or(|small| {
                self.chunk_of(address)
                    .is_some_and(|(_, c)| c.small == small)
            })
        };
        let (size, address) = self
            .free
            .range((room, 0)..)
            .copied()
            .find(|(_, address)| fits(*address))?;
        self.free.remove(&(size, address));
        self.carve(address, size, room, Use::Free);
        self.fence(steps);
        Some(address)
    }

    /// Before memory is used again that was freed for all.
    fn fence(&mut self, steps: &mut Vec<Step>) {
        if std::mem::take(&mut self.unfenced) {
            steps.push(Step::Fence);
        }
    }

    /// Makes what was freed in streams, and what pools keep, free for all.
    fn collect(&mut self, steps: &mut Vec<Step>) {
        if !self.pending.is_empty() {
            steps.push(Step::Fence);
            self.settle_all();
        }
        self.empty_pools();
    }

    fn take_pending(&mut self, room: u64, stream: u32, pool: u32) -> Option<u64> {
        let blocks = self.pending.get(&(stream, pool))?;
        let (size, address) = blocks.range((room, 0)..).next().copied()?;
        let used = Use::Pending { stream, pool };
        self.unindex((size, address), used);
        self.carve(address, size, room, used);
        Some(address)
    }

    /// Makes the first `room` bytes of a block live and leaves the rest as `rest`.
    fn carve(&mut self, address: u64, size: u64, room: u64, rest: Use) {
        let Some(chunk) = self.chunk_of_mut(address) else {
            return;
        };
        chunk.blocks.insert(
            address,
            Block {
                size: room,
                used: Use::Live,
            },
        );
        if size > room {
            let (at, left) = (address + room, size - room);
            chunk.blocks.insert(
                at,
                Block {
                    size: left,
                    used: rest,
                },
            );
            self.index(at, left, rest);
        }
    }

    fn index(&mut self, at: u64, size: u64, used: Use) {
        match used {
            Use::Free => {
                self.free.insert((size, at));
            }
            Use::Kept(pool) => {
                self.kept.entry(pool).or_default().insert((size, at));
            }
            Use::Pending { stream, pool } => {
                let blocks = self.pending.entry((stream, pool)).or_default();
                blocks.insert((size, at));
            }
            Use::Live => {}
        }
    }

    /// A new chunk with an allocation of `room` at its front, if the lease covers it.
    fn back_new(&mut self, room: u64, small: bool, steps: &mut Vec<Step>) -> Option<u64> {
        let least = if small { SMALL_CHUNK.max(room) } else { room };
        let size = least.checked_next_multiple_of(self.granularity)?;
        if size > self.lease - self.held() {
            return None;
        }
        let address = self.addresses.take_low(size, self.granularity)?;
        steps.push(Step::Back(address, size));
        self.backed += size;
        self.chunks.insert(
            address,
            Chunk {
                size,
                small,
                blocks: BTreeMap::new(),
            },
        );
        self.carve(address, size, room, Use::Free);
        Some(address)
    }

    /// Gives empty chunks back, the largest first, until a chunk for `room` bytes would be covered by the lease.
    fn give_back(&mut self, room: u64, steps: &mut Vec<Step>) {
        let Some(need) = room.checked_next_multiple_of(self.granularity) else {
            return;
        };
        let mut empty: Vec<(u64, u64)> = self
            .chunks
            .iter()
            .filter(|(_, chunk)| chunk.blocks.len() == 1)
            .filter(|(_, chunk)| chunk.blocks.values().all(|block| block.used == Use::Free))
            .map(|(address, chunk)| (chunk.size, *address))
            .collect();
        let reclaimable: u64 = empty.iter().map(|(size, _)| size).sum();
        if self.held() - reclaimable + need > self.lease {
            return;
        }
        empty.sort_unstable();
        while need > self.lease - self.held() {
            let Some((size, address)) = empty.pop() else {
                return;
            };
            self.chunks.remove(&address);
            self.free.remove(&(size, address));
            self.addresses.give(address, size);
            self.backed -= size;
            steps.push(Step::Unback(address, size));
        }
    }

    /// Frees an allocation for any later use.
    pub(crate) fn free(&mut self, address: u64) -> Result<Allocation, Refusal> {
        let allocation = self.live.remove(&address).ok_or(Refusal::Unknown)?;
        self.unfenced = true;
        self.go_home(address, allocation.pool);
        Ok(allocation)
    }

    /// Frees an allocation for uses in `stream`.
    pub(crate) fn free_in(&mut self, address: u64, stream: u32) -> Result<Allocation, Refusal> {
        let allocation = self.live.remove(&address).ok_or(Refusal::Unknown)?;
        self.stream_frees += 1;
        let pool = allocation.pool;
        self.release(address, Use::Pending { stream, pool });
        Ok(allocation)
    }

    /// Nobody uses a live or pending block of a pool any more.
    fn go_home(&mut self, address: u64, pool: u32) {
        let home = self.home(pool);
        self.release(address, home);
    }

    /// Turns a live or pending block into `used` and joins it with its neighbours of the same use.
    fn release(&mut self, address: u64, used: Use) {
        let Some(chunk) = self.chunk_of_mut(address) else {
            return;
        };
        let Some(block) = chunk.blocks.remove(&address) else {
            return;
        };
        let (mut start, mut size) = (address, block.size);
        let mut joined = Vec::new();
        if let Some((&at, before)) = chunk.blocks.range(..address).next_back()
            && before.used == used
        {
            joined.push((before.size, at));
            (start, size) = (at, size + before.size);
        }
        if let Some((&at, after)) = chunk.blocks.range(address..).next()
            && after.used == used
        {
            joined.push((after.size, at));
            size += after.size;
        }
        for (_, at) in &joined {
            chunk.blocks.remove(at);
        }
        chunk.blocks.insert(start, Block { size, used });
        for block in joined {
            self.unindex(block, used);
        }
        self.index(start, size, used);
    }

    fn unindex(&mut self, block: (u64, u64), used: Use) {
        match used {
            Use::Free => {
                self.free.remove(&block);
            }
            Use::Kept(pool) => remove(&mut self.kept, &pool, block),
            Use::Pending { stream, pool } => remove(&mut self.pending, &(stream, pool), block),
            Use::Live => {}
        }
    }

    /// All work in `stream` is done: what was freed in it is its pool's, or free for all.
    pub(crate) fn settle(&mut self, stream: u32) {
        let of_stream = self.pending.range((stream, 0)..=(stream, u32::MAX));
        for key in of_stream.map(|(key, _)| *key).collect::<Vec<_>>() {
            for (_, address) in self.pending.remove(&key).unwrap_or_default() {
                self.go_home(address, key.1);
            }
        }
        self.heed_thresholds();
    }

    /// All work in all streams is done, or everything later waits for it.
    pub(crate) fn settle_all(&mut self) {
        for (stream, _) in self.pending.keys().copied().collect::<Vec<_>>() {
            self.settle(stream);
        }
        self.heed_thresholds();
        self.unfenced = false;
    }

    /// How often memory was freed in a stream: whoever waits for a stream and finds this changed afterwards
    /// does not know whether the wait covered all that was freed in it.
    pub(crate) const fn stream_frees(&self) -> u64 {
        self.stream_frees
    }

    /// Bytes freed in streams that only those streams may use again.
    pub(crate) fn unsettled(&self) -> u64 {
        self.pending.values().flatten().map(|(size, _)| size).sum()
    }

    /// The allocation that holds `address`.
    pub(crate) fn containing(&self, address: u64) -> Option<&Allocation> {
        let (_, allocation) = self.live.range(..=address).next_back()?;
        (address - allocation.address < allocation.size).then_some(allocation)
    }

    /// All allocations made in `context`.
    pub(crate) fn of_context(&self, context: u32) -> Vec<u64> {
        self.live
            .values()
            .filter(|a| a.context == context)
            .map(|a| a.address)
            .collect()
    }

    /// Bytes that could be allocated, and bytes in all, as `cuMemGetInfo` says.
    pub(crate) fn info(&self) -> (u64, u64) {
        let used: u64 = self
            .chunks
            .values()
            .filter(|chunk| chunk.blocks.values().any(|block| block.used != Use::Free))
            .map(|chunk| chunk.size)
            .sum();
        (self.lease - used - self.physical, self.lease)
    }

    /// Forgets all allocations, as a reset of the device does; the server takes the memory away by itself.
    /// Physical memory belongs to no context and stays.
    pub(crate) fn reset(&mut self) {
        for (address, chunk) in std::mem::take(&mut self.chunks) {
            self.addresses.give(address, chunk.size);
        }
        self.backed = 0;
        self.free.clear();
        self.pending.clear();
        self.kept.clear();
        self.pools.values_mut().for_each(|held| held.reserved = 0);
        self.live.clear();
        self.unfenced = false;
    }

    /// Counts physical memory made by `cuMemCreate` against the lease.
    pub(crate) fn charge(&mut self, size: u64, steps: &mut Vec<Step>) -> Result<(), Refusal> {
        if size > self.lease {
            return Err(Refusal::OutOfMemory);
        }
        if size > self.lease - self.held() {
            self.collect(steps);
            self.give_back(size, steps);
        }
        if size > self.lease - self.held() {
            return Err(Refusal::OutOfMemory);
        }
        self.physical += size;
        Ok(())
    }

    /// Physical memory is released.
    pub(crate) fn refund(&mut self, size: u64) {
        self.physical = self.physical.saturating_sub(size);
    }

    /// Takes addresses for `cuMemAddressReserve`.
    pub(crate) fn reserve(&mut self, size: u64, alignment: u64, wish: Option<u64>) -> Option<u64> {
        let alignment = alignment.max(self.granularity);
        wish.and_then(|at| self.addresses.take_at(at, size))
            .or_else(|| self.addresses.take_high(size, alignment))
    }

    /// Gives the addresses of a reservation back.
    pub(crate) fn unreserve(&mut self, address: u64, size: u64) {
        self.addresses.give(address, size);
    }

    const fn held(&self) -> u64 {
        self.backed + self.physical
    }

    fn chunk_of(&self, address: u64) -> Option<(u64, &Chunk)> {
        let (&at, chunk) = self.chunks.range(..=address).next_back()?;
        (address - at < chunk.size).then_some((at, chunk))
    }

    fn chunk_of_mut(&mut self, address: u64) -> Option<&mut Chunk> {
        let (&at, chunk) = self.chunks.range_mut(..=address).next_back()?;
        (address - at < chunk.size).then_some(chunk)
    }
}

fn remove<K: Ord>(lists: &mut BTreeMap<K, BTreeSet<(u64, u64)>>, key: &K, block: (u64, u64)) {
    if let Some(blocks) = lists.get_mut(key) {
        blocks.remove(&block);
        if blocks.is_empty() {
            lists.remove(key);
        }
    }
}
