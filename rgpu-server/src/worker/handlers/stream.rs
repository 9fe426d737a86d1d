//! Streams, events, host functions, fences.

use std::ffi::c_void;
use std::sync::Arc;

use rgpu_proto::msg::stream::{
    EventCreate, EventRef, HostFunc, HostFuncDone, MemoryOp, StreamCreate, StreamGet, StreamMemory,
    StreamRef, StreamSet, StreamValue,
};
use rgpu_proto::status::Status;
use rgpu_proto::wire;

use crate::worker::event::Event;
use crate::worker::host_func::{HostFuncs, host_func, stream_callback};
use crate::worker::session::{Answer, DONE, Handled, Session, enter_on_thread};
use crate::worker::snapshot::Raw;

/// Bytes of `CUstreamAttrValue`.
const ATTRIBUTE_VALUE: usize = 64;
/// `CU_STREAM_MEM_OP_BARRIER`.
const BARRIER: u32 = 6;
/// Bytes of `CUstreamBatchMemOpParams`.
const MEMORY_OP: usize = 48;
/// `CU_STREAM_ATTRIBUTE_ACCESS_POLICY_WINDOW`.
const ACCESS_POLICY_WINDOW: u32 = 1;

impl Session {
    pub(super) fn stream_create(&mut self, create: &StreamCreate) -> Handled {
        let mut raw = std::ptr::null_mut();
        // SAFETY: `raw` is live.
        unsafe {
            self.driver
                .cuStreamCreateWithPriority(&raw mut raw, create.flags, create.priority)?;
        }
        self.handles.bind(create.id, raw)?;
        let context = self.contexts.current()?;
        context.streams.push(Raw(raw));
        context.behind_fence(Raw(raw))?;
        Ok(DONE)
    }

    pub(super) fn stream_destroy(&mut self, stream: &StreamRef) -> Handled {
        let raw = self.handles.unbind(stream.id)?;
        self.contexts.enter_that_of(Raw(raw))?;
        self.contexts.forget_stream(Raw(raw));
        // A later fence is about the work of this stream too. A failed one has no work.
        if let Ok(end) = self.event(raw) {
            self.contexts.current()?.leave(end);
        }
        // SAFETY: the stream was in the map and has just been taken out of it.
        unsafe { self.driver.cuStreamDestroy_v2(raw)? };
        Ok(DONE)
    }

    pub(super) fn stream_get(&mut self, get: &StreamGet) -> Handled {
        let stream = self.stream(get.id)?;
        // Aligned as the widest member of the union.
        let mut value = [0_u64; ATTRIBUTE_VALUE / 8];
        // SAFETY: the stream comes from the map; `value` has the size of a CUstreamAttrValue.
        unsafe {
            let out = value.as_mut_ptr().cast();
            self.driver
                .cuStreamGetAttribute(stream, get.attribute, out)?;
        }
        let value = value.iter().flat_map(|word| word.to_ne_bytes()).collect();
        Ok(Answer::Done(wire::to_bytes(&StreamValue { value })))
    }

    pub(super) fn stream_set(&mut self, set: &StreamSet) -> Handled {
        let stream = self.stream(set.id)?;
        if set.value.len() != ATTRIBUTE_VALUE {
            return Err(Status::ERROR_INVALID_VALUE.into());
        }
        let mut value = [0_u64; ATTRIBUTE_VALUE / 8];
        for (word, bytes) in value.iter_mut().zip(set.value.as_chunks().0) {
            *word = u64::from_ne_bytes(*bytes);
        }
        // An access policy begins with an address and a size.
        if set.attribute == ACCESS_POLICY_WINDOW && !self.window.holds(value[0], value[1]) {
            return Err(Status::ERROR_INVALID_VALUE.into());
        }
        // SAFETY: the stream comes from the map; `value` has the size of a CUstreamAttrValue.
        unsafe {
            let from = value.as_ptr().cast();
            self.driver
                .cuStreamSetAttribute(stream, set.attribute, from)?;
        }
        Ok(DONE)
    }

    /// Each operation by itself: what the driver would do with an array.
    pub(super) fn stream_memory(&mut self, memory: &StreamMemory) -> Handled {
        let stream = self.stream(memory.id)?;
        for op in &memory.ops {
            let MemoryOp {
                operation,
                flags,
                address,
                value,
            } = *op;
            let narrow = value as u32;
            // SAFETY: the stream comes from the map; the driver checks the address.
            unsafe {
                match operation {
                    1 => self
                        .driver
                        .cuStreamWaitValue32_v2(stream, address, narrow, flags)?,
                    2 => self
                        .driver
                        .cuStreamWriteValue32_v2(stream, address, narrow, flags)?,
                    4 => self
                        .driver
                        .cuStreamWaitValue64_v2(stream, address, value, flags)?,
                    5 => self
                        .driver
                        .cuStreamWriteValue64_v2(stream, address, value, flags)?,
                    BARRIER => {
                        let mut params = [0_u64; MEMORY_OP / 8];
                        params[0] = u64::from(BARRIER) | u64::from(flags) << 32;
                        let array = params.as_mut_ptr().cast();
                        self.driver.cuStreamBatchMemOp_v2(stream, 1, array, 0)?;
                    }
                    _ => return Err(Status::ERROR_INVALID_VALUE.into()),
                }
            }
        }
        Ok(DONE)
    }

    pub(super) fn stream_query(&mut self, stream: &StreamRef) -> Handled {
        let raw = self.stream(stream.id)?;
        // SAFETY: the stream comes from the map.
        let status = unsafe { self.driver.cuStreamQuery(raw) };
        self.answer_query(status)
    }

    fn answer_query(&self, status: Result<(), Status>) -> Handled {
        if status != Err(Status::ERROR_NOT_READY) {
            self.deliveries
                .settle(self.frame.seq, &self.output, &self.writer);
        }
        status?;
        Ok(DONE)
    }

    pub(super) fn stream_synchronize(&mut self, stream: &StreamRef) -> Handled {
        let raw = self.stream(stream.id)?;
        // SAFETY: the stream comes from the map.
        if unsafe { self.driver.cuStreamQuery(raw) }.is_ok() {
            // SAFETY: as above. Makes the driver print what kernels printed.
            return self.answer_now(unsafe { self.driver.cuStreamSynchronize(raw) });
        }
        let event = self.event(raw);
        self.answer_after(event.map(|event| vec![event]))
    }

    pub(super) fn event_create(&mut self, create: &EventCreate) -> Handled {
        let mut raw = std::ptr::null_mut();
        // SAFETY: `raw` is live.
        unsafe { self.driver.cuEventCreate(&raw mut raw, create.flags)? };
        self.handles.bind(create.id, raw)?;
        Ok(DONE)
    }

    pub(super) fn event_destroy(&mut self, event: &EventRef) -> Handled {
        let raw = self.handles.unbind(event.id)?;
        // SAFETY: the event was in the map and has just been taken out of it.
        unsafe { self.driver.cuEventDestroy_v2(raw)? };
        Ok(DONE)
    }

    pub(super) fn event_query(&mut self, event: &EventRef) -> Handled {
        let raw = self.handles.of(event.id)?;
        // SAFETY: the event comes from the map.
        let status = unsafe { self.driver.cuEventQuery(raw) };
        self.answer_query(status)
    }

    /// Answered always: where the client does not wait, it watches the event.
    pub(super) fn event_synchronize(&mut self, event: &EventRef) -> Handled {
        let mark = self.handles.of(event.id).and_then(|raw| self.mark(raw));
        if self.waits() {
            return self.answer_after(mark.map(|mark| vec![mark]));
        }
        self.watch(mark?)?;
        Ok(Answer::Elsewhere)
    }

    /// The client may record the event again before it has happened; the wait is for the recording known now.
    /// A stream that does nothing else is held by the client's event and marked with one of the worker's own.
    fn mark(&mut self, event: *mut c_void) -> Result<Event, Status> {
        let stream = self.contexts.current()?.spare.take(&self.driver)?;
        // SAFETY: both handles are alive.
        unsafe { self.driver.cuStreamWaitEvent(stream.raw(), event, 0)? };
        Event::record_in(&self.driver, stream)
    }

    /// Answers the frame when the mark has been reached, or before, where something else shows that it has.
    fn watch(&mut self, mark: Event) -> Result<(), Status> {
        let (writer, output) = (Arc::clone(&self.writer), Arc::clone(&self.output));
        let (deliveries, driver) = (Arc::clone(&self.deliveries), Arc::clone(&self.driver));
        let context = self.contexts.current()?.raw;
        let (seq, mark) = (self.frame.seq, Arc::new(mark));
        deliveries.watch(seq, Arc::clone(&mark));
        self.tasks.run(move || {
            enter_on_thread(&driver, context);
            // The answer says how it went.
            let _ = mark.synchronize();
            deliveries.settle(seq, &output, &writer);
        })
    }

    pub(super) fn host_func(&mut self, func: &HostFunc) -> Handled {
        let stream = self.stream(func.stream)?;
        let call = self.host_funcs.issue(func.token, self.frame.seq);
        // SAFETY: both functions have the C types of their APIs' callbacks; `call` is theirs to take.
        let issued = unsafe {
            if func.on_error {
                let callback: unsafe extern "C" fn(*mut c_void, u32, *mut c_void) = stream_callback;
                let callback = std::mem::transmute::<
                    unsafe extern "C" fn(*mut c_void, u32, *mut c_void),
                    unsafe extern "C" fn(),
                >(callback);
                self.driver
                    .cuStreamAddCallback(stream, Some(callback), call, 0)
            } else {
                let callback: unsafe extern "C" fn(*mut c_void) = host_func;
                let callback = std::mem::transmute::<
                    unsafe extern "C" fn(*mut c_void),
                    unsafe extern "C" fn(),
                >(callback);
                self.driver.cuLaunchHostFunc(stream, Some(callback), call)
            }
        };
        if let Err(status) = issued {
            // SAFETY: the driver refused the call and will not use its argument.
            unsafe { HostFuncs::cancel(call) };
            return Err(status.into());
        }
        Ok(DONE)
    }

    pub(super) fn host_func_done(&mut self, done: &HostFuncDone) -> Handled {
        self.host_funcs.done(done.token);
        Ok(DONE)
    }

    /// Everything issued later waits for everything issued before, in every stream, those that are made later
    /// included.
    pub(super) fn fence(&mut self) -> Handled {
        let streams = self.contexts.current()?.all_streams();
        let mut events = streams
            .iter()
            .map(|stream| self.event(stream.0).map(Arc::new))
            .collect::<Result<Vec<_>, _>>()?;
        // What comes after the streams' own events is about streams that are gone.
        events.extend(self.contexts.current()?.leaving());
        for (at, stream) in streams.iter().enumerate() {
            for (_, event) in events.iter().enumerate().filter(|(of, _)| *of != at) {
                event.hold(stream.0)?;
            }
        }
        self.contexts.current()?.set_fence(events);
        Ok(DONE)
    }
}
