//! Answers that are known. What is asked about algorithms depends only on the question and on the device, and a
//! session has one device.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rgpu_client_libs::session;
use rgpu_proto::library::{Client, Fault};
use rgpu_proto::opcode::Opcode;
use rgpu_proto::wire::{self, Decode, Encode, Reader};

use crate::api::Result;

/// As many as NVIDIA's library keeps unless told otherwise (cuBLAS, "cublasLtHeuristicsCacheSetCapacity").
const CAPACITY: usize = 8192;

/// An operation, and the body of its call.
type Question = (u16, Vec<u8>);

/// Questions and the results that were given.
#[derive(Debug)]
struct Answers {
    capacity: usize,
    known: Option<HashMap<Question, Vec<u8>>>,
}

impl Answers {
    const fn new(capacity: usize) -> Self {
        Self {
            capacity,
            known: None,
        }
    }

    fn get(&self, question: &Question) -> Option<Vec<u8>> {
        self.known.as_ref()?.get(question).cloned()
    }

    /// Keeps an answer. Where there are too many, a program that asks ever new questions gains nothing by the
    /// old ones, so all are forgotten.
    fn keep(&mut self, question: Question, answer: Vec<u8>) {
        let known = self.known.get_or_insert_default();
        if known.len() >= self.capacity {
            known.clear();
        }
        if self.capacity > 0 {
            known.insert(question, answer);
        }
    }
}

fn answers() -> MutexGuard<'static, Answers> {
    static ANSWERS: Mutex<Answers> = Mutex::new(Answers::new(CAPACITY));
    // The map is valid between statements, whatever happened to the last holder.
    ANSWERS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How many answers are kept.
pub(crate) fn capacity() -> usize {
    answers().capacity
}

/// Keeps at most `capacity` answers from now on.
pub(crate) fn set_capacity(capacity: usize) {
    let mut answers = answers();
    answers.capacity = capacity;
    answers.known = None;
}

/// The answer to `question`: known, or the server's. Failures are not kept, as one may be that of an earlier call.
pub(crate) fn ask<T: Decode>(op: Opcode, question: &impl Encode) -> Result<T> {
    let session = session::get()?;
    let question = (op.0, wire::to_bytes(question));
    let known = answers().get(&question);
    let broken = |error| (&session).broken(op, error);
    let answer = match known {
        Some(answer) => answer,
        None => {
            let answer = (&session).call(op, &question.1)?;
            let mut reader = Reader::new(&answer);
            Fault::from_code(u32::decode(&mut reader).map_err(broken)?)?;
            let results = reader.rest().to_vec();
            answers().keep(question, results.clone());
            results
        }
    };
    wire::from_bytes(&answer).map_err(broken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_kept_by_operation_and_question() {
        let mut answers = Answers::new(2);
        answers.keep((1, vec![1]), vec![10]);
        assert_eq!(answers.get(&(1, vec![1])), Some(vec![10]));
        assert_eq!(answers.get(&(2, vec![1])), None);
        assert_eq!(answers.get(&(1, vec![2])), None);
    }

    #[test]
    fn no_more_are_kept_than_there_is_room_for() {
        let mut answers = Answers::new(2);
        for question in 0..9 {
            answers.keep((1, vec![question]), vec![question]);
            assert!(answers.known.as_ref().is_some_and(|known| known.len() <= 2));
            assert_eq!(answers.get(&(1, vec![question])), Some(vec![question]));
        }
        let mut none = Answers::new(0);
        none.keep((1, vec![1]), vec![10]);
        assert_eq!(none.get(&(1, vec![1])), None);
    }
}
