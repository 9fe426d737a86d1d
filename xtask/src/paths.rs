//! Where things lie in the checkout.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The root of the checkout.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap_or_else(|| Path::new("."))
}

/// Cargo's target folder.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| root().join("target"), |dir| root().join(dir))
}

/// What xtask installs and makes.
pub(crate) fn work() -> PathBuf {
    target().join("xtask")
}

/// What is too large to be fetched for each checkout: `rgpu` in the user's folder of caches.
pub(crate) fn cache() -> PathBuf {
    cache_in(|name| std::env::var_os(name))
}

fn cache_in(variable: impl Fn(&str) -> Option<OsString>) -> PathBuf {
    let set = |name| variable(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    set("XDG_CACHE_HOME")
        .or_else(|| Some(set("HOME")?.join(".cache")))
        .map_or_else(work, |caches| caches.join("rgpu"))
}

/// A path as people read it: relative to the checkout where it lies inside.
pub(crate) fn shown(path: &Path) -> String {
    path.strip_prefix(root())
        .unwrap_or(path)
        .display()
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_is_where_the_user_wants_it() {
        let with = |variables: &[(&str, &str)]| {
            cache_in(|name| {
                let found = variables.iter().find(|(n, _)| *n == name);
                found.map(|(_, value)| OsString::from(value))
            })
        };
        assert_eq!(
            with(&[("XDG_CACHE_HOME", "/caches"), ("HOME", "/home/me")]),
            Path::new("/caches/rgpu")
        );
        assert_eq!(
            with(&[("XDG_CACHE_HOME", ""), ("HOME", "/home/me")]),
            Path::new("/home/me/.cache/rgpu")
        );
        assert_eq!(with(&[]), work());
    }
}
