//! The exported C functions, one per row.
//!
//! The row `0x5802 reply cudnnCreate(handle: NewHandle<Dnn>);` becomes
//!
//! ```text
//! #[export_name = "cudnnCreate"] unsafe extern "C" fn export(handle: *mut *mut c_void) -> u32 {
//!     answer("cudnnCreate", || unsafe { cudnnCreate(handle) })
//! }
//! ```
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
use rgpu_softgpu_math::log;

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

    macro_rules! rows {
        ($($id:literal $class:ident $name:ident ($($param:ident : $kind:ty),*);)*) => {$(
            #[allow(dead_code, reason = "`api` has it")]
            pub(super) unsafe fn $name($(_: <$kind as Kind>::C),*) -> Result {
                log::absent(stringify!($name));
                Err(Status::NOT_SUPPORTED)
            }
        )*};
    }
    rgpu_proto::cudnn_rows!(rows);
}

/// A function of `api` if there is one: the block looks there first. Else that of [`missing`].
mod exports {
    use super::missing::*;
    use super::*;

    macro_rules! rows {
        ($($id:literal $class:ident $name:ident ($($param:ident : $kind:ty),*);)*) => {$(
            const _: () = {
                #[unsafe(export_name = stringify!($name))]
                unsafe extern "C" fn export($($param: <$kind as Kind>::C),*) -> u32 {
                    #[allow(unused_imports, reason = "`api` need not have it")]
                    use crate::api::*;
                    // SAFETY: the caller keeps the contract of the C function.
                    answer(stringify!($name), || unsafe { $name($($param),*) })
                }
            };
        )*};
    }
    rgpu_proto::cudnn_rows!(rows);
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
