//! Runs compiled kernels on the CPU: memory, threads, blocks, grids, faults.

pub mod abi;
pub mod exec;
pub mod libcalls;
pub mod memory;
pub mod output;
pub mod size;
