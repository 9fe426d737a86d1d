//! The CUDA programs of tests/conformance: built with both runtimes, run on every path, compared with what they must
//! print.

mod build;
mod program;
mod round_trips;

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};

use self::build::Linkage;
use self::program::Program;
use self::round_trips::{Table, Trips};
use crate::dist::{self, Dist, Profile};
use crate::process::{self, Server};
use crate::report::{self, Step};
use crate::toolchain::Cuda;
use crate::{gpu_server, paths};

/// Options of `cargo xtask conformance`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Only programs whose name holds one of these texts
    filters: Vec<String>,
    /// Only these paths to the device
    #[arg(long, value_enum)]
    mode: Vec<Mode>,
    /// Build the programs and stop
    #[arg(long)]
    build_only: bool,
    /// Programs at a time; the number of processors if not given
    #[arg(long)]
    jobs: Option<usize>,
    /// Seconds that a program may take
    #[arg(long, default_value_t = 60)]
    timeout: u64,
    /// The driver that servers load: `software`, `auto`, or a path
    #[arg(long, default_value = "software")]
    driver: String,
    /// Cargo profile for rgpu itself
    #[arg(long, value_enum, default_value_t = Profile::Release)]
    profile: Profile,
    /// Build nothing, run what is there
    #[arg(long, hide = true)]
    prebuilt: bool,
    /// Hold what the programs wait for over tcp against tests/conformance/round_trips.txt
    #[arg(long)]
    round_trips: bool,
    /// Write tests/conformance/round_trips.txt anew, from what the programs do over tcp
    #[arg(long)]
    write_round_trips: bool,
}

impl Options {
    /// Whether to count what the programs wait for.
    const fn counts(&self) -> bool {
        self.round_trips || self.write_round_trips
    }

    /// Everything, as CI runs it.
    pub(crate) fn all() -> Self {
        Self {
            filters: vec![],
            mode: vec![],
            build_only: false,
            jobs: None,
            timeout: 60,
            driver: "software".to_owned(),
            profile: Profile::Release,
            prebuilt: false,
            round_trips: false,
            write_round_trips: false,
        }
    }
}

/// The path from a program to the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
enum Mode {
    /// Directly on the software GPU.
    Local,
    /// A server over TCP.
    Tcp,
    /// A server through shared memory, as at any unix socket.
    Shm,
    /// A server over a unix socket itself.
    Unix,
    /// A server over RDMA, on a host that has it; runs only where it is asked for.
    Rdma,
}

impl Mode {
    /// Those that run where none is asked for.
    const USUAL: [Self; 3] = [Self::Local, Self::Tcp, Self::Shm];

    fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Tcp => "tcp",
            Self::Shm => "shm",
            Self::Unix => "unix",
            Self::Rdma => "rdma",
        }
    }
}

/// One run of one build of a program.
#[derive(Debug, Clone, Copy)]
struct Case<'a> {
    program: &'a Program,
    linkage: Linkage,
    mode: Mode,
}

/// What became of it.
#[derive(Debug)]
struct Verdict {
    complaints: Vec<String>,
    /// What it waited for, over tcp.
    trips: Option<Trips>,
    stderr: String,
    time: Duration,
}

/// Runs the task; whether all programs did what they must.
pub(crate) fn run(options: &Options) -> Result<bool> {
    let folder = paths::root().join("tests/conformance");
    let programs = Program::find(&folder, &options.filters)?;
    let jobs = options
        .jobs
        .or_else(|| std::thread::available_parallelism().ok().map(usize::from))
        .unwrap_or(1)
        .max(1);
    let dist = if options.prebuilt {
        Dist::of(options.profile)
    } else {
        build_all(&programs, jobs)?;
        if options.build_only {
            return Ok(true);
        }
        dist::build(options.profile)?
    };
    let cuda = Cuda::install()?;
    let modes = if options.mode.is_empty() {
        Mode::USUAL.to_vec()
    } else {
        options.mode.clone()
    };
    let runner = Runner::start(dist, cuda, &modes, options)?;
    let cases: Vec<Case<'_>> = programs
        .iter()
        .flat_map(|program| Linkage::ALL.map(|linkage| (program, linkage)))
        .flat_map(|(program, linkage)| {
            let runs = |mode: &&Mode| program.expected.devices.is_none() || **mode == Mode::Local;
            modes.iter().filter(runs).map(move |&mode| Case {
                program,
                linkage,
                mode,
            })
        })
        .collect();
    let step = Step::begin(&format!(
        "running {} programs, {} runs",
        programs.len(),
        cases.len()
    ));
    let mut verdicts = in_parallel(&cases, jobs, &step, |case| runner.run(case))?;
    step.done("");
    // Another driver has other waits of its own.
    if options.counts() && options.driver == "software" {
        check_round_trips(&programs, &cases, &mut verdicts, options.write_round_trips)?;
    }
    let failed = print_results(&programs, &modes, &cases, &verdicts);
    runner.check_servers()?;
    println!("{} passed, {failed} failed", cases.len() - failed);
    Ok(failed == 0)
}

/// Holds what the programs waited for against the table, or writes the table.
fn check_round_trips(
    programs: &[Program],
    cases: &[Case<'_>],
    verdicts: &mut [Verdict],
    write: bool,
) -> Result<()> {
    let mut table = Table::read()?;
    if !write {
        for (case, verdict) in cases.iter().zip(verdicts) {
            let trips = verdict.trips.as_ref();
            let complaint = trips.and_then(|trips| table.complaint(&case.program.name, trips));
            verdict.complaints.extend(complaint);
        }
        return Ok(());
    }
    for program in programs {
        let of_program = cases.iter().zip(verdicts.iter()).filter(|(case, verdict)| {
            case.program.name == program.name && verdict.complaints.is_empty()
        });
        let runs: Vec<Trips> = of_program
            .filter_map(|(_, verdict)| verdict.trips.clone())
            .collect();
        table.take(&program.name, &runs);
    }
    table.write()
}

/// Builds all programs that are out of date.
fn build_all(programs: &[Program], jobs: usize) -> Result<()> {
    let cuda = Cuda::install()?;
    let headers = build::headers(&paths::root().join("tests/conformance"))?;
    let step = Step::begin(&format!("compiling {} CUDA programs", programs.len()));
    let built = in_parallel(programs, jobs, &step, |program| {
        build::build(&cuda, program, &headers)
    })?;
    let fresh = built
        .into_iter()
        .collect::<Result<Vec<bool>>>()?
        .into_iter()
        .filter(|&b| b)
        .count();
    step.done(&format!(
        "{fresh} compiled, {} up to date",
        programs.len() - fresh
    ));
    Ok(())
}

/// Builds programs for others who run them (the tests do): all, or those whose names hold one of `filters`.
pub(crate) fn build_programs(filters: &[String]) -> Result<()> {
    let programs = Program::find(&paths::root().join("tests/conformance"), filters)?;
    build_all(
        &programs,
        std::thread::available_parallelism().map_or(1, usize::from),
    )
}

/// Does `work` for every item on `jobs` threads; results come in the order of the items.
fn in_parallel<T: Sync, R: Send>(
    items: &[T],
    jobs: usize,
    step: &Step,
    work: impl Fn(&T) -> R + Sync,
) -> Result<Vec<R>> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(at) else { return };
                    let result = work(item);
                    if let Ok(mut done) = done.lock() {
                        done.insert(at, result);
                        step.progress(&format!("{} of {}", done.len(), items.len()));
                    }
                }
            });
        }
    });
    let done = done
        .into_inner()
        .map_err(|_| anyhow::anyhow!("a worker thread panicked"))?;
    Ok(done.into_values().collect())
}

/// Runs cases: knows the servers and the environment.
struct Runner {
    dist: Dist,
    cuda: Cuda,
    servers: BTreeMap<Mode, (String, Mutex<Server>)>,
    limit: Duration,
    /// Whether to count what the programs wait for.
    count: bool,
}

impl Runner {
    fn start(dist: Dist, cuda: Cuda, modes: &[Mode], options: &Options) -> Result<Self> {
        let mut servers = BTreeMap::new();
        for &mode in modes {
            if let Some(listen) = listen_url(mode) {
                // Copies go through staging buffers here, as they do for a card, and straight to the memory there.
                let access = match mode {
                    Mode::Shm | Mode::Unix => "0",
                    Mode::Local | Mode::Tcp | Mode::Rdma => "1",
                };
                let variables = [("RGPU_SOFT_HOST_ACCESS", access)];
                let (url, server) = gpu_server::start_with(
                    &dist,
                    mode.name(),
                    &listen,
                    &options.driver,
                    &variables,
                )?;
                let url = match mode {
                    Mode::Rdma => url.replacen("tcp://", "rdma://", 1),
                    _ => url,
                };
                servers.insert(mode, (url, Mutex::new(server)));
            }
        }
        Ok(Self {
            dist,
            cuda,
            servers,
            limit: Duration::from_secs(options.timeout),
            count: options.counts(),
        })
    }

    fn run(&self, case: &Case<'_>) -> Verdict {
        let start = Instant::now();
        let ran = self.run_recorded(case);
        let time = start.elapsed();
        match ran {
            Ok((output, trips)) => Verdict {
                complaints: case.program.expected.complaints(&output),
                trips,
                stderr: output.stderr,
                time,
            },
            Err(error) => Verdict {
                complaints: vec![format!("{error:#}")],
                trips: None,
                stderr: String::new(),
                time,
            },
        }
    }

    /// Runs a program; over tcp with a recording of what it waits for.
    fn run_recorded(&self, case: &Case<'_>) -> Result<(process::Output, Option<Trips>)> {
        let mut command = self.command(case);
        if case.mode != Mode::Tcp || !self.count {
            return Ok((process::capture(&mut command, self.limit)?, None));
        }
        let name = format!("{}-{}", case.program.name, case.linkage.name());
        let folder = paths::work().join("recordings").join(name);
        if folder.exists() {
            std::fs::remove_dir_all(&folder)?;
        }
        std::fs::create_dir_all(&folder)?;
        command.env("RGPU_TRACE", folder.join("%p"));
        let output = process::capture(&mut command, self.limit)?;
        let trips = round_trips::counted(&folder)?;
        std::fs::remove_dir_all(&folder)?;
        Ok((output, Some(trips)))
    }

    fn command(&self, case: &Case<'_>) -> Command {
        let mut command = self.dist.command();
        match self.servers.get(&case.mode) {
            Some((url, _)) => command.args(["run", "--server", url, "--"]),
            None => command.args(["local", "--"]),
        };
        command.arg(build::binary(&case.program.name, case.linkage));
        if case.mode == Mode::Unix {
            command.env("RGPU_SHM", "0");
        }
        if let Some(devices) = case.program.expected.devices {
            command.env("RGPU_SOFT_DEVICES", devices.to_string());
        }
        // The shared runtime is found as users have it found; rgpu has to keep what the variable holds.
        command.env("LD_LIBRARY_PATH", self.cuda.lib());
        command
    }

    /// A server that ended while programs ran is a failure of its own.
    fn check_servers(&self) -> Result<()> {
        for (mode, (url, server)) in &self.servers {
            let Ok(mut server) = server.lock() else {
                bail!("a worker thread panicked")
            };
            if !server.running() {
                bail!(
                    "the {} server at {url} ended; its log says:\n{}",
                    mode.name(),
                    server.log_tail(40)
                );
            }
        }
        Ok(())
    }
}

/// What the server of a mode listens on; none for a mode without a server.
fn listen_url(mode: Mode) -> Option<String> {
    match mode {
        Mode::Local => None,
        // RDMA begins with TCP.
        Mode::Tcp | Mode::Rdma => Some("tcp://127.0.0.1:0".to_owned()),
        // Short, since the path of a unix socket has room for about 100 bytes.
        Mode::Shm | Mode::Unix => Some(format!(
            "unix:{}",
            std::env::temp_dir()
                .join(format!(
                    "rgpu-xtask-{}-{}.sock",
                    mode.name(),
                    std::process::id()
                ))
                .display()
        )),
    }
}

/// Prints the table and what went wrong; returns the number of failed runs.
fn print_results(
    programs: &[Program],
    modes: &[Mode],
    cases: &[Case<'_>],
    verdicts: &[Verdict],
) -> usize {
    let mut header = vec!["program".to_owned()];
    for linkage in Linkage::ALL {
        header.extend(
            modes
                .iter()
                .map(|m| format!("{} {}", linkage.name(), m.name())),
        );
    }
    let mut rows = vec![header];
    let mut results = cases.iter().zip(verdicts).peekable();
    for program in programs {
        let mut row = vec![program.name.clone()];
        for linkage in Linkage::ALL {
            for &mode in modes {
                let is_it = |(case, _): &(&Case<'_>, &Verdict)| {
                    (case.program.name == program.name, case.linkage, case.mode)
                        == (true, linkage, mode)
                };
                row.push(match results.next_if(is_it) {
                    Some((_, verdict)) if verdict.complaints.is_empty() => {
                        report::seconds(verdict.time)
                    }
                    Some(_) => "FAILED".to_owned(),
                    None => "-".to_owned(),
                });
            }
        }
        rows.push(row);
    }
    print!("{}", report::table(&rows));
    let mut failed = 0;
    for (case, verdict) in cases
        .iter()
        .zip(verdicts)
        .filter(|(_, v)| !v.complaints.is_empty())
    {
        failed += 1;
        println!(
            "\n{} ({}, {}):",
            case.program.name,
            case.linkage.name(),
            case.mode.name()
        );
        for complaint in &verdict.complaints {
            println!("  {}", complaint.replace('\n', "\n  "));
        }
        if !verdict.stderr.trim().is_empty() {
            println!(
                "  stderr:\n    {}",
                process::last_lines(&verdict.stderr, 8).replace('\n', "\n    ")
            );
        }
    }
    if failed > 0 {
        println!();
    }
    failed
}
