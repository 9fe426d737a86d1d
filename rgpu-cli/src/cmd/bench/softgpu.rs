//! `rgpu bench softgpu`: kernels against the same algorithms in C.

use std::io::{BufRead as _, BufReader, Lines, Write as _};
use std::path::Path;
use std::process::{ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context as _, ensure};
use rgpu_benches::softgpu::{C, GPU, Measured, Taken, table};
use rgpu_benches::{kernels, reference};

use super::{Ended, load, machine};

pub(super) fn run(runs: usize, only: &[String], json: Option<&Path>) -> anyhow::Result<()> {
    let gcc = reference::version()?;
    let folder = tempfile::tempdir()?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let load = load();
    let mut measured = Vec::new();
    for name in kernels::NAMES {
        if only.is_empty() || only.iter().any(|wanted| wanted == name) {
            eprintln!("measuring {name}");
            measured.push(kernel(name, runs, cores > 1, folder.path())?);
        }
    }
    println!(
        "{} {gcc}. Load before: {load}. {runs} runs of each.",
        machine()
    );
    println!();
    print!("{}", table(&measured));
    if let Some(file) = json {
        std::fs::write(file, serde_json::to_vec_pretty(&measured)?)
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(())
}

/// Measures one kernel: the sides take turns, so that what disturbs the machine disturbs all of them.
fn kernel(name: &str, runs: usize, two_cores: bool, folder: &Path) -> anyhow::Result<Measured> {
    let case = kernels::case(name).context("no such kernel")?;
    let library = reference::build(&case, folder)?;
    let mut one = Asked::start(name, &library, 1)?;
    let mut two = two_cores
        .then(|| Asked::start(name, &library, 2))
        .transpose()?;
    let mut measured = Measured {
        name: case.texts.name.to_owned(),
        what: case.what.to_owned(),
        ..Measured::default()
    };
    for _ in 0..runs {
        let c = one.ask(C)?;
        measured.c.0.push(c.wall);
        measured.c_cpu.0.push(c.cpu);
        let gpu = one.ask(GPU)?;
        measured.one.0.push(gpu.wall);
        measured.one_cpu.0.push(gpu.cpu);
        if let Some(two) = &mut two {
            measured.two.0.push(two.ask(GPU)?.wall);
            // What two cores can do at all: kernels that are bound by memory share it.
            one.start_one(C)?;
            two.start_one(C)?;
            let walls = [one.finish_one()?.wall, two.finish_one()?.wall];
            measured.c_twice.0.push(walls[0].max(walls[1]));
        }
    }
    Ok(measured)
}

/// A process on the software GPU that runs a kernel when asked.
struct Asked {
    questions: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    _child: Ended,
}

impl Asked {
    fn start(name: &str, library: &Path, threads: u32) -> anyhow::Result<Self> {
        let rgpu = std::env::current_exe().context("cannot find this executable")?;
        let mut command = Command::new(&rgpu);
        command
            .args(["local", "--"])
            .arg(&rgpu)
            .args(["bench-part", "kernel", "--name", name, "--reference"])
            .arg(library)
            .env("RGPU_SOFT_THREADS", threads.to_string());
        let mut child = Ended(
            command
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()?,
        );
        let questions = child.0.stdin.take().context("no stdin")?;
        let answers = BufReader::new(child.0.stdout.take().context("no stdout")?).lines();
        let mut asked = Self {
            questions,
            answers,
            _child: child,
        };
        ensure!(asked.line()? == "ready", "{name} did not start");
        Ok(asked)
    }

    fn ask(&mut self, side: &str) -> anyhow::Result<Taken> {
        self.start_one(side)?;
        self.finish_one()
    }

    fn start_one(&mut self, side: &str) -> anyhow::Result<()> {
        Ok(writeln!(self.questions, "{side}")?)
    }

    fn finish_one(&mut self) -> anyhow::Result<Taken> {
        Ok(serde_json::from_str(&self.line()?)?)
    }

    fn line(&mut self) -> anyhow::Result<String> {
        let line = self.answers.next();
        Ok(line.context("the process with the kernel failed")??)
    }
}
