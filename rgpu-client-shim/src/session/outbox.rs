//! Frames on their way out: numbered, buffered, sent in order.

use std::io::{self, IoSlice};
use std::time::{Duration, Instant};

use rgpu_proto::frame::{Flags, HEADER_LEN, Header};
use rgpu_proto::opcode::Opcode;
use rgpu_proto::session::Outgoing as Numbers;
use rgpu_proto::status::Status;
use rgpu_transport::Sender;

use super::Origin;
use crate::stats::STATS;

/// Buffered bytes that are sent without waiting for more.
const FULL: usize = 64 << 10;

/// A posted call that comes this long after the last send is sent at once: the link is idle, and a send costs
/// about a tenth of this. Calls in quicker succession are gathered.
const QUIET: Duration = Duration::from_micros(50);

/// A frame to send, but for its number and length.
#[derive(Debug, Clone, Copy)]
pub(super) struct Outgoing {
    /// What it is.
    pub(super) op: Opcode,
    /// How to read it.
    pub(super) flags: Flags,
    /// See [`Header::re`].
    pub(super) re: u64,
    /// Who sends it.
    pub(super) origin: Origin,
}

/// The sending half of a session.
pub(super) struct Outbox {
    sender: Sender,
    numbers: Numbers,
    buffer: Vec<u8>,
    /// The number of the last frame that was sent.
    flushed: u64,
    sent: Instant,
    failed: bool,
}

impl Outbox {
    pub(super) fn new(sender: Sender) -> Self {
        Self {
            sender,
            numbers: Numbers::default(),
            buffer: Vec::with_capacity(2 * FULL),
            flushed: 0,
            sent: Instant::now(),
            failed: false,
        }
    }

    /// Buffers a frame; its number.
    pub(super) fn put(&mut self, frame: Outgoing, body: &[&[u8]]) -> u64 {
        let len = body.iter().map(|part| part.len()).sum();
        let (seq, header) = self.header(frame, len);
        self.buffer.extend_from_slice(&header);
        for part in body {
            self.buffer.extend_from_slice(part);
        }
        seq
    }

    /// Buffers a frame whose body of `len` bytes, zeroes at first, `fill` writes; its number. Nothing is buffered where
    /// that fails.
    pub(super) fn put_in_place(
        &mut self,
        frame: Outgoing,
        len: usize,
        fill: impl FnOnce(&mut [u8]) -> Result<(), Status>,
    ) -> Result<u64, Status> {
        let start = self.buffer.len();
        let body = start + HEADER_LEN;
        self.buffer.resize(body + len, 0);
        if let Err(status) = fill(&mut self.buffer[body..]) {
            self.buffer.truncate(start);
            return Err(status);
        }
        let (seq, header) = self.header(frame, len);
        self.buffer[start..body].copy_from_slice(&header);
        Ok(seq)
    }

    /// Whether what is buffered should not wait for more, after a frame of number `seq` was put there. The clock is
    /// looked at for the first frame after a send only.
    pub(super) fn is_pressing(&self, seq: u64) -> bool {
        self.buffer.len() >= FULL || (seq == self.flushed + 1 && self.sent.elapsed() >= QUIET)
    }

    /// Sends what is buffered.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let buffer = std::mem::take(&mut self.buffer);
        let result = self.write(&[IoSlice::new(&buffer)]);
        self.buffer = buffer;
        self.buffer.clear();
        result
    }

    /// Sends what is buffered and then a frame, whose body is not copied.
    pub(super) fn send(&mut self, frame: Outgoing, body: &[u8]) -> io::Result<()> {
        let (_, header) = self.header(frame, body.len());
        self.buffer.extend_from_slice(&header);
        let buffer = std::mem::take(&mut self.buffer);
        let result = self.write(&[IoSlice::new(&buffer), IoSlice::new(body)]);
        self.buffer = buffer;
        self.buffer.clear();
        result
    }

    /// Frames numbered so far.
    pub(super) const fn last(&self) -> u64 {
        self.numbers.last()
    }

    fn header(&mut self, frame: Outgoing, len: usize) -> (u64, [u8; HEADER_LEN]) {
        let seq = self.numbers.next();
        if crate::gate::traces() {
            crate::trace::sent(HEADER_LEN + len);
        }
        let header = Header {
            // Bodies are bounded by MAX_BODY and MAX_CHUNK, far below 4 GiB.
            len: len as u32,
            op: frame.op,
            flags: frame.flags,
            seq,
            re: frame.re,
            ctx: frame.origin.context,
            lane: frame.origin.lane,
        };
        (seq, header.to_bytes())
    }

    fn write(&mut self, slices: &[IoSlice<'_>]) -> io::Result<()> {
        // After a failure the server may have half a frame; nothing more may follow it.
        if self.failed {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let bytes: usize = slices.iter().map(|slice| slice.len()).sum();
        let last = self.numbers.last();
        STATS.bytes_sent.add_alone(bytes as u64);
        STATS.frames_sent.add_alone(last - self.flushed);
        self.flushed = last;
        let result = if crate::gate::observes() {
            crate::trace::sending(bytes, || self.sender.send(slices))
        } else {
            self.sender.send(slices)
        };
        self.failed = result.is_err();
        self.sent = Instant::now();
        result
    }
}
