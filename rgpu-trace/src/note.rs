//! What a recording says once: lines of JSON.

use serde::{Deserialize, Serialize};

/// A line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Note {
    /// The program.
    Process {
        /// Its number.
        pid: u32,
        /// Its first argument.
        program: String,
        /// The server's address.
        server: String,
    },
    /// Names of calls and their classes, from slot `first` on.
    Calls {
        /// The slot of the first.
        first: u16,
        /// Names and classes.
        names: Vec<(String, String)>,
    },
    /// Names of operations that are no calls of CUDA's.
    Operations(Vec<(u16, String)>),
    /// A thread.
    Thread {
        /// As events name it.
        number: u64,
        /// As the system does.
        tid: i32,
        /// What it is called.
        name: String,
    },
    /// A file that is mapped with execute permission.
    Module {
        /// The first address.
        start: u64,
        /// Behind the last.
        end: u64,
        /// The first address in the file.
        offset: u64,
        /// The file.
        path: String,
    },
    /// A call site: return addresses, the innermost first.
    Site {
        /// As events name it, from 1.
        number: u64,
        /// The addresses.
        frames: Vec<u64>,
        /// What Python ran in this thread, the innermost first.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        python: Vec<String>,
    },
}
