//! Logging: silent unless `RGPU_LOG` is set, then to stderr, as in the software GPU's driver.

use std::collections::HashSet;
use std::io::IsTerminal;
use std::sync::{Mutex, Once, PoisonError};

use tracing_subscriber::EnvFilter;

static START: Once = Once::new();
static REPORTED: Mutex<Option<HashSet<&'static str>>> = Mutex::new(None);

/// Installs the subscriber that `RGPU_LOG` asks for. Each shared library has one of its own.
pub fn start() {
    START.call_once(|| {
        let Some(filter) = std::env::var_os("RGPU_LOG") else {
            return;
        };
        let filter = EnvFilter::new(filter.to_string_lossy());
        // A host program of ours may have a subscriber already: then that one is used.
        let _ = tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(std::io::stderr)
            .with_ansi(std::io::stderr().is_terminal())
            .try_init();
    });
}

/// Logs, once per name, that the program called a function that the software GPU does not have.
pub fn absent(name: &'static str) {
    let mut reported = REPORTED.lock().unwrap_or_else(PoisonError::into_inner);
    if reported.get_or_insert_default().insert(name) {
        tracing::warn!(call = name, "not supported by the software GPU");
    }
}
