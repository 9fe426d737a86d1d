//! Finds the libraries that `rgpu` puts before a program.
//!
//! Installed: `PREFIX/bin/rgpu` and `PREFIX/lib/rgpu/{client,softgpu}/libcuda.so.1`. Built with cargo: beside
//! the executable under their crates' names; then a folder with the right names is made beside them.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

/// Environment variable that overrides where the libraries are.
const VARIABLE: &str = "RGPU_LIB_DIR";

/// Which libraries.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Set {
    /// Forward to a server.
    Client,
    /// The software GPU.
    SoftGpu,
}

impl Set {
    const fn folder(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::SoftGpu => "softgpu",
        }
    }

    /// Names as programs look for them, and as cargo builds them.
    const fn files(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Client => &[
                ("libcuda.so.1", "librgpu_client.so"),
                ("libnvidia-ml.so.1", "librgpu_nvml.so"),
            ],
            Self::SoftGpu => &[("libcuda.so.1", "librgpu_softgpu.so")],
        }
    }
}

/// The folder that holds `set`, under the names that programs look for.
///
/// # Errors
/// The libraries are nowhere, or a folder for them cannot be made.
pub(crate) fn folder(set: Set) -> anyhow::Result<PathBuf> {
    if let Some(root) = std::env::var_os(VARIABLE).filter(|root| !root.is_empty()) {
        let folder = PathBuf::from(root).join(set.folder());
        if !folder.join("libcuda.so.1").exists() {
            bail!(
                "{VARIABLE} is set, but {} holds no libcuda.so.1",
                folder.display()
            );
        }
        return Ok(folder);
    }
    let executable = std::env::current_exe().context("cannot find this executable")?;
    let beside = executable
        .parent()
        .context("this executable is in no folder")?;
    let installed = beside.join("../lib/rgpu").join(set.folder());
    if installed.join("libcuda.so.1").exists() {
        return Ok(installed.canonicalize()?);
    }
    if set
        .files()
        .iter()
        .all(|(_, built)| beside.join(built).exists())
    {
        return link(beside, set);
    }
    bail!(
        "{} is neither in {} nor beside {}: install rgpu with its lib folder, or build it with `cargo build \
         --release`",
        set.files()[0].1,
        installed.display(),
        executable.display()
    )
}

/// Names the libraries that cargo built as programs look for them.
fn link(built: &Path, set: Set) -> anyhow::Result<PathBuf> {
    let folder = built.join("rgpu-lib").join(set.folder());
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    for (name, file) in set.files() {
        let (link, target) = (folder.join(name), built.join(file));
        match symlink(&target, &link) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => made.with_context(|| format!("cannot make {}", link.display()))?,
        }
    }
    Ok(folder)
}

/// `first`, before what the variable `name` holds already.
pub(crate) fn before(first: &Path, name: &str) -> std::ffi::OsString {
    let mut value = first.as_os_str().to_owned();
    if let Some(old) = std::env::var_os(name).filter(|old| !old.is_empty()) {
        value.push(":");
        value.push(old);
    }
    value
}
