//! A launched grid: which blocks are yet to start, which are parked, who works on it.
//!
//! A block is *unclaimed*, then *running* on some operating system thread, possibly *parked* in between, then gone.
//! The launching thread works on its own grid until all blocks are gone; pool threads come and go. So every grid has
//! a thread of its own at least, and no grid can starve another.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use super::block::{Block, Pause};
use super::cpu;
use super::fault::Fault;
use super::shared::SharedPool;
use super::stack::StackPool;
use super::{CancelToken, Device, plain, signals};
use crate::abi::{Entry, Kernel, ThreadContext, Trap};
use crate::output::LaunchOutput;

/// Passes some hundred nanoseconds.
pub(crate) fn spin() {
    (0..64).for_each(|_| std::hint::spin_loop());
}

/// A running block of a resumable kernel counts as so many stacks: it has one, and some gigabytes of addresses.
const STACKS_OF_RESUMABLE: usize = 8;
/// Most blocks of a plain kernel that one thread takes at a time.
const LARGEST_CHUNK: u64 = 256;
/// How long a thread that has nothing to do looks for work before it sleeps: as long as it takes to wake it.
pub(crate) const LINGER: Duration = Duration::from_micros(50);
/// Before a thread that would not stop is interrupted again.
const FIRST_PAUSE: Duration = Duration::from_micros(100);
const LONGEST_PAUSE: Duration = Duration::from_millis(20);
/// What a multiprocessor of compute capability 9.0 holds.
const MOST_RESIDENT_THREADS: u32 = 2048;
const MOST_RESIDENT_BLOCKS: u32 = 32;
/// How long other threads may go on after an assertion has failed, so that theirs fail and are printed too.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// One launch, while it runs.
#[derive(Debug)]
pub(crate) struct Grid {
    pub(crate) kernel: Kernel,
    pub(crate) grid: [u32; 3],
    pub(crate) block: [u32; 3],
    pub(crate) block_threads: u32,
    pub(crate) dynamic_shared: u32,
    pub(crate) shared_size: u32,
    pub(crate) params: Box<[u128]>,
    pub(crate) params_size: u64,
    pub(crate) id: u32,
    pub(crate) multiprocessors: u32,
    /// A smaller number goes first.
    pub(crate) priority: i32,
    pub(crate) workspace: u64,
    pub(crate) device: Arc<Device>,
    pub(crate) stacks: Arc<StackPool>,
    pub(crate) shared_memory: Arc<SharedPool>,
    pub(crate) output: LaunchOutput,
    pub(crate) cancel: CancelToken,
    /// Stacks that a running block has.
    stacks_per_block: usize,
    /// The processor that the launching thread ran on.
    launched_on: Option<usize>,
    this: Weak<Self>,
    total: u64,
    /// First unclaimed block; may pass `total`.
    next: AtomicU64,
    parked_count: AtomicUsize,
    stop: AtomicBool,
    /// An assertion has failed: only blocks of the first wave start any more, and none goes past its next meeting.
    failing: AtomicBool,
    /// Somebody sees to it that its threads end.
    chased: AtomicBool,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    parked: VecDeque<(Instant, Box<Block>)>,
    /// Finished blocks, to be used for the next ones.
    #[expect(
        clippy::vec_box,
        reason = "a block is boxed once, and moves between lists and threads"
    )]
    spare: Vec<Box<Block>>,
    /// Operating system threads that work on the grid, each as often as it has work of it. They take themselves off
    /// before they end.
    workers: Vec<libc::pthread_t>,
    /// Blocks that have started and are not finished.
    resident: usize,
    /// A parked block had the last turn: an unclaimed one has the next.
    new_is_next: bool,
    fault: Option<Fault>,
}

/// What a thread may do for a grid.
#[derive(Debug)]
pub(crate) enum Work {
    /// Run plain blocks.
    Plain,
    /// Start the block of this number.
    Start(u64, Option<Box<Block>>),
    /// Go on with a parked block.
    Resume(Box<Block>),
    /// Nothing before this time, or before another thread parks or ends.
    Wait(Option<Instant>),
    /// All blocks are gone.
    Done,
}

/// Everything that is the same for all of a grid's blocks.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) kernel: Kernel,
    pub(crate) grid: [u32; 3],
    pub(crate) block: [u32; 3],
    pub(crate) block_threads: u32,
    pub(crate) dynamic_shared: u32,
    pub(crate) shared_size: u32,
    pub(crate) params: Box<[u128]>,
    pub(crate) params_size: u64,
    pub(crate) id: u32,
    pub(crate) multiprocessors: u32,
    pub(crate) priority: i32,
    pub(crate) workspace: u64,
    pub(crate) cancel: CancelToken,
}

impl State {
    /// This thread works on the grid from now on.
    fn enlist(&mut self) {
        // SAFETY: always possible.
        self.workers.push(unsafe { libc::pthread_self() });
    }

    /// It has done a piece of work.
    fn leave(&mut self) {
        // SAFETY: always possible.
        let this = unsafe { libc::pthread_self() };
        if let Some(index) = self.workers.iter().position(|&thread| thread == this) {
            self.workers.swap_remove(index);
        }
    }
}

impl Grid {
    pub(crate) fn new(
        plan: Plan,
        device: Arc<Device>,
        stacks: Arc<StackPool>,
        shared_memory: Arc<SharedPool>,
    ) -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            this: this.clone(),
            total: plan.grid.iter().map(|&count| u64::from(count)).product(),
            stacks_per_block: match plan.kernel.entry {
                Entry::Turns(..) => STACKS_OF_RESUMABLE,
                _ => plan.block_threads as usize,
            },
            kernel: plan.kernel,
            grid: plan.grid,
            block: plan.block,
            block_threads: plan.block_threads,
            dynamic_shared: plan.dynamic_shared,
            shared_size: plan.shared_size,
            params: plan.params,
            params_size: plan.params_size,
            id: plan.id,
            multiprocessors: plan.multiprocessors,
            priority: plan.priority,
            launched_on: cpu::current(),
            workspace: plan.workspace,
            device,
            stacks,
            shared_memory,
            output: LaunchOutput::default(),
            cancel: plan.cancel,
            next: AtomicU64::new(0),
            parked_count: AtomicUsize::new(0),
            stop: AtomicBool::new(false),
            failing: AtomicBool::new(false),
            chased: AtomicBool::new(false),
            state: Mutex::default(),
            changed: Condvar::new(),
        })
    }

    pub(crate) fn blocks(&self) -> u64 {
        self.total
    }

    /// Whether threads are to stop at the next opportunity.
    pub(crate) fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed) || self.cancel.is_cancelled()
    }

    /// Whether threads are to go on only as far as they do not wait for others.
    pub(crate) fn failing(&self) -> bool {
        self.failing.load(Ordering::Relaxed)
    }

    /// How many blocks are to start. Those that would run at once on a GPU are not kept from failing too.
    fn last(&self) -> u64 {
        if self.failing() {
            let each = (MOST_RESIDENT_THREADS / self.block_threads).clamp(1, MOST_RESIDENT_BLOCKS);
            self.total.min(u64::from(each * self.multiprocessors))
        } else {
            self.total
        }
    }

    pub(crate) fn has_unclaimed(&self) -> bool {
        self.next.load(Ordering::Relaxed) < self.last()
    }

    /// The processor that the launching thread ran on; it still does so, mostly.
    pub(crate) fn launched_on(&self) -> Option<usize> {
        self.launched_on
    }

    /// Whether no other block of the grid waits for an operating system thread.
    pub(crate) fn nothing_waits(&self) -> bool {
        !self.has_unclaimed() && self.parked_count.load(Ordering::Relaxed) == 0
    }

    /// Whether the blocks count on all of them being resident: half of two such grids would wait for ever.
    fn is_cooperative(&self) -> bool {
        self.workspace != 0
    }

    /// `%ctaid` of block `number`.
    pub(crate) fn ctaid(&self, number: u64) -> [u32; 3] {
        let [x, y, _] = self.grid.map(u64::from);
        [
            (number % x) as u32,
            (number / x % y) as u32,
            (number / x / y) as u32,
        ]
    }

    /// Some blocks of a plain kernel to run; `None` when all have been claimed.
    pub(crate) fn claim_chunk(&self) -> Option<Range<u64>> {
        if self.stopped() || !self.has_unclaimed() {
            return None;
        }
        // Less and less, so that all threads come to the end together.
        let last = self.last();
        let size = |first: u64| {
            let each = last.saturating_sub(first) / (u64::from(self.multiprocessors) * 4);
            each.clamp(1, LARGEST_CHUNK)
        };
        let claim = |first: u64| (first < last).then(|| first + size(first));
        let claimed = self
            .next
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, claim);
        let first = claimed.ok()?;
        Some(first..(first + size(first)).min(last))
    }

    /// Finds something to do. What it gives must be handed to [`Self::perform`].
    pub(crate) fn take(&self) -> Work {
        self.take_from(&mut self.lock())
    }

    fn take_from(&self, state: &mut State) -> Work {
        if self.stopped() || self.failing() && !self.has_unclaimed() {
            let parked = std::mem::take(&mut state.parked);
            self.parked_count.store(0, Ordering::Relaxed);
            self.retire(state, parked.len());
            for (_, mut block) in parked {
                block.abandon(self);
            }
            return if state.workers.is_empty() {
                Work::Done
            } else {
                Work::Wait(None)
            };
        }
        if !self.kernel.entry.threads_meet() {
            return self.take_plain(state);
        }
        let due = Self::due(state);
        let start = self.has_unclaimed() && (state.new_is_next || due.is_none());
        if start
            && self.stacks.admit(
                self.stacks_per_block,
                state.resident == 0 || self.is_cooperative(),
            )
        {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            if number < self.last() {
                state.resident += 1;
                state.enlist();
                state.new_is_next = false;
                return Work::Start(number, state.spare.pop());
            }
            self.stacks.dismiss(self.stacks_per_block);
        }
        state.new_is_next = true;
        if let Some((_, block)) = due.and_then(|index| state.parked.remove(index)) {
            self.parked_count
                .store(state.parked.len(), Ordering::Relaxed);
            state.enlist();
            return Work::Resume(block);
        }
        if state.workers.is_empty() && state.parked.is_empty() && !self.has_unclaimed() {
            return Work::Done;
        }
        Work::Wait(state.parked.iter().map(|(due, _)| *due).min())
    }

    fn take_plain(&self, state: &mut State) -> Work {
        if self.has_unclaimed() {
            state.enlist();
            Work::Plain
        } else if state.workers.is_empty() {
            Work::Done
        } else {
            Work::Wait(None)
        }
    }

    /// The parked block whose time has come and that has waited longest.
    fn due(state: &State) -> Option<usize> {
        if state.parked.is_empty() {
            return None;
        }
        let now = Instant::now();
        state.parked.iter().position(|(due, _)| *due <= now)
    }

    /// Does one piece of work, and stops at `until` where it can, so that the thread may look at other grids.
    pub(crate) fn perform(&self, work: Work, smid: u32, until: Option<Instant>) {
        let mut block = match work {
            Work::Plain => {
                let result = plain::run(self, smid, until);
                let mut state = self.lock();
                state.leave();
                if let Err(fault) = result {
                    self.fail(&mut state, fault);
                }
                self.changed.notify_all();
                return;
            }
            Work::Start(number, spare) => {
                let block = spare.map_or_else(|| Block::new(self, smid).map(Box::new), Ok);
                match block {
                    Ok(mut block) => {
                        block.start(self.ctaid(number));
                        block
                    }
                    Err(error) => {
                        tracing::error!(%error, "no memory for a block");
                        let fault = self.fault(Trap::StackOverflow, self.ctaid(number));
                        let mut state = self.lock();
                        state.leave();
                        self.retire(&mut state, 1);
                        self.fail(&mut state, fault);
                        self.changed.notify_all();
                        return;
                    }
                }
            }
            Work::Resume(block) => block,
            Work::Wait(_) | Work::Done => return,
        };
        let pause = block.run(self);
        let mut state = self.lock();
        state.leave();
        match pause {
            Pause::Parked(due) => {
                state.parked.push_back((due, block));
                self.parked_count
                    .store(state.parked.len(), Ordering::Relaxed);
            }
            Pause::Finished => {
                self.retire(&mut state, 1);
                state.spare.push(block);
            }
            Pause::Faulted(fault) => {
                self.retire(&mut state, 1);
                self.fail(&mut state, fault);
            }
        }
        self.changed.notify_all();
    }

    /// Works on the grid until all blocks are gone; then says how it ended. Before each piece of work, `urgent` does what
    /// goes before it, as long as there is such.
    pub(crate) fn drive(
        &self,
        smid: u32,
        slice: Duration,
        urgent: impl Fn() -> bool,
    ) -> Result<(), Fault> {
        while urgent() {}
        let mut idle_since = None;
        let mut state = self.lock();
        loop {
            state = match self.take_from(&mut state) {
                Work::Done => break,
                Work::Wait(None) => self.wait(state, &mut idle_since),
                Work::Wait(Some(until)) => {
                    let patience = until.saturating_duration_since(Instant::now());
                    self.changed
                        .wait_timeout(state, patience)
                        .unwrap_or_else(PoisonError::into_inner)
                        .0
                }
                work => {
                    drop(state);
                    self.perform(work, smid, Some(Instant::now() + slice));
                    idle_since = None;
                    while urgent() {}
                    self.lock()
                }
            };
        }
        let fault = state.fault.take();
        drop(state);
        self.output.finish(self.device.output());
        match fault {
            Some(fault) => Err(fault),
            None if self.cancel.is_cancelled() => Err(self.fault(Trap::Cancelled, [0; 3])),
            None => Ok(()),
        }
    }

    /// Waits for the others, at first without sleeping: to be woken takes longer than they mostly need.
    fn wait<'a>(
        &'a self,
        state: MutexGuard<'a, State>,
        idle_since: &mut Option<Instant>,
    ) -> MutexGuard<'a, State> {
        if idle_since.get_or_insert_with(Instant::now).elapsed() < LINGER {
            drop(state);
            spin();
            return self.lock();
        }
        self.changed
            .wait(state)
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// A fault of the first thread of a block.
    pub(crate) fn fault(&self, trap: Trap, block: [u32; 3]) -> Fault {
        let kernel = self.kernel.name.clone();
        Fault {
            trap,
            kernel,
            block,
            thread: [0; 3],
            address: None,
        }
    }

    fn retire(&self, state: &mut State, blocks: usize) {
        state.resident -= blocks;
        self.stacks.dismiss(blocks * self.stacks_per_block);
    }

    fn fail(&self, state: &mut State, fault: Fault) {
        state.fault.get_or_insert(fault);
        self.stop.store(true, Ordering::Relaxed);
        if !state.workers.is_empty() {
            self.chase();
        }
    }

    /// The assertion of a thread has failed. The launch will, once those threads whose turn it was are done.
    pub(crate) fn assertion_failed(&self, context: &ThreadContext) {
        let fault = Fault::at(&self.kernel.name, context, Trap::Assert, None);
        self.lock().fault.get_or_insert(fault);
        if !self.failing.swap(true, Ordering::Relaxed) {
            self.chase();
        }
    }

    /// Sees to it that the threads of a stopped or failing grid end, even those in endless loops: from a thread of its own, because
    /// the caller may be one that is waited for.
    pub(crate) fn chase(&self) {
        let Some(grid) = self.this.upgrade() else {
            return;
        };
        if grid.chased.swap(true, Ordering::Relaxed) {
            return;
        }
        let chase = move || {
            signals::keep_off_this_thread();
            grid.let_fail();
            grid.interrupt_workers();
        };
        let name = "rgpu-stop".to_owned();
        if let Err(error) = std::thread::Builder::new().name(name).spawn(chase) {
            tracing::error!(%error, "no thread to stop a kernel: it may never end");
        }
    }

    /// Stops a failing grid, unless it ends by itself.
    fn let_fail(&self) {
        let until = Instant::now() + LAST_WORDS;
        let mut state = self.lock();
        while (self.has_unclaimed() || !state.workers.is_empty())
            && !self.stopped()
            && Instant::now() < until
        {
            state = self
                .changed
                .wait_timeout(state, LONGEST_PAUSE)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Interrupts all that work on the grid until none is left. One that is in a library call, not in compiled code,
    /// must be met again; the pause grows, since a call may take long.
    fn interrupt_workers(&self) {
        let mut pause = FIRST_PAUSE;
        let mut state = self.lock();
        while !state.workers.is_empty() {
            for &thread in &state.workers {
                // SAFETY: a thread takes itself off the list before it ends, for which it needs the lock we hold.
                unsafe { signals::interrupt(thread) };
            }
            state = self
                .changed
                .wait_timeout(state, pause)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
