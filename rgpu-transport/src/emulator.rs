//! A slower network around a connection, in user space, as not every kernel has `tc netem`.
//!
//! Each direction is a queue with a thread of its own: bytes enter it, get the time at which they leave, and stay in
//! their order. What is under way does not hold up what follows: a delay costs each round trip, not each frame, and a
//! rate spaces bytes out as a wire would. Times are never shorter than asked for; the system's timers add to them.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::ptr::NonNull;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::{Close, Closer, Connection, Link, ReceiveBytes, Receiver, SendBytes, Sender};

/// Bytes that share one time.
const PIECE: usize = 64 << 10;

/// Bytes under way before a sender waits: 10 ms of 50 Gbit/s.
const MOST: usize = 64 << 20;

/// Puts `link` before `connection`, in both directions.
pub fn emulate(connection: Connection, link: Link) -> io::Result<Connection> {
    let peer = connection.peer().to_owned();
    let (sender, receiver, closer) = connection.split();
    let (out, into) = (Arc::new(Way::new(link)), Arc::new(Way::new(link)));
    spawn("rgpu-link-out", {
        let (way, closer) = (Arc::clone(&out), Arc::clone(&closer));
        move || deliver(&way, sender, &closer)
    })?;
    spawn("rgpu-link-in", {
        let way = Arc::clone(&into);
        move || collect(&way, receiver)
    })?;
    let inner = Arc::new(Inner {
        closer,
        process: std::process::id(),
    });
    Ok(Connection::new(
        Box::new(DelayedSender {
            way: Arc::clone(&out),
            inner: Arc::clone(&inner),
        }),
        Box::new(DelayedReceiver {
            way: Arc::clone(&into),
            _inner: Arc::clone(&inner),
        }),
        Arc::new(DelayedCloser {
            ways: [out, into],
            inner,
        }),
        peer,
    ))
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let thread = thread::Builder::new().name(name.into());
    thread.spawn(body).map(drop)
}

/// One direction.
struct Way {
    link: Link,
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    pieces: VecDeque<Piece>,
    bytes: usize,
    /// When the link is free again.
    free: Instant,
    /// Nothing follows what is under way.
    ended: bool,
    /// Nothing more leaves.
    closed: bool,
    /// A piece has been taken out and is being passed on.
    passing: bool,
}

struct Piece {
    bytes: Vec<u8>,
    /// Taken already.
    from: usize,
    due: Instant,
}

impl Way {
    fn new(link: Link) -> Self {
        let state = State {
            pieces: VecDeque::new(),
            bytes: 0,
            free: Instant::now(),
            ended: false,
            closed: false,
            passing: false,
        };
        Self {
            link,
            state: Mutex::new(state),
            changed: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a change, or until `until`.
    fn wait<'a>(
        &self,
        state: MutexGuard<'a, State>,
        until: Option<Instant>,
    ) -> MutexGuard<'a, State> {
        match until {
            None => self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner),
            Some(until) => {
                let left = until.saturating_duration_since(Instant::now());
                self.changed
                    .wait_timeout(state, left)
                    .unwrap_or_else(PoisonError::into_inner)
                    .0
            }
        }
    }

    /// Lets bytes enter, once there is room; `false` if the way is closed.
    fn enter(&self, bytes: &[u8]) -> bool {
        let mut state = self.lock();
        while !state.closed && state.bytes >= MOST {
            state = self.wait(state, None);
        }
        if state.closed {
            return false;
        }
        let sent = state.free.max(Instant::now()) + self.link.occupied_by(bytes.len());
        state.free = sent;
        state.bytes += bytes.len();
        state.pieces.push_back(Piece {
            bytes: bytes.to_vec(),
            from: 0,
            due: sent + self.link.delay / 2,
        });
        drop(state);
        self.changed.notify_all();
        true
    }

    fn end(&self) {
        self.lock().ended = true;
        self.changed.notify_all();
    }

    fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    /// Waits until bytes have arrived or none will, or until `until`. The first piece has arrived, if there is one.
    fn arrival(&self, until: Option<Instant>) -> (MutexGuard<'_, State>, Arrival) {
        let mut state = self.lock();
        loop {
            if state.closed {
                return (state, Arrival::End);
            }
            let due = state.pieces.front().map(|piece| piece.due);
            let now = Instant::now();
            match due {
                Some(due) if due <= now => return (state, Arrival::Bytes),
                None if state.ended => return (state, Arrival::End),
                _ => {}
            }
            if until.is_some_and(|until| until <= now) {
                return (state, Arrival::Later);
            }
            let wake = [due, until].into_iter().flatten().min();
            state = self.wait(state, wake);
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Arrival {
    Bytes,
    End,
    Later,
}

/// Passes on what has crossed the link.
fn deliver(way: &Way, mut sender: Sender, closer: &Closer) {
    loop {
        let (mut state, arrival) = way.arrival(None);
        if arrival != Arrival::Bytes {
            // The sender is dropped here, and the peer sees the end.
            return;
        }
        let Some(piece) = state.pieces.pop_front() else {
            continue;
        };
        state.bytes -= piece.bytes.len();
        state.passing = true;
        drop(state);
        let sent = sender.send(&[IoSlice::new(&piece.bytes)]);
        way.lock().passing = false;
        way.changed.notify_all();
        if sent.is_err() {
            way.close();
            closer.close();
            return;
        }
    }
}

/// Takes what comes, to cross the link.
fn collect(way: &Way, mut receiver: Receiver) {
    let mut buffer = vec![0; PIECE];
    while let Ok(count @ 1..) = receiver.receive_some(&mut buffer) {
        if !way.enter(&buffer[..count]) {
            return;
        }
    }
    way.end();
}

/// The connection on the other side of the threads, which keep its halves: it ends with the last part of this one.
struct Inner {
    closer: Closer,
    process: u32,
}

impl Inner {
    /// Whether this is a forked child, which has not the threads, and whose parent goes on.
    fn is_forked(&self) -> bool {
        self.process != std::process::id()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if !self.is_forked() {
            self.closer.close();
        }
    }
}

struct DelayedSender {
    way: Arc<Way>,
    inner: Arc<Inner>,
}

impl SendBytes for DelayedSender {
    fn send(&mut self, slices: &[IoSlice<'_>]) -> io::Result<()> {
        // What is sent together crosses together.
        let mut piece = Vec::new();
        for slice in slices {
            let mut left: &[u8] = slice;
            while !left.is_empty() {
                let (now, later) = left.split_at(left.len().min(PIECE - piece.len()));
                piece.extend_from_slice(now);
                left = later;
                if piece.len() == PIECE {
                    self.enter(&piece)?;
                    piece.clear();
                }
            }
        }
        if piece.is_empty() {
            return Ok(());
        }
        self.enter(&piece)
    }
}

impl DelayedSender {
    fn enter(&self, piece: &[u8]) -> io::Result<()> {
        if self.way.enter(piece) {
            Ok(())
        } else {
            Err(io::ErrorKind::BrokenPipe.into())
        }
    }
}

impl Drop for DelayedSender {
    /// Waits for what is under way: a system would deliver it after the end of a process, a thread cannot.
    fn drop(&mut self) {
        if self.inner.is_forked() {
            return;
        }
        self.way.end();
        let mut state = self.way.lock();
        while !state.closed && (state.passing || !state.pieces.is_empty()) {
            state = self.way.wait(state, None);
        }
    }
}

struct DelayedReceiver {
    way: Arc<Way>,
    _inner: Arc<Inner>,
}

impl ReceiveBytes for DelayedReceiver {
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
        let (mut state, arrival) = self.way.arrival(None);
        if arrival != Arrival::Bytes {
            return Ok(0);
        }
        let Some(piece) = state.pieces.front_mut() else {
            return Ok(0);
        };
        let left = &piece.bytes[piece.from..];
        let count = left.len().min(buffer.len());
        buffer[..count].copy_from_slice(&left[..count]);
        piece.from += count;
        if piece.from == piece.bytes.len() {
            state.pieces.pop_front();
        }
        state.bytes -= count;
        drop(state);
        self.way.changed.notify_all();
        Ok(count)
    }

    fn wait_ready(&mut self, timeout: Option<Duration>) -> io::Result<bool> {
        let until = timeout.map(|timeout| Instant::now() + timeout);
        Ok(self.way.arrival(until).1 != Arrival::Later)
    }
}

impl Drop for DelayedReceiver {
    fn drop(&mut self) {
        self.way.close();
    }
}

struct DelayedCloser {
    ways: [Arc<Way>; 2],
    inner: Arc<Inner>,
}

impl Close for DelayedCloser {
    fn close(&self) {
        for way in &self.ways {
            way.close();
        }
        self.inner.closer.close();
    }

    fn abandon(&self) {
        self.inner.closer.abandon();
    }

    /// Nothing is taken or lent past the emulated network; this only says what is beneath.
    fn shared_memory(&self) -> Option<(NonNull<u8>, usize)> {
        self.inner.closer.shared_memory()
    }
}
