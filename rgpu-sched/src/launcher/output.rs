//! What a job made: the files of its output folder, each to every output whose filter it passes.

use std::io;
use std::path::{Path, PathBuf};

use super::log::JobLog;
use crate::function::Function;
use crate::queue::OutputObject;
use crate::store::{Chain, ObjectStore};

/// A file of the output folder and its name there, with slashes.
#[derive(Debug, PartialEq, Eq)]
struct Made {
    file: PathBuf,
    name: String,
}

/// Uploads the results. What was uploaded before an error is in `done`.
pub(super) async fn upload(
    function: &Function,
    folder: &Path,
    store: &dyn ObjectStore,
    chain: &Chain,
    log: &mut JobLog,
    done: &mut Vec<OutputObject>,
) -> Result<(), String> {
    let listed = folder.to_owned();
    let made = tokio::task::spawn_blocking(move || list(&listed))
        .await
        .map_err(|e| e.to_string())??;
    for special in made.special {
        log.warning(&format!(
            "not uploaded, since it is no regular file: {special}"
        ));
    }
    for Made { file, name } in made.files {
        let targets = function.output.iter().filter(|o| o.filter.accepts(&name));
        let mut sent = false;
        for target in targets {
            let (bucket, key) = (target.path.bucket(), target.path.key_of(&name));
            let size = store
                .upload(&file, bucket, &key, chain)
                .await
                .map_err(|e| format!("cannot store {name}: {e}"))?;
            log.info(&format!("output s3://{bucket}/{key}, {size} bytes"));
            done.push(OutputObject {
                bucket: bucket.to_owned(),
                key,
                size,
            });
            sent = true;
        }
        if !sent {
            log.info(&format!(
                "not uploaded, since no output of the function takes it: {name}"
            ));
        }
    }
    Ok(())
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Listing {
    files: Vec<Made>,
    /// Links, sockets and the like, by name.
    special: Vec<String>,
}

/// All files below `folder`, by name.
fn list(folder: &Path) -> Result<Listing, String> {
    let mut listing = Listing::default();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        let unreadable = |e: io::Error| format!("cannot read the output folder: {e}");
        for entry in std::fs::read_dir(&next).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let file = entry.path();
            let kind = entry.file_type().map_err(unreadable)?;
            if kind.is_dir() {
                folders.push(file);
                continue;
            }
            let below = file.strip_prefix(folder).unwrap_or(&file);
            let name = below.to_str().map(str::to_owned);
            let name = name.ok_or_else(|| {
                format!(
                    "the name of the output file {} is not UTF-8",
                    below.display()
                )
            })?;
            if kind.is_file() {
                listing.files.push(Made { file, name });
            } else {
                listing.special.push(name);
            }
        }
    }
    listing.files.sort_by(|a, b| a.name.cmp(&b.name));
    listing.special.sort();
    Ok(listing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_listed_by_name_and_links_are_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("b/c")).unwrap();
        std::fs::write(dir.path().join("b/c/2"), "").unwrap();
        std::fs::write(dir.path().join("a"), "").unwrap();
        std::os::unix::fs::symlink("/etc/passwd", dir.path().join("link")).unwrap();
        let listing = list(dir.path()).unwrap();
        assert_eq!(
            listing
                .files
                .iter()
                .map(|m| m.name.as_str())
                .collect::<Vec<_>>(),
            ["a", "b/c/2"]
        );
        assert_eq!(listing.special, ["link"]);
    }

    #[test]
    fn a_name_that_no_key_can_spell_is_an_error() {
        use std::os::unix::ffi::OsStrExt;
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(std::ffi::OsStr::from_bytes(b"\xff")), "").unwrap();
        assert!(list(dir.path()).unwrap_err().contains("not UTF-8"));
    }
}
