//! A movie classified by a program that is started by hand.

use std::path::Path;
use std::process::Stdio;
use std::time::Instant;

use anyhow::{Context as _, ensure};
use rgpu_benches::echo::{Run, Scenario};

use super::{Seconds, row};

/// On the software GPU of this machine, without a server.
pub(super) async fn run(
    folder: &Path,
    python: &Path,
    example: &Path,
    movie: &Path,
    frames: u32,
) -> anyhow::Result<Run> {
    let rgpu = std::env::current_exe().context("cannot find this executable")?;
    let output = folder.join("console");
    let timings = folder.join("console.timings.json");
    let since = Instant::now();
    let out = tokio::process::Command::new(rgpu)
        .args(["local", "--"])
        .arg(python)
        .arg(example.join("infer.py"))
        .arg(movie)
        .args(["--device", "gpu", "--output"])
        .arg(&output)
        .arg("--timings")
        .arg(&timings)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await?;
    let total = since.elapsed().as_secs_f64();
    ensure!(
        out.status.success(),
        "the example failed on the console: {}",
        String::from_utf8_lossy(&out.stderr).trim()
    );
    let phases = Seconds::read(&timings)?.phases(0.0, 0.0);
    row((Scenario::ConsoleLocal, frames, 0.0), phases, total, None)
}
