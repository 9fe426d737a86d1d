//! The module store: images by content, shared by all workers of a server.
//!
//! A file's name is the BLAKE3 hash of its bytes, so a file is either right or refused; writing goes to a
//! temporary name first, so that a reader never sees half an image.

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

/// Images in a folder.
#[derive(Debug, Clone)]
pub struct Store {
    folder: PathBuf,
}

/// BLAKE3 hash of an image.
pub type Hash = [u8; 32];

impl Store {
    /// The store in `folder`, which is made where it does not exist.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub fn open(folder: PathBuf) -> io::Result<Self> {
        fs::create_dir_all(&folder)?;
        Ok(Self { folder })
    }

    fn path(&self, hash: &Hash) -> PathBuf {
        self.folder.join(hex::encode(hash))
    }

    /// The image, or `None` where the store does not hold it (or holds damaged bytes).
    ///
    /// # Errors
    /// The file exists and cannot be read.
    pub fn get(&self, hash: &Hash) -> io::Result<Option<Vec<u8>>> {
        match fs::read(self.path(hash)) {
            Ok(image) if blake3::hash(&image).as_bytes() == hash => Ok(Some(image)),
            Ok(_) => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Keeps an image.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidData`] where the bytes do not have this hash; else what the file system says.
    pub fn put(&self, hash: &Hash, image: &[u8]) -> io::Result<()> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        if blake3::hash(image).as_bytes() != hash {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "image does not have its hash",
            ));
        }
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let temporary = self
            .folder
            .join(format!(".{}-{number}", std::process::id()));
        let mut file = fs::File::create_new(&temporary)?;
        let written = file
            .write_all(image)
            .and_then(|()| fs::rename(&temporary, self.path(hash)));
        if written.is_err() {
            // The first error is the one to tell.
            let _ = fs::remove_file(&temporary);
        }
        written
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().expect("folder");
        let store = Store::open(folder.path().join("modules")).expect("store");
        (folder, store)
    }

    #[test]
    fn an_image_is_found_by_its_content() {
        let (_folder, store) = store();
        let hash = *blake3::hash(b"ptx").as_bytes();
        assert_eq!(store.get(&hash).expect("get"), None);
        store.put(&hash, b"ptx").expect("put");
        store.put(&hash, b"ptx").expect("twice");
        assert_eq!(
            store.get(&hash).expect("get").as_deref(),
            Some(b"ptx".as_slice())
        );
    }

    #[test]
    fn bytes_with_another_hash_are_refused() {
        let (_folder, store) = store();
        let error = store.put(&[0; 32], b"ptx").expect_err("wrong hash");
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn a_damaged_file_is_not_served() {
        let (folder, store) = store();
        let hash = *blake3::hash(b"ptx").as_bytes();
        store.put(&hash, b"ptx").expect("put");
        fs::write(
            folder.path().join("modules").join(hex::encode(hash)),
            b"xtp",
        )
        .expect("damage");
        assert_eq!(store.get(&hash).expect("get"), None);
    }
}
