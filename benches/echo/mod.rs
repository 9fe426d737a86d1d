//! The paper's experiment: movies of a heart, classified in four scenarios. What was measured, as rows, [csv], tables
//! and [figures].

pub mod csv;
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

/// What is in none of them.
pub const REST: &str = "end of the process";

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

impl Run {
    /// What is in no phase: above all the interpreter's end.
    pub fn rest(&self) -> f64 {
        (self.total - self.phases.iter().sum::<f64>()).max(0.0)
    }
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

    /// The medians as tables in Markdown.
    pub fn tables(&self) -> String {
        let mut text = String::from("| scenario | added delay | frames |");
        for phase in PHASES {
            text += &format!(" {phase} |");
        }
        text += " end | in all | round trips | sent | received |\n";
        text += "|---|---|---|---|---|---|---|---|---|---|---|---|---|\n";
        let delays = self.delays();
        for scenario in Scenario::ALL {
            for &delay in delays.iter().chain(delays.is_empty().then_some(&0.0)) {
                for frames in self.lengths() {
                    text += &self.line((scenario, frames, delay)).unwrap_or_default();
                }
            }
        }
        text += &self.ratios();
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

    /// The remote GPU's cost, where it and a local one were measured.
    fn ratios(&self) -> String {
        let mut text = String::new();
        for frames in self.lengths() {
            let total = |scenario| self.median((scenario, frames, 0.0), |run| run.total);
            let Some(remote) = total(Scenario::PlatformRemote) else {
                continue;
            };
            let against = |scenario| {
                let local = total(scenario);
                local.map_or_else(String::new, |local| format!("{:.2}", remote / local))
            };
            let job = against(Scenario::PlatformLocal);
            let console = against(Scenario::ConsoleLocal);
            let cpu = against(Scenario::PlatformCpu);
            text += &format!("| {frames} | {job} | {console} | {cpu} |\n");
        }
        if !text.is_empty() {
            text = format!(
                "\nA job on the remote GPU, without added delay, from start to finish, against:\n\n\
                 | frames | a job on a local GPU | the console on a local GPU | a job on the CPU only |\n\
                 |---|---|---|---|\n{text}"
            );
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
        let rest = self.median(kind, Run::rest)?;
        text += &format!(" {rest:.2} s | {total:.2} s |");
        let remote = self
            .of(kind.0, kind.1, kind.2)
            .all(|run| run.remote.is_some());
        let counted = |value: fn(Remote) -> u64| {
            self.median(kind, |run| run.remote.map_or(0.0, |r| value(r) as f64))
        };
        text += &match remote {
            true => format!(
                " {:.0} | {:.1} MB | {:.2} MB |\n",
                counted(|r| r.round_trips)?,
                counted(|r| r.bytes_sent)? / 1e6,
                counted(|r| r.bytes_received)? / 1e6
            ),
            false => " | | |\n".to_owned(),
        };
        Some(text)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn run(scenario: Scenario, total: f64, remote: Option<Remote>) -> Run {
        Run {
            scenario,
            frames: 60,
            delay_ms: 0.2,
            phases: [0.5, 1.0, 1.5, 0.25, total - 3.25],
            total,
            remote,
        }
    }

    pub(crate) fn measured() -> Measured {
        let remote = Remote {
            round_trips: 12,
            bytes_sent: 3_000_000,
            bytes_received: 12_000,
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
        let line = "| platform, remote GPU | 0.2 ms | 60 | 0.50 s | 1.00 s | 1.50 s | 0.25 s | 1.75 s | 0.00 s | 5.00 s | 12 | 3.0 MB | 0.01 MB |";
        assert!(tables.contains(line), "{tables}");
        assert!(tables.contains("| 2 | 0 ms | 6.0 s | 10.0 s |"), "{tables}");
        assert!(!tables.contains("CPU"), "{tables}");
    }

    #[test]
    fn the_remote_gpu_is_held_against_the_local_ones() {
        let mut measured = Measured::default();
        for (scenario, total) in Scenario::ALL.into_iter().zip([5.0, 4.0, 6.0, 8.0]) {
            measured.runs.push(Run {
                delay_ms: 0.0,
                ..run(scenario, total, None)
            });
        }
        let tables = measured.tables();
        assert!(
            tables.contains("\n| 60 | 0.75 | 1.20 | 1.50 |\n"),
            "{tables}"
        );
    }

    #[test]
    fn what_is_in_no_phase_is_the_rest() {
        let mut run = run(Scenario::PlatformCpu, 4.0, None);
        run.total = 4.5;
        assert_eq!(run.rest(), 0.5);
    }
}
