//! The device and what it says of itself.

mod attributes;
mod size;

use rgpu_softgpu_exec::exec::Options;

use crate::status::{Result, Status, require};

/// Compute capability of the device.
pub(crate) const CAPABILITY: (u16, u16) = (9, 0);
/// Name of the device.
pub(crate) const NAME: &str = "rgpu software GPU";
/// Identity of the device: the same in every process and on every host.
pub(crate) const UUID: [u8; 16] = *b"rgpu-soft-gpu-00";
/// Where the device would sit: domain, bus, device.
pub(crate) const PCI: (u32, u32, u32) = (0, 0x52, 0);
/// Length of `PCI_BUS_ID` with its end.
pub(crate) const PCI_BUS_ID: &std::ffi::CStr = c"0000:52:00.0";

/// Limits that more than one module needs; attributes repeat them.
pub(crate) mod limits {
    pub(crate) const WARP: u32 = 32;
    pub(crate) const THREADS_PER_BLOCK: u32 = 1024;
    pub(crate) const BLOCK: [u32; 3] = [1024, 1024, 64];
    pub(crate) const GRID: [u32; 3] = [i32::MAX as u32, 65_535, 65_535];
    pub(crate) const THREADS_PER_SM: u32 = 2048;
    pub(crate) const BLOCKS_PER_SM: u32 = 32;
    pub(crate) const REGISTERS_PER_SM: u32 = 65_536;
    pub(crate) const SHARED_PER_BLOCK: u32 = 48 << 10;
    pub(crate) const SHARED_PER_BLOCK_OPTIN: u32 = 227 << 10;
    pub(crate) const SHARED_PER_SM: u32 = 228 << 10;
    pub(crate) const SHARED_RESERVED_PER_BLOCK: u32 = 1 << 10;
    pub(crate) const CONSTANT: u32 = 64 << 10;
    pub(crate) const MAX_PITCH: u64 = i32::MAX as u64;
    pub(crate) const TEXTURE_ALIGNMENT: u64 = 512;
    pub(crate) const LEAST_PRIORITY: i32 = 0;
    pub(crate) const GREATEST_PRIORITY: i32 = -5;
}

/// The one device.
#[derive(Debug)]
pub(crate) struct Device {
    multiprocessors: u32,
    memory_size: u64,
}

impl Device {
    /// The device that the environment asks for.
    pub(crate) fn from_environment() -> Result<Self> {
        Ok(Self {
            multiprocessors: Options::from_env().threads,
            memory_size: size::from_environment()?,
        })
    }

    /// Multiprocessors: as many as blocks run at once, one per core.
    pub(crate) fn multiprocessors(&self) -> u32 {
        self.multiprocessors
    }

    /// Bytes of memory.
    pub(crate) fn memory_size(&self) -> u64 {
        self.memory_size
    }

    /// A `CUdevice_attribute` by number.
    pub(crate) fn attribute(&self, attribute: u32) -> Result<i32> {
        attributes::value(self, attribute).ok_or(Status::ERROR_INVALID_VALUE)
    }
}

/// Refuses an ordinal that names no device.
pub(crate) fn check(ordinal: i32) -> Result {
    match ordinal {
        0 => Ok(()),
        _ => Err(Status::ERROR_INVALID_DEVICE),
    }
}

/// The ordinal of a PCI bus id such as `0000:52:00.0`; the domain and the function may be left out.
pub(crate) fn by_pci_bus_id(id: &str) -> Result<i32> {
    let id = id.strip_suffix(".0").unwrap_or(id);
    let parts: Vec<u32> = id
        .split(':')
        .map(|part| u32::from_str_radix(part, 16))
        .collect::<std::result::Result<_, _>>()
        .map_err(|_| Status::ERROR_INVALID_VALUE)?;
    require(matches!(parts.len(), 2 | 3))?;
    let (domain, bus, device) = PCI;
    if parts.ends_with(&[bus, device]) && (parts.len() == 2 || parts[0] == domain) {
        Ok(0)
    } else {
        Err(Status::ERROR_INVALID_DEVICE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pci_bus_ids_name_the_device() {
        assert_eq!(by_pci_bus_id(PCI_BUS_ID.to_str().unwrap()), Ok(0));
        assert_eq!(by_pci_bus_id("52:00"), Ok(0));
        assert_eq!(
            by_pci_bus_id("0:53:00.0"),
            Err(Status::ERROR_INVALID_DEVICE)
        );
        assert_eq!(by_pci_bus_id("nonsense"), Err(Status::ERROR_INVALID_VALUE));
    }
}
