//! Functions of the application that a stream calls: they run on one thread of ours, in the order in which
//! the server says that they are due.

use std::collections::{HashMap, VecDeque};
use std::ffi::c_void;
use std::sync::{Condvar, Mutex, PoisonError};

use rgpu_proto::msg::stream::HostFuncDone;
use rgpu_proto::opcode::Opcode;
use rgpu_proto::status::Status;

use super::Session;
use crate::names::Hold;

/// `CUhostFn`.
type Plain = unsafe extern "C" fn(*mut c_void);
/// `CUstreamCallback`.
type WithStatus = unsafe extern "C" fn(*mut c_void, u32, *mut c_void);

/// A function to call back.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HostFunction {
    /// The stream that calls it.
    pub(crate) stream: u32,
    /// The order in which that stream's work runs.
    pub(crate) order: u32,
    /// The stream's handle as the application passed it.
    pub(crate) handle: usize,
    /// The application's word.
    pub(crate) data: usize,
    /// What to call.
    pub(crate) call: Callee,
}

/// The two shapes of such a function.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Callee {
    /// Of `cuLaunchHostFunc`.
    Plain(Plain),
    /// Of `cuStreamAddCallback`.
    WithStatus(WithStatus),
}

#[derive(Debug, Default)]
struct Queue {
    started: bool,
    last_token: u64,
    waiting: HashMap<u64, HostFunction>,
    due: VecDeque<(u64, u32)>,
}

/// The functions of a session that have not returned.
#[derive(Debug, Default)]
pub(crate) struct HostFunctions {
    queue: Mutex<Queue>,
    wake: Condvar,
}

impl HostFunctions {
    /// Keeps a function until it is due; its token.
    pub(super) fn add(
        &self,
        function: HostFunction,
        session: &'static Session,
    ) -> Result<u64, Status> {
        let mut queue = self.queue.hold();
        if !queue.started {
            crate::thread::spawn("rgpu-host-fn", move || {
                session.host_functions.serve(session)
            })
            .map_err(|_| Status::ERROR_OPERATING_SYSTEM)?;
            queue.started = true;
        }
        queue.last_token += 1;
        let token = queue.last_token;
        queue.waiting.insert(token, function);
        Ok(token)
    }

    /// The server says that a function is due.
    pub(super) fn run(&self, token: u64, status: u32) {
        self.queue.hold().due.push_back((token, status));
        self.wake.notify_one();
    }

    /// Whether functions have not returned: in `order`, or in any where that is `None`.
    pub(crate) fn any_in(&self, order: Option<u32>) -> bool {
        let queue = self.queue.hold();
        queue
            .waiting
            .values()
            .any(|function| order.is_none_or(|order| function.order == order))
    }

    /// The thread that calls them.
    fn serve(&self, session: &'static Session) {
        loop {
            let (token, status, function) = self.next();
            if let Some(function) = function {
                function.call(status);
                self.queue.hold().waiting.remove(&token);
            }
            session.tell(Opcode::HOST_FUNC_DONE, &HostFuncDone { token });
        }
    }

    fn next(&self) -> (u64, u32, Option<HostFunction>) {
        let mut queue = self.queue.hold();
        loop {
            if let Some((token, status)) = queue.due.pop_front() {
                return (token, status, queue.waiting.get(&token).copied());
            }
            queue = self
                .wake
                .wait(queue)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl HostFunction {
    fn call(&self, status: u32) {
        let data = self.data as *mut c_void;
        match self.call {
            // SAFETY: the application passed this function with this word to be called in this way.
            Callee::Plain(function) => unsafe { function(data) },
            // SAFETY: as above; the stream's handle is the one that the application passed.
            Callee::WithStatus(function) => unsafe {
                function(self.handle as *mut c_void, status, data);
            },
        }
    }
}
