//! RDMA without hardware: tests in a virtual machine with Soft-RoCE, whose processors are emulated, some ten times slower
//! than real ones. So nothing is built there, and nothing measured.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::paths;
use crate::process;

/// Seconds that a machine may take, its start included.
const LIMIT: u32 = 600;

/// Runs the tests of the transport which need a device.
pub(crate) fn run() -> Result<()> {
    let tests = build_tests()?;
    ensure!(tests.len() >= 2, "cargo built no tests of the transport");
    for test in tests {
        in_machine(&[test.as_os_str().as_ref(), Path::new("--ignored")])?;
    }
    Ok(())
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
fn in_machine(command: &[&Path]) -> Result<()> {
    let mut machine = Command::new(paths::root().join("tests/rdma-vm.sh"));
    machine
        .current_dir(paths::root())
        .env("RDMA_VM_CACHE", paths::cache().join("rdma-vm"))
        .args(["--timeout", &LIMIT.to_string(), "--"])
        .args(command);
    if process::shown(&mut machine).context("cannot start the machine")? {
        return Ok(());
    }
    bail!("`{}` failed; see above", process::line(&machine))
}
