//! `rgpu bench`: measurements, as ratios in one run.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, bail, ensure};
use rgpu_benches::probe::{self, Amount, Measured};
use rgpu_benches::remoting::{self, Transport};
use rgpu_benches::stats::Samples;
use rgpu_benches::{cuda, peer};
use rgpu_transport::{Listener, Url};

/// Measure what remoting costs, on this machine.
///
/// Every figure is a ratio of two things measured in the same run: against the bare transport, a memcpy, or
/// the local software GPU. Client, server and peer share this machine, unpinned; all wait in blocking calls.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What to measure
    #[arg(default_value = "remoting", value_parser = ["remoting"])]
    name: String,
    /// Repetitions of each measurement
    #[arg(long, default_value_t = 10)]
    runs: usize,
    /// Bytes of a copy
    #[arg(long, default_value = "256Mi", value_parser = crate::size::parse)]
    bytes: u64,
}

/// The parts that run in processes of their own; started by `bench`, never by people.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Part {
    /// A CUDA program that measures and prints JSON
    Probe {
        #[arg(long)]
        runs: usize,
        #[arg(long)]
        bytes: usize,
    },
    /// A CUDA program that runs one kernel
    First,
    /// The bare peer
    Peer {
        #[arg(long)]
        listen: Url,
    },
}

const LAUNCHES: usize = 10_000;
const WAITS: usize = 1_000;

pub(crate) fn part(part: &Part) -> anyhow::Result<()> {
    match part {
        Part::Probe { runs, bytes } => {
            println!(
                "{}",
                serde_json::to_string(&probe::measure(amount(*runs, *bytes))?)?
            );
        }
        Part::First => {
            let cuda = cuda::Cuda::open()?;
            cuda.launch(1)?;
            cuda.synchronize()?;
        }
        Part::Peer { listen } => {
            let listener = Listener::bind(listen)?;
            println!("listening on {}", listener.url()?);
            peer::serve(&listener)?;
        }
    }
    Ok(())
}

const fn amount(runs: usize, bytes: usize) -> Amount {
    Amount {
        runs,
        launches: LAUNCHES,
        waits: WAITS,
        bytes,
    }
}

/// A process that ends with this one.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) fn main(args: &Args) -> anyhow::Result<()> {
    let rgpu = std::env::current_exe().context("cannot find this executable")?;
    let bytes = usize::try_from(args.bytes)?;
    let folder = tempfile::tempdir()?;
    let socket = |name: &str| format!("unix:{}", folder.path().join(name).display());
    let memory = (bytes as u64 * 2).max(64 << 20).to_string();
    let (_server, urls) = serve(
        &rgpu,
        folder.path(),
        &socket("gpu"),
        &(bytes * 4).to_string(),
    )?;
    eprintln!(
        "measuring {} runs of each; this takes a minute or two",
        args.runs
    );
    let local = measured(
        Command::new(&rgpu).args(["local", "--"]).arg(&rgpu),
        args.runs,
        bytes,
    )?;
    let mut transports = Vec::new();
    let mut first = vec![("local", first_kernel(&rgpu, &["local", "--"], args.runs)?)];
    for (name, listen, url) in [
        ("tcp", "tcp://127.0.0.1:0".to_owned(), &urls[0]),
        ("unix", socket("peer"), &urls[1]),
    ] {
        eprintln!("  {name}");
        let run = ["run", "--server", url, "--memory", &memory, "--"];
        let remote = measured(Command::new(&rgpu).args(run).arg(&rgpu), args.runs, bytes)?;
        let (_peer, peer_url) =
            start(Command::new(&rgpu).args(["bench-part", "peer", "--listen", &listen]))?;
        let bare = peer::measure(&peer_url.parse()?, amount(args.runs, bytes))?;
        first.push((name, first_kernel(&rgpu, &run, args.runs)?));
        transports.push(Transport { name, remote, bare });
    }
    println!("{}", machine());
    println!();
    print!("{}", remoting::table(&transports, &local, &first));
    Ok(())
}

fn serve(
    rgpu: &Path,
    folder: &Path,
    unix: &str,
    memory: &str,
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
    command
        .args(["--listen", unix, "--modules"])
        .arg(folder.join("modules"))
        .env("RGPU_LOG", "warn");
    let mut child = Ended(command.stdout(Stdio::piped()).spawn()?);
    let mut lines = BufReader::new(child.0.stdout.take().context("no stdout")?).lines();
    let mut urls = Vec::new();
    while urls.len() < 2 {
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

/// The machine, in words.
fn machine() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("unknown processor", |(_, model)| model);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    format!("Machine: {cores} cores, {model}; the GPU is the software one.")
}
