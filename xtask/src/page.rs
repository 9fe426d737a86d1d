//! Runs the commands of docs/ci-without-gpu.md and compares what they print with what the page says.
//!
//! Commands are the lines `$ …` of blocks of `console`; the lines up to the next are what comes, `…` being any text, and
//! a line `…` any lines. All of them run in one shell, in a folder that holds a link to this checkout in place of a clone,
//! and the compiler that an earlier run has installed there.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::dist::{self, Profile};
use crate::toolchain::Cuda;
use crate::{paths, process};

const PAGE: &str = "docs/ci-without-gpu.md";
const EXAMPLE: &str = "examples/unit-tests";
const LIMIT: Duration = Duration::from_secs(900);
/// Starts a line that ends a command's output; then its exit status follows.
const END: &str = "---- ended with ";

/// A command, and the lines that it must print.
#[derive(Debug, PartialEq, Eq)]
struct Shown<'a> {
    command: &'a str,
    lines: Vec<&'a str>,
}

/// Runs the page.
pub(crate) fn run() -> Result<()> {
    let page = std::fs::read_to_string(paths::root().join(PAGE))?;
    let wanted = Cuda::requirement();
    ensure!(page.contains(wanted), "{PAGE} does not install {wanted}");
    dist::build(Profile::Release)?;
    let folder = paths::work().join("page");
    clear(&folder)?;
    symlink(paths::root(), folder.join("rgpu"))?;
    for file in std::fs::read_dir(paths::root().join(EXAMPLE))? {
        let file = file?;
        std::fs::copy(file.path(), folder.join(file.file_name()))?;
    }
    let all = commands(&page);
    let script: String = all
        .iter()
        .map(|shown| format!("{}\necho \"{END}$?\"\n", shown.command))
        .collect();
    let mut bash = Command::new("bash");
    bash.current_dir(&folder)
        .arg("-c")
        .arg(format!("exec 2>&1\n{script}"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("RGPU_") {
            bash.env_remove(name);
        }
    }
    let output = process::capture(&mut bash, LIMIT)?;
    check(&all, &output.stdout)
}

/// Leaves nothing in the folder but the compiler.
fn clear(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let is_folder = entry.file_type()?.is_dir();
        if is_folder && entry.file_name() == "venv" {
            continue;
        }
        if is_folder {
            std::fs::remove_dir_all(entry.path())?;
        } else {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// The commands of the page's blocks of `console`.
fn commands(page: &str) -> Vec<Shown<'_>> {
    let mut all: Vec<Shown<'_>> = Vec::new();
    for line in blocks(page, "console").into_iter().flat_map(str::lines) {
        match (line.strip_prefix("$ "), all.last_mut()) {
            (Some(command), _) => all.push(Shown {
                command,
                lines: Vec::new(),
            }),
            (None, Some(shown)) => shown.lines.push(line),
            (None, None) => {}
        }
    }
    all
}

/// The texts of the page's blocks of this language.
fn blocks<'a>(page: &'a str, language: &str) -> Vec<&'a str> {
    let fenced = page.split("```").skip(1).step_by(2);
    fenced
        .filter_map(|block| block.strip_prefix(language)?.strip_prefix('\n'))
        .collect()
}

fn check(all: &[Shown<'_>], output: &str) -> Result<()> {
    let mut lines = output.lines();
    for shown in all {
        let mut got = Vec::new();
        let status = loop {
            let line = lines
                .next()
                .with_context(|| format!("`{}` did not end; it printed {got:#?}", shown.command))?;
            match line.strip_prefix(END) {
                Some(status) => break status,
                None => got.push(line),
            }
        };
        if status != "0" || !fits(&shown.lines, &got) {
            bail!(
                "`{}` ended with {status} and printed\n{}\nbut {PAGE} says\n{}",
                shown.command,
                got.join("\n"),
                shown.lines.join("\n")
            );
        }
    }
    Ok(())
}

/// Whether lines are as the page has them.
fn fits(page: &[&str], got: &[&str]) -> bool {
    match (page, got) {
        ([], []) => true,
        (["…", rest @ ..], _) => (0..=got.len()).any(|skipped| fits(rest, &got[skipped..])),
        ([want, page @ ..], [have, got @ ..]) => line_fits(want, have) && fits(page, got),
        _ => false,
    }
}

/// Whether a line is as the page has it, `…` being any text.
fn line_fits(want: &str, have: &str) -> bool {
    match want.split_once('…') {
        None => want == have,
        Some((start, rest)) => have.strip_prefix(start).is_some_and(|tail| {
            let places = tail.char_indices().map(|(at, _)| at).chain([tail.len()]);
            places.into_iter().any(|at| line_fits(rest, &tail[at..]))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_have_their_output() {
        let page = "```console\n$ a\nx\ny\n$ b\n```\n```yaml\n$ c\n```\n```console\n$ d\n```\n";
        let shown = |command, lines: &[&'static str]| Shown {
            command,
            lines: lines.to_vec(),
        };
        let all = commands(page);
        assert_eq!(
            all,
            [shown("a", &["x", "y"]), shown("b", &[]), shown("d", &[])]
        );
        let good = format!("x\ny\n{END}0\n{END}0\n{END}0\n");
        assert!(check(&all, &good).is_ok());
        assert!(check(&all, &good.replacen("0", "1", 1)).is_err());
        assert!(check(&all, &good.replace('y', "z")).is_err());
        assert!(check(&all, &format!("x\ny\n{END}0\n")).is_err());
    }

    #[test]
    fn dots_stand_for_anything() {
        assert!(line_fits("a … c…", "a bb cd") && line_fits("…", "") && line_fits("…é…", "aéb"));
        assert!(!line_fits("a … c", "a b d") && !line_fits("a", "ab") && !line_fits("b…", "ab"));
        assert!(fits(&["a", "…", "b"], &["a", "x", "y", "b"]) && fits(&["…"], &[]));
        assert!(!fits(&["a", "…", "b"], &["a", "x"]) && !fits(&["a"], &["a", "b"]));
    }

    /// What runs on a CI service is what ran here.
    #[test]
    fn snippets_hold_the_commands() {
        let page = std::fs::read_to_string(paths::root().join(PAGE)).unwrap();
        let (block, _) = page.split_once("\n```\n").unwrap();
        let five = commands(block);
        let five: Vec<&str> = five.iter().map(|shown| shown.command).collect();
        assert_eq!(five.len(), 5);
        let snippets = blocks(&page, "yaml");
        assert_eq!(snippets.len(), 2);
        for snippet in snippets {
            let script = snippet.split_once("|\n").unwrap().1;
            let lines: Vec<&str> = script.lines().map(str::trim).collect();
            assert_eq!(lines, five);
        }
    }
}
