//! A `libcublas.so.12` that forwards whole calls to the server's cuBLAS.
//!
//! Calls are posted: an error that only the server can find comes with the next call that waits, as CUDA's own
//! asynchronous errors do. Scalars are read by the handle's pointer mode when the call is made.

#![expect(
    clippy::missing_safety_doc,
    reason = "the contract is that of the C function of the same name"
)]

mod api;
pub mod entry;
mod text;

use rgpu_proto::library::Fault;

/// The `cublasStatus_t` of a fault (cuBLAS, "cublasStatus_t").
fn status(fault: Fault) -> u32 {
    match fault {
        Fault::Library(code) => code,
        // CUBLAS_STATUS_NOT_INITIALIZED, as the real library answers a handle that is none.
        Fault::Handle => 1,
        // CUBLAS_STATUS_ALLOC_FAILED
        Fault::Memory => 3,
        // CUBLAS_STATUS_INVALID_VALUE
        Fault::Value => 7,
        // CUBLAS_STATUS_EXECUTION_FAILED
        Fault::Driver(_) => 13,
        // CUBLAS_STATUS_NOT_SUPPORTED
        Fault::Missing => 15,
    }
}
