//! Modules, libraries, kernels, functions.
//!
//! ```text
//! image ──► Image (parsed PTX) ──► Module: one context's copy of the variables
//!                    │                 └─► Function: a kernel of a module, to launch
//!                 Library ──► Kernel: a name; its function in the current context is made when asked for
//! ```

mod function;
mod image;
mod jit_log;
mod library;
mod linker;
mod load;

pub(crate) use function::{
    Function, Resolved, Settings, Signature, resolve as resolve_function, resolve_to_launch,
};
pub(crate) use image::Image;
pub(crate) use jit_log::{JitLog, OptionArrays};
pub(crate) use library::{Kernel, Library};
pub(crate) use linker::{InputKind, Linker};
pub(crate) use load::{Module, unload};
