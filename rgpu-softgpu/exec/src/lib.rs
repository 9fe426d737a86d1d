//! Runs compiled kernels on the CPU: threads, blocks, grids, traps.

pub mod abi;
pub mod libcalls;
pub mod memory;
