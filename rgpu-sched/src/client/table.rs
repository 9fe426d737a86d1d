//! Functions and invocations as people read them.

use std::time::Duration;

use crate::api::FunctionView;
use crate::queue::{Invocation, State};
use crate::time::Timestamp;

/// Columns as wide as their widest cell; the last one is left ragged.
fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells
            .chain([head[column].chars().count()])
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let line = |cells: &[String]| {
        let padded: Vec<String> = cells
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        format!("{}\n", padded.join("  ").trim_end())
    };
    let head: Vec<String> = head.iter().map(|&h| h.to_owned()).collect();
    std::iter::once(line(&head))
        .chain(rows.iter().map(|row| line(row)))
        .collect()
}

/// One line for each function.
#[must_use]
pub fn functions_table(functions: &[FunctionView]) -> String {
    let paths = |list: &[crate::function::StorageIoSpec]| {
        let all: Vec<&str> = list.iter().map(|io| io.path.as_str()).collect();
        if all.is_empty() {
            "-".to_owned()
        } else {
            all.join(",")
        }
    };
    let row = |f: &FunctionView| {
        vec![
            f.name.clone(),
            paths(&f.spec.input),
            paths(&f.spec.output),
            f.spec
                .gpu
                .as_ref()
                .map_or_else(|| "-".to_owned(), |g| g.memory.to_string()),
            f.count(State::Pending).to_string(),
            f.count(State::Running).to_string(),
            f.count(State::Succeeded).to_string(),
            (f.count(State::Failed) + f.count(State::Cancelled)).to_string(),
        ]
    };
    let rows: Vec<Vec<String>> = functions.iter().map(row).collect();
    table(
        &[
            "FUNCTION", "INPUT", "OUTPUT", "GPU", "WAITING", "RUNNING", "OK", "FAILED",
        ],
        &rows,
    )
}

/// One line for each invocation.
#[must_use]
pub fn invocations_table(invocations: &[Invocation], now: Timestamp) -> String {
    let row = |i: &Invocation| {
        let took = i
            .times
            .prepare
            .map(|from| i.times.finished.unwrap_or(now).since(from));
        let result = match (&i.error, i.outputs.len()) {
            (Some(error), _) => error.lines().next().unwrap_or_default().to_owned(),
            (None, 0) => String::new(),
            (None, 1) => "1 object".to_owned(),
            (None, n) => format!("{n} objects"),
        };
        vec![
            i.id.to_string(),
            i.function.clone(),
            format!("{}/{}", i.trigger.bucket, i.trigger.key),
            i.state.to_string(),
            format!("{} ago", span(now.since(i.times.queued))),
            took.map_or_else(|| "-".to_owned(), span),
            i.gpu
                .as_ref()
                .map_or_else(|| "-".to_owned(), |g| g.server.clone()),
            result,
        ]
    };
    let rows: Vec<Vec<String>> = invocations.iter().map(row).collect();
    table(
        &[
            "ID", "FUNCTION", "OBJECT", "STATE", "UPLOADED", "TOOK", "GPU", "RESULT",
        ],
        &rows,
    )
}

/// A span in the unit that fits it.
fn span(d: Duration) -> String {
    let seconds = d.as_secs();
    match seconds {
        0 => format!("{} ms", d.as_millis()),
        1..100 => format!("{:.1} s", d.as_secs_f64()),
        100..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_lines_have_no_tail() {
        let rows = [vec!["a".to_owned(), "long cell".to_owned(), String::new()]];
        assert_eq!(
            table(&["NAME", "B", "C"], &rows),
            "NAME  B          C\na     long cell\n"
        );
    }

    #[test]
    fn spans_have_a_fitting_unit() {
        let of = |ms| span(Duration::from_millis(ms));
        assert_eq!(
            [
                of(12),
                of(1500),
                of(120_000),
                of(7_200_000),
                of(400_000_000)
            ],
            ["12 ms", "1.5 s", "2 min", "2 h", "4 d"]
        );
    }
}
