//! `cargo xtask frameworks-report`: programs of frameworks whose wheels are too large for every test run. What became of
//! each of their tests is kept in `tests/frameworks/report.json`, and told by COVERAGE.md.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use super::{LEASE, Way};
use crate::dist::{self, Dist, Profile};
use crate::{gpu_server, paths, process};

/// How long a program may take.
const LIMIT: Duration = Duration::from_secs(1200);
/// Says which version of a package an interpreter has.
const VERSION: &str = "import importlib.metadata as m, sys; print(m.version(sys.argv[1]))";

/// A framework: what it is called, its package, its program.
struct Framework {
    name: &'static str,
    package: &'static str,
    program: &'static str,
}

const FRAMEWORKS: [Framework; 3] = [
    Framework {
        name: "JAX",
        package: "jax",
        program: "jax_ops.py",
    },
    Framework {
        name: "CuPy",
        package: "cupy-cuda12x",
        program: "cupy_ops.py",
    },
    Framework {
        name: "PyTorch",
        package: "torch",
        program: "torch_ops.py",
    },
];

/// Run the programs of JAX, CuPy and PyTorch, and keep what became of their tests in tests/frameworks/report.json
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// A framework's package and an interpreter that has it, as in torch=/venv/bin/python
    #[arg(required = true, value_name = "PACKAGE=PYTHON")]
    interpreters: Vec<String>,
}

/// Runs them; those that are not named stay in the report as they are.
pub(crate) fn run(options: &Options) -> Result<()> {
    let dist = dist::build(Profile::Release)?;
    std::fs::create_dir_all(paths::work())?;
    let (url, _server) =
        gpu_server::start(&dist, "frameworks-report", "tcp://127.0.0.1:0", "software")?;
    let mut report = read()?;
    for chosen in &options.interpreters {
        let (package, python) = chosen
            .split_once('=')
            .with_context(|| format!("{chosen} is not PACKAGE=PYTHON"))?;
        let Some(framework) = FRAMEWORKS.iter().find(|f| f.package == package) else {
            bail!(
                "{package} is none of {}",
                FRAMEWORKS.map(|f| f.package).join(", ")
            );
        };
        let version = process::quiet(
            std::process::Command::new(python).args(["-c", VERSION, package]),
            LIMIT,
        )?;
        let mut ways = BTreeMap::new();
        for &way in Way::GPU {
            let outcomes = run_program(&dist, &url, Path::new(python), framework, way)?;
            println!("{} ({}): {}", framework.name, way.name(), counts(&outcomes));
            ways.insert(way.name(), outcomes);
        }
        report.insert(
            framework.name.to_owned(),
            json!({ "version": version.trim(), "ways": ways }),
        );
    }
    let text = serde_json::to_string_pretty(&report)? + "\n";
    std::fs::write(file(), text).context("cannot write the report")
}

fn file() -> PathBuf {
    paths::root().join("tests/frameworks/report.json")
}

type Report = BTreeMap<String, Value>;

fn read() -> Result<Report> {
    match std::fs::read_to_string(file()) {
        Ok(text) => Ok(serde_json::from_str(&text)?),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Report::new()),
        Err(error) => Err(error).context("cannot read the report"),
    }
}

/// What became of each test: nothing where it held, else why not.
type Outcomes = BTreeMap<String, Option<String>>;

fn run_program(
    dist: &Dist,
    url: &str,
    python: &Path,
    framework: &Framework,
    way: Way,
) -> Result<Outcomes> {
    let mut command = dist.command();
    match way {
        Way::Tcp => command.args(["run", "--server", url]),
        Way::Local | Way::Cpu => command.arg("local"),
    };
    command
        .args(["--memory", LEASE, "--"])
        .arg(python)
        .arg(framework.program)
        .current_dir(paths::root().join("tests/frameworks"));
    let output = process::capture(&mut command, LIMIT)?;
    let outcomes = outcomes(&output.stdout);
    // The runner's last line; without it, the program came to another end.
    ensure!(
        output
            .stdout
            .lines()
            .any(|line| line.starts_with("failed: ")),
        "{} ({}) did not come to its end: {}\n{}{}",
        framework.program,
        way.name(),
        process::status_text(output.status),
        process::last_lines(&output.stdout, 20),
        process::last_lines(&output.stderr, 20)
    );
    Ok(outcomes)
}

/// Reads what `tests/frameworks/runner.py` prints. The last line of a traceback says what went wrong.
fn outcomes(printed: &str) -> Outcomes {
    let mut outcomes = Outcomes::new();
    let mut failing: Option<String> = None;
    for line in printed.lines() {
        let name = |rest: &str| rest.trim().split([',', ' ']).next().map(str::to_owned);
        if let Some(name) = line.strip_prefix("ok ").and_then(name) {
            outcomes.insert(name, None);
            failing = None;
        } else if let Some(name) = line.strip_prefix("FAILED ").and_then(name) {
            outcomes.insert(name.clone(), Some(String::new()));
            failing = Some(name);
        } else if line.starts_with("failed: ") {
            failing = None;
        } else if let Some(name) = failing.as_ref()
            && line.starts_with(|c: char| c.is_ascii_alphabetic())
            && line.contains(':')
            && !line.starts_with("Traceback")
        {
            outcomes.insert(name.clone(), Some(line.to_owned()));
        }
    }
    outcomes
}

fn counts(outcomes: &Outcomes) -> String {
    let held = outcomes.values().filter(|reason| reason.is_none()).count();
    format!("{held} of {}", outcomes.len())
}

/// The section of COVERAGE.md.
pub(crate) fn section() -> Result<String> {
    let report = read()?;
    let mut page = String::from(
        "\n## Frameworks\n\n\
         Stock wheels on the software GPU, directly (`local`) and through a server (`tcp`), each with its program in\n\
         tests/frameworks. `cargo xtask frameworks-report` runs them and keeps what became of each test. TensorFlow is\n\
         tested by `cargo xtask test --frameworks`. More: [docs/frameworks.md](docs/frameworks.md).\n\n\
         | framework | version | local | tcp |\n| --- | --- | ---: | ---: |\n",
    );
    let mut failures = String::new();
    for (name, entry) in &report {
        let version = entry["version"].as_str().unwrap_or_default();
        let mut cells = Vec::new();
        for way in Way::GPU {
            let outcomes: Outcomes = serde_json::from_value(entry["ways"][way.name()].clone())
                .with_context(|| format!("{name} ({}) in the report", way.name()))?;
            cells.push(counts(&outcomes));
            for (test, reason) in &outcomes {
                if let Some(reason) = reason {
                    let reason = shortened(reason);
                    failures += &format!("| {name} | {} | `{test}` | {reason} |\n", way.name());
                }
            }
        }
        page += &format!("| {name} | {version} | {} |\n", cells.join(" | "));
    }
    if !failures.is_empty() {
        page += "\n| framework | way | fails | with |\n| --- | --- | --- | --- |\n";
        page += &failures;
    }
    Ok(page)
}

/// The beginning of an error message, fit for a cell.
fn shortened(reason: &str) -> String {
    const LENGTH: usize = 120;
    let cut: String = reason.chars().take(LENGTH).collect();
    let more = if cut.len() < reason.len() { "…" } else { "" };
    format!("{}{more}", cut.replace('|', "\\|").replace(['<', '>'], ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_runner_prints_is_read() {
        let printed = "ok      test_a, 1 rounds, 0.1 s\nFAILED test_b in round 0 of seed 1\nTraceback (most recent \
                       call last):\n  File \"x.py\", line 1, in f\nCuFFTError: CUFFT_INTERNAL_ERROR\nok      test_c, 1 \
                       rounds, 0.0 s\nfailed: test_b\n";
        let expected = [
            ("test_a", None),
            ("test_b", Some("CuFFTError: CUFFT_INTERNAL_ERROR")),
            ("test_c", None),
        ];
        let expected: Outcomes = expected
            .map(|(name, why)| (name.to_owned(), why.map(str::to_owned)))
            .into();
        assert_eq!(outcomes(printed), expected);
        assert_eq!(counts(&expected), "2 of 3");
    }

    #[test]
    fn reasons_fit_a_cell() {
        assert_eq!(shortened("a | b"), "a \\| b");
        assert_eq!(shortened(&"x".repeat(200)), "x".repeat(120) + "…");
    }
}
