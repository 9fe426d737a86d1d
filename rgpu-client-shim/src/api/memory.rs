//! Allocating and freeing device memory.

use super::*;
use crate::allocator::{Allocation, Refusal};
use crate::client::get as client;

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::OutOfMemory => Self::ERROR_OUT_OF_MEMORY,
            Refusal::Unknown => Self::ERROR_INVALID_VALUE,
        }
    }
}

/// Allocates, and tells the server what that takes. The lock is held over both, so that the server hears of it
/// before it hears of any use.
pub(super) fn allocate(
    client: &'static Client,
    size: usize,
    pool: u32,
    stream: Option<u32>,
) -> Result<Allocation> {
    let context = client.working_context()?;
    if size == 0 {
        return Err(INVALID);
    }
    let mut memory = client.memory.hold();
    let mut steps = Vec::new();
    let allocated = memory
        .allocator
        .allocate(size as u64, context, pool, stream, &mut steps);
    // Steps are due even where they did not lead to an allocation.
    carry_out(client, &steps)?;
    let allocation = allocated?;
    memory.pools.allocated(pool, allocation.size);
    Ok(allocation)
}

pub(crate) unsafe fn cuMemAlloc_v2(dptr: *mut u64, bytesize: usize) -> Result {
    let client = client()?;
    client.working_context()?;
    if dptr.is_null() {
        return Err(INVALID);
    }
    let allocation = allocate(client, bytesize, 0, None)?;
    // SAFETY: the application's pointer.
    unsafe { put(dptr, allocation.address) }
}

pub(crate) unsafe fn cuMemAllocPitch_v2(
    dptr: *mut u64,
    p_pitch: *mut usize,
    width_in_bytes: usize,
    height: usize,
    element_size_bytes: u32,
) -> Result {
    /// As on NVIDIA's GPUs: `CU_DEVICE_ATTRIBUTE_TEXTURE_PITCH_ALIGNMENT` divides it.
    const PITCH: usize = 512;
    let client = client()?;
    client.working_context()?;
    if dptr.is_null() || p_pitch.is_null() || !matches!(element_size_bytes, 4 | 8 | 16) {
        return Err(INVALID);
    }
    let pitch = width_in_bytes
        .checked_next_multiple_of(PITCH)
        .filter(|pitch| *pitch > 0 && height > 0)
        .ok_or(INVALID)?;
    let size = pitch
        .checked_mul(height)
        .ok_or(Status::ERROR_OUT_OF_MEMORY)?;
    let allocation = allocate(client, size, 0, None)?;
    // SAFETY: the application's pointers.
    unsafe {
        put(p_pitch, pitch)?;
        put(dptr, allocation.address)
    }
}

pub(crate) unsafe fn cuMemFree_v2(dptr: u64) -> Result {
    let client = client()?;
    client.working_context()?;
    if dptr == 0 {
        return Ok(());
    }
    let mut memory = client.memory.hold();
    let allocation = memory.allocator.free(dptr)?;
    memory.pools.freed(allocation.pool, allocation.size);
    Ok(())
}

pub(crate) unsafe fn cuMemGetAddressRange_v2(
    pbase: *mut u64,
    psize: *mut usize,
    dptr: u64,
) -> Result {
    let client = client()?;
    client.context()?;
    let range = {
        let memory = client.memory.hold();
        range_of(&memory, dptr).ok_or(Status::ERROR_NOT_FOUND)?
    };
    // SAFETY: the application's pointers, which may be null.
    unsafe {
        put_opt(pbase, range.0);
        put_opt(psize, (range.1 - range.0) as usize);
    }
    Ok(())
}

/// The allocation, mapping or variable [start, end) that holds `address`.
pub(super) fn range_of(memory: &crate::shadow::memory::Memory, address: u64) -> Option<(u64, u64)> {
    use crate::copy::Lookup;
    let mapped = memory
        .vmm
        .mapping_of(address)
        .map(|(at, mapped)| (at, at + mapped.size));
    mapped.or_else(|| memory.device_range(address))
}

pub(crate) unsafe fn cuMemGetInfo_v2(free: *mut usize, total: *mut usize) -> Result {
    let client = client()?;
    client.working_context()?;
    let info = client.memory.hold().allocator.info();
    // SAFETY: the application's pointers.
    unsafe {
        put(free, info.0 as usize)?;
        put(total, info.1 as usize)
    }
}
