//! Shared memory, between processes on one host that share a unix socket.
//!
//! ```text
//! client                                            server
//!    | ------------ first words, by the socket ------> |
//!    |                                                 | makes the segment and a second socket pair
//!    | <- its words, with the last byte of which ------|
//!    |    come the segment and an end of the pair      |
//!    | checks and maps the segment                     |
//!    | ------------ TAKEN, by the socket ------------> | from here on all bytes go through the segment
//! ```
//!
//! What lies between and does not pass descriptors on, such as `ssh -L`, lets the words through without them. The client
//! then says [`NOT_TAKEN`], and both go on over the socket.
//!
//! From then on bytes are in the segment (`ring`) and the sockets only wake (`bell`): the receivers sleep at the first,
//! the senders at the second. The peer may be hostile: `segment` and `ring` say what is checked.

mod bell;
mod copy;
mod greet;
mod ring;
mod segment;

use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixStream;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use crate::{Close, Connection, Place, ReceiveBytes, SendBytes, socket};
use bell::{Spin, Woken};
use ring::{Consumer, Producer, Slots};
use segment::{SLOT, Segment, Way, Word};

pub use greet::{NOT_TAKEN, Offer, connect};

/// Slices up to here go through the ring, longer ones through slots.
const INLINE: usize = 16 << 10;

/// What the parts of one end share.
#[derive(Debug)]
struct End {
    /// Receivers sleep here.
    socket: UnixStream,
    closed: AtomicBool,
    /// Once there is a segment.
    shared: OnceLock<Arc<Shared>>,
}

/// An end's share of a segment. Places keep it.
#[derive(Debug)]
struct Shared {
    segment: Arc<Segment>,
    /// Senders sleep here.
    room: UnixStream,
    out: Way,
    into: Way,
    /// Slots to send with that are in other hands.
    lent: Arc<Slots>,
    /// Slots that came and have not been given back.
    held: Arc<Slots>,
}

impl Shared {
    fn new(segment: Segment, room: UnixStream, out: Way, into: Way) -> Self {
        Self {
            segment: Arc::new(segment),
            room,
            out,
            into,
            lent: Arc::default(),
            held: Arc::default(),
        }
    }
}

impl End {
    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }
}

/// Both halves of an end.
fn connection(socket: UnixStream, shared: Option<Shared>, peer: String) -> io::Result<Connection> {
    socket.set_nonblocking(false)?;
    let cell = OnceLock::new();
    if let Some(shared) = shared {
        // A new cell is empty.
        let _ = cell.set(Arc::new(shared));
    }
    let end = Arc::new(End {
        socket,
        closed: AtomicBool::new(false),
        shared: cell,
    });
    Ok(Connection::new(
        Box::new(ShmSender::new(Arc::clone(&end))),
        Box::new(ShmReceiver::new(Arc::clone(&end))),
        Arc::new(ShmCloser(end)),
        peer,
    ))
}

struct ShmSender {
    end: Arc<End>,
    producer: Option<(Producer, Arc<Shared>)>,
    spin: Spin,
}

impl ShmSender {
    fn new(end: Arc<End>) -> Self {
        Self {
            end,
            producer: None,
            spin: Spin::new(),
        }
    }

    /// The segment, once there is one.
    fn out(&mut self) -> Option<Out<'_>> {
        if self.producer.is_none() {
            let shared = Arc::clone(self.end.shared.get()?);
            let producer = Producer::new(
                Arc::clone(&shared.segment),
                shared.out,
                Arc::clone(&shared.lent),
            );
            self.producer = Some((producer, shared));
        }
        let (producer, shared) = self.producer.as_mut()?;
        Some(Out {
            end: &self.end,
            producer,
            shared,
            spin: &mut self.spin,
        })
    }
}

/// A sender that has a segment.
struct Out<'a> {
    end: &'a End,
    producer: &'a mut Producer,
    shared: &'a Shared,
    spin: &'a mut Spin,
}

impl Out<'_> {
    fn send(&mut self, slices: &[IoSlice<'_>]) -> io::Result<()> {
        self.write(slices)?;
        self.publish()
    }

    /// Writes `slices` for the receiver to see later.
    fn write(&mut self, slices: &[IoSlice<'_>]) -> io::Result<()> {
        if self.end.is_closed() {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        for slice in slices {
            if slice.len() > INLINE {
                for piece in slice.chunks(SLOT) {
                    self.through_slot(piece)?;
                }
            } else {
                self.through_ring(slice)?;
            }
        }
        Ok(())
    }

    fn through_ring(&mut self, mut left: &[u8]) -> io::Result<()> {
        loop {
            let now = self.producer.append(left)?;
            left = &left[now..];
            if left.is_empty() {
                break;
            }
            self.wait_for_room(left.len())?;
        }
        if self.producer.is_pressing() {
            self.publish()?;
        }
        Ok(())
    }

    fn through_slot(&mut self, piece: &[u8]) -> io::Result<()> {
        let index = match self.producer.free_slot() {
            Some(index) => index,
            None => self.wait_for_slot()?,
        };
        if !self.producer.has_room(0)? {
            self.wait_for_room(0)?;
        }
        self.producer.put(index, piece);
        self.publish()
    }

    fn publish(&mut self) -> io::Result<()> {
        if self.producer.publish() {
            bell::ring(&self.end.socket)?;
        }
        Ok(())
    }

    fn wait_for_room(&mut self, bytes: usize) -> io::Result<()> {
        self.wait(|producer| producer.has_room(bytes).map(|room| room.then_some(())))
    }

    fn wait_for_slot(&mut self) -> io::Result<usize> {
        self.wait(|producer| Ok(producer.free_slot()))
    }

    /// Waits until `ready` finds what it looks for. What was written is published first, as it is what the receiver has to
    /// take.
    fn wait<T>(
        &mut self,
        mut ready: impl FnMut(&mut Producer) -> io::Result<Option<T>>,
    ) -> io::Result<T> {
        self.publish()?;
        let flag = self
            .shared
            .segment
            .word(self.shared.out, Word::SenderSleeps);
        let mut found = None;
        let producer = &mut *self.producer;
        let woken = bell::wait(self.spin, &self.shared.room, flag, None, || {
            found = ready(producer)?;
            Ok(found.is_some())
        })?;
        match found.filter(|_| woken == Woken::Ready) {
            Some(found) if !self.end.is_closed() => Ok(found),
            _ => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }
}

impl SendBytes for ShmSender {
    fn send(&mut self, slices: &[IoSlice<'_>]) -> io::Result<()> {
        match self.out() {
            Some(mut out) => out.send(slices),
            None => socket::send_all(self.end.socket.as_fd(), slices),
        }
    }

    fn lend(&mut self, len: usize) -> Option<Place> {
        let out = self.out()?;
        if len > SLOT || len <= INLINE {
            return None;
        }
        let (index, at) = out.producer.lend()?;
        let (_, shared) = self.producer.as_ref()?;
        let lent = Lent {
            shared: Arc::clone(shared),
            index,
        };
        Some(Place::new(at, len, Box::new(lent)))
    }

    fn send_lent(&mut self, slices: &[IoSlice<'_>], place: Place) -> io::Result<()> {
        let mut out = self.out().ok_or(io::ErrorKind::InvalidInput)?;
        let index = out
            .producer
            .lent_at(place.address())
            .ok_or(io::ErrorKind::InvalidInput)?;
        out.write(slices)?;
        if !out.producer.has_room(0)? {
            out.wait_for_room(0)?;
        }
        out.producer.put_filled(index, place.len());
        out.publish()
    }
}

/// A slot that is filled by others than its sender. Given back by being dropped, sent or not.
struct Lent {
    shared: Arc<Shared>,
    index: usize,
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.shared.lent.unmark(self.index);
    }
}

struct ShmReceiver {
    end: Arc<End>,
    consumer: Option<(Consumer, Arc<Shared>)>,
    spin: Spin,
}

impl ShmReceiver {
    fn new(end: Arc<End>) -> Self {
        Self {
            end,
            consumer: None,
            spin: Spin::new(),
        }
    }

    /// Whether bytes come through the segment.
    fn is_shared(&mut self) -> bool {
        if self.consumer.is_none()
            && let Some(shared) = self.end.shared.get()
        {
            let consumer = Consumer::new(
                Arc::clone(&shared.segment),
                shared.into,
                Arc::clone(&shared.held),
            );
            self.consumer = Some((consumer, Arc::clone(shared)));
        }
        self.consumer.is_some()
    }

    /// Waits until bytes are in the segment.
    fn wait(&mut self, until: Option<Instant>) -> io::Result<Woken> {
        let Some((consumer, shared)) = &mut self.consumer else {
            return Ok(Woken::Gone);
        };
        if consumer.has_some()? {
            return Ok(Woken::Ready);
        }
        if consumer.tell() {
            ring_room(shared);
        }
        let flag = shared.segment.word(shared.into, Word::ReceiverSleeps);
        bell::wait(&mut self.spin, &self.end.socket, flag, until, || {
            consumer.has_some()
        })
    }
}

/// Tells the peer's sender that there is room. One that is gone is noticed when nothing more comes.
fn ring_room(shared: &Shared) {
    let _ = bell::ring(&shared.room);
}

impl ReceiveBytes for ShmReceiver {
    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.receive_some(&mut buffer[filled..])? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => filled += count,
            }
        }
        Ok(())
    }

    fn receive_some(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.is_shared() {
            return greet::receive(&self.end, buffer);
        }
        if self.wait(None)? != Woken::Ready {
            return Ok(0);
        }
        let Some((consumer, shared)) = &mut self.consumer else {
            return Ok(0);
        };
        let (count, wake) = consumer.take(buffer);
        if wake {
            ring_room(shared);
        }
        Ok(count)
    }

    fn wait_ready(&mut self, timeout: Option<Duration>) -> io::Result<bool> {
        if !self.is_shared() {
            return socket::poll_readable(self.end.socket.as_raw_fd(), timeout);
        }
        if timeout != Some(Duration::ZERO) {
            let until = timeout.map(|timeout| Instant::now() + timeout);
            return Ok(self.wait(until)? != Woken::Late);
        }
        let Some((consumer, _)) = &mut self.consumer else {
            return Ok(true);
        };
        // What came before the end is there once the end is seen.
        Ok(consumer.has_some()? || (bell::is_closed(&self.end.socket)?) || consumer.has_some()?)
    }

    fn linger(&mut self, limit: Duration) {
        if !self.is_shared() {
            crate::poll_for(self, limit);
        }
    }

    fn take(&mut self, len: usize) -> io::Result<Option<Place>> {
        if !self.is_shared() || self.wait(None)? != Woken::Ready {
            return Ok(None);
        }
        let Some((consumer, shared)) = &mut self.consumer else {
            return Ok(None);
        };
        Ok(consumer.take_slot(len).map(|(index, at)| {
            let held = Held {
                shared: Arc::clone(shared),
                index,
            };
            Place::new(at, len, Box::new(held))
        }))
    }
}

/// A slot that came. Given back to the peer when dropped.
struct Held {
    shared: Arc<Shared>,
    index: usize,
}

impl Drop for Held {
    fn drop(&mut self) {
        let Shared {
            segment,
            into,
            held,
            ..
        } = &*self.shared;
        if ring::give_back(segment, *into, self.index, held) {
            ring_room(&self.shared);
        }
    }
}

struct ShmCloser(Arc<End>);

impl Close for ShmCloser {
    fn close(&self) {
        self.0.closed.store(true, Ordering::Relaxed);
        // Both fail only where the peer has closed already.
        let _ = self.0.socket.shutdown(Shutdown::Both);
        if let Some(shared) = self.0.shared.get() {
            let _ = shared.room.shutdown(Shutdown::Both);
        }
    }

    fn abandon(&self) {
        let room = self.0.shared.get().map(|shared| shared.room.as_raw_fd());
        for fd in [Some(self.0.socket.as_raw_fd()), room]
            .into_iter()
            .flatten()
        {
            // SAFETY: closing affects this process's table of descriptors only, and the caller uses no half again.
            unsafe { libc::close(fd) };
        }
    }

    fn shared_memory(&self) -> Option<(NonNull<u8>, usize)> {
        self.0.shared.get().map(|shared| shared.segment.slots())
    }
}
