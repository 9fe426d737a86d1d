//! The inventory of the `libcuda.so.1` of this process, where there is no server: `rgpu local`.

use std::ffi::{CStr, c_char};
use std::process;

use libloading::os::unix::{Library, RTLD_NOW, Symbol};
use rgpu_proto::hello::{ClientInfo, Device, Inventory};

/// `CUdevice_attribute` of what NVML tells: the compute capability.
const CAPABILITY: [u32; 2] = [75, 76];

type Out<T> = *mut T;

/// The driver's functions that are asked. Their types are those of CUDA's documentation.
struct Driver {
    version: Symbol<unsafe extern "C" fn(Out<i32>) -> u32>,
    count: Symbol<unsafe extern "C" fn(Out<i32>) -> u32>,
    device: Symbol<unsafe extern "C" fn(Out<i32>, i32) -> u32>,
    name: Symbol<unsafe extern "C" fn(Out<c_char>, i32, i32) -> u32>,
    bus: Symbol<unsafe extern "C" fn(Out<c_char>, i32, i32) -> u32>,
    memory: Symbol<unsafe extern "C" fn(Out<usize>, i32) -> u32>,
    uuid: Symbol<unsafe extern "C" fn(Out<[u8; 16]>, i32) -> u32>,
    attribute: Symbol<unsafe extern "C" fn(Out<i32>, u32, i32) -> u32>,
    _library: Library,
}

impl Driver {
    fn load(path: &str) -> Result<Self, libloading::Error> {
        // SAFETY: programs load this library as a matter of course; its initialisers are safe to run.
        let library = unsafe { Library::open(Some(path), RTLD_NOW) }?;
        // SAFETY: the types are those of the functions; `cuInit` may be called again and again.
        unsafe {
            let init: Symbol<unsafe extern "C" fn(u32) -> u32> = library.get(b"cuInit\0")?;
            init(0);
            Ok(Self {
                version: library.get(b"cuDriverGetVersion\0")?,
                count: library.get(b"cuDeviceGetCount\0")?,
                device: library.get(b"cuDeviceGet\0")?,
                name: library.get(b"cuDeviceGetName\0")?,
                bus: library.get(b"cuDeviceGetPCIBusId\0")?,
                memory: library.get(b"cuDeviceTotalMem_v2\0")?,
                uuid: library.get(b"cuDeviceGetUuid_v2\0")?,
                attribute: library.get(b"cuDeviceGetAttribute\0")?,
                _library: library,
            })
        }
    }

    fn describe(&self, ordinal: i32) -> Result<Device, String> {
        let (mut device, mut total_memory, mut uuid) = (0, 0, [0; 16]);
        let (mut name, mut bus) = ([0; 256], [0; 64]);
        // SAFETY: every pointer is to a live local of the length beside it.
        unsafe {
            check((self.device)(&raw mut device, ordinal))?;
            check((self.name)(name.as_mut_ptr(), name.len() as i32, device))?;
            check((self.bus)(bus.as_mut_ptr(), bus.len() as i32, device))?;
            check((self.memory)(&raw mut total_memory, device))?;
            check((self.uuid)(&raw mut uuid, device))?;
        }
        let attribute = |number| {
            let mut value = 0;
            // SAFETY: as above.
            check(unsafe { (self.attribute)(&raw mut value, number, device) })?;
            Ok((number, value))
        };
        Ok(Device {
            name: text(&name),
            uuid,
            total_memory: total_memory as u64,
            pci_bus_id: text(&bus),
            attributes: CAPABILITY
                .into_iter()
                .map(attribute)
                .collect::<Result<_, String>>()?,
        })
    }
}

fn check(code: u32) -> Result<(), String> {
    match code {
        0 => Ok(()),
        code => Err(format!("the driver answers {code}")),
    }
}

/// A NUL-terminated text of the driver.
fn text(buffer: &[c_char]) -> String {
    let bytes: Vec<u8> = buffer.iter().map(|&c| c as u8).collect();
    CStr::from_bytes_until_nul(&bytes).map_or_else(
        |_| String::new(),
        |text| text.to_string_lossy().into_owned(),
    )
}

/// What the driver at `path` (or found as `dlopen` finds a bare name) has. This process is its only user; how much it
/// uses is the driver's to tell, per context, so memory counts as free.
///
/// # Errors
/// No such driver, or no device.
pub(crate) fn ask(path: &str) -> Result<Inventory, String> {
    let driver = Driver::load(path).map_err(|error| format!("cannot load {path}: {error}"))?;
    let (mut version, mut count) = (0, 0);
    // SAFETY: the pointers are to live locals.
    unsafe {
        check((driver.version)(&raw mut version))?;
        check((driver.count)(&raw mut count))?;
    }
    let devices = (0..count)
        .map(|ordinal| driver.describe(ordinal))
        .collect::<Result<Vec<_>, _>>()?;
    let client = |(at, device): (usize, &Device)| ClientInfo {
        session: 0,
        pid: process::id(),
        worker_pid: process::id(),
        host: String::new(),
        program: program(),
        device: at as u32,
        lease: device.total_memory,
        used: 0,
    };
    Ok(Inventory {
        server: env!("CARGO_PKG_VERSION").into(),
        driver_version: version,
        free: devices.iter().map(|device| device.total_memory).collect(),
        clients: devices.iter().enumerate().map(client).collect(),
        devices,
    })
}

fn program() -> String {
    let executable = std::env::current_exe().ok();
    let name = executable.as_deref().and_then(|path| path.file_name());
    name.map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_without_a_driver_has_no_devices() {
        let error = ask("/no/such/libcuda.so.1").unwrap_err();
        assert!(error.contains("/no/such/libcuda.so.1"), "{error}");
    }
}
