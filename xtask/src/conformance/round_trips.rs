//! The committed table of round trips: how often each call of each program waits for an answer of the server. A call that
//! begins to wait, or waits more often, fails the test. What a program waits for is taken from a recording
//! (`RGPU_TRACE`), which is there even where the program is killed.
//!
//! Loading a module is left out: it depends on whether the server has seen the module before.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rgpu_trace::{Kind, read};

use crate::paths;

/// Operations that are not counted.
const LEFT_OUT: [&str; 2] = ["MODULE_LOAD", "MODULE_UPLOAD"];

/// What a line says instead of numbers, with the reason behind it.
const VARIES: &str = "varies";

/// How often which call waits.
pub(crate) type Trips = BTreeMap<String, u64>;

/// What the table says of a program.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Line {
    Exactly(Trips),
    /// Differs from run to run, for this reason.
    Varies(String),
}

/// The table.
#[derive(Debug, Default)]
pub(crate) struct Table(BTreeMap<String, Line>);

/// Where it is.
fn file() -> PathBuf {
    paths::root().join("tests/conformance/round_trips.txt")
}

const HEAD: &str = "\
# Round trips of each program, by the call that waits; loading modules is not counted. `cargo xtask conformance --round-trips` checks
# this over tcp, and writes it anew with --write-round-trips. A line `NAME: varies, REASON` is kept and not checked.
";

impl Table {
    pub(crate) fn read() -> Result<Self> {
        let text = std::fs::read_to_string(file()).unwrap_or_default();
        Self::parse(&text)
    }

    fn parse(text: &str) -> Result<Self> {
        let mut table = Self::default();
        for line in text
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
        {
            let (name, what) = line
                .split_once(": ")
                .with_context(|| format!("round trips: {line}"))?;
            let line = match what.strip_prefix(VARIES) {
                Some(reason) => Line::Varies(reason.trim_start_matches(',').trim().to_owned()),
                None => Line::Exactly(parse_trips(what)?),
            };
            table.0.insert(name.to_owned(), line);
        }
        Ok(table)
    }

    fn text(&self) -> String {
        let mut text = HEAD.to_owned();
        for (name, line) in &self.0 {
            let what = match line {
                Line::Exactly(trips) => shown(trips),
                Line::Varies(reason) => format!("{VARIES}, {reason}"),
            };
            let _ = writeln!(text, "{name}: {what}");
        }
        text
    }

    /// What is wrong with the round trips of a program; nothing if they are as the table says.
    pub(crate) fn complaint(&self, program: &str, trips: &Trips) -> Option<String> {
        let expected = match self.0.get(program) {
            Some(Line::Varies(_)) => return None,
            Some(Line::Exactly(expected)) if expected == trips => return None,
            Some(Line::Exactly(expected)) => expected,
            None => return Some(format!("has no line in {}", paths::shown(&file()))),
        };
        let names: std::collections::BTreeSet<&String> =
            expected.keys().chain(trips.keys()).collect();
        let count = |of: &Trips, name: &String| of.get(name).copied().unwrap_or(0);
        let differences = names.into_iter().filter_map(|name| {
            let (now, then) = (count(trips, name), count(expected, name));
            (now != then).then(|| format!("{name} waits {now} times, not {then}"))
        });
        let differences: Vec<String> = differences.collect();
        Some(format!(
            "round trips: {} ({}; if that must be, --write-round-trips)",
            differences.join(", "),
            paths::shown(&file())
        ))
    }

    /// Takes what was counted over. A program whose runs differ gets a line that says so.
    pub(crate) fn take(&mut self, program: &str, runs: &[Trips]) {
        let Some(first) = runs.first() else { return };
        if matches!(self.0.get(program), Some(Line::Varies(_))) {
            return;
        }
        let line = if runs.iter().all(|trips| trips == first) {
            Line::Exactly(first.clone())
        } else {
            let all: Vec<String> = runs.iter().map(shown).collect();
            Line::Varies(format!("say why: {}", all.join(" or ")))
        };
        self.0.insert(program.to_owned(), line);
    }

    pub(crate) fn write(&self) -> Result<()> {
        std::fs::write(file(), self.text()).context("cannot write the round trips")
    }
}

fn shown(trips: &Trips) -> String {
    if trips.is_empty() {
        return "none".to_owned();
    }
    let each: Vec<String> = trips
        .iter()
        .map(|(name, count)| format!("{name} {count}"))
        .collect();
    each.join(", ")
}

fn parse_trips(text: &str) -> Result<Trips> {
    if text == "none" {
        return Ok(Trips::new());
    }
    let each = text.split(", ").map(|one| {
        let (name, count) = one
            .split_once(' ')
            .with_context(|| format!("round trips: {one}"))?;
        Ok((
            name.to_owned(),
            count
                .parse()
                .with_context(|| format!("round trips: {one}"))?,
        ))
    });
    each.collect()
}

/// Round trips of all recordings in `folder`.
pub(crate) fn counted(folder: &Path) -> Result<Trips> {
    let mut trips = Trips::new();
    for entry in folder.read_dir()? {
        let recorded = read::file(&entry?.path()).context("a recording")?;
        let left_out = |op: u16| {
            recorded
                .operations
                .get(&op)
                .is_some_and(|name| LEFT_OUT.contains(&name.as_str()))
        };
        let waits = recorded
            .events
            .values()
            .flatten()
            .filter(|event| event.kind == Kind::Wait);
        for wait in waits.filter(|wait| !left_out(wait.op)) {
            *trips
                .entry(recorded.call(wait.call).to_owned())
                .or_default() += 1;
        }
    }
    Ok(trips)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trips(of: &[(&str, u64)]) -> Trips {
        of.iter()
            .map(|(name, count)| ((*name).to_owned(), *count))
            .collect()
    }

    #[test]
    fn the_table_is_read_as_it_is_written() {
        let mut table = Table::default();
        table.take("a", &[trips(&[]), trips(&[])]);
        table.take("b", &[trips(&[("cuX", 1), ("cuY", 20)])]);
        table.take("c", &[trips(&[]), trips(&[("cuX", 1)])]);
        let text = table.text();
        assert!(
            text.ends_with("\na: none\nb: cuX 1, cuY 20\nc: varies, say why: none or cuX 1\n"),
            "{text}"
        );
        assert_eq!(Table::parse(&text).unwrap().0, table.0);
        assert!(Table::parse("a cuX 1\n").is_err() && Table::parse("a: cuX one\n").is_err());
    }

    #[test]
    fn a_new_round_trip_is_named() {
        let table = Table::parse("p: cuX 1, cuY 2\nq: varies, it polls\n").unwrap();
        assert_eq!(
            table.complaint("p", &trips(&[("cuX", 1), ("cuY", 2)])),
            None
        );
        let complaint = table
            .complaint("p", &trips(&[("cuY", 3), ("cuZ", 1)]))
            .unwrap();
        for part in [
            "cuX waits 0 times, not 1",
            "cuY waits 3 times, not 2",
            "cuZ waits 1 times, not 0",
        ] {
            assert!(complaint.contains(part), "{complaint}");
        }
        assert_eq!(table.complaint("q", &trips(&[("cuX", 9)])), None);
        assert!(
            table
                .complaint("new", &trips(&[]))
                .unwrap()
                .contains("no line")
        );
    }

    #[test]
    fn every_program_has_a_line() {
        let folder = paths::root().join("tests/conformance");
        let table = Table::read().unwrap();
        let programs = crate::conformance::Program::find(&folder, &[]).unwrap();
        // Programs that need several devices do not run through a server.
        let programs = programs
            .iter()
            .filter(|program| program.expected.devices.is_none());
        let names: Vec<&str> = programs.map(|program| program.name.as_str()).collect();
        let lines: Vec<&str> = table.0.keys().map(String::as_str).collect();
        let missing: Vec<_> = names.iter().filter(|name| !lines.contains(name)).collect();
        let extra: Vec<_> = lines.iter().filter(|line| !names.contains(line)).collect();
        assert!(
            missing.is_empty() && extra.is_empty(),
            "missing {missing:?}, of no program {extra:?}"
        );
        for (name, line) in &table.0 {
            assert!(
                !matches!(line, Line::Varies(reason) if reason.starts_with("say why")),
                "{name}: say why"
            );
        }
    }
}
