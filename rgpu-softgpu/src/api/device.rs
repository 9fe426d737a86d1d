//! Devices.

use std::ffi::{c_char, c_void};

use cudarc::driver::sys::CUdevprop;

use super::{put, put_text, text};
use crate::device::{self, limits};
use crate::driver::{self, Driver};
use crate::status::{Result, Status, require};

/// The driver, if `ordinal` names a device.
fn of(ordinal: i32) -> Result<&'static Driver> {
    let driver = driver::get()?;
    device::check(ordinal)?;
    Ok(driver)
}

pub(crate) unsafe fn cuDeviceGet(device: *mut i32, ordinal: i32) -> Result {
    of(ordinal)?;
    // SAFETY: the contract of this function.
    unsafe { put(device, ordinal) }
}

pub(crate) unsafe fn cuDeviceGetCount(count: *mut i32) -> Result {
    driver::get()?;
    // SAFETY: the contract of this function.
    unsafe { put(count, 1) }
}

pub(crate) unsafe fn cuDeviceGetName(name: *mut c_void, len: i32, dev: i32) -> Result {
    of(dev)?;
    // SAFETY: the contract of this function.
    unsafe { put_text(name, len, device::NAME.as_bytes()) }
}

pub(crate) unsafe fn cuDeviceGetAttribute(pi: *mut i32, attrib: u32, dev: i32) -> Result {
    let value = of(dev)?.device.attribute(attrib)?;
    // SAFETY: the contract of this function.
    unsafe { put(pi, value) }
}

pub(crate) unsafe fn cuDeviceComputeCapability(
    major: *mut i32,
    minor: *mut i32,
    dev: i32,
) -> Result {
    of(dev)?;
    require(!major.is_null() && !minor.is_null())?;
    // SAFETY: the contract of this function.
    unsafe {
        put(major, device::CAPABILITY.0.into())?;
        put(minor, device::CAPABILITY.1.into())
    }
}

pub(crate) unsafe fn cuDeviceTotalMem_v2(bytes: *mut usize, dev: i32) -> Result {
    let size = of(dev)?.memory.capacity();
    // SAFETY: the contract of this function.
    unsafe { put(bytes, size as usize) }
}

pub(crate) unsafe fn cuDeviceGetUuid(uuid: *mut c_void, dev: i32) -> Result {
    of(dev)?;
    // SAFETY: the contract of this function.
    unsafe { put(uuid.cast::<[u8; 16]>(), device::UUID) }
}

pub(crate) unsafe fn cuDeviceGetUuid_v2(uuid: *mut c_void, dev: i32) -> Result {
    // SAFETY: the contract of this function.
    unsafe { cuDeviceGetUuid(uuid, dev) }
}

/// Identifiers of this kind exist on Windows only.
pub(crate) unsafe fn cuDeviceGetLuid(_: *mut c_void, _: *mut u32, dev: i32) -> Result {
    of(dev)?;
    Err(Status::ERROR_NOT_SUPPORTED)
}

pub(crate) unsafe fn cuDeviceGetPCIBusId(pci_bus_id: *mut c_void, len: i32, dev: i32) -> Result {
    of(dev)?;
    // SAFETY: the contract of this function.
    unsafe { put_text(pci_bus_id, len, device::PCI_BUS_ID.to_bytes()) }
}

pub(crate) unsafe fn cuDeviceGetByPCIBusId(dev: *mut i32, pci_bus_id: *const c_char) -> Result {
    driver::get()?;
    // SAFETY: the contract of this function.
    let ordinal = device::by_pci_bus_id(unsafe { text(pci_bus_id) }?)?;
    // SAFETY: the contract of this function.
    unsafe { put(dev, ordinal) }
}

pub(crate) unsafe fn cuDeviceGetProperties(prop: *mut c_void, dev: i32) -> Result {
    let driver = of(dev)?;
    let of_limit = |limit: u32| i32::try_from(limit).unwrap_or(i32::MAX);
    let properties = CUdevprop {
        maxThreadsPerBlock: of_limit(limits::THREADS_PER_BLOCK),
        maxThreadsDim: limits::BLOCK.map(of_limit),
        maxGridSize: limits::GRID.map(of_limit),
        sharedMemPerBlock: of_limit(limits::SHARED_PER_BLOCK),
        totalConstantMemory: of_limit(limits::CONSTANT),
        SIMDWidth: of_limit(limits::WARP),
        memPitch: limits::MAX_PITCH as i32,
        regsPerBlock: of_limit(limits::REGISTERS_PER_SM),
        clockRate: driver.device.attribute(13)?,
        textureAlign: limits::TEXTURE_ALIGNMENT as i32,
    };
    // SAFETY: the contract of this function.
    unsafe { put(prop.cast::<CUdevprop>(), properties) }
}

pub(crate) unsafe fn cuDeviceCanAccessPeer(
    can_access_peer: *mut i32,
    dev: i32,
    peer_dev: i32,
) -> Result {
    of(dev)?;
    of(peer_dev)?;
    // SAFETY: the contract of this function. No device is its own peer.
    unsafe { put(can_access_peer, 0) }
}

pub(crate) unsafe fn cuDeviceGetP2PAttribute(
    _: *mut i32,
    _: u32,
    src_device: i32,
    dst_device: i32,
) -> Result {
    of(src_device)?;
    of(dst_device)?;
    // Documented: an error if both devices are the same.
    Err(Status::ERROR_INVALID_DEVICE)
}

pub(crate) unsafe fn cuDeviceGetExecAffinitySupport(pi: *mut i32, kind: u32, dev: i32) -> Result {
    of(dev)?;
    require(kind == 0)?;
    // SAFETY: the contract of this function.
    unsafe { put(pi, 0) }
}

pub(crate) unsafe fn cuDeviceGetDefaultMemPool(pool_out: *mut *mut c_void, dev: i32) -> Result {
    let handle = of(dev)?.default_pools.default_handle();
    // SAFETY: the contract of this function.
    unsafe { put(pool_out, handle) }
}

pub(crate) unsafe fn cuDeviceGetMemPool(pool: *mut *mut c_void, dev: i32) -> Result {
    let handle = of(dev)?.default_pools.current().handle();
    // SAFETY: the contract of this function.
    unsafe { put(pool, handle) }
}

pub(crate) unsafe fn cuDeviceSetMemPool(dev: i32, pool: *mut c_void) -> Result {
    let driver = of(dev)?;
    driver.default_pools.set_current(driver.pools.get(pool)?);
    Ok(())
}
