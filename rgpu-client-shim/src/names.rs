//! Small things that several modules share.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks whatever happened to the last holder: entry points catch panics, and each lock's state is valid
/// between statements.
pub(crate) trait Hold<T> {
    /// The guard.
    fn hold(&self) -> MutexGuard<'_, T>;
}

impl<T> Hold<T> for Mutex<T> {
    fn hold(&self) -> MutexGuard<'_, T> {
        self.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
