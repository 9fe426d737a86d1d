//! Worker processes: started ahead of need, given one client each, awaited to their end.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::unix::AsyncFd;
use tokio::process::{Child, Command};
use tokio::sync::{Notify, watch};
use tokio::time::timeout;

use super::State;
use super::clients::Session;
use crate::config::Config;
use crate::handover::{self, Assign, Ready, Usage, WORKER_FD};

/// A driver that takes longer to start is taken for dead. Creating a context on a real card takes 0.2 to 2 s;
/// a cold one, minutes never.
const START_LIMIT: Duration = Duration::from_secs(60);

/// Which of the driver's devices a process sees.
const VISIBLE_DEVICES: &str = "CUDA_VISIBLE_DEVICES";

/// Why there is no worker.
#[derive(Debug, Clone, thiserror::Error)]
pub enum WorkerError {
    /// The process could not be made.
    #[error("cannot start {program}: {error}")]
    Spawn {
        /// What was to be run.
        program: String,
        /// Why not.
        error: String,
    },
    /// The process ended, or did not come up in time.
    #[error("the worker did not come up ({0}); its reason is in the server's log")]
    NotReady(String),
}

/// Workers of all devices.
#[derive(Debug)]
pub(super) struct Pool {
    config: Config,
    devices: usize,
    warm: Mutex<HashMap<usize, VecDeque<Worker>>>,
    /// Told when a worker has come up or has failed to.
    changed: Notify,
    /// Sessions being served, for those that wait for one to end.
    running: Mutex<HashMap<u64, watch::Receiver<()>>>,
}

/// A worker that waits for a client.
#[derive(Debug)]
pub(super) struct Worker {
    child: Child,
    socket: AsyncFd<OwnedFd>,
    pid: u32,
}

impl Worker {
    /// Its process id.
    pub(super) const fn pid(&self) -> u32 {
        self.pid
    }

    /// Starts a worker that sees only `device` (or all devices), and waits until it is ready.
    async fn start(config: &Config, device: Option<usize>) -> Result<(Self, Ready), WorkerError> {
        let (worker, program) = Self::spawn(config, device)?;
        match timeout(START_LIMIT, worker.receive::<Ready>()).await {
            Ok(Ok(ready)) => Ok((worker, ready)),
            Ok(Err(error)) => {
                let mut child = worker.child;
                let end = match timeout(Duration::from_secs(1), child.wait()).await {
                    Ok(Ok(status)) => status.to_string(),
                    _ => error.to_string(),
                };
                Err(WorkerError::NotReady(format!("{program}: {end}")))
            }
            Err(_) => Err(WorkerError::NotReady(format!(
                "{program}: nothing for {START_LIMIT:?}"
            ))),
        }
    }

    fn spawn(config: &Config, device: Option<usize>) -> Result<(Self, String), WorkerError> {
        let program = config.worker_command[0].to_string_lossy().into_owned();
        let failed = |error: io::Error| WorkerError::Spawn {
            program: program.clone(),
            error: error.to_string(),
        };
        let (ours, theirs) = handover::pair().map_err(failed)?;
        nix::fcntl::fcntl(
            &ours,
            nix::fcntl::FcntlArg::F_SETFL(nix::fcntl::OFlag::O_NONBLOCK),
        )
        .map_err(|errno| failed(errno.into()))?;
        let mut command = std::process::Command::new(&config.worker_command[0]);
        command.args(&config.worker_command[1..]);
        command
            .arg("--driver")
            .arg(&config.driver)
            .arg("--modules")
            .arg(&config.modules);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        // A worker's driver is the one it is given, never a client library of an outer `rgpu run`.
        command.env_remove("LD_PRELOAD");
        if let Some(memory) = config.memory.filter(|_| config.software) {
            command.env("RGPU_SOFT_MEMORY", memory.to_string());
        }
        if let Some(device) = device {
            command.env(VISIBLE_DEVICES, visible(device));
        }
        let fd = theirs.as_raw_fd();
        // SAFETY: between fork and exec only dup2 and fcntl are called, which are async-signal-safe.
        unsafe {
            command.pre_exec(move || place_at_worker_fd(fd));
        }
        let mut command = Command::from(command);
        let child = command.kill_on_drop(true).spawn().map_err(failed)?;
        let pid = child.id().unwrap_or(0);
        // SAFETY: an `OwnedFd` stays open, and the same, for as long as it lives in the `AsyncFd`.
        let socket = unsafe { AsyncFd::register(ours) }.map_err(|error| failed(error.into()))?;
        Ok((Self { child, socket, pid }, program))
    }

    async fn receive<T: rgpu_proto::wire::Decode>(&self) -> io::Result<T> {
        loop {
            let mut ready = self.socket.readable().await?;
            match ready.try_io(|socket| handover::receive::<T>(socket.get_ref().as_fd())) {
                Ok(received) => return received.map(|(message, _)| message),
                Err(_would_block) => {}
            }
        }
    }
}

/// `CUDA_VISIBLE_DEVICES` of a worker for `device`, within what the server itself may see.
fn visible(device: usize) -> String {
    let outer = std::env::var(VISIBLE_DEVICES).unwrap_or_default();
    let named = outer.split(',').filter(|name| !name.is_empty()).nth(device);
    named.map_or_else(|| device.to_string(), str::to_owned)
}

/// Puts `fd` where a worker looks for its supervisor. `dup2` clears close-on-exec, except onto itself.
fn place_at_worker_fd(fd: i32) -> io::Result<()> {
    // SAFETY: plain system calls on descriptors of this process.
    let failed = unsafe {
        if fd == WORKER_FD {
            libc::fcntl(fd, libc::F_SETFD, 0) < 0
        } else {
            libc::dup2(fd, WORKER_FD) < 0
        }
    };
    if failed {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

impl Pool {
    /// Starts a first worker, which says what devices there are.
    pub(super) async fn start(config: Config) -> Result<(Self, Ready), WorkerError> {
        let (first, seen) = Worker::start(&config, None).await?;
        let devices = seen.devices.len();
        let mut warm = HashMap::new();
        // With one device, the worker that sees all devices sees just that one.
        if devices == 1 {
            warm.insert(0, VecDeque::from([first]));
        }
        let pool = Self {
            config,
            devices,
            warm: Mutex::new(warm),
            changed: Notify::new(),
            running: Mutex::default(),
        };
        Ok((pool, seen))
    }

    fn warm_lock(&self) -> MutexGuard<'_, HashMap<usize, VecDeque<Worker>>> {
        self.warm.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn running_lock(&self) -> MutexGuard<'_, HashMap<u64, watch::Receiver<()>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Workers that wait for a client.
    pub(super) fn warm(&self) -> usize {
        self.warm_lock().values().map(VecDeque::len).sum()
    }

    fn pop(&self, device: usize) -> Option<Worker> {
        self.warm_lock().get_mut(&device)?.pop_front()
    }

    /// A warm worker for `device`, if there is one.
    pub(super) fn ready(&self, device: usize) -> Option<Worker> {
        while let Some(mut worker) = self.pop(device) {
            // A warm worker may have died of its driver meanwhile.
            if matches!(worker.child.try_wait(), Ok(None)) {
                return Some(worker);
            }
            tracing::warn!(pid = worker.pid, "a warm worker had died");
        }
        None
    }

    /// A new worker for `device`.
    pub(super) async fn start_for(&self, device: usize) -> Result<Worker, WorkerError> {
        Worker::start(&self.config, Some(device))
            .await
            .map(|(worker, _)| worker)
    }

    /// Starts workers until each device has as many warm ones as configured.
    pub(super) async fn refill(&self) {
        for device in 0..self.devices {
            while self.warm_lock().get(&device).map_or(0, VecDeque::len) < self.config.warm_workers
            {
                match Worker::start(&self.config, Some(device)).await {
                    Ok((worker, _)) => self
                        .warm_lock()
                        .entry(device)
                        .or_default()
                        .push_back(worker),
                    Err(error) => {
                        tracing::error!(%error, device, "cannot keep workers warm");
                        return;
                    }
                }
                self.changed.notify_waiters();
            }
        }
    }

    /// Hands a client to a worker and waits for the worker's end. The lease goes with `session`.
    pub(super) async fn serve(
        &self,
        state: &Arc<State>,
        mut worker: Worker,
        session: Session,
        assign: Assign,
        socket: OwnedFd,
    ) {
        let number = session.number;
        let (_ended, ending) = watch::channel(());
        self.running_lock().insert(number, ending);
        state.clients.served_by(number, worker.pid);
        let handed = handover::send(
            worker.socket.get_ref().as_fd(),
            &assign,
            Some(socket.as_fd()),
        );
        drop(socket);
        if let Err(error) = handed {
            tracing::error!(session = number, %error, "the worker is gone");
        }
        let refill = Arc::clone(state);
        tokio::spawn(async move { refill.pool.refill().await });
        let status = tokio::select! {
            status = watch_usage(state, &mut worker, number) => status,
            () = session.end.cancelled() => {
                // Killing fails only where the worker has just ended.
                let _ = worker.child.start_kill();
                worker.child.wait().await
            }
        };
        match status {
            Ok(status) if status.success() => tracing::info!(session = number, "session ended"),
            Ok(status) => tracing::warn!(session = number, %status, "worker ended"),
            Err(error) => tracing::error!(session = number, %error, "worker lost"),
        }
        drop(session);
        self.running_lock().remove(&number);
    }

    /// Waits until a session has ended and its memory is free.
    pub(super) async fn ended(&self, session: u64) {
        let ending = self.running_lock().get(&session).cloned();
        if let Some(mut ending) = ending {
            // An error is the end of the session.
            while ending.changed().await.is_ok() {}
        }
    }

    /// Ends all workers that wait.
    pub(super) async fn stop(&self) {
        let warm: Vec<Worker> = self
            .warm_lock()
            .drain()
            .flat_map(|(_, workers)| workers)
            .collect();
        for mut worker in warm {
            // Killing fails only where the worker has just ended.
            let _ = worker.child.kill().await;
        }
    }
}

/// Notes what the worker says of its memory until it ends.
async fn watch_usage(
    state: &State,
    worker: &mut Worker,
    session: u64,
) -> io::Result<std::process::ExitStatus> {
    while let Ok(usage) = worker.receive::<Usage>().await {
        state.clients.uses(session, usage.bytes);
    }
    worker.child.wait().await
}
