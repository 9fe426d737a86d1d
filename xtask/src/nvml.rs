//! Whether the stock `nvidia-ml-py` lists the remote GPU, its memory and its processes.

use std::time::Duration;

use anyhow::{Result, ensure};

use crate::dist::{self, Profile};
use crate::toolchain::Python;
use crate::{gpu_server, paths, process};

/// Runs `tests/nvml/list_gpus.py` on a server of its own.
pub(crate) fn run() -> Result<()> {
    let dist = dist::build(Profile::Release)?;
    let python = Python::install()?;
    let (url, _server) = gpu_server::start(&dist, "nvml", "tcp://127.0.0.1:0", "software")?;
    let mut command = dist.command();
    command.args(["run", "--server", &url, "--memory", "256Mi", "--"]);
    command
        .arg(python.interpreter())
        .arg(paths::root().join("tests/nvml/list_gpus.py"));
    let printed = process::quiet(&mut command, Duration::from_secs(60))?;
    print!("{printed}");
    ensure!(
        printed.ends_with("PASS\n"),
        "the list is not as it should be"
    );
    Ok(())
}
