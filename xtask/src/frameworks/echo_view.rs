//! The example `echo-view` classifies a rendered movie on each path to the device as it does on the CPU.

use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};

use super::{Bed, Results, Way};
use crate::paths;

pub(super) const FOLDER: &str = "examples/echo-view";
const FRAMES: &str = "40";
/// The probabilities are written with six digits.
const TOLERANCE: f64 = 1e-5;

/// Renders a movie, then classifies it everywhere.
pub(super) fn run(bed: &Bed, results: &mut Results) {
    let mut reference = None;
    results.add("infer.py", Way::Cpu, || {
        render(bed)?;
        reference = Some(infer(bed, Way::Cpu)?);
        Ok(())
    });
    for &way in Way::GPU {
        results.add("infer.py, as on the CPU", way, || {
            let want = reference.as_deref().context("the CPU has no answer")?;
            compare(&infer(bed, way)?, want)
        });
    }
}

fn movie(bed: &Bed) -> PathBuf {
    bed.folder().join("movie.mp4")
}

fn render(bed: &Bed) -> Result<()> {
    let mut command = bed.python(Way::Cpu);
    command
        .arg(paths::root().join(FOLDER).join("render.py"))
        .args([
            "--view",
            "long-axis",
            "--seed",
            "3000017",
            "--frames",
            FRAMES,
        ])
        .arg(movie(bed));
    bed.run("render.py", Way::Cpu, &mut command)
}

/// A line for each frame: its number, its view, the probability of each view.
fn infer(bed: &Bed, way: Way) -> Result<String> {
    let output = bed.folder().join(format!("infer-{}", way.name()));
    if output.exists() {
        std::fs::remove_dir_all(&output)?;
    }
    let device = if way == Way::Cpu { "cpu" } else { "gpu" };
    let mut command = bed.python(way);
    command
        .arg(paths::root().join(FOLDER).join("infer.py"))
        .args(["--device", device, "--output"])
        .args([&output, &movie(bed)]);
    bed.run("infer.py", way, &mut command)?;
    std::fs::read_to_string(output.join("movie.csv")).context("infer.py left no movie.csv")
}

/// Whether all lines say the same, probabilities within the tolerance.
fn compare(got: &str, want: &str) -> Result<()> {
    ensure!(
        got.lines().count() == want.lines().count(),
        "{} lines, not {}",
        got.lines().count(),
        want.lines().count()
    );
    for (got, want) in got.lines().zip(want.lines()) {
        let alike = |(a, b): (&str, &str)| match (a.parse::<f64>(), b.parse::<f64>()) {
            (Ok(a), Ok(b)) => (a - b).abs() <= TOLERANCE,
            _ => a == b,
        };
        let cells = got.split(',').count() == want.split(',').count();
        if !cells || !got.split(',').zip(want.split(',')).all(alike) {
            bail!("{got}, but on the CPU {want}");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_may_differ_a_little() {
        let want = "frame,view,a,b\n0,a,0.900000,0.100000\n";
        assert!(compare(want, want).is_ok());
        let near = "frame,view,a,b\n0,a,0.900001,0.099999\n";
        assert!(compare(near, want).is_ok());
        for wrong in [
            "frame,view,a,b\n0,b,0.900000,0.100000\n",
            "frame,view,a,b\n0,a,0.899900,0.100100\n",
            "frame,view,a,b\n0,a,0.900000\n",
            "frame,view,a,b\n",
        ] {
            assert!(compare(wrong, want).is_err(), "{wrong}");
        }
    }
}
