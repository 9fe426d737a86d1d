//! What every entry point does around its body.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering};

use rgpu_driver_abi::guard;
use rgpu_proto::opcode::Opcode;
use rgpu_proto::spec::driver::ROWS;
use rgpu_proto::status::Status;
use rgpu_transport::Closer;

use crate::stats::STATS;
use crate::trace;

/// The process as calls find it: what is out of the ordinary, or nothing. Calls look at this and no more.
static STATE: AtomicU8 = AtomicU8::new(UNREAD);
const ORDINARY: u8 = 0;
/// The process is ending: the session is closed.
const ENDING: u8 = 1;
/// A child that was forked after the first call. Its copy of the session belongs to the parent. (CUDA C++
/// Programming Guide: CUDA cannot be used in a child of a process that has used it.)
const FORKED: u8 = 2;
/// The settings were not looked at yet.
const UNREAD: u8 = 4;
/// `RGPU_LOG` asks for details.
const LOGGED: u8 = 8;
/// `RGPU_STATS` asks for an account.
const COUNTED: u8 = 16;
/// `RGPU_TRACE` asks for a recording, and it has begun.
const TRACED: u8 = 32;

/// The connection, for the child to let go of.
static CONNECTION: OnceLock<Closer> = OnceLock::new();

/// Who comes through the gate.
#[derive(Debug, Clone, Copy)]
enum Caller {
    /// The entry point of the row at this index of the rows.
    Entry(usize),
    /// A forwarding library, for the call with this operation.
    Library(Option<Opcode>),
}

/// Runs the body of the entry point of the row at `index` of the rows.
pub(crate) fn enter(index: usize, body: impl FnOnce() -> Result<(), Status>) -> u32 {
    through(Caller::Entry(index), body)
}

/// Runs `body` unless the process is ending or a child of the one that has the session.
pub(crate) fn pass(body: impl FnOnce() -> Result<(), Status>) -> u32 {
    through(Caller::Library(None), body)
}

/// The same for a call of a library that is sent as `op`.
pub(crate) fn pass_call(op: Opcode, body: impl FnOnce() -> Result<(), Status>) -> u32 {
    through(Caller::Library(Some(op)), body)
}

fn through(caller: Caller, body: impl FnOnce() -> Result<(), Status>) -> u32 {
    guard(|| match STATE.load(Ordering::Relaxed) {
        ORDINARY => body(),
        state => {
            let (mut body, mut result) = (Some(body), Ok(()));
            unusual(state, caller, &mut || {
                if let Some(body) = body.take() {
                    result = body();
                }
                result
            })
        }
    })
}

#[cold]
fn unusual(
    mut state: u8,
    caller: Caller,
    body: &mut dyn FnMut() -> Result<(), Status>,
) -> Result<(), Status> {
    if state & UNREAD != 0 {
        state = read_settings();
    }
    if state & FORKED != 0 {
        return Err(Status::ERROR_NOT_INITIALIZED);
    }
    if state & ENDING != 0 {
        return Err(Status::ERROR_DEINITIALIZED);
    }
    let slot = match caller {
        Caller::Entry(index) => {
            if state & COUNTED != 0 {
                STATS.call(index);
            }
            // The driver's rows come first, after the slot of what is no call.
            Some(index as u16 + 1)
        }
        Caller::Library(op) => op.map(trace::slot_of),
    };
    let result = match slot {
        Some(slot) if state & TRACED != 0 => trace::within(slot, body),
        _ => body(),
    };
    if state & LOGGED != 0
        && let Caller::Entry(index) = caller
    {
        crate::log::debug(format_args!(
            "{} -> {}",
            ROWS[index].name,
            Status::of(result).0
        ));
    }
    result
}

/// Looks at the settings, once.
fn read_settings() -> u8 {
    let mut wanted = ORDINARY;
    if crate::config::get().stats.is_some() {
        wanted |= COUNTED;
    }
    if crate::log::verbose() {
        wanted |= LOGGED;
    }
    STATE.fetch_or(wanted, Ordering::Relaxed);
    STATE.fetch_and(!UNREAD, Ordering::Relaxed) & !UNREAD
}

/// Whether waits are counted or recorded.
pub(crate) fn observes() -> bool {
    STATE.load(Ordering::Relaxed) & (COUNTED | TRACED) != 0
}

/// Whether there is a recording, and this is the process that writes it.
pub(crate) fn traces() -> bool {
    STATE.load(Ordering::Relaxed) & (TRACED | FORKED) == TRACED
}

/// The recording has begun.
pub(crate) fn trace() {
    STATE.fetch_or(TRACED, Ordering::Relaxed);
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
        STATE.fetch_or(FORKED, Ordering::Relaxed);
        if let Some(connection) = CONNECTION.get() {
            connection.abandon();
        }
    }
    extern "C" fn at_exit() {
        if STATE.fetch_or(ENDING, Ordering::Relaxed) & (ENDING | FORKED) == 0 {
            crate::client::finish();
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
