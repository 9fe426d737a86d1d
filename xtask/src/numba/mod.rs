//! numba-cuda's own tests, from its wheel: code that nobody here wrote, which compiles kernels at run time and gives
//! them to the driver's linker. Run directly on the software GPU and through a server.
//!
//! Which tests fail, and why, stands in `tests/numba-cuda/known-failures.txt`. A failure that is not there is a
//! regression; so is an entry that fails no more.

mod known;
mod record;

use std::collections::BTreeMap;
use std::process::Command;

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};

use self::known::Known;
use self::record::{Outcome, Record};
use crate::dist::{self, Dist, Profile};
use crate::toolchain::Numba;
use crate::{gpu_server, paths, process, report};

/// GPU memory for the tests: one of them allocates 1.5 GiB.
const LEASE: &str = "2Gi";

/// Options of `cargo xtask numba`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Only tests that pytest's -k picks; entries that fail no more are not looked for
    filter: Option<String>,
    /// Only these paths to the device
    #[arg(long, value_enum)]
    mode: Vec<Mode>,
    /// Seconds that a test may take
    #[arg(long, default_value_t = 300)]
    timeout: u64,
    /// Cargo profile for rgpu itself
    #[arg(long, value_enum, default_value_t = Profile::Release)]
    profile: Profile,
}

/// The path from the tests to the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
enum Mode {
    /// Directly on the software GPU.
    Local,
    /// A server over TCP.
    Tcp,
}

impl Mode {
    const ALL: [Self; 2] = [Self::Local, Self::Tcp];

    fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Tcp => "tcp",
        }
    }
}

/// Runs the tests; whether what fails is what is known to.
pub(crate) fn run(options: &Options) -> Result<bool> {
    let known = Known::read(&paths::root().join("tests/numba-cuda/known-failures.txt"))?;
    let dist = dist::build(options.profile)?;
    let numba = Numba::install()?;
    let modes = match options.mode.as_slice() {
        [] => &Mode::ALL,
        some => some,
    };
    let mut rows = vec![head()];
    let mut in_order = true;
    let mut records = Vec::new();
    for &mode in modes {
        let record = one(options, &dist, &numba, mode)?;
        rows.push(row(mode, &record));
        in_order &= judge(&known, mode, &record);
        records.push((mode, record));
    }
    if options.filter.is_none() {
        let modes: Vec<(&str, &Record)> = records
            .iter()
            .map(|(mode, record)| (mode.name(), record))
            .collect();
        for entry in known.outdated(&modes) {
            println!("fails no more: {entry}");
            in_order = false;
        }
    }
    print!("{}", report::table(&rows));
    Ok(in_order)
}

/// Runs the tests on one path to the device.
fn one(options: &Options, dist: &Dist, numba: &Numba, mode: Mode) -> Result<Record> {
    let path = paths::work().join(format!("numba-{}.jsonl", mode.name()));
    let mut server = None;
    let mut command = dist.command();
    match mode {
        Mode::Local => {
            command.args(["local", "--"]);
        }
        Mode::Tcp => {
            let (url, started) = gpu_server::start(dist, "numba", "tcp://127.0.0.1:0", "software")?;
            command.args(["run", "--server", &url, "--memory", LEASE, "--"]);
            server = Some(started);
        }
    }
    tests(&mut command, options, numba)
        .env("NUMBA_RECORD", &path)
        .current_dir(paths::root().join("tests/numba-cuda"));
    println!("{}", process::line(&command));
    // Its status says that some tests failed, which the record says better.
    process::shown(&mut command)?;
    drop(server);
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("the tests left no {}", path.display()))?;
    Record::parse(&text)
}

fn tests<'a>(command: &'a mut Command, options: &Options, numba: &Numba) -> &'a mut Command {
    command.arg(numba.interpreter());
    command.args(["-m", "pytest", "-q", "--tb=no", "--no-summary"]);
    // A process of its own runs the tests, so that one which crashes or hangs ends only itself. Not more than one:
    // tests of a class want to stay together.
    command.args(["--numprocesses=1", "--max-worker-restart=100"]);
    command.arg(format!("--timeout={}", options.timeout));
    command.arg("--timeout-method=thread");
    if let Some(filter) = &options.filter {
        command.args(["-k", filter]);
    }
    command
}

/// Prints the failures by reason; whether all of them are known.
fn judge(known: &Known, mode: Mode, record: &Record) -> bool {
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    let mut in_order = true;
    for test in record.failed() {
        match known.reason(mode.name(), &test.name) {
            Some(reason) => *reasons.entry(reason).or_default() += 1,
            None => {
                let why = test.why.lines().next().unwrap_or_default();
                println!("{}: {} FAILED: {why}", mode.name(), test.name);
                in_order = false;
            }
        }
    }
    for (reason, count) in reasons {
        println!("{}: {count:4} fail as known: {reason}", mode.name());
    }
    in_order
}

fn head() -> Vec<String> {
    ["path", "passed", "failed", "skipped", "expected to fail"]
        .map(str::to_owned)
        .to_vec()
}

fn row(mode: Mode, record: &Record) -> Vec<String> {
    let count = |outcome| record.count(outcome).to_string();
    vec![
        mode.name().to_owned(),
        count(Outcome::Passed),
        count(Outcome::Failed),
        count(Outcome::Skipped),
        count(Outcome::ExpectedToFail),
    ]
}
