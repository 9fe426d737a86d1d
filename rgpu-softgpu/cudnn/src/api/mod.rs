//! What the C functions do, under their names. Every function here has the contract of its C function: pointers are
//! null, or valid for what the documentation says is read or written there.
#![expect(
    clippy::too_many_arguments,
    non_snake_case,
    reason = "the contract is that of the C function of the same name"
)]

mod convolution;
mod descriptor;
mod helper;
mod layer;
mod norm;
mod operation;
mod recurrent;
mod recurrent_descriptor;
mod shape;

pub(crate) use convolution::*;
pub(crate) use descriptor::*;
pub(crate) use helper::*;
pub(crate) use layer::*;
pub(crate) use norm::*;
pub(crate) use operation::*;
pub(crate) use recurrent::*;
pub(crate) use recurrent_descriptor::*;
pub(crate) use shape::*;

pub(crate) use crate::graph::api::*;
