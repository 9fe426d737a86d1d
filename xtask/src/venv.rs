//! Virtual environments of Python with pinned wheels, under `target/`, or in the user's cache if they are gigabytes. A
//! stamp with the list of versions, written last, says that one is whole.

use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::paths;
use crate::process;
use crate::report::Step;

const OLDEST_PYTHON: (u32, u32) = (3, 10);
/// Named where none will do.
const NEWEST_PYTHON: u32 = 14;
/// Those for which the frameworks' pinned wheels exist.
const FRAMEWORKS_PYTHON: [(u32, u32); 2] = [(3, 11), (3, 12)];
/// Where one may be.
const PYTHONS: [&str; 4] = ["python3", "python3.12", "python3.11", "python3.10"];
const INSTALL_LIMIT: Duration = Duration::from_secs(1800);
/// The file that says what an environment holds.
const STAMP: &str = "installed.txt";

/// The folder of a virtual environment's packages.
pub(crate) fn site_packages(venv: &Path) -> Result<PathBuf> {
    let lib = venv.join("lib");
    let entries =
        std::fs::read_dir(&lib).with_context(|| format!("cannot read {}", lib.display()))?;
    let found = entries
        .flatten()
        .map(|e| e.path().join("site-packages"))
        .find(|p| p.is_dir());
    found.with_context(|| format!("no site-packages in {}", lib.display()))
}

/// A virtual environment under target/ that holds exactly `packages`.
pub(crate) fn of_checkout(name: &str, packages: &[&str]) -> Result<PathBuf> {
    let venv = paths::work().join(format!("venv-{name}"));
    let wanted = packages.join("\n");
    if installed(&venv, &wanted) {
        return Ok(venv);
    }
    let step = Step::begin(&format!("installing {}", first_names(packages)));
    let python = system_python(|version| version >= OLDEST_PYTHON)?.0;
    fill(&venv, &python, packages, &step)?;
    std::fs::write(venv.join(STAMP), wanted)?;
    step.done(&paths::shown(&venv));
    Ok(venv)
}

/// A virtual environment in the user's cache, for all checkouts that want the same versions.
pub(crate) fn of_user(name: &str, requirements: &Path) -> Result<PathBuf> {
    let listed = std::fs::read_to_string(requirements)
        .with_context(|| format!("cannot read {}", requirements.display()))?;
    let (python, version) = system_python(|version| FRAMEWORKS_PYTHON.contains(&version))?;
    let wanted = format!("Python {}.{}\n{listed}", version.0, version.1);
    let key = &blake3::hash(wanted.as_bytes()).to_hex()[..12];
    let venv = paths::cache().join(format!("venv-{name}-{key}"));
    std::fs::create_dir_all(paths::cache())?;
    let lock = venv.with_extension("lock");
    let lock = File::create(&lock).with_context(|| format!("cannot write {}", lock.display()))?;
    // Another checkout may be installing it.
    lock.lock().context("lock of the cache")?;
    if installed(&venv, &wanted) {
        return Ok(venv);
    }
    let step = Step::begin(&format!("installing {name} (once, gigabytes)"));
    // The environment is what is kept; pip need not keep as much again.
    let from = [
        "--no-cache-dir".as_ref(),
        "--requirement".as_ref(),
        requirements.as_os_str(),
    ];
    fill(&venv, &python, &from, &step)?;
    std::fs::write(venv.join(STAMP), wanted)?;
    step.done(&paths::shown(&venv));
    Ok(venv)
}

/// Whether an installation came to its end, and holds what is wanted.
fn installed(venv: &Path, wanted: &str) -> bool {
    std::fs::read_to_string(venv.join(STAMP)).is_ok_and(|have| have == wanted)
}

/// Makes a virtual environment, in place of what is left there, with what pip is to install.
fn fill(venv: &Path, python: &Path, packages: &[impl AsRef<OsStr>], step: &Step) -> Result<()> {
    if venv.exists() {
        std::fs::remove_dir_all(venv)
            .with_context(|| format!("cannot remove {}", venv.display()))?;
    }
    std::fs::create_dir_all(paths::work())?;
    let mut make = Command::new(python);
    make.args(["-m", "venv"]).arg(venv);
    process::quiet(&mut make, INSTALL_LIMIT).context(
        "cannot make a Python virtual environment; on Debian and Ubuntu install python3-venv",
    )?;
    let mut pip = Command::new(venv.join("bin/python3"));
    pip.args(["-u", "-m", "pip", "install", "--progress-bar=off"])
        .args(["--disable-pip-version-check", "--no-input"])
        .args(packages);
    let told = |line: &str| {
        if let Some(what) = pip_progress(line) {
            step.progress(what);
        }
    };
    process::followed(&mut pip, INSTALL_LIMIT, told).with_context(|| {
        format!(
            "`{}` failed; it needs a package index (see `pip config list`)",
            process::line(&pip)
        )
    })
}

/// What a line of pip's says about how far it is: `Downloading tensorflow-2.19.0….whl (644.9 MB)`.
fn pip_progress(line: &str) -> Option<&str> {
    let line = line.trim();
    if line.starts_with("Downloading ") {
        return Some(line);
    }
    // The names of all packages follow, in one line.
    line.starts_with("Installing ").then_some("unpacking")
}

/// `pydicom, pillow, …` of `pydicom==3.0.2`, …
fn first_names(packages: &[&str]) -> String {
    let mut names: Vec<&str> = packages
        .iter()
        .filter_map(|p| p.split(['=', '[', ';']).next())
        .collect();
    names.dedup();
    names.join(", ")
}

/// A Python of the system whose version will do, and its version.
fn system_python(will_do: impl Fn((u32, u32)) -> bool) -> Result<(PathBuf, (u32, u32))> {
    let ask = "import sys; print(*sys.version_info[:2])";
    let mut have = Vec::new();
    for name in PYTHONS {
        let mut command = Command::new(name);
        command.args(["-c", ask]);
        let Ok(text) = process::quiet(&mut command, Duration::from_secs(30)) else {
            continue;
        };
        let mut parts = text
            .split_whitespace()
            .filter_map(|p| p.parse::<u32>().ok());
        let version = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
        if will_do(version) {
            return Ok((name.into(), version));
        }
        have.push(format!("{name} is {}.{}", version.0, version.1));
    }
    let all = (OLDEST_PYTHON.1..=NEWEST_PYTHON).map(|minor| (3, minor));
    let good: Vec<_> = all
        .filter(|&version| will_do(version))
        .map(|(major, minor)| format!("{major}.{minor}"))
        .collect();
    bail!(
        "one of Python {} is needed; {}",
        good.join(", "),
        if have.is_empty() {
            "there is no python3".to_owned()
        } else {
            have.join(", ")
        }
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pip_says_how_far_it_is() {
        let line = "  Downloading numpy-2.1.3-cp311-cp311-manylinux.whl (16.3 MB)";
        assert_eq!(pip_progress(line), Some(line.trim()));
        let line = "Installing collected packages: namex, numpy";
        assert_eq!(pip_progress(line), Some("unpacking"));
        assert_eq!(pip_progress("Collecting numpy==2.1.3"), None);
    }

    #[test]
    fn an_environment_counts_when_its_stamp_fits() {
        let venv = std::env::temp_dir().join(format!("xtask-venv-{}", std::process::id()));
        std::fs::create_dir_all(&venv).unwrap();
        assert!(!installed(&venv, "numpy==2.1.3"));
        std::fs::write(venv.join(STAMP), "numpy==2.1.3").unwrap();
        assert!(installed(&venv, "numpy==2.1.3"));
        assert!(!installed(&venv, "numpy==2.1.4"));
        std::fs::remove_dir_all(venv).unwrap();
    }

    #[test]
    fn a_python_that_will_not_do_is_named() {
        let error = system_python(|version| version == (3, 13) && version.1 == 12).unwrap_err();
        assert!(error.to_string().contains("python3 is 3."), "{error}");
    }

    #[test]
    fn names_of_packages_are_short() {
        let packages = [
            "cuda-toolkit[nvcc,cudart]==13.0.2",
            "numpy==2.2.6; python_version < '3.12'",
            "numpy==2.4.6; python_version >= '3.12'",
        ];
        assert_eq!(first_names(&packages), "cuda-toolkit, numpy");
    }
}
