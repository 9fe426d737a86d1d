//! `rgpu bench compile`: the time to load a module and to have its kernels ready.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};
use rgpu_benches::compile::{LARGE, Measured, module, table};

use super::machine;

pub(super) fn run(runs: usize, ptx: Option<&Path>, kernels: usize) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let made = folder.path().join("made.ptx");
    let ptx = if let Some(ptx) = ptx {
        ptx
    } else {
        std::fs::write(&made, module(LARGE))?;
        &made
    };
    let bytes = std::fs::metadata(ptx)
        .with_context(|| format!("cannot read {}", ptx.display()))?
        .len();
    let (mut first, mut second) = (Vec::new(), Vec::new());
    for run in 0..runs {
        eprintln!("run {} of {runs}", run + 1);
        let cache = folder.path().join(format!("cache-{run}"));
        first.push(measured(ptx, kernels, &cache)?);
        second.push(measured(ptx, kernels, &cache)?);
    }
    println!("{} {runs} runs of each.", machine());
    println!();
    print!("{}", table(usize::try_from(bytes)?, &first, &second));
    Ok(())
}

/// One process that keeps compiled kernels in the folder `cache`.
fn measured(ptx: &Path, kernels: usize, cache: &Path) -> anyhow::Result<Measured> {
    let rgpu = std::env::current_exe().context("cannot find this executable")?;
    let out = Command::new(&rgpu)
        .args(["local", "--"])
        .arg(&rgpu)
        .args(["bench-part", "compile", "--ptx"])
        .arg(ptx)
        .args(["--kernels", &kernels.to_string()])
        .env("RGPU_CACHE_DIR", cache)
        .stderr(Stdio::inherit())
        .output()?;
    ensure!(
        out.status.success(),
        "the measuring program failed: {}",
        out.status
    );
    Ok(serde_json::from_slice(&out.stdout)?)
}
