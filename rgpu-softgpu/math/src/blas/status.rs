//! Results of cuBLAS and cuBLASLt: a `cublasStatus_t` is the error.

use std::ffi::{CStr, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::{log, queue};

/// What cuBLAS and cuBLASLt are the work-alikes of: 12.9.0.
pub const VERSION: [i32; 3] = [12, 9, 0];

/// A `cublasStatus_t`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status(pub u32);

/// What every operation returns.
pub type Result<T = ()> = std::result::Result<T, Status>;

impl Status {
    /// `CUBLAS_STATUS_NOT_INITIALIZED`.
    pub const NOT_INITIALIZED: Self = Self(1);
    /// `CUBLAS_STATUS_ALLOC_FAILED`.
    pub const ALLOC_FAILED: Self = Self(3);
    /// `CUBLAS_STATUS_INVALID_VALUE`.
    pub const INVALID_VALUE: Self = Self(7);
    /// `CUBLAS_STATUS_MAPPING_ERROR`.
    pub const MAPPING_ERROR: Self = Self(11);
    /// `CUBLAS_STATUS_EXECUTION_FAILED`.
    pub const EXECUTION_FAILED: Self = Self(13);
    /// `CUBLAS_STATUS_INTERNAL_ERROR`.
    pub const INTERNAL_ERROR: Self = Self(14);
    /// `CUBLAS_STATUS_NOT_SUPPORTED`.
    pub const NOT_SUPPORTED: Self = Self(15);
}

impl From<queue::Error> for Status {
    fn from(error: queue::Error) -> Self {
        tracing::error!(%error, "refused");
        match error {
            queue::Error::NoDriver => Self::NOT_INITIALIZED,
            // CUDA_ERROR_OUT_OF_MEMORY.
            queue::Error::Driver(2) => Self::ALLOC_FAILED,
            _ => Self::EXECUTION_FAILED,
        }
    }
}

/// Refuses with `CUBLAS_STATUS_INVALID_VALUE` unless `condition` holds.
pub fn require(condition: bool) -> Result {
    match condition {
        true => Ok(()),
        false => Err(Status::INVALID_VALUE),
    }
}

/// The names of the codes, and what `cublasGetStatusString` says of them.
const NAMES: [(u32, &CStr, &CStr); 10] = [
    (0, c"CUBLAS_STATUS_SUCCESS", c"success"),
    (1, c"CUBLAS_STATUS_NOT_INITIALIZED", c"the library was not initialized"),
    (3, c"CUBLAS_STATUS_ALLOC_FAILED", c"the resource allocation failed"),
    (7, c"CUBLAS_STATUS_INVALID_VALUE", c"an unsupported value or parameter was passed to the function"),
    (8, c"CUBLAS_STATUS_ARCH_MISMATCH", c"the function requires an architectural feature absent from the device"),
    (11, c"CUBLAS_STATUS_MAPPING_ERROR", c"an access to GPU memory space failed"),
    (13, c"CUBLAS_STATUS_EXECUTION_FAILED", c"the function failed to launch on the GPU"),
    (14, c"CUBLAS_STATUS_INTERNAL_ERROR", c"an internal operation failed"),
    (15, c"CUBLAS_STATUS_NOT_SUPPORTED", c"the functionality requested is not supported"),
    (16, c"CUBLAS_STATUS_LICENSE_ERROR", c"the functionality requested requires some license and an error was detected when trying to check the current licensing"),
];

fn text(
    status: u32,
    of: fn(&(u32, &'static CStr, &'static CStr)) -> &'static CStr,
) -> *const c_char {
    let known = NAMES.iter().find(|(code, ..)| *code == status);
    known.map_or(c"unrecognized error code", of).as_ptr()
}

/// The name of a code, for C.
pub fn name(status: u32) -> *const c_char {
    text(status, |(_, name, _)| name)
}

/// What a code means, for C.
pub fn meaning(status: u32) -> *const c_char {
    text(status, |(_, _, text)| text)
}

/// Runs the body of the entry point `name`; its code. Panics, which are bugs of ours, stay inside.
pub fn answer(name: &'static str, body: impl FnOnce() -> Result) -> u32 {
    log::start();
    let code = match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(())) => 0,
        Ok(Err(Status(code))) => code,
        Err(payload) => {
            // Dropping a payload may run foreign code, which may panic again.
            std::mem::forget(payload);
            Status::INTERNAL_ERROR.0
        }
    };
    tracing::trace!(name, code);
    code
}
