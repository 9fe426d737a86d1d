//! Which forms of PTX there are, and which of them a file test runs.
//!
//! A form counts as run when an instruction that shows it stands in a kernel that a `run` line launches, or in a
//! function which that kernel calls.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;

use anyhow::{Context, Result};
use rgpu_ptx::ast::{CallTarget, FuncId, FunctionKind, Operand, Statement, StatementKind};
use rgpu_ptx::instr_table::{self, Row};
use rgpu_ptx::types::SpecialReg;
use rgpu_ptx::{Module, forms};

use super::Page;

/// What the file tests run.
#[derive(Default)]
pub(super) struct Tested {
    forms: BTreeSet<String>,
    specials: BTreeSet<SpecialReg>,
}

impl Tested {
    /// Reads every file of a folder.
    pub(super) fn read(folder: &Path) -> Result<Self> {
        let mut tested = Self::default();
        let mut paths: Vec<_> = std::fs::read_dir(folder)
            .with_context(|| format!("cannot read {}", folder.display()))?
            .map(|entry| Ok(entry?.path()))
            .collect::<Result<_>>()?;
        paths.retain(|path| path.extension().is_some_and(|ext| ext == "ptx"));
        for path in paths {
            let text = std::fs::read_to_string(&path)?;
            tested
                .file(&text)
                .with_context(|| format!("in {}", path.display()))?;
        }
        Ok(tested)
    }

    fn file(&mut self, text: &str) -> Result<()> {
        let module = Module::parse(text)?;
        let first = module.kernels().next().map(|kernel| kernel.name.clone());
        let mut queue = Vec::new();
        for name in launched(text) {
            let name = name.or_else(|| first.clone()).unwrap_or_default();
            queue.push(
                module
                    .function_id(&name)
                    .with_context(|| format!("no kernel {name}"))?,
            );
        }
        let mut seen = BTreeSet::new();
        while let Some(id) = queue.pop() {
            if !seen.insert(id) {
                continue;
            }
            let function = &module.functions[id.index()];
            if function.body.is_none() {
                continue;
            }
            for statement in &module.parse_body(function)?.statements {
                queue.extend(self.statement(&module, statement));
            }
        }
        Ok(())
    }

    /// Notes one statement; gives the functions that it may call.
    fn statement(&mut self, module: &Module, statement: &Statement) -> Vec<FuncId> {
        let control = |name: &str, uniform: bool| {
            let suffix = if uniform { ".uni" } else { "" };
            format!("{name}{suffix}")
        };
        match &statement.kind {
            StatementKind::Instr(instr) => {
                self.forms.extend(forms::shown_by(instr));
                self.specials
                    .extend(instr.operands.iter().filter_map(|operand| match operand {
                        Operand::Special(special) => Some(*special),
                        _ => None,
                    }));
            }
            StatementKind::Branch { uniform, .. } => {
                self.forms.insert(control("bra", *uniform));
            }
            StatementKind::BranchIndexed { uniform, .. } => {
                self.forms.insert(control("brx.idx", *uniform));
            }
            StatementKind::Call(call) => {
                self.forms.insert(control("call", call.uniform));
                return match &call.target {
                    CallTarget::Direct(id) => vec![*id],
                    CallTarget::OneOf { targets, .. } => targets.clone(),
                    CallTarget::Indirect { .. } => (0..)
                        .map(FuncId)
                        .zip(&module.functions)
                        .filter(|(_, function)| function.kind == FunctionKind::Func)
                        .map(|(id, _)| id)
                        .collect(),
                };
            }
            _ => {}
        }
        Vec::new()
    }
}

/// The kernels that `run` lines launch, by name where they say one. Runs that expect a refusal launch nothing.
fn launched(text: &str) -> Vec<Option<String>> {
    let mut runs: Vec<Option<String>> = Vec::new();
    for line in text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("//@"))
    {
        let mut words = line.split_whitespace();
        match words.next() {
            Some("run") => {
                let name = words.find_map(|word| word.strip_prefix("kernel="));
                runs.push(name.map(str::to_owned));
            }
            Some("refuse") => {
                runs.pop();
            }
            _ => {}
        }
    }
    runs
}

/// Forms of one row, and those of them that nothing runs.
struct Count {
    all: usize,
    missing: Vec<String>,
}

fn count(all: Vec<String>, tested: &Tested) -> Count {
    let total = all.len();
    let missing = all.into_iter().filter(|form| !tested.forms.contains(form));
    Count {
        all: total,
        missing: missing.collect(),
    }
}

fn forms_of(row: &'static Row) -> Vec<String> {
    forms::all(row).into_iter().map(|form| form.text).collect()
}

fn control_forms(name: &str) -> Vec<String> {
    vec![name.to_owned(), format!("{name}.uni")]
}

/// The section of COVERAGE.md, and the page that lists what is not run.
pub(super) fn pages(page: &mut Page, tested: &Tested) -> String {
    let mut rows = Vec::new();
    for row in instr_table::ROWS {
        let mut names = format!("`{}`", row.text);
        for alias in row.aliases {
            // Writing to a String does not fail.
            write!(names, ", `{alias}`").ok();
        }
        rows.push((
            names,
            row.text,
            row.ptx,
            row.sm,
            count(forms_of(row), tested),
        ));
    }
    for (name, ptx, sm) in instr_table::CONTROL {
        rows.push((
            format!("`{name}`"),
            name,
            *ptx,
            *sm,
            count(control_forms(name), tested),
        ));
    }
    let all: usize = rows.iter().map(|(.., count)| count.all).sum();
    let missing: usize = rows.iter().map(|(.., count)| count.missing.len()).sum();
    page.line("\n## PTX\n");
    page.line(&format!(
        "{} instructions are read and checked against one row each. What a row does not allow is refused when a kernel is\n\
         first launched, with the line and the reason. A form is an opcode with modifiers and types; modifiers that do not\n\
         depend on each other make forms of their own. It counts as run when it stands in a kernel that a `run` line of\n\
         `rgpu-softgpu/filetests` launches, in a function that such a kernel calls, and so has an expected result. {} of {all}\n\
         forms do; [docs/ptx-forms.md](docs/ptx-forms.md) lists those that do not.\n",
        rows.len(),
        all - missing,
    ));
    page.line("| instruction | since PTX | lowest target | forms | run by a test |\n| --- | --- | --- | ---: | ---: |");
    let mut list = String::from(
        "<!-- Made by `cargo xtask coverage`. Do not edit. -->\n# Forms of PTX that no file test runs\n\n\
         They are read, checked and compiled; nobody has written down what they must give. Each stands for all instructions\n\
         that carry at least these modifiers and types.\n",
    );
    for (names, name, ptx, sm, count) in &rows {
        page.line(&format!(
            "| {names} | {}.{} | sm_{sm} | {} | {} |",
            ptx / 10,
            ptx % 10,
            count.all,
            count.all - count.missing.len()
        ));
        if !count.missing.is_empty() {
            let forms: Vec<_> = count
                .missing
                .iter()
                .map(|form| format!("`{form}`"))
                .collect();
            writeln!(
                list,
                "\n<details><summary><code>{name}</code>: {} of {}</summary>\n\n{}\n\n</details>",
                count.missing.len(),
                count.all,
                forms.join(" ")
            )
            .ok();
        }
    }
    specials(page, tested);
    unsupported(page);
    list
}

fn specials(page: &mut Page, tested: &Tested) {
    let mut by_test: BTreeMap<bool, Vec<String>> = BTreeMap::new();
    for special in SpecialReg::ALL {
        let run = tested.specials.contains(special);
        by_test.entry(run).or_default().push(format!("`{special}`"));
    }
    let list = |run| {
        by_test
            .get(&run)
            .map_or_else(|| "none".to_owned(), |names| names.join(", "))
    };
    page.line(&format!(
        "\n### Special registers\n\nRead by a run test: {}.\n",
        list(true)
    ));
    page.line(&format!("Not read by one: {}.", list(false)));
}

fn unsupported(page: &mut Page) {
    page.line(
        "\n### Left out\n\nInstructions that begin like these are read as text. A kernel that holds one is refused when it is\n\
         compiled, with the kernel's name, the line and the instruction; other kernels of the module run.\n",
    );
    page.line("| family | instructions |\n| --- | --- |");
    for (family, prefixes) in instr_table::UNSUPPORTED_FAMILIES {
        let names: Vec<_> = prefixes.iter().map(|name| format!("`{name}`")).collect();
        page.line(&format!("| {family} | {} |", names.join(", ")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "\
.version 8.0\n.target sm_90\n.address_size 64\n\
.func helper() { .reg .b32 %r<3>; xor.b32 %r1, %r1, %r2; ret; }\n\
.func nobody() { .reg .b32 %r<3>; or.b32 %r1, %r1, %r2; ret; }\n\
//@ run\n\
.visible .entry first() { .reg .b32 %r<3>; mov.u32 %r1, %tid.x; call.uni helper, (); ret; }\n\
//@ run kernel=third\n//@ refuse words\n\
//@ run kernel=second block=2\n//@ out u32 1\n\
.visible .entry second() { .reg .b32 %r<3>; ld.relaxed.gpu.global.u32 %r1, [0]; ret; }\n\
.visible .entry third() { .reg .b32 %r<3>; and.b32 %r1, %r1, %r2; ret; }\n";

    #[test]
    fn what_is_launched_counts_with_what_it_calls() {
        let mut tested = Tested::default();
        tested.file(FILE).unwrap();
        for form in [
            "mov.u32",
            "call.uni",
            "xor.b32",
            "ld.global.u32",
            "ld.relaxed.gpu",
        ] {
            assert!(tested.forms.contains(form), "{form} is missing");
        }
        for form in ["and.b32", "or.b32", "call"] {
            assert!(!tested.forms.contains(form), "{form} is not launched");
        }
        assert_eq!(
            tested.specials.into_iter().collect::<Vec<_>>(),
            [SpecialReg::TidX]
        );
    }

    #[test]
    fn every_row_is_counted() {
        let mut page = Page::default();
        let list = pages(&mut page, &Tested::default());
        for row in instr_table::ROWS {
            assert!(
                page.0.contains(&format!("| `{}`", row.text)),
                "{} is missing",
                row.text
            );
            assert!(
                list.contains(&format!("<code>{}</code>", row.text)),
                "{} is missing",
                row.text
            );
        }
    }
}
