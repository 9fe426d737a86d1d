//! The main job, end to end: a real echocardiogram is uploaded by a stock S3 client, the upload starts a function, its
//! unmodified CUDA program finds a GPU that is elsewhere, and the results come back to a bucket. With `--echo-view` the
//! same for several movies at once, and for the stock TensorFlow.

mod despeckle;
mod echo_view;
mod platform;
mod summary;

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::Args;

use self::despeckle::Despeckle;
use self::platform::Platform;
use crate::dist::{self, Profile};
use crate::paths;
use crate::report::Step;
use crate::toolchain::{Cuda, Python};

pub(crate) use self::despeckle::check_reference;

/// Options of `cargo xtask demo`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Iterations of the filter for each frame
    #[arg(long, default_value_t = 40)]
    iterations: u32,
    /// Another DICOM cine loop instead of the echocardiogram that comes with pydicom
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// Another job: TensorFlow tells the views of four movies, all at once on one GPU; installs 4 GB the first time
    #[arg(long, conflicts_with_all = ["iterations", "input"])]
    echo_view: bool,
    /// Frames of each rendered movie (--echo-view)
    #[arg(long, default_value_t = 180, requires = "echo_view")]
    frames: u32,
    /// Cargo profile for rgpu
    #[arg(long, value_enum, default_value_t = Profile::Release)]
    profile: Profile,
}

/// Runs the demo.
pub(crate) fn run(options: &Options) -> Result<()> {
    if options.echo_view {
        return echo_view::run(options.profile, options.frames);
    }
    let start = Instant::now();
    let dist = dist::build(options.profile)?;
    let (cuda, python) = (Cuda::install()?, Python::install()?);
    let folder = paths::work().join("demo");
    let despeckle = Despeckle::build(&folder, &cuda)?;
    let input = match &options.input {
        Some(file) => std::path::absolute(file)?,
        None => python.echocardiogram()?,
    };

    let step = Step::begin("starting rgpu up");
    let platform = Platform::start(&dist, &python, &folder, &[])?;
    platform.apply(
        &despeckle::definition(),
        &despeckle.variables(&python, options.iterations),
    )?;
    step.done(&platform.describe());

    let step = Step::begin("uploading, filtering on the remote GPU, waiting for the results");
    platform.put(&input, despeckle::INPUT)?;
    let invocation = platform.wait("despeckle")?;
    step.done("");
    platform.check(&invocation)?;

    let step = Step::begin("fetching the results");
    let results = folder.join("results");
    platform.fetch(despeckle::OUTPUT, &results)?;
    step.done(&paths::shown(&results));

    let step = Step::begin("comparing with the plain C++ reference");
    let comparison = despeckle.compare(&python, &input, &results, options.iterations)?;
    step.done(&comparison.describe());

    let statistics = std::fs::read_to_string(results.join("statistics.json"))
        .context("the job left no statistics")?;
    let statistics = serde_json::from_str(&statistics).context("statistics.json")?;
    print!(
        "\n{}",
        summary::table(
            &invocation,
            &statistics,
            &comparison,
            &results,
            start.elapsed()
        )
    );
    if !comparison.good() {
        bail!("the filtered frames differ from the reference by more than the tolerance");
    }
    Ok(())
}
