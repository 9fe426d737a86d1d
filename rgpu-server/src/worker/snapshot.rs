//! What a client is told about the device at the start, so that it need not ask later.

use std::ffi::{CStr, c_char, c_void};
use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use rgpu_proto::hello::{ATTRIBUTE_PTX_ONLY, Device};
use rgpu_proto::status::Status;

use super::driver::Driver;

/// Highest attribute number asked for; CUDA 13.0 defines 1 to 146.
const LAST_ATTRIBUTE: u32 = 160;
/// Highest limit number asked for; CUDA 13.0 defines 0 to 8.
const LAST_LIMIT: u32 = 8;

/// A driver made ready ahead of its client.
#[derive(Debug)]
pub(super) struct Warm {
    pub(super) driver_version: i32,
    /// Every device that the driver shows.
    pub(super) devices: Vec<Device>,
    /// `CUdevice` of the session's device.
    pub(super) device: i32,
    /// Its primary context, current to the calling thread.
    pub(super) primary: Raw,
    pub(super) stream_priorities: (i32, i32),
    pub(super) limits: Vec<(u32, u64)>,
}

/// A driver handle that may go to other threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Raw(pub(super) *mut c_void);

// SAFETY: a driver handle is an opaque word; the driver API may be called with it from any thread.
unsafe impl Send for Raw {}
// SAFETY: as above.
unsafe impl Sync for Raw {}

impl Raw {
    /// The handle.
    pub(super) const fn get(self) -> *mut c_void {
        self.0
    }
}

impl Warm {
    /// Initialises the driver and makes the first device's primary context current.
    pub(super) fn up(driver: &Arc<Driver>) -> anyhow::Result<Self> {
        let ask = |what: &'static str, result: Result<(), Status>| {
            result.map_err(|status| anyhow!("{what} failed with CUDA error {}", status.0))
        };
        let (mut driver_version, mut count) = (0, 0);
        // SAFETY: plain calls; every pointer below is to a live local of the right type.
        unsafe {
            ask("cuInit", driver.cuInit(0)).context("the driver does not start")?;
            ask(
                "cuDriverGetVersion",
                driver.cuDriverGetVersion(&raw mut driver_version),
            )?;
            ask("cuDeviceGetCount", driver.cuDeviceGetCount(&raw mut count))?;
        }
        let devices: Vec<Device> = (0..count)
            .map(|ordinal| {
                describe(driver, ordinal)
                    .map_err(|s| anyhow!("device {ordinal}: CUDA error {}", s.0))
            })
            .collect::<Result<_, _>>()?;
        anyhow::ensure!(!devices.is_empty(), "the driver shows no device");
        let (mut device, mut primary) = (0, std::ptr::null_mut());
        let (mut least, mut greatest) = (0, 0);
        // SAFETY: as above.
        unsafe {
            ask("cuDeviceGet", driver.cuDeviceGet(&raw mut device, 0))?;
            ask(
                "cuDevicePrimaryCtxRetain",
                driver.cuDevicePrimaryCtxRetain(&raw mut primary, device),
            )?;
            ask("cuCtxSetCurrent", driver.cuCtxSetCurrent(primary))?;
            ask(
                "cuCtxGetStreamPriorityRange",
                driver.cuCtxGetStreamPriorityRange(&raw mut least, &raw mut greatest),
            )?;
        }
        Ok(Self {
            driver_version,
            devices,
            device,
            primary: Raw(primary),
            stream_priorities: (least, greatest),
            limits: limits(driver),
        })
    }
}

fn limits(driver: &Driver) -> Vec<(u32, u64)> {
    (0..=LAST_LIMIT)
        .filter_map(|limit| {
            let mut value = 0_usize;
            // SAFETY: `value` is live; an unknown limit is answered with an error.
            unsafe { driver.cuCtxGetLimit(&raw mut value, limit) }.ok()?;
            Some((limit, value as u64))
        })
        .collect()
}

fn describe(driver: &Driver, ordinal: i32) -> Result<Device, Status> {
    let (mut device, mut total_memory, mut uuid) = (0, 0_usize, [0_u8; 16]);
    let (mut name, mut bus) = ([0 as c_char; 256], [0 as c_char; 64]);
    // SAFETY: every pointer is to a live local with the length passed beside it.
    unsafe {
        driver.cuDeviceGet(&raw mut device, ordinal)?;
        driver.cuDeviceGetName(name.as_mut_ptr().cast(), name.len() as i32 - 1, device)?;
        driver.cuDeviceGetPCIBusId(bus.as_mut_ptr().cast(), bus.len() as i32 - 1, device)?;
        driver.cuDeviceTotalMem_v2(&raw mut total_memory, device)?;
        driver.cuDeviceGetUuid_v2(uuid.as_mut_ptr().cast(), device)?;
    }
    let attributes = (1..=LAST_ATTRIBUTE)
        .chain([ATTRIBUTE_PTX_ONLY])
        .filter_map(|attribute| {
            let mut value = 0;
            // SAFETY: `value` is live; an unknown attribute is answered with an error.
            unsafe { driver.cuDeviceGetAttribute(&raw mut value, attribute, device) }.ok()?;
            Some((attribute, value))
        })
        .collect();
    Ok(Device {
        name: text(&name),
        uuid,
        total_memory: total_memory as u64,
        pci_bus_id: text(&bus),
        attributes,
    })
}

/// A NUL-terminated text of the driver.
fn text(buffer: &[c_char]) -> String {
    let bytes: Vec<u8> = buffer.iter().map(|&c| c as u8).collect();
    CStr::from_bytes_until_nul(&bytes).map_or_else(
        |_| String::new(),
        |text| text.to_string_lossy().into_owned(),
    )
}
