//! The exported C functions, one per row (`rgpu_softgpu_math::exports`).
#![allow(
    non_snake_case,
    clippy::missing_safety_doc,
    clippy::too_many_arguments,
    reason = "names, arguments and contracts are those of the C API"
)]

use std::ffi::c_char;

use rgpu_proto::handle::*;
use rgpu_proto::kinds::*;
use rgpu_softgpu_math::blas::status::{self, Result, Status, answer};
use rgpu_softgpu_math::{export_rows, missing_rows};

/// A function for every row, which answers that it is not supported.
mod missing {
    use super::*;

    rgpu_proto::cublaslt_rows!(missing_rows);
}

/// A function of `api` if there is one, else that of [`missing`].
mod exports {
    #[allow(unused_imports, reason = "no row need be missing")]
    use super::missing::*;
    use super::*;

    rgpu_proto::cublaslt_rows!(export_rows);
}

/// `cublasLtGetStatusName`.
#[unsafe(no_mangle)]
pub extern "C" fn cublasLtGetStatusName(status: u32) -> *const c_char {
    status::name(status)
}

/// `cublasLtGetStatusString`.
#[unsafe(no_mangle)]
pub extern "C" fn cublasLtGetStatusString(status: u32) -> *const c_char {
    status::meaning(status)
}

/// `cublasLtGetCudartVersion`.
#[unsafe(no_mangle)]
pub extern "C" fn cublasLtGetCudartVersion() -> usize {
    12_090
}

/// `cublasLtGetVersion`.
#[unsafe(no_mangle)]
pub extern "C" fn cublasLtGetVersion() -> usize {
    let [major, minor, patch] = status::VERSION.map(|part| part as usize);
    major * 10_000 + minor * 100 + patch
}
