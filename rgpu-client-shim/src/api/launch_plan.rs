//! What a launch runs, looked up once.
//!
//! A program launches the same few kernels again and again. Each thread remembers its last ones: a launch in the same
//! context and stream finds all that it needs without a lock. [`Client::changes`] counts whatever could make that wrong.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rgpu_proto::opcode::Opcode;

use super::launch::Layout;
use super::*;
use crate::shadow::devices::LaunchLimits;
use crate::shadow::modules::Kernel;

/// `cudaErrorInvalidConfiguration`. NVIDIA's runtime gives the driver's codes on unchanged and documents this one
/// for the kernels that it launches; for launches by others the driver documents `CUDA_ERROR_INVALID_VALUE`.
pub(super) const INVALID_CONFIGURATION: Status = Status(9);

/// What a launch runs.
pub(super) struct Target {
    /// The id that names it; the other one is 0.
    pub(super) function: u32,
    pub(super) kernel: u32,
    pub(super) known: Arc<Kernel>,
    /// The context of a function.
    context: Option<u32>,
    /// What a launch of a bad shape returns.
    pub(super) bad_shape: Status,
}

/// What a launch of `f` runs.
pub(super) fn target(client: &'static Client, f: *mut c_void) -> Result<Target> {
    match callable(client, f)? {
        Callable::Function(id) => {
            let modules = client.modules.hold();
            let function = modules
                .functions
                .get(&id)
                .ok_or(Status::ERROR_INVALID_HANDLE)?;
            Ok(Target {
                function: id,
                kernel: 0,
                known: Arc::clone(&function.kernel),
                context: Some(function.context),
                bad_shape: INVALID,
            })
        }
        Callable::Kernel(id) => {
            let modules = client.modules.hold();
            let kernel = modules
                .kernels
                .get(&id)
                .ok_or(Status::ERROR_INVALID_HANDLE)?;
            Ok(Target {
                function: 0,
                kernel: id,
                known: Arc::clone(&kernel.kernel),
                context: None,
                bad_shape: if kernel.of_runtime {
                    INVALID_CONFIGURATION
                } else {
                    INVALID
                },
            })
        }
    }
}

/// Where a launch goes and what it runs.
pub(super) struct Plan {
    key: Key,
    pub(super) target: Target,
    /// The stream's id; a default stream is the entry point's.
    pub(super) stream: u32,
    pub(super) context: u32,
    pub(super) limits: &'static LaunchLimits,
    /// The layout of the last launch, its operation, and what comes before its parameters on the wire.
    pub(super) layout: Option<Layout>,
    pub(super) op: Opcode,
    pub(super) head: Vec<u8>,
}

/// What a plan depends on.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Key {
    f: usize,
    stream: usize,
    own_default: bool,
    context: u32,
    changes: u64,
}

/// Plans that a thread remembers.
const PLANS: usize = 16;

/// A thread's memory.
struct Remembered {
    plans: [Option<Plan>; PLANS],
    body: Vec<u8>,
}

thread_local! {
    static REMEMBERED: RefCell<Remembered> = const {
        RefCell::new(Remembered { plans: [const { None }; PLANS], body: Vec::new() })
    };
}

/// Runs `act` with the plan of a launch of `f` in a stream, and with an empty buffer whose room is kept.
pub(super) fn with_plan<T>(
    client: &'static Client,
    f: *mut c_void,
    h_stream: *mut c_void,
    act: impl FnOnce(&mut Plan, &mut Vec<u8>) -> Result<T>,
) -> Result<T> {
    client.session.usable()?;
    let key = Key {
        f: f as usize,
        stream: h_stream as usize,
        own_default: crate::thread::own_default_stream(),
        context: crate::thread::current_context(),
        changes: client.changes.load(Ordering::Acquire),
    };
    let mut act = Some(act);
    let remembered = REMEMBERED.try_with(|remembered| {
        let mut own = remembered.try_borrow_mut().ok()?;
        let own = &mut *own;
        let slot = &mut own.plans[(key.f ^ (key.f >> 4)) % PLANS];
        if slot.as_ref().is_none_or(|plan| plan.key != key) {
            *slot = Some(match plan(client, key, f, h_stream) {
                Ok(plan) => plan,
                Err(status) => return Some(Err(status)),
            });
        }
        own.body.clear();
        Some(act.take()?(slot.as_mut()?, &mut own.body))
    });
    match (remembered, act) {
        (Ok(Some(result)), _) => result,
        // A thread that is ending has lost its memory.
        (_, Some(act)) => act(&mut plan(client, key, f, h_stream)?, &mut Vec::new()),
        (_, None) => Err(Status::ERROR_UNKNOWN),
    }
}

fn plan(client: &'static Client, key: Key, f: *mut c_void, h_stream: *mut c_void) -> Result<Plan> {
    let context = client.context()?;
    let device = client.contexts.hold().get(context)?.device;
    let target = target(client, f)?;
    let stream = stream(client, h_stream)?;
    // A function belongs to a context, and runs in streams of that one only; a kernel is the current context's.
    let of_stream = client.streams.hold().get(stream, context)?.context;
    if of_stream != target.context.unwrap_or(context) {
        return Err(Status::ERROR_INVALID_HANDLE);
    }
    Ok(Plan {
        key,
        target,
        stream,
        context,
        limits: &client.device(device as i32)?.limits,
        layout: None,
        op: Opcode(0),
        head: Vec::new(),
    })
}
