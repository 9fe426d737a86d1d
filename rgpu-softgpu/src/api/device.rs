//! Devices.

use rgpu_proto::hello::ATTRIBUTE_PTX_ONLY;
use std::ffi::{c_char, c_void};

use cudarc::driver::sys::CUdevprop;

use super::{put, put_text, text};
use crate::device::{self, limits};
use crate::driver::{self, gpu as of};
use crate::status::{Result, Status, require};

pub(crate) unsafe fn cuDeviceGet(device: *mut i32, ordinal: i32) -> Result {
    of(ordinal)?;
    // SAFETY: the contract of this function.
    unsafe { put(device, ordinal) }
}

pub(crate) unsafe fn cuDeviceGetCount(count: *mut i32) -> Result {
    let count_of = driver::get()?.gpus.len() as i32;
    // SAFETY: the contract of this function.
    unsafe { put(count, count_of) }
}

pub(crate) unsafe fn cuDeviceGetName(name: *mut c_void, len: i32, dev: i32) -> Result {
    of(dev)?;
    // SAFETY: the contract of this function.
    unsafe { put_text(name, len, device::NAME.as_bytes()) }
}

pub(crate) unsafe fn cuDeviceGetAttribute(pi: *mut i32, attrib: u32, dev: i32) -> Result {
    let device = &of(dev)?.device;
    let value = match attrib {
        ATTRIBUTE_PTX_ONLY => 1,
        attrib => device.attribute(attrib)?,
    };
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
    let value = of(dev)?.device.uuid();
    // SAFETY: the contract of this function.
    unsafe { put(uuid.cast::<[u8; 16]>(), value) }
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
    let id = of(dev)?.device.pci_bus_id();
    // SAFETY: the contract of this function.
    unsafe { put_text(pci_bus_id, len, id.as_bytes()) }
}

pub(crate) unsafe fn cuDeviceGetByPCIBusId(dev: *mut i32, pci_bus_id: *const c_char) -> Result {
    let driver = driver::get()?;
    // SAFETY: the contract of this function.
    let id = unsafe { text(pci_bus_id) }?;
    for gpu in &driver.gpus {
        if gpu.device.is_at(id)? {
            // SAFETY: the contract of this function.
            return unsafe { put(dev, gpu.ordinal()) };
        }
    }
    Err(Status::ERROR_INVALID_DEVICE)
}

pub(crate) unsafe fn cuDeviceGetProperties(prop: *mut c_void, dev: i32) -> Result {
    let gpu = of(dev)?;
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
        clockRate: gpu.device.attribute(13)?,
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
    let (own, peer) = (of(dev)?.ordinal(), of(peer_dev)?.ordinal());
    // SAFETY: the contract of this function. No device is its own peer.
    unsafe { put(can_access_peer, i32::from(own != peer)) }
}

/// `CUdevice_P2PAttribute`.
mod peer_attribute {
    pub(super) const PERFORMANCE_RANK: u32 = 1;
    pub(super) const ACCESS_SUPPORTED: u32 = 2;
    pub(super) const NATIVE_ATOMIC_SUPPORTED: u32 = 3;
    pub(super) const ARRAY_ACCESS_SUPPORTED: u32 = 4;
    pub(super) const ONLY_PARTIAL_NATIVE_ATOMIC_SUPPORTED: u32 = 5;
}

pub(crate) unsafe fn cuDeviceGetP2PAttribute(
    value: *mut i32,
    attrib: u32,
    src_device: i32,
    dst_device: i32,
) -> Result {
    if of(src_device)?.ordinal() == of(dst_device)?.ordinal() {
        return Err(Status::ERROR_INVALID_DEVICE);
    }
    // All memory is the host's: every link is as good as the others, and atomics work.
    let found = match attrib {
        peer_attribute::ACCESS_SUPPORTED | peer_attribute::NATIVE_ATOMIC_SUPPORTED => 1,
        peer_attribute::PERFORMANCE_RANK
        | peer_attribute::ARRAY_ACCESS_SUPPORTED
        | peer_attribute::ONLY_PARTIAL_NATIVE_ATOMIC_SUPPORTED => 0,
        _ => return Err(Status::ERROR_INVALID_VALUE),
    };
    // SAFETY: the contract of this function.
    unsafe { put(value, found) }
}

pub(crate) unsafe fn cuDeviceGetExecAffinitySupport(pi: *mut i32, kind: u32, dev: i32) -> Result {
    of(dev)?;
    require(kind == 0)?;
    // SAFETY: the contract of this function.
    unsafe { put(pi, 0) }
}

pub(crate) unsafe fn cuDeviceGetDefaultMemPool(pool_out: *mut *mut c_void, dev: i32) -> Result {
    let handle = of(dev)?.pools.default_handle();
    // SAFETY: the contract of this function.
    unsafe { put(pool_out, handle) }
}

pub(crate) unsafe fn cuDeviceGetMemPool(pool: *mut *mut c_void, dev: i32) -> Result {
    let handle = of(dev)?.pools.current().handle();
    // SAFETY: the contract of this function.
    unsafe { put(pool, handle) }
}

pub(crate) unsafe fn cuDeviceSetMemPool(dev: i32, pool: *mut c_void) -> Result {
    let gpu = of(dev)?;
    gpu.pools.set_current(driver::get()?.pools.get(pool)?)
}
