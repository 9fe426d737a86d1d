//! The contract of rgpu: one row per CUDA API, how its arguments cross the wire, frames, the
//! handshake, the session's bookkeeping, and limits.
//!
//! There are no sockets, clocks, threads or CUDA calls here. `docs/protocol.md` is the prose of this crate.
//!
//! | module | holds |
//! |---|---|
//! | [`spec`] | one row per exported C function: id, class, name, parameters |
//! | [`kinds`] | the closed set of parameter kinds and how each is marshalled |
//! | [`opcode`] | operation numbers: the ids of the rows, and the protocol's own |
//! | [`derived`] | client and worker halves of `posted` and `reply` rows |
//! | [`library`] | the same for the rows of libraries: cuBLAS, cuBLASLt, cuDNN |
//! | [`wire`] | little-endian encoding and bounded decoding |
//! | [`frame`] | the fixed header |
//! | [`hello`] | the handshake |
//! | [`msg`] | bodies of `custom` rows and of the protocol's own operations |
//! | [`session`] | sequence numbers and what a peer may send when |
//! | [`limits`] | every bound on what a peer may ask for, with its reason |

pub mod derived;
pub mod frame;
pub mod handle;
pub mod hello;
pub mod kinds;
pub mod library;
pub mod limits;
pub mod msg;
pub mod opcode;
pub mod session;
pub mod spec;
pub mod status;
pub mod wire;
