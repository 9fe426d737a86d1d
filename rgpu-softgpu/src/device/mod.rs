//! The devices and what they say of themselves.

mod attributes;
mod size;
mod visible;

use rgpu_softgpu_exec::exec::Options;

use crate::status::{Result, Status, require};

/// Compute capability of the device.
pub(crate) const CAPABILITY: (u16, u16) = (9, 0);
/// Name of every device.
pub(crate) const NAME: &str = "rgpu software GPU";
/// The bus on which the first device would sit; the others follow.
const FIRST_BUS: u32 = 0x52;

/// Identity of a device by its number: the same in every process and on every host.
fn uuid(number: u32) -> [u8; 16] {
    let mut uuid = *b"rgpu-soft-gpu-00";
    uuid[14] += (number / 10) as u8;
    uuid[15] += (number % 10) as u8;
    uuid
}

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

/// A device.
#[derive(Debug)]
pub(crate) struct Device {
    /// Among all of the machine, whether this process sees them or not.
    number: u32,
    multiprocessors: u32,
    memory_size: u64,
}

impl Device {
    /// The devices that the environment asks for.
    pub(crate) fn from_environment() -> Result<Vec<Self>> {
        let multiprocessors = Options::from_env().threads;
        let visible = visible::from_environment()?;
        let memory_size = size::from_environment(visible.len() as u64)?;
        let device = |number| Self {
            number,
            multiprocessors,
            memory_size,
        };
        Ok(visible.into_iter().map(device).collect())
    }

    /// Its identity.
    pub(crate) fn uuid(&self) -> [u8; 16] {
        uuid(self.number)
    }

    /// Where it would sit: domain, bus, device.
    pub(crate) fn pci(&self) -> (u32, u32, u32) {
        (0, FIRST_BUS + self.number, 0)
    }

    /// The same in text.
    pub(crate) fn pci_bus_id(&self) -> String {
        let (domain, bus, device) = self.pci();
        format!("{domain:04x}:{bus:02x}:{device:02x}.0")
    }

    /// Whether it sits at `id`, such as `0000:52:00.0`; the domain and the function may be left out.
    pub(crate) fn is_at(&self, id: &str) -> Result<bool> {
        let id = id.strip_suffix(".0").unwrap_or(id);
        let parts: Vec<u32> = id
            .split(':')
            .map(|part| u32::from_str_radix(part, 16))
            .collect::<std::result::Result<_, _>>()
            .map_err(|_| Status::ERROR_INVALID_VALUE)?;
        require(matches!(parts.len(), 2 | 3))?;
        let (domain, bus, device) = self.pci();
        Ok(parts.ends_with(&[bus, device]) && (parts.len() == 2 || parts[0] == domain))
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

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Device = Device {
        number: 1,
        multiprocessors: 2,
        memory_size: 1 << 30,
    };

    #[test]
    fn pci_bus_ids_name_the_device() {
        assert_eq!(SECOND.pci_bus_id(), "0000:53:00.0");
        assert_eq!(SECOND.is_at("0000:53:00.0"), Ok(true));
        assert_eq!(SECOND.is_at("53:00"), Ok(true));
        assert_eq!(SECOND.is_at("0:52:00.0"), Ok(false));
        assert_eq!(SECOND.is_at("nonsense"), Err(Status::ERROR_INVALID_VALUE));
    }

    #[test]
    fn every_device_is_one_of_its_own() {
        assert_eq!(&uuid(0), b"rgpu-soft-gpu-00");
        assert_eq!(&uuid(15), b"rgpu-soft-gpu-15");
    }
}
