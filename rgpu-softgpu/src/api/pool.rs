//! Memory pools and stream-ordered allocation.

use std::ffi::c_void;
use std::sync::Arc;

use cudarc::driver::sys::{CUmemAccessDesc, CUmemLocation, CUmemPoolProps};

use super::vmm::located;
use super::{put, read};
use crate::driver::{self, Gpu};
use crate::memory::{self, Pool, PoolValue};
use crate::status::{Result, Status, of_memory, require};
use crate::stream;

type Handle = *mut c_void;

const ALLOCATION_PINNED: u32 = 1;
/// `CU_MEM_ACCESS_FLAGS_PROT_NONE`.
const NONE: u32 = 0;
/// `CU_MEM_ACCESS_FLAGS_PROT_READWRITE`.
const READ_WRITE: u32 = 3;

/// The device of a location, for memory of a kind that there is.
///
/// # Safety
/// `location` is null or points to a `CUmemLocation`.
unsafe fn check(location: *mut c_void, kind: u32) -> Result<&'static Gpu> {
    if kind != ALLOCATION_PINNED {
        return Err(Status::ERROR_NOT_SUPPORTED);
    }
    // SAFETY: the caller's promise.
    unsafe { located(location.cast::<CUmemLocation>()) }
}

pub(crate) unsafe fn cuMemAllocAsync(dptr: *mut u64, bytesize: usize, h_stream: Handle) -> Result {
    let stream = stream::resolve(h_stream)?;
    require(!dptr.is_null())?;
    let base = memory::allocate_async(bytesize as u64, None, &stream)?;
    // SAFETY: the contract of this function.
    unsafe { put(dptr, base) }
}

pub(crate) unsafe fn cuMemAllocFromPoolAsync(
    dptr: *mut u64,
    bytesize: usize,
    pool: Handle,
    h_stream: Handle,
) -> Result {
    let stream = stream::resolve(h_stream)?;
    let pool = find(pool)?;
    require(!dptr.is_null())?;
    let base = memory::allocate_async(bytesize as u64, Some(pool), &stream)?;
    // SAFETY: the contract of this function.
    unsafe { put(dptr, base) }
}

pub(crate) unsafe fn cuMemFreeAsync(dptr: u64, h_stream: Handle) -> Result {
    let stream = stream::resolve(h_stream)?;
    memory::free_async(dptr, &stream)
}

fn find(pool: Handle) -> Result<Arc<Pool>> {
    let found = driver::get()?.pools.get(pool);
    found.map_err(|_| Status::ERROR_INVALID_VALUE)
}

pub(crate) unsafe fn cuMemGetDefaultMemPool(
    pool_out: *mut Handle,
    location: *mut c_void,
    kind: u32,
) -> Result {
    // SAFETY: the contract of this function.
    unsafe { put(pool_out, check(location, kind)?.pools.default_handle()) }
}

pub(crate) unsafe fn cuMemGetMemPool(
    pool: *mut Handle,
    location: *mut c_void,
    kind: u32,
) -> Result {
    // SAFETY: the contract of this function.
    unsafe { put(pool, check(location, kind)?.pools.current().handle()) }
}

pub(crate) unsafe fn cuMemSetMemPool(location: *mut c_void, kind: u32, pool: Handle) -> Result {
    // SAFETY: the contract of this function.
    let gpu = unsafe { check(location, kind) }?;
    gpu.pools.set_current(find(pool)?)
}

pub(crate) unsafe fn cuMemPoolCreate(pool: *mut Handle, pool_props: *const c_void) -> Result {
    require(!pool.is_null() && !pool_props.is_null())?;
    let props = pool_props.cast::<CUmemPoolProps>();
    // SAFETY: the contract of this function.
    unsafe {
        let kind = read((&raw const (*props).allocType).cast::<u32>())?;
        require(kind == ALLOCATION_PINNED)?;
        let location = (&raw const (*props).location).cast_mut().cast();
        let gpu = check(location, kind)?;
        if read((&raw const (*props).handleTypes).cast::<u32>())? != 0 {
            return Err(Status::ERROR_NOT_SUPPORTED);
        }
        let most = read(&raw const (*props).maxSize)? as u64;
        put(pool, gpu.pools.create(most)?.handle())
    }
}

pub(crate) unsafe fn cuMemPoolDestroy(pool: Handle) -> Result {
    memory::destroy_pool(pool)
}

pub(crate) unsafe fn cuMemPoolTrimTo(pool: Handle, min_bytes_to_keep: usize) -> Result {
    find(pool)?.trim(min_bytes_to_keep as u64);
    Ok(())
}

pub(crate) unsafe fn cuMemPoolGetAttribute(pool: Handle, attr: u32, value: *mut c_void) -> Result {
    let found = find(pool)?.attribute(attr)?;
    // SAFETY: the contract of this function: as wide as the attribute.
    unsafe {
        match found {
            PoolValue::Int(found) => put(value.cast(), found),
            PoolValue::Long(found) => put(value.cast(), found),
        }
    }
}

pub(crate) unsafe fn cuMemPoolSetAttribute(pool: Handle, attr: u32, value: *mut c_void) -> Result {
    let pool = find(pool)?;
    // SAFETY: the contract of this function: as wide as the attribute.
    let value = unsafe {
        match Pool::is_int(attr) {
            true => PoolValue::Int(read(value.cast())?),
            false => PoolValue::Long(read(value.cast())?),
        }
    };
    pool.set_attribute(attr, value)
}

pub(crate) unsafe fn cuMemPoolGetAccess(
    flags: *mut u32,
    mem_pool: Handle,
    location: *mut c_void,
) -> Result {
    let pool = find(mem_pool)?;
    // SAFETY: the contract of this function.
    let gpu = unsafe { check(location, ALLOCATION_PINNED) }?;
    let sees = gpu.memory.sees(pool.number(), &pool.gpu()?.memory);
    // SAFETY: the contract of this function.
    unsafe { put(flags, if sees { READ_WRITE } else { NONE }) }
}

/// A device always has access to its own pools. Others have all or none.
pub(crate) unsafe fn cuMemPoolSetAccess(pool: Handle, map: *const c_void, count: usize) -> Result {
    let pool = find(pool)?;
    let memory = &pool.gpu()?.memory;
    require(!map.is_null())?;
    let map = map.cast::<CUmemAccessDesc>();
    for index in 0..count {
        // SAFETY: the contract of this function: `count` descriptions.
        let (peer, flags) = unsafe {
            let one = map.add(index);
            let peer = located(&raw const (*one).location)?;
            (peer, read((&raw const (*one).flags).cast::<u32>())?)
        };
        match flags {
            READ_WRITE => memory
                .show(pool.number(), &peer.memory)
                .map_err(of_memory)?,
            NONE if peer.memory.device() != memory.device() => {
                memory.hide(pool.number(), &peer.memory);
            }
            _ => return Err(Status::ERROR_INVALID_VALUE),
        }
    }
    Ok(())
}
