//! The scheduler's heart: one thread that owns the queue and the broker, takes one message after the other, and
//! writes every change to the database before anybody hears of it.
//!
//! What decides is pure and lives in [`crate::queue`] and [`crate::broker`]; jobs run as tasks of the runtime and
//! report back by messages.

mod handle;
mod refresh;

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::{broadcast, mpsc, oneshot, watch};

pub(crate) use self::handle::{CoreError, CoreHandle};
pub(crate) use self::refresh::{Refresh, refresh_gpus};

use crate::broker::{Broker, GpuDevice, InventoryError, ServerView};
use crate::db::{Db, DbError};
use crate::function::{Function, Memory};
use crate::launcher::{Job, JobEnd, Launcher, Stop};
use crate::queue::{
    Decision, GpuLease, Invocation, InvocationId, Leavings, Match, Outcome, Phase, Queue, Recovery,
    State, Step, Trigger, Waiting, match_event,
};
use crate::store::{Chain, Notice, ObjectEvent};
use crate::time::Timestamp;

/// After so many ended jobs, old history is forgotten.
const PRUNE_EVERY: u32 = 100;

/// What the GPU servers said, by URL.
pub(crate) type GpuReports = Vec<(String, Result<Vec<GpuDevice>, InventoryError>)>;

/// What became of a wish to cancel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cancelled {
    /// It will not run, or is being stopped.
    Yes,
    /// It had ended before.
    AlreadyEnded(State),
    /// There is no such invocation.
    Unknown,
}

/// How much there is to do.
#[derive(Clone, Debug, Default)]
pub(crate) struct Overview {
    pub(crate) waiting: usize,
    pub(crate) running: usize,
    pub(crate) gpus: Vec<ServerView>,
}

/// Messages to the core.
#[derive(Debug)]
pub(crate) enum Message {
    Created(Notice),
    Apply(Box<Function>, oneshot::Sender<Result<bool, DbError>>),
    Delete(String, oneshot::Sender<Result<bool, DbError>>),
    Cancel(InvocationId, oneshot::Sender<Result<Cancelled, DbError>>),
    Phase(InvocationId, Phase, Timestamp),
    Ended(InvocationId, JobEnd),
    Gpus(GpuReports),
    Overview(oneshot::Sender<Overview>),
    /// Stop all jobs; start no more.
    Drain,
    /// End once no job is left.
    Exit,
}

/// What the core needs to start.
#[derive(Debug)]
pub(crate) struct CoreParts {
    pub(crate) db: Arc<Db>,
    pub(crate) queue: Queue,
    pub(crate) broker: Broker,
    pub(crate) launcher: Launcher,
    pub(crate) refresh: Arc<Refresh>,
    pub(crate) region: String,
    pub(crate) keep_invocations: usize,
    pub(crate) base: PathBuf,
}

struct Running {
    invocation: Invocation,
    stop: watch::Sender<Option<Stop>>,
}

pub(crate) struct Core {
    parts: CoreParts,
    functions: BTreeMap<String, Arc<Function>>,
    running: HashMap<InvocationId, Running>,
    runtime: Handle,
    messages: mpsc::UnboundedSender<Message>,
    changes: broadcast::Sender<Arc<Invocation>>,
    draining: bool,
    ended_since_prune: u32,
}

impl Core {
    /// Reads the database, takes up what an earlier run left, and starts the thread.
    pub(crate) fn start(parts: CoreParts, runtime: Handle) -> Result<CoreHandle, DbError> {
        let (messages, inbox) = mpsc::unbounded_channel();
        let (changes, _) = broadcast::channel(1024);
        let stored = parts.db.functions()?;
        let functions = stored
            .into_iter()
            .map(|f| (f.function.name.clone(), Arc::new(f.function)))
            .collect();
        let mut core = Self {
            parts,
            functions,
            running: HashMap::new(),
            runtime,
            messages: messages.clone(),
            changes: changes.clone(),
            draining: false,
            ended_since_prune: PRUNE_EVERY,
        };
        core.take_up()?;
        let refresh = Arc::clone(&core.parts.refresh);
        let thread = std::thread::Builder::new()
            .name("rgpu-sched".to_owned())
            .spawn(move || core.run(inbox))
            .map_err(|e| DbError::Damaged {
                what: "thread",
                of: "scheduler".into(),
                why: e.to_string(),
            })?;
        Ok(CoreHandle::new(messages, changes, refresh, thread))
    }

    fn run(mut self, mut inbox: mpsc::UnboundedReceiver<Message>) {
        self.parts.refresh.request();
        self.schedule(false);
        while let Some(message) = inbox.blocking_recv() {
            match message {
                Message::Exit if self.running.is_empty() => return,
                // Asked again by each job that ends.
                Message::Exit => self.exit_after_jobs(&mut inbox),
                other => self.handle(other),
            }
        }
    }

    /// The last part of a run: only waits for jobs that have been told to stop.
    fn exit_after_jobs(&mut self, inbox: &mut mpsc::UnboundedReceiver<Message>) {
        self.drain();
        while !self.running.is_empty() {
            match inbox.blocking_recv() {
                Some(Message::Exit) => {}
                Some(message) => self.handle(message),
                None => return,
            }
        }
        inbox.close();
    }

    fn handle(&mut self, message: Message) {
        match message {
            Message::Created(notice) => self.created(notice),
            Message::Apply(function, reply) => drop(reply.send(self.apply(*function))),
            Message::Delete(name, reply) => drop(reply.send(self.delete(&name))),
            Message::Cancel(id, reply) => drop(reply.send(self.cancel(id))),
            Message::Phase(id, phase, at) => self.phase(id, phase, at),
            Message::Ended(id, end) => self.ended(id, end),
            Message::Gpus(reports) => {
                for (url, answer) in reports {
                    self.parts.broker.report(&url, answer);
                }
                self.schedule(true);
            }
            Message::Overview(reply) => {
                let (waiting, running) = self.parts.queue.counts();
                drop(reply.send(Overview {
                    waiting,
                    running,
                    gpus: self.parts.broker.view(),
                }));
            }
            Message::Drain => self.drain(),
            Message::Exit => {}
        }
    }

    /// Invocations of an earlier run: those that waited wait on, those that ran are recovered.
    fn take_up(&mut self) -> Result<(), DbError> {
        let now = Timestamp::now();
        for mut invocation in self.parts.db.unfinished()? {
            if invocation.state == State::Running {
                match invocation.recover(now) {
                    Ok(Recovery::Retried) => {
                        tracing::info!(id = %invocation.id, "a job that was cut off waits again")
                    }
                    Ok(Recovery::GivenUp) => {
                        tracing::warn!(id = %invocation.id, "a job was cut off again and is given up")
                    }
                    Err(error) => tracing::error!(%error, "cannot recover"),
                }
                self.parts.db.save_invocation(&invocation)?;
            }
            if invocation.state != State::Pending {
                continue;
            }
            match self.functions.get(&invocation.function) {
                Some(function) => self.parts.queue.push(waiting(&invocation, function)),
                None => self.finish(invocation, Outcome::Cancelled, Leavings::default()),
            }
        }
        Ok(())
    }

    /// An upload: recorded for every function that it starts, and only then acknowledged.
    fn created(&mut self, notice: Notice) {
        let Notice { event, accepted } = notice;
        match self.record(&event) {
            // The uploader may have gone away; the event counts all the same.
            Ok(()) => drop(accepted.send(())),
            Err(error) => {
                tracing::error!(bucket = event.bucket, key = event.key, %error, "an upload was not recorded")
            }
        }
        self.schedule(false);
    }

    fn record(&mut self, event: &ObjectEvent) -> Result<(), DbError> {
        for function in self.functions.values() {
            let (name, object) = (
                &function.name,
                format!("s3://{}/{}", event.bucket, event.key),
            );
            match match_event(function, event) {
                Match::No => continue,
                Match::Loop => {
                    tracing::warn!(
                        function = name,
                        object,
                        "not started: the function's own result led to this object"
                    );
                    continue;
                }
                Match::TooDeep => {
                    tracing::warn!(
                        function = name,
                        object,
                        "not started: the chain of functions is too long"
                    );
                    continue;
                }
                Match::Starts => {}
            }
            let key = (event.bucket.clone(), event.key.clone(), event.etag.clone());
            if let Some(id) = self.parts.queue.duplicate_of(name, &key) {
                tracing::info!(function = name, object, %id, "the same object already waits");
                continue;
            }
            let mut chain = event.chain.0.clone();
            chain.push(name.clone());
            let json = event.to_json(&self.parts.region);
            let made = self.parts.db.create_invocation(
                name,
                trigger(event),
                Chain(chain),
                &json,
                Timestamp::now(),
            )?;
            let Some(invocation) = made else { continue };
            tracing::info!(function = name, object, id = %invocation.id, "invocation");
            self.parts.queue.push(waiting(&invocation, function));
            if function.gpu.is_some() {
                self.parts.refresh.request();
            }
            announce(&self.changes, invocation);
        }
        Ok(())
    }

    fn apply(&mut self, function: Function) -> Result<bool, DbError> {
        let new = self
            .parts
            .db
            .put_function(function.spec(), Timestamp::now())?;
        let gpu = function.gpu.as_ref().map(Memory::get);
        self.parts
            .queue
            .update_function(&function.name, function.max_parallel, gpu);
        self.functions
            .insert(function.name.clone(), Arc::new(function));
        if gpu.is_some() {
            self.parts.refresh.request();
        }
        self.schedule(false);
        Ok(new)
    }

    fn delete(&mut self, name: &str) -> Result<bool, DbError> {
        let there = self.parts.db.delete_function(name)?;
        self.functions.remove(name);
        for id in self.parts.queue.withdraw_function(name) {
            if let Some(invocation) = self.parts.db.invocation(id)? {
                self.finish(invocation, Outcome::Cancelled, Leavings::default());
            }
        }
        Ok(there)
    }

    fn cancel(&mut self, id: InvocationId) -> Result<Cancelled, DbError> {
        if let Some(running) = self.running.get(&id) {
            running.stop.send_replace(Some(Stop::Cancel));
            return Ok(Cancelled::Yes);
        }
        let Some(invocation) = self.parts.db.invocation(id)? else {
            return Ok(Cancelled::Unknown);
        };
        if invocation.state.is_final() {
            return Ok(Cancelled::AlreadyEnded(invocation.state));
        }
        self.parts.queue.withdraw(id);
        self.finish(invocation, Outcome::Cancelled, Leavings::default());
        Ok(Cancelled::Yes)
    }

    fn phase(&mut self, id: InvocationId, phase: Phase, at: Timestamp) {
        let Some(running) = self.running.get_mut(&id) else {
            return;
        };
        if let Err(error) = running.invocation.advance(phase, at) {
            tracing::error!(%error, "a job reported a phase out of order");
            return;
        }
        let invocation = running.invocation.clone();
        self.save(invocation);
    }

    fn ended(&mut self, id: InvocationId, end: JobEnd) {
        let Some(running) = self.running.remove(&id) else {
            return;
        };
        self.parts.queue.finished(id);
        self.parts.broker.release(id);
        match end {
            JobEnd::Finished(outcome, leavings) => {
                if running.invocation.gpu.is_some() {
                    self.parts.refresh.request();
                }
                self.finish(running.invocation, outcome, leavings);
                self.prune();
            }
            // Stays Running in the database; the next start recovers it.
            JobEnd::Interrupted => tracing::info!(%id, "job interrupted"),
        }
        self.schedule(false);
    }

    fn finish(&mut self, mut invocation: Invocation, outcome: Outcome, leavings: Leavings) {
        if let Err(error) = invocation.finish(outcome, leavings, Timestamp::now()) {
            tracing::error!(%error, "cannot end an invocation");
            return;
        }
        tracing::info!(id = %invocation.id, function = invocation.function, state = %invocation.state,
            error = invocation.error.as_deref().unwrap_or_default(), "ended");
        self.save(invocation);
    }

    fn save(&self, invocation: Invocation) {
        if let Err(error) = self.parts.db.save_invocation(&invocation) {
            tracing::error!(id = %invocation.id, %error, "a change was not recorded");
        }
        announce(&self.changes, invocation);
    }

    /// Starts what can start. Jobs that need a GPU are placed only on fresh reports, which arrive by request.
    fn schedule(&mut self, reports_are_fresh: bool) {
        if self.draining {
            return;
        }
        let CoreParts {
            queue,
            broker,
            refresh,
            ..
        } = &mut self.parts;
        broker.begin_round();
        let steps = queue.schedule(|w| match w.gpu {
            None => Decision::Grant(None),
            Some(_) if !reports_are_fresh => Decision::Wait,
            Some(memory) => match broker.decide(w.id, memory) {
                Decision::Grant(lease) => Decision::Grant(Some(lease)),
                Decision::Wait => Decision::Wait,
                Decision::Never(reason) => Decision::Never(reason),
            },
        });
        refresh.set_waiting(queue.waiting_for_gpu().next().is_some());
        for step in steps {
            let (id, started) = match step {
                Step::Start(id, lease) => (id, self.begin(id, lease)),
                Step::Fail(id, error) => (id, Err(error)),
            };
            if let Err(error) = started {
                self.fail_before_start(id, error);
            }
        }
    }

    fn begin(&mut self, id: InvocationId, lease: Option<GpuLease>) -> Result<(), String> {
        let db = &self.parts.db;
        let found = db.invocation(id).map_err(|e| e.to_string())?;
        let mut invocation = found.ok_or("it is not in the database")?;
        let event = db
            .event(id)
            .map_err(|e| e.to_string())?
            .ok_or("its event is not in the database")?;
        let function = self
            .functions
            .get(&invocation.function)
            .ok_or("its function is gone")?;
        invocation
            .begin(lease, format!("logs/{id}.log"), Timestamp::now())
            .map_err(|e| e.to_string())?;
        let job = Job {
            invocation: invocation.clone(),
            function: Arc::clone(function),
            event,
        };
        let (stop, stopped) = watch::channel(None);
        self.running.insert(
            id,
            Running {
                invocation: invocation.clone(),
                stop,
            },
        );
        self.save(invocation);

        let (launcher, messages) = (self.parts.launcher.clone(), self.messages.clone());
        self.runtime.spawn(async move {
            let report = messages.clone();
            let progress =
                move |phase| drop(report.send(Message::Phase(id, phase, Timestamp::now())));
            // A panic in a job must not leave it running for ever.
            let run = tokio::spawn(async move { launcher.run(job, stopped, progress).await });
            let end = run.await.unwrap_or_else(|e| {
                let error = format!("the launcher failed: {e}");
                JobEnd::Finished(
                    Outcome::Failed {
                        exit_code: None,
                        error,
                    },
                    Leavings::default(),
                )
            });
            drop(messages.send(Message::Ended(id, end)));
        });
        Ok(())
    }

    fn fail_before_start(&mut self, id: InvocationId, error: String) {
        self.parts.queue.finished(id);
        self.parts.broker.release(id);
        match self.parts.db.invocation(id) {
            Ok(Some(invocation)) => {
                let outcome = Outcome::Failed {
                    exit_code: None,
                    error,
                };
                self.finish(invocation, outcome, Leavings::default());
            }
            Ok(None) => {}
            Err(cause) => {
                tracing::error!(%id, error, %cause, "a job that cannot start was not recorded")
            }
        }
    }

    fn drain(&mut self) {
        self.draining = true;
        for running in self.running.values() {
            running.stop.send_if_modified(|reason| {
                let asked = reason.is_none();
                reason.get_or_insert(Stop::Shutdown);
                asked
            });
        }
    }

    fn prune(&mut self) {
        self.ended_since_prune += 1;
        if self.ended_since_prune < PRUNE_EVERY {
            return;
        }
        self.ended_since_prune = 0;
        match self.parts.db.prune(self.parts.keep_invocations) {
            Ok(logs) => {
                for log in logs {
                    std::fs::remove_file(self.parts.base.join(log)).ok();
                }
            }
            Err(error) => tracing::error!(%error, "old history stays"),
        }
    }
}

/// Nobody has to listen.
fn announce(changes: &broadcast::Sender<Arc<Invocation>>, invocation: Invocation) {
    changes.send(Arc::new(invocation)).ok();
}

fn trigger(event: &ObjectEvent) -> Trigger {
    Trigger {
        bucket: event.bucket.clone(),
        key: event.key.clone(),
        size: event.size,
        etag: event.etag.clone(),
        event_id: event.id(),
    }
}

fn waiting(invocation: &Invocation, function: &Function) -> Waiting {
    let trigger = &invocation.trigger;
    Waiting {
        id: invocation.id,
        function: function.name.clone(),
        max_parallel: function.max_parallel,
        gpu: function.gpu.as_ref().map(Memory::get),
        object: (
            trigger.bucket.clone(),
            trigger.key.clone(),
            trigger.etag.clone(),
        ),
    }
}
