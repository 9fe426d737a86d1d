//! The verbs library, loaded when it is first asked for, so that neither a build nor a run needs it.
//!
//! What verbs.h has as inline functions goes through the table of operations that a context carries, as there.

use std::error::Error;
use std::ffi::{CStr, c_int};
use std::io;
use std::sync::OnceLock;

#[allow(
    clippy::all,
    clippy::undocumented_unsafe_blocks,
    clippy::missing_safety_doc,
    clippy::use_self,
    missing_debug_implementations,
    non_camel_case_types,
    unreachable_pub,
    unused_qualifications,
    dead_code,
    reason = "bindgen's translation of infiniband/verbs.h"
)]
#[path = "../../generated/verbs.rs"]
pub(super) mod bindings;

use bindings::{Verbs, ibv_cq, ibv_qp, ibv_recv_wr, ibv_send_wr, ibv_wc, ibv_wc_status};

/// The library's name, with the version of its interface.
const NAME: &str = "libibverbs.so.1";

/// The library, or in words why there is none.
pub(super) fn verbs() -> io::Result<&'static Verbs> {
    static VERBS: OnceLock<Result<Verbs, String>> = OnceLock::new();
    let loaded = VERBS.get_or_init(|| {
        // SAFETY: libibverbs is an ordinary library; its constructors ask nothing of whoever loads it.
        let verbs = unsafe { Verbs::new(NAME) }.map_err(|error| {
            let error = error.source().unwrap_or(&error);
            format!(
                "RDMA needs {NAME}, which cannot be loaded ({error}): install rdma-core \
                 (libibverbs1 and ibverbs-providers), or use tcp://HOST:PORT"
            )
        })?;
        // Without this, a forked child could take pages away that a device reads and writes. Kernels from 5.12 on do
        // without, and libibverbs finds that out.
        // SAFETY: nothing has been registered yet.
        match unsafe { verbs.ibv_fork_init() } {
            0 => Ok(verbs),
            error => Err(format!(
                "{NAME} cannot be made safe for forks: {}",
                of(error)
            )),
        }
    });
    loaded
        .as_ref()
        .map_err(|error| io::Error::new(io::ErrorKind::Unsupported, error.as_str()))
}

/// An error that a function of verbs returned as a number.
pub(super) fn of(error: c_int) -> io::Error {
    io::Error::from_raw_os_error(error.abs())
}

/// Makes an error of what a function of verbs returned, and says what was tried.
pub(super) fn check(what: &str, error: c_int) -> io::Result<()> {
    if error == 0 {
        return Ok(());
    }
    Err(explained(what, &of(error)))
}

/// The pointer that a function of verbs returned, or what `errno` says.
pub(super) fn made<T>(what: &str, pointer: *mut T) -> io::Result<*mut T> {
    if pointer.is_null() {
        return Err(explained(what, &io::Error::last_os_error()));
    }
    Ok(pointer)
}

fn explained(what: &str, error: &io::Error) -> io::Error {
    let advice = match error.raw_os_error() {
        Some(libc::ENOMEM | libc::EAGAIN) => {
            ": the limit of locked memory may be too low (`ulimit -l unlimited`)"
        }
        Some(libc::EPERM | libc::EACCES) => ": this user may not use the RDMA device",
        _ => "",
    };
    io::Error::new(error.kind(), format!("RDMA: {what}: {error}{advice}"))
}

/// `ibv_wc_status_str`.
pub(super) fn status_name(status: ibv_wc_status) -> String {
    let Ok(verbs) = verbs() else {
        return status.to_string();
    };
    // SAFETY: the library answers any number with a string of its own.
    unsafe { CStr::from_ptr(verbs.ibv_wc_status_str(status)) }
        .to_string_lossy()
        .into_owned()
}

/// What a context's table lacks is an error, as for a device that cannot.
const MISSING: c_int = libc::EOPNOTSUPP;

/// `ibv_poll_cq`: how many completions were taken, negative on failure.
///
/// # Safety
/// `cq` is a completion queue that nobody else polls meanwhile.
pub(super) unsafe fn poll_cq(cq: *mut ibv_cq, into: &mut [ibv_wc]) -> c_int {
    // SAFETY: a completion queue points to its context for as long as it lives.
    let operation = unsafe { (*(*cq).context).ops.poll_cq };
    // SAFETY: `into` has room for as many as it is long.
    operation.map_or(-MISSING, |poll| unsafe {
        poll(cq, into.len() as c_int, into.as_mut_ptr())
    })
}

/// `ibv_req_notify_cq`, for all completions.
///
/// # Safety
/// `cq` is a completion queue.
pub(super) unsafe fn req_notify_cq(cq: *mut ibv_cq) -> c_int {
    // SAFETY: a completion queue points to its context for as long as it lives.
    let operation = unsafe { (*(*cq).context).ops.req_notify_cq };
    // SAFETY: the caller's.
    operation.map_or(MISSING, |notify| unsafe { notify(cq, 0) })
}

/// `ibv_post_send` of one request.
///
/// # Safety
/// `qp` is a queue pair; what `request` points to is live, and what it names stays so until it is completed.
pub(super) unsafe fn post_send(qp: *mut ibv_qp, request: &mut ibv_send_wr) -> c_int {
    // SAFETY: a queue pair points to its context for as long as it lives.
    let operation = unsafe { (*(*qp).context).ops.post_send };
    let mut bad = std::ptr::null_mut();
    // SAFETY: the caller's; `bad` is live.
    operation.map_or(MISSING, |post| unsafe { post(qp, request, &raw mut bad) })
}

/// `ibv_post_recv` of one request.
///
/// # Safety
/// As [`post_send`]; in addition, nothing else uses the memory until the request is completed.
pub(super) unsafe fn post_recv(qp: *mut ibv_qp, request: &mut ibv_recv_wr) -> c_int {
    // SAFETY: a queue pair points to its context for as long as it lives.
    let operation = unsafe { (*(*qp).context).ops.post_recv };
    let mut bad = std::ptr::null_mut();
    // SAFETY: the caller's; `bad` is live.
    operation.map_or(MISSING, |post| unsafe { post(qp, request, &raw mut bad) })
}
