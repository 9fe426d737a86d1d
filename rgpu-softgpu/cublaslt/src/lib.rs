//! The software GPU's `libcublasLt.so.12`.
//!
//! | module | holds |
//! |---|---|
//! | [`entry`] | the exported C functions, one per row of `rgpu_proto::spec::cublaslt`; each only translates |
//! | `api` | what they do |
//! | `fields` | descriptors: attributes by number, in memory of the program |
//! | `plan` | a product that was asked for, checked |
//! | `matmul`, `epilogue`, `transform` | how it is computed |
//!
//! The mathematics is `rgpu-softgpu-math`'s.

mod api;
pub mod entry;
mod epilogue;
mod fields;
mod matmul;
mod plan;
mod transform;
