//! Host memory that the device may access: pinned, or registered.

use crate::context;
use crate::driver;
use crate::status::{Result, Status, of_memory, require};

const PORTABLE: u32 = 1;
const DEVICE_MAP: u32 = 2;
const WRITE_COMBINED: u32 = 4;
/// `CU_MEMHOSTREGISTER_PORTABLE`, `_DEVICEMAP`, `_IOMEMORY`, `_READ_ONLY`.
const REGISTER_FLAGS: u32 = 0xf;
const REGISTER_IO_MEMORY: u32 = 4;
const REGISTER_READ_ONLY: u32 = 8;

/// Allocates pinned memory.
pub(crate) fn allocate_host(size: u64, flags: u32) -> Result<*mut u8> {
    let context = context::current()?;
    require(flags & !(PORTABLE | DEVICE_MAP | WRITE_COMBINED) == 0 && size > 0)?;
    let driver = driver::get()?;
    // With unified addressing all pinned memory is portable and mapped, whatever the flags say.
    let pointer = driver
        .memory
        .host()
        .allocate(size, flags)
        .map_err(of_memory)?;
    driver
        .owners
        .add_host(pointer.expose_provenance() as u64, context.id());
    Ok(pointer)
}

/// Frees pinned memory, after all work of the context.
pub(crate) fn free_host(pointer: *mut u8) -> Result {
    let context = context::current()?;
    if pointer.is_null() {
        return Ok(());
    }
    let driver = driver::get()?;
    let base = pointer.addr() as u64;
    let range = driver.memory.host().find(base);
    require(range.is_some_and(|range| range.allocated && range.base == base))?;
    context.synchronise()?;
    driver.owners.remove_host(base);
    // SAFETY: the device is done with it, and the program says that it is too.
    unsafe { driver.memory.host().free(base) }
        .map(drop)
        .map_err(of_memory)
}

/// Registers memory of the program.
///
/// # Safety
/// The range is mapped, and stays so until it is unregistered.
pub(crate) unsafe fn register(pointer: *mut u8, size: u64, flags: u32) -> Result {
    let context = context::current()?;
    require(!pointer.is_null() && size > 0 && flags & !REGISTER_FLAGS == 0)?;
    if flags & (REGISTER_IO_MEMORY | REGISTER_READ_ONLY) != 0 {
        return Err(Status::ERROR_NOT_SUPPORTED);
    }
    let driver = driver::get()?;
    let base = pointer.expose_provenance() as u64;
    // SAFETY: the caller's promise.
    let registered = unsafe { driver.memory.host().register(base, size, flags) };
    registered.map_err(|error| match of_memory(error) {
        Status::ERROR_INVALID_VALUE => Status::ERROR_HOST_MEMORY_ALREADY_REGISTERED,
        status => status,
    })?;
    driver.owners.add_host(base, context.id());
    Ok(())
}

/// Unregisters what [`register`] registered.
pub(crate) fn unregister(pointer: *mut u8) -> Result {
    let context = context::current()?;
    require(!pointer.is_null())?;
    let driver = driver::get()?;
    let base = pointer.addr() as u64;
    context.synchronise()?;
    let gone = driver.memory.host().unregister(base);
    gone.map_err(|_| Status::ERROR_HOST_MEMORY_NOT_REGISTERED)?;
    driver.owners.remove_host(base);
    Ok(())
}

/// The device's address of pinned or registered memory: with unified addressing, the same.
pub(crate) fn device_pointer(pointer: *mut u8, flags: u32) -> Result<u64> {
    context::current()?;
    require(!pointer.is_null() && flags == 0)?;
    let address = pointer.addr() as u64;
    let found = driver::get()?.memory.host().find(address);
    found.map(|_| address).ok_or(Status::ERROR_INVALID_VALUE)
}

/// The flags that pinned memory was allocated with.
pub(crate) fn host_flags(pointer: *mut u8) -> Result<u32> {
    context::current()?;
    let found = driver::get()?.memory.host().find(pointer.addr() as u64);
    let found = found.filter(|range| range.allocated);
    let range = found.ok_or(Status::ERROR_INVALID_VALUE)?;
    // With unified addressing pinned memory is always mapped.
    Ok(range.flags | DEVICE_MAP)
}
