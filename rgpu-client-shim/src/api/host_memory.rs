//! Page-locked host memory.

use super::mapped::forget_mirror;
use super::*;
use crate::client::get as client;

/// `CU_MEMHOSTALLOC_PORTABLE | DEVICEMAP | WRITECOMBINED`.
const ALLOC_FLAGS: u32 = 7;
/// `CU_MEMHOSTREGISTER_PORTABLE | DEVICEMAP | IOMEMORY | READ_ONLY`.
const REGISTER_FLAGS: u32 = 15;

fn allocate(pp: *mut c_void, bytesize: usize, flags: u32) -> Result {
    let client = client()?;
    let context = client.working_context()?;
    if pp.is_null() || flags & !ALLOC_FLAGS != 0 {
        return Err(INVALID);
    }
    let at = client
        .memory
        .hold()
        .host
        .allocate(bytesize, flags, context)?;
    client.page_locked.widen(at, bytesize);
    // SAFETY: the application's pointer to a pointer.
    unsafe { put(pp.cast::<usize>(), at) }
}

pub(crate) unsafe fn cuMemAllocHost_v2(pp: *mut c_void, bytesize: usize) -> Result {
    allocate(pp, bytesize, 0)
}

pub(crate) unsafe fn cuMemHostAlloc(pp: *mut c_void, bytesize: usize, flags: u32) -> Result {
    allocate(pp, bytesize, flags)
}

pub(crate) unsafe fn cuMemFreeHost(p: *mut c_void) -> Result {
    let client = client()?;
    client.working_context()?;
    if p.is_null() {
        return Ok(());
    }
    let at = p as usize;
    let range = client.memory.hold().host.owned(at)?;
    // Copies to this memory that are under way would write to what is no longer mapped.
    for order in client.session.copies_due(at, at + range.size) {
        wait_for_order(client, order)?;
    }
    forget_mirror(client, at);
    client.memory.hold().host.free(at)
}

/// Under unified addressing it is the same; launches put the address of a copy on the device in its place.
pub(crate) unsafe fn cuMemHostGetDevicePointer_v2(
    pdptr: *mut u64,
    p: *mut c_void,
    flags: u32,
) -> Result {
    let client = client()?;
    client.context()?;
    let known = client.memory.hold().host.containing(p as usize).is_some();
    if flags != 0 || !known {
        return Err(INVALID);
    }
    // SAFETY: the application's pointer.
    unsafe { put(pdptr, p as usize as u64) }
}

pub(crate) unsafe fn cuMemHostGetFlags(p_flags: *mut u32, p: *mut c_void) -> Result {
    let client = client()?;
    client.context()?;
    let range = client
        .memory
        .hold()
        .host
        .containing(p as usize)
        .ok_or(INVALID)?;
    // SAFETY: the application's pointer.
    unsafe { put(p_flags, range.1.flags) }
}

pub(crate) unsafe fn cuMemHostRegister_v2(p: *mut c_void, bytesize: usize, flags: u32) -> Result {
    let client = client()?;
    let context = client.working_context()?;
    if flags & !REGISTER_FLAGS != 0 {
        return Err(INVALID);
    }
    client
        .memory
        .hold()
        .host
        .register(p as usize, bytesize, flags, context)?;
    client.page_locked.widen(p as usize, bytesize);
    Ok(())
}

pub(crate) unsafe fn cuMemHostUnregister(p: *mut c_void) -> Result {
    let client = client()?;
    client.working_context()?;
    let at = p as usize;
    client.memory.hold().host.unregister(at)?;
    forget_mirror(client, at);
    Ok(())
}
