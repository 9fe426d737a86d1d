//! What a `libcuda.so.1` must offer to programs beyond the documented functions themselves.
//!
//! Two libraries of this project answer to that name: the remoting client and the software GPU. Both build on
//! this crate:
//!
//! | module | holds |
//! |---|---|
//! | [`error`] | names and texts of the result codes (`cuGetErrorName`, `cuGetErrorString`) |
//! | [`guard`](fn@guard) | the boundary that no panic crosses |
//! | [`proc_address`] | which exported symbol a `cuGetProcAddress` request means |
//! | [`export_table`] | the undocumented tables of `cuGetExportTable`, without which cudart refuses to start |
//! | [`storage`] | values that libraries attach to a context, part of those tables |
//! | [`integrity`] | the answer to cudart's start-up question, part of those tables |
//! | [`runtime`] | how the driver tells NVIDIA's runtime from other callers |
//! | [`own`] | what the software GPU's driver tells the libraries that belong to it |
//! | [`library_calls`] | how the client's libraries reach the session |
//! | [`stream`] | the two stream handles that are plain numbers |
//!
//! What NVIDIA's cudart 13 asks of a driver, measured: `docs/cudart-13.md`.

pub mod error;
pub mod export_table;
mod guard;
pub mod integrity;
pub mod library_calls;
pub mod own;
pub mod proc_address;
pub mod runtime;
pub mod storage;
pub mod stream;

pub use guard::{guard, guard_status};
pub use rgpu_proto::status::Status;
