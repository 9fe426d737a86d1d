//! Frames to the client, from any thread of the worker.

use std::io::{self, IoSlice};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use rgpu_proto::frame::{Flags, HEADER_LEN, Header};
use rgpu_proto::limits::MAX_CHUNK;
use rgpu_proto::msg::ReplyHead;
use rgpu_proto::opcode::Opcode;
use rgpu_proto::session::Outgoing;
use rgpu_proto::status::Status;
use rgpu_proto::wire::Encode;
use rgpu_transport::{Place, Sender};

/// Sends frames, one at a time, and carries errors of posted calls to the next reply.
pub(super) struct Writer {
    state: Mutex<State>,
    /// Frames sent so far, or about to be.
    sent: AtomicU64,
}

struct State {
    sender: Sender,
    outgoing: Outgoing,
    deferred: Option<(Status, Opcode)>,
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer").finish_non_exhaustive()
    }
}

impl Writer {
    pub(super) fn new(sender: Sender) -> Self {
        let state = State {
            sender,
            outgoing: Outgoing::default(),
            deferred: None,
        };
        Self {
            state: Mutex::new(state),
            sent: AtomicU64::new(0),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Frames sent so far.
    pub(super) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Acquire)
    }

    /// Remembers the first error of a posted call for the next reply.
    pub(super) fn defer(&self, op: Opcode, status: Status) {
        self.lock().deferred.get_or_insert((status, op));
    }

    /// Answers call `re`; `body` follows the reply's head.
    pub(super) fn reply(&self, re: u64, op: Opcode, status: Status, body: &[u8]) -> io::Result<()> {
        self.reply_with(re, op, status, body, Flags::REPLY)
    }

    /// Answers call `re` and announces DATA frames.
    pub(super) fn reply_bulk(&self, re: u64, op: Opcode, status: Status) -> io::Result<()> {
        self.reply_with(re, op, status, &[], Flags::REPLY.and(Flags::BULK))
    }

    fn reply_with(
        &self,
        re: u64,
        op: Opcode,
        status: Status,
        body: &[u8],
        flags: Flags,
    ) -> io::Result<()> {
        let mut state = self.lock();
        let (deferred, deferred_op) = state
            .deferred
            .take()
            .unwrap_or((Status::SUCCESS, Opcode(0)));
        let mut head = Vec::with_capacity(16);
        ReplyHead {
            status: status.0,
            deferred: deferred.0,
            deferred_op: deferred_op.0,
        }
        .encode(&mut head);
        let body = [IoSlice::new(&head), IoSlice::new(body)];
        state.send(&self.sent, op, flags, re, &body)
    }

    /// One DATA frame of call `re`.
    pub(super) fn data(&self, re: u64, chunk: &[u8], last: bool) -> io::Result<()> {
        debug_assert!(chunk.len() <= MAX_CHUNK);
        let flags = if last { Flags::LAST } else { Flags::default() };
        self.lock()
            .send(&self.sent, Opcode::DATA, flags, re, &[IoSlice::new(chunk)])
    }

    /// A place for one DATA frame's `len` bytes in memory that the client shares, if one is free.
    pub(super) fn lend(&self, len: usize) -> Option<Place> {
        self.lock().sender.lend(len)
    }

    /// The same for bytes in a place that was lent.
    pub(super) fn data_in(&self, re: u64, place: Place, last: bool) -> io::Result<()> {
        let flags = if last { Flags::LAST } else { Flags::default() };
        let mut state = self.lock();
        let header = state.header(&self.sent, Opcode::DATA, flags, re, place.len())?;
        state.sender.send_lent(&[IoSlice::new(&header)], place)
    }

    /// A frame that answers nothing.
    pub(super) fn notify(&self, op: Opcode, body: &impl Encode) -> io::Result<()> {
        let body = rgpu_proto::wire::to_bytes(body);
        self.lock()
            .send(&self.sent, op, Flags::default(), 0, &[IoSlice::new(&body)])
    }
}

impl State {
    fn send(
        &mut self,
        sent: &AtomicU64,
        op: Opcode,
        flags: Flags,
        re: u64,
        body: &[IoSlice<'_>],
    ) -> io::Result<()> {
        let len: usize = body.iter().map(|slice| slice.len()).sum();
        let header = self.header(sent, op, flags, re, len)?;
        let mut slices = vec![IoSlice::new(&header)];
        slices.extend(body.iter().map(|slice| IoSlice::new(slice)));
        self.sender.send(&slices)
    }

    fn header(
        &mut self,
        sent: &AtomicU64,
        op: Opcode,
        flags: Flags,
        re: u64,
        len: usize,
    ) -> io::Result<[u8; HEADER_LEN]> {
        let len = u32::try_from(len).map_err(|_| io::ErrorKind::InvalidInput)?;
        let header = Header {
            len,
            op,
            flags,
            seq: self.outgoing.next(),
            re,
            ctx: 0,
            lane: 0,
        };
        // Before the client can know of it.
        sent.store(header.seq, Ordering::Release);
        Ok(header.to_bytes())
    }
}
