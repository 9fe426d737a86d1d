//! What the demo and the tests need beside Rust, gcc and Python 3: pinned wheels, and cargo-nextest. Each is installed
//! once.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::paths;
use crate::process;
use crate::report::Step;
use crate::venv::{self, site_packages};

/// The CUDA compiler and runtime. All parts have to be of one version.
const CUDA: &[&str] = &["cuda-toolkit[nvcc,cudart,crt,nvvm,cccl]==13.0.2"];
/// What the job's script needs, a stock S3 client, and NVIDIA's own NVML bindings.
const PYTHON: &[&str] = &[
    "pydicom==3.0.2",
    "pillow==12.0.0",
    "numpy==2.2.6; python_version < '3.12'",
    "numpy==2.4.6; python_version >= '3.12'",
    "awscli==1.46.3",
    "nvidia-ml-py==13.615.71",
];
/// numba-cuda, whose wheel holds its tests, and what they use. Without nvJitLink it links through the driver.
const NUMBA: &[&str] = &[
    "numba-cuda==0.30.4",
    "numba==0.68.1",
    "llvmlite==0.50.0",
    "numpy==2.4.6",
    "cuda-bindings==13.5.0",
    "cuda-core==1.2.2",
    "cuda-pathfinder==1.9.0",
    "cuda-toolkit[nvcc,nvrtc,nvvm,cudart,crt,cccl]==13.0.2",
    "cffi==2.1.1",
    "filecheck==1.0.6",
    "ml_dtypes==0.6.0",
    "psutil==7.2.2",
    "pytest==8.4.2",
    "pytest-benchmark==5.3.1",
    "pytest-timeout==2.4.0",
    "pytest-xdist==3.8.0",
    "scipy==1.17.1",
];
const NEXTEST: &str = "0.9.143";

/// A CUDA compiler.
#[derive(Debug, Clone)]
pub(crate) struct Cuda {
    root: PathBuf,
}

impl Cuda {
    /// Installs it if need be.
    pub(crate) fn install() -> Result<Self> {
        let venv = venv::of_checkout("cuda", CUDA)?;
        let root = site_packages(&venv)?.join("nvidia/cu13");
        let cuda = Self { root };
        // The wheel holds libcudart.so.13 only; the linker looks for the name without a version.
        let link = cuda.lib().join("libcudart.so");
        if !link.exists() {
            std::os::unix::fs::symlink("libcudart.so.13", &link)
                .context("link for libcudart.so")?;
        }
        if !cuda.nvcc().exists() {
            bail!(
                "the CUDA wheels hold no nvcc at {}; remove {} and run again",
                cuda.nvcc().display(),
                venv.display()
            );
        }
        Ok(cuda)
    }

    /// The compiler.
    pub(crate) fn nvcc(&self) -> PathBuf {
        self.root.join("bin/nvcc")
    }

    /// The folder of the shared runtime.
    pub(crate) fn lib(&self) -> PathBuf {
        self.root.join("lib")
    }

    /// What pip installs.
    pub(crate) fn requirement() -> &'static str {
        CUDA[0]
    }

    /// What a build depends on beside its sources.
    pub(crate) fn version(&self) -> String {
        CUDA.join(" ")
    }

    /// The compiler, ready for arguments.
    pub(crate) fn command(&self) -> Command {
        Command::new(self.nvcc())
    }
}

/// A Python with the packages of the demo.
#[derive(Debug, Clone)]
pub(crate) struct Python {
    venv: PathBuf,
}

impl Python {
    /// Installs it if need be.
    pub(crate) fn install() -> Result<Self> {
        Ok(Self {
            venv: venv::of_checkout("python", PYTHON)?,
        })
    }

    /// The interpreter.
    pub(crate) fn interpreter(&self) -> PathBuf {
        self.venv.join("bin/python3")
    }

    /// The stock S3 client.
    pub(crate) fn aws(&self) -> PathBuf {
        self.venv.join("bin/aws")
    }

    /// The real echocardiogram that comes with pydicom.
    pub(crate) fn echocardiogram(&self) -> Result<PathBuf> {
        let file =
            site_packages(&self.venv)?.join("pydicom/data/test_files/examples_ybr_color.dcm");
        if !file.exists() {
            bail!("pydicom came without {}", file.display());
        }
        Ok(file)
    }
}

/// A Python with numba-cuda.
#[derive(Debug, Clone)]
pub(crate) struct Numba {
    venv: PathBuf,
}

impl Numba {
    /// Installs it if need be.
    pub(crate) fn install() -> Result<Self> {
        Ok(Self {
            venv: venv::of_checkout("numba", NUMBA)?,
        })
    }

    /// The interpreter.
    pub(crate) fn interpreter(&self) -> PathBuf {
        self.venv.join("bin/python3")
    }
}

/// A Python with TensorFlow, Keras and what the example `echo-view` needs, as the stock wheels are.
#[derive(Debug, Clone)]
pub(crate) struct Frameworks {
    venv: PathBuf,
}

impl Frameworks {
    /// Installs it if need be.
    pub(crate) fn install() -> Result<Self> {
        let requirements = paths::root().join("tests/frameworks/requirements.txt");
        Ok(Self {
            venv: venv::of_user("tensorflow", &requirements)?,
        })
    }

    /// The interpreter.
    pub(crate) fn interpreter(&self) -> PathBuf {
        self.venv.join("bin/python3")
    }
}

/// Makes sure that `cargo nextest` can be run, and returns a command for it.
pub(crate) fn nextest() -> Result<Command> {
    let tools = paths::work().join("tools");
    let own = tools.join("bin/cargo-nextest");
    let works = |program: &Path| {
        let mut command = Command::new(program);
        command.args(["nextest", "--version"]);
        process::capture(&mut command, Duration::from_secs(30)).is_ok_and(|o| o.good())
    };
    for program in [Path::new("cargo-nextest"), &own] {
        if works(program) {
            return Ok(command_for(program));
        }
    }
    let step = Step::begin("installing cargo-nextest (once, some minutes)");
    let mut install = Command::new("cargo");
    install
        .args([
            "install",
            "cargo-nextest",
            "--locked",
            "--quiet",
            "--version",
            NEXTEST,
            "--root",
        ])
        .arg(&tools);
    process::quiet(&mut install, Duration::from_secs(1800))
        .context("cargo could not install cargo-nextest")?;
    step.done(&paths::shown(&own));
    Ok(command_for(&own))
}

fn command_for(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.arg("nextest");
    command
}
