//! The C side of `rgpu bench softgpu`: built by gcc while measuring, so that both sides are of one machine.

use std::ffi::c_void;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, anyhow, ensure};
use libloading::os::unix::Library;

use crate::kernels::Case;

/// What gcc gets: no option that lets it use instructions of this processor only, or reorder float arithmetic.
const OPTIONS: [&str; 3] = ["-O2", "-shared", "-fPIC"];

/// Builds the C function of a kernel in `folder`.
///
/// # Errors
/// There is no gcc, or it fails.
pub fn build(case: &Case, folder: &Path) -> anyhow::Result<PathBuf> {
    let source = folder.join(format!("{}.c", case.texts.name));
    let library = folder.join(format!("{}.so", case.texts.name));
    std::fs::write(&source, case.texts.c)?;
    let mut gcc = Command::new("gcc");
    gcc.args(OPTIONS)
        .arg("-o")
        .arg(&library)
        .arg(&source)
        .arg("-lm");
    let out = gcc
        .output()
        .map_err(|error| anyhow!("this measurement compares with C and needs gcc: {error}"))?;
    ensure!(
        out.status.success(),
        "gcc cannot compile {}.c:\n{}",
        case.texts.name,
        String::from_utf8_lossy(&out.stderr)
    );
    Ok(library)
}

/// The first line of `gcc --version`.
///
/// # Errors
/// There is no gcc.
pub fn version() -> anyhow::Result<String> {
    let out = Command::new("gcc").arg("--version").output();
    let out =
        out.map_err(|error| anyhow!("this measurement compares with C and needs gcc: {error}"))?;
    let text = String::from_utf8_lossy(&out.stdout);
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

type Function = unsafe extern "C" fn(*const u32, *mut *mut c_void);

/// A C function that does what one launch of a kernel does.
#[derive(Debug)]
pub struct Reference {
    function: Function,
    /// Holds the code of `function`.
    _library: Library,
}

impl Reference {
    /// The function `name` of a library that [`build`] made.
    ///
    /// # Errors
    /// It cannot be loaded.
    pub fn open(library: &Path, name: &str) -> anyhow::Result<Self> {
        // SAFETY: the library is one of ours and has no initialisers.
        let library = unsafe { Library::new(library) }
            .with_context(|| format!("cannot load {}", library.display()))?;
        // SAFETY: every reference function has this signature (kernels/README.md).
        let function = *unsafe { library.get::<Function>(name.as_bytes()) }?;
        Ok(Self {
            function,
            _library: library,
        })
    }

    /// Runs it.
    ///
    /// # Safety
    /// `params` points to the kernel's parameters, and buffers among them are as large as the grid needs.
    pub unsafe fn run(&self, grid: [u32; 2], params: &mut [*mut c_void]) {
        // SAFETY: the caller's promise.
        unsafe { (self.function)(grid.as_ptr(), params.as_mut_ptr()) }
    }
}
