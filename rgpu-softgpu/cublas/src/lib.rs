//! The software GPU's `libcublas.so.12`.
//!
//! | module | holds |
//! |---|---|
//! | [`entry`] | the exported C functions, one per row of `rgpu_proto::spec::cublas`; each only translates |
//! | `api` | what they do, by family: arguments checked, work put into the handle's stream |
//! | `handle` | handles, their settings, calls |
//! | `args`, `types` | what C passes as numbers |
//!
//! The mathematics is `rgpu-softgpu-math`'s. What is not here answers `CUBLAS_STATUS_NOT_SUPPORTED`, and is logged once
//! by name where `RGPU_LOG` asks for it.

mod api;
mod args;
pub mod entry;
mod handle;
mod names;
mod status;
mod types;
