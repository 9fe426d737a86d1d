//! `rgpu local`: a program with the software GPU in front of it.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::address::SERVER_VARIABLE;
use crate::frameworks;
use crate::libraries::{self, Forwarded, Set};
use crate::size;

/// Run a program on the software GPU, without a server.
///
/// The program finds a `libcuda.so.1` that compiles its kernels for the CPU. This is the baseline of every
/// measurement, and a way to run CUDA tests where there is no GPU.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Memory of the software GPU, such as 2Gi [default: half of this machine's]
    #[arg(long, value_name = "SIZE", value_parser = size::parse)]
    memory: Option<u64>,
    /// The program and its arguments
    #[arg(trailing_var_arg = true, required = true, value_name = "CMD")]
    command: Vec<OsString>,
}

pub(crate) fn main(args: &Args) -> anyhow::Result<()> {
    let folder = libraries::folder(Set::SoftGpu)?;
    let mut command = Command::new(&args.command[0]);
    command.args(&args.command[1..]);
    command.env(
        "LD_LIBRARY_PATH",
        libraries::before(&folder, "LD_LIBRARY_PATH"),
    );
    command.env(
        "LD_PRELOAD",
        libraries::preload(&folder, &folder, &Forwarded::ALL),
    );
    // NVML's library would ask that server.
    command.env_remove(SERVER_VARIABLE);
    frameworks::keep_ptx(&mut command, &folder)?;
    frameworks::leave_the_lease(&mut command);
    if let Some(memory) = args.memory {
        command.env("RGPU_SOFT_MEMORY", memory.to_string());
    }
    let error = command.exec();
    anyhow::bail!("cannot run {}: {error}", args.command[0].to_string_lossy())
}
