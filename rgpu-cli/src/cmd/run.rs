//! `rgpu run`: a program with the client library in front of it.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Command;

use rgpu_transport::Address;

use crate::address::{self, SERVER_VARIABLE};
use crate::libraries::{self, Forwarded, LIBS_VARIABLE, Set};
use crate::{control, frameworks, size};

/// Run a program on a remote GPU.
///
/// The program finds a `libcuda.so.1` that forwards its CUDA calls to the server. Everything above the
/// driver (cudart, cuFFT, …) stays the program's own, and so do cuBLAS, cuBLASLt and cuDNN unless --libs says
/// otherwise. Its exit status is that of the program.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    options: Options,
    /// The program and its arguments
    #[arg(trailing_var_arg = true, required = true, value_name = "CMD")]
    command: Vec<OsString>,
}

/// How a program gets to its GPU.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The server: tcp://HOST:PORT, rdma://HOST:PORT or unix:/PATH [default: the local server]. With
    /// `?delay=1ms&rate=10gbit` behind it, a network is emulated that adds 1 ms to each round trip and carries 10 Gbit/s each way
    #[arg(long, value_name = "URL", env = SERVER_VARIABLE)]
    server: Option<Address>,
    /// GPU memory to lease, such as 512Mi [default: the server's]
    #[arg(long, value_name = "SIZE", value_parser = size::parse)]
    memory: Option<u64>,
    /// Libraries whose calls are forwarded whole, as in cublas,cublaslt,cudnn, or none [default: all, if the
    /// server's GPU cannot run the program's own]
    #[arg(long, value_name = "LIST", env = LIBS_VARIABLE)]
    libs: Option<String>,
    /// Write statistics of the CUDA calls to this file when the program ends
    #[arg(long, value_name = "FILE")]
    stats: Option<std::path::PathBuf>,
}

pub(crate) fn main(args: &Args) -> anyhow::Result<()> {
    let error = command(&args.options, &args.command)?.exec();
    anyhow::bail!("cannot run {}: {error}", args.command[0].to_string_lossy())
}

/// `program` with its arguments, to be run on a remote GPU.
pub(crate) fn command(args: &Options, program: &[OsString]) -> anyhow::Result<Command> {
    let folder = libraries::folder(Set::Client)?;
    let mut command = Command::new(&program[0]);
    command.args(&program[1..]);
    command.env(
        "LD_LIBRARY_PATH",
        libraries::before(&folder, "LD_LIBRARY_PATH"),
    );
    let server = address::server(args.server.as_ref());
    let ptx_only = control::runs_ptx_only(&server.url);
    let forwarded = match &args.libs {
        Some(list) => libraries::forwarded(list)?,
        None if ptx_only => Forwarded::ALL.to_vec(),
        None => Vec::new(),
    };
    command.env(
        "LD_PRELOAD",
        libraries::preload(&folder, &folder.join("libs"), &forwarded),
    );
    if ptx_only {
        frameworks::keep_ptx(&mut command, &folder)?;
    }
    frameworks::leave_the_lease(&mut command);
    command.env(SERVER_VARIABLE, server.to_string());
    if let Some(memory) = args.memory {
        command.env("RGPU_MEMORY", memory.to_string());
    }
    if let Some(stats) = &args.stats {
        command.env("RGPU_STATS", std::path::absolute(stats)?);
    }
    Ok(command)
}
