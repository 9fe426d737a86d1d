//! A `libcuda.so.1` that forwards to a GPU elsewhere.
//!
//! A call of the application runs down these layers; each knows only the next:
//!
//! | module | holds |
//! |---|---|
//! | [`entry`] | the C functions, made from the rows of `rgpu-proto` |
//! | `gate` | what every entry point does first and last: forked children, panics, counts |
//! | `api` | one function per `local` and `custom` row |
//! | `library_calls` | what the forwarding libraries beside this one call |
//! | `shadow` | what the client knows and answers by itself |
//! | `allocator` | device addresses: where an allocation lies, when one may be reused |
//! | `copy` | what a copy or a fill means, before anything is sent |
//! | `session` | frames out, in the order of the calls; frames in, read by whichever thread waits |
//!
//! Nothing happens before the first CUDA call: no thread, no connection, no output.

mod allocator;
mod api;
mod client;
mod config;
mod copy;
pub mod entry;
mod export;
mod gate;
mod jit_options;
mod library_calls;
mod log;
mod names;
mod session;
mod shadow;
mod stats;
mod thread;
mod trace;

pub use config::parse_size;
