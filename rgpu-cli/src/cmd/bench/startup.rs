//! `rgpu bench startup`: how long a TensorFlow process takes to its first results.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};
use rgpu_benches::startup::{Case, Job, PROGRAM, tables};

use super::remoting::serve;
use super::{load, machine};

/// Of the software GPU, and what TensorFlow leases of it.
const MEMORY: &str = "2Gi";
const LEASE: &str = "1Gi";

pub(super) fn run(runs: usize, python: &Path, out: &Path) -> anyhow::Result<()> {
    let load = load();
    let bench = Bench {
        rgpu: std::env::current_exe().context("cannot find this executable")?,
        python: python.to_owned(),
    };
    let warm_up = tempfile::tempdir()?;
    eprintln!("reading the wheels from the disk");
    bench.local(Case::LocalFirst, warm_up.path())?;
    let mut jobs = Vec::new();
    for number in 1..=runs {
        eprintln!("measuring, {number} of {runs}");
        jobs.extend(bench.round()?);
    }
    let text = format!(
        "# The first results of a TensorFlow process\n\nMade by `rgpu bench startup`. {} Load before: {load}. The GPU is \
         the software one, on the same machine. Medians of {runs} runs, seconds from the start of the process. First \
         jobs find neither modules at the server nor compiled kernels on the disk.\n\n{}",
        machine(),
        tables(&jobs)
    );
    std::fs::create_dir_all(out)?;
    let path = out.join("startup.md");
    std::fs::write(&path, &text).with_context(|| format!("cannot write {}", path.display()))?;
    print!("{text}");
    Ok(())
}

struct Bench {
    rgpu: PathBuf,
    python: PathBuf,
}

impl Bench {
    /// Every case once, each first job with empty folders.
    fn round(&self) -> anyhow::Result<Vec<Job>> {
        let (local, remote) = (tempfile::tempdir()?, tempfile::tempdir()?);
        let mut jobs = vec![
            self.local(Case::LocalFirst, local.path())?,
            self.local(Case::LocalSecond, local.path())?,
        ];
        let server = |warm| serve(&self.rgpu, remote.path(), None, MEMORY, warm);
        {
            let (_server, urls) = server(2)?;
            jobs.push(self.remote(Case::RemoteFirst, &urls[0], remote.path())?);
            jobs.push(self.remote(Case::RemoteSecond, &urls[0], remote.path())?);
        }
        let (_server, urls) = server(0)?;
        // The worker that told the server what the device is goes to the first client.
        let mut first = self.front(&["run", "--server", &urls[0], "--memory", "64Mi", "--"]);
        let status = first
            .arg(&self.rgpu)
            .args(["bench-part", "first"])
            .status()?;
        ensure!(
            status.success(),
            "the program with one kernel failed: {status}"
        );
        jobs.push(self.remote(Case::RemoteCold, &urls[0], remote.path())?);
        Ok(jobs)
    }

    fn front(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.rgpu);
        command.args(words);
        command
    }

    /// `folder` keeps the compiled kernels.
    fn local(&self, case: Case, folder: &Path) -> anyhow::Result<Job> {
        let mut command = self.front(&["local", "--memory", LEASE, "--"]);
        command.env("RGPU_CACHE_DIR", folder.join("kernels"));
        self.job(case, command, folder)
    }

    fn remote(&self, case: Case, url: &str, folder: &Path) -> anyhow::Result<Job> {
        let stats = folder.join("stats.json");
        let mut command = self.front(&["run", "--server", url, "--memory", LEASE, "--stats"]);
        command.arg(&stats).arg("--");
        let mut job = self.job(case, command, folder)?;
        let text = std::fs::read(&stats).context("the client left no statistics")?;
        job.counted = Some(serde_json::from_slice(&text)?);
        Ok(job)
    }

    fn job(&self, case: Case, mut command: Command, folder: &Path) -> anyhow::Result<Job> {
        let seconds = folder.join("seconds.json");
        let out = command
            .arg(&self.python)
            .args(["-c", PROGRAM])
            .arg(&seconds)
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("cannot start {}", self.rgpu.display()))?;
        ensure!(
            out.status.success(),
            "{}: the program failed: {}",
            case.title(),
            String::from_utf8_lossy(&out.stderr).trim()
        );
        Ok(Job {
            case,
            seconds: serde_json::from_slice(&std::fs::read(&seconds)?)?,
            counted: None,
        })
    }
}
