//! A `libnvidia-ml.so.1` that lists the GPUs of a server, or of the software GPU, their memory and their processes.
//!
//! All it knows comes from one question to the server ([`inventory`]), asked again when it is a second old.
//! Nothing happens before `nvmlInit`. What a remote GPU cannot tell is `NVML_ERROR_NOT_SUPPORTED`.
//!
//! | module | holds |
//! |---|---|
//! | [`inventory`] | the question and its answer |
//! | `local` | the same where there is no server: from this process's driver |
//! | `codes` | return codes and their texts |
//! | [`layout`] | NVML's structures |
//! | [`entry`] | the C functions |

mod codes;
pub mod entry;
pub mod inventory;
pub mod layout;
mod local;
