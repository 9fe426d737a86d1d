//! What the forwarding libraries (`libcublas.so.12`, `libcublasLt.so.12`, `libcudnn.so.9`) have in common.
//!
//! Each is a shared library of its own, so that it can stand in for NVIDIA's by name; none has a session of its own:
//! they use that of the client's `libcuda.so.1`, through the table of [`rgpu_driver_abi::library_calls`].
//!
//! | module | holds |
//! |---|---|
//! | [`session`] | the session, and the handles of this library that are alive |
//! | [`cublas`] | the statuses of cuBLAS and cuBLASLt |
//! | `entries` | the C functions, made from the rows |

pub mod cublas;
mod entries;
mod objects;
pub mod session;

pub use entries::{enter, missing};
pub use rgpu_proto;
pub use session::Session;
