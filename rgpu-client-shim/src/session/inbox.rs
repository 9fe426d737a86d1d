//! Frames coming in. Whoever waits first reads the socket for all; the others sleep until their answer is
//! there or the reader is free.

use std::collections::HashMap;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use rgpu_proto::frame::{Flags, HEADER_LEN, Header};
use rgpu_proto::msg::stream::HostFuncDue;
use rgpu_proto::msg::{Credit, Goodbye, Output, ReplyHead};
use rgpu_proto::opcode::Opcode;
use rgpu_proto::session::Incoming;
use rgpu_proto::status::Status;
use rgpu_proto::wire::{self, Decode, Reader as Bytes};
use rgpu_transport::Receiver;

use super::{LOST, Session};
use crate::copy::host::HostBox;
use crate::names::Hold;
use crate::stats::STATS;
use crate::trace::Request;

/// How long a waiting thread polls before it sleeps. A wake-up across cores costs about as much.
const POLL: Duration = Duration::from_micros(50);

/// The answer to a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    /// Result of this call.
    pub(crate) status: Status,
    /// What came after the reply's head.
    pub(crate) body: Vec<u8>,
    /// Bulk data ended before all that was asked for had come.
    pub(crate) short: bool,
}

/// Who wants an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    /// A thread, now or later: it is kept.
    Kept,
    /// Nobody but who synchronises with the copy in this order.
    ByOrder(u32),
    /// Nobody any more.
    No,
}

/// What is done when data has arrived.
struct Then(Box<dyn FnOnce() + Send>);

impl std::fmt::Debug for Then {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Then")
    }
}

/// A call whose answer has not come.
#[derive(Debug)]
pub(super) struct Pending {
    wanted: Wanted,
    /// Where bulk data goes.
    target: Option<HostBox>,
    /// The memory that the data changes, where it is another.
    stands_for: Option<HostBox>,
    /// What is done with the data of a copy that nobody waits for.
    then: Option<Then>,
    /// Bulk bytes that have come.
    received: usize,
    answer: Option<Answer>,
    done: bool,
    /// For a recording.
    made: Request,
}

impl Pending {
    /// A call that its thread waits for, or looks for from time to time.
    pub(super) const fn waited(target: Option<HostBox>) -> Self {
        Self {
            wanted: Wanted::Kept,
            target,
            stands_for: None,
            then: None,
            received: 0,
            answer: None,
            done: false,
            made: Request::NONE,
        }
    }

    /// A copy that nobody waits for.
    pub(super) const fn detached(target: HostBox, order: u32) -> Self {
        Self {
            wanted: Wanted::ByOrder(order),
            target: Some(target),
            stands_for: None,
            then: None,
            received: 0,
            answer: None,
            done: false,
            made: Request::NONE,
        }
    }

    /// The same, where `then` carries the data on to `stands_for`.
    pub(super) fn carried_on(
        target: HostBox,
        stands_for: HostBox,
        order: u32,
        then: impl FnOnce() + Send + 'static,
    ) -> Self {
        Self {
            stands_for: Some(stands_for),
            then: Some(Then(Box::new(then))),
            ..Self::detached(target, order)
        }
    }

    /// The order of a copy that nobody waits for.
    const fn order(&self) -> Option<u32> {
        match self.wanted {
            Wanted::ByOrder(order) => Some(order),
            Wanted::Kept | Wanted::No => None,
        }
    }
}

/// What the threads share.
#[derive(Debug)]
pub(super) struct State {
    /// The receiving end; `None` while somebody reads.
    reader: Option<Reader>,
    /// Somebody reads, perhaps into memory of a thread that waits.
    reading: bool,
    pending: HashMap<u64, Pending>,
    /// Threads asleep.
    asleep: usize,
    /// Copies that nobody waits for, and host functions, that are due.
    detached: usize,
    credit: u64,
    dead: bool,
}

/// The receiving end.
pub(super) struct Reader {
    receiver: Receiver,
    incoming: Incoming,
    scratch: Vec<u8>,
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader")
            .field("incoming", &self.incoming)
            .finish_non_exhaustive()
    }
}

/// The receiving half of a session.
#[derive(Debug)]
pub(super) struct Inbox {
    state: Mutex<State>,
    changed: Condvar,
    words: Mutex<Option<String>>,
}

impl State {
    /// The receiving end, to read from it; `None` where somebody else does, or the session is over.
    fn take_reader(&mut self) -> Option<Reader> {
        let reader = self.reader.take_if(|_| !self.dead)?;
        self.reading = true;
        Some(reader)
    }

    /// Takes `bytes` of credit, if there is so much.
    pub(super) fn spend(&mut self, bytes: u64) -> bool {
        let enough = self.credit >= bytes;
        if enough {
            self.credit -= bytes;
        }
        enough
    }

    /// The answer to call `seq`, if it has come in full.
    pub(super) fn take_answer(&mut self, seq: u64) -> Option<Answer> {
        if !self.pending.get(&seq)?.done {
            return None;
        }
        self.pending.remove(&seq)?.answer
    }
}

impl Inbox {
    pub(super) fn new(receiver: Receiver, credit: u64) -> Self {
        let reader = Reader {
            receiver,
            incoming: Incoming::default(),
            scratch: Vec::new(),
        };
        Self {
            state: Mutex::new(State {
                reader: Some(reader),
                reading: false,
                pending: HashMap::new(),
                asleep: 0,
                detached: 0,
                credit,
                dead: false,
            }),
            changed: Condvar::new(),
            words: Mutex::new(None),
        }
    }

    /// Makes room for the answer to call `seq`, which is about to be sent.
    pub(super) fn expect(&self, seq: u64, pending: Pending) {
        let mut state = self.state.hold();
        state.detached += usize::from(pending.order().is_some());
        state.pending.insert(
            seq,
            Pending {
                made: crate::trace::request(),
                ..pending
            },
        );
    }

    /// Takes `bytes` of credit, if there is so much.
    pub(super) fn spend(&self, bytes: u64) -> bool {
        self.state.hold().spend(bytes)
    }

    /// Counts a host function that the server will call.
    pub(super) fn host_function_due(&self) {
        self.state.hold().detached += 1;
    }

    /// Orders with copies to [at, end) that have not arrived.
    pub(super) fn copies_due(&self, at: usize, end: usize) -> Vec<u32> {
        let state = self.state.hold();
        if state.detached == 0 {
            return Vec::new();
        }
        let touching = |pending: &Pending| {
            pending.order().filter(|_| {
                let changes = pending.stands_for.or(pending.target);
                changes.is_some_and(|place| place.touches(at, end))
            })
        };
        let mut orders: Vec<u32> = state.pending.values().filter_map(touching).collect();
        orders.sort_unstable();
        orders.dedup();
        orders
    }

    /// Nobody looks for the answer to call `seq` any more.
    pub(super) fn give_up(&self, seq: u64) {
        let mut state = self.state.hold();
        match state.pending.get_mut(&seq) {
            Some(pending) if pending.done => drop(state.pending.remove(&seq)),
            Some(pending) => pending.wanted = Wanted::No,
            None => {}
        }
    }

    /// Wakes everybody, for good. Whether this was the first time.
    pub(super) fn die(&self) -> bool {
        let mut state = self.state.hold();
        let first = !state.dead;
        state.dead = true;
        drop(state);
        self.changed.notify_all();
        first
    }

    /// What the server said last, if it said goodbye and nobody has read it yet.
    pub(super) fn last_words(&self) -> Option<String> {
        self.words.hold().clone().or_else(|| self.read_last_words())
    }

    /// After a send has failed: reads on to a goodbye, without waiting.
    fn read_last_words(&self) -> Option<String> {
        let mut reader = self.state.hold().reader.take()?;
        while reader.receiver.wait_ready(Some(Duration::ZERO)).ok()? {
            let (header, body) = reader.frame_with_body().ok()?;
            if header.op == Opcode::GOODBYE {
                return wire::from_bytes::<Goodbye>(&body)
                    .ok()
                    .map(|words| words.reason);
            }
        }
        None
    }
}

/// Why reading ends for good.
type Fatal = String;

impl Reader {
    fn header(&mut self) -> Result<Header, Fatal> {
        let mut bytes = [0; HEADER_LEN];
        self.fill(&mut bytes)?;
        STATS.frames_received.add_alone(1);
        Header::from_bytes(&bytes).map_err(|error| error.to_string())
    }

    fn body(&mut self, header: &Header) -> Result<Vec<u8>, Fatal> {
        let mut body = vec![0; header.len as usize];
        self.fill(&mut body)?;
        Ok(body)
    }

    fn frame_with_body(&mut self) -> Result<(Header, Vec<u8>), Fatal> {
        let header = self.header()?;
        let body = self.body(&header)?;
        Ok((header, body))
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), Fatal> {
        STATS.bytes_received.add_alone(bytes.len() as u64);
        self.receiver
            .receive(bytes)
            .map_err(|error| match error.kind() {
                io::ErrorKind::UnexpectedEof => "the connection was closed".into(),
                _ => error.to_string(),
            })
    }

    /// Receives `len` packed bytes into `target` from `offset` on.
    fn fill_box(&mut self, target: &HostBox, offset: usize, len: usize) -> Result<(), Fatal> {
        let mut pieces = target.pieces(offset, len);
        if let (Some((at, now)), None) = (pieces.next(), pieces.next()) {
            // SAFETY: the application passed this memory to be written by a copy that is not over yet.
            return self.fill(unsafe { std::slice::from_raw_parts_mut(at as *mut u8, now) });
        }
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.resize(len, 0);
        let filled = self.fill(&mut scratch);
        if filled.is_ok() {
            // SAFETY: as above.
            unsafe { target.scatter(offset, &scratch) };
        }
        self.scratch = scratch;
        filled
    }
}

impl Session {
    /// Waits until `ready` finds what it looks for, reading the socket while nobody else does.
    pub(super) fn wait_for<T>(
        &'static self,
        mut ready: impl FnMut(&mut State) -> Option<T>,
    ) -> Result<T, Status> {
        let mut state = self.inbox.state.hold();
        loop {
            if let Some(found) = ready(&mut state) {
                return Ok(found);
            }
            // Whoever still reads may be writing to this thread's memory: it must not be given back before.
            if state.dead && !state.reading {
                return Err(LOST);
            }
            if let Some(reader) = state.take_reader() {
                drop(state);
                self.lead(reader, None);
                state = self.inbox.state.hold();
            } else {
                state.asleep += 1;
                state = self
                    .inbox
                    .changed
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
                state.asleep -= 1;
            }
        }
    }

    /// The answer to call `seq`, if it is there: reads what has arrived, and waits for nothing.
    pub(super) fn look_for(&'static self, seq: u64) -> Option<Answer> {
        loop {
            let mut state = self.inbox.state.hold();
            if let Some(answer) = state.take_answer(seq) {
                return Some(answer);
            }
            let reader = state.take_reader()?;
            drop(state);
            if !self.lead(reader, Some(Duration::ZERO)) {
                return self.inbox.state.hold().take_answer(seq);
            }
        }
    }

    /// Reads frames in place of the application's threads while none of them does and something is due that
    /// nobody waits for. Returns when nothing is due, and `false` when the session is over.
    pub(super) fn read_what_is_due(&'static self, patience: Duration) -> bool {
        let mut state = self.inbox.state.hold();
        let mut alone = false;
        while state.detached > 0 && !state.dead {
            // Threads of the application come first: they get their answers without a second wake-up.
            if !alone {
                (state, _) = self
                    .inbox
                    .changed
                    .wait_timeout(state, patience)
                    .unwrap_or_else(PoisonError::into_inner);
            }
            alone = state.asleep == 0;
            match if alone { state.take_reader() } else { None } {
                Some(reader) => {
                    drop(state);
                    self.lead(reader, Some(patience));
                    state = self.inbox.state.hold();
                }
                None => alone = false,
            }
        }
        !state.dead
    }

    /// Reads one frame for everybody; with `patience`, gives up where none comes in that time. Whether it did read one.
    fn lead(&'static self, mut reader: Reader, patience: Option<Duration>) -> bool {
        let read = catch_unwind(AssertUnwindSafe(|| {
            if let Some(patience) = patience {
                match reader.receiver.wait_ready(Some(patience)) {
                    Ok(false) => return Ok(false),
                    Ok(true) => {}
                    Err(error) => return Err(error.to_string()),
                }
            } else {
                reader.receiver.linger(POLL);
            }
            self.read_frame(&mut reader).map(|()| true)
        }));
        let mut state = self.inbox.state.hold();
        state.reading = false;
        if matches!(read, Ok(Ok(_))) {
            state.reader = Some(reader);
        }
        let asleep = state.asleep > 0;
        drop(state);
        if asleep {
            self.inbox.changed.notify_all();
        }
        match read {
            Ok(Ok(true)) => return true,
            Ok(Ok(false)) => {}
            Ok(Err(reason)) => self.lose(&reason),
            Err(_) => self.lose("an internal error while reading"),
        }
        false
    }

    fn read_frame(&'static self, reader: &mut Reader) -> Result<(), Fatal> {
        let header = reader.header()?;
        // A frame cannot refer to one that is numbered later than now.
        let sent = self.outbox_last();
        reader
            .incoming
            .accept(&header, sent)
            .map_err(|error| error.to_string())?;
        if crate::gate::traces() {
            crate::trace::received(HEADER_LEN + header.len as usize);
        }
        self.seen.store(reader.incoming.last(), Ordering::Relaxed);
        if header.op == Opcode::DATA {
            return self.read_data(reader, &header);
        }
        let body = reader.body(&header)?;
        if header.flags.has(Flags::REPLY) {
            return self.read_reply(&header, &body);
        }
        self.read_notice(&header, &body)
    }

    /// Frames numbered so far, without waiting for a thread that is sending: it may wait for us to read.
    fn outbox_last(&self) -> u64 {
        self.outbox
            .try_lock()
            .map_or(u64::MAX, |outbox| outbox.last())
    }

    fn read_reply(&self, header: &Header, body: &[u8]) -> Result<(), Fatal> {
        let mut bytes = Bytes::new(body);
        let head = ReplyHead::decode(&mut bytes).map_err(|error| error.to_string())?;
        let rest = bytes.rest();
        if head.deferred != 0 {
            self.defer(Opcode(head.deferred_op), Status(head.deferred));
        }
        let target = self.with_pending(header, |pending| pending.target)?;
        let more = header.flags.has(Flags::BULK);
        if let Some(target) = target
            && head.status == 0
            && !more
        {
            if rest.len() != target.len() {
                return Err(format!(
                    "{} bytes for a copy of {}",
                    rest.len(),
                    target.len()
                ));
            }
            // SAFETY: the application passed this memory to be written by a copy that is not over yet.
            unsafe { target.scatter(0, rest) };
        }
        let answer = Answer {
            status: Status(head.status),
            body: rest.to_vec(),
            short: false,
        };
        self.with_pending(header, |pending| pending.answer = Some(answer))?;
        if more { Ok(()) } else { self.complete(header) }
    }

    fn read_data(&self, reader: &mut Reader, header: &Header) -> Result<(), Fatal> {
        let (target, offset) =
            self.with_pending(header, |pending| (pending.target, pending.received))?;
        let target =
            target.ok_or_else(|| format!("data for call {}, which takes none", header.re))?;
        let len = header.len as usize;
        if len > target.len() - offset {
            return Err(format!(
                "more data than the {} bytes asked for",
                target.len()
            ));
        }
        if len > 0 {
            reader.fill_box(&target, offset, len)?;
        }
        self.with_pending(header, |pending| pending.received += len)?;
        if header.flags.has(Flags::LAST) {
            self.complete(header)
        } else {
            Ok(())
        }
    }

    fn with_pending<T>(
        &self,
        header: &Header,
        look: impl FnOnce(&mut Pending) -> T,
    ) -> Result<T, Fatal> {
        let mut state = self.inbox.state.hold();
        match state.pending.get_mut(&header.re) {
            Some(pending) => Ok(look(pending)),
            None => Err(format!(
                "{} answers call {}, which expects nothing",
                header.op, header.re
            )),
        }
    }

    fn complete(&self, header: &Header) -> Result<(), Fatal> {
        let mut state = self.inbox.state.hold();
        let Some(pending) = state.pending.get_mut(&header.re) else {
            return Err(format!("call {} is over", header.re));
        };
        let received = pending.received;
        let wanted = pending
            .target
            .filter(|_| header.op == Opcode::DATA)
            .map_or(0, |t| t.len());
        let Some(answer) = &mut pending.answer else {
            return Err(format!("call {} ends without an answer", header.re));
        };
        let short = received < wanted;
        answer.short = short;
        let status = answer.status;
        if crate::gate::traces() {
            let bytes = HEADER_LEN + answer.body.len() + received;
            crate::trace::answered(
                pending.made,
                if header.op == Opcode::DATA {
                    Opcode::COPY_OUT
                } else {
                    header.op
                },
                header.re,
                bytes,
            );
        }
        pending.done = true;
        let wanted = pending.wanted;
        let then = pending.then.take();
        drop(state);
        if let Some(Then(then)) = then.filter(|_| status == Status::SUCCESS && !short) {
            then();
        }
        if wanted == Wanted::Kept {
            return Ok(());
        }
        let mut state = self.inbox.state.hold();
        state.pending.remove(&header.re);
        if matches!(wanted, Wanted::ByOrder(_)) {
            state.detached = state.detached.saturating_sub(1);
        }
        drop(state);
        if let Err(status) = status.ok() {
            self.defer(header.op, status);
        }
        Ok(())
    }

    fn read_notice(&'static self, header: &Header, body: &[u8]) -> Result<(), Fatal> {
        match header.op {
            Opcode::CREDIT => {
                let credit: Credit = decode(body)?;
                let mut state = self.inbox.state.hold();
                state.credit = state.credit.saturating_add(credit.bytes);
                Ok(())
            }
            Opcode::OUTPUT => decode(body).map(|output: Output| print(&output)),
            Opcode::HOST_FUNC_DUE => {
                let due: HostFuncDue = decode(body)?;
                {
                    let mut state = self.inbox.state.hold();
                    state.detached = state.detached.saturating_sub(1);
                }
                self.news.fetch_add(1, Ordering::Release);
                self.host_functions.run(due.token, due.status);
                Ok(())
            }
            Opcode::GOODBYE => {
                let words: Goodbye = decode(body)?;
                *self.inbox.words.hold() = Some(words.reason.clone());
                Err(words.reason)
            }
            op => Err(format!("it sent {op}, which a server does not send")),
        }
    }
}

fn decode<T: Decode>(body: &[u8]) -> Result<T, Fatal> {
    wire::from_bytes(body).map_err(|error| error.to_string())
}

unsafe extern "C" {
    static stdout: *mut libc::FILE;
}

/// Prints what a kernel printed, after what the application has printed so far.
fn print(output: &Output) {
    let fd = if output.fd == 2 {
        libc::STDERR_FILENO
    } else {
        libc::STDOUT_FILENO
    };
    // SAFETY: `stdout` is C's own and lives as long as the process. (Flushing every stream would wait for a
    // thread that reads from one.)
    unsafe { libc::fflush(stdout) };
    let mut left = output.bytes.as_slice();
    while !left.is_empty() {
        // SAFETY: the buffer is live and its length is passed.
        let written = unsafe { libc::write(fd, left.as_ptr().cast(), left.len()) };
        match usize::try_from(written) {
            Ok(written) => left = &left[written..],
            Err(_) if io::Error::last_os_error().kind() == io::ErrorKind::Interrupted => {}
            // Nobody reads what the application prints.
            Err(_) => return,
        }
    }
}
