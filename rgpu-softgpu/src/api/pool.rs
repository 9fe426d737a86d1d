//! Memory pools and stream-ordered allocation.

use std::ffi::c_void;
use std::sync::Arc;

use cudarc::driver::sys::{CUmemAccessDesc, CUmemLocation, CUmemPoolProps};

use super::{put, read};
use crate::driver::{self, Driver};
use crate::memory::{self, Pool, PoolValue};
use crate::status::{Result, Status, require};
use crate::stream;

type Handle = *mut c_void;

const ALLOCATION_PINNED: u32 = 1;
const LOCATION_DEVICE: u32 = 1;
/// `CU_MEM_ACCESS_FLAGS_PROT_READWRITE`.
const READ_WRITE: u32 = 3;

/// Refuses a location or kind of allocation other than device memory of our device.
///
/// # Safety
/// `location` is null or points to a `CUmemLocation`.
unsafe fn check(location: *mut c_void, kind: u32) -> Result<&'static Driver> {
    let driver = driver::get()?;
    let location = location.cast::<CUmemLocation>();
    require(!location.is_null())?;
    // SAFETY: the caller's promise.
    let (place, id) = unsafe {
        (
            read((&raw const (*location).type_).cast::<u32>())?,
            read(&raw const (*location).id)?,
        )
    };
    match (kind, place, id) {
        (ALLOCATION_PINNED, LOCATION_DEVICE, 0) => Ok(driver),
        (ALLOCATION_PINNED, LOCATION_DEVICE, _) => Err(Status::ERROR_INVALID_DEVICE),
        _ => Err(Status::ERROR_NOT_SUPPORTED),
    }
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
    driver::get()?.pools.get(pool)
}

pub(crate) unsafe fn cuMemGetDefaultMemPool(
    pool_out: *mut Handle,
    location: *mut c_void,
    kind: u32,
) -> Result {
    // SAFETY: the contract of this function.
    unsafe {
        put(
            pool_out,
            check(location, kind)?.default_pools.default_handle(),
        )
    }
}

pub(crate) unsafe fn cuMemGetMemPool(
    pool: *mut Handle,
    location: *mut c_void,
    kind: u32,
) -> Result {
    // SAFETY: the contract of this function.
    unsafe {
        put(
            pool,
            check(location, kind)?.default_pools.current().handle(),
        )
    }
}

pub(crate) unsafe fn cuMemSetMemPool(location: *mut c_void, kind: u32, pool: Handle) -> Result {
    // SAFETY: the contract of this function.
    let driver = unsafe { check(location, kind) }?;
    driver.default_pools.set_current(find(pool)?);
    Ok(())
}

pub(crate) unsafe fn cuMemPoolCreate(pool: *mut Handle, pool_props: *const c_void) -> Result {
    require(!pool.is_null() && !pool_props.is_null())?;
    let props = pool_props.cast::<CUmemPoolProps>();
    // SAFETY: the contract of this function.
    unsafe {
        let kind = read((&raw const (*props).allocType).cast::<u32>())?;
        let location = (&raw const (*props).location).cast_mut().cast();
        let driver = check(location, kind)?;
        if read((&raw const (*props).handleTypes).cast::<u32>())? != 0 {
            return Err(Status::ERROR_NOT_SUPPORTED);
        }
        put(pool, Pool::enter(&driver.pools).handle())
    }
}

pub(crate) unsafe fn cuMemPoolDestroy(pool: Handle) -> Result {
    memory::destroy_pool(pool)
}

pub(crate) unsafe fn cuMemPoolTrimTo(pool: Handle, _: usize) -> Result {
    find(pool).map(drop)
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
    find(mem_pool)?;
    // SAFETY: the contract of this function.
    unsafe {
        check(location, ALLOCATION_PINNED)?;
        put(flags, READ_WRITE)
    }
}

/// The device always has access to its own pools; no one else could have any.
pub(crate) unsafe fn cuMemPoolSetAccess(pool: Handle, map: *const c_void, count: usize) -> Result {
    find(pool)?;
    require(!map.is_null())?;
    let map = map.cast::<CUmemAccessDesc>();
    for index in 0..count {
        // SAFETY: the contract of this function: `count` descriptions.
        unsafe {
            let one = map.add(index);
            check(
                (&raw const (*one).location).cast_mut().cast(),
                ALLOCATION_PINNED,
            )?;
            require(read((&raw const (*one).flags).cast::<u32>())? == READ_WRITE)?;
        }
    }
    Ok(())
}
