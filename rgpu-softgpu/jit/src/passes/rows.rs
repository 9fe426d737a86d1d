//! Decides whether a kernel runs a row of threads per call. Straight code costs less than the call that runs
//! it; a loop over the row also moves what all threads share in front of it. A kernel with loops of its own
//! keeps one call per thread, so that a launch can be stopped between threads.

use rgpu_ptx::ast::StatementKind;

use super::meet::{Meeting, back_edges};
use super::reach::Reached;

/// True if the kernel should run rows.
pub(crate) fn run(reached: &Reached, meeting: &Meeting) -> bool {
    let [kernel] = reached.functions.as_slice() else {
        return false;
    };
    let calls = kernel
        .body
        .statements
        .iter()
        .any(|statement| matches!(statement.kind, StatementKind::Call(_)));
    !meeting.threads_meet && !calls && back_edges(&kernel.body).is_empty()
}
