//! What runs when.
//!
//! A piece of work waits for tickets and, once it has run, punches its own. There are no queues: a stream is
//! the ticket of what was put into it last (see [`crate::stream`]). A piece that is ready gets a thread at
//! once, so work that waits for other work *inside* (a kernel that spins on memory, a callback) never holds
//! up what it waits for.

mod threads;
mod ticket;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::stream::Lane;

pub(crate) use threads::{is_ending, spawn_quiet};
pub(crate) use ticket::Ticket;

/// What to do; must not panic (a panic is caught and logged, and the ticket punched).
pub(crate) type Work = Box<dyn FnOnce() + Send>;

/// Work that waits for its tickets.
pub(crate) struct Job {
    /// Tickets still missing, plus one while the job is being set up.
    missing: AtomicUsize,
    work: Mutex<Option<Work>>,
    ticket: Arc<Ticket>,
    /// Whether a thread of the program may run it while it waits; the program's own functions may not.
    may_run_anywhere: bool,
}

/// Jobs of one chain run one after another: each waits for the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Chain {
    pub(crate) context: u64,
    pub(crate) lane: Lane,
}

impl std::fmt::Debug for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Job").field("ticket", &self.ticket).finish()
    }
}

impl Job {
    /// Counts one ticket down; whether it was the last.
    fn count_down(&self) -> bool {
        self.missing.fetch_sub(1, Ordering::AcqRel) == 1
    }

    /// Runs, and gives the jobs that may run now.
    fn run(&self) -> Vec<Arc<Self>> {
        let work = self
            .work
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(work) = work
            && std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).is_err()
        {
            tracing::error!("a piece of device work panicked");
        }
        let mut waiting = self.ticket.punch();
        waiting.retain(|job| job.count_down());
        waiting
    }
}

/// A piece of work that has its place in the order, but nobody to run it yet.
#[derive(Debug)]
#[must_use = "work that is not started blocks all that waits for it"]
pub(crate) struct Placed(Arc<Job>);

/// Gives `work` its place behind `after`, which the last of its chain is among. The ticket counts from now on; the work
/// runs once it is started.
pub(crate) fn place(
    chain: Chain,
    after: &[Arc<Ticket>],
    work: Work,
    may_run_anywhere: bool,
) -> (Arc<Ticket>, Placed) {
    let ticket = Arc::new(Ticket::new(chain));
    let job = Arc::new(Job {
        missing: AtomicUsize::new(1),
        work: Mutex::new(Some(work)),
        ticket: ticket.clone(),
        may_run_anywhere,
    });
    for earlier in after {
        job.missing.fetch_add(1, Ordering::AcqRel);
        if !earlier.hold(&job) {
            job.missing.fetch_sub(1, Ordering::AcqRel);
        }
    }
    (ticket, Placed(job))
}

impl Placed {
    /// Lets a thread of ours run it as soon as it may.
    pub(crate) fn start(self) {
        if self.0.count_down() {
            threads::run(self.0);
        }
    }

    /// Runs it on this thread if it may run now, otherwise as [`Self::start`]: for work that only marks a place.
    pub(crate) fn mark(self) {
        if self.0.count_down() {
            for next in self.0.run() {
                threads::run(next);
            }
        }
    }

    /// Runs it on this thread if it may run now; otherwise as [`Self::start`] and waits.
    pub(crate) fn run_here(self) {
        let ticket = self.0.ticket.clone();
        self.mark();
        ticket.wait();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::sync::mpsc::channel;

    use super::*;

    const CHAIN: Chain = Chain {
        context: 0,
        lane: Lane::Legacy,
    };

    fn start(after: &[Arc<Ticket>], work: impl FnOnce() + Send + 'static) -> Arc<Ticket> {
        let (ticket, placed) = place(CHAIN, after, Box::new(work), false);
        placed.start();
        ticket
    }

    #[test]
    fn work_runs_after_all_it_waits_for() {
        let log = Arc::new(Mutex::new(Vec::new()));
        let gate = Arc::new(Barrier::new(2));
        let note = |name: &'static str| {
            let log = log.clone();
            move || log.lock().unwrap().push(name)
        };
        let first = start(&[], {
            let (gate, note) = (gate.clone(), note("first"));
            move || {
                gate.wait();
                note();
            }
        });
        let second = start(std::slice::from_ref(&first), note("second"));
        let third = start(
            &[first.clone(), second.clone(), first.clone()],
            note("third"),
        );
        assert!(!first.is_done() && !second.is_done() && !third.is_done());
        gate.wait();
        third.wait();
        assert_eq!(*log.lock().unwrap(), ["first", "second", "third"]);
        assert!(first.time() <= second.time() && second.time() <= third.time());
    }

    #[test]
    fn work_that_blocks_does_not_hold_up_what_it_waits_for() {
        let (send, receive) = channel();
        let waits = start(&[], move || receive.recv().unwrap());
        let others: Vec<_> = (0..20).map(|_| start(&[], || ())).collect();
        others.iter().for_each(|other| other.wait());
        assert!(!waits.is_done());
        let frees = start(&others, move || send.send(()).unwrap());
        frees.wait();
        waits.wait();
    }

    #[test]
    fn what_runs_here_keeps_its_place() {
        let here = std::thread::current().id();
        let work = move || assert_eq!(std::thread::current().id(), here);
        let (ticket, placed) = place(CHAIN, &[], Box::new(work), true);
        let after = start(std::slice::from_ref(&ticket), || ());
        assert!(!after.is_done());
        placed.run_here();
        assert!(ticket.is_done());
        after.wait();
    }

    #[test]
    fn a_panic_still_punches_the_ticket() {
        let failed = start(&[], || panic!("on purpose"));
        failed.wait();
        start(&[failed], || ()).wait();
    }
}
