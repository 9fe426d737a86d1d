//! COVERAGE.md: what of the CUDA driver API is carried out and how, from the rows of `rgpu-proto`.

use std::fmt::Write;

use anyhow::{Context, Result, bail};
use rgpu_proto::spec::{Class, Row, driver};

use crate::paths;

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

/// Writes the file, or checks it.
pub(crate) fn run(check: bool) -> Result<()> {
    let path = paths::root().join("COVERAGE.md");
    let fresh = page(&driver::ROWS);
    if !check {
        std::fs::write(&path, &fresh).context("cannot write COVERAGE.md")?;
        println!("{}", summary(&driver::ROWS));
        return Ok(());
    }
    let have = std::fs::read_to_string(&path)
        .context("cannot read COVERAGE.md; run `cargo xtask coverage`")?;
    if have == fresh {
        return Ok(());
    }
    let line = have
        .lines()
        .zip(fresh.lines())
        .position(|(a, b)| a != b)
        .map_or(0, |at| at + 1);
    bail!(
        "COVERAGE.md does not fit the rows of rgpu-proto (first at line {line}); run `cargo xtask coverage`"
    )
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

/// The whole page.
fn page(rows: &[Row]) -> String {
    let mut text = String::from(
        "<!-- Made by `cargo xtask coverage` from rgpu-proto/src/spec. Do not edit. -->\n\
         # Coverage of the CUDA driver API\n\n",
    );
    let mut put = |line: String| {
        text.push_str(&line);
        text.push('\n');
    };
    put(format!("{}.\n", summary(rows)));
    put("| class | functions | means |\n| --- | ---: | --- |".to_owned());
    for (class, meaning) in CLASSES {
        put(format!(
            "| `{}` | {} | {meaning} |",
            class.name(),
            count(rows, class)
        ));
    }
    put(String::new());
    put("| family | posted | reply | local | custom | absent |\n| --- | ---: | ---: | ---: | ---: | ---: |".to_owned());
    for family in families(rows) {
        let of_family: Vec<Row> = rows
            .iter()
            .filter(|r| r.family == family)
            .copied()
            .collect();
        let cells = CLASSES.map(|(class, _)| count(&of_family, class).to_string());
        put(format!("| [{family}](#{family}) | {} |", cells.join(" | ")));
    }
    for family in families(rows) {
        put(format!(
            "\n## {family}\n\n| id | class | function |\n| --- | --- | --- |"
        ));
        for row in rows.iter().filter(|r| r.family == family) {
            let mut line = String::new();
            // Writing to a String does not fail.
            write!(
                line,
                "| `{:04x}` | {} | `{}` |",
                row.id,
                row.class.name(),
                row.name
            )
            .ok();
            put(line);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_on_the_page() {
        let page = page(&driver::ROWS);
        for row in &driver::ROWS {
            assert!(
                page.contains(&format!("| `{}` |", row.name)),
                "{} is missing",
                row.name
            );
        }
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
