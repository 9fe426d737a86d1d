//! Threads with a stack each, for kernels that may wait in the middle of any function.
//!
//! A turn costs 33 to 69 ns of processor time, a started thread 32 ns (`examples/costs.rs`, release build, on a busy
//! x86_64 virtual machine with 2 cores).

use std::cell::UnsafeCell;
use std::ops::Range;

use corosensei::CoroutineResult;

use super::Grid;
use super::fault::from_signal;
use super::signals;
use super::stack::ThreadStack;
use super::thread::{DeviceCoroutine, Exit, Request, Thread};
use crate::abi::{KernelFn, Trap};

/// What a thread did in its turn.
#[derive(Debug)]
pub(crate) enum Step {
    Asked(Request),
    Ended,
}

/// The threads of one block.
pub(crate) struct Coroutines {
    entry: KernelFn,
    // Before what their code uses.
    running: Vec<Option<DeviceCoroutine>>,
    guards: Vec<Range<usize>>,
    stacks: Vec<ThreadStack>,
}

impl std::fmt::Debug for Coroutines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Coroutines").finish_non_exhaustive()
    }
}

impl Coroutines {
    pub(crate) fn new(entry: KernelFn, count: usize) -> Self {
        Self {
            entry,
            running: (0..count).map(|_| None).collect(),
            guards: vec![0..0; count],
            stacks: Vec::new(),
        }
    }

    /// Gives thread number `index`, which is at `thread`, its turn; `input` answers what it asked last.
    pub(crate) fn turn(
        &mut self,
        grid: &Grid,
        index: usize,
        thread: &UnsafeCell<Thread>,
        input: u64,
    ) -> Result<Step, (Trap, Option<u64>)> {
        if self.running[index].is_none() {
            self.begin(grid, index, thread)?;
        }
        let Some(coroutine) = &mut self.running[index] else {
            return Ok(Step::Ended);
        };
        match signals::resume(coroutine, self.guards[index].clone(), grid, input) {
            CoroutineResult::Yield(Request::Fault(trap, address)) => Err((trap, address)),
            CoroutineResult::Yield(request) => Ok(Step::Asked(request)),
            CoroutineResult::Return(exit) => {
                if let Some(done) = self.running[index].take() {
                    self.stacks.push(done.into_stack());
                }
                match exit {
                    Exit::Done => Ok(Step::Ended),
                    Exit::Signal(signal) => Err(from_signal(&signal, grid.device.memory())),
                    Exit::Stopped => Err((Trap::Cancelled, None)),
                }
            }
        }
    }

    fn begin(
        &mut self,
        grid: &Grid,
        index: usize,
        thread: &UnsafeCell<Thread>,
    ) -> Result<(), (Trap, Option<u64>)> {
        let stack = match self.stacks.pop().map_or_else(|| grid.stacks.take(), Ok) {
            Ok(stack) => stack,
            Err(error) => {
                tracing::error!(%error, "no stack for a device thread; ask for fewer threads or smaller stacks");
                return Err((Trap::StackOverflow, None));
            }
        };
        self.guards[index] = stack.guard();
        let (entry, thread) = (self.entry, thread.get());
        self.running[index] = Some(DeviceCoroutine::with_stack(stack, move |yielder, _| {
            // SAFETY: the block keeps its threads for longer than their coroutines, and while a thread runs only it
            // uses its entry.
            unsafe { Thread::run(thread, entry, yielder) };
            Exit::Done
        }));
        Ok(())
    }

    /// Drops all threads where they are.
    pub(crate) fn stop(&mut self) {
        for slot in &mut self.running {
            if let Some(mut coroutine) = slot.take() {
                // SAFETY: suspended in compiled code or `Thread::ask`, whose frames have nothing to drop.
                unsafe { coroutine.force_reset() };
                self.stacks.push(coroutine.into_stack());
            }
        }
    }

    /// Gives the stacks of ended threads back.
    pub(crate) fn release(&mut self, grid: &Grid) {
        grid.stacks.give(self.stacks.drain(..));
    }
}

impl Drop for Coroutines {
    fn drop(&mut self) {
        // A suspended coroutine must not unwind when dropped.
        self.stop();
    }
}
