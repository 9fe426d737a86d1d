//! Compiled kernels on disk, by what they were compiled from, so that the next process compiles nothing.
//!
//! One file per kernel, named by its [`Key`]: a magic number, the BLAKE3 hash of the rest, and the rest, which starts
//! with the key. Files are written under another name and renamed, so that readers, of which there may be many in many
//! processes, see all of one or none. Whatever is wrong with a file, it is as if it were not there.
//!
//! What lies here is run. So the folder must be the user's own, and nobody else may write to it.

use std::fs::{DirBuilder, Metadata, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use rgpu_softgpu_exec::size;
use serde::Serialize;
use serde::de::DeserializeOwned;

const MAGIC: [u8; 8] = *b"rgpukrn\x01";
const HASH: usize = blake3::OUT_LEN;
/// Largest file that is read.
const MAX_FILE: u64 = 256 << 20;
/// Size of all files unless `RGPU_CACHE_SIZE` says otherwise.
const DEFAULT_SIZE: u64 = 1 << 30;
/// How often a process that writes looks at the size of the folder: once per this part of the limit.
const SWEEPS_PER_LIMIT: u64 = 16;
/// A sweep leaves this part of the limit free, in percent, so that the next write does not sweep again.
const SLACK: u64 = 10;
/// How exact the order of use is. A file is touched no more often.
const TOUCH: Duration = Duration::from_secs(3600);
/// A file being written that is older than this was left by a process that is gone.
const ABANDONED: Duration = Duration::from_secs(3600);
const SUFFIX: &str = "kernel";

/// What a kernel is compiled from, hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Key([u8; HASH]);

impl Key {
    /// The key of these parts in this order.
    pub(crate) fn of(parts: &[&[u8]]) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("rgpu 2026 compiled kernel");
        for part in parts {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        Self(*hasher.finalize().as_bytes())
    }

    fn file(&self) -> String {
        format!("{}.{SUFFIX}", blake3::Hash::from_bytes(self.0).to_hex())
    }
}

/// A folder of compiled kernels.
#[derive(Debug)]
pub struct Cache {
    folder: PathBuf,
    limit: u64,
    /// Bytes that this process may still write before it looks at the size of the folder.
    until_sweep: AtomicU64,
}

impl Cache {
    /// The user's cache: in `RGPU_CACHE_DIR`, else `rgpu/kernels` in `XDG_CACHE_HOME` or `~/.cache`. None if
    /// `RGPU_CACHE` is `off` or there is no folder that is safe to use.
    pub fn of_user() -> Option<Arc<Self>> {
        static CACHE: OnceLock<Option<Arc<Cache>>> = OnceLock::new();
        CACHE
            .get_or_init(|| Self::from_environment(|name| std::env::var(name).ok()))
            .clone()
    }

    fn from_environment(variable: impl Fn(&str) -> Option<String>) -> Option<Arc<Self>> {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let switch = set("RGPU_CACHE").unwrap_or_default();
        if ["off", "0", "no", "false"].contains(&switch.to_ascii_lowercase().as_str()) {
            return None;
        }
        let folder = match (set("RGPU_CACHE_DIR"), set("XDG_CACHE_HOME"), set("HOME")) {
            (Some(folder), _, _) => PathBuf::from(folder),
            (_, Some(caches), _) => Path::new(&caches).join("rgpu/kernels"),
            (_, _, Some(home)) => Path::new(&home).join(".cache/rgpu/kernels"),
            (None, None, None) => return None,
        };
        let limit = match set("RGPU_CACHE_SIZE") {
            None => DEFAULT_SIZE,
            Some(text) => size::parse(&text).unwrap_or_else(|| {
                tracing::warn!("RGPU_CACHE_SIZE={text} is no size such as 512M or 2G; 1G is used");
                DEFAULT_SIZE
            }),
        };
        match Self::open(&folder, limit) {
            Ok(cache) => Some(Arc::new(cache)),
            Err(why) => {
                let folder = folder.display();
                tracing::warn!("compiled kernels are not kept: {folder}: {why}");
                None
            }
        }
    }

    /// The cache in a folder, which is made if need be.
    ///
    /// # Errors
    /// Says why the folder cannot be used.
    pub fn open(folder: &Path, limit: u64) -> Result<Self, String> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.map_err(|error| error.to_string())?;
        let metadata = std::fs::metadata(folder).map_err(|error| error.to_string())?;
        if !is_ours(&metadata) {
            return Err(
                "it must be yours, and writable by nobody else, since code is run from it"
                    .to_owned(),
            );
        }
        Ok(Self {
            folder: folder.to_owned(),
            limit,
            until_sweep: AtomicU64::new(0),
        })
    }

    /// The value that was stored under a key.
    pub(crate) fn load<T: DeserializeOwned>(&self, key: &Key) -> Option<T> {
        postcard::from_bytes(&self.get(key)?).ok()
    }

    /// Stores a value under a key.
    pub(crate) fn store<T: Serialize>(&self, key: &Key, value: &T) {
        if let Ok(bytes) = postcard::to_stdvec(value) {
            self.put(key, &bytes);
        }
    }

    /// What was stored under a key.
    fn get(&self, key: &Key) -> Option<Vec<u8>> {
        let path = self.folder.join(key.file());
        let mut options = OpenOptions::new();
        let mut file = options
            .read(true)
            .custom_flags(libc::O_NOFOLLOW)
            .open(&path)
            .ok()?;
        let metadata = file.metadata().ok()?;
        if !metadata.is_file() || !is_ours(&metadata) || metadata.len() > MAX_FILE {
            return None;
        }
        let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).ok()?);
        // The file may have grown since.
        Read::by_ref(&mut file)
            .take(MAX_FILE)
            .read_to_end(&mut bytes)
            .ok()?;
        let payload = opened(key, &bytes)?;
        let now = SystemTime::now();
        let age = metadata
            .modified()
            .ok()
            .and_then(|time| now.duration_since(time).ok());
        if age.is_none_or(|age| age > TOUCH) {
            // Only the order in which files are forgotten depends on it.
            let _ = file.set_modified(now);
        }
        Some(payload.to_vec())
    }

    /// Stores under a key. A cache that cannot be written to is not worth failing for.
    fn put(&self, key: &Key, payload: &[u8]) {
        let size = (MAGIC.len() + 2 * HASH + payload.len()) as u64;
        if size > MAX_FILE.min(self.limit) {
            return;
        }
        if let Err(error) = self.write(key, payload) {
            tracing::debug!("a compiled kernel is not kept: {error}");
            return;
        }
        let left = |left: u64| Some(left.saturating_sub(size));
        let before = self
            .until_sweep
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, left);
        if before.is_ok_and(|before| before < size) {
            self.sweep();
        }
    }

    fn write(&self, key: &Key, payload: &[u8]) -> std::io::Result<()> {
        let mut content = blake3::Hasher::new();
        content.update(&key.0).update(payload);
        // Made with mode 600, and removed if it is not renamed.
        let mut file = tempfile::Builder::new()
            .prefix(".new-")
            .tempfile_in(&self.folder)?;
        file.write_all(&MAGIC)?;
        file.write_all(content.finalize().as_bytes())?;
        file.write_all(&key.0)?;
        file.write_all(payload)?;
        file.persist(self.folder.join(key.file()))
            .map_err(|error| error.error)?;
        Ok(())
    }

    /// Removes the files that were not used for the longest time until the rest keeps the limit.
    fn sweep(&self) {
        let limit = self.limit;
        self.until_sweep
            .store((limit / SWEEPS_PER_LIMIT).max(1), Ordering::Relaxed);
        let now = SystemTime::now();
        let mut files = Vec::new();
        let mut total = 0;
        for entry in std::fs::read_dir(&self.folder)
            .into_iter()
            .flatten()
            .flatten()
        {
            let path = entry.path();
            let Ok(metadata) = entry.metadata() else {
                continue;
            };
            let used = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            if path
                .extension()
                .is_some_and(|extension| extension == SUFFIX)
            {
                total += metadata.len();
                files.push((used, metadata.len(), path));
            } else if entry.file_name().to_string_lossy().starts_with(".new-")
                && now.duration_since(used).is_ok_and(|age| age > ABANDONED)
            {
                // Another process may have been quicker.
                let _ = std::fs::remove_file(path);
            }
        }
        if total <= limit {
            return;
        }
        files.sort();
        for (_, size, path) in files {
            if total <= limit - limit / 100 * SLACK {
                break;
            }
            let _ = std::fs::remove_file(path);
            total -= size;
        }
    }
}

/// Whether only this user can have written it.
fn is_ours(metadata: &Metadata) -> bool {
    // SAFETY: a plain system call that cannot fail.
    let user = unsafe { libc::geteuid() };
    metadata.uid() == user && metadata.mode() & 0o022 == 0
}

/// The payload of a file, if it is whole and of this key.
fn opened<'a>(key: &Key, bytes: &'a [u8]) -> Option<&'a [u8]> {
    let rest = bytes.strip_prefix(&MAGIC)?;
    let (hash, content) = rest.split_first_chunk::<HASH>()?;
    if blake3::hash(content) != *hash {
        return None;
    }
    content.strip_prefix(&key.0)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn key(n: u64) -> Key {
        Key::of(&[&n.to_le_bytes()])
    }

    #[test]
    fn parts_are_not_run_together() {
        assert_ne!(Key::of(&[b"ab", b"c"]), Key::of(&[b"a", b"bc"]));
        assert_ne!(Key::of(&[b"ab"]), Key::of(&[b"ab", b""]));
    }

    #[test]
    fn what_is_stored_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(folder.path(), 1 << 20).unwrap();
        assert_eq!(cache.get(&key(1)), None);
        cache.put(&key(1), b"one");
        cache.put(&key(2), b"");
        assert_eq!(cache.get(&key(1)).as_deref(), Some(&b"one"[..]));
        assert_eq!(cache.get(&key(2)).as_deref(), Some(&b""[..]));
        cache.store(&key(3), &("three", 3_u8));
        assert_eq!(cache.load(&key(3)), Some(("three".to_owned(), 3_u8)));
        assert_eq!(cache.load::<(String, u64, u64)>(&key(3)), None);
    }

    #[test]
    fn the_least_used_go_first() {
        const SIZE: usize = 1000;
        let folder = tempfile::tempdir().unwrap();
        let limit = 10 * (SIZE + 72) as u64;
        let cache = Cache::open(folder.path(), limit).unwrap();
        let now = SystemTime::now();
        for n in 0..10 {
            cache.put(&key(n), &[0; SIZE]);
            // Number 0 is the newest, number 9 the oldest.
            let file = std::fs::File::open(folder.path().join(key(n).file())).unwrap();
            file.set_modified(now - Duration::from_secs(100 * TOUCH.as_secs() * (n + 1)))
                .unwrap();
        }
        // To read one is to use it.
        assert!(cache.get(&key(9)).is_some());
        cache.put(&key(10), &[0; SIZE]);
        let left: Vec<u64> = (0..11).filter(|&n| cache.get(&key(n)).is_some()).collect();
        assert_eq!(left, [0, 1, 2, 3, 4, 5, 6, 9, 10]);
    }

    #[test]
    fn what_is_larger_than_the_limit_is_not_kept() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(folder.path(), 100).unwrap();
        cache.put(&key(1), &[0; 100]);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn the_environment_says_where() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().to_str().unwrap();
        let of = |set: &[(&str, &str)]| {
            let find = |name: &str| set.iter().find(|(key, _)| *key == name);
            Cache::from_environment(|name| find(name).map(|(_, value)| value.replace('~', root)))
        };
        let folder_of = |set: &[(&str, &str)]| of(set).map(|cache| cache.folder.clone());
        let under = |path: &str| Some(folder.path().join(path));
        let home = ("HOME", "~/home");
        let caches = ("XDG_CACHE_HOME", "~/caches");
        let own = ("RGPU_CACHE_DIR", "~/own");
        assert_eq!(folder_of(&[home, caches, own]), under("own"));
        assert_eq!(folder_of(&[home, caches]), under("caches/rgpu/kernels"));
        assert_eq!(
            folder_of(&[home, ("XDG_CACHE_HOME", "")]),
            under("home/.cache/rgpu/kernels")
        );
        assert_eq!(folder_of(&[]), None);
        assert_eq!(folder_of(&[own, ("RGPU_CACHE", "off")]), None);
        assert_eq!(of(&[own]).unwrap().limit, DEFAULT_SIZE);
        assert_eq!(
            of(&[own, ("RGPU_CACHE_SIZE", "3M")]).unwrap().limit,
            3 << 20
        );
        assert_eq!(
            of(&[own, ("RGPU_CACHE_SIZE", "much")]).unwrap().limit,
            DEFAULT_SIZE
        );
        let open_to_all = folder.path().join("own");
        std::fs::set_permissions(&open_to_all, std::fs::Permissions::from_mode(0o777)).unwrap();
        assert_eq!(folder_of(&[own]), None);
    }
}
