//! Initialisation, errors, entry points, profiler.

use std::ffi::{c_char, c_void};

use rgpu_driver_abi::proc_address::{self, Outcome};
use rgpu_driver_abi::{error, export_table};

use super::*;
use crate::export::Tables;

pub(crate) unsafe fn cuInit(flags: u32) -> Result {
    if flags != 0 {
        return Err(INVALID);
    }
    crate::client::init()
}

pub(crate) unsafe fn cuDriverGetVersion(driver_version: *mut i32) -> Result {
    // SAFETY: the application's pointer.
    unsafe { put(driver_version, crate::export::driver_version()) }
}

pub(crate) unsafe fn cuGetErrorName(code: u32, p_str: *mut c_void) -> Result {
    let name = error::name(Status(code));
    let pointer = name.map_or(std::ptr::null(), std::ffi::CStr::as_ptr);
    // SAFETY: the application's pointer to a `const char *`.
    unsafe { put(p_str.cast::<*const c_char>(), pointer)? };
    name.map(drop).ok_or(INVALID)
}

pub(crate) unsafe fn cuGetErrorString(code: u32, p_str: *mut c_void) -> Result {
    let text = error::text(Status(code));
    let pointer = text.map_or(std::ptr::null(), std::ffi::CStr::as_ptr);
    // SAFETY: the application's pointer to a `const char *`.
    unsafe { put(p_str.cast::<*const c_char>(), pointer)? };
    text.map(drop).ok_or(INVALID)
}

pub(crate) unsafe fn cuGetExportTable(table: *mut c_void, id: *const c_void) -> Result {
    // SAFETY: the application's pointers, as that function wants them.
    unsafe { export_table::get_export_table::<Tables>(table.cast(), id) }
}

fn look_up(symbol: &std::ffi::CStr, version: i32, flags: u64) -> Outcome {
    let Ok(name) = symbol.to_str() else {
        return Outcome::Missing(proc_address::Miss::SymbolNotFound);
    };
    let outcome = proc_address::lookup(name, version, flags, crate::entry::exported);
    if let Outcome::Missing(miss) = outcome {
        crate::log::debug(format_args!(
            "cuGetProcAddress {name} {version} {flags}: {miss:?}"
        ));
    }
    outcome
}

pub(crate) unsafe fn cuGetProcAddress(
    symbol: *const c_char,
    pfn: *mut c_void,
    cuda_version: i32,
    flags: u64,
) -> Result {
    // SAFETY: the application's text.
    let outcome = look_up(unsafe { text(symbol)? }, cuda_version, flags);
    // SAFETY: the application's pointer to a function pointer.
    unsafe { put(pfn.cast::<*const c_void>(), outcome.pointer())? };
    match outcome {
        Outcome::Found(_) => Ok(()),
        Outcome::Missing(_) => Err(Status::ERROR_NOT_FOUND),
    }
}

pub(crate) unsafe fn cuGetProcAddress_v2(
    symbol: *const c_char,
    pfn: *mut c_void,
    cuda_version: i32,
    flags: u64,
    symbol_status: *mut u32,
) -> Result {
    // SAFETY: the application's text.
    let outcome = look_up(unsafe { text(symbol)? }, cuda_version, flags);
    // SAFETY: the application's pointers.
    unsafe {
        put(pfn.cast::<*const c_void>(), outcome.pointer())?;
        put_opt(symbol_status, outcome.query_result());
    }
    Ok(())
}

pub(crate) unsafe fn cuProfilerStart() -> Result {
    crate::client::get()?.context().map(drop)
}

pub(crate) unsafe fn cuProfilerStop() -> Result {
    crate::client::get()?.context().map(drop)
}
