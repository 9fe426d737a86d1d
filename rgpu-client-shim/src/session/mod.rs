//! A session with a server.
//!
//! ```text
//! posted call ──> outbox: numbered and buffered ──> socket      (sent at once, or with the next, or by age)
//! waiting call ─> outbox, sent at once ─> waits for its answer:
//!                 whoever waits first reads the socket for all (`inbox`), the others sleep until it is their turn
//! ```
//!
//! Frames leave in the order in which calls took the outbox's lock. Locks are taken in the order outbox,
//! inbox; neither is held while the socket is read.

mod connect;
mod helpers;
mod host_functions;
mod inbox;
mod outbox;
#[cfg(test)]
mod tests;

use std::io;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::Instant;

use rgpu_proto::frame::Flags;
use rgpu_proto::handle::Id;
use rgpu_proto::limits::{INLINE_DATA, MAX_CHUNK};
use rgpu_proto::msg::Goodbye;
use rgpu_proto::msg::stream::HostFunc;
use rgpu_proto::opcode::Opcode;
use rgpu_proto::status::Status;
use rgpu_proto::wire::{self, Encode};
use rgpu_transport::{Closer, Connection};

pub(crate) use connect::open;
pub(crate) use host_functions::{Callee, HostFunction, HostFunctions};
pub(crate) use inbox::Answer;

use crate::copy::host::HostBox;
use crate::names::Hold;
use crate::stats::STATS;
use crate::trace::Wait;
use inbox::{Inbox, Pending};
use outbox::{Outbox, Outgoing};

/// What a call returns once the server is gone. There is no code of CUDA's for this; 999 is "an unknown
/// internal error has occurred".
pub(crate) const LOST: Status = Status::ERROR_UNKNOWN;

/// A session.
pub(crate) struct Session {
    outbox: Mutex<Outbox>,
    inbox: Inbox,
    helpers: helpers::Helpers,
    host_functions: HostFunctions,
    closer: Closer,
    /// The highest frame of the server that was read.
    seen: AtomicU64,
    /// A sticky error: every later call returns it. 0 for none.
    poison: AtomicU32,
    /// An error of a call that nobody waited for. 0 for none.
    deferred: AtomicU32,
    /// How often the application has learned from the server how far the device is.
    news: AtomicU64,
    /// Every call waits.
    sync: bool,
    peer: String,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}

/// Where a call comes from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Origin {
    /// Context current to the calling thread.
    pub(crate) context: u32,
    /// The thread.
    pub(crate) lane: u32,
}

impl Origin {
    /// The calling thread.
    pub(crate) fn here() -> Self {
        Self {
            context: crate::thread::current_context(),
            lane: crate::thread::lane(),
        }
    }

    /// The calling thread, in another context.
    pub(crate) fn within(context: u32) -> Self {
        Self {
            context,
            lane: crate::thread::lane(),
        }
    }
}

impl Session {
    /// A session over `connection`, whose handshake is done.
    pub(crate) fn new(connection: Connection, credit: u64, sync: bool) -> Self {
        let peer = connection.peer().to_owned();
        let (sender, receiver, closer) = connection.split();
        Self {
            outbox: Mutex::new(Outbox::new(sender)),
            inbox: Inbox::new(receiver, credit),
            helpers: helpers::Helpers::default(),
            host_functions: HostFunctions::default(),
            closer,
            seen: AtomicU64::new(0),
            poison: AtomicU32::new(0),
            deferred: AtomicU32::new(0),
            news: AtomicU64::new(0),
            sync,
            peer,
        }
    }

    /// Fails where a sticky error or a lost server makes every call fail.
    pub(crate) fn usable(&self) -> Result<(), Status> {
        Status(self.poison.load(Ordering::Relaxed)).ok()
    }

    /// Sends a call and returns at once.
    pub(crate) fn post(&'static self, op: Opcode, body: &impl Encode) -> Result<(), Status> {
        self.post_bytes(op, Origin::here(), &[&wire::to_bytes(body)])
    }

    /// The same for an encoded body in parts.
    pub(crate) fn post_bytes(
        &'static self,
        op: Opcode,
        origin: Origin,
        body: &[&[u8]],
    ) -> Result<(), Status> {
        self.usable()?;
        let mut outbox = self.outbox.hold();
        let seq = outbox.put(self.frame(op, Flags::default(), origin), body);
        self.posted(outbox, seq, origin)
    }

    /// The same for a body of `len` bytes that `fill` writes where it is sent from.
    pub(crate) fn post_in_place(
        &'static self,
        op: Opcode,
        origin: Origin,
        len: usize,
        fill: impl FnOnce(&mut [u8]) -> Result<(), Status>,
    ) -> Result<(), Status> {
        let mut outbox = self.outbox.hold();
        let frame = self.frame(op, Flags::default(), origin);
        let seq = outbox.put_in_place(frame, len, fill)?;
        self.posted(outbox, seq, origin)
    }

    /// Frame `seq` is in the outbox and nobody waits for it.
    fn posted(
        &'static self,
        mut outbox: MutexGuard<'_, Outbox>,
        seq: u64,
        origin: Origin,
    ) -> Result<(), Status> {
        let pressing = outbox.is_pressing(seq);
        let sent = if pressing { outbox.flush() } else { Ok(()) };
        drop(outbox);
        self.lost_unless(sent)?;
        if self.sync {
            return self.settle(origin);
        }
        if !pressing {
            self.helpers.flush_soon(self);
        }
        Ok(())
    }

    /// Waits until everything posted so far has been issued; the first error of it.
    fn settle(&'static self, origin: Origin) -> Result<(), Status> {
        self.ask(Opcode::PING, origin, &[]).map(drop)
    }

    /// Sends a call and waits for the body of its answer.
    pub(crate) fn call(&'static self, op: Opcode, body: &impl Encode) -> Result<Vec<u8>, Status> {
        self.ask(op, Origin::here(), &[&wire::to_bytes(body)])
    }

    /// The same for an encoded body in parts.
    pub(crate) fn ask(
        &'static self,
        op: Opcode,
        origin: Origin,
        body: &[&[u8]],
    ) -> Result<Vec<u8>, Status> {
        let answer = self.ask_fully(op, origin, body)?;
        self.judge(answer.status).map(|()| answer.body)
    }

    /// Sends a call and waits for its answer, whatever its status.
    pub(crate) fn ask_fully(
        &'static self,
        op: Opcode,
        origin: Origin,
        body: &[&[u8]],
    ) -> Result<Answer, Status> {
        self.usable()?;
        let seq = self.send_waiting(op, Flags::WAIT, origin, body, Pending::waited(None))?;
        self.answer(op, seq)
    }

    /// Copies device memory into the application's: `body` asks for it, `target` gets it. Where `wait` is
    /// false, the bytes have arrived when a later synchronisation with the copy, in its order, returns.
    pub(crate) fn copy_out(
        &'static self,
        body: &impl Encode,
        target: HostBox,
        order: u32,
        wait: bool,
    ) -> Result<(), Status> {
        self.usable()?;
        let (flags, pending) = if wait {
            (Flags::WAIT, Pending::waited(Some(target)))
        } else {
            (Flags::default(), Pending::detached(target, order))
        };
        let body = wire::to_bytes(body);
        let seq = self.send_waiting(Opcode::COPY_OUT, flags, Origin::here(), &[&body], pending)?;
        if wait {
            let answer = self.answer(Opcode::COPY_OUT, seq)?;
            self.judge(answer.status)?;
            // The data ends early where the context fails meanwhile; the next answer says why.
            return match answer.short {
                true => self.settle(Origin::here()).and(Err(Status::ERROR_UNKNOWN)),
                false => Ok(()),
            };
        }
        self.helpers.receive_soon(self);
        if self.sync {
            self.settle(Origin::here())
        } else {
            Ok(())
        }
    }

    /// Copies device memory to `target`, whose bytes `then` carries on to `stands_for` before anything that the server
    /// sends later is looked at.
    pub(crate) fn fetch(
        &'static self,
        body: &impl Encode,
        target: HostBox,
        stands_for: HostBox,
        order: u32,
        then: impl FnOnce() + Send + 'static,
    ) -> Result<(), Status> {
        self.usable()?;
        let (op, origin) = (Opcode::COPY_OUT, Origin::here());
        let pending = Pending::carried_on(target, stands_for, order, then);
        let body = wire::to_bytes(body);
        self.send_waiting(op, Flags::default(), origin, &[&body], pending)?;
        self.helpers.receive_soon(self);
        Ok(())
    }

    /// Copies the application's memory to the device: `body` says where to, `source` what.
    pub(crate) fn copy_in(
        &'static self,
        body: &impl Encode,
        source: HostBox,
    ) -> Result<(), Status> {
        let (op, origin) = (Opcode::COPY_IN, Origin::here());
        let body = wire::to_bytes(body);
        if source.len() <= INLINE_DATA {
            let mut scratch = Vec::new();
            // SAFETY: the application passed these rows to be read, and the call has not returned.
            let data = unsafe { source.gather(0, source.len(), &mut scratch) };
            return self.post_bytes(op, origin, &[&body, &data]);
        }
        self.usable()?;
        self.send_bulk(op, Flags::default(), origin, &body, source, None)?;
        if self.sync {
            self.settle(origin)
        } else {
            Ok(())
        }
    }

    /// Sends a call with bulk data and waits for its answer, whatever its status.
    pub(crate) fn upload(
        &'static self,
        op: Opcode,
        body: &impl Encode,
        data: &[u8],
    ) -> Result<Answer, Status> {
        self.usable()?;
        let source = HostBox::linear(data.as_ptr() as usize, data.len());
        let body = wire::to_bytes(body);
        let pending = Some(Pending::waited(None));
        let seq = self.send_bulk(op, Flags::WAIT, Origin::here(), &body, source, pending)?;
        self.answer(op, seq)
    }

    /// Sends a call, then its data in chunks as credit allows. Frames of other threads may come in between.
    fn send_bulk(
        &'static self,
        op: Opcode,
        flags: Flags,
        origin: Origin,
        body: &[u8],
        source: HostBox,
        pending: Option<Pending>,
    ) -> Result<u64, Status> {
        let mut outbox = self.outbox.hold();
        let seq = outbox.put(self.frame(op, flags.and(Flags::BULK), origin), &[body]);
        if let Some(pending) = pending {
            self.inbox.expect(seq, pending);
        }
        drop(outbox);
        let mut scratch = Vec::new();
        let mut offset = 0;
        while offset < source.len() {
            let len = (source.len() - offset).min(MAX_CHUNK);
            self.spend_credit(len as u64)?;
            // SAFETY: the application (or our caller) lends these rows until the call returns.
            let chunk = unsafe { source.gather(offset, len, &mut scratch) };
            offset += len;
            let flags = if offset == source.len() {
                Flags::LAST
            } else {
                Flags::default()
            };
            let frame = Outgoing {
                re: seq,
                ..self.frame(Opcode::DATA, flags, origin)
            };
            let sent = self.outbox.hold().send(frame, &chunk);
            self.lost_unless(sent)?;
        }
        Ok(seq)
    }

    /// Waits until `bytes` may be sent, and counts them. Nothing is locked meanwhile: the stream may have to call
    /// a host function first, whose end another thread tells the server.
    fn spend_credit(&'static self, bytes: u64) -> Result<(), Status> {
        if self.inbox.spend(bytes) {
            return Ok(());
        }
        // All that the server is to give credit for has to be on its way.
        self.flush()?;
        let stall = Wait::begin();
        let room = self.wait_for(|state| state.spend(bytes).then_some(()));
        if let Some(stall) = stall {
            stall.room();
        }
        room
    }

    fn send_waiting(
        &'static self,
        op: Opcode,
        flags: Flags,
        origin: Origin,
        body: &[&[u8]],
        pending: Pending,
    ) -> Result<u64, Status> {
        let mut outbox = self.outbox.hold();
        let seq = outbox.put(self.frame(op, flags, origin), body);
        self.inbox.expect(seq, pending);
        let sent = outbox.flush();
        drop(outbox);
        self.lost_unless(sent)?;
        Ok(seq)
    }

    /// Tells the server something at once, whatever state the session is in.
    fn tell(&'static self, op: Opcode, body: &impl Encode) {
        let body = wire::to_bytes(body);
        let origin = Origin {
            context: 0,
            lane: 0,
        };
        let mut outbox = self.outbox.hold();
        outbox.put(self.frame(op, Flags::default(), origin), &[&body]);
        let sent = outbox.flush();
        drop(outbox);
        // An error shows in the next call.
        let _ = self.lost_unless(sent);
    }

    /// Posts a call that makes the server call a function of the application.
    pub(crate) fn post_host_function(
        &'static self,
        function: HostFunction,
        on_error: bool,
    ) -> Result<(), Status> {
        self.usable()?;
        let stream = Id::new(function.stream);
        let token = self.host_functions.add(function, self)?;
        self.inbox.host_function_due();
        self.post(
            const { Opcode::of("cuLaunchHostFunc") },
            &HostFunc {
                token,
                stream,
                on_error,
            },
        )?;
        self.helpers.receive_soon(self);
        Ok(())
    }

    /// Sends what is buffered.
    pub(crate) fn flush(&'static self) -> Result<(), Status> {
        let sent = self.outbox.hold().flush();
        self.lost_unless(sent)
    }

    fn frame(&self, op: Opcode, flags: Flags, origin: Origin) -> Outgoing {
        let re = self.seen.load(Ordering::Relaxed);
        Outgoing {
            op,
            flags,
            re,
            origin,
        }
    }

    /// Sends calls and waits for all their answers at once, whatever their status.
    pub(crate) fn ask_all(
        &'static self,
        op: Opcode,
        origin: Origin,
        bodies: &[Vec<u8>],
    ) -> Result<Vec<Answer>, Status> {
        self.usable()?;
        let mut outbox = self.outbox.hold();
        let calls: Vec<u64> = bodies
            .iter()
            .map(|body| {
                let seq = outbox.put(self.frame(op, Flags::WAIT, origin), &[body]);
                self.inbox.expect(seq, Pending::waited(None));
                seq
            })
            .collect();
        let sent = outbox.flush();
        drop(outbox);
        self.lost_unless(sent)?;
        let last = calls.last().copied().unwrap_or(0);
        self.waiting(op, last, || {
            calls
                .into_iter()
                .map(|seq| self.wait_for(|state| state.take_answer(seq)))
                .collect()
        })
    }

    /// Waits for the answer of call `seq`.
    fn answer(&'static self, op: Opcode, seq: u64) -> Result<Answer, Status> {
        self.waiting(op, seq, || self.wait_for(|state| state.take_answer(seq)))
    }

    /// Runs `wait`, which waits for the answer of call `seq`.
    fn waiting<T>(&self, op: Opcode, seq: u64, wait: impl FnOnce() -> T) -> T {
        let answer = if crate::gate::observes() {
            let (since, traced) = (Instant::now(), Wait::begin());
            let answer = wait();
            STATS.wait(op, since.elapsed());
            if let Some(traced) = traced {
                traced.answered(op, seq);
            }
            answer
        } else {
            wait()
        };
        self.news.fetch_add(1, Ordering::Release);
        answer
    }

    /// Asks for an answer that the server gives when something has happened; its number, for [`Self::look`].
    pub(crate) fn watch(&'static self, op: Opcode, body: &impl Encode) -> Result<u64, Status> {
        self.usable()?;
        let body = wire::to_bytes(body);
        let pending = Pending::waited(None);
        self.send_waiting(op, Flags::default(), Origin::here(), &[&body], pending)
    }

    /// What the answer to a watch says, once it is there. Takes it.
    pub(crate) fn look(&'static self, watch: u64) -> Option<Status> {
        let answer = self.look_for(watch)?;
        self.news.fetch_add(1, Ordering::Release);
        Some(answer.status)
    }

    /// Nobody will look for the answer to a watch.
    pub(crate) fn give_up(&self, watch: u64) {
        self.inbox.give_up(watch);
    }

    /// Whether it goes through memory that the server shares.
    pub(crate) fn shares_memory(&self) -> bool {
        self.closer.shared_memory().is_some()
    }

    /// Whether every call waits.
    pub(crate) const fn is_synchronous(&self) -> bool {
        self.sync
    }

    /// How often the application has learned from the server how far the device is. While this stays the same, it
    /// cannot know that anything it issued has happened.
    pub(crate) fn news(&self) -> u64 {
        self.news.load(Ordering::Acquire)
    }

    /// What a waiting call returns: an error of an earlier posted call, or its own result.
    pub(crate) fn judge(&self, own: Status) -> Result<(), Status> {
        let deferred = Status(self.deferred.swap(0, Ordering::Relaxed));
        let result = deferred.ok().and_then(|()| own.ok());
        if let Err(status) = result
            && status.is_sticky()
        {
            self.poison(status);
        }
        result
    }

    /// Remembers an error of a call that nobody waited for.
    fn defer(&self, op: Opcode, status: Status) {
        crate::log::debug(format_args!("{op} failed with {}", status.0));
        let first =
            self.deferred
                .compare_exchange(0, status.0, Ordering::Relaxed, Ordering::Relaxed);
        if status.is_sticky() {
            self.poison(status);
        }
        // The first one is reported; a sticky one hides all others anyway.
        if first.is_err() && status.is_sticky() {
            self.deferred.store(status.0, Ordering::Relaxed);
        }
    }

    fn poison(&self, status: Status) {
        // The first sticky error stays.
        let _ = self
            .poison
            .compare_exchange(0, status.0, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// The answer to a call did not decode.
    pub(crate) fn broken(&self, op: Opcode, error: &impl std::fmt::Display) -> Status {
        self.lose(&format!("its answer to {op} makes no sense: {error}"));
        LOST
    }

    fn lost_unless(&self, sent: io::Result<()>) -> Result<(), Status> {
        sent.map_err(|error| {
            // A server that says goodbye and closes is best reported in its own words, which may still be
            // unread.
            let words = self.inbox.last_words();
            self.lose(&words.unwrap_or_else(|| error.to_string()));
            LOST
        })
    }

    /// The server is gone: says so once and makes every call fail from now on.
    fn lose(&self, reason: &str) {
        self.poison(LOST);
        if self.inbox.die() {
            crate::log::notice(format_args!("lost the server at {}: {reason}", self.peer));
        }
        self.closer.close();
    }

    /// Host functions of this session.
    pub(crate) fn host_functions(&self) -> &HostFunctions {
        &self.host_functions
    }

    /// Orders with copies to [at, end) of host memory that have not arrived.
    pub(crate) fn copies_due(&self, at: usize, end: usize) -> Vec<u32> {
        self.inbox.copies_due(at, end)
    }

    /// Ends the session as the process ends; waits for nobody.
    pub(crate) fn finish(&self) {
        self.inbox.die();
        if let Ok(mut outbox) = self.outbox.try_lock() {
            let body = wire::to_bytes(&Goodbye {
                reason: "the program ended".into(),
            });
            let origin = Origin {
                context: 0,
                lane: 0,
            };
            outbox.put(
                self.frame(Opcode::GOODBYE, Flags::default(), origin),
                &[&body],
            );
            // The server notices a closed connection as well.
            let _ = outbox.flush();
        }
        self.closer.close();
    }
}
