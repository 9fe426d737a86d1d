//! Moves bytes between two ends: tcp, unix socket, in-memory. Knows nothing of operations or of CUDA.
//!
//! A [`Connection`] comes from [`connect`], from a [`Listener`], from a file descriptor handed over by
//! another process, or from [`memory::pair`]; [`emulate`] puts a slower network before it. It splits into a [`Sender`], a [`Receiver`] and a [`Closer`],
//! each of which may live on a thread of its own.

mod emulator;
mod link;
pub mod memory;
mod socket;
mod url;

use std::fmt;
use std::io::{self, IoSlice};
use std::sync::Arc;
use std::time::Duration;

pub use emulator::emulate;
pub use link::{Address, Link};
pub use socket::{Listener, SocketFile, connect, from_fd};
pub use url::{Url, UrlError};

/// The sending half of a transport.
pub trait SendBytes: Send {
    /// Sends all of `slices` in order, in as few writes as the transport allows.
    fn send(&mut self, slices: &[IoSlice<'_>]) -> io::Result<()>;
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
}

/// Ends a connection from any thread: a blocked send or receive of either half returns.
pub trait Close: Send + Sync {
    /// Closes both directions. Closing twice does nothing.
    fn close(&self);

    /// In a forked child: drops the child's copies of the descriptors and leaves the connection to the parent.
    /// Safe to call where only async-signal-safe functions are. No half may be used in the child afterwards.
    fn abandon(&self) {}
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
