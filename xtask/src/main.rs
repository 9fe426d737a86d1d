//! `cargo xtask`: everything that is not a plain `cargo build` — the demo, the tests, and the files that are generated.

mod conformance;
mod coverage;
mod demo;
mod deps;
mod dist;
#[cfg(test)]
mod docs;
mod frameworks;
mod gpu_server;
mod numba;
mod nvml;
mod page;
mod paths;
mod process;
mod ptx_coverage;
mod rdma;
mod report;
mod test;
mod toolchain;
mod venv;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::dist::Profile;

#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask",
    about = "Builds, tests and shows rgpu from a fresh checkout"
)]
struct Args {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Run the main job end to end: upload an echocardiogram, filter it on a remote GPU, fetch and check the result
    Demo(demo::Options),
    /// Run all checks and tests, as CI does
    Test(test::Options),
    /// Build the CUDA programs in tests/conformance and run each locally, over TCP and over a unix socket
    Conformance(conformance::Options),
    /// Run numba-cuda's own tests on the software GPU and through a server, and compare what fails with the list
    Numba(numba::Options),
    /// Write COVERAGE.md from the rows of the driver API, of PTX, and the report of frameworks
    Coverage {
        /// Fail if COVERAGE.md is not what would be written
        #[arg(long)]
        check: bool,
    },
    /// Build everything and lay it out under target/dist
    Dist {
        /// Cargo profile; `dev` builds faster and goes to target/dist-dev
        #[arg(long, value_enum, default_value_t = Profile::Release)]
        profile: Profile,
    },
    /// Compile every kernel of a package, library, program or PTX file for the software GPU; `--help` tells more
    #[command(disable_help_flag = true)]
    PtxCoverage(ptx_coverage::Options),
    FrameworksReport(frameworks::record::Options),
    /// Check which crates depend on which
    DepsCheck,
}

fn main() -> ExitCode {
    process::end_children_on_signals();
    match run(Args::parse().task) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether the task found everything in order.
fn run(task: Task) -> Result<bool> {
    match task {
        Task::Demo(options) => demo::run(&options).map(|()| true),
        Task::Test(options) => test::run(&options),
        Task::Conformance(options) => conformance::run(&options),
        Task::Numba(options) => numba::run(&options),
        Task::Coverage { check } => coverage::run(check).map(|()| true),
        Task::Dist { profile } => dist::build(profile).map(|dist| {
            println!("{}", dist.root().display());
            true
        }),
        Task::PtxCoverage(options) => ptx_coverage::run(&options),
        Task::FrameworksReport(options) => frameworks::record::run(&options).map(|()| true),
        Task::DepsCheck => deps::check().map(|()| true),
    }
}
