//! Which invocation runs next: pure policy, without clocks, stores or processes.
//!
//! First come, first served, under two limits: on all running jobs, and on those of one function. An invocation
//! that cannot start yet holds back later ones only where they compete for the same thing: the function's own
//! limit, or a GPU (see [`crate::broker`]).

mod matching;
mod state;

use std::collections::{HashMap, VecDeque};

pub use self::matching::{MAX_CHAIN, Match, match_event};
pub use self::state::{
    GpuLease, Invocation, InvocationId, Leavings, MAX_ATTEMPTS, Outcome, OutputObject, Phase,
    Recovery, State, Times, TransitionError, Trigger,
};

/// How many jobs may run at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// All together.
    pub total: usize,
    /// Of one function that sets no limit itself.
    pub per_function: usize,
}

/// What the queue must know of a waiting invocation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Its id.
    pub id: InvocationId,
    /// Its function.
    pub function: String,
    /// The function's own limit.
    pub max_parallel: Option<usize>,
    /// GPU memory that it needs.
    pub gpu: Option<u64>,
    /// Bucket, key and entity tag: with the function, what makes two waiting invocations the same.
    pub object: (String, String, String),
}

/// Whether an invocation can have what it needs beyond a free place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision<L> {
    /// Now.
    Grant(L),
    /// Not now.
    Wait,
    /// Never, and why.
    Never(String),
}

/// What to do with an invocation that has left the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step<L> {
    /// Start its job.
    Start(InvocationId, L),
    /// Fail it, for the reason given.
    Fail(InvocationId, String),
}

/// The queue.
#[derive(Debug)]
pub struct Queue {
    limits: Limits,
    waiting: VecDeque<Waiting>,
    running: HashMap<InvocationId, String>,
}

impl Queue {
    /// An empty queue.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            waiting: VecDeque::new(),
            running: HashMap::new(),
        }
    }

    /// The invocation that already waits to do the same work, if any.
    #[must_use]
    pub fn duplicate_of(
        &self,
        function: &str,
        object: &(String, String, String),
    ) -> Option<InvocationId> {
        self.waiting
            .iter()
            .find(|w| w.function == function && w.object == *object)
            .map(|w| w.id)
    }

    /// Adds an invocation at the end.
    pub fn push(&mut self, waiting: Waiting) {
        self.waiting.push_back(waiting);
    }

    /// Takes an invocation out, if it waits.
    pub fn withdraw(&mut self, id: InvocationId) -> bool {
        let before = self.waiting.len();
        self.waiting.retain(|w| w.id != id);
        self.waiting.len() < before
    }

    /// Takes all waiting invocations of a function out.
    pub fn withdraw_function(&mut self, function: &str) -> Vec<InvocationId> {
        let (gone, kept) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition(|w| w.function == function);
        self.waiting = kept;
        let gone: VecDeque<Waiting> = gone;
        gone.into_iter().map(|w| w.id).collect()
    }

    /// A function was changed: its waiting invocations have its new needs.
    pub fn update_function(
        &mut self,
        function: &str,
        max_parallel: Option<usize>,
        gpu: Option<u64>,
    ) {
        for w in self.waiting.iter_mut().filter(|w| w.function == function) {
            w.max_parallel = max_parallel;
            w.gpu = gpu;
        }
    }

    /// A job has ended; its place is free.
    pub fn finished(&mut self, id: InvocationId) {
        self.running.remove(&id);
    }

    /// How many wait, and how many run.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        (self.waiting.len(), self.running.len())
    }

    /// The waiting invocations that need a GPU.
    pub fn waiting_for_gpu(&self) -> impl Iterator<Item = &Waiting> {
        self.waiting.iter().filter(|w| w.gpu.is_some())
    }

    /// Everything that can leave the queue now, in order. `decide` is asked in order of arrival, once for each
    /// invocation that has a free place.
    pub fn schedule<L>(&mut self, mut decide: impl FnMut(&Waiting) -> Decision<L>) -> Vec<Step<L>> {
        let mut steps = Vec::new();
        let mut kept = VecDeque::with_capacity(self.waiting.len());
        for waiting in std::mem::take(&mut self.waiting) {
            if !self.has_place(&waiting) {
                kept.push_back(waiting);
                continue;
            }
            match decide(&waiting) {
                Decision::Grant(lease) => {
                    steps.push(Step::Start(waiting.id, lease));
                    self.running.insert(waiting.id, waiting.function);
                }
                Decision::Wait => kept.push_back(waiting),
                Decision::Never(reason) => steps.push(Step::Fail(waiting.id, reason)),
            }
        }
        self.waiting = kept;
        steps
    }

    fn has_place(&self, waiting: &Waiting) -> bool {
        let limit = waiting.max_parallel.unwrap_or(self.limits.per_function);
        self.running.len() < self.limits.total
            && self
                .running
                .values()
                .filter(|f| **f == waiting.function)
                .count()
                < limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn waiting(id: i64, function: &str) -> Waiting {
        Waiting {
            id: InvocationId(id),
            function: function.into(),
            max_parallel: None,
            gpu: None,
            object: ("b".into(), format!("k{id}"), "e".into()),
        }
    }

    fn queue(total: usize, per_function: usize) -> Queue {
        Queue::new(Limits {
            total,
            per_function,
        })
    }

    fn started(queue: &mut Queue) -> Vec<i64> {
        let ids = |s: Step<()>| match s {
            Step::Start(id, ()) | Step::Fail(id, _) => id.0,
        };
        queue
            .schedule(|_| Decision::Grant(()))
            .into_iter()
            .map(ids)
            .collect()
    }

    #[test]
    fn first_come_first_served_under_the_limits() {
        let mut q = queue(3, 2);
        for (id, f) in [(1, "a"), (2, "a"), (3, "a"), (4, "b"), (5, "b")] {
            q.push(waiting(id, f));
        }
        assert_eq!(started(&mut q), [1, 2, 4]);
        assert_eq!(started(&mut q), [0; 0]);
        q.finished(InvocationId(1));
        assert_eq!(started(&mut q), [3]);
        q.finished(InvocationId(4));
        q.finished(InvocationId(2));
        assert_eq!(started(&mut q), [5]);
        assert_eq!(q.counts(), (0, 2));
    }

    #[test]
    fn a_function_may_set_its_own_limit() {
        let mut q = queue(8, 8);
        for id in 1..4 {
            q.push(Waiting {
                max_parallel: Some(1),
                ..waiting(id, "a")
            });
        }
        assert_eq!(started(&mut q), [1]);
        q.update_function("a", Some(2), None);
        assert_eq!(started(&mut q), [2]);
    }

    #[test]
    fn waiting_and_impossible_ones_do_not_hold_others_back() {
        let mut q = queue(8, 8);
        for id in 1..4 {
            q.push(waiting(id, "a"));
        }
        let steps = q.schedule(|w| match w.id.0 {
            1 => Decision::Wait,
            2 => Decision::Never("no such GPU".into()),
            _ => Decision::Grant(()),
        });
        assert_eq!(
            steps,
            [
                Step::Fail(InvocationId(2), "no such GPU".into()),
                Step::Start(InvocationId(3), ())
            ]
        );
        assert_eq!(q.counts(), (1, 1));
    }

    #[test]
    fn the_same_work_waits_only_once() {
        let mut q = queue(1, 1);
        let w = waiting(1, "a");
        let object = w.object.clone();
        q.push(w);
        assert_eq!(q.duplicate_of("a", &object), Some(InvocationId(1)));
        assert_eq!(q.duplicate_of("b", &object), None);
        started(&mut q);
        assert_eq!(
            q.duplicate_of("a", &object),
            None,
            "a running job may have read the older object"
        );
    }

    #[test]
    fn withdrawn_ones_never_start() {
        let mut q = queue(9, 9);
        for (id, f) in [(1, "a"), (2, "b"), (3, "a")] {
            q.push(waiting(id, f));
        }
        assert!(q.withdraw(InvocationId(2)));
        assert!(!q.withdraw(InvocationId(2)));
        assert_eq!(q.withdraw_function("a"), [InvocationId(1), InvocationId(3)]);
        assert_eq!(started(&mut q), [0; 0]);
    }

    proptest! {
        #[test]
        fn limits_hold_and_everything_runs_in_the_end(
            arrivals in prop::collection::vec((0u8..4, 1usize..3), 1..40),
            total in 1usize..5,
        ) {
            let mut q = queue(total, 2);
            for (id, (function, max)) in arrivals.iter().enumerate() {
                let id = i64::try_from(id).unwrap();
                q.push(Waiting { max_parallel: Some(*max), ..waiting(id, &function.to_string()) });
            }
            let mut running: Vec<i64> = Vec::new();
            let mut seen = 0;
            while seen < arrivals.len() {
                let now = started(&mut q);
                seen += now.len();
                running.extend(now);
                prop_assert!(!running.is_empty() && running.len() <= total);
                for f in 0u8..4 {
                    let of = |id: &&i64| arrivals[usize::try_from(**id).unwrap()].0 == f;
                    prop_assert!(running.iter().filter(of).count() <= 2);
                }
                let done = running.remove(0);
                q.finished(InvocationId(done));
            }
        }
    }
}
