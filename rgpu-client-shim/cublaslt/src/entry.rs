//! The C functions.

use std::ffi::{c_char, c_uint};
use std::sync::atomic::{AtomicU32, Ordering};

use rgpu_client_libs::cublas::{self, status};
use rgpu_client_libs::entries;
use rgpu_proto::handle::*;
use rgpu_proto::kinds::*;

use crate::api;

rgpu_proto::cublaslt_rows!(entries);

/// See NVIDIA's cuBLAS reference: the name of a status.
#[unsafe(no_mangle)]
pub extern "C" fn cublasLtGetStatusName(status: u32) -> *const c_char {
    cublas::name(status).as_ptr()
}

/// See NVIDIA's cuBLAS reference: what a status means.
#[unsafe(no_mangle)]
pub extern "C" fn cublasLtGetStatusString(status: u32) -> *const c_char {
    cublas::meaning(status).as_ptr()
}

/// See NVIDIA's cuBLAS reference: the version of the library, the server's.
#[unsafe(no_mangle)]
pub extern "C" fn cublasLtGetVersion() -> usize {
    api::version()
}

/// See NVIDIA's cuBLAS reference: the CUDA runtime that the library was built with.
#[unsafe(no_mangle)]
pub extern "C" fn cublasLtGetCudartVersion() -> usize {
    cublas::CUDART_VERSION
}

/// See NVIDIA's cuBLAS reference: instructions of this computer's processor that are not to be used; returns those
/// that were not before. This library computes nothing here.
#[unsafe(no_mangle)]
pub extern "C" fn cublasLtDisableCpuInstructionsSetMask(mask: c_uint) -> c_uint {
    static MASK: AtomicU32 = AtomicU32::new(0);
    MASK.swap(mask, Ordering::Relaxed)
}
