//! What is printed at the end.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use crate::compile::{Failure, Run};

/// The result of a run.
pub(crate) fn text(run: &Run, list_failures: bool) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write(&mut text, run, list_failures);
    text
}

fn write(to: &mut String, run: &Run, list_failures: bool) -> std::fmt::Result {
    let mut causes: BTreeMap<&str, Vec<&Failure>> = BTreeMap::new();
    for failure in &run.failures {
        causes.entry(&failure.cause).or_default().push(failure);
    }
    let mut causes: Vec<_> = causes.into_iter().collect();
    let count = |list: &[&Failure]| list.iter().map(|failure| failure.kernels).sum::<usize>();
    causes.sort_by_key(|(_, list)| std::cmp::Reverse(count(list)));
    for (cause, list) in &causes {
        writeln!(to, "{:6}  {cause}", count(list))?;
        let shown = if list_failures { list.len() } else { 1 };
        for failure in &list[..shown] {
            let name = failure.kernel.as_deref().unwrap_or("(the whole module)");
            writeln!(to, "        {}: {name}", failure.place)?;
            writeln!(to, "          {}", failure.message)?;
        }
    }
    let (compiled, total) = (run.compiled.len(), run.total());
    let megabytes = run.bytes as f64 / 1e6;
    let modules = run.modules;
    writeln!(
        to,
        "{compiled} of {total} kernels of {modules} modules ({megabytes:.1} MB of PTX)"
    )?;
    let mut times: Vec<_> = run.compiled.iter().collect();
    times.sort();
    let all: Duration = times.iter().map(|(time, _)| *time).sum();
    writeln!(
        to,
        "time    {:.1} s, kernels {:.1} s",
        run.wall.as_secs_f64(),
        all.as_secs_f64()
    )?;
    if let Some((slowest, name)) = times.last() {
        let at = |part: f64| times[(part * (times.len() - 1) as f64).round() as usize].0;
        let (median, p99) = (ms(at(0.5)), ms(at(0.99)));
        writeln!(
            to,
            "kernel  median {median}, p99 {p99}, slowest {} ({name})",
            ms(*slowest)
        )?;
    }
    let (bytes, time) = run.largest;
    writeln!(
        to,
        "largest module  {:.1} MB, indexed in {}",
        bytes as f64 / 1e6,
        ms(time)
    )
}

fn ms(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(cause: &str, kernel: &str) -> Failure {
        Failure {
            place: "lib.so".to_owned(),
            kernel: Some(kernel.to_owned()),
            cause: cause.to_owned(),
            message: format!("{kernel} fails"),
            kernels: 1,
        }
    }

    #[test]
    fn causes_are_counted_the_commonest_first() {
        let run = Run {
            modules: 2,
            bytes: 1_500_000,
            compiled: (1..=3)
                .map(|n| (Duration::from_millis(n), format!("k{n}")))
                .collect(),
            failures: vec![failure("a", "x"), failure("b", "y"), failure("b", "z")],
            largest: (1_000_000, Duration::from_millis(7)),
            wall: Duration::from_secs(2),
        };
        let short = text(&run, false);
        let lines: Vec<_> = short.lines().collect();
        assert_eq!(lines[0], "     2  b");
        assert_eq!(lines[3], "     1  a");
        assert_eq!(lines[6], "3 of 6 kernels of 2 modules (1.5 MB of PTX)");
        assert_eq!(
            lines[8],
            "kernel  median 2.00 ms, p99 3.00 ms, slowest 3.00 ms (k3)"
        );
        assert_eq!(lines[9], "largest module  1.0 MB, indexed in 7.00 ms");
        assert!(!short.contains("z fails"));
        assert!(text(&run, true).contains("z fails"));
    }
}
