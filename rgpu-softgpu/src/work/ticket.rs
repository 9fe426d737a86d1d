//! Tickets: the end of a piece of work, which others wait for.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};
use std::time::Instant;

use super::{Chain, Job, threads};

/// Punched once, when its work has ended.
#[derive(Debug)]
pub(crate) struct Ticket {
    chain: Chain,
    /// Nanoseconds since the first look at the clock, plus one; 0 while the work has not ended.
    time: AtomicU64,
    waiting: Mutex<Vec<Arc<Job>>>,
    punched: Condvar,
}

impl Ticket {
    pub(super) fn new(chain: Chain) -> Self {
        Self {
            chain,
            time: AtomicU64::new(0),
            waiting: Mutex::default(),
            punched: Condvar::new(),
        }
    }

    pub(crate) fn is_done(&self) -> bool {
        self.time() != 0
    }

    /// When the work ended, in nanoseconds; 0 if it has not.
    pub(crate) fn time(&self) -> u64 {
        self.time.load(Ordering::Acquire)
    }

    /// Waits for the end of the work. What of its chain is ready, and has no thread yet, runs on this thread: that
    /// saves two thread switches, and holds nothing up, since this ticket waits for it anyway.
    pub(crate) fn wait(&self) {
        while !self.is_done() {
            // Kernels need data of the thread that runs them.
            let help = !threads::is_ending();
            match help.then(|| threads::take_ready(self.chain)).flatten() {
                Some(job) => threads::serve_chain(job, Some(self)),
                None => self.sleep(),
            }
        }
    }

    /// Whether `job` comes before the end of this ticket's own work.
    pub(super) fn is_behind(&self, job: &Job) -> bool {
        !self.is_done() && job.ticket.chain == self.chain
    }

    pub(super) fn chain(&self) -> Chain {
        self.chain
    }

    fn sleep(&self) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        while !self.is_done() {
            waiting = self
                .punched
                .wait(waiting)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Makes `job` wait for this ticket; false if it is punched already.
    pub(super) fn hold(&self, job: &Arc<Job>) -> bool {
        if self.is_done() {
            return false;
        }
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if self.is_done() {
            return false;
        }
        waiting.push(job.clone());
        true
    }

    /// Punches; gives those that waited.
    pub(super) fn punch(&self) -> Vec<Arc<Job>> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        self.time.store(now(), Ordering::Release);
        self.punched.notify_all();
        std::mem::take(&mut *waiting)
    }
}

fn now() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    let start = *START.get_or_init(Instant::now);
    start.elapsed().as_nanos() as u64 + 1
}
