//! A `libcudnn.so.9` that forwards whole calls to the server's cuDNN.
//!
//! Calls without results are posted, also those that build descriptors: an error that only the server can find
//! comes with the next call that waits, which for a graph is the completion of its operation graph or plan.

#![expect(
    clippy::missing_safety_doc,
    reason = "the contract is that of the C function of the same name"
)]

mod api;
mod backend;
pub mod entry;
mod text;

use rgpu_proto::library::Fault;

/// The `cudnnStatus_t` of a fault (cuDNN 9, "cudnnStatus_t").
fn status(fault: Fault) -> u32 {
    match fault {
        Fault::Library(code) => code,
        // CUDNN_STATUS_BAD_PARAM
        Fault::Handle | Fault::Value => 2000,
        // CUDNN_STATUS_NOT_SUPPORTED
        Fault::Missing => 3000,
        // CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED
        Fault::Memory => 4003,
        // CUDNN_STATUS_EXECUTION_FAILED
        Fault::Driver(_) => 5000,
    }
}
