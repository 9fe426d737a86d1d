//! Devices as the server described them, less what does not work across a network.

use std::collections::BTreeMap;

use rgpu_proto::hello::Device;
use rgpu_proto::status::Status;

/// Attributes of `CUdevice_attribute` that depend on sharing memory or a machine with the GPU, or on calls that
/// are not forwarded; a remote GPU does not have them.
const NOT_REMOTE: &[u32] = &[
    83,  // MANAGED_MEMORY
    86,  // HOST_NATIVE_ATOMIC_SUPPORTED
    88,  // PAGEABLE_MEMORY_ACCESS
    89,  // CONCURRENT_MANAGED_ACCESS
    92,  // CAN_USE_STREAM_MEM_OPS_V1
    93,  // CAN_USE_64_BIT_STREAM_MEM_OPS_V1
    94,  // CAN_USE_STREAM_WAIT_VALUE_NOR_V1
    96,  // COOPERATIVE_MULTI_DEVICE_LAUNCH
    98,  // CAN_FLUSH_REMOTE_WRITES
    100, // PAGEABLE_MEMORY_ACCESS_USES_HOST_PAGE_TABLES
    101, // DIRECT_MANAGED_MEM_ACCESS_FROM_HOST
    103, // HANDLE_TYPE_POSIX_FILE_DESCRIPTOR_SUPPORTED
    104, // HANDLE_TYPE_WIN32_HANDLE_SUPPORTED
    105, // HANDLE_TYPE_WIN32_KMT_HANDLE_SUPPORTED
    110, // GPU_DIRECT_RDMA_WITH_CUDA_VMM_SUPPORTED
    112, // SPARSE_CUDA_ARRAY_SUPPORTED
    114, // TIMELINE_SEMAPHORE_INTEROP_SUPPORTED
    116, // GPU_DIRECT_RDMA_SUPPORTED
    117, // GPU_DIRECT_RDMA_FLUSH_WRITES_OPTIONS
    119, // MEMPOOL_SUPPORTED_HANDLE_TYPES
    121, // DEFERRED_MAPPING_CUDA_ARRAY_SUPPORTED
    124, // DMA_BUF_SUPPORTED
    125, // IPC_EVENT_SUPPORTED
    129, // UNIFIED_FUNCTION_POINTERS
    132, // MULTICAST_SUPPORTED
];

/// What a launch on a device may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LaunchLimits {
    /// Blocks in each direction.
    pub(crate) grid: [u32; 3],
    /// Threads of a block in each direction.
    pub(crate) block: [u32; 3],
    /// Threads of a block.
    pub(crate) threads: u32,
    /// Bytes of shared memory of a block.
    pub(crate) shared: u32,
    /// The same for kernels that asked for more.
    pub(crate) shared_optin: u32,
    /// Registers of a block.
    pub(crate) registers: u32,
    /// Whether blocks may wait for each other.
    pub(crate) cooperative: bool,
    /// Multiprocessors.
    pub(crate) multiprocessors: u32,
}

impl LaunchLimits {
    /// From attributes by their `CUdevice_attribute` numbers; what is unknown is as on every device since compute
    /// capability 5.0.
    fn new(attributes: &BTreeMap<u32, i32>) -> Self {
        let of = |which, otherwise| {
            let value = attributes.get(&which).copied().unwrap_or(otherwise);
            u32::try_from(value).unwrap_or(0)
        };
        Self {
            grid: [of(5, i32::MAX), of(6, 65_535), of(7, 65_535)],
            block: [of(2, 1024), of(3, 1024), of(4, 64)],
            threads: of(1, 1024),
            shared: of(8, 48 << 10),
            shared_optin: of(97, 48 << 10),
            registers: of(12, 64 << 10),
            cooperative: of(95, 0) != 0,
            multiprocessors: of(16, 1),
        }
    }
}

/// A device of the session.
#[derive(Debug, Clone)]
pub(crate) struct DeviceShadow {
    /// Name.
    pub(crate) name: String,
    /// UUID.
    pub(crate) uuid: [u8; 16],
    /// Bus id, as `cuDeviceGetPCIBusId` writes it.
    pub(crate) bus: String,
    /// Bytes that this process may use.
    pub(crate) memory: u64,
    /// What a launch may ask for.
    pub(crate) limits: LaunchLimits,
    attributes: BTreeMap<u32, i32>,
}

impl DeviceShadow {
    /// The device of the snapshot, with `lease` bytes of memory.
    pub(crate) fn new(device: &Device, lease: u64) -> Self {
        let mut attributes: BTreeMap<u32, i32> = device.attributes.iter().copied().collect();
        for attribute in NOT_REMOTE {
            if let Some(value) = attributes.get_mut(attribute) {
                *value = 0;
            }
        }
        Self {
            name: device.name.clone(),
            uuid: device.uuid,
            bus: device.pci_bus_id.clone(),
            memory: lease,
            limits: LaunchLimits::new(&attributes),
            attributes,
        }
    }

    /// The value of an attribute.
    pub(crate) fn attribute(&self, which: u32) -> Result<i32, Status> {
        self.attributes
            .get(&which)
            .copied()
            .ok_or(Status::ERROR_INVALID_VALUE)
    }

    /// The value of an attribute, or `otherwise`.
    pub(crate) fn attribute_or(&self, which: u32, otherwise: i32) -> i32 {
        self.attributes.get(&which).copied().unwrap_or(otherwise)
    }

    /// Compute capability: major and minor.
    pub(crate) fn capability(&self) -> (i32, i32) {
        (self.attribute_or(75, 0), self.attribute_or(76, 0))
    }

    /// Whether `text` names this device's place on its bus, in one of the forms that CUDA takes:
    /// `[domain:]bus:device[.function]`.
    pub(crate) fn is_at(&self, text: &str) -> bool {
        let parse = |text: &str| {
            let (rest, function) = text.split_once('.').unwrap_or((text, "0"));
            let parts: Vec<&str> = rest.split(':').collect();
            let (domain, bus, device) = match parts.as_slice() {
                [bus, device] => ("0", *bus, *device),
                [domain, bus, device] => (*domain, *bus, *device),
                _ => return None,
            };
            let hex = |part| u32::from_str_radix(part, 16).ok();
            Some((hex(domain)?, hex(bus)?, hex(device)?, hex(function)?))
        };
        parse(text).is_some() && parse(text) == parse(&self.bus)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device() -> DeviceShadow {
        let device = Device {
            name: "GPU".into(),
            uuid: [1; 16],
            total_memory: 1 << 34,
            pci_bus_id: "0000:3B:00.0".into(),
            attributes: vec![(75, 9), (76, 0), (83, 1), (10, 32)],
        };
        DeviceShadow::new(&device, 1 << 30)
    }

    #[test]
    fn what_does_not_work_remotely_is_not_claimed() {
        let device = device();
        assert_eq!(device.attribute(83), Ok(0));
        assert_eq!(device.attribute(10), Ok(32));
        assert_eq!(device.attribute(19), Err(Status::ERROR_INVALID_VALUE));
        assert_eq!(device.capability(), (9, 0));
        assert_eq!(device.memory, 1 << 30);
    }

    #[test]
    fn a_bus_id_has_several_spellings() {
        let device = device();
        for text in [
            "0000:3B:00.0",
            "0:3b:0.0",
            "3B:00.0",
            "00003b:3b:0",
            "0000:3b:00",
        ] {
            assert_eq!(device.is_at(text), !text.starts_with("00003b"), "{text}");
        }
        assert!(!device.is_at("") && !device.is_at("x:y"));
    }
}
