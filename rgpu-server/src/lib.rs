//! The GPU server: a supervisor that takes clients in, and a worker process for each of them.
//!
//! ```text
//! client --hello--> supervisor --socket + lease--> worker --calls--> libcuda.so.1 (NVIDIA's or ours)
//! ```
//!
//! The supervisor ([`supervisor`]) never loads a driver; the worker ([`worker`]) never sees another
//! client. One binary holds both: the supervisor starts workers by running itself again.

pub mod config;
pub mod control;
pub mod handover;
pub mod store;
pub mod supervisor;
pub mod worker;
