//! Devices.

use std::ffi::c_char;

use cudarc::driver::sys;
use rgpu_proto::handle::Pool;

use super::*;
use crate::client::get as client;

pub(crate) unsafe fn cuDeviceCanAccessPeer(out: *mut i32, dev: i32, peer_dev: i32) -> Result {
    let client = client()?;
    client.device(dev)?;
    client.device(peer_dev)?;
    // SAFETY: the application's pointer.
    unsafe { put(out, 0) }
}

pub(crate) unsafe fn cuDeviceComputeCapability(
    major: *mut i32,
    minor: *mut i32,
    dev: i32,
) -> Result {
    let capability = client()?.device(dev)?.capability();
    // SAFETY: the application's pointers.
    unsafe {
        put(major, capability.0)?;
        put(minor, capability.1)
    }
}

pub(crate) unsafe fn cuDeviceGet(device: *mut i32, ordinal: i32) -> Result {
    client()?.device(ordinal)?;
    // SAFETY: the application's pointer.
    unsafe { put(device, ordinal) }
}

pub(crate) unsafe fn cuDeviceGetAttribute(pi: *mut i32, attrib: u32, dev: i32) -> Result {
    let value = client()?.device(dev)?.attribute(attrib)?;
    // SAFETY: the application's pointer.
    unsafe { put(pi, value) }
}

pub(crate) unsafe fn cuDeviceGetByPCIBusId(dev: *mut i32, pci_bus_id: *const c_char) -> Result {
    // SAFETY: the application's text.
    let text = unsafe { text(pci_bus_id)? }.to_str().map_err(|_| INVALID)?;
    let at = client()?
        .devices
        .iter()
        .position(|device| device.is_at(text))
        .ok_or(Status::ERROR_INVALID_DEVICE)?;
    // SAFETY: the application's pointer.
    unsafe { put(dev, at as i32) }
}

pub(crate) unsafe fn cuDeviceGetCount(count: *mut i32) -> Result {
    let devices = client()?.devices.len() as i32;
    // SAFETY: the application's pointer.
    unsafe { put(count, devices) }
}

pub(crate) unsafe fn cuDeviceGetDefaultMemPool(pool_out: *mut *mut c_void, dev: i32) -> Result {
    let client = client()?;
    client.device(dev)?;
    let pool = client.memory.hold().pools.default_of(dev as usize)?;
    // SAFETY: the application's pointer.
    unsafe { put(pool_out, Id::<Pool>::new(pool).to_c()) }
}

pub(crate) unsafe fn cuDeviceGetMemPool(pool: *mut *mut c_void, dev: i32) -> Result {
    let client = client()?;
    client.device(dev)?;
    let current = client.memory.hold().pools.current_of(dev as usize)?;
    // SAFETY: the application's pointer.
    unsafe { put(pool, Id::<Pool>::new(current).to_c()) }
}

pub(crate) unsafe fn cuDeviceSetMemPool(dev: i32, pool: *mut c_void) -> Result {
    let client = client()?;
    client.device(dev)?;
    let pool = handle::<Pool>(client, pool).map_err(|_| INVALID)?;
    client.memory.hold().pools.set_current(dev as usize, pool)
}

pub(crate) unsafe fn cuDeviceGetExecAffinitySupport(pi: *mut i32, _kind: u32, dev: i32) -> Result {
    client()?.device(dev)?;
    // SAFETY: the application's pointer.
    unsafe { put(pi, 0) }
}

pub(crate) unsafe fn cuDeviceGetLuid(_luid: *mut c_void, _mask: *mut u32, dev: i32) -> Result {
    client()?.device(dev)?;
    // LUIDs are Windows' (CUDA Driver API reference).
    Err(Status::ERROR_NOT_SUPPORTED)
}

pub(crate) unsafe fn cuDeviceGetName(name: *mut c_void, len: i32, dev: i32) -> Result {
    let device = client()?.device(dev)?;
    // SAFETY: the application's buffer and its length.
    unsafe { put_text(name, len, &device.name) }
}

pub(crate) unsafe fn cuDeviceGetP2PAttribute(
    value: *mut i32,
    attrib: u32,
    src_device: i32,
    dst_device: i32,
) -> Result {
    let client = client()?;
    client.device(src_device)?;
    client.device(dst_device)?;
    if src_device == dst_device {
        return Err(Status::ERROR_INVALID_DEVICE);
    }
    if !(1..=5).contains(&attrib) {
        return Err(INVALID);
    }
    // SAFETY: the application's pointer.
    unsafe { put(value, 0) }
}

pub(crate) unsafe fn cuDeviceGetPCIBusId(pci_bus_id: *mut c_void, len: i32, dev: i32) -> Result {
    let device = client()?.device(dev)?;
    // SAFETY: the application's buffer and its length.
    unsafe { put_text(pci_bus_id, len, &device.bus) }
}

pub(crate) unsafe fn cuDeviceGetProperties(prop: *mut c_void, dev: i32) -> Result {
    let device = client()?.device(dev)?;
    let of = |attribute| device.attribute_or(attribute, 0);
    let properties = sys::CUdevprop {
        maxThreadsPerBlock: of(1),
        maxThreadsDim: [of(2), of(3), of(4)],
        maxGridSize: [of(5), of(6), of(7)],
        sharedMemPerBlock: of(8),
        totalConstantMemory: of(9),
        SIMDWidth: of(10),
        memPitch: of(11),
        regsPerBlock: of(12),
        clockRate: of(13),
        textureAlign: of(14),
    };
    // SAFETY: the application's pointer to a CUdevprop.
    unsafe { put(prop.cast(), properties) }
}

pub(crate) unsafe fn cuDeviceGetUuid(uuid: *mut c_void, dev: i32) -> Result {
    let device = client()?.device(dev)?;
    // SAFETY: the application's pointer to a CUuuid.
    unsafe { put(uuid.cast(), device.uuid) }
}

pub(crate) unsafe fn cuDeviceGetUuid_v2(uuid: *mut c_void, dev: i32) -> Result {
    // SAFETY: the same contract.
    unsafe { cuDeviceGetUuid(uuid, dev) }
}

pub(crate) unsafe fn cuDeviceTotalMem_v2(bytes: *mut usize, dev: i32) -> Result {
    let memory = client()?.device(dev)?.memory;
    // SAFETY: the application's pointer.
    unsafe { put(bytes, memory as usize) }
}
