//! Streams.
//!
//! A stream is an order, not a queue: the ticket of what was put into it last. What a stream's next piece of
//! work waits for is decided once, when it is put in ([`Order::place`]), under one lock per context, so the order
//! of calls across threads is the order of the device.

mod attributes;
mod memory_ops;
mod order;
mod per_thread;

use std::ffi::c_void;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rgpu_driver_abi::stream as numbers;

use crate::context::{self, Context};
use crate::device::limits;
use crate::driver;
use crate::status::{Result, Status, require};
use crate::work::Ticket;

pub(crate) use attributes::Attributes;
pub(crate) use memory_ops::{MemoryOp, Word};
pub(crate) use order::{Lane, Order};
pub(crate) use per_thread::{forget as forget_per_thread, with_per_thread_default};

/// `CU_STREAM_NON_BLOCKING`: takes no part in the order of the legacy stream.
const NON_BLOCKING: u32 = 1;

/// A stream.
#[derive(Debug)]
pub(crate) struct Stream {
    context: Arc<Context>,
    lane: Lane,
    flags: u32,
    id: u64,
    attributes: Arc<Mutex<Attributes>>,
}

/// The stream that `handle` means on this thread, in a context that is not poisoned.
pub(crate) fn resolve(handle: *mut c_void) -> Result<Arc<Stream>> {
    match numbers::resolve(handle.addr(), per_thread::is_default()) {
        numbers::LEGACY => Ok(legacy(&context::current()?)),
        numbers::PER_THREAD => Ok(per_thread::stream(&context::current()?)),
        _ => {
            let driver = driver::get()?;
            context::current()?;
            let stream = driver.streams.get(handle)?;
            stream.context.check()?;
            Ok(stream)
        }
    }
}

/// The legacy default stream of `context`.
pub(crate) fn legacy(context: &Arc<Context>) -> Arc<Stream> {
    Arc::new(Stream {
        context: context.clone(),
        lane: Lane::Legacy,
        flags: 0,
        id: context.order().legacy_id(),
        attributes: context.order().legacy_attributes(),
    })
}

/// A priority out of range is brought into it, as documented.
pub(crate) fn clamp_priority(priority: i32) -> i32 {
    priority.clamp(limits::GREATEST_PRIORITY, limits::LEAST_PRIORITY)
}

/// The stream of calls that take none, on this thread.
pub(crate) fn default_stream() -> Result<Arc<Stream>> {
    resolve(std::ptr::null_mut())
}

/// Creates a stream in the current context.
pub(crate) fn create(flags: u32, priority: i32) -> Result<*mut c_void> {
    require(flags & !NON_BLOCKING == 0)?;
    let context = context::current()?;
    let driver = driver::get()?;
    let handle = driver.streams.mint();
    let id = order::next_id();
    driver.streams.insert(
        handle,
        Arc::new(Stream {
            context,
            lane: if flags & NON_BLOCKING == 0 {
                Lane::Blocking(id)
            } else {
                Lane::NonBlocking(id)
            },
            flags,
            id,
            attributes: Arc::new(Mutex::new(Attributes::with_priority(clamp_priority(
                priority,
            )))),
        }),
    );
    Ok(handle.to_c())
}

/// Puts into `stream` what `put` puts, behind all work of `contexts` and before all that comes later there.
pub(crate) fn between(
    contexts: &[Arc<Context>],
    stream: &Stream,
    put: impl FnOnce() -> Result,
) -> Result {
    let others = contexts
        .iter()
        .filter(|context| context.id() != stream.context.id());
    let before: Vec<_> = others
        .clone()
        .flat_map(|context| context.order().all())
        .collect();
    if !before.is_empty() {
        stream.after(&before);
    }
    let done = put();
    let last = stream.mark();
    others.for_each(|context| context.order().hold_all(last.clone()));
    done
}

/// Forgets a created stream; what was put into it still runs.
pub(crate) fn destroy(handle: *mut c_void) -> Result {
    context::current()?;
    driver::get()?.streams.remove(handle).map(drop)
}

impl Stream {
    fn per_thread(context: &Arc<Context>) -> Self {
        let id = order::next_id();
        Self {
            context: context.clone(),
            lane: Lane::Blocking(id),
            flags: 0,
            id,
            attributes: Arc::default(),
        }
    }

    pub(crate) fn context(&self) -> &Arc<Context> {
        &self.context
    }

    pub(crate) fn flags(&self) -> u32 {
        self.flags
    }

    pub(crate) fn priority(&self) -> i32 {
        self.attributes().priority()
    }

    /// What `cuStreamSetAttribute` sets.
    pub(crate) fn attributes(&self) -> MutexGuard<'_, Attributes> {
        self.attributes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// Where its work goes.
    pub(crate) fn lane(&self) -> Lane {
        self.lane
    }

    /// Puts work into the stream. If it fails, it poisons the context.
    pub(crate) fn enqueue(&self, work: impl FnOnce() -> Result + Send + 'static) -> Arc<Ticket> {
        let work = self.context.guarded(work);
        let (ticket, placed) = self.context.order().place(self.lane, &[], work, true);
        placed.start();
        ticket
    }

    /// As [`Self::enqueue`], and waits for it; the work runs on this thread if nothing is before it.
    pub(crate) fn run(&self, work: impl FnOnce() -> Result + Send + 'static) -> Result {
        let work = self.context.guarded(work);
        let (ticket, placed) = self.context.order().place(self.lane, &[], work, true);
        placed.run_here();
        ticket.wait();
        self.context.flush_output();
        self.context.check()
    }

    /// As [`Self::enqueue`], for work that runs even in a poisoned context, and gets to know the error. It may be the
    /// program's own: it never runs on one of the program's threads.
    pub(crate) fn enqueue_always(&self, work: impl FnOnce(Result) + Send + 'static) {
        let context = self.context.clone();
        let work = Box::new(move || work(context.check()));
        let (_, placed) = self.context.order().place(self.lane, &[], work, false);
        placed.start();
    }

    /// Puts in a mark; its ticket is punched when all before it has ended.
    pub(crate) fn mark(&self) -> Arc<Ticket> {
        self.after(&[])
    }

    /// Makes what comes later wait for `tickets`.
    pub(crate) fn after(&self, tickets: &[Arc<Ticket>]) -> Arc<Ticket> {
        let (ticket, placed) =
            self.context
                .order()
                .place(self.lane, tickets, Box::new(|| ()), true);
        placed.mark();
        ticket
    }

    /// Waits for all that is in the stream.
    pub(crate) fn synchronise(&self) -> Result {
        for ticket in self.context.order().before(self.lane) {
            ticket.wait();
        }
        self.context.has_waited();
        self.context.check()
    }

    /// Whether all that is in the stream has ended.
    pub(crate) fn query(&self) -> Result {
        let pending = !self.context.order().before(self.lane).is_empty();
        self.context.check()?;
        if pending {
            Err(Status::ERROR_NOT_READY)
        } else {
            Ok(())
        }
    }
}
