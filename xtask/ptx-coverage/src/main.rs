//! `cargo xtask ptx-coverage`: compiles every kernel of a package, library or program as a launch would, and says
//! what the software GPU cannot compile and how long the rest takes.

mod compile;
mod elf;
mod source;
mod summary;

use std::num::NonZero;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, ensure};
use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};

/// Compile every kernel of the sources for the software GPU, as a launch would.
///
/// Prints how many of them compile in each file, the failures grouped by cause, and the time. Fails if a kernel fails.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask ptx-coverage")]
struct Options {
    /// A pip requirement (tensorflow==2.19.0), a wheel, a shared library, an executable, a fat binary or a .ptx file
    #[arg(required = true, value_name = "SOURCE")]
    sources: Vec<String>,
    /// Kernels to compile at a time [default: the number of processors]
    #[arg(long, short, value_name = "N")]
    jobs: Option<NonZero<usize>>,
    /// Only kernels whose name contains this
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
    /// Only one in N of them
    #[arg(long, value_name = "N", default_value = "1")]
    every: NonZero<usize>,
    /// Show each kernel that fails, not only an example of each cause
    #[arg(long)]
    list_failures: bool,
    /// Show the kernels of each module, not only of each file
    #[arg(long)]
    list_modules: bool,
    /// Where wheels that pip downloads are kept
    #[arg(
        long,
        value_name = "FOLDER",
        default_value = "target/xtask/wheels",
        overrides_with = "downloads"
    )]
    downloads: PathBuf,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether every kernel compiles.
fn run(options: &Options) -> Result<bool> {
    let mut images = Vec::new();
    for name in &options.sources {
        source::read(name, &options.downloads, &mut images)?;
    }
    ensure!(
        !images.is_empty(),
        "no PTX for this device in {}",
        options.sources.join(", ")
    );
    let jobs = options
        .jobs
        .or_else(|| std::thread::available_parallelism().ok());
    let jobs = jobs.map_or(1, NonZero::get);
    let bar = ProgressBar::new(0);
    let style = "{bar:30} {pos}/{len} kernels, {elapsed}, {eta} left {msg}";
    bar.set_style(ProgressStyle::with_template(style)?);
    let wanted = compile::Wanted {
        part: options.only.as_deref().unwrap_or(""),
        every: options.every.get(),
    };
    let run = compile::all(&images, jobs, wanted, &bar);
    bar.finish_and_clear();
    let list = summary::List {
        failures: options.list_failures,
        modules: options.list_modules,
    };
    print!("{}", summary::text(&run, list));
    ensure!(run.total() > 0, "no kernel to compile");
    Ok(run.failures.is_empty())
}
