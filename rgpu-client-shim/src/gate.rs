//! What every entry point does around its body.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering};

use rgpu_driver_abi::guard;
use rgpu_proto::spec::driver::ROWS;
use rgpu_proto::status::Status;
use rgpu_transport::Closer;

use crate::stats::STATS;

/// The process as calls find it.
static PHASE: AtomicU8 = AtomicU8::new(RUNNING);
const RUNNING: u8 = 0;
/// The process is ending: the session is closed.
const ENDING: u8 = 1;
/// A child that was forked after the first call. Its copy of the session belongs to the parent. (CUDA C++
/// Programming Guide: CUDA cannot be used in a child of a process that has used it.)
const FORKED: u8 = 2;

/// The connection, for the child to let go of.
static CONNECTION: OnceLock<Closer> = OnceLock::new();

/// Runs the body of the entry point of the row at `index` of the rows.
pub(crate) fn enter(index: usize, body: impl FnOnce() -> Result<(), Status>) -> u32 {
    pass(|| {
        if crate::config::get().stats.is_some() {
            STATS.call(index);
        }
        let result = body();
        if crate::log::verbose() {
            crate::log::debug(format_args!(
                "{} -> {}",
                ROWS[index].name,
                Status::of(result).0
            ));
        }
        result
    })
}

/// Runs `body` unless the process is ending or a child of the one that has the session.
pub(crate) fn pass(body: impl FnOnce() -> Result<(), Status>) -> u32 {
    guard(|| match PHASE.load(Ordering::Relaxed) {
        RUNNING => body(),
        ENDING => Err(Status::ERROR_DEINITIALIZED),
        _ => Err(Status::ERROR_NOT_INITIALIZED),
    })
}

/// The body of an `absent` row.
pub(crate) fn absent(index: usize) -> Status {
    use std::sync::atomic::AtomicBool;
    static LOGGED: [AtomicBool; ROWS.len()] = [const { AtomicBool::new(false) }; ROWS.len()];
    if !LOGGED[index].swap(true, Ordering::Relaxed) {
        crate::log::debug(format_args!("{} is not supported yet", ROWS[index].name));
    }
    Status::ERROR_NOT_SUPPORTED
}

/// Watches for forks and for the end of the process, from the first connection on.
pub(crate) fn watch(connection: Closer) {
    extern "C" fn in_child() {
        PHASE.store(FORKED, Ordering::Relaxed);
        if let Some(connection) = CONNECTION.get() {
            connection.abandon();
        }
    }
    extern "C" fn at_exit() {
        if PHASE.swap(ENDING, Ordering::Relaxed) == RUNNING {
            crate::client::finish();
        } else {
            PHASE.store(FORKED, Ordering::Relaxed);
        }
    }
    if CONNECTION.set(connection).is_ok() {
        // SAFETY: both handlers only use atomics, descriptors and this library's statics, and this library is
        // never unloaded once it has a session (`pin`).
        unsafe {
            libc::pthread_atfork(None, None, Some(in_child));
            libc::atexit(at_exit);
        }
        pin();
    }
}

/// Keeps this library loaded: its threads and handlers run until the process ends.
fn pin() {
    let mut info = std::mem::MaybeUninit::<libc::Dl_info>::uninit();
    // SAFETY: the address is of this library, and `info` has room for the answer.
    let found = unsafe { libc::dladdr(pin as *const libc::c_void, info.as_mut_ptr()) };
    if found != 0 {
        // SAFETY: dladdr filled `info` in; opening a loaded library again only counts.
        unsafe {
            let info = info.assume_init();
            libc::dlopen(
                info.dli_fname,
                libc::RTLD_NOW | libc::RTLD_NOLOAD | libc::RTLD_NODELETE,
            );
        }
    }
}
