//! The threads that carry out work: made when there is work and none is idle, kept a while for more.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{Chain, Job, Ticket};

/// How long an idle thread waits for more work.
const IDLE: Duration = Duration::from_secs(10);

struct Threads {
    state: Mutex<State>,
    more: Condvar,
}

struct State {
    /// Never longer than `idle`: each has a thread that is waking up for it.
    ready: VecDeque<Arc<Job>>,
    idle: usize,
}

static THREADS: Threads = Threads {
    state: Mutex::new(State {
        ready: VecDeque::new(),
        idle: 0,
    }),
    more: Condvar::new(),
};

/// Runs `job` on a thread, at once.
pub(super) fn run(job: Arc<Job>) {
    let mut state = THREADS.lock();
    if state.ready.len() < state.idle {
        state.ready.push_back(job);
        THREADS.more.notify_one();
        return;
    }
    drop(state);
    let spawned = spawn_quiet("rgpu-stream", {
        let job = job.clone();
        move || serve(job)
    });
    if let Err(error) = spawned {
        tracing::error!(%error, "no thread for device work: it runs where it was asked for");
        serve_chain(job, None);
    }
}

/// Takes a job of `chain` that waits for a thread to wake up.
pub(super) fn take_ready(chain: Chain) -> Option<Arc<Job>> {
    let mut state = THREADS.lock();
    let mine = |job: &Arc<Job>| job.may_run_anywhere && job.ticket.chain() == chain;
    let index = state.ready.iter().position(mine)?;
    state.ready.remove(index)
}

impl Threads {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next job, or `None` after [`IDLE`] without one.
    fn next(&self) -> Option<Arc<Job>> {
        let mut state = self.lock();
        state.idle += 1;
        loop {
            if let Some(job) = state.ready.pop_front() {
                state.idle -= 1;
                return Some(job);
            }
            let (again, wait) = self
                .more
                .wait_timeout(state, IDLE)
                .unwrap_or_else(PoisonError::into_inner);
            state = again;
            if wait.timed_out() && state.ready.is_empty() {
                state.idle -= 1;
                return None;
            }
        }
    }
}

fn serve(first: Arc<Job>) {
    serve_chain(first, None);
    while let Some(job) = THREADS.next() {
        serve_chain(job, None);
    }
}

/// Runs a job and, on the same thread, one of those that waited for it; the rest get threads of their own. A thread of
/// the program, which waits for a ticket, goes on only with what that ticket is behind.
pub(super) fn serve_chain(first: Arc<Job>, waiting: Option<&Ticket>) {
    let goes_on =
        |job: &Arc<Job>| waiting.is_none_or(|ticket| job.may_run_anywhere && ticket.is_behind(job));
    let mut current = Some(first);
    while let Some(job) = current.take() {
        for ready in job.run() {
            if current.is_none() && goes_on(&ready) {
                current = Some(ready);
            } else {
                run(ready);
            }
        }
    }
}

/// Something that is gone when the thread ends.
struct Alive;

impl Drop for Alive {
    fn drop(&mut self) {}
}

thread_local! {
    static ALIVE: Alive = const { Alive };
}

/// Whether this thread's own data is being destroyed, or was: programs call the driver even then, from what they
/// registered with `atexit`. Only what needs no data of the thread may be done.
pub(crate) fn is_ending() -> bool {
    ALIVE.try_with(|_| ()).is_err()
}

/// Starts a thread that takes no signals meant for the program.
pub(crate) fn spawn_quiet<T: Send + 'static>(
    name: &str,
    body: impl FnOnce() -> T + Send + 'static,
) -> std::io::Result<std::thread::JoinHandle<T>> {
    let builder = std::thread::Builder::new().name(name.to_owned());
    builder.spawn(move || {
        block_signals();
        body()
    })
}

/// Blocks all signals but those that a fault of this very thread raises.
fn block_signals() {
    const FAULTS: [libc::c_int; 5] = [
        libc::SIGSEGV,
        libc::SIGBUS,
        libc::SIGFPE,
        libc::SIGILL,
        libc::SIGTRAP,
    ];
    // SAFETY: a zeroed sigset_t is a valid target of sigfillset; all pointers are to locals.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&raw mut set);
        for signal in FAULTS {
            libc::sigdelset(&raw mut set, signal);
        }
        libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut());
    }
}
