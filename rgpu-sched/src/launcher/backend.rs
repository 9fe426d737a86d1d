//! Where jobs run. Local processes now; what a job is does not change with the place.

use std::ffi::OsString;
use std::path::PathBuf;

/// A command to run, ready in every detail.
#[derive(Clone, Debug)]
pub struct JobCommand {
    /// Names the job among all jobs of all schedulers; also in its environment.
    pub tag: String,
    /// The function's container image, for back ends that run containers.
    pub image: Option<String>,
    /// Program and arguments.
    pub argv: Vec<OsString>,
    /// The whole environment.
    pub env: Vec<(String, OsString)>,
    /// Working folder.
    pub folder: PathBuf,
    /// File that standard output and standard error are appended to.
    pub log: PathBuf,
    /// Memory limit in bytes.
    pub memory: u64,
    /// Processor limit in thousandths.
    pub cpu_millis: u64,
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// By itself, with this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
    /// Killed because it used more memory than its limit.
    OutOfMemory,
}

/// Why a command did not start, or could not be waited for.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct BackendError(pub String);

/// How hard to stop a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopSignal {
    /// It may clean up.
    Terminate,
    /// At once.
    Kill,
}

/// A command that was started. Dropping it kills it.
#[async_trait::async_trait]
pub trait RunningJob: Send + std::fmt::Debug {
    /// Waits for its end; may be given up and called again.
    async fn wait(&mut self) -> Result<Exit, BackendError>;
    /// Stops it and all that it started.
    fn stop(&self, signal: StopSignal);
}

/// Starts jobs.
#[async_trait::async_trait]
pub trait Backend: Send + Sync + std::fmt::Debug {
    /// Starts one.
    async fn start(&self, command: JobCommand) -> Result<Box<dyn RunningJob>, BackendError>;
    /// Kills what is left of the job with this tag, and of all whose tag begins with it and a slash.
    async fn sweep(&self, tag: &str);
}
