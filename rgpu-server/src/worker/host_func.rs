//! Host functions of the client.
//!
//! The stream stops in a host function of the worker, which tells the client and waits for its word. A host
//! function must not call CUDA (CUDA Driver API reference, `cuLaunchHostFunc`), so what has to be looked up
//! first, namely whether earlier copies have been delivered, is done by another thread.

use std::collections::HashMap;
use std::ffi::c_void;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use rgpu_proto::msg::stream::HostFuncDue;
use rgpu_proto::opcode::Opcode;

use super::output::Output;
use super::waits::{Deliveries, Tasks};
use super::writer::Writer;

/// Host functions that have been issued and have not returned.
pub(super) struct HostFuncs {
    pub(super) writer: Arc<Writer>,
    pub(super) output: Arc<Output>,
    pub(super) deliveries: Arc<Deliveries>,
    pub(super) tasks: Tasks,
    waiting: Mutex<HashMap<u64, Arc<Gate>>>,
}

impl std::fmt::Debug for HostFuncs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HostFuncs").finish_non_exhaustive()
    }
}

/// Opens once.
#[derive(Debug, Default)]
struct Gate {
    open: Mutex<bool>,
    opened: Condvar,
}

/// What the driver is given for one host function.
pub(super) struct Call {
    funcs: Arc<HostFuncs>,
    gate: Arc<Gate>,
    token: u64,
    seq: u64,
}

impl HostFuncs {
    pub(super) fn new(
        writer: Arc<Writer>,
        output: Arc<Output>,
        deliveries: Arc<Deliveries>,
        tasks: Tasks,
    ) -> Arc<Self> {
        Arc::new(Self {
            writer,
            output,
            deliveries,
            tasks,
            waiting: Mutex::default(),
        })
    }

    /// The argument for [`host_func`] or [`stream_callback`] of the client's host function `token`, issued by
    /// call `seq`.
    pub(super) fn issue(self: &Arc<Self>, token: u64, seq: u64) -> *mut c_void {
        let gate = Arc::<Gate>::default();
        self.waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(token, Arc::clone(&gate));
        Box::into_raw(Box::new(Call {
            funcs: Arc::clone(self),
            gate,
            token,
            seq,
        }))
        .cast()
    }

    /// Takes back what [`Self::issue`] made, where the driver refused it.
    ///
    /// # Safety
    /// `call` came from `issue` and the driver will not use it.
    pub(super) unsafe fn cancel(call: *mut c_void) {
        // SAFETY: the caller says that this is the only use left.
        let call = unsafe { Box::from_raw(call.cast::<Call>()) };
        call.funcs
            .waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&call.token);
    }

    /// Whether some have not returned.
    pub(super) fn any(&self) -> bool {
        !self
            .waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_empty()
    }

    /// The client's host function `token` has returned. Unknown tokens do nothing.
    pub(super) fn done(&self, token: u64) {
        let gate = self
            .waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&token);
        if let Some(gate) = gate {
            *gate.open.lock().unwrap_or_else(PoisonError::into_inner) = true;
            gate.opened.notify_all();
        }
    }
}

impl Call {
    fn run(self, status: u32) {
        let Self {
            funcs,
            gate,
            token,
            seq,
        } = self;
        let tell = {
            let funcs = Arc::clone(&funcs);
            move || {
                funcs.deliveries.settle(seq, &funcs.output, &funcs.writer);
                let due = HostFuncDue { token, status };
                if funcs.writer.notify(Opcode::HOST_FUNC_DUE, &due).is_err() {
                    funcs.done(token);
                }
            }
        };
        if funcs.tasks.run(tell).is_err() {
            funcs.done(token);
        }
        let mut open = gate.open.lock().unwrap_or_else(PoisonError::into_inner);
        while !*open {
            open = gate
                .opened
                .wait(open)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// The host function given to `cuLaunchHostFunc`.
///
/// # Safety
/// `call` came from [`HostFuncs::issue`]; the driver calls this once.
pub(super) unsafe extern "C" fn host_func(call: *mut c_void) {
    // SAFETY: as the function's contract says.
    unsafe { Box::from_raw(call.cast::<Call>()) }.run(0);
}

/// The callback given to `cuStreamAddCallback`.
///
/// # Safety
/// As for [`host_func`].
pub(super) unsafe extern "C" fn stream_callback(_: *mut c_void, status: u32, call: *mut c_void) {
    // SAFETY: as the function's contract says.
    unsafe { Box::from_raw(call.cast::<Call>()) }.run(status);
}
