//! Threads of a resumable kernel: one call of compiled code runs a list of them, each until it stops at a site.
//!
//! All of a block's threads share one coroutine, which exists so that a fault can leave compiled code. What a stopped
//! thread needs later lies in its frame; nothing of it stays on a stack.

use std::cell::UnsafeCell;
use std::sync::Arc;

use corosensei::CoroutineResult;

use super::Grid;
use super::barrier::BarrierOp;
use super::buffer::Buffer;
use super::fault::from_signal;
use super::signals;
use super::thread::{DeviceCoroutine, Exit, Request, Thread};
use super::warp::{WarpOp, lanes};
use crate::abi::{
    FRAME_ARGUMENTS, FRAME_RESULT, Meet, Resumable, SITE_EXITED, SITE_START, Trap, TurnFn, Turns,
};

/// Why a call of compiled code did not come back.
#[derive(Debug)]
pub(crate) struct Stop {
    /// Number of the thread that ran.
    pub(crate) thread: usize,
    pub(crate) trap: Trap,
    pub(crate) address: Option<u64>,
}

/// The threads of one block.
pub(crate) struct TurnThreads {
    entry: TurnFn,
    resumable: Arc<Resumable>,
    // Before what its code uses.
    coroutine: Option<DeviceCoroutine>,
    guard: std::ops::Range<usize>,
    turns: Box<UnsafeCell<Turns>>,
    frames: Buffer,
    sites: Box<[u32]>,
    /// 0, 1, 2, …
    all: Box<[u16]>,
    /// Threads to run, when they are not a part of `all`.
    some: Vec<u16>,
    /// No site concerns a warp: the whole block can go on at once.
    only_barriers: bool,
}

impl std::fmt::Debug for TurnThreads {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TurnThreads").finish_non_exhaustive()
    }
}

impl TurnThreads {
    /// For the threads at `threads`, which must stay where they are.
    pub(crate) fn new(
        entry: TurnFn,
        resumable: Arc<Resumable>,
        threads: &[UnsafeCell<Thread>],
    ) -> Self {
        let count = threads.len();
        let frames = Buffer::new(resumable.frame_size as usize * count);
        let mut sites = vec![SITE_START; count].into_boxed_slice();
        let turns = Turns {
            list: std::ptr::null(),
            count: 0,
            current: 0,
            contexts: threads.as_ptr().cast_mut().cast(),
            frames: frames.pointer(),
            sites: sites.as_mut_ptr(),
        };
        Self {
            entry,
            only_barriers: !resumable.sites.iter().any(|meet| meet.is_within_warp()),
            resumable,
            coroutine: None,
            guard: 0..0,
            turns: Box::new(UnsafeCell::new(turns)),
            frames,
            sites,
            all: (0..count as u16).collect(),
            some: Vec::new(),
        }
    }

    /// All threads are at their beginning again.
    pub(crate) fn restart(&mut self) {
        self.sites.fill(SITE_START);
    }

    pub(crate) fn only_barriers(&self) -> bool {
        self.only_barriers
    }

    /// What threads do at `site`; `None` if they have ended, or differ.
    pub(crate) fn meet(&self, site: u32) -> Option<Meet> {
        self.resumable.meet(site)
    }

    /// Runs the threads of some warps, given as (number of the warp, lanes). Gives the site at which all have stopped,
    /// or [`crate::abi::SITES_DIFFER`].
    pub(crate) fn run(
        &mut self,
        grid: &Grid,
        threads: &[UnsafeCell<Thread>],
        warps: impl Iterator<Item = (usize, u32)> + Clone,
    ) -> Result<u32, Stop> {
        let (list, count) = self.choose(warps);
        let turns = self.turns.get_mut();
        turns.list = list;
        turns.count = count;
        let input = self.turns.get().expose_provenance() as u64;
        if self.coroutine.is_none() {
            self.begin(grid, threads)?;
        }
        let Some(coroutine) = &mut self.coroutine else {
            return Ok(SITE_EXITED);
        };
        match signals::resume(coroutine, self.guard.clone(), grid, input) {
            CoroutineResult::Yield(Request::Stopped(site)) => Ok(site),
            CoroutineResult::Yield(Request::Fault(trap, address)) => Err(self.stop(trap, address)),
            CoroutineResult::Yield(request) => {
                let kernel = &grid.kernel.name;
                tracing::error!(
                    kernel,
                    ?request,
                    "a resumable kernel asked from within a call"
                );
                Err(self.stop(Trap::IllegalInstruction, None))
            }
            CoroutineResult::Return(exit) => {
                let (trap, address) = match exit {
                    Exit::Signal(signal) => from_signal(&signal, grid.device.memory()),
                    Exit::Stopped => (Trap::Cancelled, None),
                    Exit::Done => (Trap::IllegalInstruction, None),
                };
                if let Some(ended) = self.coroutine.take() {
                    grid.stacks.give(std::iter::once(ended.into_stack()));
                }
                Err(self.stop(trap, address))
            }
        }
    }

    fn stop(&mut self, trap: Trap, address: Option<u64>) -> Stop {
        let thread = self.turns.get_mut().current as usize;
        Stop {
            thread: thread.min(self.all.len() - 1),
            trap,
            address,
        }
    }

    /// The numbers of the threads of some warps.
    fn choose(&mut self, warps: impl Iterator<Item = (usize, u32)> + Clone) -> (*const u16, u64) {
        let full = |warp: usize| -> u32 {
            match self.all.len() - warp * 32 {
                32.. => u32::MAX,
                count => (1 << count) - 1,
            }
        };
        let first = warps.clone().next().map_or(0, |(warp, _)| warp * 32);
        let mut count = 0;
        let consecutive = warps.clone().all(|(warp, ready)| {
            let follows = warp * 32 == first + count;
            count += ready.count_ones() as usize;
            follows && ready == full(warp)
        });
        if consecutive {
            return (self.all[first..].as_ptr(), count as u64);
        }
        self.some.clear();
        for (warp, ready) in warps {
            self.some
                .extend(lanes(ready).map(|lane| (warp * 32) as u16 + lane as u16));
        }
        (self.some.as_ptr(), self.some.len() as u64)
    }

    fn begin(&mut self, grid: &Grid, threads: &[UnsafeCell<Thread>]) -> Result<(), Stop> {
        let stack = match grid.stacks.take() {
            Ok(stack) => stack,
            Err(error) => {
                tracing::error!(%error, "no stack to run a kernel on");
                return Err(self.stop(Trap::StackOverflow, None));
            }
        };
        self.guard = stack.guard();
        let (entry, threads) = (self.entry, std::ptr::from_ref(threads));
        self.coroutine = Some(DeviceCoroutine::with_stack(stack, move |yielder, input| {
            let mut turns = input;
            // SAFETY: the threads stay where they are for as long as the coroutine lives, and only it uses them
            // while it runs; the input is the address of `self.turns`; the kernel's contract is the one of `crate::abi`.
            unsafe {
                (*threads)
                    .iter()
                    .for_each(|thread| Thread::attach(thread.get(), yielder));
                loop {
                    let site = entry(std::ptr::with_exposed_provenance_mut(turns as usize));
                    turns = yielder.suspend(Request::Stopped(site));
                }
            }
        }));
        Ok(())
    }

    /// Where one thread has stopped, and what it wants; `None` if it has ended.
    pub(crate) fn request(&self, thread: usize) -> Option<Request> {
        let site = self.sites[thread];
        if site == SITE_EXITED {
            return None;
        }
        let words = self.arguments(thread);
        let word = |n: usize| words[n] as u32;
        let warp = |op, mask| Request::Warp { op, mask };
        let barrier = |op| Request::Barrier {
            id: word(0),
            count: word(1),
            op,
        };
        Some(match self.resumable.meet(site)? {
            Meet::BarSync | Meet::BarSyncAll => barrier(BarrierOp::Sync),
            Meet::BarArrive => barrier(BarrierOp::Arrive),
            Meet::BarRed => barrier(BarrierOp::Reduce {
                predicate: word(2) != 0,
                op: word(3),
            }),
            Meet::WarpSync => warp(WarpOp::Sync, word(0)),
            Meet::Shfl => warp(shuffle(words), word(4)),
            Meet::Vote => warp(vote(words), word(2)),
            Meet::MatchAny => warp(WarpOp::MatchAny(words[0]), word(1)),
            Meet::MatchAll => warp(WarpOp::MatchAll(words[0]), word(1)),
            Meet::Redux => warp(redux(words), word(2)),
            Meet::Elect => warp(WarpOp::Elect, word(0)),
            Meet::Activemask => Request::Active { site: word(0) },
            Meet::Yield => Request::Yield,
            Meet::Nanosleep => Request::Sleep(word(0)),
        })
    }

    fn frame(&self, thread: usize) -> *mut u8 {
        let offset = thread * self.resumable.frame_size as usize;
        self.frames.pointer().wrapping_add(offset)
    }

    fn arguments(&self, thread: usize) -> [u64; 5] {
        // SAFETY: every frame begins with room for five words, aligned to 16; compiled code is not running. Words
        // that a site does not use hold what an earlier one left.
        unsafe {
            self.frame(thread)
                .add(FRAME_ARGUMENTS)
                .cast::<[u64; 5]>()
                .read()
        }
    }

    /// What the library functions give at which lanes of a warp have stopped.
    pub(crate) fn set_results(&mut self, warp: usize, stopped: u32, results: &[u64; 32]) {
        for lane in lanes(stopped) {
            self.set_result(warp * 32 + lane as usize, results[lane as usize]);
        }
    }

    fn set_result(&mut self, thread: usize, result: u64) {
        // SAFETY: as in `arguments`; the result lies behind them.
        unsafe {
            self.frame(thread)
                .add(FRAME_RESULT)
                .cast::<u64>()
                .write(result)
        }
    }

    /// What [`Self::set_result`] has set.
    pub(crate) fn result(&self, thread: usize) -> u64 {
        // SAFETY: as in `arguments`; the result lies behind them.
        unsafe { self.frame(thread).add(FRAME_RESULT).cast::<u64>().read() }
    }

    /// Completes a warp operation for which all lanes of `live` have stopped at one site, without asking each. False
    /// if that needs a closer look.
    pub(crate) fn complete_warp(&mut self, meet: Meet, first: usize, live: u32) -> bool {
        let mask_at = match meet {
            Meet::WarpSync => 0,
            Meet::Shfl => 4,
            Meet::Vote | Meet::Redux => 2,
            Meet::Activemask => {
                self.set_results(first / 32, live, &[u64::from(live); 32]);
                return true;
            }
            _ => return false,
        };
        let mut words = [[0_u64; 5]; 32];
        let mut masks = u32::MAX;
        for lane in lanes(live) {
            let arguments = self.arguments(first + lane as usize);
            words[lane as usize] = arguments;
            masks &= arguments[mask_at] as u32;
        }
        if masks & live != live {
            return false;
        }
        let results = match meet {
            Meet::Shfl => super::warp::shuffle_all(&words, live),
            Meet::Vote => {
                let ballot = lanes(live)
                    .filter(|&lane| words[lane as usize][1] as u32 != 0)
                    .fold(0, |mask, lane| mask | 1 << lane);
                let mode = words[live.trailing_zeros() as usize][0] as u32;
                [u64::from(super::warp::vote_result(mode, ballot, live)); 32]
            }
            Meet::Redux => {
                let op = words[live.trailing_zeros() as usize][0] as u32;
                let values = lanes(live).map(|lane| words[lane as usize][1] as u32);
                let total = values.reduce(|a, b| super::warp::reduce(op, a, b));
                [u64::from(total.unwrap_or(0)); 32]
            }
            _ => return true,
        };
        self.set_results(first / 32, live, &results);
        true
    }

    /// Drops the coroutine where it is, and gives its stack back.
    pub(crate) fn release(&mut self, grid: &Grid) {
        if let Some(mut coroutine) = self.coroutine.take() {
            // SAFETY: suspended in compiled code or in the loop that calls it; their frames have nothing to drop.
            unsafe { coroutine.force_reset() };
            grid.stacks.give(std::iter::once(coroutine.into_stack()));
        }
    }
}

impl Drop for TurnThreads {
    fn drop(&mut self) {
        if let Some(mut coroutine) = self.coroutine.take() {
            // SAFETY: as in `release`.
            unsafe { coroutine.force_reset() };
        }
    }
}

fn shuffle(words: [u64; 5]) -> WarpOp {
    let [mode, value, b, c, _] = words.map(|word| word as u32);
    WarpOp::Shfl { mode, value, b, c }
}

fn vote(words: [u64; 5]) -> WarpOp {
    WarpOp::Vote {
        mode: words[0] as u32,
        predicate: words[1] as u32 != 0,
    }
}

fn redux(words: [u64; 5]) -> WarpOp {
    WarpOp::Redux {
        op: words[0] as u32,
        value: words[1] as u32,
    }
}
