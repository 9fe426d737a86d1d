//! The paper's experiment: movies of a heart, classified in four scenarios. What was measured, as rows, tables and
//! [figures].

pub mod figures;

use serde::{Deserialize, Serialize};

use crate::stats::Samples;

/// Where a movie is classified, and how it gets there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scenario {
    /// A program started by hand on a machine with the GPU.
    ConsoleLocal,
    /// A job without a GPU.
    PlatformCpu,
    /// A job whose GPU is elsewhere.
    PlatformRemote,
    /// A job with a GPU in its machine.
    PlatformLocal,
}

impl Scenario {
    /// All, in the paper's order.
    pub const ALL: [Self; 4] = [
        Self::ConsoleLocal,
        Self::PlatformCpu,
        Self::PlatformRemote,
        Self::PlatformLocal,
    ];

    /// For files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ConsoleLocal => "console-local",
            Self::PlatformCpu => "platform-cpu",
            Self::PlatformRemote => "platform-remote",
            Self::PlatformLocal => "platform-local",
        }
    }

    /// For people.
    pub const fn title(self) -> &'static str {
        match self {
            Self::ConsoleLocal => "console, local GPU",
            Self::PlatformCpu => "platform, CPU only",
            Self::PlatformRemote => "platform, remote GPU",
            Self::PlatformLocal => "platform, local GPU",
        }
    }
}

/// The names of the phases, in the order in which they pass.
pub const PHASES: [&str; 5] = [
    "initialise container",
    "import modules",
    "load model",
    "input and output",
    "processing",
];

/// One movie, classified.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// Where.
    pub scenario: Scenario,
    /// Its length.
    pub frames: u32,
    /// What the emulated network adds to a round trip.
    pub delay_ms: f64,
    /// Seconds of the [`PHASES`].
    pub phases: [f64; PHASES.len()],
    /// Seconds from its upload or the command to its end.
    pub total: f64,
    /// How often the program waited for the remote GPU, and what it sent there.
    pub remote: Option<Remote>,
}

/// What the client of a remote GPU counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Remote {
    /// Waits.
    pub round_trips: u64,
    /// To the server.
    pub bytes_sent: u64,
    /// From the server.
    pub bytes_received: u64,
}

/// Some movies at once.
#[derive(Debug, Clone, PartialEq)]
pub struct Together {
    /// How many.
    pub movies: u32,
    /// Whether they shared the GPU; otherwise one job ran at a time.
    pub shared: bool,
    /// What the emulated network adds to a round trip.
    pub delay_ms: f64,
    /// Seconds from the first upload to the last end.
    pub total: f64,
}

/// All of it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Measured {
    /// Movies alone.
    pub runs: Vec<Run>,
    /// Movies at once.
    pub together: Vec<Together>,
}

impl Measured {
    /// The runs of one kind.
    pub fn of(&self, scenario: Scenario, frames: u32, delay_ms: f64) -> impl Iterator<Item = &Run> {
        self.runs.iter().filter(move |run| {
            run.scenario == scenario && run.frames == frames && run.delay_ms == delay_ms
        })
    }

    /// The median of what `value` takes from the runs of one kind; none without such runs.
    fn median(
        &self,
        (scenario, frames, delay_ms): (Scenario, u32, f64),
        value: impl Fn(&Run) -> f64,
    ) -> Option<f64> {
        let samples = Samples(self.of(scenario, frames, delay_ms).map(value).collect());
        (!samples.0.is_empty()).then(|| samples.median())
    }

    /// The median of movies at once.
    fn median_together(&self, movies: u32, shared: bool, delay_ms: f64) -> Option<f64> {
        let of_kind =
            |t: &&Together| t.movies == movies && t.shared == shared && t.delay_ms == delay_ms;
        let totals = self.together.iter().filter(of_kind).map(|t| t.total);
        let samples = Samples(totals.collect());
        (!samples.0.is_empty()).then(|| samples.median())
    }

    /// The different values, in order.
    fn values<T: PartialOrd + Copy>(values: impl Iterator<Item = T>) -> Vec<T> {
        let mut all: Vec<T> = values.collect();
        all.sort_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
        all.dedup_by(|a, b| a == b);
        all
    }

    fn lengths(&self) -> Vec<u32> {
        Self::values(self.runs.iter().map(|run| run.frames))
    }

    fn delays(&self) -> Vec<f64> {
        let remote = |run: &&Run| run.scenario == Scenario::PlatformRemote;
        Self::values(self.runs.iter().filter(remote).map(|run| run.delay_ms))
    }

    fn numbers(&self) -> Vec<u32> {
        Self::values(self.together.iter().map(|t| t.movies))
    }

    fn together_delays(&self) -> Vec<f64> {
        Self::values(self.together.iter().map(|t| t.delay_ms))
    }

    /// The runs as CSV.
    pub fn runs_csv(&self) -> String {
        let mut text = "scenario,frames,delay_ms".to_owned();
        for phase in PHASES {
            text += &format!(",{}_s", phase.replace(' ', "_"));
        }
        text += ",total_s,round_trips,bytes_sent,bytes_received\n";
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

    /// The movies at once as CSV.
    pub fn together_csv(&self) -> String {
        let mut text = "movies,jobs,delay_ms,total_s\n".to_owned();
        for t in &self.together {
            let jobs = if t.shared { "shared" } else { "one-at-a-time" };
            text += &format!("{},{jobs},{},{:.4}\n", t.movies, t.delay_ms, t.total);
        }
        text
    }

    /// The medians as tables in Markdown.
    pub fn tables(&self) -> String {
        let mut text = String::from("| scenario | added delay | frames |");
        for phase in PHASES {
            text += &format!(" {phase} |");
        }
        text += " in all | round trips | sent |\n|---|---|---|---|---|---|---|---|---|---|---|\n";
        let delays = self.delays();
        for scenario in Scenario::ALL {
            for &delay in delays.iter().chain(delays.is_empty().then_some(&0.0)) {
                for frames in self.lengths() {
                    text += &self.line((scenario, frames, delay)).unwrap_or_default();
                }
            }
        }
        if !self.together.is_empty() {
            text += "\n| movies at once | added delay | sharing the GPU | one at a time |\n|---|---|---|---|\n";
        }
        for delay in self.together_delays() {
            for movies in self.numbers() {
                let of = |shared| {
                    let seconds = self.median_together(movies, shared, delay);
                    seconds.map_or_else(String::new, |s| format!("{s:.1} s"))
                };
                text += &format!("| {movies} | {delay} ms | {} | {} |\n", of(true), of(false));
            }
        }
        text
    }

    fn line(&self, kind: (Scenario, u32, f64)) -> Option<String> {
        let total = self.median(kind, |run| run.total)?;
        let mut text = format!("| {} | {} ms | {} |", kind.0.title(), kind.2, kind.1);
        for phase in 0..PHASES.len() {
            let seconds = self.median(kind, |run| run.phases[phase])?;
            text += &format!(" {seconds:.2} s |");
        }
        text += &format!(" {total:.2} s |");
        let remote = self
            .of(kind.0, kind.1, kind.2)
            .all(|run| run.remote.is_some());
        let counted = |value: fn(Remote) -> u64| {
            self.median(kind, |run| run.remote.map_or(0.0, |r| value(r) as f64))
        };
        text += &match remote {
            true => format!(
                " {:.0} | {:.1} MB |\n",
                counted(|r| r.round_trips)?,
                counted(|r| r.bytes_sent)? / 1e6
            ),
            false => " | |\n".to_owned(),
        };
        Some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(scenario: Scenario, total: f64, remote: Option<Remote>) -> Run {
        Run {
            scenario,
            frames: 60,
            delay_ms: 0.2,
            phases: [0.5, 1.0, 1.5, 0.25, total - 3.25],
            total,
            remote,
        }
    }

    fn measured() -> Measured {
        let remote = Remote {
            round_trips: 12,
            bytes_sent: 3_000_000,
            bytes_received: 7,
        };
        let runs = [4.0, 9.0, 5.0].map(|total| run(Scenario::PlatformRemote, total, Some(remote)));
        let together = [(true, 6.0), (false, 10.0)].map(|(shared, total)| Together {
            movies: 2,
            shared,
            delay_ms: 0.0,
            total,
        });
        Measured {
            runs: runs.into(),
            together: together.into(),
        }
    }

    #[test]
    fn a_table_has_the_medians() {
        let tables = measured().tables();
        let line = "| platform, remote GPU | 0.2 ms | 60 | 0.50 s | 1.00 s | 1.50 s | 0.25 s | 1.75 s | 5.00 s | 12 | 3.0 MB |";
        assert!(tables.contains(line), "{tables}");
        assert!(tables.contains("| 2 | 0 ms | 6.0 s | 10.0 s |"), "{tables}");
        assert!(!tables.contains("CPU"), "{tables}");
    }

    #[test]
    fn csv_has_a_line_for_each_run() {
        let mut measured = measured();
        measured.runs = vec![
            measured.runs.remove(0),
            run(Scenario::PlatformCpu, 4.0, None),
        ];
        assert_eq!(
            measured.runs_csv(),
            "scenario,frames,delay_ms,initialise_container_s,import_modules_s,load_model_s,input_and_output_s,\
             processing_s,total_s,round_trips,bytes_sent,bytes_received\n\
             platform-remote,60,0.2,0.5000,1.0000,1.5000,0.2500,0.7500,4.0000,12,3000000,7\n\
             platform-cpu,60,0.2,0.5000,1.0000,1.5000,0.2500,0.7500,4.0000,,,\n"
        );
        assert_eq!(
            measured.together_csv(),
            "movies,jobs,delay_ms,total_s\n2,shared,0,6.0000\n2,one-at-a-time,0,10.0000\n"
        );
    }
}
