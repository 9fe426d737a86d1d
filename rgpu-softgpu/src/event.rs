//! Events.
//!
//! An event names the ticket of the mark that was recorded last. Whoever waits takes that ticket when the wait
//! is asked for, so recording again does not move waits that are under way.

use std::ffi::c_void;
use std::sync::{Arc, Mutex, PoisonError};

use crate::context::{self, Context};
use crate::driver;
use crate::status::{Result, Status, require};
use crate::stream::Stream;
use crate::work::Ticket;

const DISABLE_TIMING: u32 = 2;
const INTERPROCESS: u32 = 4;
const ALL_FLAGS: u32 = 7;

/// An event.
#[derive(Debug)]
pub(crate) struct Event {
    context: Arc<Context>,
    flags: u32,
    recorded: Mutex<Option<Arc<Ticket>>>,
}

/// Creates an event in the current context.
pub(crate) fn create(flags: u32) -> Result<*mut c_void> {
    require(flags & !ALL_FLAGS == 0)?;
    require(flags & INTERPROCESS == 0 || flags & DISABLE_TIMING != 0)?;
    let context = context::current()?;
    if flags & INTERPROCESS != 0 {
        return Err(Status::ERROR_NOT_SUPPORTED);
    }
    Ok(driver::get()?.events.add(Arc::new(Event {
        context,
        flags,
        recorded: Mutex::new(None),
    })))
}

/// The event behind a handle, in a context that is not poisoned.
pub(crate) fn resolve(handle: *mut c_void) -> Result<Arc<Event>> {
    let driver = driver::get()?;
    context::current()?;
    let event = driver.events.get(handle)?;
    event.context.check()?;
    Ok(event)
}

impl Event {
    pub(crate) fn context(&self) -> &Arc<Context> {
        &self.context
    }

    /// Records what is in `stream` now.
    pub(crate) fn record(&self, stream: &Stream) -> Result {
        if self.context.id() != stream.context().id() {
            return Err(Status::ERROR_INVALID_HANDLE);
        }
        let mut recorded = self.recorded.lock().unwrap_or_else(PoisonError::into_inner);
        *recorded = Some(stream.mark());
        Ok(())
    }

    /// Records all that is in `context` now.
    pub(crate) fn record_context(&self, context: &Context) -> Result {
        if self.context.id() != context.id() {
            return Err(Status::ERROR_INVALID_HANDLE);
        }
        let mut recorded = self.recorded.lock().unwrap_or_else(PoisonError::into_inner);
        *recorded = Some(context.order().mark_all());
        Ok(())
    }

    /// The ticket of the last record.
    pub(crate) fn recorded(&self) -> Option<Arc<Ticket>> {
        self.recorded
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Whether what was recorded has ended; true if nothing was.
    pub(crate) fn query(&self) -> Result {
        let pending = self.recorded().is_some_and(|ticket| !ticket.is_done());
        self.context.check()?;
        if pending {
            Err(Status::ERROR_NOT_READY)
        } else {
            Ok(())
        }
    }

    /// Waits for the end of what was recorded.
    pub(crate) fn synchronise(&self) -> Result {
        if let Some(ticket) = self.recorded() {
            ticket.wait();
        }
        self.context.has_waited();
        self.context.check()
    }

    /// Milliseconds from `self` to `end`.
    pub(crate) fn elapsed_to(&self, end: &Self) -> Result<f32> {
        if (self.flags | end.flags) & DISABLE_TIMING != 0 {
            return Err(Status::ERROR_INVALID_HANDLE);
        }
        let (Some(start), Some(end)) = (self.recorded(), end.recorded()) else {
            return Err(Status::ERROR_INVALID_HANDLE);
        };
        if !start.is_done() || !end.is_done() {
            return Err(Status::ERROR_NOT_READY);
        }
        let nanoseconds = end.time() as i64 - start.time() as i64;
        Ok((nanoseconds as f64 / 1e6) as f32)
    }
}
