//! Virtual memory management.

use std::ffi::c_void;

use cudarc::driver::sys::{CUmemAccessDesc, CUmemAllocationProp, CUmemLocation};
use rgpu_softgpu_exec::memory::UNIT;

use super::{put, read};
use crate::driver::{self, Gpu};
use crate::memory::{access_of, flags_of};
use crate::status::{Result, Status, of_memory, require};

const ALLOCATION_PINNED: u32 = 1;
const LOCATION_DEVICE: u32 = 1;
const LOCATION_HOST: u32 = 2;

/// The device of a location; there is memory nowhere else.
///
/// # Safety
/// `location` is null or points to a `CUmemLocation`.
pub(super) unsafe fn located(location: *const CUmemLocation) -> Result<&'static Gpu> {
    require(!location.is_null())?;
    // SAFETY: the caller's promise.
    let (kind, id) = unsafe {
        (
            read((&raw const (*location).type_).cast::<u32>())?,
            read(&raw const (*location).id)?,
        )
    };
    match kind {
        LOCATION_DEVICE => driver::gpu(id),
        2..=4 => Err(Status::ERROR_NOT_SUPPORTED),
        _ => Err(Status::ERROR_INVALID_VALUE),
    }
}

/// Refuses properties that our memory cannot have; gives the device.
///
/// # Safety
/// `prop` is null or points to a `CUmemAllocationProp`.
unsafe fn check_properties(prop: *const c_void) -> Result<&'static Gpu> {
    require(!prop.is_null())?;
    let prop = prop.cast::<CUmemAllocationProp>();
    // SAFETY: the caller's promise.
    let (gpu, kind, handles) = unsafe {
        (
            located(&raw const (*prop).location)?,
            read((&raw const (*prop).type_).cast::<u32>())?,
            read((&raw const (*prop).requestedHandleTypes).cast::<u32>())?,
        )
    };
    require(kind == ALLOCATION_PINNED)?;
    match handles {
        0 => Ok(gpu),
        _ => Err(Status::ERROR_NOT_SUPPORTED),
    }
}

pub(crate) unsafe fn cuMemAddressReserve(
    ptr: *mut u64,
    size: usize,
    alignment: usize,
    addr: u64,
    flags: u64,
) -> Result {
    let driver = driver::get()?;
    require(!ptr.is_null() && flags == 0)?;
    let reserved = driver.memory.reserve(size as u64, alignment as u64, addr);
    // SAFETY: the contract of this function.
    unsafe { put(ptr, reserved.map_err(of_memory)?) }
}

pub(crate) unsafe fn cuMemAddressFree(ptr: u64, size: usize) -> Result {
    let driver = driver::get()?;
    driver.memory.unreserve(ptr, size as u64).map_err(of_memory)
}

pub(crate) unsafe fn cuMemCreate(
    handle: *mut u64,
    size: usize,
    prop: *const c_void,
    flags: u64,
) -> Result {
    let driver = driver::get()?;
    require(!handle.is_null() && flags == 0)?;
    // SAFETY: the contract of this function.
    unsafe {
        let gpu = check_properties(prop)?;
        put(handle, driver.virtual_memory.create(size as u64, gpu)?)
    }
}

pub(crate) unsafe fn cuMemRelease(handle: u64) -> Result {
    driver::get()?.virtual_memory.release(handle)
}

pub(crate) unsafe fn cuMemMap(
    ptr: u64,
    size: usize,
    offset: usize,
    handle: u64,
    flags: u64,
) -> Result {
    let driver = driver::get()?;
    require(flags == 0)?;
    driver
        .virtual_memory
        .map(ptr, size as u64, offset as u64, handle)
}

pub(crate) unsafe fn cuMemUnmap(ptr: u64, size: usize) -> Result {
    driver::get()?.virtual_memory.unmap(ptr, size as u64)
}

pub(crate) unsafe fn cuMemSetAccess(
    ptr: u64,
    size: usize,
    desc: *const c_void,
    count: usize,
) -> Result {
    let driver = driver::get()?;
    require(!desc.is_null() && count > 0)?;
    let desc = desc.cast::<CUmemAccessDesc>();
    for index in 0..count {
        // SAFETY: the contract of this function: `count` descriptions.
        let (location, kind, flags) = unsafe {
            let one = desc.add(index);
            let location = &raw const (*one).location;
            let kind = read((&raw const (*location).type_).cast::<u32>())?;
            (
                location,
                kind,
                read((&raw const (*one).flags).cast::<u32>())?,
            )
        };
        let access = access_of(flags.into())?;
        let set = if kind == LOCATION_HOST && host_access() {
            driver.memory.set_host_access(ptr, size as u64, access)
        } else {
            // SAFETY: as above.
            let gpu = unsafe { located(location) }?;
            gpu.memory.set_access(ptr, size as u64, access)
        };
        set.map_err(of_memory)?;
    }
    Ok(())
}

/// Whether the host can be given access to device memory. `RGPU_SOFT_HOST_ACCESS=0` makes the device like one whose
/// memory is behind a bus.
fn host_access() -> bool {
    std::env::var_os("RGPU_SOFT_HOST_ACCESS").is_none_or(|value| value != "0")
}

pub(crate) unsafe fn cuMemGetAccess(flags: *mut u64, location: *const c_void, ptr: u64) -> Result {
    // SAFETY: the contract of this function.
    let gpu = unsafe { located(location.cast()) }?;
    let access = gpu.memory.access(ptr).ok_or(Status::ERROR_INVALID_VALUE)?;
    // SAFETY: the contract of this function.
    unsafe { put(flags, flags_of(access)) }
}

pub(crate) unsafe fn cuMemGetAllocationGranularity(
    granularity: *mut usize,
    prop: *const c_void,
    option: u32,
) -> Result {
    driver::get()?;
    require(option <= 1)?;
    // SAFETY: the contract of this function.
    unsafe {
        check_properties(prop)?;
        put(granularity, UNIT as usize)
    }
}

pub(crate) unsafe fn cuMemGetAllocationPropertiesFromHandle(
    prop: *mut c_void,
    handle: u64,
) -> Result {
    let device = driver::get()?.virtual_memory.device(handle)?;
    require(!prop.is_null())?;
    let prop = prop.cast::<CUmemAllocationProp>();
    // SAFETY: the contract of this function; fields are written as the integers they are in C.
    unsafe {
        prop.write_bytes(0, 1);
        put((&raw mut (*prop).type_).cast::<u32>(), ALLOCATION_PINNED)?;
        put(
            (&raw mut (*prop).location.type_).cast::<u32>(),
            LOCATION_DEVICE,
        )?;
        put(&raw mut (*prop).location.id, device as i32)
    }
}

pub(crate) unsafe fn cuMemRetainAllocationHandle(handle: *mut u64, addr: *mut c_void) -> Result {
    let driver = driver::get()?;
    require(!handle.is_null())?;
    let retained = driver.virtual_memory.retain(addr.addr() as u64)?;
    // SAFETY: the contract of this function.
    unsafe { put(handle, retained) }
}
