//! The stock wheels of frameworks on the software GPU, directly and through a server: `cargo xtask test --frameworks`.
//!
//! Each test is a Python program that carries its own checks and ends with status 0 if all of them hold. What it writes
//! goes to a log under `target/`, the end of which is shown when it fails.

mod echo_view;
pub(crate) mod record;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::dist::{self, Dist, Profile};
use crate::process::Server;
use crate::report::{self, Step};
use crate::toolchain::Frameworks;
use crate::{gpu_server, paths, process};

/// GPU memory of a program, and the same in bytes.
const LEASE: &str = "1Gi";
const LEASE_BYTES: &str = "1073741824";
/// How long a test may take.
const LIMIT: Duration = Duration::from_secs(600);

/// The path from a program to the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// None: it must not need a GPU.
    Cpu,
    /// Directly on the software GPU.
    Local,
    /// A server over TCP.
    Tcp,
}

impl Way {
    const GPU: &[Self] = &[Self::Local, Self::Tcp];

    fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Local => "local",
            Self::Tcp => "tcp",
        }
    }
}

/// A Python program, where it runs, and how it gets to the device.
struct Test {
    name: &'static str,
    folder: &'static str,
    arguments: &'static [&'static str],
    ways: &'static [Way],
}

const TESTS: &[Test] = &[
    Test {
        name: "blas",
        folder: "tests/frameworks",
        arguments: &["blas.py"],
        ways: Way::GPU,
    },
    Test {
        name: "dnn",
        folder: "tests/frameworks",
        arguments: &["dnn.py"],
        ways: Way::GPU,
    },
    Test {
        name: "tf_device",
        folder: "tests/frameworks",
        arguments: &["tf_device.py", LEASE_BYTES],
        ways: Way::GPU,
    },
    Test {
        name: "tf_compute",
        folder: "tests/frameworks",
        arguments: &["tf_compute.py"],
        ways: Way::GPU,
    },
    Test {
        name: "echo-view's own",
        folder: echo_view::FOLDER,
        arguments: &["-m", "unittest"],
        ways: &[Way::Cpu],
    },
];

/// Runs all of them.
pub(crate) fn run() -> Result<()> {
    let mut bed = Bed::prepare()?;
    let mut results = Results::default();
    for test in TESTS {
        for &way in test.ways {
            results.add(test.name, way, || {
                let mut command = bed.python(way);
                command
                    .current_dir(paths::root().join(test.folder))
                    .args(test.arguments);
                bed.run(test.name, way, &mut command)
            });
        }
    }
    echo_view::run(&bed, &mut results);
    results.add("the server still runs", Way::Tcp, || {
        ensure!(
            bed.server.running(),
            "it ended:\n{}",
            bed.server.log_tail(40)
        );
        Ok(())
    });
    results.print()
}

/// What the tests run with.
struct Bed {
    dist: Dist,
    interpreter: PathBuf,
    url: String,
    server: Server,
    folder: PathBuf,
}

impl Bed {
    fn prepare() -> Result<Self> {
        let dist = dist::build(Profile::Release)?;
        let interpreter = Frameworks::install()?.interpreter();
        let folder = paths::work().join("frameworks");
        std::fs::create_dir_all(&folder)?;
        let (url, server) =
            gpu_server::start(&dist, "frameworks", "tcp://127.0.0.1:0", "software")?;
        Ok(Self {
            dist,
            interpreter,
            url,
            server,
            folder,
        })
    }

    /// Python, ready for arguments.
    fn python(&self, way: Way) -> Command {
        let mut command = self.dist.command();
        match way {
            Way::Cpu => return Command::new(&self.interpreter),
            Way::Local => command.args(["local", "--memory", LEASE, "--"]),
            Way::Tcp => command.args(["run", "--server", &self.url, "--memory", LEASE, "--"]),
        };
        command.arg(&self.interpreter);
        command
    }

    /// Runs a program to its end; what it writes is kept in a file.
    fn run(&self, name: &str, way: Way, command: &mut Command) -> Result<()> {
        let name = name.replace(|c: char| !c.is_ascii_alphanumeric(), "_");
        let log = self.folder.join(format!("{name}-{}.log", way.name()));
        let output = process::capture(command, LIMIT)?;
        let text = format!("{}{}", output.stdout, output.stderr);
        std::fs::write(&log, &text).with_context(|| format!("cannot write {}", log.display()))?;
        ensure!(
            output.good(),
            "`{}`: {}; the end of {}:\n{}",
            process::line(command),
            process::status_text(output.status),
            paths::shown(&log),
            process::last_lines(&text, 60)
        );
        Ok(())
    }

    fn folder(&self) -> &Path {
        &self.folder
    }
}

/// What became of the tests.
#[derive(Default)]
struct Results {
    rows: Vec<Vec<String>>,
    failed: usize,
}

impl Results {
    /// Runs one and says how it went.
    fn add(&mut self, name: &str, way: Way, test: impl FnOnce() -> Result<()>) {
        let step = Step::begin(&format!("{name} ({})", way.name()));
        let start = Instant::now();
        let outcome = match test() {
            Ok(()) => {
                step.done("");
                "passed"
            }
            Err(error) => {
                drop(step);
                eprintln!("✗ {name} ({}): {error:#}", way.name());
                self.failed += 1;
                "FAILED"
            }
        };
        let time = report::seconds(start.elapsed());
        let row = [name, way.name(), outcome, &time];
        self.rows.push(row.map(str::to_owned).to_vec());
    }

    fn print(&self) -> Result<()> {
        print!("{}", report::table(&self.rows));
        ensure!(
            self.failed == 0,
            "{} of {} failed",
            self.failed,
            self.rows.len()
        );
        Ok(())
    }
}
