//! The operating system threads that run grids.

use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::cpu;
use super::grid::{Grid, LINGER, Plan, Work, spin};
use super::shared::SharedPool;
use super::stack::{DEFAULT_STACK, StackPool};
use super::{Device, Launch, LaunchError, MOST_BLOCK_THREADS, signals};

/// How long a thread runs blocks of one plain kernel before it looks at other grids.
const TIME_SLICE: Duration = Duration::from_millis(2);

/// Bytes of memory through which the blocks of a cooperative grid meet.
pub const WORKSPACE: u64 = 64;

/// Settings of a pool.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Operating system threads that one launch may use: the launching one and `threads - 1` of the pool.
    pub threads: u32,
    /// Bytes of stack of a device thread.
    pub stack: usize,
}

impl Options {
    /// Every core, or as many threads as `RGPU_SOFT_THREADS` says.
    pub fn from_env() -> Self {
        let cores = || std::thread::available_parallelism().map_or(1, |count| count.get() as u32);
        let setting = std::env::var("RGPU_SOFT_THREADS")
            .ok()
            .and_then(|text| text.parse().ok());
        let threads = setting.filter(|&threads| threads > 0).unwrap_or_else(cores);
        Self {
            threads,
            stack: DEFAULT_STACK,
        }
    }
}

/// Runs grids on one device.
#[derive(Debug)]
pub struct Pool {
    device: Arc<Device>,
    stacks: Arc<StackPool>,
    shared_memory: Arc<SharedPool>,
    shared: Arc<Shared>,
    threads: u32,
    launches: AtomicU32,
    workers: Vec<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    /// Grids that could use help.
    open: Mutex<Open>,
    changed: Condvar,
    /// The smallest priority number of an open grid.
    most_urgent: AtomicI32,
    /// Grids that have ever been open.
    entered: AtomicU32,
}

#[derive(Debug, Default)]
struct Open {
    grids: Vec<Arc<Grid>>,
    /// Where the next search starts, so that each grid has its turn.
    cursor: usize,
    closed: bool,
}

impl Shared {
    fn enter(&self, grid: &Arc<Grid>) {
        let mut open = self.lock();
        open.grids.push(grid.clone());
        self.note_urgency(&open);
        self.entered.fetch_add(1, Ordering::Relaxed);
    }

    fn leave(&self, grid: &Arc<Grid>) {
        let mut open = self.lock();
        open.grids.retain(|other| !Arc::ptr_eq(other, grid));
        self.note_urgency(&open);
    }

    fn note_urgency(&self, open: &Open) {
        let priorities = open.grids.iter().map(|grid| grid.priority);
        let least = priorities.min().unwrap_or(i32::MAX);
        self.most_urgent.store(least, Ordering::Relaxed);
    }

    /// Starts blocks of a grid that goes before those of `priority`; false if there are none to start. A block that only
    /// goes on, because it polls, may wait for what the caller has to do: that is done once, and not counted.
    fn help_more_urgent(&self, priority: i32, smid: u32) -> bool {
        if self.most_urgent.load(Ordering::Relaxed) >= priority {
            return false;
        }
        let found = find(&mut self.lock(), |grid| {
            grid.priority < priority && grid.has_unclaimed()
        });
        let Ok((grid, work)) = found else {
            return false;
        };
        let starts = matches!(work, Work::Plain | Work::Start(..));
        grid.perform(work, smid, Some(Instant::now() + TIME_SLICE));
        starts
    }

    /// Looks for the next grid for a while, without sleeping; whether one came.
    fn linger(&self, entered: u32) -> bool {
        let start = Instant::now();
        while start.elapsed() < LINGER {
            if self.entered.load(Ordering::Relaxed) != entered {
                return true;
            }
            spin();
        }
        false
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pool {
    /// Starts the threads.
    pub fn new(device: Arc<Device>, options: Options) -> std::io::Result<Self> {
        let threads = options.threads.max(1);
        let mut pool = Self {
            device,
            stacks: Arc::new(StackPool::new(options.stack, threads)),
            shared_memory: Arc::default(),
            shared: Arc::default(),
            threads,
            launches: AtomicU32::new(1),
            workers: Vec::new(),
        };
        for smid in 1..threads {
            let shared = pool.shared.clone();
            let name = format!("rgpu-soft-{smid}");
            pool.workers.push(
                std::thread::Builder::new()
                    .name(name)
                    .spawn(move || help(&shared, smid))?,
            );
        }
        Ok(pool)
    }

    /// The device.
    pub fn device(&self) -> &Arc<Device> {
        &self.device
    }

    /// How many operating system threads a launch may use; what `%nsmid` says.
    pub fn threads(&self) -> u32 {
        self.threads
    }

    /// Makes the stacks of device threads at least `size` bytes.
    pub fn grow_stacks(&self, size: usize) {
        self.stacks.grow(size);
    }

    /// Runs a grid; returns when its last thread has ended. What it printed is then in [`Device::output`].
    pub fn launch(&self, launch: &Launch<'_>) -> Result<(), LaunchError> {
        self.launch_with(launch, 0, 0)
    }

    /// As [`Self::launch`]. For blocks that meet, `workspace` is the device address of [`WORKSPACE`] bytes of zeros that
    /// only this launch uses; otherwise 0. Of several grids, blocks of the one with the smallest `priority` start first.
    pub fn launch_with(
        &self,
        launch: &Launch<'_>,
        workspace: u64,
        priority: i32,
    ) -> Result<(), LaunchError> {
        let grid = Grid::new(
            self.plan(launch, workspace, priority)?,
            self.device.clone(),
            self.stacks.clone(),
            self.shared_memory.clone(),
        );
        launch.cancel.watch(&grid);
        signals::prepare_thread();
        let urgent = || self.shared.help_more_urgent(priority, 0);
        if grid.blocks() == 1 {
            return Ok(grid.drive(0, TIME_SLICE, urgent)?);
        }
        self.shared.enter(&grid);
        // A helper that finds work wakes the next.
        self.shared.changed.notify_one();
        let result = grid.drive(0, TIME_SLICE, urgent);
        self.shared.leave(&grid);
        Ok(result?)
    }

    fn plan(
        &self,
        launch: &Launch<'_>,
        workspace: u64,
        priority: i32,
    ) -> Result<Plan, LaunchError> {
        let kernel = launch.kernel.clone();
        if launch.grid.contains(&0) || launch.block.contains(&0) {
            return Err(LaunchError::Invalid("a dimension is zero"));
        }
        // Each is checked before they are multiplied.
        let fits = launch
            .block
            .iter()
            .all(|&count| count <= MOST_BLOCK_THREADS);
        let block_threads = if fits {
            launch.block.iter().product()
        } else {
            u32::MAX
        };
        if block_threads > MOST_BLOCK_THREADS {
            return Err(LaunchError::Invalid("more threads than a block may have"));
        }
        if launch.grid[0] > i32::MAX as u32 || launch.grid[1] > 65535 || launch.grid[2] > 65535 {
            return Err(LaunchError::Invalid("more blocks than a grid may have"));
        }
        if launch.params.len() < kernel.params_size as usize {
            return Err(LaunchError::Invalid(
                "fewer parameter bytes than the kernel has",
            ));
        }
        let shared_size = if launch.dynamic_shared == 0 {
            Some(kernel.static_shared)
        } else {
            kernel
                .static_shared
                .checked_next_multiple_of(16)
                .and_then(|size| size.checked_add(launch.dynamic_shared))
        };
        Ok(Plan {
            grid: launch.grid,
            block: launch.block,
            block_threads,
            dynamic_shared: launch.dynamic_shared,
            shared_size: shared_size.ok_or(LaunchError::Invalid(
                "more shared memory than there are addresses",
            ))?,
            params: aligned(&launch.params[..kernel.params_size as usize]),
            params_size: u64::from(kernel.params_size),
            id: self.launches.fetch_add(1, Ordering::Relaxed),
            multiprocessors: self.threads,
            priority,
            workspace,
            cancel: launch.cancel.clone(),
            kernel,
        })
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.changed.notify_all();
        for worker in self.workers.drain(..) {
            // A worker that panicked has said so.
            let _ = worker.join();
        }
    }
}

/// A copy of `bytes`, aligned as parameters may need it.
fn aligned(bytes: &[u8]) -> Box<[u128]> {
    bytes
        .chunks(16)
        .map(|chunk| {
            let mut word = [0; 16];
            word[..chunk.len()].copy_from_slice(chunk);
            u128::from_ne_bytes(word)
        })
        .collect()
}

/// A pool thread: helps the most urgent grid that can use it, equals in their turn.
fn help(shared: &Shared, smid: u32) {
    signals::keep_off_this_thread();
    signals::prepare_thread();
    let mut open = shared.lock();
    let mut worked = false;
    while !open.closed {
        match find(&mut open, |_| true) {
            Ok((grid, work)) => {
                drop(open);
                if grid.has_unclaimed() {
                    shared.changed.notify_one();
                }
                cpu::leave(grid.launched_on());
                grid.perform(work, smid, Some(Instant::now() + TIME_SLICE));
                drop(grid);
                worked = true;
                open = shared.lock();
            }
            Err(None) if std::mem::take(&mut worked) => {
                let entered = shared.entered.load(Ordering::Relaxed);
                drop(open);
                worked = shared.linger(entered);
                open = shared.lock();
            }
            Err(None) => {
                open = shared
                    .changed
                    .wait(open)
                    .unwrap_or_else(PoisonError::into_inner)
            }
            Err(Some(due)) => {
                let patience = due.saturating_duration_since(Instant::now());
                open = shared
                    .changed
                    .wait_timeout(open, patience)
                    .unwrap_or_else(PoisonError::into_inner)
                    .0;
            }
        }
    }
}

/// Work of the most urgent of the `wanted` grids that has any, or when there may be some.
fn find(
    open: &mut Open,
    wanted: impl Fn(&Grid) -> bool,
) -> Result<(Arc<Grid>, Work), Option<Instant>> {
    let count = open.grids.len();
    let mut earliest: Option<Instant> = None;
    let mut done: Option<i32> = None;
    let next_level = |done: Option<i32>, open: &Open| {
        let priorities = open.grids.iter().map(|grid| grid.priority);
        let left = priorities.filter(|&priority| done.is_none_or(|done| priority > done));
        left.min()
    };
    while let Some(level) = next_level(done, open) {
        for offset in 0..count {
            let index = (open.cursor + offset) % count;
            let grid = &open.grids[index];
            if grid.priority != level || !wanted(grid) {
                continue;
            }
            match grid.take() {
                Work::Done | Work::Wait(None) => {}
                Work::Wait(Some(due)) => {
                    earliest = Some(earliest.map_or(due, |other| other.min(due)));
                }
                work => {
                    open.cursor = index + 1;
                    return Ok((open.grids[index].clone(), work));
                }
            }
        }
        done = Some(level);
    }
    Err(earliest)
}
