//! Gives this compiler a name that changes with its sources, so that what another one compiled is not taken for its own.

use std::path::{Path, PathBuf};

/// Everything that decides what machine code a kernel becomes.
const SOURCES: [&str; 3] = ["src", "../exec/src", "../../rgpu-ptx/src"];

fn files(folder: &Path, found: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            files(&path, found)?;
        } else {
            found.push(path);
        }
    }
    Ok(())
}

fn main() -> std::io::Result<()> {
    let mut hasher = blake3::Hasher::new();
    for folder in SOURCES {
        println!("cargo::rerun-if-changed={folder}");
        let mut found = Vec::new();
        files(Path::new(folder), &mut found)?;
        found.sort();
        for path in found {
            hasher.update(path.as_os_str().as_encoded_bytes());
            hasher.update(&std::fs::read(path)?);
        }
    }
    let name = hasher.finalize().to_hex();
    println!("cargo::rustc-env=COMPILER_HASH={name}");
    Ok(())
}
