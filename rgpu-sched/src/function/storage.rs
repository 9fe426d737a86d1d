//! Where a function reads and writes: `bucket/folder` paths and the name filters on them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why a storage path cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// The path is empty.
    #[error("the path is empty: write bucket or bucket/folder")]
    Empty,
    /// The first part is not a bucket name.
    #[error(
        "`{0}` is not a bucket name: 3 to 63 lower-case letters, digits, dots and dashes, starting and ending with a letter or digit"
    )]
    Bucket(String),
    /// A folder that the store cannot hold.
    #[error(
        "the folder in `{0}` may not hold empty parts, `.`, `..`, backslashes or control characters"
    )]
    Folder(String),
}

/// A bucket and the folder in it, `bucket/folder/sub`; the folder may be absent.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StoragePath {
    bucket: String,
    folder: String,
}

impl StoragePath {
    /// Reads `bucket[/folder…]`; slashes at the ends are forgiven.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        let trimmed = text.trim_matches('/');
        if trimmed.is_empty() {
            return Err(PathError::Empty);
        }
        let (bucket, folder) = trimmed.split_once('/').unwrap_or((trimmed, ""));
        if !s3s::path::check_bucket_name(bucket) {
            return Err(PathError::Bucket(bucket.to_owned()));
        }
        let usable = |part: &str| {
            !matches!(part, "" | "." | "..") && !part.chars().any(|c| c.is_control() || c == '\\')
        };
        if !folder.is_empty() && !folder.split('/').all(usable) {
            return Err(PathError::Folder(text.to_owned()));
        }
        Ok(Self {
            bucket: bucket.to_owned(),
            folder: folder.to_owned(),
        })
    }

    /// The bucket.
    #[must_use]
    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    /// The folder, without slashes at its ends; empty for the whole bucket.
    #[must_use]
    pub fn folder(&self) -> &str {
        &self.folder
    }

    /// The key of a file called `name` below this path.
    #[must_use]
    pub fn key_of(&self, name: &str) -> String {
        if self.folder.is_empty() {
            name.to_owned()
        } else {
            format!("{}/{name}", self.folder)
        }
    }

    /// What `key` is called below this path, if it lies there.
    #[must_use]
    pub fn name_of<'a>(&self, bucket: &str, key: &'a str) -> Option<&'a str> {
        if bucket != self.bucket {
            return None;
        }
        if self.folder.is_empty() {
            return Some(key);
        }
        key.strip_prefix(self.folder.as_str())?.strip_prefix('/')
    }

    /// Whether every key below `other` is also below this path.
    #[must_use]
    pub fn contains(&self, other: &Self) -> bool {
        self.bucket == other.bucket
            && (self.folder.is_empty()
                || other.folder == self.folder
                || other
                    .folder
                    .strip_prefix(&self.folder)
                    .is_some_and(|rest| rest.starts_with('/')))
    }
}

impl fmt::Display for StoragePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.bucket)?;
        if !self.folder.is_empty() {
            write!(f, "/{}", self.folder)?;
        }
        Ok(())
    }
}

/// Which names pass: one of the prefixes and one of the suffixes, an empty list passing all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NameFilter {
    /// Accepted beginnings of the name below the path.
    pub prefix: Vec<String>,
    /// Accepted endings.
    pub suffix: Vec<String>,
}

impl NameFilter {
    /// Whether `name`, relative to the path, passes.
    #[must_use]
    pub fn accepts(&self, name: &str) -> bool {
        (self.prefix.is_empty() || self.prefix.iter().any(|p| name.starts_with(p.as_str())))
            && (self.suffix.is_empty() || self.suffix.iter().any(|s| name.ends_with(s.as_str())))
    }
}

/// One entry of `input` or `output`, validated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StorageIo {
    /// Where.
    pub path: StoragePath,
    /// Which names there.
    pub filter: NameFilter,
}

impl StorageIo {
    /// The name below the path if this entry covers the object.
    #[must_use]
    pub fn name_of<'a>(&self, bucket: &str, key: &'a str) -> Option<&'a str> {
        self.path
            .name_of(bucket, key)
            .filter(|name| !name.is_empty() && self.filter.accepts(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_split_at_the_bucket() {
        let p = StoragePath::parse("/studies/in/today/").unwrap();
        assert_eq!((p.bucket(), p.folder()), ("studies", "in/today"));
        assert_eq!(p.key_of("a/b.dcm"), "in/today/a/b.dcm");
        assert_eq!(p.name_of("studies", "in/today/a.dcm"), Some("a.dcm"));
        assert_eq!(p.name_of("studies", "in/todayish/a.dcm"), None);
        assert_eq!(p.name_of("other", "in/today/a.dcm"), None);
        assert_eq!(
            StoragePath::parse("studies")
                .unwrap()
                .name_of("studies", "x/y"),
            Some("x/y")
        );
    }

    #[test]
    fn unusable_paths_are_refused() {
        assert_eq!(StoragePath::parse("//"), Err(PathError::Empty));
        assert!(matches!(
            StoragePath::parse("Upper/in"),
            Err(PathError::Bucket(_))
        ));
        assert!(matches!(
            StoragePath::parse("../in"),
            Err(PathError::Bucket(_))
        ));
        for bad in [
            "bucket/a/../b",
            "bucket/a//b",
            "bucket/./b",
            "bucket/a\\b",
            "bucket/a\nb",
        ] {
            assert!(
                matches!(StoragePath::parse(bad), Err(PathError::Folder(_))),
                "{bad}"
            );
        }
    }

    #[test]
    fn containment_is_by_whole_parts() {
        let p = |t: &str| StoragePath::parse(t).unwrap();
        assert!(p("bucket").contains(&p("bucket/out")));
        assert!(p("bucket/out").contains(&p("bucket/out/x")));
        assert!(!p("bucket/out").contains(&p("bucket/output")));
        assert!(!p("bucket/out").contains(&p("bucket")));
    }

    #[test]
    fn filters_need_one_of_each_list() {
        let f = NameFilter {
            prefix: vec!["a".into(), "b".into()],
            suffix: vec![".png".into()],
        };
        assert!(f.accepts("b1.png"));
        assert!(!f.accepts("c1.png"));
        assert!(!f.accepts("b1.jpg"));
        assert!(NameFilter::default().accepts("anything"));
    }
}
