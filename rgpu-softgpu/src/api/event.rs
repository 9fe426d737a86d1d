//! Events.

use std::ffi::c_void;

use super::put;
use crate::driver;
use crate::status::{Result, require};
use crate::{context, event, stream};

/// `CU_EVENT_RECORD_EXTERNAL`, which means something in a graph only.
const RECORD_EXTERNAL: u32 = 1;

pub(crate) unsafe fn cuEventCreate(ph_event: *mut *mut c_void, flags: u32) -> Result {
    require(!ph_event.is_null())?;
    // SAFETY: the contract of this function.
    unsafe { put(ph_event, event::create(flags)?) }
}

/// The event goes at once; who waits for its last record goes on waiting.
pub(crate) unsafe fn cuEventDestroy_v2(h_event: *mut c_void) -> Result {
    let driver = driver::get()?;
    context::current()?;
    driver.events.remove(h_event).map(drop)
}

pub(crate) unsafe fn cuEventRecord(h_event: *mut c_void, h_stream: *mut c_void) -> Result {
    let event = event::resolve(h_event)?;
    event.record(&*stream::resolve(h_stream)?)
}

pub(crate) unsafe fn cuEventRecordWithFlags(
    h_event: *mut c_void,
    h_stream: *mut c_void,
    flags: u32,
) -> Result {
    require(flags & !RECORD_EXTERNAL == 0)?;
    // SAFETY: the contract of this function.
    unsafe { cuEventRecord(h_event, h_stream) }
}

pub(crate) unsafe fn cuEventQuery(h_event: *mut c_void) -> Result {
    event::resolve(h_event)?.query()
}

pub(crate) unsafe fn cuEventSynchronize(h_event: *mut c_void) -> Result {
    event::resolve(h_event)?.synchronise()
}

pub(crate) unsafe fn cuEventElapsedTime(
    p_milliseconds: *mut f32,
    h_start: *mut c_void,
    h_end: *mut c_void,
) -> Result {
    let (start, end) = (event::resolve(h_start)?, event::resolve(h_end)?);
    require(!p_milliseconds.is_null())?;
    // SAFETY: the contract of this function.
    unsafe { put(p_milliseconds, start.elapsed_to(&end)?) }
}

pub(crate) unsafe fn cuEventElapsedTime_v2(
    p_milliseconds: *mut f32,
    h_start: *mut c_void,
    h_end: *mut c_void,
) -> Result {
    // SAFETY: the contract of this function.
    unsafe { cuEventElapsedTime(p_milliseconds, h_start, h_end) }
}

pub(crate) unsafe fn cuCtxRecordEvent(h_ctx: *mut c_void, h_event: *mut c_void) -> Result {
    let context = context::find(h_ctx)?;
    context.check()?;
    event::resolve(h_event)?.record_context(&context)
}

pub(crate) unsafe fn cuCtxWaitEvent(h_ctx: *mut c_void, h_event: *mut c_void) -> Result {
    let context = context::find(h_ctx)?;
    context.check()?;
    if let Some(ticket) = event::resolve(h_event)?.recorded() {
        context.order().hold_all(ticket);
    }
    Ok(())
}
