//! The table at the end of the demo.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use super::despeckle::Comparison;
use crate::paths;
use crate::report;

/// All of it.
pub(super) fn table(
    invocation: &Value,
    statistics: &Value,
    comparison: &Comparison,
    results: &Path,
    total: Duration,
) -> String {
    let gpu = &invocation["gpu"];
    let stats = &invocation["stats"];
    let mut rows = vec![
        row(
            "GPU",
            format!("{} at {}", text(&gpu["device_name"]), text(&gpu["server"])),
        ),
        row("lease", report::bytes(gpu["memory"].as_u64().unwrap_or(0))),
        row(
            "frames",
            format!(
                "{} of {} x {}, {} iterations each",
                frames(statistics),
                statistics["width"],
                statistics["height"],
                statistics["iterations"]
            ),
        ),
        row("speckle index", speckle(statistics)),
        row("CUDA calls", calls(stats)),
        row("round trips", text(&stats["round_trips"])),
        row(
            "bytes sent, received",
            format!(
                "{}, {}",
                size(&stats["bytes_sent"]),
                size(&stats["bytes_received"])
            ),
        ),
        row("", String::new()),
    ];
    rows.extend(phases(invocation, stats, statistics));
    rows.push(row("", String::new()));
    rows.push(row("frames against the reference", comparison.describe()));
    for name in ["contact-sheet.png", "statistics.json"] {
        rows.push(row(name, paths::shown(&results.join(name))));
    }
    rows.push(row(
        "filtered frames",
        paths::shown(&results.join("frame-*.png")),
    ));
    rows.push(row("the whole demo", report::seconds(total)));
    report::table(&rows)
}

fn row(name: &str, value: String) -> Vec<String> {
    vec![name.to_owned(), value]
}

pub(super) fn text(value: &Value) -> String {
    match value {
        Value::Null => "unknown".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

pub(super) fn size(value: &Value) -> String {
    value
        .as_u64()
        .map_or_else(|| "unknown".to_owned(), report::bytes)
}

fn frames(statistics: &Value) -> usize {
    statistics["frames"].as_array().map_or(0, Vec::len)
}

/// Mean over the frames, before and after.
fn speckle(statistics: &Value) -> String {
    let mean = |name: &str| {
        let all = statistics["frames"].as_array().into_iter().flatten();
        let values: Vec<f64> = all
            .filter_map(|f| f[name]["speckle_index"].as_f64())
            .collect();
        values.iter().sum::<f64>() / values.len().max(1) as f64
    };
    format!(
        "{:.3} before, {:.3} after (mean over the frames)",
        mean("before"),
        mean("after")
    )
}

/// `4512: 3041 posted, …`, most first.
fn calls(stats: &Value) -> String {
    let mut classes: Vec<(String, u64)> = stats["calls_by_class"]
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(name, count)| Some((name.clone(), count.as_u64()?)))
        .filter(|(_, count)| *count > 0)
        .collect();
    classes.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let listed: Vec<String> = classes
        .iter()
        .map(|(name, count)| format!("{count} {name}"))
        .collect();
    format!("{}: {}", text(&stats["calls"]), listed.join(", "))
}

/// How long each phase took, from the scheduler's times, the client library's counts and the program's own clock.
fn phases(invocation: &Value, stats: &Value, statistics: &Value) -> Vec<Vec<String>> {
    let between = |from: &str, to: &str| between(invocation, from, to);
    let ms = |name: &str| statistics["ms"][name].as_f64().map(|ms| ms / 1e3);
    let shown = |time: Option<f64>| {
        time.map_or_else(
            || "unknown".to_owned(),
            |s| report::seconds(Duration::from_secs_f64(s.max(0.0))),
        )
    };
    let start = between("queued", "input")
        .zip(between("start", "run"))
        .map(|(a, b)| a + b);
    vec![
        row("start of job", shown(start)),
        row(
            "input",
            format!(
                "{} from the bucket, {} to read the DICOM file",
                shown(between("input", "start")),
                shown(ms("read"))
            ),
        ),
        row(
            "connection and context",
            format!(
                "{} (connect {})",
                shown(ms("context")),
                shown(stats["connect_seconds"].as_f64())
            ),
        ),
        row("module load", shown(ms("module"))),
        row("processing", shown(ms("processing"))),
        row(
            "output",
            format!(
                "{} to write the pictures, {} to the bucket",
                shown(ms("write")),
                shown(between("output", "finished"))
            ),
        ),
        row("upload to result", shown(between("queued", "finished"))),
    ]
}

/// Seconds from one of an invocation's times to another that is less than a day later.
pub(super) fn between(invocation: &Value, from: &str, to: &str) -> Option<f64> {
    let at = |name: &str| invocation["times"][name].as_str().and_then(parse_time);
    Some((at(to)? - at(from)?).rem_euclid(86_400.0))
}

/// Seconds since midnight UTC of an RFC 3339 time in UTC, which the scheduler writes.
fn parse_time(text: &str) -> Option<f64> {
    let (_, time) = text.split_once('T')?;
    let mut parts = time.trim_end_matches('Z').split(':');
    let hours: f64 = parts.next()?.parse().ok()?;
    let minutes: f64 = parts.next()?.parse().ok()?;
    let seconds: f64 = parts.next()?.parse().ok()?;
    Some(hours * 3600.0 + minutes * 60.0 + seconds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn times_are_read() {
        assert_eq!(parse_time("2026-01-02T01:02:03.5Z"), Some(3723.5));
        assert_eq!(parse_time("yesterday"), None);
    }

    #[test]
    fn a_job_may_run_past_midnight() {
        let invocation = json!({"times": {"queued": "2026-01-01T23:59:59.5Z", "finished": "2026-01-02T00:00:01Z"}});
        assert_eq!(between(&invocation, "queued", "finished"), Some(1.5));
        assert_eq!(between(&invocation, "queued", "input"), None);
    }

    #[test]
    fn calls_are_listed_by_number() {
        let stats = json!({"calls": 7, "calls_by_class": {"reply": 2, "posted": 5, "absent": 0}});
        assert_eq!(calls(&stats), "7: 5 posted, 2 reply");
    }

    #[test]
    fn phases_come_from_three_clocks() {
        let invocation = json!({"times": {"queued": "2026-01-01T00:00:00Z", "input": "2026-01-01T00:00:00.1Z",
            "start": "2026-01-01T00:00:00.2Z", "run": "2026-01-01T00:00:00.25Z", "output": "2026-01-01T00:00:03Z",
            "finished": "2026-01-01T00:00:03.5Z"}});
        let rows = phases(
            &invocation,
            &json!({"connect_seconds": 0.004}),
            &json!({"ms": {"processing": 1500.0}}),
        );
        assert_eq!(rows[0], ["start of job", "150 ms"]);
        assert_eq!(rows[4], ["processing", "1.5 s"]);
        assert_eq!(rows[6], ["upload to result", "3.5 s"]);
    }
}
