//! One client's session: frames in, in order, to the driver; answers out, as they come.
//!
//! The issuing thread reads a frame, issues what it says, and reads the next. It never waits for the device
//! (see [`super::waits`]), so that a call that waits holds no other up.

use std::collections::HashMap;
use std::ffi::c_void;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use rgpu_proto::derived::worker::{self as derived, Failure};
use rgpu_proto::frame::{Flags, Header};
use rgpu_proto::handle::{HandleKind, Id, Stream};
use rgpu_proto::hello::{self, FEATURE_RDMA, FEATURE_SHM, HelloKind, ServerHello};
use rgpu_proto::kinds::WorkerSide;
use rgpu_proto::limits;
use rgpu_proto::msg::{Goodbye, PRIMARY_CONTEXT};
use rgpu_proto::opcode::Opcode;
use rgpu_proto::status::Status;
use rgpu_proto::wire::{self, Decode};
use rgpu_transport::{Closer, Connection, rdma, shm};

use super::contexts::Contexts;
use super::driver::Driver;
use super::event::Event;
use super::handlers::{Link, Slots};
use super::handles::Handles;
use super::host_func::HostFuncs;
use super::libraries::Libraries;
use super::output::Output;
use super::snapshot::{Raw, Warm};
use super::staging::Pool;
use super::transfers::Transfers;
use super::waits::{self, Deliveries, Tasks, Underway};
use super::window::Window;
use super::wire_in::{Arrived, End, WireIn};
use super::writer::Writer;
use crate::handover::{self, Assign, Usage};
use crate::store::Store;

/// Bytes of a buffer for data that travels inside its call.
const SMALL_CHUNK: usize = limits::INLINE_DATA;
/// Such buffers in flight at most.
const SMALL_CHUNKS: usize = 1024;
/// Large buffers for copies from the host in flight at most: a client within its credit never waits for one.
const CHUNKS_IN: usize = limits::BULK_CREDIT as usize / limits::MAX_CHUNK;
/// Large buffers for copies to the host in flight at most.
const CHUNKS_OUT: usize = 256;

/// A session's state.
pub(super) struct Session {
    pub(super) driver: Arc<Driver>,
    pub(super) libraries: Libraries,
    pub(super) device: i32,
    pub(super) contexts: Contexts,
    pub(super) handles: Handles,
    pub(super) window: Window,
    pub(super) store: Store,
    pub(super) writer: Arc<Writer>,
    pub(super) output: Arc<Output>,
    pub(super) deliveries: Arc<Deliveries>,
    pub(super) tasks: Tasks,
    /// Modules being unloaded elsewhere.
    pub(super) unloads: Underway,
    pub(super) host_funcs: Arc<HostFuncs>,
    pub(super) small: Arc<Pool>,
    pub(super) chunks_in: Arc<Pool>,
    pub(super) chunks_out: Arc<Pool>,
    /// Bytes of each physical memory, by id.
    pub(super) physical: HashMap<u32, u64>,
    /// Links under way, by id.
    pub(super) links: HashMap<u32, Link>,
    /// Where a launch's parameters are put.
    pub(super) params: Vec<u128>,
    derived: Arc<HashMap<u16, derived::Handler<Self>>>,
    pub(super) transfers: Transfers,
    /// Bulk bytes that the client may send again and has not been told of.
    pub(super) credit_owed: u64,
    /// Data being sent from where it lies on the device.
    pub(super) in_place: Underway,
    /// Memory that the client shares.
    pub(super) slots: Slots,
    /// Header of the frame being handled.
    pub(super) frame: Header,
    /// The stream that stands for `CU_STREAM_PER_THREAD` in that frame.
    per_thread: Option<Raw>,
    supervisor: OwnedFd,
    reported: u64,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("frame", &self.frame)
            .finish_non_exhaustive()
    }
}

/// What a handler did with a call.
pub(super) enum Answer {
    /// All that there is to do; the bytes are the body of the answer, if the client waits for one.
    Done(Vec<u8>),
    /// The answer has been sent, or another thread will send it.
    Elsewhere,
}

/// A call that was not carried out.
pub(super) enum Failed {
    /// With this result; the session goes on.
    Status(Status),
    /// The session ends.
    End(End),
}

impl From<Status> for Failed {
    fn from(status: Status) -> Self {
        Self::Status(status)
    }
}

impl From<End> for Failed {
    fn from(end: End) -> Self {
        Self::End(end)
    }
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        Self::End(End::Broken(error))
    }
}

/// Result of a handler.
pub(super) type Handled = Result<Answer, Failed>;

/// Nothing to answer with.
pub(super) const DONE: Answer = Answer::Done(Vec::new());

/// What a worker has loaded and opened before it has a client.
pub(super) struct Parts {
    pub(super) driver: Arc<Driver>,
    pub(super) libraries: Libraries,
    pub(super) store: Store,
}

/// Greets the client and serves it to its end.
pub(super) fn serve(
    parts: Parts,
    warm: &Warm,
    assign: &Assign,
    socket: OwnedFd,
    pipes: [std::fs::File; 2],
    supervisor: OwnedFd,
) -> anyhow::Result<()> {
    let window = Window::reserve(Arc::clone(&parts.driver), warm.device, assign.lease)?;
    let connection = greet(warm, assign, &window, socket)?;
    let (sender, receiver, closer) = connection.split();
    let writer = Arc::new(Writer::new(sender));
    let output = Output::start(pipes, &writer)?;
    let mut session = Session::new(parts, warm, window, writer, output, supervisor);
    session.slots = Slots::new(closer.shared_memory());
    // What the device copies from and to stays mapped for as long as this process lasts.
    std::mem::forget(Arc::clone(&closer));
    session.run(WireIn::new(receiver), &closer);
    Ok(())
}

/// A way that is faster than the client's socket.
enum Faster {
    Memory(shm::Offer),
    Rdma(Box<rdma::Offer>),
}

impl Faster {
    /// The first way that the client offered to take and that works here.
    fn of(wanted: u64, socket: &OwnedFd) -> Option<Self> {
        if wanted & FEATURE_SHM != 0
            && let Some(offer) = shm::Offer::to(socket)
        {
            return Some(Self::Memory(offer));
        }
        if wanted & FEATURE_RDMA != 0 {
            let offer = rdma::Offer::to(socket)
                .inspect_err(|error| tracing::warn!(%error, "no RDMA for this client"));
            return offer.ok().map(Box::new).map(Self::Rdma);
        }
        None
    }

    const fn feature(&self) -> u64 {
        match self {
            Self::Memory(_) => FEATURE_SHM,
            Self::Rdma(_) => FEATURE_RDMA,
        }
    }
}

/// Sends the hello, and takes a faster way that it announces.
fn greet(warm: &Warm, assign: &Assign, window: &Window, socket: OwnedFd) -> io::Result<Connection> {
    let faster = Faster::of(assign.hello.features, &socket);
    let features = faster.as_ref().map_or(0, Faster::feature);
    let hello = server_hello(warm, assign, window, features);
    let words = hello::to_bytes(HelloKind::Server, &hello);
    match faster {
        Some(Faster::Memory(offer)) => offer.make(socket, &words),
        Some(Faster::Rdma(offer)) => offer.make(socket, &words),
        None => {
            let mut connection = rgpu_transport::from_fd(socket)?;
            connection.send(&[IoSlice::new(&words)])?;
            Ok(connection)
        }
    }
}

fn server_hello(warm: &Warm, assign: &Assign, window: &Window, features: u64) -> ServerHello {
    ServerHello {
        version: assign.version,
        features,
        session: assign.session,
        driver_version: warm.driver_version,
        // A session has one device: its worker's first.
        devices: warm.devices.iter().take(1).cloned().collect(),
        lease: assign.lease,
        window_base: window.base(),
        window_size: window.size(),
        granularity: window.granularity(),
        stream_priorities: warm.stream_priorities,
        limits: warm.limits.clone(),
        bulk_credit: limits::BULK_CREDIT,
    }
}

impl Session {
    fn new(
        parts: Parts,
        warm: &Warm,
        window: Window,
        writer: Arc<Writer>,
        output: Arc<Output>,
        supervisor: OwnedFd,
    ) -> Self {
        let Parts {
            driver,
            libraries,
            store,
        } = parts;
        let (deliveries, tasks) = (Arc::<Deliveries>::default(), Tasks::default());
        let host_funcs = HostFuncs::new(
            Arc::clone(&writer),
            Arc::clone(&output),
            Arc::clone(&deliveries),
            tasks.clone(),
        );
        let frame = Header {
            len: 0,
            op: Opcode(0),
            flags: Flags::default(),
            seq: 0,
            re: 0,
            ctx: 0,
            lane: 0,
        };
        Self {
            contexts: Contexts::new(Arc::clone(&driver), warm.primary),
            device: warm.device,
            driver,
            libraries,
            handles: Handles::default(),
            window,
            store,
            writer,
            output,
            deliveries,
            tasks,
            unloads: Underway::default(),
            host_funcs,
            small: Arc::new(Pool::new(SMALL_CHUNK, SMALL_CHUNKS)),
            chunks_in: Arc::new(Pool::new(limits::MAX_CHUNK, CHUNKS_IN)),
            chunks_out: Arc::new(Pool::new(limits::MAX_CHUNK, CHUNKS_OUT)),
            physical: HashMap::new(),
            links: HashMap::new(),
            transfers: Transfers::default(),
            credit_owed: 0,
            in_place: Underway::default(),
            slots: Slots::new(None),
            params: Vec::new(),
            derived: Arc::new(derived::handlers()),
            frame,
            per_thread: None,
            supervisor,
            reported: 0,
        }
    }

    /// Handles frames until the client leaves or breaks the protocol.
    fn run(mut self, mut wire: WireIn, closer: &Closer) {
        let end = loop {
            if let Err(end) = self.step(&mut wire) {
                break end;
            }
        };
        if end.is_violation() {
            tracing::warn!(%end, "session ended");
            // The client may be gone already.
            let _ = self.writer.notify(
                Opcode::GOODBYE,
                &Goodbye {
                    reason: end.to_string(),
                },
            );
        } else {
            tracing::info!(%end, "session ended");
        }
        closer.close();
    }

    fn step(&mut self, wire: &mut WireIn) -> Result<(), End> {
        let result = match wire.next(|| self.writer.sent())? {
            Arrived::Data(header) => self.data(&header, wire),
            Arrived::Call(header, body) => {
                self.frame = header;
                match self.enter() {
                    Ok(()) => self.handle(body),
                    Err(Failed::Status(status)) => self.refuse(status, body),
                    Err(end) => Err(end),
                }
            }
        };
        let outcome = match result {
            Ok(Answer::Elsewhere) => Ok(()),
            Ok(Answer::Done(body)) if self.is_answered() => self.reply(Status::SUCCESS, &body),
            Ok(Answer::Done(_)) => Ok(()),
            Err(Failed::End(end)) => return Err(end),
            Err(Failed::Status(status)) => self.fail(status),
        };
        self.report_usage();
        outcome.map_err(End::Broken)
    }

    /// Makes the frame's context and thread the ones that handlers act in.
    pub(super) fn enter(&mut self) -> Result<(), Failed> {
        self.per_thread = None;
        match self.contexts.enter(self.frame.ctx) {
            // Calls that make or end contexts, or clear up after one, need none.
            Err(Status::ERROR_INVALID_CONTEXT) if !self.needs_context() => Ok(()),
            result => Ok(result?),
        }
    }

    fn needs_context(&self) -> bool {
        const CREATE: Opcode = Opcode::of("cuCtxCreate_v4");
        const DESTROY: Opcode = Opcode::of("cuCtxDestroy_v2");
        const RESET: Opcode = Opcode::of("cuDevicePrimaryCtxReset_v2");
        let names_its_own = matches!(self.frame.op, CREATE | DESTROY | RESET);
        (self.frame.op.0 < Opcode::PROTOCOL && !names_its_own)
            || matches!(self.frame.op, Opcode::COPY_IN | Opcode::COPY_OUT)
    }

    /// Page-locked buffers of a context that is gone are gone with it.
    pub(super) fn renew_staging(&mut self) {
        self.slots.unlocked();
        self.small = Arc::new(Pool::new(SMALL_CHUNK, SMALL_CHUNKS));
        self.chunks_in = Arc::new(Pool::new(limits::MAX_CHUNK, CHUNKS_IN));
        self.chunks_out = Arc::new(Pool::new(limits::MAX_CHUNK, CHUNKS_OUT));
    }

    /// Whether the client waits for an answer to this frame.
    pub(super) const fn waits(&self) -> bool {
        self.frame.flags.has(Flags::WAIT)
    }

    /// Whether this frame is answered: also those are that the client looks for later.
    const fn is_answered(&self) -> bool {
        const WATCH: Opcode = Opcode::of("cuEventSynchronize");
        self.waits() || matches!(self.frame.op, Opcode::COPY_OUT | WATCH)
    }

    /// Answers this frame.
    pub(super) fn reply(&self, status: Status, body: &[u8]) -> io::Result<()> {
        self.writer
            .reply(self.frame.seq, self.frame.op, status, body)
    }

    /// A call failed: tell the client now, where it waits, else with the next answer.
    fn fail(&self, status: Status) -> io::Result<()> {
        tracing::debug!(op = %self.frame.op, status = status.0, "call failed");
        if self.is_answered() {
            return self.reply(status, &[]);
        }
        self.writer.defer(self.frame.op, status);
        Ok(())
    }

    /// Decodes the whole body of this frame.
    pub(super) fn decode<T: Decode>(&self, body: &[u8]) -> Result<T, Failed> {
        wire::from_bytes(body).map_err(|error| {
            End::Body {
                op: self.frame.op,
                error,
            }
            .into()
        })
    }

    /// Decodes the front of this frame's body and returns the rest.
    pub(super) fn decode_front<'a, T: Decode>(
        &self,
        body: &'a [u8],
    ) -> Result<(T, &'a [u8]), Failed> {
        let mut reader = wire::Reader::new(body);
        let value = T::decode(&mut reader).map_err(|error| End::Body {
            op: self.frame.op,
            error,
        })?;
        Ok((value, reader.rest()))
    }

    /// Carries out a `posted` or `reply` row.
    pub(super) fn derived(&mut self, body: &[u8]) -> Handled {
        let op = self.frame.op;
        let Some(handler) = self.derived.get(&op.0).copied() else {
            return Err(End::NotForServers(op).into());
        };
        self.resolve_per_thread(body)?;
        match handler(self, body) {
            Ok(body) => Ok(Answer::Done(body)),
            Err(Failure::Status(status)) => Err(status.into()),
            Err(Failure::Malformed(error)) => Err(End::Body { op, error }.into()),
        }
    }

    /// Rows name `CU_STREAM_PER_THREAD` as any other stream; make sure that it exists.
    pub(super) fn resolve_per_thread(&mut self, body: &[u8]) -> Result<(), Status> {
        if body.chunks_exact(4).any(|word| word == [2, 0, 0, 0]) {
            self.per_thread = Some(self.contexts.per_thread(self.frame.lane)?);
        }
        Ok(())
    }

    /// The driver's stream of a client's id. Its context becomes current, as CUDA lets a program name streams of any.
    pub(super) fn stream(&mut self, id: Id<Stream>) -> Result<*mut c_void, Status> {
        let stream = self.stream_from_here(id)?;
        self.contexts.enter_that_of(Raw(stream))?;
        Ok(stream)
    }

    /// The driver's stream of a client's id, in the frame's context and thread.
    pub(super) fn stream_from_here(&mut self, id: Id<Stream>) -> Result<*mut c_void, Status> {
        match id.0 {
            0 | 1 => Ok(id.0 as usize as *mut c_void),
            2 => self.contexts.per_thread(self.frame.lane).map(|raw| raw.0),
            _ => self.handles.of(id),
        }
    }

    /// An event at the end of `stream`.
    pub(super) fn event(&self, stream: *mut c_void) -> Result<Event, Status> {
        Event::record(&self.driver, stream)
    }

    /// Whether the device has nothing to do for the current context.
    pub(super) fn is_idle(&mut self) -> Result<bool, Status> {
        let context = self.contexts.current()?;
        // Work of destroyed streams may still be under way.
        if !context.leaving().is_empty() {
            return Ok(false);
        }
        let streams = context.all_streams();
        // SAFETY: streams come from the map.
        let done = |stream: &Raw| unsafe { self.driver.cuStreamQuery(stream.0) }.is_ok();
        Ok(streams.iter().all(done))
    }

    /// Answers a wait for something that has happened already, as `done` says.
    pub(super) fn answer_now(&self, done: Result<(), Status>) -> Handled {
        self.deliveries
            .settle(self.frame.seq, &self.output, &self.writer);
        self.reply(Status::of(done), &[])?;
        Ok(Answer::Elsewhere)
    }

    /// Answers this frame when all of `events` have happened, or at once where there are none because of an error.
    pub(super) fn answer_after(&mut self, events: Result<Vec<Event>, Status>) -> Handled {
        let events = events.inspect_err(|_| self.output.drain(&self.writer))?;
        let (writer, output) = (Arc::clone(&self.writer), Arc::clone(&self.output));
        let deliveries = Arc::clone(&self.deliveries);
        let Header { seq, op, .. } = self.frame;
        let context = self.contexts.current()?.raw;
        let shortly = waits::happen_shortly(&events);
        let finish = move || {
            let status = events
                .iter()
                .map(Event::synchronize)
                .find(Result::is_err)
                .unwrap_or(Ok(()));
            deliveries.settle(seq, &output, &writer);
            writer.reply(seq, op, Status::of(status), &[])
        };
        if shortly {
            finish()?;
            return Ok(Answer::Elsewhere);
        }
        let driver = Arc::clone(&self.driver);
        self.tasks.run(move || {
            enter_on_thread(&driver, context);
            // A client that is gone is noticed by the session's reader.
            let _ = finish();
        })?;
        Ok(Answer::Elsewhere)
    }

    /// Tells the supervisor how much memory the client uses, where that has changed.
    fn report_usage(&mut self) {
        let used = self.window.used();
        if used != self.reported {
            self.reported = used;
            // A supervisor that is gone takes this process with it.
            let _ = handover::send(self.supervisor.as_fd(), &Usage { bytes: used }, None);
        }
    }
}

/// Makes `context` current on a thread of [`Tasks`]. Where that fails, the calls that follow say so.
pub(super) fn enter_on_thread(driver: &Driver, context: Raw) {
    // SAFETY: an opaque handle; a destroyed context is answered with an error.
    let _ = unsafe { driver.cuCtxSetCurrent(context.0) };
}

impl WorkerSide for Session {
    fn driver_handle(&self, kind: HandleKind, id: u32) -> Result<*mut c_void, Status> {
        match (kind, id) {
            (HandleKind::Stream, 0 | 1) => Ok(id as usize as *mut c_void),
            (HandleKind::Stream, 2) => self
                .per_thread
                .map(|raw| raw.0)
                .ok_or(Status::ERROR_INVALID_HANDLE),
            (HandleKind::Context, _) if id >= PRIMARY_CONTEXT => {
                self.contexts.raw(id).map(|raw| raw.0)
            }
            (HandleKind::Function, _) => self
                .handles
                .get(kind, id)
                .or_else(|error| self.handles.get(HandleKind::Kernel, id).map_err(|_| error)),
            _ => self.handles.get(kind, id),
        }
    }

    fn symbol(&self, id: u16) -> Option<*const c_void> {
        self.driver.symbol(id)
    }
}
