//! Bad days: what happens when a part of the whole is missing, killed, poisoned or hostile.

mod hostile;
mod lost;
mod poisoned;

use std::path::{Path, PathBuf};

/// The CUDA program that the tests run.
fn probe() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_driver-probe"))
}

/// Where the rest is built.
fn built() -> PathBuf {
    rgpu_tests::built(env!("CARGO_BIN_EXE_driver-probe"))
}
