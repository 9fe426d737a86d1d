//! NVML's structures, as nvml.h lays them out, and how an inventory fills them.

use std::ffi::c_char;

use rgpu_proto::hello::{Device, Inventory};

/// `nvmlMemory_t`.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// See nvml.h.
    pub total: u64,
    /// See nvml.h.
    pub free: u64,
    /// See nvml.h.
    pub used: u64,
}

/// `nvmlMemory_v2_t`.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryV2 {
    /// See nvml.h.
    pub version: u32,
    /// See nvml.h.
    pub total: u64,
    /// See nvml.h.
    pub reserved: u64,
    /// See nvml.h.
    pub free: u64,
    /// See nvml.h.
    pub used: u64,
}

/// `nvmlMemory_v2`: the structure's size and version.
pub const MEMORY_V2: u32 = size_of::<MemoryV2>() as u32 | 2 << 24;

/// `nvmlPciInfo_t`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct PciInfo {
    /// See nvml.h.
    pub bus_id_legacy: [c_char; 16],
    /// See nvml.h.
    pub domain: u32,
    /// See nvml.h.
    pub bus: u32,
    /// See nvml.h.
    pub device: u32,
    /// See nvml.h.
    pub device_id: u32,
    /// See nvml.h.
    pub subsystem_id: u32,
    /// See nvml.h.
    pub bus_id: [c_char; 32],
}

/// `nvmlProcessInfo_v1_t`.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProcessV1 {
    /// See nvml.h.
    pub pid: u32,
    /// See nvml.h.
    pub used: u64,
}

/// `nvmlProcessInfo_v2_t`, which is also the third version.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Process {
    /// See nvml.h.
    pub pid: u32,
    /// See nvml.h.
    pub used: u64,
    /// See nvml.h.
    pub gpu_instance: u32,
    /// See nvml.h.
    pub compute_instance: u32,
}

/// No instance: the device is not partitioned.
const NO_INSTANCE: u32 = u32::MAX;

/// Memory of a device.
pub fn memory(inventory: &Inventory, device: usize) -> Memory {
    let total = inventory.devices[device].total_memory;
    let used = inventory
        .clients
        .iter()
        .filter(|client| client.device as usize == device)
        .map(|client| client.used)
        .sum::<u64>()
        .min(total);
    Memory {
        total,
        free: total - used,
        used,
    }
}

/// Processes that use a device, by the pids of their own hosts.
pub fn processes(inventory: &Inventory, device: usize) -> Vec<Process> {
    inventory
        .clients
        .iter()
        .filter(|client| client.device as usize == device)
        .map(|client| Process {
            pid: client.pid,
            used: client.used,
            gpu_instance: NO_INSTANCE,
            compute_instance: NO_INSTANCE,
        })
        .collect()
}

/// Domain, bus and device number of a bus id such as `0000:3B:00.0`.
pub fn bus_numbers(text: &str) -> Option<(u32, u32, u32)> {
    let (rest, _) = text.split_once('.').unwrap_or((text, ""));
    let hex = |part| u32::from_str_radix(part, 16).ok();
    match rest.split(':').collect::<Vec<_>>().as_slice() {
        [bus, device] => Some((0, hex(bus)?, hex(device)?)),
        [domain, bus, device] => Some((hex(domain)?, hex(bus)?, hex(device)?)),
        _ => None,
    }
}

/// What NVML says of a device's place.
pub fn pci(device: &Device) -> PciInfo {
    let (domain, bus, number) = bus_numbers(&device.pci_bus_id).unwrap_or_default();
    let mut info = PciInfo {
        bus_id_legacy: [0; 16],
        domain,
        bus,
        device: number,
        device_id: 0,
        subsystem_id: 0,
        bus_id: [0; 32],
    };
    let fill = |place: &mut [c_char], text: &str| {
        let room = place.len() - 1;
        for (slot, byte) in place[..room].iter_mut().zip(text.bytes()) {
            *slot = byte as c_char;
        }
    };
    fill(
        &mut info.bus_id_legacy,
        &format!("{domain:04X}:{bus:02X}:{number:02X}.0"),
    );
    fill(
        &mut info.bus_id,
        &format!("{domain:08X}:{bus:02X}:{number:02X}.0"),
    );
    info
}

/// A UUID as NVML writes it.
pub fn uuid(device: &Device) -> String {
    let hex: Vec<String> = device
        .uuid
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let part = |from: usize, to: usize| hex[from..to].concat();
    format!(
        "GPU-{}-{}-{}-{}-{}",
        part(0, 4),
        part(4, 6),
        part(6, 8),
        part(8, 10),
        part(10, 16)
    )
}

/// An attribute of a device, by its `CUdevice_attribute` number.
pub fn attribute(device: &Device, which: u32) -> Option<i32> {
    device
        .attributes
        .iter()
        .find(|(number, _)| *number == which)
        .map(|(_, value)| *value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::tests::example;

    #[test]
    fn layouts_are_those_of_the_header() {
        assert_eq!(MEMORY_V2, 0x0200_0028);
        assert_eq!((size_of::<PciInfo>(), size_of::<Process>()), (68, 24));
    }

    #[test]
    fn an_inventory_fills_the_structures() {
        let inventory = example();
        assert_eq!(memory(&inventory, 0).used, 12 << 20);
        assert_eq!(memory(&inventory, 1).used, 0);
        assert_eq!(processes(&inventory, 0).len(), 2);
        assert_eq!(pci(&inventory.devices[1]).bus, 2);
        assert_eq!(
            uuid(&inventory.devices[0]),
            "GPU-abababab-abab-abab-abab-abababababab"
        );
    }

    #[test]
    fn bus_ids_are_read() {
        assert_eq!(bus_numbers("00000000:3B:00.0"), Some((0, 0x3b, 0)));
        assert_eq!(bus_numbers("3b:1"), Some((0, 0x3b, 1)));
        assert_eq!(bus_numbers("nothing"), None);
    }
}
