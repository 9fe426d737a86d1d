//! What belongs to a thread of the application, and threads of our own.

use std::cell::{Cell, RefCell};
use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::JoinHandle;

use rgpu_proto::status::Status;

thread_local! {
    static LANE: Cell<u32> = const { Cell::new(0) };
    /// The last of `CONTEXTS`.
    static CURRENT: Cell<u32> = const { Cell::new(0) };
    static CONTEXTS: RefCell<Vec<u32>> = const { RefCell::new(Vec::new()) };
    static PER_THREAD_DEFAULT: Cell<bool> = const { Cell::new(false) };
}

/// The number of this thread, from 1.
pub(crate) fn lane() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    if LANE.get() == 0 {
        LANE.set(NEXT.fetch_add(1, Ordering::Relaxed));
    }
    LANE.get()
}

/// The context current to this thread, 0 for none.
pub(crate) fn current_context() -> u32 {
    CURRENT.get()
}

/// Changes this thread's stack of contexts.
pub(crate) fn contexts<T>(change: impl FnOnce(&mut Vec<u32>) -> T) -> Result<T, Status> {
    CONTEXTS
        .try_with(|stack| {
            let mut stack = stack.borrow_mut();
            let result = change(&mut stack);
            CURRENT.set(stack.last().copied().unwrap_or(0));
            result
        })
        .map_err(|_| Status::ERROR_DEINITIALIZED)
}

/// Runs `body` with the null stream meaning this thread's own.
pub(crate) fn with_own_default_stream<T>(body: impl FnOnce() -> T) -> T {
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            let _ = PER_THREAD_DEFAULT.try_with(|flag| flag.set(self.0));
        }
    }
    let before = PER_THREAD_DEFAULT
        .try_with(|flag| flag.replace(true))
        .unwrap_or(false);
    let _restore = Restore(before);
    body()
}

/// Whether the null stream means this thread's own.
pub(crate) fn own_default_stream() -> bool {
    PER_THREAD_DEFAULT.try_with(Cell::get).unwrap_or(false)
}

/// Starts a thread of our own. All signals are blocked in it, so that the application's handlers run on
/// the application's threads.
pub(crate) fn spawn(
    name: &str,
    body: impl FnOnce() + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    use nix::sys::signal::{SigSet, SigmaskHow, pthread_sigmask};

    let mut before = SigSet::empty();
    pthread_sigmask(
        SigmaskHow::SIG_SETMASK,
        Some(&SigSet::all()),
        Some(&mut before),
    )?;
    let thread = std::thread::Builder::new().name(name.into()).spawn(body);
    pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&before), None)?;
    thread
}
