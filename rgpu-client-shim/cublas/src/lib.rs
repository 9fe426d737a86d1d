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
