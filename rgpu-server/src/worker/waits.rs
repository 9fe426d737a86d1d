//! Waiting apart from issuing.
//!
//! The issuing thread never waits for the device: it records where a stream has got, and a thread from
//! [`Tasks`] waits for that and answers. [`Deliveries`] keeps one promise between those threads: when a wait
//! is answered, the data of every earlier copy to the host that had finished by then has been sent, and so
//! has the answer to every watch of an event that had happened.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rgpu_proto::opcode::Opcode;
use rgpu_proto::status::Status;

use super::event::Event;
use super::output::Output;
use super::writer::Writer;

/// How long the issuing thread looks for the end of a short piece of work before it hands the waiting over:
/// less than the 58 to 71 µs that waking another thread costs on a virtual machine.
const SHORT: Duration = Duration::from_micros(30);

/// Whether all of `events` happen within a moment.
pub(super) fn happen_shortly(events: &[Event]) -> bool {
    let deadline = Instant::now() + SHORT;
    loop {
        if events.iter().all(|event| !event.is_pending()) {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        thread::yield_now();
    }
}

/// Tasks that use a context and must have ended when it does.
#[derive(Debug, Default, Clone)]
pub(super) struct Underway(Arc<UnderwayCount>);

#[derive(Debug, Default)]
struct UnderwayCount {
    count: Mutex<usize>,
    ended: Condvar,
}

/// One of them; it has ended when this is dropped.
#[derive(Debug)]
pub(super) struct UnderwayTask(Underway);

impl Underway {
    fn lock(&self) -> MutexGuard<'_, usize> {
        self.0.count.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a task.
    pub(super) fn begin(&self) -> UnderwayTask {
        *self.lock() += 1;
        UnderwayTask(self.clone())
    }

    /// Waits until none is left.
    pub(super) fn wait(&self) {
        let mut count = self.lock();
        while *count > 0 {
            count = self
                .0
                .ended
                .wait(count)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Drop for UnderwayTask {
    fn drop(&mut self) {
        *self.0.lock() -= 1;
        self.0.0.ended.notify_all();
    }
}

type Task = Box<dyn FnOnce() + Send>;

/// Threads for tasks that wait; made as needed and kept.
#[derive(Default, Clone)]
pub(super) struct Tasks(Arc<TaskQueue>);

#[derive(Default)]
struct TaskQueue {
    state: Mutex<TaskState>,
    added: Condvar,
}

#[derive(Default)]
struct TaskState {
    queue: VecDeque<Task>,
    idle: usize,
}

impl std::fmt::Debug for Tasks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tasks").finish_non_exhaustive()
    }
}

impl Tasks {
    /// Runs `task` on a thread that does nothing else meanwhile.
    pub(super) fn run(&self, task: impl FnOnce() + Send + 'static) -> Result<(), Status> {
        let mut state = self.0.lock();
        if state.queue.len() < state.idle {
            state.queue.push_back(Box::new(task));
            drop(state);
            self.0.added.notify_one();
            return Ok(());
        }
        drop(state);
        let queue = Arc::clone(&self.0);
        thread::Builder::new()
            .name("rgpu-wait".into())
            .spawn(move || {
                task();
                queue.work();
            })
            .map(drop)
            .map_err(|_| Status::ERROR_OPERATING_SYSTEM)
    }
}

impl TaskQueue {
    fn lock(&self) -> MutexGuard<'_, TaskState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) {
        let mut state = self.lock();
        loop {
            if let Some(task) = state.queue.pop_front() {
                drop(state);
                task();
                state = self.lock();
                continue;
            }
            state.idle += 1;
            state = self
                .added
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
            state.idle -= 1;
        }
    }
}

/// What has happened on the device and has not been sent yet, by the number of its call.
#[derive(Debug, Default)]
pub(super) struct Deliveries {
    pending: Mutex<Pending>,
    sent: Condvar,
}

#[derive(Debug, Default)]
struct Pending {
    /// Copies to the host whose data has not been sent, with the events that they are finished at.
    copies: BTreeMap<u64, Arc<Event>>,
    /// Events of the client whose happening it is to be told.
    watches: BTreeMap<u64, Arc<Event>>,
}

impl Pending {
    fn finished_before(&self, seq: u64) -> bool {
        self.copies
            .range(..seq)
            .any(|(_, finished)| !finished.is_pending())
    }
}

impl Deliveries {
    fn lock(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The copy of call `seq` is finished on the device at `finished`.
    pub(super) fn add(&self, seq: u64, finished: Arc<Event>) {
        self.lock().copies.insert(seq, finished);
    }

    /// The data of call `seq` has been sent.
    pub(super) fn done(&self, seq: u64) {
        self.lock().copies.remove(&seq);
        self.sent.notify_all();
    }

    /// Call `seq` is to be answered when `event` has happened, by whoever notices first.
    pub(super) fn watch(&self, seq: u64, event: Arc<Event>) {
        self.lock().watches.insert(seq, event);
    }

    /// Sends what the client may look for once call `seq` is answered: the data of every finished copy before it,
    /// what kernels printed, and which watched events have happened.
    pub(super) fn settle(&self, seq: u64, output: &Output, writer: &Writer) {
        let mut pending = self.lock();
        while pending.finished_before(seq) {
            pending = self
                .sent
                .wait(pending)
                .unwrap_or_else(PoisonError::into_inner);
        }
        drop(pending);
        output.drain(writer);
        self.tell(writer);
    }

    /// Answers the watches whose events have happened, but for those that come after a copy not sent yet.
    pub(super) fn tell(&self, writer: &Writer) {
        const WATCH: Opcode = Opcode::of("cuEventSynchronize");
        let mut pending = self.lock();
        let happened: Vec<u64> = pending
            .watches
            .iter()
            .filter(|(seq, event)| !event.is_pending() && !pending.finished_before(**seq))
            .map(|(seq, _)| *seq)
            .collect();
        for seq in happened {
            if let Some(event) = pending.watches.remove(&seq) {
                // A client that is gone is noticed by the session's reader.
                let _ = writer.reply(seq, WATCH, Status::of(event.query()), &[]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn a_context_outlives_the_tasks_in_it() {
        let underway = Underway::default();
        underway.wait();
        let (first, second) = (underway.begin(), underway.begin());
        let (ended, wait_ended) = mpsc::channel();
        let waiting = thread::spawn({
            let underway = underway.clone();
            move || {
                underway.wait();
                wait_ended.try_iter().count()
            }
        });
        for task in [first, second] {
            ended.send(()).expect("the thread listens");
            drop(task);
        }
        assert_eq!(waiting.join().expect("no panic"), 2);
    }

    #[test]
    fn tasks_that_wait_do_not_hold_each_other_up() {
        let tasks = Tasks::default();
        let (first, wait_first) = mpsc::channel();
        let (done, wait_done) = mpsc::channel();
        tasks
            .run(move || {
                wait_first.recv().expect("second runs");
                done.send(()).expect("test waits");
            })
            .expect("thread");
        tasks
            .run(move || first.send(()).expect("first waits"))
            .expect("thread");
        wait_done.recv().expect("both ran");
    }
}
