//! From an invocation to a process and back: folders, input, script, results.
//!
//! `contract` says what a script finds, [`Backend`] where it runs, and [`Launcher::run`] is the life of a job.
//! A job that is stopped for the scheduler's own end is *interrupted*: it has no outcome, and is begun again
//! when the scheduler is back.

mod backend;
mod cgroup;
mod contract;
mod local;
mod log;
mod orphans;
mod output;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::watch;

pub use self::backend::{Backend, BackendError, Exit, JobCommand, RunningJob, StopSignal};
pub use self::local::LocalBackend;

use self::contract::WorkDir;
use self::log::JobLog;
use crate::function::Function;
use crate::queue::{Invocation, Leavings, Outcome, OutputObject, Phase};
use crate::store::ObjectStore;

/// What the GPU client may write about a job.
const MAX_STATS: u64 = 1 << 20;

/// Words put before the command of a job that has a share of a GPU, such as
/// `rgpu run --server {server} --memory {memory} --`. Replaced: `{server}`, `{device}`, `{memory}` as the function
/// asks for it, `{memory_bytes}`, `{stats}`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct GpuWrapper(pub Vec<String>);

/// Which folders of ended jobs stay for a look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeepFolders {
    /// None.
    #[default]
    Never,
    /// Those of failed jobs.
    Failed,
    /// All.
    Always,
}

/// What the launcher needs to know.
#[derive(Clone, Debug)]
pub struct LauncherConfig {
    /// Folder for the folders of jobs.
    pub work: PathBuf,
    /// Folder that log paths are relative to.
    pub base: PathBuf,
    /// Put before the command of jobs with a GPU.
    pub gpu_wrapper: GpuWrapper,
    /// Variables for every job of this site.
    pub job_env: BTreeMap<String, String>,
    /// How long a job may run whose function does not say.
    pub default_timeout: Option<Duration>,
    /// How long a job may take to end when it is asked to, before it is killed.
    pub kill_grace: Duration,
    /// Which folders stay.
    pub keep: KeepFolders,
    /// Marks the processes of this scheduler's jobs.
    pub tag: String,
}

/// A job: all that is needed to run an invocation.
#[derive(Clone, Debug)]
pub struct Job {
    /// The invocation, begun.
    pub invocation: Invocation,
    /// Its function.
    pub function: Arc<Function>,
    /// The event, as JSON.
    pub event: String,
}

/// Why a job should stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Somebody cancelled it.
    Cancel,
    /// The scheduler ends.
    Shutdown,
}

/// How a job ended.
#[derive(Clone, Debug, PartialEq)]
pub enum JobEnd {
    /// With an outcome.
    Finished(Outcome, Leavings),
    /// Without one: the scheduler ends.
    Interrupted,
}

/// Asks a job to stop; `None` lets it run.
pub type StopReceiver = watch::Receiver<Option<Stop>>;

/// Why the steps of a job were left.
enum Halt {
    Failed(Option<i32>, String),
    Stopped(Stop),
}

/// Runs jobs.
#[derive(Clone, Debug)]
pub struct Launcher {
    config: Arc<LauncherConfig>,
    store: Arc<dyn ObjectStore>,
    backend: Arc<dyn Backend>,
}

impl Launcher {
    /// With the given store and back end.
    #[must_use]
    pub fn new(
        config: LauncherConfig,
        store: Arc<dyn ObjectStore>,
        backend: Arc<dyn Backend>,
    ) -> Self {
        Self {
            config: Arc::new(config),
            store,
            backend,
        }
    }

    /// Kills what an earlier run of this scheduler left, and removes its folders.
    pub async fn clear_leftovers(&self) {
        self.backend.sweep(&self.config.tag).await;
        let work = &self.config.work;
        if self.config.keep == KeepFolders::Never
            && work.exists()
            && let Err(error) = tokio::fs::remove_dir_all(work).await
        {
            tracing::warn!(folder = %work.display(), %error, "old folders of jobs stay behind");
        }
    }

    /// The life of a job. `progress` hears of each phase as it begins.
    pub async fn run(
        &self,
        job: Job,
        mut stop: StopReceiver,
        progress: impl Fn(Phase) + Send + Sync,
    ) -> JobEnd {
        let mut leavings = Leavings::default();
        let failed = |error: String| {
            JobEnd::Finished(
                Outcome::Failed {
                    exit_code: None,
                    error,
                },
                Leavings::default(),
            )
        };
        let log_path = self.log_path(&job);
        let mut log = match JobLog::open(&log_path, job.function.log_level) {
            Ok(log) => log,
            Err(e) => return failed(format!("log {}: {e}", log_path.display())),
        };
        let folder = self
            .config
            .work
            .join(format!("{}-{}", job.invocation.id, job.invocation.attempt));
        let work = match WorkDir::create(folder.clone()) {
            Ok(work) => work,
            Err(e) => return failed(format!("job folder {}: {e}", folder.display())),
        };
        let steps = self.steps(
            &job,
            &work,
            &log_path,
            &mut log,
            &mut stop,
            &progress,
            &mut leavings.outputs,
        );
        let ended = steps.await;
        self.backend.sweep(&self.tag(&job)).await;
        leavings.stats = read_stats(&work, &mut log).await;
        self.clean(&work, ended.is_err()).await;
        conclude(ended, leavings, &mut log)
    }

    fn log_path(&self, job: &Job) -> PathBuf {
        self.config
            .base
            .join(job.invocation.log.as_deref().unwrap_or("lost.log"))
    }

    fn tag(&self, job: &Job) -> String {
        format!(
            "{}/{}-{}",
            self.config.tag, job.invocation.id, job.invocation.attempt
        )
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "the parts of one job, borrowed apart"
    )]
    async fn steps(
        &self,
        job: &Job,
        work: &WorkDir,
        log_path: &Path,
        log: &mut JobLog,
        stop: &mut StopReceiver,
        progress: &(impl Fn(Phase) + Send + Sync),
        outputs: &mut Vec<OutputObject>,
    ) -> Result<(), Halt> {
        let trigger = &job.invocation.trigger;
        log.info(&format!(
            "function {}, invocation {}, attempt {}, object s3://{}/{}",
            job.function.name,
            job.invocation.id,
            job.invocation.attempt,
            trigger.bucket,
            trigger.key
        ));
        work.write_script(&job.function.script)
            .map_err(|e| Halt::Failed(None, format!("script file: {e}")))?;

        if !job.function.skip_input {
            progress(Phase::Input);
        }
        unless_stopped(stop, self.fetch(job, work, log)).await?;

        progress(Phase::Start);
        let mut running = self.start(job, work, log_path, log).await?;

        progress(Phase::Run);
        let exit = self.supervise(job, running.as_mut(), stop, log).await?;
        check_exit(exit, job)?;

        progress(Phase::Output);
        let folder = work.output();
        let sent = output::upload(
            &job.function,
            &folder,
            &*self.store,
            &job.invocation.chain,
            log,
            outputs,
        );
        unless_stopped(stop, async {
            sent.await.map_err(|e| Halt::Failed(Some(0), e))
        })
        .await
    }

    async fn fetch(&self, job: &Job, work: &WorkDir, log: &mut JobLog) -> Result<(), Halt> {
        if job.function.skip_input {
            return Ok(());
        }
        let trigger = &job.invocation.trigger;
        let file = work.input_file(&trigger.key);
        let fetched = self
            .store
            .download(&trigger.bucket, &trigger.key, &file)
            .await;
        let (size, etag) = fetched.map_err(|e| Halt::Failed(None, format!("input: {e}")))?;
        log.info(&format!("input {}, {size} bytes", file.display()));
        if etag != trigger.etag {
            log.warning("the object was replaced after the event; this is the newer one");
        }
        Ok(())
    }

    async fn start(
        &self,
        job: &Job,
        work: &WorkDir,
        log_path: &Path,
        log: &mut JobLog,
    ) -> Result<Box<dyn RunningJob>, Halt> {
        if let Some(gpu) = &job.invocation.gpu {
            log.info(&format!(
                "GPU {} ({}) at {}, {} bytes",
                gpu.device, gpu.device_name, gpu.server, gpu.memory
            ));
        }
        let tag = self.tag(job);
        let command = JobCommand {
            image: job.function.spec().image.clone(),
            argv: contract::command(job, work, &self.config.gpu_wrapper),
            env: contract::environment(job, work, &tag, &self.config.job_env),
            folder: work.root().to_owned(),
            log: log_path.to_owned(),
            memory: job.function.memory.get(),
            cpu_millis: job.function.cpu.get(),
            tag,
        };
        self.backend
            .start(command)
            .await
            .map_err(|e| Halt::Failed(None, e.to_string()))
    }

    /// Waits for the script, the clock or the stop, whichever comes first.
    async fn supervise(
        &self,
        job: &Job,
        running: &mut dyn RunningJob,
        stop: &mut StopReceiver,
        log: &mut JobLog,
    ) -> Result<Exit, Halt> {
        let limit = job.function.timeout.or(self.config.default_timeout);
        let clock = async {
            match limit {
                Some(limit) => tokio::time::sleep(limit).await,
                None => std::future::pending().await,
            }
        };
        let halt = tokio::select! {
            exit = running.wait() => return exit.map_err(|e| Halt::Failed(None, e.to_string())),
            reason = stopped(stop) => Halt::Stopped(reason),
            () = clock => {
                let limit = limit.unwrap_or_default().as_secs();
                Halt::Failed(None, format!("the script was stopped after its time limit of {limit} s"))
            }
        };
        log.info("stopping the script");
        running.stop(StopSignal::Terminate);
        if tokio::time::timeout(self.config.kill_grace, running.wait())
            .await
            .is_err()
        {
            running.stop(StopSignal::Kill);
            running
                .wait()
                .await
                .map_err(|e| Halt::Failed(None, e.to_string()))?;
        }
        Err(halt)
    }

    async fn clean(&self, work: &WorkDir, failed: bool) {
        let keep = match self.config.keep {
            KeepFolders::Never => false,
            KeepFolders::Failed => failed,
            KeepFolders::Always => true,
        };
        if keep {
            return;
        }
        if let Err(error) = work.remove() {
            tracing::warn!(folder = %work.root().display(), %error, "a job's folder stays behind");
        }
    }
}

/// Resolves when the job should stop; never, if nobody can ask any more.
async fn stopped(stop: &mut StopReceiver) -> Stop {
    match stop.wait_for(Option::is_some).await.map(|reason| *reason) {
        Ok(Some(reason)) => reason,
        _ => std::future::pending().await,
    }
}

async fn unless_stopped<T>(
    stop: &mut StopReceiver,
    step: impl Future<Output = Result<T, Halt>>,
) -> Result<T, Halt> {
    tokio::select! {
        biased;
        reason = stopped(stop) => Err(Halt::Stopped(reason)),
        done = step => done,
    }
}

fn check_exit(exit: Exit, job: &Job) -> Result<(), Halt> {
    let error = match exit {
        Exit::Code(0) => return Ok(()),
        Exit::Code(code) => {
            return Err(Halt::Failed(
                Some(code),
                format!("the script exited with {code}"),
            ));
        }
        Exit::Signal(signal) => {
            let name = nix::sys::signal::Signal::try_from(signal).ok();
            format!(
                "the script was ended by {}",
                name.map_or_else(|| signal.to_string(), |s| s.to_string())
            )
        }
        Exit::OutOfMemory => format!(
            "the script used more than its {} of memory",
            job.function.memory
        ),
    };
    Err(Halt::Failed(None, error))
}

fn conclude(ended: Result<(), Halt>, leavings: Leavings, log: &mut JobLog) -> JobEnd {
    let outcome = match ended {
        Ok(()) => Outcome::Succeeded,
        Err(Halt::Failed(exit_code, error)) => {
            log.error(&error);
            Outcome::Failed { exit_code, error }
        }
        Err(Halt::Stopped(Stop::Cancel)) => {
            log.warning("cancelled");
            Outcome::Cancelled
        }
        Err(Halt::Stopped(Stop::Shutdown)) => {
            log.warning("interrupted: the scheduler ends");
            return JobEnd::Interrupted;
        }
    };
    JobEnd::Finished(outcome, leavings)
}

/// What the GPU client left, if it left anything that can be read.
async fn read_stats(work: &WorkDir, log: &mut JobLog) -> Option<Value> {
    let path = work.stats();
    let size = tokio::fs::metadata(&path).await.ok()?.len();
    if size > MAX_STATS {
        log.warning(&format!(
            "the GPU statistics have {size} bytes and are left out"
        ));
        return None;
    }
    let bytes = tokio::fs::read(&path).await.ok()?;
    match serde_json::from_slice(&bytes) {
        Ok(value) => Some(value),
        Err(e) => {
            log.warning(&format!(
                "the GPU statistics are not JSON and are left out: {e}"
            ));
            None
        }
    }
}
