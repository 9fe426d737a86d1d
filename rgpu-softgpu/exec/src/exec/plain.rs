//! Blocks whose threads do not meet: a plain loop over the threads, inside one coroutine so that a fault can leave it.

use std::ops::Range;
use std::time::{Duration, Instant};

use corosensei::CoroutineResult;

use super::buffer::Buffer;
use super::fault::{Fault, from_signal};
use super::thread::{DeviceCoroutine, Exit, Request, Thread};
use super::{Grid, signals};
use crate::abi::{Entry, KernelFn, Trap};

/// Runs blocks of `grid` until there are none left to start, or `until` has passed.
pub(crate) fn run(grid: &Grid, smid: u32, until: Option<Instant>) -> Result<(), Fault> {
    let shared = grid.shared_memory.take(grid.shared_size).map_err(|error| {
        tracing::error!(%error, "no shared memory to run a kernel with");
        grid.fault(Trap::StackOverflow, [0; 3])
    })?;
    let local = Buffer::new(grid.kernel.local_size as usize);
    let frames = Buffer::new(match &grid.kernel.entry {
        Entry::Block(_, together) => together.frames_size(grid.block),
        _ => 0,
    });
    let mut thread = Thread::new(grid, smid);
    thread.context.shared = shared.pointer();
    thread.context.local = local.pointer();
    thread.context.frames = frames.pointer();
    let thread = &raw mut thread;
    let result = run_chunks(grid, thread, until);
    grid.shared_memory.give(shared);
    result
}

fn run_chunks(grid: &Grid, thread: *mut Thread, until: Option<Instant>) -> Result<(), Fault> {
    while let Some(blocks) = grid.claim_chunk() {
        run_chunk(grid, thread, blocks)?;
        if until.is_some_and(|until| Instant::now() > until) {
            break;
        }
    }
    Ok(())
}

fn run_chunk(grid: &Grid, thread: *mut Thread, blocks: Range<u64>) -> Result<(), Fault> {
    let fault = |trap, address| {
        // SAFETY: the coroutine is suspended or has ended; `thread` lives in our caller.
        let context = unsafe { &(*thread).context };
        Fault::at(&grid.kernel.name, context, trap, address)
    };
    let stack = grid.stacks.take().map_err(|error| {
        tracing::error!(%error, "no stack to run a kernel on");
        fault(Trap::StackOverflow, None)
    })?;
    let guard = stack.guard();
    let grid_pointer = std::ptr::from_ref(grid);
    let mut coroutine = DeviceCoroutine::with_stack(stack, move |yielder, _| {
        // SAFETY: the grid and the thread live in callers, which wait for the coroutine; nobody else uses the
        // thread.
        unsafe {
            let grid = &*grid_pointer;
            for block in blocks {
                run_block(grid, thread, block, |thread, entry| {
                    Thread::run(thread, entry, yielder)
                });
            }
        }
        Exit::Done
    });
    let result = loop {
        match signals::resume(&mut coroutine, guard.clone(), grid, 0) {
            CoroutineResult::Return(Exit::Done) => break Ok(()),
            CoroutineResult::Return(Exit::Signal(signal)) => {
                let (trap, address) = from_signal(&signal, grid.device.memory());
                let mut fault = fault(trap, address);
                fault.thread[0] += grid.kernel.code.lane_of(signal.pc);
                break Err(fault);
            }
            CoroutineResult::Return(Exit::Stopped) => break Err(fault(Trap::Cancelled, None)),
            CoroutineResult::Yield(_) if grid.stopped() => break Ok(()),
            CoroutineResult::Yield(Request::Yield) => {}
            CoroutineResult::Yield(Request::Sleep(nanoseconds)) => {
                std::thread::sleep(Duration::from_nanos(u64::from(nanoseconds.min(1_000_000))));
            }
            CoroutineResult::Yield(Request::Fault(trap, address)) => {
                break Err(fault(trap, address));
            }
            CoroutineResult::Yield(request) => {
                tracing::error!(
                    kernel = grid.kernel.name,
                    ?request,
                    "a kernel compiled as one without meeting points"
                );
                break Err(fault(Trap::IllegalInstruction, None));
            }
        }
    };
    // SAFETY: suspended in compiled code or `Thread::ask`, if at all; their frames have nothing to drop, nor has
    // the loop over the blocks.
    unsafe { coroutine.force_reset() };
    grid.stacks.give(std::iter::once(coroutine.into_stack()));
    result
}

/// Calls `run` for each thread of a block, in order, or once for all of it.
///
/// # Safety
/// `thread` is valid and nobody else uses it.
unsafe fn run_block(
    grid: &Grid,
    thread: *mut Thread,
    block: u64,
    run: impl Fn(*mut Thread, KernelFn),
) {
    let ctaid = grid.ctaid(block);
    let mut index = 0;
    let [width, height, depth] = grid.block;
    let (entry, [calls, rows, layers]) = match grid.kernel.entry {
        Entry::Block(entry, _) => (entry, [1; 3]),
        Entry::Thread(entry) | Entry::Stack(entry) => (entry, [width, height, depth]),
        Entry::Turns(..) => return,
    };
    for z in 0..layers {
        for y in 0..rows {
            for x in 0..calls {
                if grid.stopped() {
                    return;
                }
                // SAFETY: by contract.
                let context = unsafe { &mut (*thread).context };
                context.ctaid = ctaid;
                context.tid = [x, y, z];
                context.laneid = index & 31;
                context.warpid = index >> 5;
                context.local_top = 0;
                index += 1;
                run(thread, entry);
            }
        }
    }
}
