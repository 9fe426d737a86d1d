//! One invocation of a function and the states it passes through.
//!
//! ```text
//!            begin              finish
//! Pending ----------> Running ----------> Succeeded | Failed | Cancelled
//!    |  ^                |
//!    |  '----------------'  recover: once, after the scheduler went away
//!    '-------------------------------> Failed | Cancelled
//! ```
//!
//! A running invocation also has a phase, which only moves forward. Nothing here reads clocks or stores.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::store::Chain;
use crate::time::Timestamp;

/// Names an invocation; never used twice by one scheduler.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct InvocationId(pub i64);

impl fmt::Display for InvocationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The states.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum State {
    /// Waits for its turn.
    Pending,
    /// A job works on it.
    Running,
    /// The script exited with 0 and its results are stored.
    Succeeded,
    /// Anything else went wrong; see the error.
    Failed,
    /// Somebody asked for it.
    Cancelled,
}

impl State {
    /// All states.
    pub const ALL: [Self; 5] = [
        Self::Pending,
        Self::Running,
        Self::Succeeded,
        Self::Failed,
        Self::Cancelled,
    ];

    /// The state's name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Running => "Running",
            Self::Succeeded => "Succeeded",
            Self::Failed => "Failed",
            Self::Cancelled => "Cancelled",
        }
    }

    /// Whether nothing more will happen.
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }
}

impl std::str::FromStr for State {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL
            .into_iter()
            .find(|s| s.as_str().eq_ignore_ascii_case(text));
        found.ok_or_else(|| format!("`{text}` is no state; the states are Pending, Running, Succeeded, Failed, Cancelled"))
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What a running job is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Waiting; not started.
    Queued,
    /// Folders and files of the job are made.
    Prepare,
    /// The input object is downloaded.
    Input,
    /// The script's process is started.
    Start,
    /// The script runs.
    Run,
    /// Results are uploaded.
    Output,
}

/// When each phase began; a phase that never began has no time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Times {
    /// The event was recorded.
    pub queued: Timestamp,
    /// The job was taken up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prepare: Option<Timestamp>,
    /// The download began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Timestamp>,
    /// The process was about to be started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<Timestamp>,
    /// The process ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<Timestamp>,
    /// The process had ended and results were being uploaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Timestamp>,
    /// The invocation reached its final state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished: Option<Timestamp>,
}

impl Times {
    fn new(queued: Timestamp) -> Self {
        Self {
            queued,
            prepare: None,
            input: None,
            start: None,
            run: None,
            output: None,
            finished: None,
        }
    }

    /// Each phase that began, with how long it lasted; the last one lasts until `finished`, or `now`.
    #[must_use]
    pub fn durations(&self, now: Timestamp) -> Vec<(Phase, Duration)> {
        let begun = [
            (Phase::Queued, Some(self.queued)),
            (Phase::Prepare, self.prepare),
            (Phase::Input, self.input),
            (Phase::Start, self.start),
            (Phase::Run, self.run),
            (Phase::Output, self.output),
        ];
        let begun: Vec<_> = begun
            .into_iter()
            .filter_map(|(phase, at)| Some((phase, at?)))
            .collect();
        let ends = begun
            .iter()
            .skip(1)
            .map(|(_, at)| *at)
            .chain([self.finished.unwrap_or(now)]);
        begun
            .iter()
            .zip(ends)
            .map(|((phase, from), to)| (*phase, to.since(*from)))
            .collect()
    }
}

/// Where a job's share of a GPU is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GpuLease {
    /// The GPU server's URL.
    pub server: String,
    /// The device's index there.
    pub device: u32,
    /// The device's name.
    pub device_name: String,
    /// Bytes of its memory.
    pub memory: u64,
}

/// The object that an invocation is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trigger {
    /// Its bucket.
    pub bucket: String,
    /// Its key.
    pub key: String,
    /// Its size at the event.
    pub size: u64,
    /// Its entity tag at the event.
    pub etag: String,
    /// The event's name.
    pub event_id: String,
}

/// An object that a job made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputObject {
    /// Its bucket.
    pub bucket: String,
    /// Its key.
    pub key: String,
    /// Its size.
    pub size: u64,
}

/// How a job ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// The script exited with 0 and its results are stored.
    Succeeded,
    /// It failed.
    Failed {
        /// The script's exit code, if it exited by itself.
        exit_code: Option<i32>,
        /// Why, in one line.
        error: String,
    },
    /// It was cancelled.
    Cancelled,
}

/// What a job leaves behind, however it ended.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Leavings {
    /// Objects that it made.
    pub outputs: Vec<OutputObject>,
    /// What the GPU client wrote to `RGPU_STATS`.
    pub stats: Option<Value>,
}

/// One invocation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Invocation {
    /// Its id.
    pub id: InvocationId,
    /// The function's name.
    pub function: String,
    /// What started it.
    pub trigger: Trigger,
    /// The functions that led to it, itself last.
    pub chain: Chain,
    /// Its state.
    pub state: State,
    /// What it is doing, or was doing last.
    pub phase: Phase,
    /// How often it was begun.
    pub attempt: u32,
    /// When each phase began.
    pub times: Times,
    /// The script's exit code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Its share of a GPU.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu: Option<GpuLease>,
    /// The log's path, relative to the scheduler's folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<String>,
    /// What the GPU client measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stats: Option<Value>,
    /// Objects that it made.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outputs: Vec<OutputObject>,
}

/// A step that the state does not allow: a bug of the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invocation {id} is {state} in phase {phase:?}: it cannot {step}")]
pub struct TransitionError {
    id: InvocationId,
    state: State,
    phase: Phase,
    step: &'static str,
}

/// What became of a running invocation whose scheduler went away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recovery {
    /// It waits again.
    Retried,
    /// It had its second chance already.
    GivenUp,
}

/// A job that was cut off is begun again until it has been begun this often.
pub const MAX_ATTEMPTS: u32 = 2;

impl Invocation {
    /// A new one, waiting.
    #[must_use]
    pub fn new(
        id: InvocationId,
        function: String,
        trigger: Trigger,
        chain: Chain,
        now: Timestamp,
    ) -> Self {
        Self {
            id,
            function,
            trigger,
            chain,
            state: State::Pending,
            phase: Phase::Queued,
            attempt: 0,
            times: Times::new(now),
            exit_code: None,
            error: None,
            gpu: None,
            log: None,
            stats: None,
            outputs: Vec::new(),
        }
    }

    fn refuse(&self, step: &'static str) -> TransitionError {
        TransitionError {
            id: self.id,
            state: self.state,
            phase: self.phase,
            step,
        }
    }

    /// Pending → Running.
    pub fn begin(
        &mut self,
        gpu: Option<GpuLease>,
        log: String,
        now: Timestamp,
    ) -> Result<(), TransitionError> {
        if self.state != State::Pending {
            return Err(self.refuse("begin"));
        }
        self.state = State::Running;
        self.phase = Phase::Prepare;
        self.attempt += 1;
        self.times.prepare = Some(now);
        self.gpu = gpu;
        self.log = Some(log);
        Ok(())
    }

    /// A later phase of a running job.
    pub fn advance(&mut self, phase: Phase, now: Timestamp) -> Result<(), TransitionError> {
        if self.state != State::Running || phase <= self.phase {
            return Err(self.refuse("advance"));
        }
        let slot = match phase {
            Phase::Queued | Phase::Prepare => return Err(self.refuse("advance")),
            Phase::Input => &mut self.times.input,
            Phase::Start => &mut self.times.start,
            Phase::Run => &mut self.times.run,
            Phase::Output => &mut self.times.output,
        };
        *slot = Some(now);
        self.phase = phase;
        Ok(())
    }

    /// The end, from any state that is not final; only a running job can succeed.
    pub fn finish(
        &mut self,
        outcome: Outcome,
        leavings: Leavings,
        now: Timestamp,
    ) -> Result<(), TransitionError> {
        let begun = self.state == State::Running;
        if self.state.is_final() || (outcome == Outcome::Succeeded && !begun) {
            return Err(self.refuse("finish"));
        }
        (self.state, self.exit_code, self.error) = match outcome {
            Outcome::Succeeded => (State::Succeeded, Some(0), None),
            Outcome::Failed { exit_code, error } => (State::Failed, exit_code, Some(error)),
            Outcome::Cancelled => (State::Cancelled, None, Some("cancelled".to_owned())),
        };
        self.outputs = leavings.outputs;
        self.stats = leavings.stats;
        self.times.finished = Some(now);
        Ok(())
    }

    /// After a restart: a running invocation waits again, or fails if it was cut off before.
    pub fn recover(&mut self, now: Timestamp) -> Result<Recovery, TransitionError> {
        if self.state != State::Running {
            return Err(self.refuse("recover"));
        }
        if self.attempt >= MAX_ATTEMPTS {
            let error = format!(
                "scheduler restarted while the job ran, {} times",
                self.attempt
            );
            self.finish(
                Outcome::Failed {
                    exit_code: None,
                    error,
                },
                Leavings::default(),
                now,
            )?;
            return Ok(Recovery::GivenUp);
        }
        self.state = State::Pending;
        self.phase = Phase::Queued;
        self.gpu = None;
        self.times = Times::new(self.times.queued);
        Ok(Recovery::Retried)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(micros: i64) -> Timestamp {
        Timestamp::from_micros(micros)
    }

    fn invocation(id: i64, function: &str, key: &str) -> Invocation {
        let trigger = Trigger {
            bucket: "bucket".into(),
            key: key.into(),
            size: 1,
            etag: "etag".into(),
            event_id: format!("{id:016X}"),
        };
        Invocation::new(
            InvocationId(id),
            function.into(),
            trigger,
            Chain(vec![function.into()]),
            at(id),
        )
    }

    fn failed() -> Outcome {
        Outcome::Failed {
            exit_code: Some(3),
            error: "script exited with 3".into(),
        }
    }

    #[test]
    fn a_job_goes_through_its_phases() {
        let mut i = invocation(1, "f", "a");
        i.begin(None, "logs/1.log".into(), at(11)).unwrap();
        for (n, phase) in [Phase::Input, Phase::Start, Phase::Run, Phase::Output]
            .into_iter()
            .enumerate()
        {
            i.advance(phase, at(12 + n as i64)).unwrap();
        }
        i.finish(Outcome::Succeeded, Leavings::default(), at(20))
            .unwrap();
        assert_eq!((i.state, i.exit_code), (State::Succeeded, Some(0)));
        let spans: Vec<u128> = i
            .times
            .durations(at(99))
            .iter()
            .map(|(_, d)| d.as_micros())
            .collect();
        assert_eq!(spans, [10, 1, 1, 1, 1, 5]);
    }

    #[test]
    fn steps_out_of_order_are_refused() {
        let mut i = invocation(1, "f", "a");
        assert!(i.advance(Phase::Run, at(2)).is_err());
        assert!(
            i.finish(Outcome::Succeeded, Leavings::default(), at(2))
                .is_err()
        );
        i.begin(None, String::new(), at(2)).unwrap();
        assert!(i.begin(None, String::new(), at(3)).is_err());
        i.advance(Phase::Run, at(3)).unwrap();
        assert!(i.advance(Phase::Input, at(4)).is_err());
        i.finish(failed(), Leavings::default(), at(5)).unwrap();
        assert!(
            i.finish(Outcome::Cancelled, Leavings::default(), at(6))
                .is_err()
        );
        assert!(i.recover(at(7)).is_err());
        assert_eq!((i.state, i.exit_code), (State::Failed, Some(3)));
    }

    #[test]
    fn a_job_that_was_cut_off_has_one_more_chance() {
        let mut i = invocation(1, "f", "a");
        i.begin(None, String::new(), at(2)).unwrap();
        assert_eq!(i.recover(at(3)), Ok(Recovery::Retried));
        assert_eq!((i.state, i.times), (State::Pending, Times::new(at(1))));
        i.begin(None, String::new(), at(4)).unwrap();
        assert_eq!(i.recover(at(5)), Ok(Recovery::GivenUp));
        assert_eq!(i.state, State::Failed);
        assert!(i.error.unwrap().starts_with("scheduler restarted"));
    }

    proptest! {
        /// No sequence of steps leaves a final state, or reaches success without a run.
        #[test]
        fn final_states_are_final(steps in prop::collection::vec(0u8..9, 0..30)) {
            let mut i = invocation(1, "f", "a");
            for (n, step) in steps.into_iter().enumerate() {
                let before = i.clone();
                let now = at(n as i64);
                let done = match step {
                    0 => i.begin(None, String::new(), now).is_ok(),
                    1 => i.advance(Phase::Input, now).is_ok(),
                    2 => i.advance(Phase::Start, now).is_ok(),
                    3 => i.advance(Phase::Run, now).is_ok(),
                    4 => i.advance(Phase::Output, now).is_ok(),
                    5 => i.finish(Outcome::Succeeded, Leavings::default(), now).is_ok(),
                    6 => i.finish(failed(), Leavings::default(), now).is_ok(),
                    7 => i.finish(Outcome::Cancelled, Leavings::default(), now).is_ok(),
                    _ => i.recover(now).is_ok(),
                };
                if before.state.is_final() || !done {
                    prop_assert_eq!(&i, &before);
                }
                if i.state == State::Succeeded {
                    prop_assert!(i.attempt > 0 && i.times.finished.is_some());
                }
                prop_assert!(i.attempt <= MAX_ATTEMPTS);
            }
        }
    }
}
