//! What is generated from the code into documents: COVERAGE.md, from the rows of the driver API and of PTX, the forms of
//! PTX in docs/ptx-forms.md, and the tables at the end of docs/protocol.md.

use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};
use rgpu_proto::limits;
use rgpu_proto::opcode::Opcode;
use rgpu_proto::spec::{self, Class, Row, Why, driver};

use crate::frameworks::record;
use crate::paths;

mod ptx;

const CLASSES: [(Class, &str); 5] = [
    (
        Class::Posted,
        "sent and not waited for; an error surfaces with a later call",
    ),
    (Class::Reply, "sent and waited for"),
    (
        Class::Local,
        "answered by the client from what it already knows",
    ),
    (
        Class::Custom,
        "written by hand on both sides; sends what it must",
    ),
    (
        Class::Absent,
        "exported, answers `CUDA_ERROR_NOT_SUPPORTED`, logged once by name",
    ),
];

/// Where the generated part of docs/protocol.md begins.
const MARK: &str = "<!-- made by `cargo xtask coverage` from here to the end; do not edit -->\n";

/// Writes the documents, or checks them.
pub(crate) fn run(check: bool) -> Result<()> {
    for (path, fresh) in documents()? {
        let shown = paths::shown(&path);
        if !check {
            std::fs::write(&path, &fresh).with_context(|| format!("cannot write {shown}"))?;
            continue;
        }
        let have = std::fs::read_to_string(&path)
            .with_context(|| format!("cannot read {shown}; run `cargo xtask coverage`"))?;
        if have != fresh {
            let line = have
                .lines()
                .zip(fresh.lines())
                .position(|(a, b)| a != b)
                .map_or(0, |at| at + 1);
            bail!(
                "{shown} does not fit the code (first at line {line}); run `cargo xtask coverage`"
            );
        }
    }
    println!("{}", summary(&driver::ROWS));
    Ok(())
}

/// Every document with what it should be.
fn documents() -> Result<Vec<(PathBuf, String)>> {
    let protocol = paths::root().join("docs/protocol.md");
    let prose = std::fs::read_to_string(&protocol).context("cannot read docs/protocol.md")?;
    let (prose, _) = prose
        .split_once(MARK)
        .context("docs/protocol.md has lost its mark")?;
    for op in own_operations() {
        let row = format!("| `{:#06x}` | `{}` |", op.0, op.name());
        ensure!(
            prose.contains(&row),
            "docs/protocol.md does not describe {op}: it needs a row `{row}`"
        );
    }
    let tested = ptx::Tested::read(&paths::root().join("rgpu-softgpu/filetests"))?;
    let (mut coverage, forms) = page(&driver::ROWS, &tested);
    coverage.push_str(&record::section()?);
    Ok(vec![
        (paths::root().join("COVERAGE.md"), coverage),
        (paths::root().join("docs/ptx-forms.md"), forms),
        (protocol, format!("{prose}{MARK}{}", protocol_tables())),
    ])
}

fn own_operations() -> impl Iterator<Item = Opcode> {
    (Opcode::PROTOCOL..=u16::MAX)
        .map(Opcode)
        .filter(|op| op.exists())
}

fn count(rows: &[Row], class: Class) -> usize {
    rows.iter().filter(|r| r.class == class).count()
}

fn summary(rows: &[Row]) -> String {
    let absent = count(rows, Class::Absent);
    format!(
        "{} functions, {} carried out, {absent} not supported",
        rows.len(),
        rows.len() - absent
    )
}

/// Families in the order of the rows.
fn families(rows: &[Row]) -> Vec<&'static str> {
    let mut all: Vec<&'static str> = Vec::new();
    for row in rows {
        if !all.contains(&row.family) {
            all.push(row.family);
        }
    }
    all
}

/// COVERAGE.md, and docs/ptx-forms.md.
fn page(rows: &[Row], tested: &ptx::Tested) -> (String, String) {
    let mut page = Page::default();
    page.line("<!-- Made by `cargo xtask coverage` from rgpu-proto/src/spec, rgpu-ptx and tests/frameworks/report.json. Do not edit. -->");
    page.line("# Coverage\n");
    page.line("## The CUDA driver API\n");
    page.line(&format!(
        "{}. The client library and the software GPU export all of them; a program finds each by `cuGetProcAddress` too.\n",
        summary(rows)
    ));
    page.line("| class | functions | means |\n| --- | ---: | --- |");
    for (class, meaning) in CLASSES {
        page.line(&format!(
            "| `{}` | {} | {meaning} |",
            class.name(),
            count(rows, class)
        ));
    }
    page.line("\n| family | posted | reply | local | custom | absent |\n| --- | ---: | ---: | ---: | ---: | ---: |");
    for family in families(rows) {
        let of_family: Vec<Row> = rows
            .iter()
            .filter(|r| r.family == family)
            .copied()
            .collect();
        let cells = CLASSES.map(|(class, _)| count(&of_family, class).to_string());
        page.line(&format!(
            "| [{family}](#{family}) | {} |",
            cells.join(" | ")
        ));
    }
    for family in families(rows) {
        page.line(&format!(
            "\n### {family}\n\n| id | class | function |\n| --- | --- | --- |"
        ));
        for row in rows.iter().filter(|r| r.family == family) {
            page.line(&format!(
                "| `{:04x}` | {} | `{}` |",
                row.id,
                row.class.name(),
                row.name
            ));
        }
    }
    let forms = ptx::pages(&mut page, tested);
    (page.0, forms)
}

/// The generated part of docs/protocol.md.
fn protocol_tables() -> String {
    let mut page = Page::default();
    page.line("\n| limit | value | |\n| --- | ---: | --- |");
    for (name, value) in limits() {
        page.line(&format!("| `{name}` | {value} | {} |", human(value)));
    }
    page.line("\n## Why a call waits or not\n");
    page.line(
        "Every row names one of these reasons. *posted*: sent, and the caller goes on; *local*: nothing is sent, or only what\n\
         is posted; *waits*: for the server's answer; *either*: as the reason says.\n",
    );
    page.line(
        "| reason | caller | why | what a caller can observe | rows |\n| --- | --- | --- | --- | ---: |",
    );
    for why in Why::ALL {
        page.line(&format!(
            "| `{}` | {} | {} | {} | {} |",
            why.word(),
            why.way().name(),
            why.reason(),
            why.seen(),
            spec::all().filter(|row| row.why == *why).count(),
        ));
    }
    page.line("\n## Rows that cross the wire\n");
    page.line(
        "Every function, its class and its [reason](#why-a-call-waits-or-not); the number is its operation on the wire. A\n\
         `local` row, and a `custom` row that is carried out by another operation, never appears there.",
    );
    for (api, rows) in APIS.iter().zip(spec::TABLES) {
        page.line(&format!("\n### {api}"));
        for family in families(rows) {
            family_table(&mut page, family, rows);
        }
    }
    page.0
}

/// The names of the tables of rows.
const APIS: [&str; spec::TABLES.len()] = ["The driver", "cuBLAS", "cuBLASLt", "cuDNN"];

/// The rows of a family: those that are carried out, then the names of the others.
fn family_table(page: &mut Page, family: &str, rows: &[Row]) {
    let of_family = || rows.iter().filter(|row| row.family == family);
    page.line(&format!("\n#### {family}"));
    if of_family().any(|row| row.class != Class::Absent) {
        page.line(
            "\n| operation | class | reason | caller | function |\n| --- | --- | --- | --- | --- |",
        );
    }
    for row in of_family().filter(|row| row.class != Class::Absent) {
        page.line(&format!(
            "| `{:#06x}` | {} | {} | {} | `{}` |",
            row.id,
            row.class.name(),
            row.why.word(),
            row.why.way().name(),
            row.name
        ));
    }
    let absent: Vec<String> = of_family()
        .filter(|row| row.class == Class::Absent)
        .map(|row| format!("`{}`", row.name))
        .collect();
    if !absent.is_empty() {
        page.line(&format!("\n`absent`: {}.", absent.join(", ")));
    }
}

/// Every limit by name.
fn limits() -> Vec<(&'static str, u64)> {
    macro_rules! values {
        ($($name:ident),*) => { vec![$((stringify!($name), limits::$name as u64)),*] };
    }
    values![
        MAX_BODY,
        MAX_CHUNK,
        MAX_HELLO,
        MAX_MODULE,
        MAX_LINKS,
        LINK_PIECE,
        MAX_PARAMS,
        PREALLOCATED_ITEMS,
        MAX_HANDLES,
        MAX_TRANSFER,
        BULK_CREDIT,
        INLINE_DATA,
        INLINE_MODULE,
        MAX_TEXT
    ]
}

/// Whole binary units, where there are any.
fn human(value: u64) -> String {
    for (shift, unit) in [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")] {
        if value.is_multiple_of(1 << shift) {
            return format!("{} {unit}", value >> shift);
        }
    }
    String::new()
}

/// Markdown in the making.
#[derive(Default)]
struct Page(String);

impl Page {
    fn line(&mut self, line: &str) {
        self.0.push_str(line);
        self.0.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_on_the_page() {
        let (page, _) = page(&driver::ROWS, &ptx::Tested::default());
        for row in driver::ROWS {
            assert!(
                page.contains(&format!("| `{}` |", row.name)),
                "{} is missing",
                row.name
            );
        }
    }

    #[test]
    fn the_protocol_says_of_every_row_why() {
        let tables = protocol_tables();
        for row in spec::all() {
            let (class, why, name) = (row.class.name(), row.why, row.name);
            let told = match row.class {
                Class::Absent => tables.contains(&format!("`{name}`")),
                _ => tables.contains(&format!(
                    "| {class} | {} | {} | `{name}` |",
                    why.word(),
                    why.way().name()
                )),
            };
            assert!(told, "{name}");
        }
        assert!(tables.contains("| `MAX_CHUNK` | 1048576 | 1 MiB |"));
    }

    #[test]
    fn classes_add_up() {
        let sum: usize = CLASSES
            .iter()
            .map(|(class, _)| count(&driver::ROWS, *class))
            .sum();
        assert_eq!(sum, driver::ROWS.len());
    }
}
