//! The exported C functions, one per row (`rgpu_softgpu_math::exports`).
#![expect(
    clippy::missing_safety_doc,
    clippy::too_many_arguments,
    reason = "the contract is that of the C function of the same name"
)]
#![allow(non_snake_case, reason = "they are the names of the C API")]

use std::cell::Cell;
use std::ffi::c_char;
use std::panic::{AssertUnwindSafe, catch_unwind};

use rgpu_proto::handle::*;
use rgpu_proto::kinds::*;
use rgpu_softgpu_math::{export_rows, log, missing_rows};

use crate::status::{Result, Status};

/// Compatible with programs that were compiled with any 9.x up to 9.10.
const VERSION: usize = 91_002;
/// CUDA 12.9.
const CUDART: usize = 12_090;

thread_local! {
    static LAST: Cell<Status> = const { Cell::new(Status(0)) };
}

/// The code of a result; panics, which are bugs of ours, stay inside.
fn answer(name: &'static str, body: impl FnOnce() -> Result) -> u32 {
    log::start();
    let status = match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(())) => Status(0),
        Ok(Err(status)) => status,
        Err(payload) => {
            // Dropping a payload may run foreign code, which may panic again.
            std::mem::forget(payload);
            Status::INTERNAL_ERROR
        }
    };
    if status != Status(0) {
        LAST.set(status);
    }
    tracing::trace!(name, code = status.0);
    status.0
}

/// A function for every row, which answers that it is not supported.
mod missing {
    use super::*;

    rgpu_proto::cudnn_rows!(missing_rows);
}

/// A function of `api` if there is one, else that of [`missing`].
mod exports {
    use super::missing::*;
    use super::*;

    rgpu_proto::cudnn_rows!(export_rows);
}

/// `cudnnGetVersion`.
#[unsafe(no_mangle)]
pub extern "C" fn cudnnGetVersion() -> usize {
    VERSION
}

/// `cudnnGetCudartVersion`.
#[unsafe(no_mangle)]
pub extern "C" fn cudnnGetCudartVersion() -> usize {
    CUDART
}

/// `cudnnGetMaxDeviceVersion`: the software GPU's compute capability, times 100.
#[unsafe(no_mangle)]
pub extern "C" fn cudnnGetMaxDeviceVersion() -> usize {
    900
}

/// `cudnnGetErrorString`.
#[unsafe(no_mangle)]
pub extern "C" fn cudnnGetErrorString(status: u32) -> *const c_char {
    Status(status).name().as_ptr()
}

/// `cudnnGetLastErrorString`: of the calling thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cudnnGetLastErrorString(message: *mut c_char, max_size: usize) {
    let name = LAST.replace(Status(0)).name().to_bytes_with_nul();
    if message.is_null() || max_size == 0 {
        return;
    }
    let len = name.len().min(max_size);
    // SAFETY: the caller has room for `max_size` bytes.
    unsafe {
        std::ptr::copy_nonoverlapping(name.as_ptr().cast(), message, len);
        message.add(len - 1).write(0);
    }
}

/// The parts of the version, for `cudnnGetProperty`.
pub(crate) fn property(kind: u32) -> Option<i32> {
    match kind {
        0 => Some((VERSION / 10_000) as i32),
        1 => Some((VERSION % 10_000 / 100) as i32),
        2 => Some((VERSION % 100) as i32),
        _ => None,
    }
}
