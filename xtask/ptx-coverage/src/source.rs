//! From what the user names to the PTX in it.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use rgpu_fatbin::{Capability, Fatbin};

use crate::elf;

/// What the software GPU reports.
const DEVICE: Capability = Capability::new(9, 0);

/// What one load of a module gets: one text, or those that are to be linked.
#[derive(Debug)]
pub(crate) struct Image {
    /// The file it was found in, and the section.
    pub(crate) place: String,
    pub(crate) texts: Vec<String>,
}

/// Adds the images of `name`.
pub(crate) fn read(name: &str, downloads: &Path, images: &mut Vec<Image>) -> Result<()> {
    let path = match Path::new(name) {
        path if path.exists() => path.to_owned(),
        _ => download(name, downloads)?,
    };
    let bytes = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let place = path
        .file_name()
        .map_or_else(String::new, |n| n.to_string_lossy().into_owned());
    if bytes.starts_with(b"PK\x03\x04") {
        return wheel(&place, &bytes, images);
    }
    let before = images.len();
    file(&place, &bytes, images)?;
    ensure!(images.len() > before, "{name} holds no PTX for this device");
    Ok(())
}

/// The wheel of a requirement, downloaded once.
fn download(requirement: &str, downloads: &Path) -> Result<PathBuf> {
    ensure!(
        !requirement.starts_with('-') && !requirement.contains('/'),
        "there is no file {requirement}"
    );
    let folder = downloads.join(requirement);
    let held = || -> Option<PathBuf> {
        let files = std::fs::read_dir(&folder)
            .ok()?
            .flatten()
            .map(|entry| entry.path());
        files
            .filter(|path| path.extension().is_some_and(|e| e == "whl"))
            .max()
    };
    if let Some(wheel) = held() {
        return Ok(wheel);
    }
    std::fs::create_dir_all(&folder)?;
    eprintln!("downloading {requirement} to {}", folder.display());
    // The PTX in a package is the same for every Python: if there is no wheel for this one, an older will do.
    let own: &[&str] = &[];
    let tries = [
        own,
        &["--python-version", "3.12"],
        &["--python-version", "3.11"],
    ];
    for more in tries {
        let mut pip = Command::new("python3");
        pip.args([
            "-m",
            "pip",
            "download",
            "--no-deps",
            "--only-binary",
            ":all:",
        ]);
        pip.args([
            "--quiet",
            "--disable-pip-version-check",
            "--no-input",
            "--dest",
        ]);
        pip.arg(&folder).args(more).arg(requirement);
        let status = pip
            .status()
            .context("python3 with pip is needed to download a package")?;
        if let (true, Some(wheel)) = (status.success(), held()) {
            return Ok(wheel);
        }
    }
    bail!("{requirement} is no file, and pip cannot download it");
}

/// Every file of a wheel that may hold PTX.
fn wheel(place: &str, bytes: &[u8], images: &mut Vec<Image>) -> Result<()> {
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(bytes))
        .with_context(|| format!("{place} is no wheel"))?;
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index)?;
        let name = entry.name().to_owned();
        let mut bytes = vec![0; 4];
        if entry.read_exact(&mut bytes).is_err() {
            continue;
        }
        let is_text = name.ends_with(".ptx");
        let is_binary = elf::is(&bytes) || bytes == elf::CONTAINER[..4];
        if is_text || is_binary {
            entry
                .read_to_end(&mut bytes)
                .with_context(|| format!("{place}: {name}"))?;
            file(&name, &bytes, images)?;
        }
    }
    Ok(())
}

fn file(place: &str, bytes: &[u8], images: &mut Vec<Image>) -> Result<()> {
    if elf::is(bytes) {
        for load in elf::loads(bytes)? {
            let place = format!("{place} {}", load.section);
            containers(&place, &load.containers, images)?;
        }
        return Ok(());
    }
    if bytes.starts_with(&elf::CONTAINER) {
        return containers(place, &[bytes], images);
    }
    images.push(Image {
        place: place.to_owned(),
        texts: vec![
            String::from_utf8_lossy(bytes)
                .trim_end_matches('\0')
                .to_owned(),
        ],
    });
    Ok(())
}

/// What the driver takes from containers that are loaded together.
fn containers(place: &str, containers: &[&[u8]], images: &mut Vec<Image>) -> Result<()> {
    let bad = || format!("a fat binary in {place}");
    let mut texts = Vec::new();
    for container in containers {
        let container = Fatbin::parse(container).with_context(bad)?;
        let entries = match containers.len() {
            1 => container.nearest_ptx(DEVICE).into_iter().collect(),
            _ => container.nearest_all_ptx(DEVICE),
        };
        for entry in entries {
            texts.push(entry.ptx().with_context(bad)?);
        }
    }
    if !texts.is_empty() {
        images.push(Image {
            place: place.to_owned(),
            texts,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        ".version 8.0\n.target sm_80\n.address_size 64\n.visible .entry k() { ret; }\n";

    fn images(name: &str, bytes: &[u8]) -> Vec<Image> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let mut images = Vec::new();
        read(path.to_str().unwrap(), folder.path(), &mut images).unwrap();
        images
    }

    fn fatbin() -> Vec<u8> {
        let mut builder = rgpu_fatbin::Builder::new();
        builder.push_ptx(80, TEXT.as_bytes());
        builder.push_ptx(100, b"too new");
        builder.finish()
    }

    #[test]
    fn texts_and_fat_binaries_are_read() {
        for (name, bytes) in [("a.ptx", TEXT.as_bytes().to_vec()), ("a.fatbin", fatbin())] {
            let images = images(name, &bytes);
            assert_eq!(images.len(), 1);
            assert_eq!(images[0].texts, [TEXT]);
            assert_eq!(images[0].place, name);
        }
    }

    #[test]
    fn a_wheel_is_searched() {
        use std::io::Write as _;
        let mut wheel = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        let options = zip::write::SimpleFileOptions::default();
        for (name, bytes) in [
            ("p/k.ptx", TEXT.as_bytes()),
            ("p/empty", b""),
            ("p/__init__.py", b"import os"),
            ("p/k.fatbin", &fatbin()),
        ] {
            wheel.start_file(name, options).unwrap();
            wheel.write_all(bytes).unwrap();
        }
        let bytes = wheel.finish().unwrap().into_inner();
        let images = images("p-1-py3-none-any.whl", &bytes);
        let places: Vec<_> = images.iter().map(|image| image.place.as_str()).collect();
        assert_eq!(places, ["p/k.ptx", "p/k.fatbin"]);
    }

    #[test]
    fn paths_that_do_not_exist_are_not_given_to_pip() {
        let error = read("no/such/file.so", Path::new("unused"), &mut Vec::new()).unwrap_err();
        assert_eq!(error.to_string(), "there is no file no/such/file.so");
    }
}
