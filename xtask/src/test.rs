//! `cargo xtask test`: everything that must hold, in stages, from the quick to the slow. A failed stage does not keep
//! the others from running, so that one run tells all.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::dist::{self, Profile};
use crate::report;
use crate::toolchain;
use crate::{conformance, coverage, demo, deps, frameworks, nvml, page, paths, process, rdma};

/// Options of `cargo xtask test`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Only these stages
    #[arg(long, value_name = "STAGE")]
    only: Vec<String>,
    /// Only what needs the frameworks' wheels: 4 GB, fetched once to the user's cache
    #[arg(long, conflicts_with = "only")]
    frameworks: bool,
    /// Only what needs an RDMA device, in a virtual machine: QEMU and a kernel, which root gets from Debian
    #[arg(long, conflicts_with_all = ["only", "frameworks"])]
    rdma: bool,
    /// All but these stages
    #[arg(long, value_name = "STAGE")]
    skip: Vec<String>,
    /// Stop at the first stage that fails
    #[arg(long)]
    fail_fast: bool,
    /// Show the stages and stop
    #[arg(long)]
    list: bool,
}

impl Options {
    fn picks(&self, stage: &str) -> bool {
        let named = |list: &[String]| list.iter().any(|s| s == stage);
        let picked = if self.frameworks {
            stage == FRAMEWORKS
        } else if self.rdma {
            stage == RDMA
        } else if self.only.is_empty() {
            ![FRAMEWORKS, RDMA].contains(&stage)
        } else {
            named(&self.only)
        };
        picked && !named(&self.skip)
    }
}

/// How long each target is fuzzed.
const FUZZ_SECONDS: &str = "60";

struct Stage {
    name: &'static str,
    what: &'static str,
    run: fn() -> Result<()>,
}

/// The stages that only run when they are asked for.
const FRAMEWORKS: &str = "frameworks";
const RDMA: &str = "rdma";

const STAGES: &[Stage] = &[
    Stage {
        name: "fmt",
        what: "the code is formatted",
        run: fmt,
    },
    Stage {
        name: "deps",
        what: "crates depend on each other as they should",
        run: deps::check,
    },
    Stage {
        name: "coverage",
        what: "COVERAGE.md fits the rows",
        run: || coverage::run(true),
    },
    Stage {
        name: "filetests",
        what: "the numeric file tests are what their generator writes",
        run: generated,
    },
    Stage {
        name: "clippy",
        what: "no warnings in any target",
        run: clippy,
    },
    Stage {
        name: "build",
        what: "the release builds, as do the CUDA programs",
        run: build,
    },
    Stage {
        name: "unit",
        what: "unit, integration and fault tests, by cargo nextest",
        run: nextest,
    },
    Stage {
        name: "fuzz",
        what: "PTX of any bytes is read or refused, for a minute",
        run: fuzz,
    },
    Stage {
        name: "doctest",
        what: "examples in the documentation run",
        run: doctest,
    },
    Stage {
        name: "doc",
        what: "the documentation has no broken links",
        run: doc,
    },
    Stage {
        name: "despeckle",
        what: "the plain reference of the demo's filter holds its own checks",
        run: demo::check_reference,
    },
    Stage {
        name: "conformance",
        what: "CUDA programs behave alike on every path",
        run: run_conformance,
    },
    Stage {
        name: "page",
        what: "the commands of docs/ci-without-gpu.md do what it says",
        run: page::run,
    },
    Stage {
        name: "nvml",
        what: "the stock nvidia-ml-py lists the remote GPU",
        run: nvml::run,
    },
    Stage {
        name: FRAMEWORKS,
        what: "stock TensorFlow runs on the software GPU, here and remote; --frameworks runs this alone",
        run: frameworks::run,
    },
    Stage {
        name: RDMA,
        what: "RDMA works in a virtual machine with Soft-RoCE; --rdma runs this alone",
        run: rdma::run,
    },
];

/// Runs the stages; whether all were in order.
pub(crate) fn run(options: &Options) -> Result<bool> {
    for name in options.only.iter().chain(&options.skip) {
        if !STAGES.iter().any(|s| s.name == name) {
            let names: Vec<_> = STAGES.iter().map(|s| s.name).collect();
            bail!(
                "there is no stage `{name}`; the stages are {}",
                names.join(", ")
            );
        }
    }
    if options.list {
        let rows: Vec<_> = STAGES
            .iter()
            .map(|s| vec![s.name.to_owned(), s.what.to_owned()])
            .collect();
        print!("{}", report::table(&rows));
        return Ok(true);
    }
    let mut rows = Vec::new();
    let mut good = true;
    for stage in STAGES {
        if !options.picks(stage.name) {
            continue;
        }
        eprintln!("── {}: {}", stage.name, stage.what);
        let start = Instant::now();
        let result = (stage.run)();
        let time = start.elapsed();
        if let Err(error) = &result {
            eprintln!("✗ {}: {error:#}", stage.name);
        }
        rows.push(row(stage, &result, time));
        good &= result.is_ok();
        if result.is_err() && options.fail_fast {
            break;
        }
    }
    println!("\n{}", report::table(&rows));
    if options.only.is_empty() && !options.frameworks && !options.rdma {
        println!(
            "not run: `cargo xtask test --frameworks`, which fetches 4 GB the first time, and `cargo xtask test --rdma`, \
             which needs QEMU"
        );
    }
    Ok(good)
}

fn row(stage: &Stage, result: &Result<()>, time: Duration) -> Vec<String> {
    let mark = if result.is_ok() { "✓" } else { "✗" };
    vec![
        format!("{mark} {}", stage.name),
        report::seconds(time),
        stage.what.to_owned(),
    ]
}

fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new("cargo");
    command.current_dir(paths::root()).args(arguments);
    command
}

fn must(command: &mut Command) -> Result<()> {
    if process::shown(command)? {
        return Ok(());
    }
    bail!("`{}` failed; see above", process::line(command))
}

fn fmt() -> Result<()> {
    must(&mut cargo(&["fmt", "--all", "--check"])).context("run `cargo fmt --all`")
}

fn generated() -> Result<()> {
    must(Command::new("python3").current_dir(paths::root()).args([
        "-B",
        "rgpu-softgpu/filetests/generate",
        "--check",
    ]))
}

fn clippy() -> Result<()> {
    must(&mut cargo(&[
        "clippy",
        "--workspace",
        "--all-targets",
        "--locked",
        "--",
        "-D",
        "warnings",
    ]))
}

fn build() -> Result<()> {
    dist::build(Profile::Release)?;
    conformance::build_programs(&[])
}

/// The tests of the whole find `rgpu` and its libraries beside themselves, where cargo builds them.
fn nextest() -> Result<()> {
    must(&mut cargo(&["build", "--workspace", "--locked"]))?;
    let mut command = toolchain::nextest()?;
    command.current_dir(paths::root());
    command.args(["run", "--workspace", "--locked", "--no-fail-fast"]);
    must(&mut command)
}

/// Mutates the corpora of the parser and of the compiler, side by side.
fn fuzz() -> Result<()> {
    let tests = ["ptx_parse::mutated", "ptx_compile::mutated"];
    let mut command = cargo(&["test", "--workspace", "--locked", "--test", "corpus"]);
    command.arg("--").args(tests).arg("--nocapture");
    must(command.env("RGPU_FUZZ_SECONDS", FUZZ_SECONDS))
}

fn doctest() -> Result<()> {
    must(&mut cargo(&[
        "test",
        "--workspace",
        "--doc",
        "--locked",
        "--quiet",
    ]))
}

fn doc() -> Result<()> {
    must(
        cargo(&[
            "doc",
            "--workspace",
            "--no-deps",
            "--document-private-items",
            "--locked",
            "--quiet",
        ])
        .env("RUSTDOCFLAGS", "-D warnings"),
    )
}

fn run_conformance() -> Result<()> {
    if conformance::run(&conformance::Options::all())? {
        return Ok(());
    }
    bail!(
        "some programs did not do what they must; `cargo xtask conformance NAME` runs one of them"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_stages_run_when_asked_for() {
        let picked = |arguments: &[&str]| {
            #[derive(clap::Parser)]
            struct Line {
                #[command(flatten)]
                options: Options,
            }
            let line = std::iter::once(&"test").chain(arguments);
            let options = <Line as clap::Parser>::parse_from(line).options;
            let names = STAGES.iter().map(|s| s.name);
            names.filter(|name| options.picks(name)).collect::<Vec<_>>()
        };
        assert_eq!(picked(&["--frameworks"]), [FRAMEWORKS]);
        assert_eq!(picked(&["--only", FRAMEWORKS]), [FRAMEWORKS]);
        assert_eq!(picked(&["--rdma"]), [RDMA]);
        assert_eq!(picked(&["--only", "fmt"]), ["fmt"]);
        assert_eq!(picked(&[]).len(), STAGES.len() - 2);
        assert_eq!(picked(&["--skip", "fmt"]).len(), STAGES.len() - 3);
        assert!(picked(&["--frameworks", "--skip", FRAMEWORKS]).is_empty());
    }

    #[test]
    fn stages_have_names_of_their_own() {
        let mut names: Vec<_> = STAGES.iter().map(|s| s.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), STAGES.len());
    }
}
