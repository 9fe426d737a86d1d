//! The serverless platform of rgpu: a file uploaded to object storage starts a function as a job, the job gets a
//! share of a remote GPU, and its results go back to storage.
//!
//! ```text
//!  upload --> store --event--> core ----job----> launcher --> script
//!               ^               |  \                            |
//!               |               db  broker <-- GPU servers      |
//!               '------------------- results -------------------'
//! ```
//!
//! [`Scheduler::start`] wires it all. [`function`], [`queue`] and [`broker`] decide and touch nothing; [`store`],
//! [`db`] and [`launcher`] do and decide little. This crate knows neither CUDA nor the wire protocol: what GPUs
//! there are comes through [`broker::GpuInventory`], and a job reaches its GPU through the command that
//! [`launcher::GpuWrapper`] puts before it.
#![deny(unsafe_code)]

pub mod api;
pub mod broker;
pub mod client;
mod core;
pub mod db;
pub mod function;
pub mod launcher;
pub mod queue;
mod scheduler;
pub mod store;
pub mod time;

pub use self::scheduler::{Config, Scheduler, Services, StartError};
