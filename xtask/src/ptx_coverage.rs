//! `cargo xtask ptx-coverage`: builds the optimised compiler and hands over to it.

use std::process::Command;

use anyhow::Result;
use clap::Args;

use crate::{paths, process};

/// Options of `cargo xtask ptx-coverage`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Sources and options
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// Whether every kernel compiles.
pub(crate) fn run(options: &Options) -> Result<bool> {
    let mut command = Command::new("cargo");
    command.args(["run", "--quiet", "--release", "--locked", "--manifest-path"]);
    command.arg(paths::root().join("Cargo.toml"));
    command.args(["--package", "rgpu-ptx-coverage", "--", "--downloads"]);
    command
        .arg(paths::work().join("wheels"))
        .args(&options.arguments);
    process::shown(&mut command)
}
