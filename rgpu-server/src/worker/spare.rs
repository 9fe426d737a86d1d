//! Streams of the worker's own, in which it waits for events of the client.

use std::ffi::c_void;
use std::sync::{Arc, Mutex, PoisonError};

use rgpu_proto::status::Status;

use super::driver::Driver;
use super::snapshot::Raw;

/// `CU_STREAM_NON_BLOCKING`.
const NON_BLOCKING: u32 = 1;

/// Streams of one context that nobody uses at the moment. They go with the context.
#[derive(Debug, Clone, Default)]
pub(super) struct SpareStreams(Arc<Mutex<Vec<Raw>>>);

/// A stream with nothing in it; spare again when dropped.
#[derive(Debug)]
pub(super) struct SpareStream {
    stream: Raw,
    home: SpareStreams,
}

impl SpareStreams {
    /// A stream of the current context, made where none is spare.
    pub(super) fn take(&self, driver: &Driver) -> Result<SpareStream, Status> {
        let spare = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let stream = match spare {
            Some(stream) => stream,
            None => {
                let mut raw = std::ptr::null_mut();
                // SAFETY: `raw` is live.
                unsafe { driver.cuStreamCreate(&raw mut raw, NON_BLOCKING)? };
                Raw(raw)
            }
        };
        Ok(SpareStream {
            stream,
            home: self.clone(),
        })
    }
}

impl SpareStream {
    /// The driver's handle.
    pub(super) const fn raw(&self) -> *mut c_void {
        self.stream.0
    }
}

impl Drop for SpareStream {
    fn drop(&mut self) {
        self.home
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(self.stream);
    }
}
