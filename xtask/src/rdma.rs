//! RDMA without hardware: tests in a virtual machine with Soft-RoCE, whose processors are emulated, some ten times slower
//! than real ones. So nothing is built there, and nothing measured.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::dist::{self, Profile};
use crate::{conformance, paths, process};

/// Seconds that a machine may take, its start included.
const LIMIT: u32 = 600;

/// CUDA programs that together send small and large pieces both ways, at once from several threads, lose their context,
/// fork, and end with work under way.
const PROGRAMS: &[&str] = &[
    "copies",
    "error_illegal_address",
    "events",
    "exit_with_work",
    "fork_after_use",
    "host_callbacks",
    "many_launches",
    "threads_and_streams",
    "vector_add",
];

/// Runs the tests of the transport which need a device, and CUDA programs on a server over RDMA.
pub(crate) fn run() -> Result<()> {
    let tests = build_tests()?;
    ensure!(tests.len() >= 2, "cargo built no tests of the transport");
    let programs: Vec<_> = PROGRAMS.iter().map(|&name| name.to_owned()).collect();
    conformance::build_programs(&programs)?;
    dist::build(Profile::Dev)?;
    for test in tests {
        in_machine(Command::new(test).arg("--ignored"))?;
    }
    // One at a time: a server gives up on clients that are slower than any real one.
    let mut conform = Command::new(std::env::current_exe()?);
    conform.arg("conformance").args(PROGRAMS);
    conform.args(["--mode", "rdma", "--profile", "dev", "--prebuilt"]);
    conform.args(["--jobs", "1", "--timeout", "120"]);
    in_machine(&conform)
}

/// The transport's test programs.
fn build_tests() -> Result<Vec<PathBuf>> {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(paths::root()).args([
        "test",
        "--package",
        "rgpu-transport",
        "--lib",
        "--test",
        "suite",
        "--locked",
        "--no-run",
        "--message-format",
        "json-render-diagnostics",
    ]);
    let text = process::quiet(&mut cargo, Duration::from_secs(1800))?;
    let programs = text.lines().filter_map(|line| {
        let message: Value = serde_json::from_str(line).ok()?;
        message["executable"].as_str().map(PathBuf::from)
    });
    Ok(programs.collect())
}

/// Runs a command in the machine.
fn in_machine(command: &Command) -> Result<()> {
    let mut machine = Command::new(paths::root().join("tests/rdma-vm.sh"));
    machine
        .current_dir(paths::root())
        .env("RDMA_VM_CACHE", paths::cache().join("rdma-vm"))
        // The user's kernels are many, and a look at all of them takes the machine half a minute.
        .env("XDG_CACHE_HOME", "/tmp/rgpu-caches")
        .args(["--env", "XDG_CACHE_HOME"])
        .args(["--timeout", &LIMIT.to_string(), "--"])
        .arg(command.get_program())
        .args(command.get_args());
    if process::shown(&mut machine).context("cannot start the machine")? {
        return Ok(());
    }
    bail!("`{}` failed; see above", process::line(&machine))
}
