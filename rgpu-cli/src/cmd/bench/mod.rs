//! `rgpu bench`: measurements, as ratios in one run.

mod compile;
mod echo;
mod remoting;
mod softgpu;
mod startup;

use std::io;
use std::path::PathBuf;
use std::process::Child;
use std::time::Duration;

use anyhow::Context as _;
use rgpu_benches::{cuda, kernels, peer, probe};
use rgpu_transport::{Listener, Url};

/// Measure what remoting costs, or how fast the software GPU or its compiler is, on this machine.
///
/// Every figure is a ratio of two things measured in the same run, unpinned. `remoting`: against the bare
/// transport, a memcpy, or the local software GPU; client, server and peer share this machine, and all wait alike:
/// servers in blocking reads, clients after 50 µs of looking; over shared memory both after looking for as long as is worth
/// while. `softgpu`: kernels against the same algorithms in C, built with `gcc -O2` meanwhile. `compile`:
/// loading a large module and compiling its kernels, in a process without and in one with a cache on disk. `echo`: the
/// example echo-view on movies of 60 to 360 frames, on the CPU, a local and a remote GPU, by hand and as jobs, with
/// delays of an emulated network; CSV and figures. `startup`: the first results of a TensorFlow process, in a first and a
/// second job, local and remote.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What to measure
    #[arg(value_enum, default_value_t)]
    name: Name,
    /// Repetitions of each measurement [default: 10; echo, startup: 3]
    #[arg(long)]
    runs: Option<usize>,
    /// Bytes of a copy (remoting)
    #[arg(long, default_value = "256Mi", value_parser = crate::size::parse)]
    bytes: u64,
    /// A PTX file to load instead of one that is made (compile)
    #[arg(long, value_name = "FILE")]
    ptx: Option<PathBuf>,
    /// Most kernels to compile (compile)
    #[arg(long, default_value_t = 210)]
    kernels: usize,
    /// Only these kernels (softgpu)
    #[arg(long, value_name = "KERNEL", value_parser = kernels::NAMES, value_delimiter = ',')]
    only: Vec<String>,
    /// Also write all samples to this file (softgpu)
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Python with the example's requirements (echo, startup)
    #[arg(long, value_name = "FILE", default_value = "python3")]
    python: PathBuf,
    /// The example (echo)
    #[arg(long, value_name = "FOLDER", default_value = "examples/echo-view")]
    example: PathBuf,
    /// Where CSV, figures and pages go (echo, startup)
    #[arg(long, value_name = "FOLDER", default_value = "docs/results")]
    out: PathBuf,
    /// Only one short movie, two at once, and one delay, to try it (echo)
    #[arg(long)]
    quick: bool,
    /// Begin nothing more after so many minutes; what was measured is kept (echo)
    #[arg(long, value_name = "N", default_value_t = 23)]
    minutes: u64,
    /// Go on with the CSV files that an earlier one has left (echo)
    #[arg(long)]
    resume: bool,
}

#[derive(Debug, Clone, Copy, Default, clap::ValueEnum)]
enum Name {
    #[default]
    Remoting,
    Softgpu,
    Compile,
    Echo,
    Startup,
}

pub(crate) fn main(args: &Args) -> anyhow::Result<()> {
    let runs = args.runs.unwrap_or(match args.name {
        Name::Echo | Name::Startup => 3,
        _ => 10,
    });
    match args.name {
        Name::Remoting => remoting::run(runs, args.bytes),
        Name::Compile => compile::run(runs, args.ptx.as_deref(), args.kernels),
        Name::Softgpu => softgpu::run(runs, &args.only, args.json.as_deref()),
        Name::Startup => startup::run(runs, &args.python, &args.out),
        Name::Echo => echo::run(&echo::Plan {
            runs,
            python: args.python.clone(),
            example: args.example.clone(),
            out: args.out.clone(),
            quick: args.quick,
            limit: Duration::from_secs(60 * args.minutes),
            resume: args.resume,
        }),
    }
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
    /// A CUDA program that launches so many kernels whenever a line asks for it
    Launches {
        #[arg(long)]
        count: usize,
    },
    /// A CUDA program that runs one kernel, or its C function, whenever a line asks for it
    Kernel {
        #[arg(long)]
        name: String,
        #[arg(long)]
        reference: PathBuf,
    },
    /// A CUDA program that loads a PTX file, compiles kernels and prints JSON
    Compile {
        #[arg(long)]
        ptx: PathBuf,
        #[arg(long)]
        kernels: usize,
    },
    /// The bare peer
    Peer {
        #[arg(long)]
        listen: Url,
        /// Through shared memory
        #[arg(long)]
        share: bool,
    },
}

pub(crate) fn part(part: &Part) -> anyhow::Result<()> {
    match part {
        Part::Probe { runs, bytes } => {
            println!(
                "{}",
                serde_json::to_string(&probe::measure(remoting::amount(*runs, *bytes))?)?
            );
        }
        Part::First => {
            let cuda = cuda::Cuda::open()?;
            cuda.launch(1)?;
            cuda.synchronize()?;
        }
        Part::Launches { count } => {
            probe::launch_when_asked(*count, io::stdin().lock(), io::stdout())?;
        }
        Part::Kernel { name, reference } => {
            let case = kernels::case(name).context("no such kernel")?;
            rgpu_benches::softgpu::serve(&case, reference, io::stdin().lock(), io::stdout())?;
        }
        Part::Compile { ptx, kernels } => {
            let text = std::fs::read_to_string(ptx)?;
            let measured = rgpu_benches::compile::measure(&text, *kernels)?;
            println!("{}", serde_json::to_string(&measured)?);
        }
        Part::Peer { listen, share } => {
            let listener = Listener::bind(listen)?;
            println!("listening on {}", listener.url()?);
            peer::serve(&listener, *share)?;
        }
    }
    Ok(())
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

/// The machine, in words.
fn machine() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("unknown processor", |(_, model)| model);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    format!("Machine: {cores} cores, {model}.")
}

/// The load averages.
fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace()
        .take(2)
        .collect::<Vec<_>>()
        .join(", ")
}
