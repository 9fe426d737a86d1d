//! Logging of commands that serve: to stderr, at `info` unless `RGPU_LOG` says otherwise.

use std::fs::File;
use std::sync::Mutex;

use tracing_subscriber::EnvFilter;

const VARIABLE: &str = "RGPU_LOG";

/// The object store's libraries log every request's headers at `info`.
const DEFAULT: &str = "info,s3s=warn,s3s_fs=warn";

fn filter() -> EnvFilter {
    let set = std::env::var(VARIABLE).ok().filter(|set| !set.is_empty());
    let directives = set.unwrap_or_else(|| DEFAULT.into());
    EnvFilter::try_new(&directives).unwrap_or_else(|error| {
        eprintln!("rgpu: {VARIABLE}={directives}: {error}; logging at info");
        EnvFilter::new(DEFAULT)
    })
}

/// Logs to stderr.
pub(crate) fn to_stderr() {
    tracing_subscriber::fmt()
        .with_env_filter(filter())
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .init();
}

/// Logs to `file`.
pub(crate) fn to_file(file: File) {
    tracing_subscriber::fmt()
        .with_env_filter(filter())
        .with_writer(Mutex::new(file))
        .with_ansi(false)
        .init();
}
