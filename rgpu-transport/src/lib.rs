//! Moves bytes between two ends: tcp, unix socket, shared memory, RDMA, in-memory. Knows nothing of operations or of CUDA.
//!
//! A [`Connection`] comes from [`connect`], from a [`Listener`], from a file descriptor handed over by
//! another process, or from [`memory::pair`]; [`emulate`] puts a slower network before it. It splits into a [`Sender`], a [`Receiver`] and a [`Closer`],
//! each of which may live on a thread of its own.

mod emulator;
mod link;
pub mod memory;
pub mod rdma;
pub mod shm;
mod socket;
mod url;

use std::fmt;
use std::io::{self, IoSlice};
use std::ptr::NonNull;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub use emulator::emulate;
pub use link::{Address, Link};
pub use socket::{Listener, SocketFile, connect, from_fd};
pub use url::{Url, UrlError};

/// The sending half of a transport.
pub trait SendBytes: Send {
    /// Sends all of `slices` in order, in as few writes as the transport allows.
    fn send(&mut self, slices: &[IoSlice<'_>]) -> io::Result<()>;

    /// A place for `len` bytes that the peer can read, to be filled and then sent. `None` where there is none now, as
    /// always for a transport that shares no memory: the caller sends its bytes instead.
    fn lend(&mut self, len: usize) -> Option<Place> {
        let _ = len;
        None
    }

    /// Sends all of `slices`, and then the bytes of a place that this half has lent.
    fn send_lent(&mut self, slices: &[IoSlice<'_>], place: Place) -> io::Result<()> {
        let _ = (slices, place);
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// The receiving half of a transport.
pub trait ReceiveBytes: Send {
    /// Fills `buffer`; the end of the stream before that is [`io::ErrorKind::UnexpectedEof`].
    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<()>;

    /// Fills the beginning of `buffer` with what has come, at least a byte; 0 is the end of the stream.
    fn receive_some(&mut self, buffer: &mut [u8]) -> io::Result<usize>;

    /// Waits until a byte can be received, or until `timeout`; `false` on timeout. The end of the stream
    /// counts as ready.
    fn wait_ready(&mut self, timeout: Option<Duration>) -> io::Result<bool>;

    /// Polls for up to `limit`, so that a receive that follows need not sleep. A transport that knows better how long to
    /// poll does so when it receives, and returns at once.
    fn linger(&mut self, limit: Duration) {
        poll_for(self, limit);
    }

    /// The place where the next `len` bytes lie together, if there is one: they count as received, and stay where they are
    /// until the place is dropped. `None` where the caller has to receive them, as always for a transport that shares no
    /// memory.
    fn take(&mut self, len: usize) -> io::Result<Option<Place>> {
        let _ = len;
        Ok(None)
    }
}

/// Polls `receiver` for up to `limit`. An error shows again in the receive that follows.
fn poll_for(receiver: &mut (impl ReceiveBytes + ?Sized), limit: Duration) {
    let until = Instant::now() + limit;
    while !receiver.wait_ready(Some(Duration::ZERO)).unwrap_or(true) && Instant::now() < until {
        std::hint::spin_loop();
    }
}

/// Bytes that both ends of a connection can reach. The peer may change them at any time, so that there is no slice of them.
pub struct Place {
    at: NonNull<u8>,
    len: usize,
    /// Gives the place back when dropped, on whatever thread.
    _owner: Box<dyn Send + Sync>,
}

// SAFETY: the bytes belong to no thread, and the owner may be dropped on any.
unsafe impl Send for Place {}
// SAFETY: a shared place only tells its address.
unsafe impl Sync for Place {}

impl Place {
    fn new(at: NonNull<u8>, len: usize, owner: Box<dyn Send + Sync>) -> Self {
        Self {
            at,
            len,
            _owner: owner,
        }
    }

    /// Where it begins.
    pub const fn address(&self) -> NonNull<u8> {
        self.at
    }

    /// Its bytes.
    #[expect(clippy::len_without_is_empty, reason = "there is no place for nothing")]
    pub const fn len(&self) -> usize {
        self.len
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Place")
            .field("len", &self.len)
            .finish_non_exhaustive()
    }
}

/// Ends a connection from any thread: a blocked send or receive of either half returns.
pub trait Close: Send + Sync {
    /// Closes both directions. Closing twice does nothing.
    fn close(&self);

    /// In a forked child: drops the child's copies of the descriptors and leaves the connection to the parent.
    /// Safe to call where only async-signal-safe functions are. No half may be used in the child afterwards.
    fn abandon(&self) {}

    /// The memory that both ends share and that places lie in, if they share any: where it begins, and its bytes.
    fn shared_memory(&self) -> Option<(NonNull<u8>, usize)> {
        None
    }
}

/// Sending half of a [`Connection`].
pub type Sender = Box<dyn SendBytes>;
/// Receiving half of a [`Connection`].
pub type Receiver = Box<dyn ReceiveBytes>;
/// Handle to end a [`Connection`].
pub type Closer = Arc<dyn Close>;

/// Two ends, connected.
pub struct Connection {
    sender: Sender,
    receiver: Receiver,
    closer: Closer,
    peer: String,
}

impl Connection {
    /// Puts the parts of a transport together; `peer` names the other end for people.
    pub fn new(sender: Sender, receiver: Receiver, closer: Closer, peer: String) -> Self {
        Self {
            sender,
            receiver,
            closer,
            peer,
        }
    }

    /// The other end, for people.
    pub fn peer(&self) -> &str {
        &self.peer
    }

    /// Sends all of `slices`.
    pub fn send(&mut self, slices: &[IoSlice<'_>]) -> io::Result<()> {
        self.sender.send(slices)
    }

    /// Fills `buffer`.
    pub fn receive(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        self.receiver.receive(buffer)
    }

    /// Waits until a byte can be received, or until `timeout`; `false` on timeout.
    pub fn wait_ready(&mut self, timeout: Option<Duration>) -> io::Result<bool> {
        self.receiver.wait_ready(timeout)
    }

    /// Polls for up to `limit`, so that a receive that follows need not sleep.
    pub fn linger(&mut self, limit: Duration) {
        self.receiver.linger(limit);
    }

    /// A handle to end this connection.
    pub fn closer(&self) -> Closer {
        Arc::clone(&self.closer)
    }

    /// The halves, for a thread each.
    pub fn split(self) -> (Sender, Receiver, Closer) {
        (self.sender, self.receiver, self.closer)
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}
