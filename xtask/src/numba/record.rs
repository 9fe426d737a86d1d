//! What became of each test, as `tests/numba-cuda/conftest.py` wrote it down.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde_json::Value;

/// What became of a test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Passed,
    Failed,
    Skipped,
    /// Its authors say that it fails, and it does.
    ExpectedToFail,
}

impl Outcome {
    fn of(word: &str) -> Option<Self> {
        match word {
            "passed" => Some(Self::Passed),
            "failed" => Some(Self::Failed),
            "skipped" => Some(Self::Skipped),
            "xfailed" => Some(Self::ExpectedToFail),
            _ => None,
        }
    }
}

/// A test that is over.
#[derive(Debug, Clone)]
pub(super) struct Test {
    pub(super) name: String,
    pub(super) outcome: Outcome,
    pub(super) why: String,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Record {
    tests: Vec<Test>,
}

impl Record {
    /// Reads one line a test; of a test with several (it failed, and so did what cleans up after it) the worst counts.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let mut tests: BTreeMap<String, Test> = BTreeMap::new();
        for line in text.lines() {
            let test = read(line).with_context(|| format!("a line of the record: {line}"))?;
            match tests.get_mut(&test.name) {
                Some(known) if test.outcome == Outcome::Failed => *known = test,
                Some(_) => {}
                None => {
                    tests.insert(test.name.clone(), test);
                }
            }
        }
        Ok(Self {
            tests: tests.into_values().collect(),
        })
    }

    pub(super) fn count(&self, outcome: Outcome) -> usize {
        let tests = self.tests.iter();
        tests.filter(|test| test.outcome == outcome).count()
    }

    pub(super) fn failed(&self) -> impl Iterator<Item = &Test> {
        let tests = self.tests.iter();
        tests.filter(|test| test.outcome == Outcome::Failed)
    }
}

fn read(line: &str) -> Option<Test> {
    let value: Value = serde_json::from_str(line).ok()?;
    let text = |key: &str| value.get(key).and_then(Value::as_str);
    Some(Test {
        name: text("test")?.to_owned(),
        outcome: Outcome::of(text("outcome")?)?,
        why: text("why")?.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_of_a_test_counts() {
        let text = r#"{"test": "a", "outcome": "passed", "why": ""}
{"test": "a", "outcome": "failed", "why": "the end"}
{"test": "b", "outcome": "skipped", "why": "no"}
{"test": "c", "outcome": "failed", "why": "first"}
{"test": "c", "outcome": "passed", "why": ""}"#;
        let record = Record::parse(text).unwrap();
        let failed: Vec<(&str, &str)> = record
            .failed()
            .map(|test| (test.name.as_str(), test.why.as_str()))
            .collect();
        assert_eq!(failed, [("a", "the end"), ("c", "first")]);
        assert_eq!(record.count(Outcome::Skipped), 1);
        assert!(Record::parse("no record").is_err());
    }
}
