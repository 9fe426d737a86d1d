//! Memory as programs see it: allocations and who owns them, host memory, copies, sets, pools, virtual memory.
//!
//! The bytes, the addresses and the cap are `rgpu_softgpu_exec::memory`'s.

pub(crate) mod copy;
mod host;
mod owners;
mod place;
pub(crate) mod pointer;
mod pool;
pub(crate) mod rect;
pub(crate) mod set;
mod vmm;

use crate::context;
use crate::device::limits;
use crate::driver;
use crate::status::{Result, Status, of_memory, require};

pub(crate) use host::{allocate_host, device_pointer, free_host, host_flags, register, unregister};
pub(crate) use owners::{Owner, Owners};
pub(crate) use place::{Place, Span};
pub(crate) use pool::{
    Pool, Pools, Value as PoolValue, allocate_async, destroy as destroy_pool, empty as empty_pools,
    free_async, settle as settle_pools,
};
pub(crate) use vmm::{VirtualMemory, access_of, flags_of};

/// Allocates device memory in the current context.
pub(crate) fn allocate(size: u64) -> Result<u64> {
    let context = context::current()?;
    require(size > 0)?;
    let driver = driver::get()?;
    let memory = &context.gpu()?.memory;
    let base = match memory.allocate(size) {
        Err(_) if pool::reclaim(&context) => memory.allocate(size),
        result => result,
    };
    let base = base.map_err(of_memory)?;
    driver.owners.add(base, Owner::of(context.id()));
    Ok(base)
}

/// Allocates rows of `width` bytes, far enough apart to be aligned; gives address and distance.
pub(crate) fn allocate_pitch(width: u64, height: u64, element: u32) -> Result<(u64, u64)> {
    require(width > 0 && height > 0 && matches!(element, 4 | 8 | 16))?;
    let pitch = width
        .checked_next_multiple_of(limits::TEXTURE_ALIGNMENT)
        .filter(|&pitch| pitch <= limits::MAX_PITCH)
        .ok_or(Status::ERROR_INVALID_VALUE)?;
    let size = pitch
        .checked_mul(height)
        .ok_or(Status::ERROR_OUT_OF_MEMORY)?;
    Ok((allocate(size)?, pitch))
}

/// Frees device memory, after all work of its context. As with NVIDIA's driver, null is accepted.
pub(crate) fn free(base: u64) -> Result {
    let context = context::current()?;
    if base == 0 {
        return Ok(());
    }
    let driver = driver::get()?;
    let owner = driver.owners.get(base).ok_or(Status::ERROR_INVALID_VALUE)?;
    require(owner.may_be_freed)?;
    context.synchronise()?;
    if owner.context != context.id() {
        context::wait_for(owner.context)?;
    }
    driver.owners.free(driver, base)
}

/// Base and size of the allocation that holds `address`.
pub(crate) fn range(address: u64) -> Result<(u64, u64)> {
    context::current()?;
    let driver = driver::get()?;
    if let Some(found) = driver.memory.find(address) {
        return Ok((found.base, found.size));
    }
    let found = driver.memory.host().find(address);
    let found = found.ok_or(Status::ERROR_NOT_FOUND)?;
    Ok((found.base, found.size))
}

/// Free and total bytes.
pub(crate) fn info() -> Result<(u64, u64)> {
    let memory = &context::current()?.gpu()?.memory;
    let total = memory.capacity();
    Ok((total.saturating_sub(memory.used()), total))
}
