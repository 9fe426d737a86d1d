//! The C functions. A device's handle is its index plus one.

#![allow(non_snake_case, reason = "functions carry the names of the C API")]
#![allow(
    clippy::missing_safety_doc,
    reason = "the contract is that of the C function of the same name"
)]

use std::ffi::{CStr, c_char, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use rgpu_proto::hello::{Device, Inventory};

use crate::codes::{self, Code};
use crate::inventory::Source;
use crate::layout::{self, Memory, MemoryV2, PciInfo, Process, ProcessV1};

static SOURCE: std::sync::LazyLock<Source> = std::sync::LazyLock::new(Source::default);

type Result<T = ()> = std::result::Result<T, Code>;

/// A device as NVML names it.
type Handle = *mut c_void;

fn guard(body: impl FnOnce() -> Result) -> Code {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(())) => codes::SUCCESS,
        Ok(Err(code)) => code,
        Err(_) => codes::UNKNOWN,
    }
}

fn inventory() -> Result<Arc<Inventory>> {
    SOURCE.get().ok_or(codes::UNINITIALIZED)
}

fn index(inventory: &Inventory, device: Handle) -> Result<usize> {
    let index = (device as usize).wrapping_sub(1);
    match index < inventory.devices.len() {
        true => Ok(index),
        false => Err(codes::INVALID_ARGUMENT),
    }
}

/// # Safety
/// A non-null `place` is writable.
unsafe fn put<T>(place: *mut T, value: T) -> Result {
    if place.is_null() {
        return Err(codes::INVALID_ARGUMENT);
    }
    // SAFETY: not null, and the caller's promise.
    unsafe { place.write_unaligned(value) };
    Ok(())
}

/// # Safety
/// A non-null `place` has `length` writable bytes.
unsafe fn put_text(place: *mut c_char, length: u32, text: &str) -> Result {
    if place.is_null() {
        return Err(codes::INVALID_ARGUMENT);
    }
    if text.len() >= length as usize {
        return Err(codes::INSUFFICIENT_SIZE);
    }
    // SAFETY: the caller's promise; text and NUL fit, as checked.
    unsafe {
        std::ptr::copy_nonoverlapping(text.as_ptr(), place.cast(), text.len());
        place.add(text.len()).write(0);
    }
    Ok(())
}

/// # Safety
/// A non-null `text` is NUL-terminated.
unsafe fn read<'a>(text: *const c_char) -> Result<&'a str> {
    if text.is_null() {
        return Err(codes::INVALID_ARGUMENT);
    }
    // SAFETY: not null, and the caller's promise.
    unsafe { CStr::from_ptr(text) }
        .to_str()
        .map_err(|_| codes::INVALID_ARGUMENT)
}

// `fn nvmlDeviceGetIndex(device: Handle, index: *mut u32) = |inventory, at| put(index, at as u32);` becomes the
// C function, which looks the device up and runs the body with it.
macro_rules! of_device {
    ($(fn $name:ident($device:ident $(, $param:ident: $type:ty)*) = |$inventory:ident, $at:ident| $body:expr;)*) => {$(
        /// See NVIDIA's NVML API reference.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name($device: Handle $(, $param: $type)*) -> Code {
            guard(|| {
                let $inventory = inventory()?;
                let $at = index(&$inventory, $device)?;
                // SAFETY: the application's pointers, as the C function of this name takes them.
                unsafe { $body }
            })
        }
    )*};
}

// The same for functions that take no device.
macro_rules! of_system {
    ($(fn $name:ident($($param:ident: $type:ty),*) = |$inventory:ident| $body:expr;)*) => {$(
        /// See NVIDIA's NVML API reference.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name($($param: $type),*) -> Code {
            guard(|| {
                let $inventory = inventory()?;
                // SAFETY: the application's pointers, as the C function of this name takes them.
                unsafe { $body }
            })
        }
    )*};
}

// What a remote GPU cannot tell. All take a device and up to three more words.
macro_rules! not_supported {
    ($($name:ident)*) => {$(
        /// See NVIDIA's NVML API reference. Not known of a remote GPU.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name(device: Handle, _: usize, _: usize, _: usize) -> Code {
            guard(|| {
                index(&*inventory()?, device)?;
                Err(codes::NOT_SUPPORTED)
            })
        }
    )*};
}

fn initialise() -> Code {
    guard(|| {
        SOURCE.open().map_err(|reason| {
            if std::env::var_os("RGPU_LOG").is_some() {
                eprintln!("rgpu: nvml: {reason}");
            }
            codes::DRIVER_NOT_LOADED
        })
    })
}

/// See NVIDIA's NVML API reference.
#[unsafe(no_mangle)]
pub extern "C" fn nvmlInit_v2() -> Code {
    initialise()
}

/// See NVIDIA's NVML API reference.
#[unsafe(no_mangle)]
pub extern "C" fn nvmlInit() -> Code {
    initialise()
}

/// See NVIDIA's NVML API reference.
#[unsafe(no_mangle)]
pub extern "C" fn nvmlInitWithFlags(_flags: u32) -> Code {
    initialise()
}

/// See NVIDIA's NVML API reference.
#[unsafe(no_mangle)]
pub extern "C" fn nvmlShutdown() -> Code {
    guard(|| {
        if SOURCE.close() {
            Ok(())
        } else {
            Err(codes::UNINITIALIZED)
        }
    })
}

/// See NVIDIA's NVML API reference.
#[unsafe(no_mangle)]
pub extern "C" fn nvmlErrorString(result: Code) -> *const c_char {
    codes::text(result).as_ptr()
}

/// The driver's release that NVIDIA pairs with a CUDA version, as `nvidia-smi` prints it.
fn driver_release(cuda: i32) -> String {
    // CUDA 12.0 came with R525, 13.0 with R580; see the CUDA toolkit's release notes.
    let release = if cuda >= 13000 { 580 } else { 525 };
    // Three numbers, which some programs read as such.
    format!("{release}.00.00")
}

/// # Safety
/// A non-null `device` is writable.
unsafe fn by_index(inventory: &Inventory, index: u32, device: *mut Handle) -> Result {
    if index as usize >= inventory.devices.len() {
        return Err(codes::INVALID_ARGUMENT);
    }
    // SAFETY: the caller's promise.
    unsafe { put(device, (index as usize + 1) as Handle) }
}

/// # Safety
/// A non-null `device` is writable.
unsafe fn by(
    inventory: &Inventory,
    device: *mut Handle,
    is_it: impl Fn(&Device) -> bool,
) -> Result {
    let at = inventory
        .devices
        .iter()
        .position(is_it)
        .ok_or(codes::NOT_FOUND)?;
    // SAFETY: the caller's promise.
    unsafe { by_index(inventory, at as u32, device) }
}

/// # Safety
/// A non-null `device` is writable.
unsafe fn by_bus(inventory: &Inventory, bus: &str, device: *mut Handle) -> Result {
    let wanted = layout::bus_numbers(bus).ok_or(codes::INVALID_ARGUMENT)?;
    // SAFETY: the caller's promise.
    unsafe {
        by(inventory, device, |d| {
            layout::bus_numbers(&d.pci_bus_id) == Some(wanted)
        })
    }
}

of_system! {
    fn nvmlSystemGetDriverVersion(version: *mut c_char, length: u32) = |inventory| put_text(version, length, &driver_release(inventory.driver_version));
    fn nvmlSystemGetNVMLVersion(version: *mut c_char, length: u32) = |inventory| put_text(version, length, &format!("{}.580.00", inventory.driver_version / 1000));
    fn nvmlSystemGetCudaDriverVersion(version: *mut i32) = |inventory| put(version, inventory.driver_version);
    fn nvmlSystemGetCudaDriverVersion_v2(version: *mut i32) = |inventory| put(version, inventory.driver_version);
    fn nvmlSystemGetProcessName(pid: u32, name: *mut c_char, length: u32) = |inventory| {
        let client = inventory.clients.iter().find(|client| client.pid == pid).ok_or(codes::NOT_FOUND)?;
        put_text(name, length, &client.program)
    };
    fn nvmlDeviceGetCount_v2(count: *mut u32) = |inventory| put(count, inventory.devices.len() as u32);
    fn nvmlDeviceGetCount(count: *mut u32) = |inventory| put(count, inventory.devices.len() as u32);
    fn nvmlDeviceGetHandleByIndex_v2(index: u32, device: *mut Handle) = |inventory| by_index(&inventory, index, device);
    fn nvmlDeviceGetHandleByIndex(index: u32, device: *mut Handle) = |inventory| by_index(&inventory, index, device);
    fn nvmlDeviceGetHandleByUUID(uuid: *const c_char, device: *mut Handle) = |inventory| {
        let wanted = read(uuid)?;
        by(&inventory, device, |d| layout::uuid(d) == wanted)
    };
    fn nvmlDeviceGetHandleByPciBusId_v2(bus: *const c_char, device: *mut Handle) = |inventory| by_bus(&inventory, read(bus)?, device);
    fn nvmlDeviceGetHandleByPciBusId(bus: *const c_char, device: *mut Handle) = |inventory| by_bus(&inventory, read(bus)?, device);
    fn nvmlUnitGetCount(count: *mut u32) = |_inventory| put(count, 0);
}

of_device! {
    fn nvmlDeviceGetName(device, name: *mut c_char, length: u32) = |inventory, at| put_text(name, length, &inventory.devices[at].name);
    fn nvmlDeviceGetUUID(device, uuid: *mut c_char, length: u32) = |inventory, at| put_text(uuid, length, &layout::uuid(&inventory.devices[at]));
    fn nvmlDeviceGetIndex(device, index: *mut u32) = |inventory, at| put(index, at as u32);
    fn nvmlDeviceGetMinorNumber(device, minor: *mut u32) = |inventory, at| put(minor, at as u32);
    fn nvmlDeviceGetMemoryInfo(device, memory: *mut Memory) = |inventory, at| put(memory, layout::memory(&inventory, at));
    fn nvmlDeviceGetMemoryInfo_v2(device, memory: *mut MemoryV2) = |inventory, at| {
        if memory.is_null() {
            return Err(codes::INVALID_ARGUMENT);
        }
        let version = (&raw const (*memory).version).read_unaligned();
        if version != layout::MEMORY_V2 {
            return Err(codes::VERSION_MISMATCH);
        }
        let Memory { total, free, used } = layout::memory(&inventory, at);
        put(memory, MemoryV2 { version, total, reserved: 0, free, used })
    };
    fn nvmlDeviceGetPciInfo_v3(device, pci: *mut PciInfo) = |inventory, at| put(pci, layout::pci(&inventory.devices[at]));
    fn nvmlDeviceGetCudaComputeCapability(device, major: *mut i32, minor: *mut i32) = |inventory, at| {
        let of = |which| layout::attribute(&inventory.devices[at], which).ok_or(codes::NOT_SUPPORTED);
        put(major, of(75)?)?;
        put(minor, of(76)?)
    };
    fn nvmlDeviceGetComputeRunningProcesses(device, count: *mut u32, infos: *mut ProcessV1) = |inventory, at| {
        let all: Vec<_> = layout::processes(&inventory, at).iter().map(|p| ProcessV1 { pid: p.pid, used: p.used }).collect();
        list(&all, count, infos)
    };
    fn nvmlDeviceGetComputeRunningProcesses_v2(device, count: *mut u32, infos: *mut Process) = |inventory, at| list(&layout::processes(&inventory, at), count, infos);
    fn nvmlDeviceGetComputeRunningProcesses_v3(device, count: *mut u32, infos: *mut Process) = |inventory, at| list(&layout::processes(&inventory, at), count, infos);
    fn nvmlDeviceGetGraphicsRunningProcesses(device, count: *mut u32, _infos: *mut ProcessV1) = |_inventory, _at| put(count, 0);
    fn nvmlDeviceGetGraphicsRunningProcesses_v2(device, count: *mut u32, _infos: *mut Process) = |_inventory, _at| put(count, 0);
    fn nvmlDeviceGetGraphicsRunningProcesses_v3(device, count: *mut u32, _infos: *mut Process) = |_inventory, _at| put(count, 0);
    fn nvmlDeviceGetMPSComputeRunningProcesses_v3(device, count: *mut u32, _infos: *mut Process) = |_inventory, _at| put(count, 0);
    fn nvmlDeviceGetComputeMode(device, mode: *mut u32) = |_inventory, _at| put(mode, 0);
    fn nvmlDeviceGetPersistenceMode(device, mode: *mut u32) = |_inventory, _at| put(mode, 1);
}

not_supported! {
    nvmlDeviceGetNvLinkRemoteDeviceType
    nvmlDeviceGetNvLinkRemotePciInfo_v2
    nvmlDeviceGetUtilizationRates
    nvmlDeviceGetNumGpuCores
    nvmlDeviceGetTemperature
    nvmlDeviceGetTemperatureV
    nvmlDeviceGetTemperatureThreshold
    nvmlDeviceGetPowerUsage
    nvmlDeviceGetPowerState
    nvmlDeviceGetPowerManagementLimit
    nvmlDeviceGetEnforcedPowerLimit
    nvmlDeviceGetTotalEnergyConsumption
    nvmlDeviceGetFanSpeed
    nvmlDeviceGetClockInfo
    nvmlDeviceGetMaxClockInfo
    nvmlDeviceGetBAR1MemoryInfo
    nvmlDeviceGetSerial
    nvmlDeviceGetBoardPartNumber
    nvmlDeviceGetBrand
    nvmlDeviceGetArchitecture
    nvmlDeviceGetVbiosVersion
    nvmlDeviceGetDisplayMode
    nvmlDeviceGetDisplayActive
    nvmlDeviceGetEccMode
    nvmlDeviceGetTotalEccErrors
    nvmlDeviceGetMigMode
    nvmlDeviceGetMaxMigDeviceCount
    nvmlDeviceGetEncoderUtilization
    nvmlDeviceGetDecoderUtilization
    nvmlDeviceGetCurrPcieLinkGeneration
    nvmlDeviceGetCurrPcieLinkWidth
    nvmlDeviceGetMaxPcieLinkGeneration
    nvmlDeviceGetMaxPcieLinkWidth
    nvmlDeviceGetPcieThroughput
    nvmlDeviceGetNvLinkState
    nvmlDeviceGetAccountingMode
    nvmlDeviceGetVirtualizationMode
    nvmlDeviceGetProcessUtilization
}

/// Stores a list as NVML does: the count first, where there is room.
///
/// # Safety
/// `count` is writable, and `infos` has as many places as it says.
unsafe fn list<T: Copy>(all: &[T], count: *mut u32, infos: *mut T) -> Result {
    if count.is_null() {
        return Err(codes::INVALID_ARGUMENT);
    }
    // SAFETY: the caller's promise.
    let room = unsafe { count.read_unaligned() } as usize;
    // SAFETY: the caller's promise.
    unsafe { put(count, all.len() as u32)? };
    if all.len() > room {
        return Err(codes::INSUFFICIENT_SIZE);
    }
    if all.is_empty() {
        return Ok(());
    }
    if infos.is_null() {
        return Err(codes::INVALID_ARGUMENT);
    }
    // SAFETY: the caller's promise; the list fits, as checked.
    unsafe { std::ptr::copy_nonoverlapping(all.as_ptr(), infos, all.len()) };
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_counted_before_it_is_given() {
        let all = [1_u32, 2, 3];
        let (mut count, mut room) = (0, [0_u32; 4]);
        // SAFETY: there is as much room as each call says.
        unsafe {
            let short = list(&all, &raw mut count, std::ptr::null_mut());
            assert_eq!((short, count), (Err(codes::INSUFFICIENT_SIZE), 3));
            count = 4;
            assert_eq!(list(&all, &raw mut count, room.as_mut_ptr()), Ok(()));
        }
        assert_eq!((count, room), (3, [1, 2, 3, 0]));
    }

    #[test]
    fn nothing_works_before_init() {
        let mut count = 0;
        // SAFETY: the pointer is to a live local.
        let code = unsafe { nvmlDeviceGetCount_v2(&raw mut count) };
        assert_eq!(code, codes::UNINITIALIZED);
        assert_eq!(nvmlShutdown(), codes::UNINITIALIZED);
        // SAFETY: the function returns a static text.
        let text = unsafe { CStr::from_ptr(nvmlErrorString(codes::UNINITIALIZED)) };
        assert_eq!(text, c"Uninitialized");
    }
}
