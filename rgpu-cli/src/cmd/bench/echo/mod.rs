//! `rgpu bench echo`: the paper's experiment with `examples/echo-view`.

mod console;
mod platform;

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, bail, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use rgpu_benches::echo::{Measured, PHASES, Run, Scenario, Together, figures};
use serde::Deserialize;

use self::platform::Platform;

/// What is to be measured, and with what.
#[derive(Debug)]
pub(super) struct Plan {
    /// Repetitions.
    pub(super) runs: usize,
    /// The Python that has what the example requires.
    pub(super) python: PathBuf,
    /// The folder `examples/echo-view`.
    pub(super) example: PathBuf,
    /// Where the results go.
    pub(super) out: PathBuf,
    /// One short movie, two at once, one delay.
    pub(super) quick: bool,
}

impl Plan {
    fn lengths(&self) -> &[u32] {
        if self.quick {
            &[60]
        } else {
            &[60, 120, 180, 240, 300, 360]
        }
    }

    fn delays(&self) -> &[f64] {
        if self.quick {
            &[0.0, 10.0]
        } else {
            &[0.0, 0.2, 1.0, 10.0]
        }
    }

    /// How many movies at once.
    fn numbers(&self) -> &[u32] {
        if self.quick { &[1, 2] } else { &[1, 2, 3, 4] }
    }

    /// Length of movies at once.
    fn together(&self) -> u32 {
        if self.quick { 60 } else { 180 }
    }

    fn steps(&self) -> u64 {
        let movies = self.lengths().len() * (Scenario::ALL.len() + self.delays().len() - 1);
        let together = self.delays().len() * self.numbers().len() * 2;
        ((movies + together) * self.runs) as u64
    }
}

/// The seconds that `infer.py --timings` writes.
#[derive(Debug, Clone, Copy, Deserialize)]
struct Seconds {
    start_interpreter: f64,
    import_modules: f64,
    load_model: f64,
    input_output: f64,
    processing: f64,
}

impl Seconds {
    /// Those of the file of one movie.
    fn read(file: &Path) -> anyhow::Result<Self> {
        #[derive(Deserialize)]
        struct Report {
            seconds: Seconds,
        }
        let text = std::fs::read(file)
            .with_context(|| format!("the example wrote no {}", file.display()))?;
        Ok(serde_json::from_slice::<Report>(&text)?.seconds)
    }

    /// The phases, with what passes before the interpreter starts, and with what is read and written around it.
    fn phases(self, before: f64, around: f64) -> [f64; PHASES.len()] {
        [
            before + self.start_interpreter,
            self.import_modules,
            self.load_model,
            self.input_output + around,
            self.processing,
        ]
    }
}

pub(super) fn run(plan: &Plan) -> anyhow::Result<()> {
    ensure!(
        plan.example.join("infer.py").exists(),
        "{} is not the example: name the folder examples/echo-view with --example",
        plan.example.display()
    );
    tokio::runtime::Runtime::new()?.block_on(async {
        tokio::select! {
            done = measure(plan) => done,
            // What runs ends as its guards are dropped; files are written at the end only.
            _ = tokio::signal::ctrl_c() => bail!("stopped; nothing was written"),
        }
    })
}

async fn measure(plan: &Plan) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let example = std::path::absolute(&plan.example)?;
    let python = program(&plan.python)?;
    let bar = ProgressBar::new(plan.steps());
    bar.set_style(ProgressStyle::with_template(
        "{bar:30} {pos}/{len} {elapsed_precise} left {eta_precise} {msg}",
    )?);
    bar.set_message("rendering the movies");
    let longest = plan.lengths().iter().copied().chain([plan.together()]);
    let mut movies = std::collections::BTreeMap::new();
    for frames in longest {
        let movie = folder.path().join(format!("movie-{frames}.mp4"));
        if movies.insert(frames, movie.clone()).is_none() {
            render(&python, &example, frames, &movie).await?;
        }
    }
    let platform = Platform::start(folder.path(), &python, &example)?;
    let mut measured = Measured::default();
    for _ in 0..plan.runs {
        for &frames in plan.lengths() {
            for scenario in Scenario::ALL {
                let delays = match scenario {
                    Scenario::PlatformRemote => plan.delays(),
                    _ => &[0.0],
                };
                for &delay_ms in delays {
                    let title = scenario.title();
                    bar.set_message(format!("{title}, {frames} frames, {delay_ms} ms"));
                    let movie = &movies[&frames];
                    let run = match scenario {
                        Scenario::ConsoleLocal => {
                            console::run(folder.path(), &python, &example, movie, frames).await?
                        }
                        _ => platform.run(scenario, movie, frames, delay_ms).await?,
                    };
                    measured.runs.push(run);
                    bar.inc(1);
                }
            }
        }
        for &delay_ms in plan.delays() {
            for &number in plan.numbers() {
                for shared in [true, false] {
                    bar.set_message(format!("{number} movies at once, {delay_ms} ms"));
                    let movie = &movies[&plan.together()];
                    let total = platform.together(number, shared, movie, delay_ms).await?;
                    measured.together.push(Together {
                        movies: number,
                        shared,
                        delay_ms,
                        total,
                    });
                    bar.inc(1);
                }
            }
        }
    }
    drop(platform);
    bar.finish_and_clear();
    write(plan, &measured)
}

/// CSV, figures, and a page with the medians.
fn write(plan: &Plan, measured: &Measured) -> anyhow::Result<()> {
    let out = &plan.out;
    std::fs::create_dir_all(out).with_context(|| format!("cannot make {}", out.display()))?;
    let put = |name: &str, text: String| {
        let path = out.join(name);
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    };
    let about = format!(
        "{} The GPU is the software one, on the same machine: client, server and scheduler share its processors. \
         Medians of {} runs.",
        super::machine(),
        plan.runs
    );
    put("echo-runs.csv", measured.runs_csv())?;
    put("echo-together.csv", measured.together_csv())?;
    put("echo.md", page(&about, measured))?;
    figures::draw(measured, &about, out)?;
    println!("{about}\n\n{}", measured.tables());
    println!("results are in {}", out.display());
    Ok(())
}

fn page(about: &str, measured: &Measured) -> String {
    format!(
        "# Echocardiograms in four scenarios\n\nMade by `rgpu bench echo`; every run is in [echo-runs.csv](echo-runs.csv) \
         and [echo-together.csv](echo-together.csv).\n\n{about}\n\nA job's time is from the recorded event to its end. \
         *Initialise container* is all before the first line of the program: jobs are processes, not containers yet.\n\n\
         {}\n![Phases](echo-phases.png)\n\n![Delays](echo-delays.png)\n\n![Movies at once](echo-together.png)\n",
        measured.tables()
    )
}

/// A movie of the example's own making.
async fn render(python: &Path, example: &Path, frames: u32, movie: &Path) -> anyhow::Result<()> {
    let out = tokio::process::Command::new(python)
        .arg(example.join("render.py"))
        .args(["--view", "four-chamber", "--frames", &frames.to_string()])
        .arg(movie)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .with_context(|| format!("cannot start {}", python.display()))?;
    ensure!(
        out.status.success(),
        "no movie could be rendered: {}",
        String::from_utf8_lossy(&out.stderr).trim()
    );
    Ok(())
}

/// A path stays one wherever a job runs, but not the link of a virtual environment that is followed; a bare name is
/// looked for in the path.
fn program(python: &Path) -> anyhow::Result<PathBuf> {
    if python.components().count() > 1 {
        return Ok(std::path::absolute(python)?);
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|folder| folder.join(python))
        .find(|file| file.is_file())
        .with_context(|| format!("no {} in PATH: name one with --python", python.display()))
}

/// A finished run.
fn row(
    (scenario, frames, delay_ms): (Scenario, u32, f64),
    phases: [f64; PHASES.len()],
    total: f64,
    stats: Option<&serde_json::Value>,
) -> anyhow::Result<Run> {
    let remote = stats.map(|stats| serde_json::from_value(stats.clone()));
    Ok(Run {
        scenario,
        frames,
        delay_ms,
        phases,
        total,
        remote: remote.transpose().context("statistics of the GPU client")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_phases_are_the_programs_and_what_is_around_them() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("m.timings.json");
        let report = r#"{"movie": "m.mp4", "seconds": {"start_interpreter": 0.5, "import_modules": 2, "load_model": 3,
            "input_output": 4, "read_movie": 1, "write_results": 3, "processing": 5, "total": 14.5}}"#;
        std::fs::write(&file, report).unwrap();
        let seconds = Seconds::read(&file).unwrap();
        assert_eq!(seconds.phases(0.25, 0.125), [0.75, 2.0, 3.0, 4.125, 5.0]);
    }

    #[test]
    fn every_step_is_counted() {
        let plan = |quick| Plan {
            runs: 2,
            python: "python3".into(),
            example: PathBuf::new(),
            out: PathBuf::new(),
            quick,
        };
        // 1 length, 3 scenarios and the remote one with 2 delays; 2 delays of 2 numbers in 2 ways.
        assert_eq!(plan(true).steps(), 2 * (5 + 8));
        assert_eq!(plan(false).steps(), 2 * (6 * 7 + 4 * 4 * 2));
    }
}
