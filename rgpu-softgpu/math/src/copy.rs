//! Copies between host and device, by the driver.

use std::ffi::c_void;

use cudarc::driver::sys::{CUDA_MEMCPY2D, CUmemorytype};

use crate::queue::{Result, Stream, check, driver};

/// Which end is where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ends {
    /// To the device.
    HostToDevice,
    /// From the device.
    DeviceToHost,
}

/// Rows of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rows {
    /// Bytes of each.
    pub width: usize,
    /// How many there are.
    pub count: usize,
    /// Bytes from one to the next where they come from.
    pub from: usize,
    /// The same where they go.
    pub to: usize,
}

impl Rows {
    /// One row.
    pub fn one(width: usize) -> Self {
        Self {
            width,
            count: 1,
            from: width,
            to: width,
        }
    }
}

/// Copies rows: in a stream, or at once, and waits.
///
/// # Safety
/// The host's end is valid, in a stream until the copy has been done.
pub unsafe fn copy(
    ends: Ends,
    rows: Rows,
    from: *const c_void,
    to: *mut c_void,
    stream: Option<Stream>,
) -> Result {
    let (host, device) = (
        CUmemorytype::CU_MEMORYTYPE_HOST,
        CUmemorytype::CU_MEMORYTYPE_DEVICE,
    );
    let (from_type, to_type) = match ends {
        Ends::HostToDevice => (host, device),
        Ends::DeviceToHost => (device, host),
    };
    let parameters = CUDA_MEMCPY2D {
        srcXInBytes: 0,
        srcY: 0,
        srcMemoryType: from_type,
        srcHost: from,
        srcDevice: from.addr() as u64,
        srcArray: std::ptr::null_mut(),
        srcPitch: rows.from,
        dstXInBytes: 0,
        dstY: 0,
        dstMemoryType: to_type,
        dstHost: to,
        dstDevice: to.addr() as u64,
        dstArray: std::ptr::null_mut(),
        dstPitch: rows.to,
        WidthInBytes: rows.width,
        Height: rows.count,
    };
    let driver = driver()?;
    // SAFETY: the caller's promise; the driver checks the device's end.
    check(unsafe {
        match stream {
            None => (driver.copy)((&raw const parameters).cast()),
            Some(stream) => (driver.copy_later)((&raw const parameters).cast(), stream.0),
        }
    })
}
