//! A block whose threads meet: whose turn it is.
//!
//! A *round* gives every thread that can run its turn, warp by warp, until only threads that wait or have yielded
//! are left. A block runs rounds until it is finished, or parks: when a round only spun, or its time is up. It may
//! go on on another operating system thread: no suspended frame refers to the one it ran on.

use std::cell::UnsafeCell;
use std::io;
use std::time::{Duration, Instant};

use super::Grid;
use super::barrier::{BARRIERS, BarrierOp, Barriers, Seat, Seats};
use super::buffer::Buffer;
use super::coroutines::{Coroutines, Step};
use super::fault::Fault;
use super::shared::SharedMemory;
use super::thread::{Request, Thread};
use super::turns::{Stop, TurnThreads};
use super::warp::{Warp, lanes};
use crate::abi::{Entry, Meet, SITE_EXITED, SITES_DIFFER, Trap};

/// A block gives way to others after this long, even if it does useful work.
const TIME_SLICE: Duration = Duration::from_millis(10);
/// A turn shorter than this only looked at memory; a longer one did some work.
const GLANCE: Duration = Duration::from_micros(2);
/// Rounds in which a block may spin before it parks, when nothing else waits to run.
const IDLE_ROUNDS: u32 = 32;
/// A warp's turns in a row before other warps get theirs.
const WARP_TURNS: u32 = 64;
/// A block's turns in a row before it looks at the clock.
const BLOCK_TURNS: u32 = 16;
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
    // Before what its code uses.
    runner: Runner,
    threads: Box<[UnsafeCell<Thread>]>,
    shared: Option<SharedMemory>,
    _local: Buffer,
}

/// How the threads run.
#[derive(Debug)]
enum Runner {
    Turns(TurnThreads),
    Coroutines(Coroutines),
}

// SAFETY: the coroutines' suspended frames are compiled code, its callers here and `Thread::ask`; none keeps anything
// of the operating system thread across a suspension. All pointers are to memory that the block or its grid owns.
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
    pub(crate) fn new(grid: &Grid, smid: u32) -> io::Result<Self> {
        let count = grid.block_threads;
        let shared = grid.shared_memory.take(grid.shared_size)?;
        let stride = (grid.kernel.local_size as usize).next_multiple_of(16);
        let local = Buffer::new(stride * count as usize);
        let threads = (0..count as usize).map(|index| {
            let mut thread = Thread::new(grid, smid);
            thread.context.shared = shared.pointer();
            thread.context.local = local.pointer().wrapping_add(index * stride);
            UnsafeCell::new(thread)
        });
        let threads: Box<[_]> = threads.collect();
        let runner = match &grid.kernel.entry {
            Entry::Turns(entry, resumable) => {
                Runner::Turns(TurnThreads::new(*entry, resumable.clone(), &threads))
            }
            Entry::Thread(entry) | Entry::Stack(entry) | Entry::Block(entry, _) => {
                Runner::Coroutines(Coroutines::new(*entry, count as usize))
            }
        };
        Ok(Self {
            ctaid: [0; 3],
            warps: Vec::new(),
            barriers: Barriers::new(count),
            live: 0,
            sleeping: Vec::new(),
            spinning_since: None,
            runner,
            threads,
            shared: Some(shared),
            _local: local,
        })
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
        if let Runner::Turns(turns) = &mut self.runner {
            turns.restart();
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
            if grid.failing() {
                self.abandon(grid);
                return Pause::Finished;
            }
            if self.live == 0 {
                self.give_back(grid);
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
        if self.goes_on_at_once() && self.block_turns(grid, &mut round)? {
            return Ok(round);
        }
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
                round.turns += ready.count_ones();
                round.progress |= match self.runner {
                    Runner::Turns(_) => self.warp_turn(grid, warp, ready)?,
                    Runner::Coroutines(_) => self.thread_turns(grid, warp, ready)?,
                };
                if grid.failing() {
                    break;
                }
            }
        }
        Ok(round)
    }

    /// Whether all threads can run, and meet at barriers of the block only.
    fn goes_on_at_once(&self) -> bool {
        let Runner::Turns(turns) = &self.runner else {
            return false;
        };
        turns.only_barriers() && self.warps.iter().all(|warp| warp.ready == warp.live)
    }

    /// Runs all threads of a block up to the same barrier, again and again. True if that was all; if threads stop at
    /// different sites, the round goes on with what they ask.
    fn block_turns(&mut self, grid: &Grid, round: &mut Round) -> Result<bool, Fault> {
        if let Runner::Turns(turns) = &mut self.runner {
            for (warp, state) in self.warps.iter().enumerate() {
                turns.set_results(warp, state.live, &state.results);
            }
        }
        for _ in 0..BLOCK_TURNS {
            let Runner::Turns(turns) = &mut self.runner else {
                return Ok(false);
            };
            let warps = self.warps.iter().map(|warp| warp.live).enumerate();
            let warps = warps.filter(|&(_, live)| live != 0);
            let ran = turns.run(grid, &self.threads, warps);
            let site = ran.map_err(|stop| stopped(&self.threads, grid, &stop))?;
            round.progress = true;
            round.turns += self.live;
            if site == SITE_EXITED {
                self.live = 0;
                return Ok(true);
            }
            if turns.meet(site) == Some(Meet::BarSyncAll) {
                if grid.stopped() || grid.failing() {
                    return Ok(true);
                }
                continue;
            }
            for warp in 0..self.warps.len() as u32 {
                let ready = std::mem::take(&mut self.warps[warp as usize].ready);
                self.ask_each(grid, warp, ready)?;
            }
            return Ok(false);
        }
        Ok(true)
    }

    /// Runs threads of a warp. True if one did more than look around.
    fn warp_turn(&mut self, grid: &Grid, warp: u32, ready: u32) -> Result<bool, Fault> {
        let Runner::Turns(turns) = &mut self.runner else {
            return Ok(false);
        };
        let this = &mut self.warps[warp as usize];
        let first = warp as usize * 32;
        turns.set_results(warp as usize, ready, &this.results);
        for _ in 0..WARP_TURNS {
            let ran = turns.run(grid, &self.threads, std::iter::once((warp as usize, ready)));
            let site = ran.map_err(|stop| stopped(&self.threads, grid, &stop))?;
            let meet = turns.meet(site);
            if let Some(meet) = meet
                && !grid.failing()
                && ready == this.live
                && turns.complete_warp(meet, first, ready)
            {
                continue;
            }
            let seats = Seats { warp, lanes: ready };
            match meet {
                Some(Meet::BarSyncAll) => self.arrive(0, 0, seats, BarrierOp::Sync),
                None if site != SITES_DIFFER => self.exit(seats),
                _ => return self.ask_each(grid, warp, ready),
            }
            return Ok(true);
        }
        this.ready |= ready;
        for lane in lanes(ready) {
            this.results[lane as usize] = turns.result(first + lane as usize);
        }
        Ok(true)
    }

    /// Grants what each of some stopped threads of a warp asks.
    fn ask_each(&mut self, grid: &Grid, warp: u32, stopped: u32) -> Result<bool, Fault> {
        let mut progress = false;
        for lane in lanes(stopped) {
            let Runner::Turns(turns) = &self.runner else {
                return Ok(false);
            };
            let seat = Seat { warp, lane };
            progress |= match turns.request(seat.index()) {
                Some(request) => self.grant(grid, seat, request)?,
                None => {
                    self.exit(seat.into());
                    true
                }
            };
        }
        Ok(progress)
    }

    /// Gives threads with stacks their turns; true if one did more than look around.
    fn thread_turns(&mut self, grid: &Grid, warp: u32, ready: u32) -> Result<bool, Fault> {
        let mut progress = false;
        for lane in lanes(ready) {
            let Runner::Coroutines(coroutines) = &mut self.runner else {
                return Ok(false);
            };
            let seat = Seat { warp, lane };
            let index = seat.index();
            let input = self.warps[warp as usize].results[lane as usize];
            progress |= match coroutines.turn(grid, index, &self.threads[index], input) {
                Ok(Step::Asked(request)) => self.grant(grid, seat, request)?,
                Ok(Step::Ended) => {
                    self.exit(seat.into());
                    true
                }
                Err((trap, address)) => return Err(self.fault(grid, index, trap, address)),
            };
        }
        Ok(progress)
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
                self.arrive(id, count, seat.into(), op);
                if matches!(op, BarrierOp::Arrive) {
                    self.warps[seat.warp as usize].ready |= 1 << seat.lane;
                }
            }
            Request::Fault(trap, address) => {
                return Err(self.fault(grid, seat.index(), trap, address));
            }
            Request::Stopped(_) => {
                return Err(self.fault(grid, seat.index(), Trap::IllegalInstruction, None));
            }
        }
        Ok(true)
    }

    /// Threads reached a barrier.
    fn arrive(&mut self, id: u32, count: u32, seats: Seats, op: BarrierOp) {
        let mut open = Vec::new();
        self.barriers
            .arrive(id, count, seats, op, &self.warps, |seats, result| {
                open.push((seats, result))
            });
        self.release(&open);
    }

    /// Threads have ended.
    fn exit(&mut self, seats: Seats) {
        self.live -= seats.lanes.count_ones();
        self.warps[seats.warp as usize].exit_all(seats.lanes);
        let mut open = Vec::new();
        self.barriers
            .thread_exited(&self.warps, |seats, result| open.push((seats, result)));
        self.release(&open);
    }

    fn release(&mut self, open: &[(Seats, u64)]) {
        for &(seats, result) in open {
            let warp = &mut self.warps[seats.warp as usize];
            warp.ready |= seats.lanes;
            for lane in lanes(seats.lanes) {
                warp.results[lane as usize] = result;
            }
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
        self.give_back(grid);
    }

    fn stop_threads(&mut self) {
        if let Runner::Coroutines(coroutines) = &mut self.runner {
            coroutines.stop();
        }
        self.live = 0;
    }

    /// Keeps stacks and shared memory while the grid has blocks to start, else gives them back.
    fn give_back(&mut self, grid: &Grid) {
        if !grid.stopped() && grid.has_unclaimed() {
            return;
        }
        if let Some(shared) = self.shared.take() {
            grid.shared_memory.give(shared);
        }
        match &mut self.runner {
            Runner::Turns(turns) => turns.release(grid),
            Runner::Coroutines(coroutines) => coroutines.release(grid),
        }
    }
}

/// The fault of a stopped call of compiled code.
fn stopped(threads: &[UnsafeCell<Thread>], grid: &Grid, stop: &Stop) -> Fault {
    // SAFETY: compiled code is not running, so nobody else uses the thread.
    let context = unsafe { &(*threads[stop.thread].get()).context };
    Fault::at(&grid.kernel.name, context, stop.trap, stop.address)
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
