//! The client's contexts, and which of them is current to the issuing thread.

use std::collections::HashMap;
use std::sync::Arc;

use rgpu_proto::msg::PRIMARY_CONTEXT;
use rgpu_proto::status::Status;

use super::driver::Driver;
use super::event::Event;
use super::snapshot::Raw;
use super::spare::SpareStreams;

/// Contexts by the client's ids.
#[derive(Debug)]
pub(super) struct Contexts {
    driver: Arc<Driver>,
    known: HashMap<u32, Context>,
    current: u32,
}

/// A context and the streams made in it.
#[derive(Debug)]
pub(super) struct Context {
    pub(super) raw: Raw,
    /// Streams of the client, default streams not counted.
    pub(super) streams: Vec<Raw>,
    /// Streams of the worker's own.
    pub(super) spare: SpareStreams,
    /// Per-thread default streams by the client's thread number.
    lanes: HashMap<u32, Raw>,
    /// Ends of destroyed streams, whose work may still be under way.
    leaving: Vec<Arc<Event>>,
    /// What streams that are made later wait for: all work before the last fence.
    fence: Vec<Arc<Event>>,
}

impl Contexts {
    /// The primary context, which is current already.
    pub(super) fn new(driver: Arc<Driver>, primary: Raw) -> Self {
        let known = HashMap::from([(PRIMARY_CONTEXT, Context::new(primary))]);
        Self {
            driver,
            known,
            current: PRIMARY_CONTEXT,
        }
    }

    /// Makes the context `id` current; 0 stands for the primary one.
    pub(super) fn enter(&mut self, id: u32) -> Result<(), Status> {
        let id = if id == 0 { PRIMARY_CONTEXT } else { id };
        if id == self.current {
            return Ok(());
        }
        let context = self.known.get(&id).ok_or(Status::ERROR_INVALID_CONTEXT)?;
        // SAFETY: the context is in the map, so it is alive.
        unsafe { self.driver.cuCtxSetCurrent(context.raw.0)? };
        self.current = id;
        Ok(())
    }

    /// Makes the context of a stream current; a default stream is the current one's.
    pub(super) fn enter_that_of(&mut self, stream: Raw) -> Result<(), Status> {
        if self.known.len() == 1 {
            return Ok(());
        }
        let of = |(id, context): (&u32, &Context)| context.streams.contains(&stream).then_some(*id);
        self.known
            .iter()
            .find_map(of)
            .map_or(Ok(()), |id| self.enter(id))
    }

    /// The current context.
    pub(super) fn current(&mut self) -> Result<&mut Context, Status> {
        self.known
            .get_mut(&self.current)
            .ok_or(Status::ERROR_INVALID_CONTEXT)
    }

    /// Adds a context under a new id.
    pub(super) fn add(&mut self, id: u32, raw: Raw) -> Result<(), Status> {
        if self.known.contains_key(&id) {
            return Err(Status::ERROR_INVALID_HANDLE);
        }
        self.known.insert(id, Context::new(raw));
        Ok(())
    }

    /// Replaces what is behind an id, after a reset.
    pub(super) fn renew(&mut self, id: u32, raw: Raw) {
        self.known.insert(id, Context::new(raw));
        if self.current == id {
            self.current = 0;
        }
    }

    /// Forgets a context.
    pub(super) fn remove(&mut self, id: u32) -> Result<Raw, Status> {
        let context = self
            .known
            .remove(&id)
            .ok_or(Status::ERROR_INVALID_CONTEXT)?;
        if self.current == id {
            self.current = 0;
        }
        Ok(context.raw)
    }

    /// The driver has made another context current.
    pub(super) const fn forget_current(&mut self) {
        self.current = 0;
    }

    /// A stream is destroyed.
    pub(super) fn forget_stream(&mut self, stream: Raw) {
        for context in self.known.values_mut() {
            context.streams.retain(|known| *known != stream);
        }
    }

    /// The driver's handle of a context id.
    pub(super) fn raw(&self, id: u32) -> Result<Raw, Status> {
        self.known
            .get(&id)
            .map(|context| context.raw)
            .ok_or(Status::ERROR_INVALID_CONTEXT)
    }

    /// The default stream of the client's thread `lane` in the current context. A stream of its own stands for
    /// `CU_STREAM_PER_THREAD`, since all calls are issued by one thread here.
    pub(super) fn per_thread(&mut self, lane: u32) -> Result<Raw, Status> {
        let driver = Arc::clone(&self.driver);
        let context = self.current()?;
        if let Some(&stream) = context.lanes.get(&lane) {
            return Ok(stream);
        }
        let mut raw = std::ptr::null_mut();
        // SAFETY: `raw` is live. Flags 0: as the per-thread default stream, it waits for the legacy one.
        unsafe { driver.cuStreamCreate(&raw mut raw, 0)? };
        context.lanes.insert(lane, Raw(raw));
        context.behind_fence(Raw(raw))?;
        Ok(Raw(raw))
    }
}

impl Context {
    fn new(raw: Raw) -> Self {
        Self {
            raw,
            streams: Vec::new(),
            spare: SpareStreams::default(),
            lanes: HashMap::new(),
            leaving: Vec::new(),
            fence: Vec::new(),
        }
    }

    /// Makes a new stream wait for what the last fence is about.
    pub(super) fn behind_fence(&mut self, stream: Raw) -> Result<(), Status> {
        self.fence.retain(|event| event.is_pending());
        self.fence.iter().try_for_each(|event| event.hold(stream.0))
    }

    /// Keeps the end of a stream that is about to be destroyed.
    pub(super) fn leave(&mut self, end: Event) {
        self.leaving.retain(|event| event.is_pending());
        self.leaving.push(Arc::new(end));
    }

    /// The ends of destroyed streams that have not been reached.
    pub(super) fn leaving(&mut self) -> Vec<Arc<Event>> {
        self.leaving.retain(|event| event.is_pending());
        self.leaving.clone()
    }

    /// Sets what streams that are made later wait for.
    pub(super) fn set_fence(&mut self, events: Vec<Arc<Event>>) {
        self.fence = events;
    }

    /// Every stream, the legacy default stream first.
    pub(super) fn all_streams(&self) -> Vec<Raw> {
        let legacy = Raw(std::ptr::null_mut());
        let lanes = self.lanes.values().copied();
        std::iter::once(legacy)
            .chain(self.streams.iter().copied())
            .chain(lanes)
            .collect()
    }
}
