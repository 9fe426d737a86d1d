//! Default streams of threads, and which default stream an entry point means.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::sync::Arc;

use super::Stream;
use crate::context::Context;

thread_local! {
    /// This thread's default stream in each context it used, by the context's id.
    static STREAMS: RefCell<HashMap<u64, Arc<Stream>>> = RefCell::default();
    /// Whether the null stream means the thread's own, in the call being made.
    static IS_DEFAULT: Cell<bool> = const { Cell::new(false) };
}

/// This thread's default stream in `context`.
pub(super) fn stream(context: &Arc<Context>) -> Arc<Stream> {
    let make = || Arc::new(Stream::per_thread(context));
    STREAMS
        .try_with(|streams| {
            let mut streams = streams.borrow_mut();
            streams.entry(context.id()).or_insert_with(make).clone()
        })
        // The thread is ending: its destructors get a stream without a past.
        .unwrap_or_else(|_| make())
}

/// Forgets this thread's stream in a context that is gone.
pub(crate) fn forget(context: u64) {
    // A thread that is ending has forgotten already.
    let _ = STREAMS.try_with(|streams| streams.borrow_mut().remove(&context));
}

/// Whether the null stream means the thread's own.
pub(super) fn is_default() -> bool {
    IS_DEFAULT.get()
}

/// Makes a call in which the null stream means the thread's own (the `_ptds` and `_ptsz` entry points).
pub(crate) fn with_per_thread_default<T>(call: impl FnOnce() -> T) -> T {
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            IS_DEFAULT.set(self.0);
        }
    }
    let _restore = Restore(IS_DEFAULT.replace(true));
    call()
}
