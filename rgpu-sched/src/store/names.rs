//! Which object keys the folder-backed store can hold. Everything else is refused before a path is made of it,
//! so no key can name a file outside its bucket.

/// Why a key was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum KeyError {
    #[error("the key is empty")]
    Empty,
    #[error("the key is longer than this store can hold")]
    TooLong,
    #[error(
        "keys may not start with a slash, nor hold `//`, `.` or `..` as a part, or a zero byte"
    )]
    Parts,
}

/// S3's own limit.
const MAX_KEY: usize = 1024;
/// The file system's limit on one name.
const MAX_NAME: usize = 255;
/// Length of what s3s-fs puts around the encoded bucket and key in the name of a side file:
/// `.bucket-` + `.object-` + `.metadata.json`.
const SIDE_FILE: usize = 30;
/// What an upload in parts adds to that: `.upload-` and a UUID.
const UPLOAD: usize = 44;

/// How an object is about to be written or read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    Whole,
    InParts,
}

/// Checks that `key` can be an object of `bucket`.
pub(crate) fn check_key(bucket: &str, key: &str, access: Access) -> Result<(), KeyError> {
    if key.is_empty() {
        return Err(KeyError::Empty);
    }
    let parts = key.strip_suffix('/').unwrap_or(key);
    if parts.split('/').any(|p| matches!(p, "" | "." | "..")) || key.contains('\0') {
        return Err(KeyError::Parts);
    }
    let extra = if access == Access::InParts { UPLOAD } else { 0 };
    let side_file = SIDE_FILE + extra + base64_len(bucket) + base64_len(key);
    if key.len() > MAX_KEY || side_file > MAX_NAME || parts.split('/').any(|p| p.len() > MAX_NAME) {
        return Err(KeyError::TooLong);
    }
    Ok(())
}

/// Length of the unpadded base64 form.
fn base64_len(text: &str) -> usize {
    (text.len() * 4).div_ceil(3)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::{Component, Path};

    use proptest::prelude::*;

    #[test]
    fn refuses_what_could_leave_the_bucket() {
        for key in [
            "../x",
            "a/../../x",
            "..",
            ".",
            "a/./b",
            "/etc/passwd",
            "a//b",
            "//",
            "/",
            "a/..",
            "a\0b",
        ] {
            assert_eq!(
                check_key("bucket", key, Access::Whole),
                Err(KeyError::Parts),
                "{key:?}"
            );
        }
        assert_eq!(check_key("bucket", "", Access::Whole), Err(KeyError::Empty));
        for key in ["a", "a/b.txt", "a/", "..a/b..", "a b/ü", "a\\..\\b"] {
            assert_eq!(check_key("bucket", key, Access::Whole), Ok(()), "{key:?}");
        }
    }

    #[test]
    fn refuses_what_the_side_files_cannot_be_named_after() {
        let longest = |access| {
            (1..300)
                .take_while(|n| check_key("echo", &"k".repeat(*n), access).is_ok())
                .count()
        };
        assert_eq!(longest(Access::Whole), 164);
        assert_eq!(longest(Access::InParts), 131);
    }

    proptest! {
        #[test]
        fn an_accepted_key_stays_below_its_bucket(key in "[./a\\\\\0ü-]{0,20}") {
            if check_key("bucket", &key, Access::Whole).is_ok() {
                let path = Path::new(&key);
                prop_assert!(path.components().all(|c| matches!(c, Component::Normal(_))));
            }
        }
    }
}
