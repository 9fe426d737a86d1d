//! What passes from the start of a TensorFlow process to its first results, locally and on a remote GPU, with what a first
//! job leaves to a second one.

use serde::Deserialize;

use crate::stats::Samples;

/// The program; it writes [`Seconds`] to the file that it is given.
pub const PROGRAM: &str = include_str!("startup.py");

/// How a job finds the GPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Case {
    /// The software GPU in the process; no kernel is compiled yet.
    LocalFirst,
    /// The same; the kernels are in the cache on disk.
    LocalSecond,
    /// A server that holds no modules and has compiled no kernels; a warm worker.
    RemoteFirst,
    /// The same server after the first job.
    RemoteSecond,
    /// After the first job, and the worker starts when the client comes.
    RemoteCold,
}

impl Case {
    /// All, in the order in which they are run.
    pub const ALL: [Self; 5] = [
        Self::LocalFirst,
        Self::LocalSecond,
        Self::RemoteFirst,
        Self::RemoteSecond,
        Self::RemoteCold,
    ];

    /// For people.
    pub const fn title(self) -> &'static str {
        match self {
            Self::LocalFirst => "local, first job",
            Self::LocalSecond => "local, second job",
            Self::RemoteFirst => "remote, first job",
            Self::RemoteSecond => "remote, second job",
            Self::RemoteCold => "remote, later job, no warm worker",
        }
    }
}

/// What the program measures, in its order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize)]
pub struct Seconds {
    interpreter: f64,
    import: f64,
    context: f64,
    product: f64,
    convolution: f64,
    compiled: f64,
    again: f64,
}

const COLUMNS: [&str; 7] = [
    "interpreter",
    "import",
    "context",
    "first product",
    "first convolution",
    "first kernel compiled by XLA",
    "the three again",
];

impl Seconds {
    const fn columns(&self) -> [f64; COLUMNS.len()] {
        [
            self.interpreter,
            self.import,
            self.context,
            self.product,
            self.convolution,
            self.compiled,
            self.again,
        ]
    }

    /// To the first result, the product.
    pub fn first_result(&self) -> f64 {
        self.columns()[..4].iter().sum()
    }
}

/// What the client of a remote GPU counted.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub struct Counted {
    connect_seconds: f64,
    module_load_seconds: f64,
    round_trips: u64,
    bytes_sent: u64,
    modules_loaded: u64,
    module_bytes_sent: u64,
}

/// One process.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Job {
    /// How.
    pub case: Case,
    /// Its phases.
    pub seconds: Seconds,
    /// If its GPU was remote.
    pub counted: Option<Counted>,
}

/// Medians, as Markdown: the phases in seconds, and what was sent.
pub fn tables(jobs: &[Job]) -> String {
    let of = |case| jobs.iter().filter(move |job| job.case == case);
    let median =
        |case, value: &dyn Fn(&Job) -> f64| Samples(of(case).map(value).collect()).median();
    let mut text = format!("| | {} | to the first result |\n", COLUMNS.join(" | "));
    text += &format!("|---|{}\n", "---|".repeat(COLUMNS.len() + 1));
    let measured = |case: &Case| of(*case).next().is_some();
    for case in Case::ALL.into_iter().filter(measured) {
        text += &format!("| {} |", case.title());
        for column in 0..COLUMNS.len() {
            let seconds = median(case, &|job| job.seconds.columns()[column]);
            text += &format!(" {seconds:.2} |");
        }
        let first = median(case, &|job| job.seconds.first_result());
        text += &format!(" {first:.2} |\n");
    }
    text += "\n| | connect | module calls | modules | round trips | sent | of it modules |\n|---|---|---|---|---|---|---|\n";
    for case in Case::ALL {
        if !of(case).any(|job| job.counted.is_some()) {
            continue;
        }
        let counted =
            |value: fn(Counted) -> f64| median(case, &|job| job.counted.map_or(0.0, value));
        text += &format!(
            "| {} | {:.3} s | {:.3} s | {:.0} | {:.0} | {:.2} MB | {:.2} MB |\n",
            case.title(),
            counted(|c| c.connect_seconds),
            counted(|c| c.module_load_seconds),
            counted(|c| c.modules_loaded as f64),
            counted(|c| c.round_trips as f64),
            counted(|c| c.bytes_sent as f64) / 1e6,
            counted(|c| c.module_bytes_sent as f64) / 1e6,
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_have_medians_of_what_was_measured() {
        let job = |case, import, sent| Job {
            case,
            seconds: Seconds {
                interpreter: 0.25,
                import,
                context: 0.5,
                product: 0.25,
                convolution: 1.0,
                ..Seconds::default()
            },
            counted: (case == Case::RemoteFirst).then_some(Counted {
                connect_seconds: 0.002,
                module_load_seconds: 0.125,
                round_trips: 40,
                bytes_sent: sent,
                modules_loaded: 9,
                module_bytes_sent: sent / 2,
            }),
        };
        let jobs = [
            job(Case::LocalSecond, 2.0, 0),
            job(Case::RemoteFirst, 3.0, 1_000_000),
            job(Case::RemoteFirst, 1.0, 3_000_000),
        ];
        let tables = tables(&jobs);
        let local =
            "| local, second job | 0.25 | 2.00 | 0.50 | 0.25 | 1.00 | 0.00 | 0.00 | 3.00 |\n";
        assert!(tables.contains(local), "{tables}");
        let remote = "| remote, first job | 0.002 s | 0.125 s | 9 | 40 | 2.00 MB | 1.00 MB |\n";
        assert!(tables.ends_with(remote), "{tables}");
        assert!(!tables.contains("no warm worker"), "{tables}");
    }
}
