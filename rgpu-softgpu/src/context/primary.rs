//! The primary context: counted by its users, and reset when the last one goes.

use std::ffi::c_void;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rgpu_proto::handle;

use super::{Context, check_flags};
use crate::handles::Table;
use crate::status::{Result, Status};

/// The primary context of a device.
#[derive(Debug)]
pub(crate) struct Primary {
    context: Arc<Context>,
    /// How often it is retained.
    users: Mutex<u64>,
}

impl Primary {
    /// The context, not active yet.
    pub(crate) fn new(contexts: &Table<handle::Context, Context>, device: u32) -> Self {
        let handle = contexts.mint();
        let context = Arc::new(Context::new(handle, device, true));
        contexts.insert(handle, context.clone());
        Self {
            context,
            users: Mutex::new(0),
        }
    }

    /// The handle, which stays the same.
    pub(crate) fn handle(&self) -> *mut c_void {
        self.context.handle()
    }

    /// Counts one more user; the first makes the context active.
    pub(crate) fn retain(&self) -> *mut c_void {
        let mut users = self.users();
        *users += 1;
        self.context.alive.store(true, Ordering::Release);
        self.context.handle()
    }

    /// Counts one user less; the last one ends the context.
    pub(crate) fn release(&self) -> Result {
        let left = {
            let mut users = self.users();
            *users = users.checked_sub(1).ok_or(Status::ERROR_INVALID_CONTEXT)?;
            *users
        };
        // Not under the lock: what is attached to the context has destructors, which may call us.
        if left == 0 {
            self.end();
        }
        Ok(())
    }

    /// Ends the context whoever uses it; those that retained it still have to release it.
    pub(crate) fn reset(&self) {
        if self.is_active() {
            self.end();
        }
    }

    pub(crate) fn is_active(&self) -> bool {
        self.context.alive.load(Ordering::Acquire)
    }

    pub(crate) fn flags(&self) -> u32 {
        self.context.flags()
    }

    pub(crate) fn set_flags(&self, flags: u32) -> Result {
        check_flags(flags)?;
        self.context.set_flags(flags)
    }

    fn end(&self) {
        self.context.tear_down();
        self.context.reset_limits();
    }

    fn users(&self) -> MutexGuard<'_, u64> {
        self.users.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
