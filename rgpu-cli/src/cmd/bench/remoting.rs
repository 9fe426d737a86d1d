//! `rgpu bench remoting`: what remoting costs.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, ChildStdout, Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, bail, ensure};
use rgpu_benches::peer;
use rgpu_benches::probe::{Amount, Measured};
use rgpu_benches::remoting::{self, CLIENTS, Crowd, Transport};
use rgpu_benches::stats::Samples;

use super::{Ended, machine};

const LAUNCHES: usize = 100_000;
/// Launches of each of many clients.
const LAUNCHES_IN_CROWD: usize = 20_000;
const WAITS: usize = 1_000;

pub(super) const fn amount(runs: usize, bytes: usize) -> Amount {
    Amount {
        runs,
        launches: LAUNCHES,
        waits: WAITS,
        bytes,
    }
}

pub(super) fn run(runs: usize, bytes: u64) -> anyhow::Result<()> {
    let rgpu = std::env::current_exe().context("cannot find this executable")?;
    let bytes = usize::try_from(bytes)?;
    let folder = tempfile::tempdir()?;
    let socket = |name: &str| format!("unix:{}", folder.path().join(name).display());
    let memory = (bytes as u64 * 2).max(64 << 20).to_string();
    let (_server, urls) = serve(
        &rgpu,
        folder.path(),
        Some(&socket("gpu")),
        &(bytes * 4).to_string(),
        2,
    )?;
    eprintln!("measuring {runs} runs of each; this takes a minute or two");
    let local = measured(
        Command::new(&rgpu).args(["local", "--"]).arg(&rgpu),
        runs,
        bytes,
    )?;
    let mut transports = Vec::new();
    let mut first = vec![("local", first_kernel(&rgpu, &["local", "--"], runs)?)];
    for (name, listen, url, share) in [
        ("tcp", "tcp://127.0.0.1:0".to_owned(), &urls[0], false),
        ("shm", socket("peer"), &urls[1], true),
    ] {
        eprintln!("  {name}");
        let run = ["run", "--server", url, "--memory", &memory, "--"];
        let remote = measured(Command::new(&rgpu).args(run).arg(&rgpu), runs, bytes)?;
        let mut part = Command::new(&rgpu);
        part.args(["bench-part", "peer", "--listen", &listen]);
        if share {
            part.arg("--share");
        }
        let (_peer, peer_url) = start(&mut part)?;
        let bare = peer::measure(&peer_url.parse()?, share, amount(runs, bytes))?;
        first.push((name, first_kernel(&rgpu, &run, runs)?));
        transports.push(Transport { name, remote, bare });
    }
    let far = format!("{}?delay=10ms", urls[0]);
    let run = ["run", "--server", &far, "--memory", &memory, "--"];
    first.push(("tcp with 10 ms of delay", first_kernel(&rgpu, &run, runs)?));
    eprintln!("  {CLIENTS} clients");
    let crowd = Crowd {
        one: crowd(&rgpu, &urls[0], 1, runs)?,
        many: crowd(&rgpu, &urls[0], CLIENTS, runs)?,
    };
    println!("{} The GPU is the software one.", machine());
    println!();
    print!("{}", remoting::table(&transports, &local, &first, &crowd));
    Ok(())
}

/// Seconds per launch of `clients` that launch at once.
fn crowd(rgpu: &Path, url: &str, clients: usize, runs: usize) -> anyhow::Result<Samples> {
    let start = || -> anyhow::Result<Asked> {
        let run = ["run", "--server", url, "--memory", "32Mi", "--"];
        let mut command = Command::new(rgpu);
        command.args(run).arg(rgpu).args([
            "bench-part",
            "launches",
            "--count",
            &LAUNCHES_IN_CROWD.to_string(),
        ]);
        let mut child = Ended(
            command
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()?,
        );
        let asks = child.0.stdin.take().context("no stdin")?;
        let answers = BufReader::new(child.0.stdout.take().context("no stdout")?);
        Ok(Asked {
            asks,
            answers,
            _child: child,
        })
    };
    let mut all: Vec<Asked> = (0..clients).map(|_| start()).collect::<Result<_, _>>()?;
    all.iter_mut().try_for_each(Asked::answer)?;
    let mut samples = Samples::default();
    for _ in 0..runs {
        let start = Instant::now();
        all.iter_mut()
            .try_for_each(|one| writeln!(one.asks, "launch"))?;
        all.iter_mut().try_for_each(Asked::answer)?;
        let launches = (clients * LAUNCHES_IN_CROWD) as f64;
        samples.0.push(start.elapsed().as_secs_f64() / launches);
    }
    Ok(samples)
}

/// A program that does something whenever a line asks for it.
struct Asked {
    asks: ChildStdin,
    answers: BufReader<ChildStdout>,
    _child: Ended,
}

impl Asked {
    fn answer(&mut self) -> anyhow::Result<()> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        ensure!(!line.is_empty(), "a measuring program ended");
        Ok(())
    }
}

/// A server on the software GPU, with its modules and compiled kernels in `folder`, and its addresses, TCP first.
pub(super) fn serve(
    rgpu: &Path,
    folder: &Path,
    unix: Option<&str>,
    memory: &str,
    warm: usize,
) -> anyhow::Result<(Ended, Vec<String>)> {
    let mut command = Command::new(rgpu);
    command.args([
        "serve",
        "--driver",
        "software",
        "--memory",
        memory,
        "--listen",
        "tcp://127.0.0.1:0",
    ]);
    if let Some(url) = unix {
        command.args(["--listen", url]);
    }
    command
        .args(["--warm", &warm.to_string(), "--modules"])
        .arg(folder.join("modules"))
        .env("RGPU_CACHE_DIR", folder.join("kernels"))
        .env("RGPU_LOG", "warn");
    let mut child = Ended(command.stdout(Stdio::piped()).spawn()?);
    let mut lines = BufReader::new(child.0.stdout.take().context("no stdout")?).lines();
    let mut urls = Vec::new();
    while urls.len() < 1 + usize::from(unix.is_some()) {
        let Some(line) = lines.next() else {
            bail!("the GPU server did not start")
        };
        urls.extend(line?.strip_prefix("listening on ").map(str::to_owned));
    }
    Ok((child, urls))
}

fn start(command: &mut Command) -> anyhow::Result<(Ended, String)> {
    let mut child = Ended(command.stdout(Stdio::piped()).spawn()?);
    let mut line = String::new();
    BufReader::new(child.0.stdout.take().context("no stdout")?).read_line(&mut line)?;
    let url = line
        .trim()
        .strip_prefix("listening on ")
        .context("the peer did not start")?;
    Ok((child, url.to_owned()))
}

fn measured(command: &mut Command, runs: usize, bytes: usize) -> anyhow::Result<Measured> {
    command.args([
        "bench-part",
        "probe",
        "--runs",
        &runs.to_string(),
        "--bytes",
        &bytes.to_string(),
    ]);
    let out = command.stderr(Stdio::inherit()).output()?;
    ensure!(
        out.status.success(),
        "the measuring program failed: {}",
        out.status
    );
    Ok(serde_json::from_slice(&out.stdout)?)
}

/// Seconds from the start of a process to its end, with one kernel run in between.
fn first_kernel(rgpu: &PathBuf, front: &[&str], runs: usize) -> anyhow::Result<Samples> {
    let mut samples = Samples::default();
    for _ in 0..runs {
        let start = Instant::now();
        let status = Command::new(rgpu)
            .args(front)
            .arg(rgpu)
            .args(["bench-part", "first"])
            .status()?;
        ensure!(
            status.success(),
            "the program with one kernel failed: {status}"
        );
        samples.0.push(start.elapsed().as_secs_f64());
    }
    Ok(samples)
}
