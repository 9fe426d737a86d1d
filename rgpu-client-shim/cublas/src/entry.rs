//! The C functions.

use std::ffi::{c_char, c_int, c_void};

use rgpu_client_libs::cublas::{self, status};
use rgpu_client_libs::entries;
use rgpu_proto::handle::*;
use rgpu_proto::kinds::*;

use crate::api;

rgpu_proto::cublas_rows!(entries);

/// See NVIDIA's cuBLAS reference: the name of a status.
#[unsafe(no_mangle)]
pub extern "C" fn cublasGetStatusName(status: u32) -> *const c_char {
    cublas::name(status).as_ptr()
}

/// See NVIDIA's cuBLAS reference: what a status means.
#[unsafe(no_mangle)]
pub extern "C" fn cublasGetStatusString(status: u32) -> *const c_char {
    cublas::meaning(status).as_ptr()
}

/// See NVIDIA's cuBLAS reference: the CUDA runtime that the library was built with.
#[unsafe(no_mangle)]
pub extern "C" fn cublasGetCudartVersion() -> usize {
    cublas::CUDART_VERSION
}

/// See NVIDIA's cuBLAS reference: reports the parameter of a function that was wrong.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cublasXerbla(name: *const c_char, info: c_int) {
    // SAFETY: the application passes text that ends.
    let name = unsafe { api::lossy(name.cast::<c_void>()) };
    eprintln!("On entry to {name} parameter number {info} had an illegal value");
}

/// Not in NVIDIA's reference, but cuSOLVER 11.7 of CUDA 12.9 is linked to it. What it sets has no meaning here.
#[unsafe(no_mangle)]
pub extern "C" fn cublasSetEnvironmentMode(_: *mut c_void, _: u32) -> u32 {
    0
}
