//! The worker's own events: when a stream has got somewhere.

use std::ffi::c_void;
use std::sync::Arc;

use rgpu_proto::status::Status;

use super::driver::Driver;
use super::spare::SpareStream;

/// An event recorded once in a stream; destroyed when dropped.
pub(super) struct Event {
    driver: Arc<Driver>,
    raw: *mut c_void,
    /// The stream, where it is used for this event alone.
    _stream: Option<SpareStream>,
}

// SAFETY: a driver handle is an opaque word; the driver API may be called with it from any thread.
unsafe impl Send for Event {}
// SAFETY: as above.
unsafe impl Sync for Event {}

impl std::fmt::Debug for Event {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Event")
            .field("raw", &self.raw)
            .finish_non_exhaustive()
    }
}

/// `CU_EVENT_DISABLE_TIMING`.
const DISABLE_TIMING: u32 = 2;

impl Event {
    /// Records a new event in `stream` of the current context.
    pub(super) fn record(driver: &Arc<Driver>, stream: *mut c_void) -> Result<Self, Status> {
        let mut raw = std::ptr::null_mut();
        // SAFETY: `raw` is live.
        unsafe { driver.cuEventCreate(&raw mut raw, DISABLE_TIMING)? };
        let event = Self {
            driver: Arc::clone(driver),
            raw,
            _stream: None,
        };
        // SAFETY: the event was created above; the stream comes from the worker's map.
        unsafe { driver.cuEventRecord(raw, stream)? };
        Ok(event)
    }

    /// Records a new event in a stream that is spare again when the event is gone.
    pub(super) fn record_in(driver: &Arc<Driver>, stream: SpareStream) -> Result<Self, Status> {
        let mut event = Self::record(driver, stream.raw())?;
        event._stream = Some(stream);
        Ok(event)
    }

    /// Waits for the event. Also makes the driver print what kernels before it printed.
    pub(super) fn synchronize(&self) -> Result<(), Status> {
        // SAFETY: the event lives as long as `self`.
        unsafe { self.driver.cuEventSynchronize(self.raw) }
    }

    /// `Ok` when it has happened, `ERROR_NOT_READY` before.
    pub(super) fn query(&self) -> Result<(), Status> {
        // SAFETY: the event lives as long as `self`.
        unsafe { self.driver.cuEventQuery(self.raw) }
    }

    /// Whether it has not happened; an error has ended the wait too.
    pub(super) fn is_pending(&self) -> bool {
        self.query() == Err(Status::ERROR_NOT_READY)
    }

    /// Makes what is issued to `stream` from now on wait for the event.
    pub(super) fn hold(&self, stream: *mut c_void) -> Result<(), Status> {
        // SAFETY: the event lives as long as `self`; the stream comes from the worker's map.
        unsafe { self.driver.cuStreamWaitEvent(stream, self.raw, 0) }
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        // SAFETY: the event was created by `record` and is destroyed once. An error means that its context
        // is gone, and the event with it.
        let _ = unsafe { self.driver.cuEventDestroy_v2(self.raw) };
    }
}
