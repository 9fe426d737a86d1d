//! One device thread: its context, and how it asks the scheduler for things.

use std::cell::{Cell, UnsafeCell};
use std::ptr;

use corosensei::{Coroutine, Yielder};

use super::barrier::BarrierOp;
use super::signals::SignalFault;
use super::stack::ThreadStack;
use super::warp::WarpOp;
use super::{Device, Grid};
use crate::abi::{KernelFn, ThreadContext, Trap};
use crate::memory::HostRange;

/// What a thread wants from the scheduler. Until it is granted, the thread does not run.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Request {
    /// Let others run.
    Yield,
    /// Let others run for some nanoseconds.
    Sleep(u32),
    /// Stop for ever.
    Fault(Trap, Option<u64>),
    /// Meet the block.
    Barrier { id: u32, count: u32, op: BarrierOp },
    /// Meet the warp.
    Warp { op: WarpOp, mask: u32 },
    /// Which lanes are active here?
    Active { site: u32 },
    /// Threads of a resumable kernel have stopped; what a `TurnFn` has returned.
    Stopped(u32),
}

/// How a thread ended.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Exit {
    Done,
    Signal(SignalFault),
    /// Its grid is stopped, and it was still in compiled code.
    Stopped,
}

/// A device thread with its stack. Resumed with the answer to its last request.
pub(crate) type DeviceCoroutine = Coroutine<u64, Request, Exit, ThreadStack>;

/// A thread's context and what library calls need besides. Compiled code sees the context only.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Thread {
    pub(crate) context: ThreadContext,
    pub(crate) grid: *const Grid,
    yielder: Cell<*const Yielder<u64, Request>>,
    /// The host memory accessed last, and the registry's generation then.
    host_range: Cell<(HostRange, u64)>,
}

/// Distance of the contexts of two threads of a block.
pub(crate) const CONTEXT_STRIDE: usize = size_of::<UnsafeCell<Thread>>();

impl Thread {
    /// A thread of `grid`, yet without a place. `runtime` is set when the thread starts.
    pub(crate) fn new(grid: &Grid, smid: u32) -> Self {
        let context = ThreadContext {
            tid: [0; 3],
            ntid: grid.block,
            ctaid: [0; 3],
            nctaid: grid.grid,
            laneid: 0,
            warpid: 0,
            smid,
            gridid: grid.id,
            params: grid.params.as_ptr().cast(),
            params_size: grid.params_size,
            shared: ptr::dangling_mut(),
            shared_size: u64::from(grid.shared_size),
            local: ptr::dangling_mut(),
            local_size: u64::from(grid.kernel.local_size),
            local_top: 0,
            global_delta: grid.device.memory().global_delta(),
            dynamic_shared_size: u64::from(grid.dynamic_shared),
            runtime: ptr::null_mut(),
            nsmid: grid.multiprocessors,
            grid_workspace: grid.workspace,
            frames: ptr::dangling_mut(),
        };
        let nowhere = HostRange {
            base: 0,
            size: 0,
            flags: 0,
            allocated: false,
        };
        Self {
            context,
            grid,
            yielder: Cell::new(ptr::null()),
            host_range: Cell::new((nowhere, 0)),
        }
    }

    /// Gives the thread its place in the block.
    pub(crate) fn place(&mut self, ctaid: [u32; 3], index: u32) {
        let [x, y, _] = self.context.ntid;
        self.context.ctaid = ctaid;
        self.context.tid = [index % x, index / x % y, index / x / y];
        self.context.laneid = index % 32;
        self.context.warpid = index / 32;
        self.context.local_top = 0;
    }

    /// Lets the thread's library calls suspend the coroutine of `yielder`.
    ///
    /// # Safety
    /// `this` is valid and nobody else uses it.
    pub(crate) unsafe fn attach(this: *mut Self, yielder: &Yielder<u64, Request>) {
        // SAFETY: by contract.
        unsafe {
            (*this).context.runtime = this.cast();
            (*this).yielder.set(yielder);
        }
    }

    /// Runs the kernel for this thread, or for the block whose threads it stands for.
    ///
    /// # Safety
    /// `this` is valid, nobody else uses it, and the grid it names lives; called on a coroutine's stack, whose
    /// yielder is `yielder`. `entry` is the grid's.
    pub(crate) unsafe fn run(this: *mut Self, entry: KernelFn, yielder: &Yielder<u64, Request>) {
        // SAFETY: by contract; the kernel's contract is the one of `crate::abi`.
        unsafe {
            Self::attach(this, yielder);
            entry(&raw mut (*this).context);
        }
    }

    /// The thread of a context.
    ///
    /// # Safety
    /// `context` is the argument of a running kernel, and the result is used only while it runs.
    pub(crate) unsafe fn of<'a>(context: *mut ThreadContext) -> &'a Self {
        // SAFETY: `run` has set it.
        unsafe { &*(*context).runtime.cast::<Self>() }
    }

    /// Stops the thread until the scheduler has an answer.
    pub(crate) fn ask(&self, request: Request) -> u64 {
        // SAFETY: set by `run`; the yielder lives as long as the coroutine that we run on.
        unsafe { &*self.yielder.get() }.suspend(request)
    }

    /// Stops the thread for ever. Nothing on its stack is dropped: call it where nothing needs to be.
    pub(crate) fn fault(&self, trap: Trap, address: Option<u64>) -> ! {
        loop {
            self.ask(Request::Fault(trap, address));
        }
    }

    pub(crate) fn grid(&self) -> &Grid {
        // SAFETY: the grid outlives its threads.
        unsafe { &*self.grid }
    }

    pub(crate) fn device(&self) -> &Device {
        &self.grid().device
    }

    /// Where a byte of pinned or registered host memory is, if `size` bytes from there are too.
    pub(crate) fn host_memory(&self, address: u64, size: u64) -> Option<*mut u8> {
        let registry = self.device().memory().host();
        let generation = registry.generation();
        let (mut range, seen) = self.host_range.get();
        if seen != generation || !range.holds(address, size) {
            range = registry.find(address)?;
            self.host_range.set((range, generation));
        }
        range
            .holds(address, size)
            .then(|| ptr::with_exposed_provenance_mut(address as usize))
    }
}
