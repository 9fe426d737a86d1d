//! The key pair of the store: given, or made once and kept in a file that only its owner can read.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// An access key and its secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Credentials {
    /// Names the client.
    pub access_key: String,
    /// Signs its requests.
    pub secret_key: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("access_key", &self.access_key)
            .finish_non_exhaustive()
    }
}

/// Why credentials could not be read or made.
#[derive(Debug, thiserror::Error)]
#[error("credentials in {path}: {message}")]
pub struct CredentialsError {
    path: PathBuf,
    message: String,
}

const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

impl Credentials {
    /// Reads the pair in `path`; makes a random one there if the file does not exist.
    pub fn load_or_create(path: &Path) -> Result<Self, CredentialsError> {
        let failed = |message: String| CredentialsError {
            path: path.to_owned(),
            message,
        };
        match std::fs::read(path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|e| failed(e.to_string())),
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                let made = Self::random().map_err(|e| failed(e.to_string()))?;
                made.write(path).map_err(|e| failed(e.to_string()))?;
                Ok(made)
            }
            Err(e) => Err(failed(e.to_string())),
        }
    }

    fn random() -> io::Result<Self> {
        Ok(Self {
            access_key: random_text(20)?,
            secret_key: random_text(40)?,
        })
    }

    /// A short random name.
    pub(crate) fn random_tag() -> io::Result<String> {
        random_text(12)
    }

    fn write(&self, path: &Path) -> io::Result<()> {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)?;
        file.write_all(&serde_json::to_vec_pretty(self)?)
    }
}

fn random_text(length: usize) -> io::Result<String> {
    let mut bytes = vec![0; length];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes
        .iter()
        .map(|b| char::from(LETTERS[usize::from(b % 32)]))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn made_once_and_private() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("credentials.json");
        let first = Credentials::load_or_create(&path).unwrap();
        assert_eq!((first.access_key.len(), first.secret_key.len()), (20, 40));
        assert_eq!(Credentials::load_or_create(&path).unwrap(), first);
        assert_eq!(
            std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert!(!format!("{first:?}").contains(&first.secret_key));
        std::fs::write(&path, "not json").unwrap();
        assert!(Credentials::load_or_create(&path).is_err());
    }
}
