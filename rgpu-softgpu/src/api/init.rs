//! Initialisation, errors, entry points, profiler.

use std::ffi::{c_char, c_void};

use rgpu_driver_abi::export_table::{Backend, Unknown, get_export_table};
use rgpu_driver_abi::integrity::DeviceIdentity;
use rgpu_driver_abi::{error, proc_address};

use super::{put, put_if_wanted, text};
use crate::driver::Gpu;
use crate::status::{Result, Status, require};
use crate::{context, driver, entry, log};

/// The CUDA version whose driver interface this is.
const VERSION: i32 = 13_000;

pub(crate) unsafe fn cuInit(flags: u32) -> Result {
    log::start();
    require(flags == 0)?;
    driver::initialise()
}

pub(crate) unsafe fn cuDriverGetVersion(driver_version: *mut i32) -> Result {
    // SAFETY: the contract of this function.
    unsafe { put(driver_version, VERSION) }
}

pub(crate) unsafe fn cuGetErrorName(error: u32, p_str: *mut c_void) -> Result {
    // SAFETY: the contract of this function.
    unsafe { put_static(p_str, error::name(Status(error))) }
}

pub(crate) unsafe fn cuGetErrorString(error: u32, p_str: *mut c_void) -> Result {
    // SAFETY: the contract of this function.
    unsafe { put_static(p_str, error::text(Status(error))) }
}

/// # Safety
/// `out` is null or takes a pointer.
unsafe fn put_static(out: *mut c_void, text: Option<&'static std::ffi::CStr>) -> Result {
    let pointer = text.map_or(std::ptr::null(), std::ffi::CStr::as_ptr);
    // SAFETY: the caller's promise.
    unsafe { put(out.cast::<*const c_char>(), pointer) }?;
    require(text.is_some())
}

pub(crate) unsafe fn cuGetExportTable(
    pp_export_table: *mut c_void,
    p_export_table_id: *const c_void,
) -> Result {
    // SAFETY: the contract of this function.
    unsafe { get_export_table::<SoftGpu>(pp_export_table.cast(), p_export_table_id) }
}

/// What the undocumented tables need of this driver.
struct SoftGpu;

impl Backend for SoftGpu {
    fn driver_version() -> i32 {
        VERSION
    }

    fn devices() -> Result<Vec<DeviceIdentity>> {
        let identity = |gpu: &Gpu| {
            let (domain, bus, slot) = gpu.device.pci();
            DeviceIdentity {
                uuid: gpu.device.uuid(),
                pci_domain: domain as i32,
                pci_bus: bus as i32,
                pci_device: slot as i32,
            }
        };
        Ok(driver::get()?.gpus.iter().map(identity).collect())
    }

    fn current_context() -> Result<*mut c_void> {
        driver::get()?;
        Ok(context::current_handle())
    }

    fn is_context(handle: *mut c_void) -> bool {
        context::find(handle).is_ok()
    }

    fn primary_context(ordinal: i32) -> Result<*mut c_void> {
        Ok(driver::gpu(ordinal)?.primary.handle())
    }

    fn create_context(flags: u32, ordinal: i32) -> Result<*mut c_void> {
        context::create(flags, driver::gpu(ordinal)?)
    }

    unsafe fn load_module(image: *const c_void) -> Result<*mut c_void> {
        let mut module = std::ptr::null_mut();
        // SAFETY: the caller's promise for `image`; `module` is a local.
        unsafe { super::cuModuleLoadData(&raw mut module, image) }?;
        Ok(module)
    }

    fn device_attribute(attribute: u32, ordinal: i32) -> Result<i32> {
        driver::gpu(ordinal)?.device.attribute(attribute)
    }

    fn unknown(what: Unknown) {
        tracing::warn!("{what}");
    }
}

pub(crate) unsafe fn cuGetProcAddress(
    symbol: *const c_char,
    pfn: *mut c_void,
    cuda_version: i32,
    flags: u64,
) -> Result {
    // SAFETY: the contract of this function.
    let outcome = unsafe { look_up(symbol, pfn, cuda_version, flags) }?;
    match outcome.query_result() {
        0 => Ok(()),
        _ => Err(Status::ERROR_NOT_FOUND),
    }
}

pub(crate) unsafe fn cuGetProcAddress_v2(
    symbol: *const c_char,
    pfn: *mut c_void,
    cuda_version: i32,
    flags: u64,
    symbol_status: *mut u32,
) -> Result {
    // SAFETY: the contract of this function.
    unsafe {
        let outcome = look_up(symbol, pfn, cuda_version, flags)?;
        put_if_wanted(symbol_status, outcome.query_result());
    }
    Ok(())
}

/// # Safety
/// As for `cuGetProcAddress`.
unsafe fn look_up(
    symbol: *const c_char,
    pfn: *mut c_void,
    cuda_version: i32,
    flags: u64,
) -> Result<proc_address::Outcome> {
    // SAFETY: the caller's promise.
    let symbol = unsafe { text(symbol) }?;
    require(cuda_version <= VERSION && flags <= 3)?;
    let outcome = proc_address::lookup(symbol, cuda_version, flags, entry::address);
    if outcome.pointer().is_null() {
        tracing::debug!(symbol, cuda_version, "no such entry point");
    }
    // SAFETY: the caller's promise.
    unsafe { put(pfn.cast::<*const c_void>(), outcome.pointer()) }?;
    Ok(outcome)
}

pub(crate) unsafe fn cuProfilerStart() -> Result {
    context::current().map(drop)
}

pub(crate) unsafe fn cuProfilerStop() -> Result {
    context::current().map(drop)
}
