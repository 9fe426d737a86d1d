//! The demo's own programs: the CUDA filter built by stock nvcc with the static runtime, the reference by the C++
//! compiler, and the comparison of what the two make.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::paths;
use crate::process;
use crate::report::Step;
use crate::toolchain::{Cuda, Python};

/// Where `function.yaml` listens.
pub(super) const INPUT: &str = "s3://echo/in/";
/// Where it leaves its results.
pub(super) const OUTPUT: &str = "s3://echo/out/";

const LIMIT: Duration = Duration::from_secs(300);
/// The script and what it calls, beside the built program.
const HOME_FILES: &[&str] = &["despeckle.py"];
const SOURCES: &[&str] = &["despeckle.cu", "reference.cpp", "options.h", "pgm.h"];

fn source(name: &str) -> PathBuf {
    paths::root().join("examples/despeckle").join(name)
}

/// The function's definition.
pub(super) fn definition() -> PathBuf {
    source("function.yaml")
}

/// The built example.
#[derive(Debug)]
pub(super) struct Despeckle {
    /// What stands at /opt/despeckle in the image.
    home: PathBuf,
    work: PathBuf,
}

/// What the reference says of the job's frames.
#[derive(Debug)]
pub(super) struct Comparison {
    report: Value,
    good: bool,
}

impl Comparison {
    /// Whether every pixel is within the tolerance.
    pub(super) fn good(&self) -> bool {
        self.good
    }

    /// In words.
    pub(super) fn describe(&self) -> String {
        let number = |name: &str| self.report[name].as_f64().unwrap_or(f64::NAN);
        let verdict = if self.good {
            "equal to the reference"
        } else {
            "NOT equal to the reference"
        };
        format!(
            "{verdict}: largest difference {:.4} of 255 grey levels, tolerance {} ({} frames)",
            number("largest_difference"),
            number("tolerance"),
            self.report["frames"]
        )
    }
}

impl Despeckle {
    /// Compiles what is out of date.
    pub(super) fn build(work: &Path, cuda: &Cuda) -> Result<Self> {
        let home = work.join("home");
        std::fs::create_dir_all(&home)?;
        for name in HOME_FILES {
            std::fs::copy(source(name), home.join(name))
                .with_context(|| format!("cannot copy {name}"))?;
        }
        let built = Self {
            home,
            work: work.to_owned(),
        };
        if built.up_to_date() {
            return Ok(built);
        }
        let step = Step::begin("compiling despeckle");
        let mut nvcc = cuda.command();
        nvcc.args(["-std=c++17", "-O2", "-cudart", "static", "-o"])
            .arg(built.program());
        nvcc.arg(source("despeckle.cu")).arg("-L").arg(cuda.lib());
        process::quiet(&mut nvcc, LIMIT).context("nvcc could not compile despeckle.cu")?;
        compile_reference(&built.reference())?;
        step.done(&paths::shown(&built.home));
        Ok(built)
    }

    fn program(&self) -> PathBuf {
        self.home.join("despeckle")
    }

    fn reference(&self) -> PathBuf {
        self.work.join("reference")
    }

    fn up_to_date(&self) -> bool {
        let time = |path: &Path| std::fs::metadata(path).and_then(|m| m.modified()).ok();
        let newest: Option<SystemTime> = SOURCES.iter().filter_map(|s| time(&source(s))).max();
        [self.program(), self.reference()]
            .iter()
            .all(|p| time(p) > newest)
    }

    /// Where Python, the script and the program are on this machine, in the place of the image's.
    pub(super) fn variables(
        &self,
        python: &Python,
        iterations: u32,
    ) -> [(&'static str, String); 3] {
        [
            ("DESPECKLE_HOME", self.home.display().to_string()),
            (
                "DESPECKLE_PYTHON",
                python.interpreter().display().to_string(),
            ),
            ("DESPECKLE_ITERATIONS", iterations.to_string()),
        ]
    }

    /// Filters the same frames by the reference and compares the job's pictures with them.
    pub(super) fn compare(
        &self,
        python: &Python,
        input: &Path,
        results: &Path,
        iterations: u32,
    ) -> Result<Comparison> {
        let split = self.work.join("split");
        let mut script = Command::new(python.interpreter());
        script
            .arg(self.home.join("despeckle.py"))
            .arg("--split-only")
            .arg("--input")
            .arg(input);
        script
            .arg("--output")
            .arg(&split)
            .args(["--iterations", &iterations.to_string()]);
        process::quiet(&mut script, LIMIT)?;
        let filtered = split.join("filtered.pgm");
        let mut join = Command::new(python.interpreter());
        join.arg("-c").arg(PNG_TO_PGM).arg(results).arg(&filtered);
        process::quiet(&mut join, LIMIT)?;
        let options = std::fs::read_to_string(split.join("options.txt"))?;
        let mut reference = Command::new(self.reference());
        reference
            .args(options.lines())
            .arg(split.join("frames.pgm"))
            .arg(&filtered);
        let output = process::capture(&mut reference, LIMIT)?;
        let report = serde_json::from_str(&output.stdout)
            .with_context(|| format!("the reference did not answer: {}", output.stderr.trim()))?;
        Ok(Comparison {
            report,
            good: output.good(),
        })
    }
}

/// The job's pictures, in order, as the film that the reference reads.
const PNG_TO_PGM: &str = "
import pathlib, sys
from PIL import Image
files = sorted(pathlib.Path(sys.argv[1]).glob('frame-*.png'))
with open(sys.argv[2], 'wb') as film:
    for file in files:
        picture = Image.open(file).convert('L')
        film.write(b'P5\\n%d %d\\n255\\n' % picture.size + picture.tobytes())
";

fn compile_reference(to: &Path) -> Result<()> {
    let compiler = std::env::var("CXX").unwrap_or_else(|_| "g++".to_owned());
    let mut command = Command::new(&compiler);
    command
        .args(["-std=c++17", "-O2", "-Wall", "-Wextra", "-o"])
        .arg(to)
        .arg(source("reference.cpp"));
    process::quiet(&mut command, LIMIT)
        .with_context(|| format!("{compiler} could not compile reference.cpp"))?;
    Ok(())
}

/// The reference against what the equations promise: a flat image stays as it is, speckle fades while an edge stays,
/// and the comparison notices a wrong pixel.
pub(crate) fn check_reference() -> Result<()> {
    let work = paths::work().join("reference-check");
    std::fs::create_dir_all(&work)?;
    let program = work.join("reference");
    compile_reference(&program)?;
    let film = |name: &str, pixel: &dyn Fn(usize, usize) -> u8| -> Result<PathBuf> {
        let file = work.join(name);
        let mut bytes = format!("P5\n{SIDE} {SIDE}\n255\n").into_bytes();
        bytes.extend((0..SIDE * SIDE).map(|i| pixel(i % SIDE, i / SIDE)));
        std::fs::write(&file, bytes)?;
        Ok(file)
    };
    let filter = |input: &Path, rest: &[&Path]| -> Result<process::Output> {
        let mut command = Command::new(&program);
        command
            .args(["--iterations", "60", "--region", "2,2,24,60"])
            .arg(input)
            .args(rest);
        process::capture(&mut command, LIMIT)
    };
    const SIDE: usize = 64;

    let flat = film("flat.pgm", &|_, _| 90)?;
    if !filter(&flat, &[&flat])?.good() {
        bail!("a flat image must not change");
    }
    let noisy = |x: usize, y: usize| {
        let noise = (x * 7919 + y * 104_729 + x * y * 31) % 17;
        let level = if x < SIDE / 2 { 60 } else { 170 };
        level + noise as u8
    };
    let before = film("noisy.pgm", &noisy)?;
    let after = work.join("after.pgm");
    filter(&before, &[Path::new("--write"), &after])?;
    let bytes = std::fs::read(&after).context("the reference wrote nothing")?;
    let pixels = &bytes[bytes.len() - SIDE * SIDE..];
    let deviation = |pixel: &dyn Fn(usize, usize) -> f64| {
        let region: Vec<f64> = (0..SIDE * SIDE)
            .filter(|i| i % SIDE < 24)
            .map(|i| pixel(i % SIDE, i / SIDE))
            .collect();
        let mean = region.iter().sum::<f64>() / region.len() as f64;
        (region.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / region.len() as f64).sqrt()
    };
    let (rough, smooth) = (
        deviation(&|x, y| noisy(x, y).into()),
        deviation(&|x, y| pixels[y * SIDE + x].into()),
    );
    if smooth > rough / 2.0 {
        bail!("speckle must fade: its deviation went from {rough:.2} to {smooth:.2}");
    }
    let step =
        i32::from(pixels[SIDE / 2 + 4 + 30 * SIDE]) - i32::from(pixels[SIDE / 2 - 5 + 30 * SIDE]);
    if step < 95 {
        bail!("an edge of 110 grey levels must stay, {step} are left");
    }
    if !filter(&before, &[&after])?.good() {
        bail!("the reference must agree with itself");
    }
    let mut damaged = bytes.clone();
    let last = damaged.len() - 1;
    damaged[last] ^= 4;
    std::fs::write(&after, damaged)?;
    if filter(&before, &[&after])?.good() {
        bail!("the comparison must notice a wrong pixel");
    }
    Ok(())
}
