//! The stack of contexts that each thread has; its top is the current context.

use std::cell::{Cell, RefCell};
use std::ffi::c_void;
use std::sync::Arc;

use super::{Context, find};
use crate::driver;
use crate::status::{Result, Status};

thread_local! {
    static STACK: RefCell<Vec<Arc<Context>>> = const { RefCell::new(Vec::new()) };
    static IN_CALLBACK: Cell<bool> = const { Cell::new(false) };
}

/// The stack; empty on a thread that is ending.
fn with<T: Default>(act: impl FnOnce(&mut Vec<Arc<Context>>) -> T) -> T {
    STACK
        .try_with(|stack| act(&mut stack.borrow_mut()))
        .unwrap_or_default()
}

/// The current context, sound.
pub(crate) fn current() -> Result<Arc<Context>> {
    driver::get()?;
    if IN_CALLBACK.get() {
        return Err(Status::ERROR_NOT_PERMITTED);
    }
    let context = with(|stack| stack.last().cloned()).ok_or(Status::ERROR_INVALID_CONTEXT)?;
    context.check()?;
    Ok(context)
}

/// The current context, even if it is poisoned or gone.
pub(crate) fn alive() -> Result<Arc<Context>> {
    driver::get()?;
    with(|stack| stack.last().cloned()).ok_or(Status::ERROR_INVALID_CONTEXT)
}

/// Handle of the current context, or null.
pub(crate) fn current_handle() -> *mut c_void {
    with(|stack| stack.last().map(|context| context.handle().addr()))
        .map_or(std::ptr::null_mut(), std::ptr::without_provenance_mut)
}

/// Replaces the top of the stack; null takes it away.
pub(crate) fn set_current(handle: *mut c_void) -> Result {
    driver::get()?;
    let context = match handle.is_null() {
        true => None,
        false => Some(find(handle)?),
    };
    with(|stack| {
        stack.pop();
        stack.extend(context);
    });
    Ok(())
}

/// Puts a context on the stack.
pub(crate) fn push(handle: *mut c_void) -> Result {
    push_object(find(handle)?);
    Ok(())
}

pub(super) fn push_object(context: Arc<Context>) {
    with(|stack| stack.push(context));
}

/// Takes the top of the stack; gives its handle.
pub(crate) fn pop() -> Result<*mut c_void> {
    driver::get()?;
    let context = with(Vec::pop).ok_or(Status::ERROR_INVALID_CONTEXT)?;
    Ok(context.handle())
}

/// Takes `context` off the stack if it is the top.
pub(super) fn pop_if_current(context: &Arc<Context>) {
    with(|stack| {
        if stack.last().is_some_and(|top| Arc::ptr_eq(top, context)) {
            stack.pop();
        }
    });
}

/// Runs a callback of the program, in which calls into the driver are refused.
pub(crate) fn in_callback(callback: impl FnOnce()) {
    IN_CALLBACK.set(true);
    callback();
    IN_CALLBACK.set(false);
}
