//! The list of tests that fail, with the reason of each.
//!
//! ```text
//! # A comment.
//! [reason of what follows]
//! cudadrv/test_ipc.py::*
//! tcp: cudadrv/test_x.py::TestX::test_y       on this path only
//! ```

use std::path::Path;

use anyhow::{Context, Result, bail};

use super::record::Record;

/// An entry of the list.
#[derive(Debug)]
struct Entry {
    reason: String,
    /// The path on which it fails; on all, if not given.
    mode: Option<String>,
    /// Names of tests, where `*` stands for anything.
    pattern: String,
}

impl Entry {
    fn holds(&self, mode: &str, name: &str) -> bool {
        self.mode.as_deref().is_none_or(|own| own == mode) && matches(&self.pattern, name)
    }

    fn shown(&self) -> String {
        match &self.mode {
            Some(mode) => format!("{mode}: {}", self.pattern),
            None => self.pattern.clone(),
        }
    }
}

/// The list.
#[derive(Debug)]
pub(super) struct Known {
    entries: Vec<Entry>,
}

impl Known {
    pub(super) fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        Self::parse(&text).with_context(|| path.display().to_string())
    }

    fn parse(text: &str) -> Result<Self> {
        let mut entries = Vec::new();
        let mut reason = None;
        for line in text.lines().map(str::trim) {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if let Some(heading) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
                reason = Some(heading.to_owned());
                continue;
            }
            let Some(reason) = reason.clone() else {
                bail!("{line} has no reason");
            };
            let (mode, pattern) = match line.split_once(": ") {
                Some((mode, pattern)) => (Some(mode.to_owned()), pattern),
                None => (None, line),
            };
            let pattern = pattern.trim().to_owned();
            entries.push(Entry {
                reason,
                mode,
                pattern,
            });
        }
        Ok(Self { entries })
    }

    /// Why a test fails, if that is known.
    pub(super) fn reason(&self, mode: &str, name: &str) -> Option<&str> {
        let mut entries = self.entries.iter();
        let found = entries.find(|entry| entry.holds(mode, name));
        found.map(|entry| entry.reason.as_str())
    }

    /// Entries of the paths that were run, of which no test failed.
    pub(super) fn outdated(&self, runs: &[(&str, &Record)]) -> Vec<String> {
        let fails = |entry: &&Entry| {
            let is_run =
                |(mode, _): &(&str, &Record)| entry.mode.as_deref().is_none_or(|own| own == *mode);
            let mut failed = runs
                .iter()
                .flat_map(|(mode, record)| record.failed().map(move |test| (*mode, test)));
            runs.iter().any(is_run) && !failed.any(|(mode, test)| entry.holds(mode, &test.name))
        };
        let outdated = self.entries.iter().filter(fails);
        outdated.map(Entry::shown).collect()
    }
}

/// Whether `name` is like `pattern`, where `*` stands for anything.
fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((front, rest)) => name.strip_prefix(front).is_some_and(|name| {
            let mut ends = name.char_indices().map(|(at, _)| at).chain([name.len()]);
            ends.any(|at| matches(rest, &name[at..]))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_anything() {
        for (pattern, name, like) in [
            ("a/b.py::T::t", "a/b.py::T::t", true),
            ("a/b.py::T::t", "a/b.py::T::tt", false),
            ("a/b.py::*", "a/b.py::T::t", true),
            ("*::T::*", "a/b.py::T::t", true),
            ("a/*::t", "a/b.py::t::t", true),
            ("a/*::t", "a/b.py::t::u", false),
            ("b/*", "a/b.py", false),
        ] {
            assert_eq!(matches(pattern, name), like, "{pattern} {name}");
        }
    }

    #[test]
    fn reasons_hold_for_what_follows() {
        let text = "# list\n[no such thing]\na::*\ntcp: b::x\n\n[other]\nb::*\n";
        let known = Known::parse(text).unwrap();
        assert_eq!(known.reason("tcp", "a::x"), Some("no such thing"));
        assert_eq!(known.reason("tcp", "b::x"), Some("no such thing"));
        assert_eq!(known.reason("local", "b::x"), Some("other"));
        assert_eq!(known.reason("local", "c::x"), None);
        assert!(Known::parse("a::*").is_err());
    }

    #[test]
    fn what_fails_no_more_is_noticed() {
        let known = Known::parse("[r]\na::*\ntcp: b::x\n").unwrap();
        let line = |name: &str| {
            format!("{{\"test\": \"{name}\", \"outcome\": \"failed\", \"why\": \"\"}}")
        };
        let record = Record::parse(&line("a::x")).unwrap();
        assert_eq!(known.outdated(&[("local", &record)]), Vec::<String>::new());
        assert_eq!(known.outdated(&[("tcp", &record)]), ["tcp: b::x"]);
    }
}
