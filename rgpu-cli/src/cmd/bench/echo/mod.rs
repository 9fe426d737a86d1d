//! `rgpu bench echo`: the paper's experiment with `examples/echo-view`.

mod console;
mod platform;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
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
    /// Nothing is begun after so long.
    pub(super) limit: Duration,
    /// Go on with what `out` holds.
    pub(super) resume: bool,
}

/// What one step measures.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Step {
    /// One movie.
    Alone {
        scenario: Scenario,
        frames: u32,
        delay_ms: f64,
    },
    /// Movies at once that share the GPU.
    Shared { movies: u32, delay_ms: f64 },
    /// As many movies as there are, and one job at a time: the end of the second is when two movies would have been done.
    InTurn { delay_ms: f64 },
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

    /// One round of all measurements.
    fn steps(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        for &frames in self.lengths() {
            for scenario in Scenario::ALL {
                let delays = match scenario {
                    Scenario::PlatformRemote => self.delays(),
                    _ => &[0.0],
                };
                steps.extend(delays.iter().map(|&delay_ms| Step::Alone {
                    scenario,
                    frames,
                    delay_ms,
                }));
            }
        }
        for &delay_ms in self.delays() {
            let numbers = self.numbers().iter();
            steps.extend(numbers.map(|&movies| Step::Shared { movies, delay_ms }));
            steps.push(Step::InTurn { delay_ms });
        }
        steps
    }
}

impl Step {
    /// How often it has been done.
    fn done(self, measured: &Measured) -> usize {
        let at_once = |movies: u32, shared: bool, delay_ms: f64| {
            let same =
                |t: &&Together| t.movies == movies && t.shared == shared && t.delay_ms == delay_ms;
            measured.together.iter().filter(same).count()
        };
        match self {
            Self::Alone {
                scenario,
                frames,
                delay_ms,
            } => measured.of(scenario, frames, delay_ms).count(),
            Self::Shared { movies, delay_ms } => at_once(movies, true, delay_ms),
            Self::InTurn { delay_ms } => at_once(1, false, delay_ms),
        }
    }

    fn title(self) -> String {
        match self {
            Self::Alone {
                scenario,
                frames,
                delay_ms,
            } => format!("{}, {frames} frames, {delay_ms} ms", scenario.title()),
            Self::Shared { movies, delay_ms } => format!("{movies} at once, {delay_ms} ms"),
            Self::InTurn { delay_ms } => format!("one after another, {delay_ms} ms"),
        }
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
    let out = &plan.out;
    std::fs::create_dir_all(out).with_context(|| format!("cannot make {}", out.display()))?;
    let mut measured = if plan.resume {
        read(out)?
    } else {
        Measured::default()
    };
    let load = super::load();
    let ended = tokio::runtime::Runtime::new()?.block_on(async {
        tokio::select! {
            ended = measure(plan, &mut measured) => ended,
            // What runs ends as its guards are dropped.
            _ = tokio::signal::ctrl_c() => Ok(End::Stopped),
        }
    });
    if !measured.runs.is_empty() {
        let note = note(plan, ended.as_ref().unwrap_or(&End::Failed), &load);
        write(plan, &measured, &note)?;
    }
    ended.map(drop)
}

/// Why nothing more is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Done,
    TimeIsUp,
    Stopped,
    Failed,
}

async fn measure(plan: &Plan, measured: &mut Measured) -> anyhow::Result<End> {
    let begun = Instant::now();
    let steps = plan.steps();
    if steps.iter().all(|step| step.done(measured) >= plan.runs) {
        return Ok(End::Done);
    }
    let folder = tempfile::tempdir()?;
    let example = std::path::absolute(&plan.example)?;
    let python = program(&plan.python)?;
    let bar = ProgressBar::new((steps.len() * plan.runs) as u64);
    bar.set_style(ProgressStyle::with_template(
        "{bar:30} {pos}/{len} {elapsed_precise} left {eta_precise} {msg}",
    )?);
    bar.enable_steady_tick(Duration::from_millis(200));
    bar.set_message("rendering the movies");
    let lengths = plan.lengths().iter().copied().chain([plan.together()]);
    let mut movies = BTreeMap::new();
    for frames in lengths {
        let movie = folder.path().join(format!("movie-{frames}.mp4"));
        if movies.insert(frames, movie.clone()).is_none() {
            render(&python, &example, frames, &movie).await?;
        }
    }
    let platform = Platform::start(folder.path(), &python, &example)?;
    let alone = |scenario, frames, delay_ms| {
        let (folder, python, example, movie) = (folder.path(), &python, &example, &movies[&frames]);
        let platform = &platform;
        async move {
            match scenario {
                Scenario::ConsoleLocal => {
                    console::run(folder, python, example, movie, frames).await
                }
                _ => platform.run(scenario, movie, frames, delay_ms).await,
            }
        }
    };
    bar.set_message("warming up");
    for scenario in Scenario::ALL {
        // The first of each reads the wheels from the disk, and compiles what is then in the cache.
        alone(scenario, plan.together(), 0.0).await?;
    }
    for round in 0..plan.runs {
        for &step in &steps {
            if step.done(measured) > round {
                bar.inc(1);
                continue;
            }
            if begun.elapsed() > plan.limit {
                bar.finish_and_clear();
                return Ok(End::TimeIsUp);
            }
            bar.set_message(step.title());
            let movie = &movies[&plan.together()];
            match step {
                Step::Alone {
                    scenario,
                    frames,
                    delay_ms,
                } => measured.runs.push(alone(scenario, frames, delay_ms).await?),
                Step::Shared { movies, delay_ms } => {
                    let ends = platform.together(movies, true, movie, delay_ms).await?;
                    let total = ends.last().copied().context("no movies")?;
                    measured.together.push(Together {
                        movies,
                        shared: true,
                        delay_ms,
                        total,
                    });
                }
                Step::InTurn { delay_ms } => {
                    let most = plan.numbers().iter().copied().max().unwrap_or(1);
                    let ends = platform.together(most, false, movie, delay_ms).await?;
                    measured
                        .together
                        .extend((1..).zip(ends).map(|(movies, total)| Together {
                            movies,
                            shared: false,
                            delay_ms,
                            total,
                        }));
                }
            }
            save(&plan.out, measured)?;
            bar.inc(1);
        }
    }
    bar.finish_and_clear();
    Ok(End::Done)
}

const RUNS: &str = "echo-runs.csv";
const TOGETHER: &str = "echo-together.csv";

/// What an earlier experiment left.
fn read(out: &Path) -> anyhow::Result<Measured> {
    let text = |name| {
        let path = out.join(name);
        std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
    };
    Measured::read(&text(RUNS)?, &text(TOGETHER)?)
        .with_context(|| format!("{} holds another experiment", out.display()))
}

/// The rows so far.
fn save(out: &Path, measured: &Measured) -> anyhow::Result<()> {
    for (name, text) in [
        (RUNS, measured.runs_csv()),
        (TOGETHER, measured.together_csv()),
    ] {
        let path = out.join(name);
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// Where and how it was measured, in lines.
fn note(plan: &Plan, ended: &End, load: &str) -> Vec<String> {
    let runs = match plan.runs {
        1 => "One run of each".to_owned(),
        runs => format!("Medians of {runs} runs"),
    };
    let all = match ended {
        End::Done => "",
        End::TimeIsUp => ", fewer where the time was up before",
        End::Stopped => ", fewer where it was stopped before",
        End::Failed => ", fewer where it failed before",
    };
    vec![
        format!(
            "{} Load before: {load}. {runs}{all}.",
            super::machine()
        ),
        "The GPU is the software one, on the same machine: client, server and scheduler share its processors.".to_owned(),
    ]
}

/// CSV, figures, and a page with the medians.
fn write(plan: &Plan, measured: &Measured, note: &[String]) -> anyhow::Result<()> {
    let out = &plan.out;
    save(out, measured)?;
    let about = note.join(" ");
    let path = out.join("echo.md");
    std::fs::write(&path, page(plan, &about, measured))
        .with_context(|| format!("cannot write {}", path.display()))?;
    let note: Vec<&str> = note.iter().map(String::as_str).collect();
    figures::draw(measured, &note, out)?;
    println!("{about}\n\n{}", measured.tables());
    println!("results are in {}", out.display());
    Ok(())
}

fn page(plan: &Plan, about: &str, measured: &Measured) -> String {
    format!(
        "# Echocardiograms in four scenarios\n\nMade by `rgpu bench echo`; every run is in [{RUNS}]({RUNS}) and \
         [{TOGETHER}]({TOGETHER}).\n\n{about}\n\nA job's time is from the recorded event to its end. *Initialise \
         container* is all before the first line of the program: jobs are processes, not containers yet. *End* is what \
         is in no phase of the paper's: above all the interpreter's end. The round trips and bytes are those that the \
         client library counted. Before the first row each scenario ran once unmeasured, so that wheels are in memory \
         and kernels compiled.\n\n{}\nMovies at once have {} frames. The times of one job at a time are those of one \
         series: that of two movies is when its second was done.\n\n![Phases](echo-phases.png)\n\n\
         ![Delays](echo-delays.png)\n\n![Round trips](echo-round-trips.png)\n\n![Movies at once](echo-together.png)\n",
        measured.tables(),
        plan.together()
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

    fn plan(quick: bool) -> Plan {
        Plan {
            runs: 2,
            python: "python3".into(),
            example: PathBuf::new(),
            out: PathBuf::new(),
            quick,
            limit: Duration::MAX,
            resume: false,
        }
    }

    #[test]
    fn a_round_has_every_step() {
        // 1 length, 3 scenarios and the remote one with 2 delays; 2 delays of 2 numbers and one series.
        assert_eq!(plan(true).steps().len(), 5 + 2 * 3);
        assert_eq!(plan(false).steps().len(), 6 * 7 + 4 * 5);
    }

    #[test]
    fn what_an_earlier_experiment_did_counts() {
        let mut measured = Measured::default();
        let alone = |delay_ms| Step::Alone {
            scenario: Scenario::PlatformRemote,
            frames: 60,
            delay_ms,
        };
        measured.runs =
            vec![row((Scenario::PlatformRemote, 60, 0.2), [0.0; 5], 1.0, None).unwrap(); 2];
        assert_eq!(
            (alone(0.2).done(&measured), alone(1.0).done(&measured)),
            (2, 0)
        );
        let together = |movies, shared| Together {
            movies,
            shared,
            delay_ms: 1.0,
            total: 1.0,
        };
        measured.together = vec![together(2, true), together(1, false), together(2, false)];
        let done = |step: Step| step.done(&measured);
        assert_eq!(
            done(Step::Shared {
                movies: 2,
                delay_ms: 1.0
            }),
            1
        );
        assert_eq!(
            done(Step::Shared {
                movies: 1,
                delay_ms: 1.0
            }),
            0
        );
        assert_eq!(done(Step::InTurn { delay_ms: 1.0 }), 1);
        assert_eq!(done(Step::InTurn { delay_ms: 0.0 }), 0);
    }
}
