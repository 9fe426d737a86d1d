//! The exported C functions, one per row (`rgpu_softgpu_math::exports`).
#![allow(
    non_snake_case,
    clippy::missing_safety_doc,
    clippy::too_many_arguments,
    reason = "names, arguments and contracts are those of the C API"
)]

use std::ffi::{c_char, c_int, c_void};

use rgpu_proto::handle::*;
use rgpu_proto::kinds::*;
use rgpu_softgpu_math::blas::status::{self, answer};
use rgpu_softgpu_math::{export_rows, log, missing_rows};

use crate::status::{Result, Status};

/// A function for every row, which answers that it is not supported.
mod missing {
    use super::*;

    rgpu_proto::cublas_rows!(missing_rows);
}

/// A function of `api` if there is one, else that of [`missing`].
mod exports {
    #[allow(unused_imports, reason = "no row need be missing")]
    use super::missing::*;
    use super::*;

    rgpu_proto::cublas_rows!(export_rows);
}

/// `cublasGetStatusName`.
#[unsafe(no_mangle)]
pub extern "C" fn cublasGetStatusName(status: u32) -> *const c_char {
    status::name(status)
}

/// `cublasGetStatusString`.
#[unsafe(no_mangle)]
pub extern "C" fn cublasGetStatusString(status: u32) -> *const c_char {
    status::meaning(status)
}

/// `cublasGetCudartVersion`.
#[unsafe(no_mangle)]
pub extern "C" fn cublasGetCudartVersion() -> usize {
    12_090
}

/// `cublasXerbla`: says which argument of a function is wrong.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cublasXerbla(name: *const c_char, argument: c_int) {
    log::start();
    if !name.is_null() {
        // SAFETY: the caller passes a C string.
        let name = unsafe { std::ffi::CStr::from_ptr(name) };
        tracing::error!(?name, argument, "an argument is wrong");
    }
}

/// Not in NVIDIA's reference, but cuSOLVER 11.7 of CUDA 12.9 is linked to it. What it sets has no meaning here.
#[unsafe(no_mangle)]
pub extern "C" fn cublasSetEnvironmentMode(_: *mut c_void, _: u32) -> u32 {
    0
}
