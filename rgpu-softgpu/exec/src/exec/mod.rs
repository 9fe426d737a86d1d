//! Runs grids of threads on the CPU.
//!
//! - [`Pool::launch`] runs one grid and returns when it has ended; several callers (one per stream) may be in it.
//! - Kernels whose threads never meet run as loops (`plain`). Those of the others stop where they meet and go on from
//!   there (`turns`), or, where the compiler cannot make them do so, have a coroutine each (`coroutines`); `block`
//!   decides whose turn it is.
//! - A thread that polls memory yields; a block that only polls gives its operating system thread to other blocks,
//!   so whoever waits for a flag sees it in the end, whether another thread, block, kernel or the host sets it.
//! - A fault ([`Fault`]) stops its grid, as does cancelling it: blocks that have not started never do, others stop when
//!   they next yield, meet or end. Threads in endless loops are interrupted by a signal (`signals`).

mod barrier;
mod block;
mod buffer;
mod coroutines;
mod cpu;
mod fault;
mod grid;
mod plain;
mod pool;
mod shared;
mod signals;
mod stack;
pub(crate) mod thread;
mod turns;
mod warp;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

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
pub struct CancelToken(Arc<Cancel>);

#[derive(Debug, Default)]
struct Cancel {
    cancelled: AtomicBool,
    /// What runs with this token.
    grids: Mutex<Vec<Weak<Grid>>>,
}

impl CancelToken {
    /// A token of its own.
    pub fn new() -> Self {
        Self::default()
    }

    /// Stops every launch with this token, now and later. Does not wait for it.
    pub fn cancel(&self) {
        self.0.cancelled.store(true, Ordering::Relaxed);
        let grids = std::mem::take(&mut *self.grids());
        grids
            .iter()
            .filter_map(Weak::upgrade)
            .for_each(|grid| grid.chase());
    }

    /// Has `grid` end too when this is cancelled.
    fn watch(&self, grid: &Arc<Grid>) {
        let mut grids = self.grids();
        grids.retain(|grid| grid.strong_count() > 0);
        grids.push(Arc::downgrade(grid));
    }

    fn grids(&self) -> MutexGuard<'_, Vec<Weak<Grid>>> {
        self.0.grids.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether [`Self::cancel`] was called.
    pub fn is_cancelled(&self) -> bool {
        self.0.cancelled.load(Ordering::Relaxed)
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
