//! A block whose threads meet: a coroutine per thread, taken in turns.
//!
//! A *round* gives every thread that can run its turn, warp by warp, until only threads that wait or have yielded
//! are left. A block runs rounds until it is finished, or parks: when a round only spun, or its time is up. It may
//! go on on another operating system thread: no suspended frame refers to the one it ran on.
//!
//! A turn costs 33 to 69 ns of processor time, a started thread 32 ns (`examples/costs.rs`, release build, on a busy
//! x86_64 virtual machine with 2 cores).

use std::cell::UnsafeCell;
use std::io;
use std::time::{Duration, Instant};

use corosensei::CoroutineResult;

use super::Grid;
use super::barrier::{BARRIERS, Barriers, Seat};
use super::buffer::Buffer;
use super::fault::{Fault, from_signal};
use super::signals;
use super::stack::ThreadStack;
use super::thread::{DeviceCoroutine, Exit, Request, Thread};
use super::warp::{Warp, lanes};
use crate::abi::Trap;

/// A block gives way to others after this long, even if it does useful work.
const TIME_SLICE: Duration = Duration::from_millis(10);
/// A turn shorter than this only looked at memory; a longer one did some work.
const GLANCE: Duration = Duration::from_micros(2);
/// Rounds in which a block may spin before it parks, when nothing else waits to run.
const IDLE_ROUNDS: u32 = 32;
/// A warp's turns in a row before other warps get theirs.
const WARP_TURNS: u32 = 64;
/// A sleep shorter than this is not worth giving the operating system thread away.
const SHORT_SLEEP: Duration = Duration::from_micros(50);
/// `nanosleep` sleeps no longer than this (PTX manual).
const LONGEST_SLEEP: u32 = 1_000_000;

/// Why a block stopped running.
#[derive(Debug)]
pub(crate) enum Pause {
    Finished,
    Faulted(Fault),
    /// To be run again, not before this time.
    Parked(Instant),
}

/// A running block.
pub(crate) struct Block {
    ctaid: [u32; 3],
    warps: Vec<Warp>,
    barriers: Barriers,
    live: u32,
    sleeping: Vec<(Instant, Seat)>,
    /// Since when the block has only spun.
    spinning_since: Option<Instant>,
    // Before what their code uses.
    coroutines: Vec<Option<DeviceCoroutine>>,
    threads: Box<[UnsafeCell<Thread>]>,
    guards: Vec<std::ops::Range<usize>>,
    stacks: Vec<ThreadStack>,
    _shared: Buffer,
    _local: Buffer,
}

// SAFETY: the coroutines' suspended frames are compiled code and `Thread::ask`; neither keeps anything of the
// operating system thread across a suspension. All pointers are to memory that the block or its grid owns.
unsafe impl Send for Block {}

impl std::fmt::Debug for Block {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Block")
            .field("ctaid", &self.ctaid)
            .field("live", &self.live)
            .finish_non_exhaustive()
    }
}

impl Block {
    /// A block of `grid`, to be started with [`Self::start`].
    pub(crate) fn new(grid: &Grid, smid: u32) -> Self {
        let count = grid.block_threads;
        let shared = Buffer::new(grid.shared_size as usize);
        let stride = (grid.kernel.local_size as usize).next_multiple_of(16);
        let local = Buffer::new(stride * count as usize);
        let threads = (0..count as usize).map(|index| {
            let mut thread = Thread::new(grid, smid);
            thread.context.shared = shared.pointer();
            thread.context.local = local.pointer().wrapping_add(index * stride);
            UnsafeCell::new(thread)
        });
        Self {
            ctaid: [0; 3],
            warps: Vec::new(),
            barriers: Barriers::new(count),
            live: 0,
            sleeping: Vec::new(),
            spinning_since: None,
            coroutines: (0..count).map(|_| None).collect(),
            threads: threads.collect(),
            guards: vec![0..0; count as usize],
            stacks: Vec::new(),
            _shared: shared,
            _local: local,
        }
    }

    /// Makes this the block at `ctaid`, at its beginning.
    pub(crate) fn start(&mut self, ctaid: [u32; 3]) {
        let count = self.threads.len() as u32;
        self.ctaid = ctaid;
        self.live = count;
        self.warps.clear();
        self.warps
            .extend((0..count.div_ceil(32)).map(|warp| Warp::new(count - warp * 32)));
        self.barriers.clear();
        self.sleeping.clear();
        self.spinning_since = None;
        for (index, thread) in self.threads.iter_mut().enumerate() {
            thread.get_mut().place(ctaid, index as u32);
        }
    }

    /// Runs until the block is finished, faults or parks.
    pub(crate) fn run(&mut self, grid: &Grid) -> Pause {
        let started = Instant::now();
        let mut idle = 0;
        loop {
            if grid.stopped() {
                self.abandon(grid);
                return Pause::Finished;
            }
            let before = Instant::now();
            let round = match self.round(grid) {
                Ok(round) => round,
                Err(fault) => {
                    self.abandon(grid);
                    return Pause::Faulted(fault);
                }
            };
            if self.live == 0 {
                self.return_stacks(grid);
                return Pause::Finished;
            }
            let now = Instant::now();
            let awake = self.wake(now);
            if !awake && self.wakes_soon(now) && grid.nothing_waits() && now - started < TIME_SLICE
            {
                std::thread::yield_now();
                continue;
            }
            if !awake && let Some(pause) = self.nothing_runs(grid, now) {
                self.abandon_if_faulted(&pause, grid);
                return pause;
            }
            if round.progress || now - before > GLANCE * round.turns {
                self.spinning_since = None;
                if now - started > TIME_SLICE {
                    return Pause::Parked(now);
                }
                continue;
            }
            idle += 1;
            if idle >= IDLE_ROUNDS || !grid.nothing_waits() {
                return Pause::Parked(self.spin_until(now));
            }
        }
    }

    /// One round.
    fn round(&mut self, grid: &Grid) -> Result<Round, Fault> {
        let mut round = Round::default();
        for warp in 0..self.warps.len() as u32 {
            for _ in 0..WARP_TURNS {
                let this = &mut self.warps[warp as usize];
                let ready = std::mem::take(&mut this.ready);
                if ready == 0 {
                    if this.answer_active() {
                        round.progress = true;
                        continue;
                    }
                    break;
                }
                for lane in lanes(ready) {
                    round.turns += 1;
                    round.progress |= self.turn(grid, Seat { warp, lane })?;
                }
            }
        }
        Ok(round)
    }

    /// Gives one thread its turn; true if it did more than look around.
    fn turn(&mut self, grid: &Grid, seat: Seat) -> Result<bool, Fault> {
        let index = seat.index();
        if self.coroutines[index].is_none() {
            self.begin(grid, index).map_err(|error| {
                tracing::error!(%error, "no stack for a device thread; ask for fewer threads or smaller stacks");
                self.fault(grid, index, Trap::StackOverflow, None)
            })?;
        }
        let Some(coroutine) = &mut self.coroutines[index] else {
            return Ok(false);
        };
        let input = self.warps[seat.warp as usize].results[seat.lane as usize];
        match signals::resume(coroutine, self.guards[index].clone(), input) {
            CoroutineResult::Yield(request) => self.grant(grid, seat, request),
            CoroutineResult::Return(exit) => {
                if let Some(done) = self.coroutines[index].take() {
                    self.stacks.push(done.into_stack());
                }
                if let Exit::Signal(signal) = exit {
                    let (trap, address) = from_signal(&signal, grid.device.memory());
                    return Err(self.fault(grid, index, trap, address));
                }
                self.exit(seat);
                Ok(true)
            }
        }
    }

    fn begin(&mut self, grid: &Grid, index: usize) -> io::Result<()> {
        let stack = match self.stacks.pop() {
            Some(stack) => stack,
            None => grid.stacks.take()?,
        };
        self.guards[index] = stack.guard();
        let thread = self.threads[index].get();
        self.coroutines[index] = Some(DeviceCoroutine::with_stack(stack, move |yielder, _| {
            // SAFETY: `threads` outlives `coroutines`, and while a thread runs only it uses its entry.
            unsafe { Thread::run(thread, yielder) };
            Exit::Done
        }));
        Ok(())
    }

    fn grant(&mut self, grid: &Grid, seat: Seat, request: Request) -> Result<bool, Fault> {
        let warp = &mut self.warps[seat.warp as usize];
        match request {
            Request::Yield => {
                warp.yielded |= 1 << seat.lane;
                return Ok(false);
            }
            Request::Sleep(nanoseconds) => {
                let nanoseconds = nanoseconds.min(LONGEST_SLEEP);
                self.sleeping.push((
                    Instant::now() + Duration::from_nanos(u64::from(nanoseconds)),
                    seat,
                ));
                return Ok(false);
            }
            Request::Warp { op, mask } => warp.arrive(seat.lane, op, mask),
            Request::Active { site } => warp.ask_active(seat.lane, site),
            Request::Barrier { id, count, op } => {
                if id >= BARRIERS {
                    return Err(self.fault(grid, seat.index(), Trap::IllegalInstruction, None));
                }
                let mut open = Vec::new();
                self.barriers
                    .arrive(id, count, seat, op, &self.warps, |seat, result| {
                        open.push((seat, result))
                    });
                self.release(open);
                if matches!(op, super::barrier::BarrierOp::Arrive) {
                    self.warps[seat.warp as usize].ready |= 1 << seat.lane;
                }
            }
            Request::Fault(trap, address) => {
                return Err(self.fault(grid, seat.index(), trap, address));
            }
        }
        Ok(true)
    }

    fn exit(&mut self, seat: Seat) {
        self.live -= 1;
        self.warps[seat.warp as usize].exit(seat.lane);
        let mut open = Vec::new();
        self.barriers
            .thread_exited(&self.warps, |seat, result| open.push((seat, result)));
        self.release(open);
    }

    fn release(&mut self, open: Vec<(Seat, u64)>) {
        for (seat, result) in open {
            let warp = &mut self.warps[seat.warp as usize];
            warp.results[seat.lane as usize] = result;
            warp.ready |= 1 << seat.lane;
        }
    }

    /// Makes those that yielded, or have slept enough, ready for the next round. False if nobody is ready.
    fn wake(&mut self, now: Instant) -> bool {
        let warps = &mut self.warps;
        self.sleeping.retain(|&(until, seat)| {
            if until <= now {
                warps[seat.warp as usize].ready |= 1 << seat.lane;
            }
            until > now
        });
        let mut awake = false;
        for warp in warps {
            warp.ready |= std::mem::take(&mut warp.yielded);
            awake |= warp.ready != 0;
        }
        awake
    }

    /// Whether a sleeper wakes before the operating system could wake us.
    fn wakes_soon(&self, now: Instant) -> bool {
        self.sleeping
            .iter()
            .any(|&(until, _)| until < now + SHORT_SLEEP)
    }

    /// What to do when no thread is ready: wait for a sleeper, or give up.
    fn nothing_runs(&self, grid: &Grid, now: Instant) -> Option<Pause> {
        if let Some(&(until, _)) = self.sleeping.iter().min_by_key(|(until, _)| *until) {
            return Some(Pause::Parked(until.max(now)));
        }
        tracing::error!(
            kernel = grid.kernel.name,
            block = ?self.ctaid,
            waiting = self.waiting(),
            "deadlock"
        );
        let seat = self
            .warps
            .iter()
            .enumerate()
            .find(|(_, warp)| warp.live != 0);
        let index = seat.map_or(0, |(warp, state)| {
            warp * 32 + state.live.trailing_zeros() as usize
        });
        Some(Pause::Faulted(self.fault(
            grid,
            index,
            Trap::Deadlock,
            None,
        )))
    }

    /// Who waits for what, in words.
    fn waiting(&self) -> String {
        let warps = self.warps.iter().enumerate().filter_map(|(index, warp)| {
            let lanes = warp.waiting();
            (lanes != 0).then(|| format!("lanes {lanes:#x} of warp {index} at a warp operation"))
        });
        self.barriers
            .waiting()
            .into_iter()
            .chain(warps)
            .collect::<Vec<_>>()
            .join(", ")
    }

    /// When to look again, for a block that only spins: soon at first, less and less often later.
    fn spin_until(&mut self, now: Instant) -> Instant {
        let spun = now - *self.spinning_since.get_or_insert(now);
        if spun < Duration::from_micros(200) {
            now
        } else if spun < Duration::from_millis(20) {
            std::thread::yield_now();
            now
        } else {
            now + (spun / 64).min(Duration::from_millis(1))
        }
    }

    fn fault(&self, grid: &Grid, index: usize, trap: Trap, address: Option<u64>) -> Fault {
        // SAFETY: the thread is suspended or has ended, so nobody else uses it.
        let context = unsafe { &(*self.threads[index].get()).context };
        Fault::at(&grid.kernel.name, context, trap, address)
    }

    fn abandon_if_faulted(&mut self, pause: &Pause, grid: &Grid) {
        if let Pause::Faulted(_) = pause {
            self.abandon(grid);
        }
    }

    /// Drops all threads where they are.
    pub(crate) fn abandon(&mut self, grid: &Grid) {
        self.stop_threads();
        self.return_stacks(grid);
    }

    fn stop_threads(&mut self) {
        for slot in &mut self.coroutines {
            if let Some(mut coroutine) = slot.take() {
                // SAFETY: suspended in compiled code or `Thread::ask`, whose frames have nothing to drop.
                unsafe { coroutine.force_reset() };
                self.stacks.push(coroutine.into_stack());
            }
        }
        self.live = 0;
    }

    /// Keeps the stacks while the grid has blocks to start, else gives them back.
    fn return_stacks(&mut self, grid: &Grid) {
        if grid.stopped() || !grid.has_unclaimed() {
            grid.stacks.give(self.stacks.drain(..));
        }
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        // A suspended coroutine must not unwind when dropped.
        self.stop_threads();
    }
}

#[derive(Debug, Default)]
struct Round {
    /// Turns given.
    turns: u32,
    /// A thread met another, or ended.
    progress: bool,
}

impl Seat {
    fn index(self) -> usize {
        (self.warp * 32 + self.lane) as usize
    }
}
