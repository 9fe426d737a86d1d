//! Results inside this crate.

pub(crate) use rgpu_softgpu_math::blas::status::{Result, Status, VERSION, require};
