//! The `rgpu` command: a thin front over the crates.

mod address;
mod cmd;
mod control;
mod frameworks;
mod libraries;
mod log;
mod size;

use clap::{Parser, Subcommand};

/// Use a GPU that is somewhere else, without changing the program.
#[derive(Debug, Parser)]
#[command(name = "rgpu", version, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  rgpu serve                                   share this machine's GPU, or the software GPU
  rgpu run --server tcp://gpu1:7461 -- ./saxpy run a program on a remote GPU
  rgpu local -- ./saxpy                        run it on the software GPU, no server
  rgpu trace -- ./saxpy                        see what it waits for
  rgpu smi                                     what GPUs there are and who uses them
  rgpu up                                      GPU server, scheduler and object store, here";

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a program on a remote GPU.
    Run(cmd::run::Args),
    /// Run a program on a remote GPU, and say where its calls and waits go.
    Trace(cmd::trace::Args),
    /// Run a program on the software GPU, without a server.
    Local(cmd::local::Args),
    /// Share GPUs with other machines.
    Serve(cmd::serve::Args),
    /// Show GPUs, and who uses them.
    Smi(cmd::smi::Args),
    /// Start GPU server, scheduler and object store on this machine.
    Up(Box<cmd::up::Args>),
    /// Functions, and what they have done.
    Fn(cmd::function::Args),
    /// Measure what remoting costs, or how fast the software GPU is.
    Bench(cmd::bench::Args),
    /// A part of `bench` in a process of its own.
    #[command(hide = true)]
    BenchPart {
        #[command(subcommand)]
        part: cmd::bench::Part,
    },
    /// Serve one client; started by `serve`.
    #[command(hide = true)]
    Worker(cmd::worker::Args),
}

fn main() -> std::process::ExitCode {
    if let Some(arguments) = cmd::ptxas::called_as_ptxas() {
        return cmd::ptxas::main(arguments);
    }
    let result = match Cli::parse().command {
        Command::Trace(args) => return ended(cmd::trace::main(&args)),
        Command::Run(args) => cmd::run::main(&args),
        Command::Local(args) => cmd::local::main(&args),
        Command::Serve(args) => cmd::serve::main(&args),
        Command::Smi(args) => cmd::smi::main(&args),
        Command::Up(args) => cmd::up::main(&args),
        Command::Fn(args) => cmd::function::main(&args),
        Command::Bench(args) => cmd::bench::main(&args),
        Command::BenchPart { part } => cmd::bench::part(&part),
        Command::Worker(args) => cmd::worker::main(args),
    };
    ended(result.map(|()| std::process::ExitCode::SUCCESS))
}

fn ended(result: anyhow::Result<std::process::ExitCode>) -> std::process::ExitCode {
    result.unwrap_or_else(|error| {
        eprintln!("rgpu: {error:#}");
        std::process::ExitCode::FAILURE
    })
}
