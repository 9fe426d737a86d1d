//! Logging: silent unless `RGPU_LOG` is set, then to stderr.

use std::collections::HashSet;
use std::io::IsTerminal;
use std::sync::{Mutex, Once, PoisonError};

use tracing_subscriber::EnvFilter;

use crate::work::is_ending;

/// The code generator has a line for every instruction: its own logging is not ours.
const QUIET: &str =
    "cranelift_codegen=warn,cranelift_jit=warn,cranelift_frontend=warn,regalloc2=warn";

static START: Once = Once::new();
static REPORTED: Mutex<Option<HashSet<&'static str>>> = Mutex::new(None);

/// Installs the subscriber that `RGPU_LOG` asks for.
pub(crate) fn start() {
    START.call_once(|| {
        let Some(filter) = std::env::var_os("RGPU_LOG") else {
            return;
        };
        let filter = format!("{},{QUIET}", filter.to_string_lossy());
        let filter = EnvFilter::new(filter);
        // A host program of ours may have a subscriber already: then that one is used.
        let _ = tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(std::io::stderr)
            .with_ansi(std::io::stderr().is_terminal())
            .try_init();
    });
}

/// Logs, once per name, that the program called a function that the software GPU does not have.
pub(crate) fn absent(name: &'static str) {
    let mut reported = REPORTED.lock().unwrap_or_else(PoisonError::into_inner);
    if reported.get_or_insert_default().insert(name) {
        tracing::warn!(call = name, "not supported by the software GPU");
    }
}

/// Notes a call and its code; gives the code. At the end of a program calls still come when the thread's own data,
/// and so the logger's, is gone already.
pub(crate) fn call(name: &str, code: u32) -> u32 {
    if tracing::enabled!(tracing::Level::TRACE) && !is_ending() {
        tracing::trace!(name, code);
    }
    code
}
