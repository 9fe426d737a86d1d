//! The software GPU's `libcudnn.so.9`.
//!
//! | module | holds |
//! |---|---|
//! | [`entry`] | the exported C functions, one per row of `rgpu_proto::spec::cudnn`; each only translates |
//! | `api` | what they do, by family: arguments checked, work put into the handle's stream |
//! | `graph` | backend descriptors, and graphs of operations: checked, then interpreted |
//! | `objects` | what handles and descriptors stand for |
//! | `types` | what C passes as numbers |
//!
//! The mathematics is `rgpu-softgpu-math`'s. No call needs workspace. What is not here answers
//! `CUDNN_STATUS_NOT_SUPPORTED`, and is logged once by name where `RGPU_LOG` asks for it.

mod api;
pub mod entry;
mod graph;
mod objects;
mod status;
mod types;
