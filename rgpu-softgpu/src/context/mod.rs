//! Contexts.
//!
//! A context is alive or not, and poisoned or not. A kernel that faults poisons its context: from then on every
//! call in it gives the same code. The primary context is one object for each device: a reset empties it,
//! and the next use finds it fresh.

mod limits;
mod peers;
mod primary;
mod stack;

use std::collections::HashSet;
use std::ffi::c_void;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rgpu_proto::handle::{self, Id};
use rgpu_softgpu_exec::exec::{CancelToken, DEFAULT_HEAP};

use crate::driver::{self, Driver, Gpu};
use crate::memory;
use crate::status::{Result, Status, require};
use crate::stream::{self, Order};
use crate::work::{Work, spawn_quiet};

pub(crate) use limits::Limits;
pub(crate) use primary::Primary;
pub(crate) use stack::{alive, current, current_handle, in_callback, pop, push, set_current};

/// Bits of a context's flags that may be set (`CU_CTX_FLAGS_MASK`).
const FLAGS: u32 = 0xff;
/// Scheduling bits of the flags, of which at most one may be set.
const SCHEDULING: u32 = 7;
/// How long the kernels of a destroyed context may go on. What they compute is freed with it, but they may print.
const GRACE: Duration = Duration::from_secs(1);
/// Version of the context API.
pub(crate) const API_VERSION: u32 = 3020;

/// A context.
#[derive(Debug)]
pub(crate) struct Context {
    id: u64,
    handle: Id<handle::Context>,
    /// Number of its device.
    device: u32,
    primary: bool,
    flags: AtomicU32,
    alive: AtomicBool,
    /// The code that poisoned the context; 0 while it is sound.
    error: AtomicU32,
    /// Stops the kernels that run when the context is poisoned: nobody may wait for what will not come.
    cancel: Mutex<CancelToken>,
    order: Order,
    limits: Limits,
    /// Contexts whose memory it may access, by id.
    peers: Mutex<HashSet<u64>>,
    /// `CUfunc_cache` and `CUsharedconfig`: remembered, without effect.
    pub(crate) cache_config: AtomicU32,
    pub(crate) shared_config: AtomicU32,
}

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// Refuses flags that contradict each other or do not exist.
pub(crate) fn check_flags(flags: u32) -> Result {
    require(flags & !FLAGS == 0 && matches!(flags & SCHEDULING, 0 | 1 | 2 | 4))
}

/// Creates a context on a device and makes it current on this thread.
pub(crate) fn create(flags: u32, gpu: &Gpu) -> Result<*mut c_void> {
    check_flags(flags)?;
    let driver = driver::get()?;
    let handle = driver.contexts.mint();
    let context = Arc::new(Context::new(handle, gpu.memory.device(), false));
    context.flags.store(flags, Ordering::Relaxed);
    context.alive.store(true, Ordering::Release);
    driver.contexts.insert(handle, context.clone());
    stack::push_object(context);
    Ok(handle.to_c())
}

/// Destroys a context that [`create`] made.
pub(crate) fn destroy(handle: *mut c_void) -> Result {
    let driver = driver::get()?;
    let context = find(handle)?;
    if context.primary {
        return Err(Status::ERROR_INVALID_CONTEXT);
    }
    driver.contexts.remove(handle)?;
    stack::pop_if_current(&context);
    context.tear_down();
    Ok(())
}

/// The context behind a handle.
pub(crate) fn find(handle: *mut c_void) -> Result<Arc<Context>> {
    let found = driver::get()?.contexts.get(handle);
    found.map_err(|_| Status::ERROR_INVALID_CONTEXT)
}

/// The context behind a handle, or the current one for null.
pub(crate) fn find_or_current(handle: *mut c_void) -> Result<Arc<Context>> {
    if handle.is_null() {
        return current();
    }
    let context = find(handle)?;
    context.check()?;
    Ok(context)
}

/// The handle of the context numbered `id`.
pub(crate) fn handle_of(driver: &Driver, id: u64) -> Option<*mut c_void> {
    let found = driver.contexts.find(|context| context.id == id)?;
    Some(found.handle())
}

/// Waits for all work of the context numbered `id`, if it still exists.
pub(crate) fn wait_for(id: u64) -> Result {
    match driver::get()?.contexts.find(|context| context.id == id) {
        Some(context) => context.synchronise(),
        None => Ok(()),
    }
}

impl Context {
    fn new(handle: Id<handle::Context>, device: u32, primary: bool) -> Self {
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        Self {
            id,
            handle,
            device,
            primary,
            flags: AtomicU32::new(0),
            alive: AtomicBool::new(false),
            error: AtomicU32::new(0),
            cancel: Mutex::default(),
            order: Order::new(id),
            limits: Limits::default(),
            peers: Mutex::default(),
            cache_config: AtomicU32::new(0),
            shared_config: AtomicU32::new(0),
        }
    }

    /// Never the same for two contexts of a process.
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    pub(crate) fn handle(&self) -> *mut c_void {
        self.handle.to_c()
    }

    /// Ordinal of its device.
    pub(crate) fn ordinal(&self) -> i32 {
        self.device as i32
    }

    /// Its device.
    pub(crate) fn gpu(&self) -> Result<&'static Gpu> {
        driver::gpu(self.ordinal())
    }

    pub(crate) fn flags(&self) -> u32 {
        self.flags.load(Ordering::Relaxed)
    }

    pub(crate) fn set_flags(&self, flags: u32) -> Result {
        check_flags(flags)?;
        self.flags.store(flags, Ordering::Relaxed);
        Ok(())
    }

    pub(crate) fn order(&self) -> &Order {
        &self.order
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Fails if the context is gone or poisoned.
    pub(crate) fn check(&self) -> Result {
        if !self.alive.load(Ordering::Acquire) {
            return Err(Status::ERROR_CONTEXT_IS_DESTROYED);
        }
        Status(self.error.load(Ordering::Acquire)).ok()
    }

    /// Stops a launch when the context is poisoned.
    pub(crate) fn cancel_token(&self) -> CancelToken {
        let token = self.cancel.lock().unwrap_or_else(PoisonError::into_inner);
        token.clone()
    }

    /// Leaves an error in the context, unless there is one.
    pub(crate) fn poison(&self, status: Status) {
        // Before anybody can see the error: calls in a poisoned context return at once and print nothing.
        self.flush_output();
        let poisoned =
            self.error
                .compare_exchange(0, status.0, Ordering::AcqRel, Ordering::Acquire);
        if poisoned.is_ok() {
            tracing::debug!(context = self.id, code = status.0, "context poisoned");
            self.cancel_token().cancel();
        }
    }

    /// Work that runs only while the context is sound, and poisons it if it fails.
    pub(crate) fn guarded(
        self: &Arc<Self>,
        work: impl FnOnce() -> Result + Send + 'static,
    ) -> Work {
        let context = self.clone();
        Box::new(move || {
            if context.check().is_err() {
                return;
            }
            let work = std::panic::AssertUnwindSafe(work);
            match std::panic::catch_unwind(work) {
                Ok(Ok(())) => {}
                Ok(Err(status)) => context.poison(status),
                Err(_) => context.poison(Status::ERROR_UNKNOWN),
            }
        })
    }

    /// Waits for all work of the context.
    pub(crate) fn synchronise(&self) -> Result {
        self.drain();
        self.check()
    }

    /// Waits for all work of the context, sound or not, and shows what kernels printed.
    pub(crate) fn drain(&self) {
        for ticket in self.order.all() {
            ticket.wait();
        }
        self.has_waited();
    }

    /// The host has waited for work: shows what kernels printed, and pools let go what they need not keep.
    pub(crate) fn has_waited(&self) {
        self.flush_output();
        if let Ok(gpu) = self.gpu() {
            memory::settle_pools(gpu);
        }
    }

    /// Shows what kernels printed.
    pub(crate) fn flush_output(&self) {
        if let Ok(gpu) = self.gpu() {
            gpu.executor.output().flush();
        }
    }

    /// Stops the context's kernels if what this gives still lives after `grace`. From a thread of its own: the caller
    /// may run a kernel itself while it waits for it.
    fn stop_kernels_after(&self, grace: Duration) -> Option<Sender<()>> {
        if self.order.all().iter().all(|ticket| ticket.is_done()) {
            return None;
        }
        let (token, id) = (self.cancel_token(), self.id);
        let (alive, ended) = channel();
        let watch = move || {
            if ended.recv_timeout(grace) == Err(RecvTimeoutError::Timeout) {
                tracing::debug!(
                    context = id,
                    "the context is destroyed: its kernels are stopped"
                );
                token.cancel();
            }
        };
        match spawn_quiet("rgpu-destroy", watch) {
            Ok(_) => Some(alive),
            Err(error) => {
                tracing::error!(%error, "no thread to watch over the end of a context: its kernels are stopped");
                self.cancel_token().cancel();
                None
            }
        }
    }

    /// Ends the context and frees all that it holds.
    fn tear_down(&self) {
        {
            let _stopper = self.stop_kernels_after(GRACE);
            self.drain();
        }
        self.alive.store(false, Ordering::Release);
        // What the runtime and libraries attached to the context; their destructors may call us.
        rgpu_driver_abi::storage::contexts().context_destroyed(self.handle());
        stream::forget_per_thread(self.id);
        let Ok(driver) = driver::get() else { return };
        let id = self.id;
        driver
            .streams
            .remove_where(|stream| stream.context().id() == id);
        driver
            .events
            .remove_where(|event| event.context().id() == id);
        driver
            .functions
            .remove_where(|function| function.context_id() == id);
        let modules = driver
            .modules
            .remove_where(|module| module.context_id() == id);
        for module in modules {
            module.unload(driver);
        }
        driver
            .libraries
            .for_each(|library| library.forget_context(id));
        driver.kernels.for_each(|kernel| kernel.forget_context(id));
        driver.owners.free_all_of(driver, id);
        self.leave_peers(driver);
        // The heap of `malloc` in kernels and what pools keep are the device's: they go with the last context.
        let shares =
            |context: &Self| context.device == self.device && context.alive.load(Ordering::Acquire);
        if let Ok(gpu) = self.gpu()
            && driver.contexts.find(shares).is_none()
        {
            gpu.executor.heap().reset(DEFAULT_HEAP);
            memory::empty_pools(gpu);
        }
        *self.cancel.lock().unwrap_or_else(PoisonError::into_inner) = CancelToken::new();
        self.error.store(0, Ordering::Release);
    }
}
