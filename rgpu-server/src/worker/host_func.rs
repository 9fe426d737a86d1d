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

use rgpu_proto::status::Status;

use super::driver::Driver;
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
pub(super) struct Gate {
    open: Mutex<bool>,
    opened: Condvar,
}

/// A stream that stands still until this is dropped.
#[derive(Debug)]
pub(super) struct Hold(Arc<Gate>);

impl Drop for Hold {
    fn drop(&mut self) {
        self.0.open();
    }
}

impl Gate {
    /// Makes `stream` stand still when it gets here.
    pub(super) fn hold(driver: &Driver, stream: *mut c_void) -> Result<Hold, Status> {
        let gate = Arc::<Self>::default();
        let callee = Arc::into_raw(Arc::clone(&gate));
        let function: unsafe extern "C" fn(*mut c_void) = wait_at_gate;
        // SAFETY: the function has the C type of a `CUhostFn`.
        let function = unsafe {
            std::mem::transmute::<unsafe extern "C" fn(*mut c_void), unsafe extern "C" fn()>(
                function,
            )
        };
        // SAFETY: the stream comes from the worker's map. The function takes over one reference to the gate; where the
        // driver never calls it, because the context has failed, that is lost with the process.
        unsafe { driver.cuLaunchHostFunc(stream, Some(function), callee.cast_mut().cast()) }
            // SAFETY: the driver has refused, so the reference is still ours.
            .inspect_err(|_| drop(unsafe { Arc::from_raw(callee) }))?;
        Ok(Hold(gate))
    }

    fn open(&self) {
        *self.open.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.opened.notify_all();
    }

    fn wait(&self) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        while !*open {
            open = self
                .opened
                .wait(open)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// The host function of [`Gate::hold`].
///
/// # Safety
/// `gate` is a reference to a gate that this takes over.
unsafe extern "C" fn wait_at_gate(gate: *mut c_void) {
    // SAFETY: as the function's contract says.
    unsafe { Arc::from_raw(gate.cast_const().cast::<Gate>()) }.wait();
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
            gate.open();
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
        gate.wait();
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
