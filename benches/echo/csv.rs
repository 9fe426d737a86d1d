//! The rows as CSV, written and read back, so that an experiment that was stopped can go on. No field needs quotes.

use std::fmt::Write as _;
use std::str::FromStr;

use anyhow::{Context as _, bail, ensure};

use super::{Measured, PHASES, Remote, Run, Scenario, Together};

const TOGETHER: &str = "movies,jobs,delay_ms,total_s";
const SHARED: &str = "shared";
const IN_TURN: &str = "one-at-a-time";

fn runs_head() -> String {
    let mut head = "scenario,frames,delay_ms".to_owned();
    for phase in PHASES {
        head += &format!(",{}_s", phase.replace(' ', "_"));
    }
    head + ",total_s,round_trips,bytes_sent,bytes_received"
}

impl Measured {
    /// The runs.
    pub fn runs_csv(&self) -> String {
        let mut text = runs_head() + "\n";
        for run in &self.runs {
            text += &format!("{},{},{}", run.scenario.name(), run.frames, run.delay_ms);
            for seconds in run.phases {
                text += &format!(",{seconds:.4}");
            }
            let remote = run.remote.map_or_else(
                || ",,".to_owned(),
                |r| format!("{},{},{}", r.round_trips, r.bytes_sent, r.bytes_received),
            );
            text += &format!(",{:.4},{remote}\n", run.total);
        }
        text
    }

    /// The movies at once.
    pub fn together_csv(&self) -> String {
        let mut text = format!("{TOGETHER}\n");
        for t in &self.together {
            let jobs = if t.shared { SHARED } else { IN_TURN };
            // Writing into a string cannot fail.
            let _ = writeln!(text, "{},{jobs},{},{:.4}", t.movies, t.delay_ms, t.total);
        }
        text
    }

    /// What the two texts hold.
    ///
    /// # Errors
    /// They were not written by this version.
    pub fn read(runs: &str, together: &str) -> anyhow::Result<Self> {
        Ok(Self {
            runs: rows(runs, &runs_head(), run)?,
            together: rows(together, TOGETHER, at_once)?,
        })
    }
}

fn rows<T>(
    text: &str,
    head: &str,
    row: impl Fn(&[&str]) -> anyhow::Result<T>,
) -> anyhow::Result<Vec<T>> {
    let mut lines = text.lines();
    ensure!(lines.next() == Some(head), "the first line is not `{head}`");
    let columns = head.split(',').count();
    lines
        .map(|line| {
            let fields: Vec<&str> = line.split(',').collect();
            ensure!(fields.len() == columns, "`{line}` has not {columns} fields");
            row(&fields).with_context(|| format!("in `{line}`"))
        })
        .collect()
}

fn number<T: FromStr>(field: &str) -> anyhow::Result<T> {
    let parsed = field.parse().ok();
    parsed.with_context(|| format!("`{field}` is no number"))
}

fn run(fields: &[&str]) -> anyhow::Result<Run> {
    let scenario = Scenario::ALL.into_iter().find(|s| s.name() == fields[0]);
    let mut phases = [0.0; PHASES.len()];
    for (phase, field) in phases.iter_mut().zip(&fields[3..]) {
        *phase = number(field)?;
    }
    let (total, counted) = (fields[3 + PHASES.len()], &fields[4 + PHASES.len()..]);
    let remote = if counted[0].is_empty() {
        None
    } else {
        Some(Remote {
            round_trips: number(counted[0])?,
            bytes_sent: number(counted[1])?,
            bytes_received: number(counted[2])?,
        })
    };
    Ok(Run {
        scenario: scenario.with_context(|| format!("`{}` is no scenario", fields[0]))?,
        frames: number(fields[1])?,
        delay_ms: number(fields[2])?,
        phases,
        total: number(total)?,
        remote,
    })
}

fn at_once(fields: &[&str]) -> anyhow::Result<Together> {
    Ok(Together {
        movies: number(fields[0])?,
        shared: match fields[1] {
            SHARED => true,
            IN_TURN => false,
            other => bail!("`{other}` is neither {SHARED} nor {IN_TURN}"),
        },
        delay_ms: number(fields[2])?,
        total: number(fields[3])?,
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{measured, run};
    use super::*;

    #[test]
    fn there_is_a_line_for_each_run() {
        let mut measured = measured();
        measured.runs = vec![
            measured.runs.remove(0),
            run(Scenario::PlatformCpu, 4.0, None),
        ];
        assert_eq!(
            measured.runs_csv(),
            "scenario,frames,delay_ms,initialise_container_s,import_modules_s,load_model_s,input_and_output_s,\
             processing_s,total_s,round_trips,bytes_sent,bytes_received\n\
             platform-remote,60,0.2,0.5000,1.0000,1.5000,0.2500,0.7500,4.0000,12,3000000,12000\n\
             platform-cpu,60,0.2,0.5000,1.0000,1.5000,0.2500,0.7500,4.0000,,,\n"
        );
        assert_eq!(
            measured.together_csv(),
            "movies,jobs,delay_ms,total_s\n2,shared,0,6.0000\n2,one-at-a-time,0,10.0000\n"
        );
    }

    #[test]
    fn what_was_written_can_be_read() {
        let mut measured = measured();
        measured.runs.push(run(Scenario::PlatformCpu, 4.0, None));
        let (runs, together) = (measured.runs_csv(), measured.together_csv());
        assert_eq!(Measured::read(&runs, &together).unwrap(), measured);
        let refused = |runs: &str| Measured::read(runs, &together).is_err();
        assert!(refused(""));
        assert!(refused(&runs.replace("platform-cpu", "moon")));
        assert!(refused(&runs.replace("0.2500", "a quarter")));
        assert!(refused(&(runs + "platform-cpu,60\n")));
    }
}
