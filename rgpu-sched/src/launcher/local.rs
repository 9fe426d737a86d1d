//! Jobs as local processes, each in its own process group and, where possible, its own control group.

use std::fs::OpenOptions;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;
use tokio::sync::watch;

use super::backend::{Backend, BackendError, Exit, JobCommand, RunningJob, StopSignal};
use super::cgroup::{Cgroup, Cgroups};
use super::orphans::kill_marked;

/// The variable by which processes of jobs are known.
pub(super) const TAG_VARIABLE: &str = "RGPU_JOB_TAG";

/// Runs jobs on this machine.
#[derive(Debug)]
pub struct LocalBackend {
    cgroups: Option<Cgroups>,
}

impl LocalBackend {
    /// Uses control groups below `cgroup_parent`, or below the scheduler's own group, if either can be used.
    #[must_use]
    pub fn new(cgroup_parent: Option<&Path>) -> Self {
        let cgroups = match Cgroups::find(cgroup_parent) {
            Ok(found) => Some(found),
            Err(why) => {
                tracing::warn!(
                    "memory and cpu limits of functions are recorded but not enforced: {why}"
                );
                None
            }
        };
        Self { cgroups }
    }

    fn spawn(&self, job: &JobCommand) -> Result<LocalJob, BackendError> {
        let failed = |what: &str, e: &dyn std::fmt::Display| BackendError(format!("{what}: {e}"));
        let log = OpenOptions::new()
            .append(true)
            .create(true)
            .open(&job.log)
            .map_err(|e| failed("job log", &e))?;
        let errors = log.try_clone().map_err(|e| failed("job log", &e))?;
        let cgroup = match &self.cgroups {
            Some(groups) => {
                let made = groups.create(&job.tag, job.memory, job.cpu_millis);
                Some(made.map_err(|e| failed("control group of the job", &e))?)
            }
            None => None,
        };
        let mut argv = cgroup
            .as_ref()
            .map(Cgroup::enter_command)
            .unwrap_or_default();
        argv.extend(job.argv.iter().cloned());
        let (program, arguments) = argv
            .split_first()
            .ok_or_else(|| BackendError("the job has no command".into()))?;
        let child = Command::new(program)
            .args(arguments)
            .env_clear()
            .envs(job.env.iter().map(|(k, v)| (k, v)))
            .current_dir(&job.folder)
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            .process_group(0)
            .spawn()
            .map_err(|e| failed(&format!("cannot start {}", program.display()), &e))?;
        LocalJob::watch(child, cgroup)
    }
}

#[async_trait::async_trait]
impl Backend for LocalBackend {
    async fn start(&self, command: JobCommand) -> Result<Box<dyn RunningJob>, BackendError> {
        Ok(Box::new(self.spawn(&command)?))
    }

    async fn sweep(&self, tag: &str) {
        if let Some(cgroups) = &self.cgroups {
            cgroups.sweep(tag);
        }
        let entry = format!("{TAG_VARIABLE}={tag}");
        let swept = tokio::task::spawn_blocking(move || kill_marked(entry.as_bytes())).await;
        match swept {
            Ok(0) => {}
            Ok(count) => tracing::info!(count, "killed processes that jobs had left behind"),
            Err(error) => tracing::error!(%error, "could not look for processes of jobs"),
        }
    }
}

/// The process group, until its leader is reaped; after that the number may belong to somebody else.
type Group = Arc<Mutex<Option<Pid>>>;

#[derive(Debug)]
struct LocalJob {
    group: Group,
    cgroup: Option<Cgroup>,
    exit: watch::Receiver<Option<Result<Exit, String>>>,
}

impl LocalJob {
    /// A thread waits for the child, so that the group can be killed before the child is reaped.
    fn watch(child: Child, cgroup: Option<Cgroup>) -> Result<Self, BackendError> {
        let raw = i32::try_from(child.id()).map_err(|e| BackendError(e.to_string()))?;
        let group: Group = Arc::new(Mutex::new(Some(Pid::from_raw(raw))));
        let (sender, exit) = watch::channel(None);
        let watched = Arc::clone(&group);
        let job = Self {
            group,
            cgroup,
            exit,
        };
        std::thread::Builder::new()
            .name("rgpu-job".to_owned())
            .spawn(move || {
                let ended = reap(child, &watched)
                    .map(exit_of)
                    .map_err(|e| e.to_string());
                sender.send_replace(Some(ended));
            })
            .map_err(|e| BackendError(format!("cannot watch the job: {e}")))?;
        Ok(job)
    }
}

fn reap(mut child: Child, group: &Group) -> std::io::Result<ExitStatus> {
    let pid = *group.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(pid) = pid {
        while waitid(Id::Pid(pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT) == Err(Errno::EINTR)
        {
        }
    }
    let mut guard = group.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(pid) = guard.take() {
        // What the script left in the background ends with it.
        killpg(pid, Signal::SIGKILL).ok();
    }
    child.wait()
}

fn exit_of(status: ExitStatus) -> Exit {
    match (status.code(), status.signal()) {
        (Some(code), _) => Exit::Code(code),
        (None, signal) => Exit::Signal(signal.unwrap_or(0)),
    }
}

#[async_trait::async_trait]
impl RunningJob for LocalJob {
    async fn wait(&mut self) -> Result<Exit, BackendError> {
        let ended = self
            .exit
            .wait_for(Option::is_some)
            .await
            .map_err(|e| BackendError(e.to_string()))?
            .clone();
        if let Some(cgroup) = &self.cgroup {
            let ran_out = cgroup.ran_out_of_memory();
            cgroup.kill();
            if ran_out && ended == Some(Ok(Exit::Signal(Signal::SIGKILL as i32))) {
                return Ok(Exit::OutOfMemory);
            }
        }
        ended
            .unwrap_or_else(|| Err("the job was not waited for".to_owned()))
            .map_err(BackendError)
    }

    fn stop(&self, signal: StopSignal) {
        let unix = match signal {
            StopSignal::Terminate => Signal::SIGTERM,
            StopSignal::Kill => Signal::SIGKILL,
        };
        if let Some(pid) = *self.group.lock().unwrap_or_else(PoisonError::into_inner) {
            killpg(pid, unix).ok();
        }
        if let (StopSignal::Kill, Some(cgroup)) = (signal, &self.cgroup) {
            cgroup.kill();
        }
    }
}

impl Drop for LocalJob {
    fn drop(&mut self) {
        self.stop(StopSignal::Kill);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsString;

    fn command(dir: &Path, tag: &str, script: &str) -> JobCommand {
        JobCommand {
            tag: tag.to_owned(),
            image: None,
            argv: ["/bin/sh", "-c", script].map(OsString::from).to_vec(),
            env: vec![
                ("PATH".into(), "/usr/bin:/bin".into()),
                (TAG_VARIABLE.into(), tag.into()),
            ],
            folder: dir.to_owned(),
            log: dir.join("log"),
            memory: 1 << 28,
            cpu_millis: 1000,
        }
    }

    fn backend() -> LocalBackend {
        LocalBackend { cgroups: None }
    }

    /// Reads the first line that the job writes to a named pipe: an event, not a pause.
    async fn first_line(pipe: &Path) -> String {
        let file = tokio::fs::File::open(pipe).await.unwrap();
        let mut lines = tokio::io::AsyncBufReadExt::lines(tokio::io::BufReader::new(file));
        lines.next_line().await.unwrap().unwrap()
    }

    fn pipe(dir: &Path) -> std::path::PathBuf {
        let path = dir.join("pipe");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        path
    }

    /// Whether a process that is not our child has ended; waits for it.
    async fn gone(pid: &str) -> bool {
        let pid = pid.parse().unwrap();
        let ended =
            tokio::task::spawn_blocking(move || crate::launcher::orphans::wait_for_end(pid));
        ended.await.unwrap()
    }

    #[tokio::test]
    async fn exit_code_signal_and_output_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let mut job = backend()
            .start(command(dir.path(), "t/1", "echo out; echo err >&2; exit 7"))
            .await
            .unwrap();
        assert_eq!(job.wait().await.unwrap(), Exit::Code(7));
        assert_eq!(
            std::fs::read_to_string(dir.path().join("log")).unwrap(),
            "out\nerr\n"
        );
        let mut job = backend()
            .start(command(dir.path(), "t/2", "kill -9 $$"))
            .await
            .unwrap();
        assert_eq!(job.wait().await.unwrap(), Exit::Signal(9));
        assert_eq!(
            job.wait().await.unwrap(),
            Exit::Signal(9),
            "waiting twice is allowed"
        );
    }

    #[tokio::test]
    async fn a_missing_program_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let mut missing = command(dir.path(), "t/1", "");
        missing.argv = vec!["/no/such/program".into()];
        let error = backend().start(missing).await.unwrap_err();
        assert!(error.to_string().contains("/no/such/program"), "{error}");
    }

    #[tokio::test]
    async fn stopping_reaches_the_whole_group() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = pipe(dir.path());
        let script = format!(
            "trap '' TERM; sleep 600 & echo $! > {}; wait; wait",
            pipe.display()
        );
        let mut job = backend()
            .start(command(dir.path(), "t/1", &script))
            .await
            .unwrap();
        let child = first_line(&pipe).await;
        job.stop(StopSignal::Kill);
        assert_eq!(job.wait().await.unwrap(), Exit::Signal(9));
        assert!(gone(&child).await);
    }

    #[tokio::test]
    async fn what_runs_on_after_the_script_is_killed() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = pipe(dir.path());
        let script = format!("sleep 600 & echo $! > {}", pipe.display());
        let mut job = backend()
            .start(command(dir.path(), "t/1", &script))
            .await
            .unwrap();
        let child = first_line(&pipe).await;
        assert_eq!(job.wait().await.unwrap(), Exit::Code(0));
        assert!(gone(&child).await);
    }

    #[tokio::test]
    async fn a_sweep_finds_processes_that_left_the_group() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = pipe(dir.path());
        let tag = format!("sweep-test-{}", std::process::id());
        let script = format!(
            "setsid sh -c 'echo $$ > {}; exec sleep 600' & wait",
            pipe.display()
        );
        let mut job = backend()
            .start(command(dir.path(), &format!("{tag}/1"), &script))
            .await
            .unwrap();
        let escaped = first_line(&pipe).await;
        job.stop(StopSignal::Kill);
        job.wait().await.unwrap();
        for other in [
            format!("{tag}/2"),
            format!("{tag}/"),
            tag[..tag.len() - 1].to_owned(),
        ] {
            backend().sweep(&other).await;
            assert!(
                Path::new(&format!("/proc/{escaped}")).exists(),
                "another job's processes are left alone"
            );
        }
        backend().sweep(&tag).await;
        assert!(gone(&escaped).await);
    }
}
