//! What is printed at the end.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use crate::compile::{Failure, Part, Run};

/// What is shown one by one, rather than summed up.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct List {
    pub(crate) failures: bool,
    pub(crate) modules: bool,
}

/// The result of a run.
pub(crate) fn text(run: &Run, list: List) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write(&mut text, run, list);
    text
}

fn write(to: &mut String, run: &Run, list: List) -> std::fmt::Result {
    let mut files: BTreeMap<&str, Vec<&Part>> = BTreeMap::new();
    for part in &run.parts {
        if list.modules {
            writeln!(to, "{}  {}", parts(&[part]), part.place)?;
        }
        files.entry(&part.place).or_default().push(part);
    }
    for (place, of_file) in &files {
        writeln!(to, "{}  {place}", parts(of_file))?;
    }
    let mut causes: BTreeMap<&str, Vec<&Failure>> = BTreeMap::new();
    for failure in &run.failures {
        causes.entry(&failure.cause).or_default().push(failure);
    }
    let mut causes: Vec<_> = causes.into_iter().collect();
    let count = |list: &[&Failure]| list.iter().map(|failure| failure.kernels).sum::<usize>();
    causes.sort_by_key(|(_, list)| std::cmp::Reverse(count(list)));
    for (cause, of_cause) in &causes {
        writeln!(to, "{:6}  {cause}", count(of_cause))?;
        let shown = if list.failures { of_cause.len() } else { 1 };
        for failure in &of_cause[..shown] {
            let name = failure.kernel.as_deref().unwrap_or("(the whole module)");
            writeln!(to, "        {}: {name}", failure.place)?;
            writeln!(to, "          {}", failure.message)?;
        }
    }
    writeln!(to, "{}", parts(&run.parts.iter().collect::<Vec<_>>()))?;
    let mut times: Vec<_> = run.compiled.iter().collect();
    times.sort();
    let all: Duration = times.iter().map(|(time, _)| *time).sum();
    writeln!(
        to,
        "time    {:.1} s, kernels {:.1} s of processor time",
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

/// `3 of 4 kernels of 2 modules (1.5 MB of PTX)`
fn parts(list: &[&Part]) -> String {
    let sum = |of: fn(&Part) -> usize| list.iter().map(|part| of(part)).sum::<usize>();
    format!(
        "{} of {} kernels of {} modules ({:.1} MB of PTX)",
        sum(|part| part.compiled),
        sum(|part| part.total),
        sum(|part| part.modules),
        sum(|part| part.bytes) as f64 / 1e6
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

    fn part(place: &str, modules: usize, bytes: usize, total: usize, compiled: usize) -> Part {
        Part {
            place: place.to_owned(),
            modules,
            bytes,
            total,
            compiled,
        }
    }

    fn run() -> Run {
        Run {
            parts: vec![
                part("lib.so", 1, 1_000_000, 3, 2),
                part("lib.so", 2, 500_000, 2, 0),
                part("a.ptx", 1, 100_000, 1, 1),
            ],
            compiled: (1..=3)
                .map(|n| (Duration::from_millis(n), format!("k{n}")))
                .collect(),
            failures: vec![failure("a", "x"), failure("b", "y"), failure("b", "z")],
            largest: (1_000_000, Duration::from_millis(7)),
            wall: Duration::from_secs(2),
            ..Run::default()
        }
    }

    #[test]
    fn files_come_first_then_causes_the_commonest_first() {
        let short = text(&run(), List::default());
        let lines: Vec<_> = short.lines().collect();
        assert_eq!(
            lines[0],
            "1 of 1 kernels of 1 modules (0.1 MB of PTX)  a.ptx"
        );
        assert_eq!(
            lines[1],
            "2 of 5 kernels of 3 modules (1.5 MB of PTX)  lib.so"
        );
        assert_eq!(lines[2], "     2  b");
        assert_eq!(lines[5], "     1  a");
        assert_eq!(lines[8], "3 of 6 kernels of 4 modules (1.6 MB of PTX)");
        assert_eq!(
            lines[10],
            "kernel  median 2.00 ms, p99 3.00 ms, slowest 3.00 ms (k3)"
        );
        assert_eq!(lines[11], "largest module  1.0 MB, indexed in 7.00 ms");
        assert!(!short.contains("z fails"));
    }

    #[test]
    fn what_is_asked_for_is_listed() {
        let failures = List {
            failures: true,
            modules: false,
        };
        assert!(text(&run(), failures).contains("z fails"));
        let modules = List {
            failures: false,
            modules: true,
        };
        let long = text(&run(), modules);
        let first = "2 of 3 kernels of 1 modules (1.0 MB of PTX)  lib.so\n\
                     0 of 2 kernels of 2 modules (0.5 MB of PTX)  lib.so\n";
        assert!(long.starts_with(first), "{long}");
    }
}
