//! Finds the libraries that `rgpu` puts before a program.
//!
//! Installed: `PREFIX/bin/rgpu` and `PREFIX/lib/rgpu/{client,softgpu}/libcuda.so.1`. Built with cargo: beside
//! the executable under their crates' names; then a folder with the right names is made beside them.
//!
//! The client's cuBLAS, cuBLASLt and cuDNN lie in a folder of their own, which is never in a search path: they are
//! preloaded where they are wanted, and otherwise a program must find NVIDIA's.

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
                ("libs/libcublas.so.12", "librgpu_cublas.so"),
                ("libs/libcublasLt.so.12", "librgpu_cublaslt.so"),
                ("libs/libcudnn.so.9", "librgpu_cudnn.so"),
            ],
            Self::SoftGpu => &[
                ("libcuda.so.1", "librgpu_softgpu.so"),
                ("libnvidia-ml.so.1", "librgpu_nvml.so"),
                ("libcublas.so.12", "librgpu_softgpu_cublas.so"),
                ("libcublasLt.so.12", "librgpu_softgpu_cublaslt.so"),
                ("libcudnn.so.9", "librgpu_softgpu_cudnn.so"),
            ],
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
    for (name, file) in set.files() {
        let (link, target) = (folder.join(name), built.join(file));
        if let Some(parent) = link.parent() {
            fs::create_dir_all(parent)
                .with_context(|| format!("cannot make {}", parent.display()))?;
        }
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

/// Environment variable that says which libraries' calls are forwarded whole.
pub(crate) const LIBS_VARIABLE: &str = "RGPU_LIBS";

/// A library whose calls can be forwarded whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Forwarded {
    /// cuBLAS.
    Cublas,
    /// cuBLASLt.
    CublasLt,
    /// cuDNN.
    Cudnn,
}

impl Forwarded {
    /// All of them, in the order in which they are preloaded.
    pub(crate) const ALL: [Self; 3] = [Self::Cublas, Self::CublasLt, Self::Cudnn];

    /// As `RGPU_LIBS` calls it.
    const fn name(self) -> &'static str {
        match self {
            Self::Cublas => "cublas",
            Self::CublasLt => "cublaslt",
            Self::Cudnn => "cudnn",
        }
    }

    /// As programs look for it.
    pub(crate) const fn file(self) -> &'static str {
        match self {
            Self::Cublas => "libcublas.so.12",
            Self::CublasLt => "libcublasLt.so.12",
            Self::Cudnn => "libcudnn.so.9",
        }
    }
}

/// The libraries that a list such as `cublas,cudnn` names; `none` or nothing is none.
///
/// # Errors
/// A name that is no library.
pub(crate) fn forwarded(list: &str) -> anyhow::Result<Vec<Forwarded>> {
    list.split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty() && *name != "none")
        .map(|name| {
            Forwarded::ALL
                .into_iter()
                .find(|library| library.name() == name)
                .with_context(|| {
                    format!(
                        "{name} is no library of {LIBS_VARIABLE}: cublas, cublaslt, cudnn, or none"
                    )
                })
        })
        .collect()
}

/// `LD_PRELOAD` with the driver of `folder` and the libraries of `folder`/`libs` in front.
pub(crate) fn preload(folder: &Path, libs: &Path, forwarded: &[Forwarded]) -> std::ffi::OsString {
    let mut files = folder.join("libcuda.so.1").into_os_string();
    for library in forwarded {
        files.push(":");
        files.push(libs.join(library.file()));
    }
    before(Path::new(&files), "LD_PRELOAD")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_names_libraries() {
        let all = forwarded("cublas, cublaslt,cudnn").expect("names");
        assert_eq!(all, Forwarded::ALL);
        assert_eq!(forwarded("none").expect("none"), []);
        assert_eq!(forwarded("").expect("nothing"), []);
        assert!(forwarded("cufft").is_err());
    }
}
