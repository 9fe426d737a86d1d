//! `CUpointer_attribute`.

use rgpu_driver_abi::own;
use rgpu_softgpu_exec::memory::{Access, Allocation, DeviceMemory, HostRange};

use super::place::is_device;
use super::vmm::flags_of;
use crate::driver::{self, Driver};
use crate::status::{Result, Status};

/// The value of an attribute, as wide as the attribute says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Value {
    /// A truth value, `int`, `unsigned int` or an enumeration. The runtime reads truth values as `int`.
    Word(u32),
    /// A pointer, an address or a size.
    Long(u64),
    /// `CUDA_POINTER_ATTRIBUTE_P2P_TOKENS`.
    Tokens([u64; 2]),
}

mod attribute {
    pub(super) const CONTEXT: u32 = 1;
    pub(super) const MEMORY_TYPE: u32 = 2;
    pub(super) const DEVICE_POINTER: u32 = 3;
    pub(super) const HOST_POINTER: u32 = 4;
    pub(super) const P2P_TOKENS: u32 = 5;
    pub(super) const SYNC_MEMOPS: u32 = 6;
    pub(super) const BUFFER_ID: u32 = 7;
    pub(super) const IS_MANAGED: u32 = 8;
    pub(super) const DEVICE_ORDINAL: u32 = 9;
    pub(super) const IS_LEGACY_IPC_CAPABLE: u32 = 10;
    pub(super) const RANGE_START: u32 = 11;
    pub(super) const RANGE_SIZE: u32 = 12;
    pub(super) const MAPPED: u32 = 13;
    pub(super) const ALLOWED_HANDLE_TYPES: u32 = 14;
    pub(super) const IS_GPU_DIRECT_CAPABLE: u32 = 15;
    pub(super) const ACCESS_FLAGS: u32 = 16;
    pub(super) const POOL: u32 = 17;
    pub(super) const MAPPING_SIZE: u32 = 18;
    pub(super) const MAPPING_BASE: u32 = 19;
    pub(super) const BLOCK_ID: u32 = 20;
    pub(super) const IS_DECOMPRESS_CAPABLE: u32 = 21;
}

const TYPE_HOST: u32 = 1;
const TYPE_DEVICE: u32 = 2;
/// `CU_DEVICE_INVALID`.
const NO_DEVICE: u32 = -2i32 as u32;

/// What is known of a pointer.
#[derive(Debug, Clone, Copy)]
enum Known {
    Device(Allocation),
    /// Reserved, nothing mapped there.
    Reserved(u64, u64),
    Host(HostRange),
    Nothing,
}

fn look_up(driver: &Driver, address: u64) -> Known {
    if !is_device(address) {
        let found = driver.memory.host().find(address);
        return found.map_or(Known::Nothing, Known::Host);
    }
    match driver.memory.find(address) {
        Some(found) => Known::Device(found),
        None => match driver.memory.find_reservation(address) {
            Some((base, size)) => Known::Reserved(base, size),
            None => Known::Nothing,
        },
    }
}

/// An attribute of a pointer that the driver knows.
pub(crate) fn get(address: u64, attribute: u32) -> Result<Value> {
    let driver = driver::get()?;
    let known = look_up(driver, address);
    match known {
        Known::Nothing => Err(Status::ERROR_INVALID_VALUE),
        _ => value(driver, address, known, attribute),
    }
}

/// An attribute of any pointer: of one that the driver does not know, the value that says so.
pub(crate) fn get_or_default(address: u64, attribute: u32) -> Result<Value> {
    let driver = driver::get()?;
    value(driver, address, look_up(driver, address), attribute)
}

fn value(driver: &Driver, address: u64, known: Known, wanted: u32) -> Result<Value> {
    let (base, size, id) = match known {
        Known::Device(found) => (found.base, found.size, found.id),
        Known::Reserved(base, size) => (base, size, 0),
        Known::Host(range) => (range.base, range.size, 0),
        Known::Nothing => (0, 0, 0),
    };
    let is_host = matches!(known, Known::Host(_));
    let is_memory = matches!(known, Known::Device(_) | Known::Host(_));
    Ok(match wanted {
        attribute::CONTEXT => Value::Long(context(driver, known)),
        attribute::MEMORY_TYPE => Value::Word(match known {
            Known::Device(_) | Known::Reserved(..) => TYPE_DEVICE,
            Known::Host(_) => TYPE_HOST,
            Known::Nothing => 0,
        }),
        attribute::DEVICE_POINTER if is_memory => Value::Long(address),
        attribute::HOST_POINTER if is_host => Value::Long(address),
        attribute::DEVICE_POINTER | attribute::HOST_POINTER => Value::Long(0),
        attribute::P2P_TOKENS => Value::Tokens([0; 2]),
        attribute::SYNC_MEMOPS => Value::Word(0),
        attribute::BUFFER_ID => Value::Long(id),
        attribute::IS_MANAGED
        | attribute::IS_LEGACY_IPC_CAPABLE
        | attribute::IS_GPU_DIRECT_CAPABLE
        | attribute::IS_DECOMPRESS_CAPABLE
        | attribute::ALLOWED_HANDLE_TYPES => Value::Word(0),
        attribute::DEVICE_ORDINAL => Value::Word(match known {
            Known::Device(found) => found.device,
            Known::Host(range) => host_device(driver, range),
            Known::Reserved(..) => 0,
            Known::Nothing => NO_DEVICE,
        }),
        attribute::RANGE_START => Value::Long(base),
        attribute::RANGE_SIZE => Value::Long(size),
        attribute::MAPPED => Value::Word(u32::from(is_memory)),
        attribute::ACCESS_FLAGS => {
            let access = match known {
                Known::Host(_) => Some(Access::ReadWrite),
                _ => view_of(driver).access(address),
            };
            Value::Word(access.map_or(0, flags_of) as u32)
        }
        attribute::POOL => {
            let owner = driver.owners.get(base);
            let share = owner.and_then(|owner| owner.share);
            Value::Long(share.map_or(0, |share| share.pool().handle().addr() as u64))
        }
        attribute::MAPPING_SIZE => Value::Long(size),
        attribute::MAPPING_BASE => Value::Long(base),
        attribute::BLOCK_ID => Value::Long(id),
        own::POINTER_ATTRIBUTE_VIEW => Value::Long(view(driver, address, known)?),
        _ => return Err(Status::ERROR_INVALID_VALUE),
    })
}

/// Number of the device in whose context host memory was pinned.
fn host_device(driver: &Driver, range: HostRange) -> u32 {
    let context = driver.owners.host_context(range.base);
    let context = context.and_then(|id| driver.contexts.find(|context| context.id() == id));
    context.map_or(0, |context| context.ordinal() as u32)
}

/// Memory as the current context's device sees it, or the first device if there is none.
fn view_of(driver: &Driver) -> &DeviceMemory {
    let gpu = crate::context::alive().and_then(|context| context.gpu());
    gpu.map_or(&driver.memory, |gpu| &gpu.memory)
}

/// Where the process finds the byte at `address`, if the current device may load and store there.
fn view(driver: &Driver, address: u64, known: Known) -> Result<u64> {
    let memory = view_of(driver);
    match known {
        Known::Host(_) => Ok(address),
        Known::Device(_) if memory.access(address) == Some(Access::ReadWrite) => {
            Ok(address.wrapping_add(memory.global_delta()))
        }
        _ => Err(Status::ERROR_INVALID_VALUE),
    }
}

/// The handle of the context that an allocation belongs to; mappings belong to none.
fn context(driver: &Driver, known: Known) -> u64 {
    let id = match known {
        Known::Device(found) => driver.owners.get(found.base).map(|owner| owner.context),
        Known::Host(range) => driver.owners.host_context(range.base),
        Known::Reserved(..) | Known::Nothing => None,
    };
    id.and_then(|id| crate::context::handle_of(driver, id))
        .map_or(0, |handle| handle.addr() as u64)
}
