//! The release: everything built and laid out as an installation has it.
//!
//! ```text
//! bin/rgpu
//! lib/rgpu/client/libcuda.so.1         the driver that programs see
//! lib/rgpu/client/libnvidia-ml.so.1
//! lib/rgpu/softgpu/libcuda.so.1        the driver of workers where there is no GPU
//! ```

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;

use crate::paths;
use crate::process;

/// What cargo builds with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Profile {
    /// Optimised; what users get.
    Release,
    /// Quick to build.
    Dev,
}

impl Profile {
    fn folder(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Dev => "debug",
        }
    }

    fn cargo_name(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Dev => "dev",
        }
    }

    fn dist(self) -> &'static str {
        match self {
            Self::Release => "dist",
            Self::Dev => "dist-dev",
        }
    }
}

/// An installation under target/.
#[derive(Debug, Clone)]
pub(crate) struct Dist {
    root: PathBuf,
}

impl Dist {
    /// What was built before.
    pub(crate) fn of(profile: Profile) -> Self {
        Self {
            root: paths::target().join(profile.dist()),
        }
    }

    /// Its folder.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The `rgpu` command.
    pub(crate) fn rgpu(&self) -> PathBuf {
        self.root.join("bin/rgpu")
    }

    /// The `rgpu` command, ready for arguments, without settings of the user's own.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(self.rgpu());
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("RGPU_") {
                command.env_remove(name);
            }
        }
        command
    }
}

/// Cargo's outputs and their places.
const FILES: &[(&str, &str)] = &[
    ("rgpu", "bin/rgpu"),
    ("librgpu_client.so", "lib/rgpu/client/libcuda.so.1"),
    ("librgpu_nvml.so", "lib/rgpu/client/libnvidia-ml.so.1"),
    ("librgpu_cublas.so", "lib/rgpu/client/libs/libcublas.so.12"),
    (
        "librgpu_cublaslt.so",
        "lib/rgpu/client/libs/libcublasLt.so.12",
    ),
    ("librgpu_cudnn.so", "lib/rgpu/client/libs/libcudnn.so.9"),
    ("librgpu_softgpu.so", "lib/rgpu/softgpu/libcuda.so.1"),
    ("librgpu_nvml.so", "lib/rgpu/softgpu/libnvidia-ml.so.1"),
    (
        "librgpu_softgpu_cublas.so",
        "lib/rgpu/softgpu/libcublas.so.12",
    ),
    (
        "librgpu_softgpu_cublaslt.so",
        "lib/rgpu/softgpu/libcublasLt.so.12",
    ),
    ("librgpu_softgpu_cudnn.so", "lib/rgpu/softgpu/libcudnn.so.9"),
];
const PACKAGES: &[&str] = &[
    "rgpu-cli",
    "rgpu-client-shim",
    "rgpu-nvml-shim",
    "rgpu-cublas-shim",
    "rgpu-cublaslt-shim",
    "rgpu-cudnn-shim",
    "rgpu-softgpu",
    "rgpu-softgpu-cublas",
    "rgpu-softgpu-cublaslt",
    "rgpu-softgpu-cudnn",
];

/// Builds and lays out an installation. Cargo's progress is shown.
pub(crate) fn build(profile: Profile) -> Result<Dist> {
    let mut cargo = Command::new("cargo");
    cargo
        .current_dir(paths::root())
        .args(["build", "--profile", profile.cargo_name()]);
    for package in PACKAGES {
        cargo.args(["--package", package]);
    }
    if !process::shown(&mut cargo)? {
        bail!("the build failed; see cargo's messages above");
    }
    let dist = Dist::of(profile);
    for (built, place) in FILES {
        place_file(
            &paths::target().join(profile.folder()).join(built),
            &dist.root.join(place),
        )?;
    }
    Ok(dist)
}

/// Puts a copy in place by a rename, so that a running program keeps the file it has open.
fn place_file(from: &Path, to: &Path) -> Result<()> {
    let folder = to.parent().unwrap_or_else(|| Path::new("."));
    std::fs::create_dir_all(folder)?;
    let fresh = to.with_extension("new");
    std::fs::remove_file(&fresh).ok();
    std::fs::copy(from, &fresh)
        .with_context(|| format!("cannot copy {} to {}", from.display(), fresh.display()))?;
    std::fs::rename(&fresh, to).with_context(|| format!("cannot put {} in place", to.display()))
}
