//! Pools and stream-ordered allocation.
//!
//! A block of a pool is *live*, *leaving* (freed in a stream that has not got there), or *idle*. A leaving block may be
//! allocated again in its own stream, an idle one in any. Idle blocks beyond the pool's release threshold go back to
//! the device at the next synchronisation, and all of them where an allocation would fail otherwise.

use std::collections::{BTreeMap, HashMap};
use std::ffi::c_void;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rgpu_proto::handle::{self, Id};
use rgpu_softgpu_exec::memory::DeviceMemory;

use super::owners::Owner;
use crate::context::Context;
use crate::driver::{self, Gpu};
use crate::handles::Table;
use crate::status::{Result, Status, of_memory, require};
use crate::stream::{Lane, Stream};

/// Blocks are multiples of this.
const GRAIN: u64 = 512;

/// A pool.
#[derive(Debug)]
pub(crate) struct Pool {
    handle: Id<handle::Pool>,
    /// Number of its device.
    device: u32,
    /// Most bytes it may hold.
    most: u64,
    state: Mutex<State>,
    counts: Arc<Counts>,
}

/// What the pools of a device have that synchronisations care about.
#[derive(Debug, Default)]
struct Counts {
    idle: AtomicU64,
    leaving: AtomicUsize,
}

#[derive(Debug, Default)]
struct State {
    /// `CU_MEMPOOL_ATTR_REUSE_…`.
    reuse: [u32; 3],
    release_threshold: u64,
    used: u64,
    used_high: u64,
    reserved: u64,
    reserved_high: u64,
    /// Idle blocks by room and address; whether the host has waited for their end.
    idle: BTreeMap<(u64, u64), bool>,
    leaving: HashMap<u64, Leaving>,
    /// Numbers of leaving blocks.
    next: u64,
    /// Destroyed: what is freed is not kept.
    gone: bool,
}

/// A block on its way back.
#[derive(Debug, Clone, Copy)]
struct Leaving {
    base: u64,
    size: u64,
    room: u64,
    context: u64,
    lane: Lane,
}

/// The block behind an allocation.
#[derive(Debug, Clone)]
pub(crate) struct Share {
    pool: Arc<Pool>,
    size: u64,
    room: u64,
}

/// A device's default pool, and the one that takes its place.
#[derive(Debug)]
pub(crate) struct Pools {
    default: Arc<Pool>,
    current: Mutex<Arc<Pool>>,
    counts: Arc<Counts>,
}

impl Pools {
    pub(crate) fn new(pools: &Table<handle::Pool, Pool>, device: u32) -> Self {
        let counts = Arc::<Counts>::default();
        let default = Pool::enter(pools, device, u64::MAX, counts.clone());
        Self {
            current: Mutex::new(default.clone()),
            default,
            counts,
        }
    }

    pub(crate) fn default_handle(&self) -> *mut c_void {
        self.default.handle()
    }

    pub(crate) fn current(&self) -> Arc<Pool> {
        self.current
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Makes the device allocate from `pool`, which must be one of its own.
    pub(crate) fn set_current(&self, pool: Arc<Pool>) -> Result {
        require(pool.device == self.default.device)?;
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = pool;
        Ok(())
    }

    /// A new pool of the device; `most` bytes at most, or 0 for no limit of its own.
    pub(crate) fn create(&self, most: u64) -> Result<Arc<Pool>> {
        let most = if most == 0 { u64::MAX } else { most };
        let pools = &driver::get()?.pools;
        Ok(Pool::enter(
            pools,
            self.default.device,
            most,
            self.counts.clone(),
        ))
    }
}

/// Every pool of a device.
fn of_device(gpu: &Gpu) -> Result<Vec<Arc<Pool>>> {
    let mut pools = driver::get()?.pools.all();
    pools.retain(|pool| pool.device == gpu.memory.device());
    Ok(pools)
}

/// The host has waited for work of the device: pools let go what is beyond their thresholds.
pub(crate) fn settle(gpu: &Gpu) {
    if gpu.pools.counts.idle.load(Ordering::Acquire) == 0 {
        return;
    }
    for pool in of_device(gpu).unwrap_or_default() {
        let mut state = pool.state();
        state
            .idle
            .values_mut()
            .for_each(|observed| *observed = true);
        let keep = state.release_threshold;
        pool.shrink(&mut state, keep);
    }
}

/// Gives back all that the pools of a device hold idle.
pub(crate) fn empty(gpu: &Gpu) {
    for pool in of_device(gpu).unwrap_or_default() {
        pool.shrink(&mut pool.state(), 0);
    }
}

/// Waits for what is leaving the pools of the context's device, and gives back all that they hold; whether there was
/// anything.
pub(super) fn reclaim(context: &Context) -> bool {
    let Ok(gpu) = context.gpu() else {
        return false;
    };
    let counts = &gpu.pools.counts;
    let idle = counts.idle.load(Ordering::Acquire) > 0;
    let leaving = counts.leaving.load(Ordering::Acquire) > 0;
    if leaving {
        context.drain();
    }
    empty(gpu);
    idle || leaving
}

/// Allocates from `pool`, or from the current one of the stream's device.
pub(crate) fn allocate_async(size: u64, pool: Option<Arc<Pool>>, stream: &Stream) -> Result<u64> {
    require(size > 0)?;
    let driver = driver::get()?;
    let pool = match pool {
        Some(pool) => pool,
        None => stream.context().gpu()?.pools.current(),
    };
    let (base, room) = match pool.take(size, stream) {
        Err(Status::ERROR_OUT_OF_MEMORY) if reclaim(stream.context()) => pool.take(size, stream),
        result => result,
    }?;
    let owner = Owner {
        share: Some(Share { pool, size, room }),
        ..Owner::of(stream.context().id())
    };
    driver.owners.add(base, owner);
    Ok(base)
}

/// Frees an allocation once `stream` has got there.
pub(crate) fn free_async(base: u64, stream: &Stream) -> Result {
    if base == 0 {
        return Ok(());
    }
    let driver = driver::get()?;
    let owner = driver.owners.get(base);
    require(owner.is_some_and(|owner| owner.may_be_freed))?;
    let owner = driver
        .owners
        .remove(base)
        .ok_or(Status::ERROR_INVALID_VALUE)?;
    let Some(share) = owner.share else {
        // A poisoned context frees its memory too.
        stream.enqueue_always(move |_| {
            if let Err(error) = driver.memory.release(base) {
                tracing::error!(base, %error, "memory could not be freed in a stream");
            }
        });
        return Ok(());
    };
    let number = share.pool.leave(base, &share, stream);
    let pool = share.pool;
    stream.enqueue_always(move |_| pool.arrive(number));
    Ok(())
}

impl Share {
    /// The pool it is of.
    pub(super) fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Gives a block back that nothing uses.
    pub(super) fn give_back(&self, base: u64) -> Result {
        let mut state = self.pool.state();
        state.used -= self.size;
        self.pool.keep(&mut state, base, self.room);
        Ok(())
    }
}

/// What `cuMemPoolGetAttribute` gives: the type depends on the attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Value {
    Int(u32),
    Long(u64),
}

const REUSE_FIRST: u32 = 1;
/// `CU_MEMPOOL_ATTR_REUSE_ALLOW_OPPORTUNISTIC`, less the first.
const OPPORTUNISTIC: usize = 1;
const REUSE_LAST: u32 = 3;
const RELEASE_THRESHOLD: u32 = 4;
const RESERVED_CURRENT: u32 = 5;
const RESERVED_HIGH: u32 = 6;
const USED_CURRENT: u32 = 7;
const USED_HIGH: u32 = 8;

/// Bytes of a block for `size` bytes.
fn room_for(size: u64) -> Option<u64> {
    size.checked_next_multiple_of(GRAIN)
}

/// Whether a block of `room` bytes is not too large for one of `wanted`.
fn is_close(room: u64, wanted: u64) -> bool {
    room >= wanted && room - wanted <= wanted / 4
}

impl Pool {
    /// A new pool in the table.
    fn enter(
        pools: &Table<handle::Pool, Self>,
        device: u32,
        most: u64,
        counts: Arc<Counts>,
    ) -> Arc<Self> {
        let handle = pools.mint();
        let state = State {
            reuse: [1; 3],
            ..State::default()
        };
        let pool = Arc::new(Self {
            handle,
            device,
            most,
            state: Mutex::new(state),
            counts,
        });
        pools.insert(handle, pool.clone());
        pool
    }

    pub(crate) fn handle(&self) -> *mut c_void {
        self.handle.to_c()
    }

    /// Its device.
    pub(crate) fn gpu(&self) -> Result<&'static Gpu> {
        driver::gpu(self.device as i32)
    }

    /// What its memory is numbered by in its device.
    pub(crate) fn number(&self) -> u64 {
        self.handle.0.into()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A block for `size` bytes: its address and room.
    fn take(&self, size: u64, stream: &Stream) -> Result<(u64, u64)> {
        let memory = &self.gpu()?.memory;
        let room = room_for(size).ok_or(Status::ERROR_OUT_OF_MEMORY)?;
        let mut state = self.state();
        let found = match self.take_leaving(&mut state, room, stream) {
            Some((base, room)) => {
                memory.resize(base, size).map_err(of_memory)?;
                (base, room)
            }
            None => match self.take_idle(&mut state, room) {
                Some((base, room)) => {
                    memory.revive(base, size).map_err(of_memory)?;
                    (base, room)
                }
                None => (self.take_new(&mut state, memory, size, room)?, room),
            },
        };
        state.used += size;
        state.used_high = state.used_high.max(state.used);
        Ok(found)
    }

    /// The closest block that was freed in the same stream.
    fn take_leaving(&self, state: &mut State, room: u64, stream: &Stream) -> Option<(u64, u64)> {
        let fits = |block: &Leaving| {
            block.context == stream.context().id()
                && block.lane == stream.lane()
                && is_close(block.room, room)
        };
        let blocks = state.leaving.iter().filter(|(_, block)| fits(block));
        let (&number, _) = blocks.min_by_key(|(_, block)| block.room)?;
        let block = state.leaving.remove(&number)?;
        state.used -= block.size;
        self.counts.leaving.fetch_sub(1, Ordering::AcqRel);
        Some((block.base, block.room))
    }

    /// The closest idle block.
    fn take_idle(&self, state: &mut State, room: u64) -> Option<(u64, u64)> {
        let any = state.reuse[OPPORTUNISTIC] != 0;
        let blocks = state.idle.range((room, 0)..);
        let (&(found, base), _) = blocks
            .take_while(|((found, _), _)| is_close(*found, room))
            .find(|(_, observed)| any || **observed)?;
        state.idle.remove(&(found, base));
        self.counts.idle.fetch_sub(found, Ordering::AcqRel);
        Some((base, found))
    }

    fn take_new(
        &self,
        state: &mut State,
        memory: &DeviceMemory,
        size: u64,
        room: u64,
    ) -> Result<u64> {
        let left = self.most.checked_sub(room);
        let left = left.ok_or(Status::ERROR_OUT_OF_MEMORY)?;
        if state.reserved > left {
            self.shrink(state, left);
        }
        if state.reserved > left {
            return Err(Status::ERROR_OUT_OF_MEMORY);
        }
        let base = memory.allocate_in(self.number(), room).map_err(of_memory)?;
        memory.resize(base, size).map_err(of_memory)?;
        state.reserved += room;
        state.reserved_high = state.reserved_high.max(state.reserved);
        Ok(base)
    }

    /// A block is freed in a stream; gives its number.
    fn leave(&self, base: u64, share: &Share, stream: &Stream) -> u64 {
        let mut state = self.state();
        let number = state.next;
        state.next += 1;
        let block = Leaving {
            base,
            size: share.size,
            room: share.room,
            context: stream.context().id(),
            lane: stream.lane(),
        };
        state.leaving.insert(number, block);
        self.counts.leaving.fetch_add(1, Ordering::AcqRel);
        number
    }

    /// The stream has got to where a block was freed; it may have been allocated again meanwhile.
    fn arrive(&self, number: u64) {
        let mut state = self.state();
        if let Some(block) = state.leaving.remove(&number) {
            self.counts.leaving.fetch_sub(1, Ordering::AcqRel);
            state.used -= block.size;
            self.keep(&mut state, block.base, block.room);
        }
    }

    /// Makes a block idle.
    fn keep(&self, state: &mut State, base: u64, room: u64) {
        let kept = self.gpu().is_ok_and(|gpu| {
            if state.gone {
                gpu.memory.release(base).is_err()
            } else {
                gpu.memory.retire(base).unwrap_or(false)
            }
        });
        if kept {
            state.idle.insert((room, base), false);
            self.counts.idle.fetch_add(room, Ordering::AcqRel);
        } else {
            state.reserved -= room;
        }
    }

    /// Gives idle blocks back, the largest first, as long as there are more than `keep` bytes, but never so many that
    /// fewer are left.
    fn shrink(&self, state: &mut State, keep: u64) {
        let Ok(gpu) = self.gpu() else { return };
        while let Some(spare) = state.reserved.checked_sub(keep).filter(|&spare| spare > 0) {
            let fitting = state.idle.range(..=(spare, u64::MAX)).next_back();
            let Some((&(room, base), _)) = fitting else {
                return;
            };
            state.idle.remove(&(room, base));
            self.counts.idle.fetch_sub(room, Ordering::AcqRel);
            state.reserved -= room;
            if let Err(error) = gpu.memory.discard(base) {
                tracing::error!(base, %error, "memory of a pool could not be freed");
            }
        }
    }

    /// Gives back what is idle, but leaves `keep` bytes.
    pub(crate) fn trim(&self, keep: u64) {
        self.shrink(&mut self.state(), keep);
    }

    /// Whether the attribute is an `int`; the others are 64 bits wide.
    pub(crate) fn is_int(attribute: u32) -> bool {
        (REUSE_FIRST..=REUSE_LAST).contains(&attribute)
    }

    pub(crate) fn attribute(&self, attribute: u32) -> Result<Value> {
        let state = self.state();
        Ok(Value::Long(match attribute {
            REUSE_FIRST..=REUSE_LAST => {
                let flag = state.reuse[(attribute - REUSE_FIRST) as usize];
                return Ok(Value::Int(flag));
            }
            RELEASE_THRESHOLD => state.release_threshold,
            RESERVED_CURRENT => state.reserved,
            RESERVED_HIGH => state.reserved_high,
            USED_CURRENT => state.used,
            USED_HIGH => state.used_high,
            _ => return Err(Status::ERROR_INVALID_VALUE),
        }))
    }

    pub(crate) fn set_attribute(&self, attribute: u32, value: Value) -> Result {
        let mut state = self.state();
        match (attribute, value) {
            (REUSE_FIRST..=REUSE_LAST, Value::Int(value)) => {
                state.reuse[(attribute - REUSE_FIRST) as usize] = u32::from(value != 0);
            }
            (RELEASE_THRESHOLD, Value::Long(value)) => state.release_threshold = value,
            // A high mark may only be set back, to what it is now.
            (RESERVED_HIGH, Value::Long(0)) => state.reserved_high = state.reserved,
            (USED_HIGH, Value::Long(0)) => state.used_high = state.used,
            _ => return Err(Status::ERROR_INVALID_VALUE),
        }
        Ok(())
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        if let Ok(gpu) = self.gpu() {
            gpu.memory.forget_pool(self.number());
        }
    }
}

/// Forgets a pool; its allocations live on.
pub(crate) fn destroy(handle: *mut c_void) -> Result {
    let driver = driver::get()?;
    let pool = driver
        .pools
        .get(handle)
        .map_err(|_| Status::ERROR_INVALID_VALUE)?;
    let pools = &pool.gpu()?.pools;
    require(handle != pools.default_handle())?;
    driver.pools.remove(handle)?;
    if Arc::ptr_eq(&pools.current(), &pool) {
        pools.set_current(pools.default.clone())?;
    }
    let mut state = pool.state();
    state.gone = true;
    pool.shrink(&mut state, 0);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_whole_and_used_again_where_they_fit() {
        assert_eq!(room_for(1), Some(512));
        assert_eq!(room_for(513), Some(1024));
        assert_eq!(room_for(u64::MAX), None);
        assert!(is_close(4 << 20, 4 << 20) && is_close(10 << 20, 8 << 20));
        assert!(!is_close(4 << 20, 6 << 20) && !is_close(12 << 20, 8 << 20));
    }
}
