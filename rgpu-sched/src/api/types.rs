//! What the API says, in JSON; the client reads the same types.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::broker::ServerView;
use crate::function::FunctionSpec;
use crate::queue::State;
use crate::time::Timestamp;

/// `GET /health`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Health {
    /// `ok`.
    pub status: String,
    /// The program's version.
    pub version: String,
    /// Where the object store listens.
    pub store: String,
    /// Invocations that wait.
    pub waiting: usize,
    /// Jobs that run.
    pub running: usize,
}

/// `POST /v1/functions`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Applied {
    /// The function's name.
    pub name: String,
    /// Whether it is new; otherwise an older definition was replaced.
    pub created: bool,
    /// What is allowed but probably not meant.
    pub warnings: Vec<String>,
}

/// A function in `GET /v1/functions`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FunctionView {
    /// Its name.
    pub name: String,
    /// Its definition.
    pub spec: FunctionSpec,
    /// When it was first applied.
    pub created: Timestamp,
    /// When it was last applied.
    pub updated: Timestamp,
    /// How many of its invocations are in each state.
    pub invocations: BTreeMap<String, u64>,
}

impl FunctionView {
    /// How many invocations are in `state`.
    #[must_use]
    pub fn count(&self, state: State) -> u64 {
        self.invocations.get(state.as_str()).copied().unwrap_or(0)
    }
}

/// `GET /v1/gpus`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Gpus {
    /// The GPU servers that jobs can be sent to.
    pub servers: Vec<ServerView>,
}

/// Any answer that is not a success.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ErrorBody {
    /// What is wrong and what to do.
    pub error: String,
}
