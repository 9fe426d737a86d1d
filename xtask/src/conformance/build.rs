//! Building the programs: once to an object, then linked with the static and with the shared runtime. A program is
//! built again only when its source, the headers, the options or the compiler change.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use super::program::Program;
use crate::paths;
use crate::process;
use crate::toolchain::Cuda;

const COMPILE_LIMIT: Duration = Duration::from_secs(300);

/// How a program has the CUDA runtime.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Linkage {
    Static,
    Shared,
}

impl Linkage {
    pub(crate) const ALL: [Self; 2] = [Self::Static, Self::Shared];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Static => "static",
            Self::Shared => "shared",
        }
    }
}

/// Where the programs are built.
pub(crate) fn folder() -> PathBuf {
    paths::work().join("conformance")
}

/// The built program.
pub(crate) fn binary(name: &str, linkage: Linkage) -> PathBuf {
    folder().join(format!("{name}-{}", linkage.name()))
}

/// Builds one program if it is not up to date. Returns whether there was something to do.
pub(crate) fn build(cuda: &Cuda, program: &Program, headers: &str) -> Result<bool> {
    let key = key(cuda, program, headers)?;
    let stamp = folder().join(format!("{}.stamp", program.name));
    let built = Linkage::ALL
        .iter()
        .all(|&l| binary(&program.name, l).exists());
    if built && std::fs::read_to_string(&stamp).is_ok_and(|have| have == key) {
        return Ok(false);
    }
    std::fs::create_dir_all(folder())?;
    let mut objects = Vec::new();
    for source in sources(program) {
        let object = folder().join(format!("{}-{}.o", program.name, objects.len()));
        let mut compile = nvcc(cuda, program);
        // The name is given as it lies in its folder, so that messages of assert do not depend on the checkout.
        compile
            .args(["-std=c++17", "-O2", "--compile", "-o"])
            .arg(&object)
            .arg(source.strip_prefix(home(program)).unwrap_or(source));
        process::quiet(&mut compile, COMPILE_LIMIT)
            .with_context(|| format!("cannot compile {}", program.name))?;
        objects.push(object);
    }
    for linkage in Linkage::ALL {
        let mut link = nvcc(cuda, program);
        link.args(["-cudart", linkage.name(), "-o"])
            .arg(binary(&program.name, linkage))
            .args(&objects);
        link.arg("-L").arg(cuda.lib());
        process::quiet(&mut link, COMPILE_LIMIT)
            .with_context(|| format!("cannot link {}", program.name))?;
    }
    for object in objects {
        std::fs::remove_file(object).ok();
    }
    std::fs::write(stamp, key)?;
    Ok(true)
}

fn nvcc(cuda: &Cuda, program: &Program) -> Command {
    let mut command = cuda.command();
    command.current_dir(home(program)).args(&program.nvcc);
    command
}

/// The folder that the program lies in.
fn home(program: &Program) -> &Path {
    program.source.parent().unwrap_or_else(|| Path::new("."))
}

fn sources(program: &Program) -> impl Iterator<Item = &PathBuf> {
    std::iter::once(&program.source).chain(&program.with)
}

/// The texts of all headers, which any program may include.
pub(crate) fn headers(folder: &Path) -> Result<String> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder)?
        .flatten()
        .map(|e| e.path())
        .collect();
    paths.retain(|p| p.extension().is_some_and(|e| e == "h"));
    paths.sort();
    let mut all = String::new();
    for path in paths {
        all.push_str(&std::fs::read_to_string(path)?);
    }
    Ok(all)
}

fn key(cuda: &Cuda, program: &Program, headers: &str) -> Result<String> {
    let mut hash = blake3::Hasher::new();
    let mut texts = Vec::new();
    for source in sources(program) {
        texts.push(
            std::fs::read(source).with_context(|| format!("cannot read {}", source.display()))?,
        );
    }
    let texts = texts.concat();
    for part in [
        cuda.version().as_bytes(),
        program.nvcc.join(" ").as_bytes(),
        headers.as_bytes(),
        &texts,
    ] {
        hash.update(&part.len().to_le_bytes());
        hash.update(part);
    }
    Ok(hash.finalize().to_hex().to_string())
}
