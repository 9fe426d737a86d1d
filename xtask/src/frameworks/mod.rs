//! The stock wheels of frameworks on the software GPU, directly and through a server: `cargo xtask test --frameworks`.
//!
//! Each test is a Python program that carries its own checks and ends with status 0 if all of them hold. What it writes
//! goes to a log under `target/`, the end of which is shown when it fails.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::report::{self, Step};
use crate::toolchain::Frameworks;
use crate::{paths, process};

/// A test, and where it runs.
struct Test {
    name: &'static str,
    /// A folder of the checkout, to run in.
    folder: &'static str,
    /// What Python is told.
    arguments: &'static [&'static str],
    paths: &'static [Way],
    limit: Duration,
}

/// The path from a program to the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// None: it needs no GPU.
    Cpu,
}

impl Way {
    fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
        }
    }
}

const TESTS: &[Test] = &[Test {
    name: "echo-view",
    folder: "examples/echo-view",
    arguments: &["-m", "unittest"],
    paths: &[Way::Cpu],
    limit: Duration::from_secs(600),
}];

/// Runs all of them.
pub(crate) fn run() -> Result<()> {
    let bed = Bed {
        python: Frameworks::install()?.interpreter(),
        logs: paths::work().join("frameworks"),
    };
    std::fs::create_dir_all(&bed.logs)?;
    let mut rows = Vec::new();
    let mut failed = 0;
    for test in TESTS {
        for &way in test.paths {
            let start = Instant::now();
            let result = bed.run(test, way);
            if let Err(error) = &result {
                eprintln!("✗ {} ({}): {error:#}", test.name, way.name());
                failed += 1;
            }
            rows.push(vec![
                test.name.to_owned(),
                way.name().to_owned(),
                if result.is_ok() { "passed" } else { "FAILED" }.to_owned(),
                report::seconds(start.elapsed()),
            ]);
        }
    }
    print!("{}", report::table(&rows));
    ensure!(failed == 0, "{failed} of {} failed", rows.len());
    Ok(())
}

/// What the tests run with.
struct Bed {
    python: PathBuf,
    logs: PathBuf,
}

impl Bed {
    fn run(&self, test: &Test, way: Way) -> Result<()> {
        let step = Step::begin(&format!("{} ({})", test.name, way.name()));
        let mut command = self.command(way);
        command
            .args(test.arguments)
            .current_dir(paths::root().join(test.folder));
        let log = self.logs.join(format!("{}-{}.log", test.name, way.name()));
        let output = process::capture(&mut command, test.limit)?;
        let text = format!("{}{}", output.stdout, output.stderr);
        std::fs::write(&log, &text)?;
        ensure!(
            output.good(),
            "{}; {} ends with\n{}",
            process::status_text(output.status),
            paths::shown(&log),
            process::last_lines(&text, 40)
        );
        step.done("");
        Ok(())
    }

    fn command(&self, way: Way) -> Command {
        match way {
            Way::Cpu => Command::new(&self.python),
        }
    }
}
