//! One CUDA program: its source, what its head says, and what it must print.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::process::{Output, status_text};

/// What nvcc gets unless the program says otherwise: PTX for the oldest architecture of CUDA 13.
const DEFAULT_NVCC: &str = "-gencode arch=compute_75,code=compute_75";

/// A program of tests/conformance.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    /// File name without its ending.
    pub name: String,
    /// The source.
    pub source: PathBuf,
    /// Further sources, which it is linked with.
    pub with: Vec<PathBuf>,
    /// Arguments of the compiler.
    pub nvcc: Vec<String>,
    /// What must come.
    pub expected: Expected,
}

/// What a run must give.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Expected {
    pub stdout: String,
    pub exit: i32,
    pub stderr: Vec<String>,
    pub any_order: bool,
    /// How many devices it needs. A session has one, so more are had on the software GPU only.
    pub devices: Option<u32>,
}

impl Program {
    /// All programs of the folder whose name holds one of the filters.
    pub(crate) fn find(folder: &Path, filters: &[String]) -> Result<Vec<Self>> {
        let entries = std::fs::read_dir(folder)
            .with_context(|| format!("cannot read {}", folder.display()))?;
        let mut sources: Vec<PathBuf> = entries.flatten().map(|e| e.path()).collect();
        sources.retain(|p| p.extension().is_some_and(|e| e == "cu"));
        sources.sort();
        let mut programs = Vec::new();
        for source in sources {
            let name = source
                .file_stem()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            programs.extend(Self::read(name, source)?);
        }
        if !filters.is_empty() {
            programs.retain(|p| filters.iter().any(|f| p.name.contains(f.as_str())));
        }
        if programs.is_empty() {
            bail!(
                "no program in {} has a name with {}",
                folder.display(),
                filters.join(" or ")
            );
        }
        Ok(programs)
    }

    /// The program, and the same for the other architectures that its head names.
    fn read(name: String, source: PathBuf) -> Result<Vec<Self>> {
        let text = std::fs::read_to_string(&source)
            .with_context(|| format!("cannot read {}", source.display()))?;
        let answer = source.with_extension("expected");
        let stdout = std::fs::read_to_string(&answer).with_context(|| {
            format!(
                "{name} has no expected output: cannot read {}",
                answer.display()
            )
        })?;
        let mut head =
            Head::parse(&text).with_context(|| format!("head of {}", source.display()))?;
        head.expected.stdout = stdout;
        let program = Self {
            name,
            with: head.with.iter().map(|f| source.with_file_name(f)).collect(),
            source,
            nvcc: head.nvcc,
            expected: head.expected,
        };
        let for_others = head.also.iter().map(|arch| Self {
            name: format!("{}-{arch}", program.name),
            nvcc: words(&format!("-gencode arch={arch},code={arch}")),
            ..program.clone()
        });
        Ok(std::iter::once(program.clone()).chain(for_others).collect())
    }
}

/// What the first comment lines of a program say.
#[derive(Debug, PartialEq, Eq)]
struct Head {
    nvcc: Vec<String>,
    also: Vec<String>,
    with: Vec<String>,
    expected: Expected,
}

impl Head {
    fn parse(text: &str) -> Result<Self> {
        let mut head = Self {
            nvcc: words(DEFAULT_NVCC),
            also: Vec::new(),
            with: Vec::new(),
            expected: Expected::default(),
        };
        for line in text.lines().take_while(|l| l.starts_with("//")) {
            if let Some(options) = line.strip_prefix("// nvcc:") {
                head.nvcc = words(options);
            } else if let Some(architectures) = line.strip_prefix("// also:") {
                head.also = words(architectures);
            } else if let Some(files) = line.strip_prefix("// with:") {
                head.with = words(files);
            } else if let Some(what) = line.strip_prefix("// needs:") {
                head.expected.need(what.trim())?;
            } else if let Some(what) = line.strip_prefix("// expect:") {
                head.expected.expect(what.trim())?;
            }
        }
        if !head.also.is_empty() && head.nvcc != words(DEFAULT_NVCC) {
            bail!("`also` replaces the options of `nvcc`: a program has one of them");
        }
        Ok(head)
    }
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

impl Expected {
    fn expect(&mut self, what: &str) -> Result<()> {
        match what.split_once('=') {
            Some(("exit", code)) => self.exit = code.parse().context("exit status")?,
            Some(("stderr", text)) => self.stderr.push(text.to_owned()),
            Some(("lines", "any-order")) => self.any_order = true,
            _ => bail!("unknown expectation `{what}`: exit=N, stderr=TEXT or lines=any-order"),
        }
        Ok(())
    }

    fn need(&mut self, what: &str) -> Result<()> {
        match what.split_once('=') {
            Some(("devices", count)) => {
                self.devices = Some(count.parse().context("number of devices")?);
            }
            _ => bail!("unknown need `{what}`: devices=N"),
        }
        Ok(())
    }

    /// What is wrong with a run; empty if nothing is.
    pub(crate) fn complaints(&self, output: &Output) -> Vec<String> {
        let mut all = Vec::new();
        if output.status.is_none() {
            all.push("did not end in time".to_owned());
        } else if output.status.and_then(|s| s.code()) != Some(self.exit) {
            all.push(format!(
                "{}, expected exit status {}",
                status_text(output.status),
                self.exit
            ));
        }
        if let Some(difference) = difference(&self.stdout, &output.stdout, self.any_order) {
            all.push(difference);
        }
        for text in self
            .stderr
            .iter()
            .filter(|t| !output.stderr.contains(t.as_str()))
        {
            all.push(format!("stderr lacks `{text}`"));
        }
        all
    }
}

/// The first places where two texts differ, line by line.
fn difference(want: &str, got: &str, any_order: bool) -> Option<String> {
    const SHOWN: usize = 6;
    let (mut want, mut got): (Vec<&str>, Vec<&str>) =
        (want.lines().collect(), got.lines().collect());
    if any_order {
        want.sort_unstable();
        got.sort_unstable();
    }
    if want == got {
        return None;
    }
    let lines = (0..want.len().max(got.len())).filter(|&i| want.get(i) != got.get(i));
    let mut text = String::from("stdout differs:");
    for i in lines.clone().take(SHOWN) {
        if let Some(line) = want.get(i) {
            text.push_str(&format!("\n  line {}: want {line}", i + 1));
        }
        if let Some(line) = got.get(i) {
            text.push_str(&format!("\n  line {}: got  {line}", i + 1));
        }
    }
    let more = lines.count().saturating_sub(SHOWN);
    if more > 0 {
        text.push_str(&format!("\n  and {more} more lines"));
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_says_what_to_expect() {
        let text = "// A program.\n// expect: exit=3\n// expect: stderr=a=b\n// nvcc: -O0 -arch=sm_80\nint x; // expect: exit=9";
        let head = Head::parse(text).unwrap();
        assert_eq!(head.nvcc, ["-O0", "-arch=sm_80"]);
        assert_eq!(
            head.expected,
            Expected {
                exit: 3,
                stderr: vec!["a=b".into()],
                ..Expected::default()
            }
        );
        assert_eq!(Head::parse("// nvcc:\n").unwrap().nvcc.len(), 0);
        assert!(Head::parse("// expect: exti=3\n").is_err());
        let head = Head::parse("// also: compute_80 compute_90\n// with: a/b.cu\n").unwrap();
        assert_eq!(head.also, ["compute_80", "compute_90"]);
        assert_eq!(head.with, ["a/b.cu"]);
        assert!(Head::parse("// nvcc: -O0\n// also: compute_80\n").is_err());
        let head = Head::parse("// needs: devices=2\n").unwrap();
        assert_eq!(head.expected.devices, Some(2));
        assert!(Head::parse("// needs: luck\n").is_err());
    }

    #[test]
    fn differences_are_shown_by_line() {
        assert_eq!(difference("a\nb\n", "a\nb\n", false), None);
        assert_eq!(difference("a\nb\n", "b\na\n", true), None);
        let text = difference("a\nb\n", "a\nc\nd\n", false).unwrap();
        assert!(
            text.contains("line 2: want b")
                && text.contains("line 2: got  c")
                && text.contains("line 3: got  d")
        );
    }

    #[test]
    fn every_program_has_a_head_that_can_be_read() {
        let folder = crate::paths::root().join("tests/conformance");
        assert!(Program::find(&folder, &[]).unwrap().len() >= 30);
        assert!(Program::find(&folder, &["no such program".into()]).is_err());
    }
}
