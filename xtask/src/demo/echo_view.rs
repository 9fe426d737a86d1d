//! Four movies of hearts, uploaded at once: three that are rendered, one of each view, and the real one that comes with
//! pydicom. Each starts a job; the jobs run TensorFlow side by side, each with a lease on the same GPU.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::platform::Platform;
use super::summary;
use crate::dist::{self, Profile};
use crate::paths;
use crate::process;
use crate::report::{self, Step};
use crate::toolchain::{Frameworks, Python};

/// Where `function.yaml` listens.
const INPUT: &str = "s3://echo-view/in/";
/// Where it leaves its results.
const OUTPUT: &str = "s3://echo-view/out/";
/// What is rendered. The model has not seen these seeds; the formats are those that the example knows.
const RENDERED: [(&str, u32, &str); 3] = [
    ("four-chamber", 4_000_001, "mp4"),
    ("long-axis", 4_000_002, "avi"),
    ("short-axis", 4_000_003, "mp4"),
];
/// As those say who made the movie that comes with pydicom.
const REAL_VIEW: &str = "four-chamber";
const JOBS: &str = "4";
/// The leases of all jobs, 1 GiB each.
const MEMORY: &str = "4Gi";
const LIMIT: Duration = Duration::from_secs(600);

/// A movie, and what it shows.
#[derive(Debug)]
struct Movie {
    path: PathBuf,
    view: &'static str,
    real: bool,
}

impl Movie {
    fn name(&self) -> String {
        let name = self.path.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    }

    /// One of the files that a job leaves.
    fn result(&self, results: &Path, ending: &str) -> PathBuf {
        let stem = self.path.file_stem().unwrap_or_default().to_string_lossy();
        results.join(format!("{stem}.{ending}"))
    }
}

/// What came back for a movie.
#[derive(Debug)]
struct Outcome {
    invocation: Value,
    /// What the job's JSON says.
    consensus: Value,
    /// Frames that the CSV says this view of.
    agreeing: usize,
    frames: usize,
}

/// Runs the demo.
pub(super) fn run(profile: Profile, frames: u32) -> Result<()> {
    let start = Instant::now();
    let dist = dist::build(profile)?;
    let (client, frameworks) = (Python::install()?, Frameworks::install()?);
    let python = frameworks.interpreter();
    let folder = paths::work().join("demo-echo-view");
    let movies = movies(&python, &client, &folder.join("movies"), frames)?;

    let step = Step::begin("starting rgpu up");
    let more = ["--jobs", JOBS, "--memory", MEMORY];
    let platform = Platform::start(&dist, &client, &folder, &more)?;
    let text = |path: &Path| path.display().to_string();
    let variables = [
        ("ECHO_VIEW_HOME", text(&example(""))),
        ("ECHO_VIEW_PYTHON", text(&python)),
    ];
    platform.apply(&example("function.yaml"), &variables)?;
    step.done(&platform.describe());

    let step = Step::begin("uploading four movies, classifying them on the remote GPU");
    platform.put_all(&folder.join("movies"), INPUT)?;
    let invocations = finished(&platform, &step)?;
    step.done("");

    let step = Step::begin("fetching the results");
    let results = folder.join("results");
    platform.fetch(OUTPUT, &results)?;
    let outcomes = movies
        .iter()
        .map(|movie| outcome(movie, &invocations, &results));
    let outcomes = outcomes.collect::<Result<Vec<_>>>()?;
    let sheet = folder.join("contact-sheet.png");
    draw(&python, &movies, &results, &sheet)?;
    step.done(&paths::shown(&results));

    let together = Together::of(&outcomes)?;
    println!("\n{}", table(&movies, &outcomes));
    println!("{}", together.describe());
    println!("classes, consensus, picture  {}", paths::shown(&results));
    println!("contact sheet                {}", paths::shown(&sheet));
    println!(
        "the whole demo               {}",
        report::seconds(start.elapsed())
    );
    for (movie, outcome) in movies.iter().zip(&outcomes) {
        let said = &outcome.consensus["view"];
        ensure!(
            movie.real || *said == movie.view,
            "{} shows the {} view, not {said}",
            movie.name(),
            movie.view
        );
    }
    Ok(())
}

fn example(name: &str) -> PathBuf {
    paths::root().join("examples/echo-view").join(name)
}

/// Makes the movies in an empty folder.
fn movies(python: &Path, client: &Python, folder: &Path, frames: u32) -> Result<Vec<Movie>> {
    let step = Step::begin("rendering three movies");
    if folder.exists() {
        std::fs::remove_dir_all(folder)?;
    }
    std::fs::create_dir_all(folder)?;
    let mut movies: Vec<Movie> = RENDERED
        .iter()
        .map(|(view, _, format)| Movie {
            path: folder.join(format!("{view}.{format}")),
            view,
            real: false,
        })
        .collect();
    std::thread::scope(|scope| {
        let renderers: Vec<_> = RENDERED
            .iter()
            .zip(&movies)
            .map(|((view, seed, _), movie)| {
                let mut render = Command::new(python);
                render.arg(example("render.py")).args(["--view", view]);
                render.args(["--seed", &seed.to_string()]);
                render
                    .args(["--frames", &frames.to_string()])
                    .arg(&movie.path);
                scope.spawn(move || process::quiet(&mut render, LIMIT).map(drop))
            })
            .collect();
        renderers.into_iter().try_for_each(|renderer| {
            let ended = renderer.join();
            ended.unwrap_or_else(|_| bail!("a movie could not be rendered"))
        })
    })?;
    let source = client.echocardiogram()?;
    let path = folder.join(source.file_name().context("a movie without a name")?);
    std::fs::copy(&source, &path)?;
    movies.push(Movie {
        path,
        view: REAL_VIEW,
        real: true,
    });
    step.done(&paths::shown(folder));
    Ok(movies)
}

/// Waits for all jobs. The events are recorded once the uploads are acknowledged.
fn finished(platform: &Platform, step: &Step) -> Result<Vec<Value>> {
    let mut invocations = platform.invocations()?;
    let all = RENDERED.len() + 1;
    ensure!(
        invocations.len() == all,
        "{all} uploads have started {} jobs",
        invocations.len()
    );
    for (done, invocation) in invocations.iter_mut().enumerate() {
        step.progress(&format!("{done} of {all} done"));
        *invocation = platform.wait(&invocation["id"].to_string())?;
        platform.check(invocation)?;
    }
    Ok(invocations)
}

/// What came back for a movie, all of it.
fn outcome(movie: &Movie, invocations: &[Value], results: &Path) -> Result<Outcome> {
    let name = movie.name();
    let of_movie = |i: &&Value| i["trigger"]["key"] == format!("in/{name}");
    let invocation = invocations.iter().find(of_movie);
    let read = |ending: &str| {
        let path = movie.result(results, ending);
        std::fs::read(&path).with_context(|| format!("no {} came back", path.display()))
    };
    let consensus: Value = serde_json::from_slice(&read("json")?)?;
    ensure!(
        read("png")?.starts_with(b"\x89PNG"),
        "the picture of {name} is none"
    );
    let (agreeing, frames) = votes(&String::from_utf8(read("csv")?)?, &consensus["view"])?;
    Ok(Outcome {
        invocation: invocation
            .with_context(|| format!("no job took {name}"))?
            .clone(),
        consensus,
        agreeing,
        frames,
    })
}

/// How many frames of the table of classes are said to be of this view, and how many there are.
fn votes(csv: &str, view: &Value) -> Result<(usize, usize)> {
    let view = view.as_str().context("no view")?;
    let said: Vec<&str> = csv
        .lines()
        .skip(1)
        .map(|line| line.split(',').nth(1).unwrap_or_default())
        .collect();
    ensure!(!said.is_empty(), "a movie without frames");
    Ok((said.iter().filter(|s| **s == view).count(), said.len()))
}

fn draw(python: &Path, movies: &[Movie], results: &Path, sheet: &Path) -> Result<()> {
    let mut draw = Command::new(python);
    draw.arg(example("sheet.py")).arg(sheet).arg(results);
    for movie in movies {
        let shown = if movie.real { "real" } else { movie.view };
        let mut word = std::ffi::OsString::from(format!("{shown}="));
        word.push(&movie.path);
        draw.arg(word);
    }
    process::quiet(&mut draw, LIMIT).map(drop)
}

/// That all jobs had a share of one GPU at the same time.
#[derive(Debug, PartialEq)]
struct Together {
    sessions: usize,
    device: String,
    lease: u64,
    /// From the last session's first call to the first session's last.
    seconds: f64,
}

impl Together {
    /// From what the scheduler leased and what each session's client saw.
    fn of(outcomes: &[Outcome]) -> Result<Self> {
        let device = |outcome: &Outcome| {
            let gpu = &outcome.invocation["gpu"];
            format!(
                "GPU {} ({}) at {}",
                gpu["device"],
                summary::text(&gpu["device_name"]),
                summary::text(&gpu["server"])
            )
        };
        let stats = |name| {
            let number = move |o: &Outcome| o.invocation["stats"][name].as_f64();
            let all: Option<Vec<f64>> = outcomes.iter().map(number).collect();
            all.with_context(|| format!("a job without {name} in its statistics"))
        };
        let first = outcomes.first().context("no jobs")?;
        let at = device(first);
        ensure!(
            outcomes.iter().all(|o| device(o) == at),
            "the jobs were not all on {at}"
        );
        let mut sessions = stats("session")?;
        sessions.sort_by(f64::total_cmp);
        sessions.dedup();
        ensure!(
            sessions.len() == outcomes.len(),
            "the jobs did not have a session each"
        );
        let begun = stats("first_call_unix")?.into_iter().fold(0.0, f64::max);
        let ended = stats("last_call_unix")?;
        let ended = ended.into_iter().fold(f64::INFINITY, f64::min);
        ensure!(
            ended > begun,
            "one job ended {:.1} s before another began: they did not share the GPU",
            begun - ended
        );
        Ok(Self {
            sessions: sessions.len(),
            device: at,
            lease: first.invocation["gpu"]["memory"].as_u64().unwrap_or(0),
            seconds: ended - begun,
        })
    }

    fn describe(&self) -> String {
        format!(
            "side by side                 {} sessions with {} each on {}, all of them for {:.1} s",
            self.sessions,
            report::bytes(self.lease),
            self.device,
            self.seconds
        )
    }
}

fn table(movies: &[Movie], outcomes: &[Outcome]) -> String {
    let head = [
        "movie",
        "frames",
        "true view",
        "consensus",
        "share of frames",
        "upload to result",
        "round trips",
        "sent",
        "GPU",
    ];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for (movie, outcome) in movies.iter().zip(outcomes) {
        let (invocation, stats) = (&outcome.invocation, &outcome.invocation["stats"]);
        let seconds = summary::between(invocation, "queued", "finished");
        let real = if movie.real { " (real)" } else { "" };
        rows.push(vec![
            movie.name(),
            outcome.frames.to_string(),
            format!("{}{real}", movie.view),
            summary::text(&outcome.consensus["view"]),
            format!(
                "{:.0} %",
                100.0 * outcome.agreeing as f64 / outcome.frames as f64
            ),
            seconds.map_or_else(String::new, |s| report::seconds(Duration::from_secs_f64(s))),
            summary::text(&stats["round_trips"]),
            summary::size(&stats["bytes_sent"]),
            summary::text(&outcome.consensus["device"]),
        ]);
    }
    report::table(&rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn outcome(session: u64, device: u32, first: f64, last: f64) -> Outcome {
        Outcome {
            invocation: json!({
                "gpu": {"server": "tcp://h:1", "device": device, "device_name": "d", "memory": 1_u64 << 30},
                "stats": {"session": session, "first_call_unix": first, "last_call_unix": last},
            }),
            consensus: json!({"view": "long-axis"}),
            agreeing: 1,
            frames: 1,
        }
    }

    #[test]
    fn jobs_ran_together_if_the_last_began_before_the_first_ended() {
        let outcomes = [outcome(1, 0, 10.0, 20.0), outcome(2, 0, 12.0, 17.5)];
        let together = Together::of(&outcomes).unwrap();
        assert_eq!((together.sessions, together.seconds), (2, 5.5));
        assert!(
            together
                .describe()
                .contains("1.0 GiB each on GPU 0 (d) at tcp://h:1")
        );
        let refused = |second| {
            let error = Together::of(&[outcome(1, 0, 10.0, 20.0), second]).unwrap_err();
            error.to_string()
        };
        assert!(refused(outcome(2, 0, 21.0, 30.0)).contains("ended 1.0 s before"));
        assert!(refused(outcome(1, 0, 12.0, 17.0)).contains("a session each"));
        assert!(refused(outcome(2, 1, 12.0, 17.0)).contains("not all on GPU 0"));
    }

    #[test]
    fn frames_vote() {
        let csv = "frame,view,a\n0,long-axis,0.9\n1,short-axis,0.1\n2,long-axis,0.8\n";
        assert_eq!(votes(csv, &json!("long-axis")).unwrap(), (2, 3));
        assert!(votes("frame,view\n", &json!("long-axis")).is_err());
    }
}
