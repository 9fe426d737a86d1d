//! Virtual memory management.

use cudarc::driver::sys;
use rgpu_proto::handle::Physical;
use rgpu_proto::msg::memory::{PhysicalCreate, PhysicalMap, PhysicalRelease, SetAccess, Unmap};
use rgpu_proto::opcode::Opcode;

use super::pool::Location;
use super::*;
use crate::client::get as client;

/// The start of `CUmemAllocationProp`, with its enums as plain numbers.
#[repr(C)]
#[derive(Clone, Copy)]
struct Prop {
    kind: u32,
    handle_types: u32,
    location: Location,
}

/// `CU_MEM_ALLOCATION_TYPE_PINNED`.
const PINNED: u32 = 1;
/// `CU_MEM_LOCATION_TYPE_DEVICE`.
const DEVICE: u32 = 1;

/// # Safety
/// A non-null `prop` points to a `CUmemAllocationProp`.
unsafe fn check_prop(client: &'static Client, prop: *const c_void) -> Result {
    // SAFETY: the caller's promise.
    let prop: Prop = unsafe { get(prop)? };
    if prop.kind != PINNED {
        return Err(INVALID);
    }
    if prop.handle_types != 0 || prop.location.kind != DEVICE {
        return Err(Status::ERROR_NOT_SUPPORTED);
    }
    client.device(prop.location.id).map(drop)
}

fn physical(client: &'static Client, value: u64) -> Result<u32> {
    let id = Id::<Physical>::from_c(value as usize as *mut c_void)
        .ok_or(INVALID)?
        .0;
    match client.memory.hold().vmm.knows(id) {
        true => Ok(id),
        false => Err(INVALID),
    }
}

fn granular(client: &'static Client, value: u64) -> bool {
    value.is_multiple_of(client.hello.granularity)
}

pub(crate) unsafe fn cuMemAddressReserve(
    ptr: *mut u64,
    size: usize,
    alignment: usize,
    addr: u64,
    flags: u64,
) -> Result {
    let client = client()?;
    let size = size as u64;
    let aligned = alignment == 0 || alignment.is_power_of_two();
    if ptr.is_null() || size == 0 || flags != 0 || !aligned || !granular(client, size) {
        return Err(INVALID);
    }
    let wish = (addr != 0 && granular(client, addr)).then_some(addr);
    let mut memory = client.memory.hold();
    let at = memory
        .allocator
        .reserve(size, alignment as u64, wish)
        .ok_or(Status::ERROR_OUT_OF_MEMORY)?;
    memory.vmm.reserved(at, size);
    // SAFETY: the application's pointer.
    unsafe { put(ptr, at) }
}

pub(crate) unsafe fn cuMemAddressFree(ptr: u64, size: usize) -> Result {
    let client = client()?;
    let mut memory = client.memory.hold();
    memory.vmm.unreserve(ptr, size as u64)?;
    memory.allocator.unreserve(ptr, size as u64);
    Ok(())
}

pub(crate) unsafe fn cuMemCreate(
    handle: *mut u64,
    size: usize,
    prop: *const c_void,
    flags: u64,
) -> Result {
    let client = client()?;
    client.session.usable()?;
    // SAFETY: the application's structure.
    unsafe { check_prop(client, prop)? };
    let size = size as u64;
    if handle.is_null() || flags != 0 || size == 0 || !granular(client, size) {
        return Err(INVALID);
    }
    let mut memory = client.memory.hold();
    let mut steps = Vec::new();
    let charged = memory.allocator.charge(size, &mut steps);
    carry_out(client, &steps)?;
    charged?;
    let id = client.mint();
    let body = PhysicalCreate {
        id: Id::new(id),
        size,
    };
    client
        .session
        .post(const { Opcode::of("cuMemCreate") }, &body)?;
    memory.vmm.created(id, size);
    // SAFETY: the application's pointer.
    unsafe { put(handle, Id::<Physical>::new(id).to_c() as usize as u64) }
}

pub(crate) unsafe fn cuMemRelease(handle: u64) -> Result {
    let client = client()?;
    let id = physical(client, handle)?;
    let mut memory = client.memory.hold();
    let (last, freed) = memory.vmm.release(id)?;
    memory.allocator.refund(freed);
    match last {
        true => client.session.post(
            const { Opcode::of("cuMemRelease") },
            &PhysicalRelease { id: Id::new(id) },
        ),
        false => Ok(()),
    }
}

pub(crate) unsafe fn cuMemRetainAllocationHandle(handle: *mut u64, addr: *mut c_void) -> Result {
    let client = client()?;
    if handle.is_null() {
        return Err(INVALID);
    }
    let id = client.memory.hold().vmm.retain_at(addr as usize as u64)?;
    // SAFETY: the application's pointer.
    unsafe { put(handle, Id::<Physical>::new(id).to_c() as usize as u64) }
}

pub(crate) unsafe fn cuMemMap(
    ptr: u64,
    size: usize,
    offset: usize,
    handle: u64,
    flags: u64,
) -> Result {
    let client = client()?;
    let id = physical(client, handle)?;
    // The offset must be zero (CUDA Driver API reference, `cuMemMap`).
    if flags != 0 || offset != 0 || !granular(client, ptr) || !granular(client, size as u64) {
        return Err(INVALID);
    }
    let mut memory = client.memory.hold();
    memory.vmm.map(ptr, size as u64, 0, id)?;
    let body = PhysicalMap {
        address: ptr,
        size: size as u64,
        offset: 0,
        id: Id::new(id),
    };
    client.session.post(const { Opcode::of("cuMemMap") }, &body)
}

pub(crate) unsafe fn cuMemUnmap(ptr: u64, size: usize) -> Result {
    let client = client()?;
    // Nothing may use the range any more; work that still does has to be over before it goes.
    let context = client.context().unwrap_or(rgpu_proto::msg::PRIMARY_CONTEXT);
    let origin = crate::session::Origin::within(context);
    client
        .session
        .ask(const { Opcode::of("cuCtxSynchronize") }, origin, &[])?;
    let mut memory = client.memory.hold();
    let (mappings, freed) = memory.vmm.unmap(ptr, size as u64)?;
    memory.allocator.refund(freed);
    for (address, size) in mappings {
        client
            .session
            .post(const { Opcode::of("cuMemUnmap") }, &Unmap { address, size })?;
    }
    Ok(())
}

pub(crate) unsafe fn cuMemSetAccess(
    ptr: u64,
    size: usize,
    desc: *const c_void,
    count: usize,
) -> Result {
    let client = client()?;
    if count == 0 {
        return Err(INVALID);
    }
    for at in 0..count {
        // SAFETY: the application's array of `count` CUmemAccessDesc.
        let desc: [u32; 3] = unsafe { get(desc.cast::<[u32; 3]>().wrapping_add(at).cast())? };
        if desc[0] != DEVICE {
            return Err(Status::ERROR_NOT_SUPPORTED);
        }
        client.device(desc[1] as i32)?;
        // PROT_NONE, PROT_READ, PROT_READWRITE
        if !matches!(desc[2], 0 | 1 | 3) {
            return Err(INVALID);
        }
        let size = size as u64;
        client.memory.hold().vmm.set_access(ptr, size, desc[2])?;
        let body = SetAccess {
            address: ptr,
            size,
            flags: desc[2],
        };
        client
            .session
            .post(const { Opcode::of("cuMemSetAccess") }, &body)?;
    }
    Ok(())
}

pub(crate) unsafe fn cuMemGetAccess(flags: *mut u64, location: *const c_void, ptr: u64) -> Result {
    let client = client()?;
    // SAFETY: the application's structure.
    unsafe { located(client, location)? };
    let (_, mapped) = client.memory.hold().vmm.mapping_of(ptr).ok_or(INVALID)?;
    // SAFETY: the application's pointer.
    unsafe { put(flags, u64::from(mapped.access)) }
}

pub(crate) unsafe fn cuMemGetAllocationGranularity(
    granularity: *mut usize,
    prop: *const c_void,
    option: u32,
) -> Result {
    let client = client()?;
    // SAFETY: the application's structure.
    unsafe { check_prop(client, prop)? };
    if option > 1 {
        return Err(INVALID);
    }
    // SAFETY: the application's pointer.
    unsafe { put(granularity, client.hello.granularity as usize) }
}

pub(crate) unsafe fn cuMemGetAllocationPropertiesFromHandle(
    prop: *mut c_void,
    handle: u64,
) -> Result {
    let client = client()?;
    physical(client, handle)?;
    if prop.is_null() {
        return Err(INVALID);
    }
    let known = Prop {
        kind: PINNED,
        handle_types: 0,
        location: Location {
            kind: DEVICE,
            id: 0,
        },
    };
    // SAFETY: the application's structure, of which the rest is zero.
    unsafe {
        prop.cast::<u8>()
            .write_bytes(0, size_of::<sys::CUmemAllocationProp>());
        put(prop.cast(), known)
    }
}
