//! Runs grids of threads on the CPU.
//!
//! - [`Pool::launch`] runs one grid and returns when it has ended; several callers (one per stream) may be in it.
//! - Kernels whose threads never meet run as loops (`plain`). Those of the others stop where they meet and go on from
//!   there (`turns`), or, where the compiler cannot make them do so, have a coroutine each (`coroutines`); `block`
//!   decides whose turn it is.
//! - A thread that polls memory yields; a block that only polls gives its operating system thread to other blocks,
//!   so whoever waits for a flag sees it in the end, whether another thread, block, kernel or the host sets it.
//! - A fault ([`Fault`]) stops its grid: blocks that have not started never do, others stop when they next yield,
//!   meet or end. A thread in an endless loop that does neither cannot be stopped.

mod barrier;
mod block;
mod buffer;
mod coroutines;
mod fault;
mod grid;
mod plain;
mod pool;
mod signals;
mod stack;
pub(crate) mod thread;
mod turns;
mod warp;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::abi::Kernel;
use crate::memory::{DeviceMemory, Heap};
use crate::output::Output;

pub(crate) use barrier::BarrierOp;
pub use fault::Fault;
pub(crate) use grid::Grid;
pub use pool::{Options, Pool, WORKSPACE};
pub use signals::keep_off_this_thread as keep_signals_off_this_thread;
pub use stack::DEFAULT_STACK;
pub(crate) use thread::CONTEXT_STRIDE;
pub(crate) use warp::WarpOp;

/// Most threads of a block.
pub const MOST_BLOCK_THREADS: u32 = 1024;
/// Bytes of the device heap unless set otherwise, as in CUDA.
pub const DEFAULT_HEAP: u64 = 8 << 20;

/// What all kernels of a device share.
#[derive(Debug)]
pub struct Device {
    memory: DeviceMemory,
    heap: Heap,
    output: Output,
}

impl Device {
    /// A device with this memory and output.
    pub fn new(memory: DeviceMemory, output: Output) -> Arc<Self> {
        let heap = Heap::new(memory.clone(), DEFAULT_HEAP);
        Arc::new(Self {
            memory,
            heap,
            output,
        })
    }

    /// Its memory.
    pub fn memory(&self) -> &DeviceMemory {
        &self.memory
    }

    /// The heap of `malloc` in kernels.
    pub fn heap(&self) -> &Heap {
        &self.heap
    }

    /// What its kernels print.
    pub fn output(&self) -> &Output {
        &self.output
    }
}

/// Cancels launches. Clones share one state.
#[derive(Debug, Clone, Default)]
pub struct CancelToken(Arc<AtomicBool>);

impl CancelToken {
    /// A token of its own.
    pub fn new() -> Self {
        Self::default()
    }

    /// Stops every launch with this token, now and later.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether [`Self::cancel`] was called.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// One launch.
#[derive(Debug, Clone)]
pub struct Launch<'a> {
    /// What to run.
    pub kernel: Kernel,
    /// `gridDim`.
    pub grid: [u32; 3],
    /// `blockDim`.
    pub block: [u32; 3],
    /// Bytes of dynamic shared memory.
    pub dynamic_shared: u32,
    /// Parameters as the kernel expects them; more bytes than it has are ignored.
    pub params: &'a [u8],
    /// Stops it early.
    pub cancel: CancelToken,
}

/// Why a launch failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LaunchError {
    /// It never started: the launch makes no sense.
    #[error("invalid launch: {0}")]
    Invalid(&'static str),
    /// A thread faulted, or the launch was cancelled.
    #[error(transparent)]
    Fault(#[from] Fault),
}

#[cfg(test)]
mod tests;
