//! Memory pools and stream-ordered allocation.

use cudarc::driver::sys;
use rgpu_proto::handle::Pool;

use super::memory::allocate;
use super::*;
use crate::client::get as client;
use crate::shadow::pools::{PoolValue, Pools};

/// `CU_MEM_LOCATION_TYPE_DEVICE`.
const DEVICE: u32 = 1;
/// `CU_MEM_ALLOCATION_TYPE_PINNED`.
const PINNED: u32 = 1;

fn pool(client: &'static Client, value: *mut c_void) -> Result<u32> {
    match handle::<Pool>(client, value) {
        Ok(0) | Err(_) => Err(INVALID),
        Ok(id) => Ok(id),
    }
}

/// `CUmemLocation`, with its type as a plain number.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct Location {
    pub(super) kind: u32,
    pub(super) id: i32,
}

const _: () = assert!(size_of::<Location>() == size_of::<sys::CUmemLocation>());

/// The ordinal of the device that a `CUmemLocation` names.
///
/// # Safety
/// A non-null `location` points to one.
pub(super) unsafe fn located(client: &'static Client, location: *const c_void) -> Result<usize> {
    // SAFETY: the caller's promise; the layouts agree.
    let location: Location = unsafe { get(location)? };
    if location.kind != DEVICE {
        return Err(Status::ERROR_NOT_SUPPORTED);
    }
    client.device(location.id)?;
    Ok(location.id as usize)
}

fn allocate_in(dptr: *mut u64, bytesize: usize, pool: u32, h_stream: *mut c_void) -> Result {
    let client = client()?;
    let stream = stream_here(client, h_stream)?;
    if dptr.is_null() {
        return Err(INVALID);
    }
    let allocation = allocate(client, bytesize, pool, Some(order_of(stream)))?;
    // SAFETY: the application's pointer.
    unsafe { put(dptr, allocation.address) }
}

pub(crate) unsafe fn cuMemAllocAsync(
    dptr: *mut u64,
    bytesize: usize,
    h_stream: *mut c_void,
) -> Result {
    let client = client()?;
    let id = client.context()?;
    let context = client.contexts.hold().get(id)?;
    let pool = client
        .memory
        .hold()
        .pools
        .current_of(context.device as usize)?;
    allocate_in(dptr, bytesize, pool, h_stream)
}

pub(crate) unsafe fn cuMemAllocFromPoolAsync(
    dptr: *mut u64,
    bytesize: usize,
    pool_handle: *mut c_void,
    h_stream: *mut c_void,
) -> Result {
    let client = client()?;
    stream_here(client, h_stream)?;
    let pool = pool(client, pool_handle)?;
    allocate_in(dptr, bytesize, pool, h_stream)
}

pub(crate) unsafe fn cuMemFreeAsync(dptr: u64, h_stream: *mut c_void) -> Result {
    let client = client()?;
    let stream = stream_here(client, h_stream)?;
    if dptr == 0 {
        return Ok(());
    }
    let mut memory = client.memory.hold();
    let allocation = memory.allocator.free_in(dptr, order_of(stream))?;
    memory.pools.freed(allocation.pool, allocation.size);
    Ok(())
}

pub(crate) unsafe fn cuMemGetDefaultMemPool(
    pool_out: *mut *mut c_void,
    location: *mut c_void,
    kind: u32,
) -> Result {
    let client = client()?;
    // SAFETY: the application's structure.
    let device = unsafe { located(client, location)? };
    if kind != PINNED {
        return Err(Status::ERROR_NOT_SUPPORTED);
    }
    let id = client.memory.hold().pools.default_of(device)?;
    // SAFETY: the application's pointer.
    unsafe { put(pool_out, Id::<Pool>::new(id).to_c()) }
}

pub(crate) unsafe fn cuMemGetMemPool(
    pool_out: *mut *mut c_void,
    location: *mut c_void,
    kind: u32,
) -> Result {
    let client = client()?;
    // SAFETY: the application's structure.
    let device = unsafe { located(client, location)? };
    if kind != PINNED {
        return Err(Status::ERROR_NOT_SUPPORTED);
    }
    let id = client.memory.hold().pools.current_of(device)?;
    // SAFETY: the application's pointer.
    unsafe { put(pool_out, Id::<Pool>::new(id).to_c()) }
}

pub(crate) unsafe fn cuMemSetMemPool(
    location: *mut c_void,
    kind: u32,
    pool_handle: *mut c_void,
) -> Result {
    let client = client()?;
    // SAFETY: the application's structure.
    let device = unsafe { located(client, location)? };
    if kind != PINNED {
        return Err(Status::ERROR_NOT_SUPPORTED);
    }
    let id = pool(client, pool_handle)?;
    client.memory.hold().pools.set_current(device, id)
}

/// The start of `CUmemPoolProps`, with its enums as plain numbers.
#[repr(C)]
#[derive(Clone, Copy)]
struct Props {
    alloc_type: u32,
    handle_types: u32,
    location: Location,
    security: usize,
    max_size: usize,
}

pub(crate) unsafe fn cuMemPoolCreate(pool_out: *mut *mut c_void, props: *const c_void) -> Result {
    let client = client()?;
    client.session.usable()?;
    // SAFETY: the application's structure, whose start this is.
    let props: Props = unsafe { get(props)? };
    if props.alloc_type != PINNED || pool_out.is_null() {
        return Err(INVALID);
    }
    if props.handle_types != 0 || props.location.kind != DEVICE {
        return Err(Status::ERROR_NOT_SUPPORTED);
    }
    client.device(props.location.id)?;
    let id = client.mint();
    let most = match props.max_size {
        0 => u64::MAX,
        size => size as u64,
    };
    let mut memory = client.memory.hold();
    memory.pools.add(id, props.location.id as u32);
    memory.allocator.add_pool(id, most);
    drop(memory);
    // SAFETY: the application's pointer.
    unsafe { put(pool_out, Id::<Pool>::new(id).to_c()) }
}

pub(crate) unsafe fn cuMemPoolDestroy(pool_handle: *mut c_void) -> Result {
    let client = client()?;
    let id = pool(client, pool_handle)?;
    let mut memory = client.memory.hold();
    memory.pools.remove(id)?;
    memory.allocator.remove_pool(id);
    Ok(())
}

pub(crate) unsafe fn cuMemPoolGetAccess(
    flags: *mut u32,
    pool_handle: *mut c_void,
    location: *mut c_void,
) -> Result {
    /// `CU_MEM_ACCESS_FLAGS_PROT_READWRITE`.
    const READ_WRITE: u32 = 3;
    let client = client()?;
    let id = pool(client, pool_handle)?;
    // SAFETY: the application's structure.
    let device = unsafe { located(client, location)? };
    let own = client.memory.hold().pools.get(id)?.device as usize == device;
    // SAFETY: the application's pointer.
    unsafe { put(flags, if own { READ_WRITE } else { 0 }) }
}

pub(crate) unsafe fn cuMemPoolSetAccess(
    pool_handle: *mut c_void,
    map: *const c_void,
    count: usize,
) -> Result {
    let client = client()?;
    let id = pool(client, pool_handle)?;
    let own = client.memory.hold().pools.get(id)?.device as i32;
    for at in 0..count {
        // SAFETY: the application's array of `count` CUmemAccessDesc.
        let desc: [u32; 3] = unsafe { get(map.cast::<[u32; 3]>().wrapping_add(at).cast())? };
        // A pool's own device always has access; there is no other to give it to.
        if desc[0] != DEVICE || desc[1] as i32 != own || desc[2] != 3 {
            return Err(INVALID);
        }
    }
    Ok(())
}

pub(crate) unsafe fn cuMemPoolGetAttribute(
    pool_handle: *mut c_void,
    attr: u32,
    value: *mut c_void,
) -> Result {
    let client = client()?;
    let id = pool(client, pool_handle)?;
    let memory = client.memory.hold();
    let held = memory.allocator.pool(id).ok_or(INVALID)?;
    let found = memory.pools.attribute(id, attr, held)?;
    drop(memory);
    // SAFETY: the application's pointer to the attribute's C type.
    unsafe {
        match found {
            PoolValue::Int(int) => put(value.cast(), int),
            PoolValue::Long(long) => put(value.cast(), long),
        }
    }
}

pub(crate) unsafe fn cuMemPoolSetAttribute(
    pool_handle: *mut c_void,
    attr: u32,
    value: *mut c_void,
) -> Result {
    let client = client()?;
    let id = pool(client, pool_handle)?;
    // SAFETY: the application's pointer to the attribute's C type.
    let value = unsafe {
        match Pools::is_int(attr) {
            true => PoolValue::Int(get(value)?),
            false => PoolValue::Long(get(value)?),
        }
    };
    let memory = &mut *client.memory.hold();
    let held = memory.allocator.pool_mut(id).ok_or(INVALID)?;
    memory.pools.set(id, attr, value, held)
}

pub(crate) unsafe fn cuMemPoolTrimTo(pool_handle: *mut c_void, min_bytes_to_keep: usize) -> Result {
    let client = client()?;
    let id = pool(client, pool_handle)?;
    let mut memory = client.memory.hold();
    memory.allocator.trim(id, min_bytes_to_keep as u64);
    Ok(())
}
