//! The socket beside: it carries nothing once the queue pairs are connected, and its end is the connection's.

use std::io;
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::Close;

/// How long what was under way when the socket ended may still take: the two travel apart.
pub(super) const GRACE: Duration = Duration::from_millis(250);

/// The socket, shared by the halves and the closer.
#[derive(Debug)]
pub(super) struct Life {
    socket: TcpStream,
    closed: AtomicBool,
}

impl Life {
    pub(super) fn new(socket: TcpStream) -> Self {
        Self {
            socket,
            closed: AtomicBool::new(false),
        }
    }

    /// Becomes readable when the connection ends, for whatever reason.
    pub(super) fn descriptor(&self) -> RawFd {
        self.socket.as_raw_fd()
    }

    /// Whether this side has closed the connection.
    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Ends the connection for both sides.
    fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.shut_down();
    }

    /// Passes a failure on after ending the connection, so that the peer does not wait for what will not come. The other
    /// half of this side still gets what is on its way.
    pub(super) fn fail(&self, error: io::Error) -> io::Error {
        self.shut_down();
        error
    }

    fn shut_down(&self) {
        // Fails only where it has ended already.
        let _ = self.socket.shutdown(Shutdown::Both);
    }
}

/// Ends a connection from any thread.
pub(super) struct RdmaCloser {
    pub(super) life: Arc<Life>,
    /// What a forked child has to close, beside the socket.
    pub(super) descriptors: Vec<RawFd>,
}

impl Close for RdmaCloser {
    fn close(&self) {
        self.life.close();
    }

    fn abandon(&self) {
        let socket = [self.life.descriptor()];
        for fd in self.descriptors.iter().chain(&socket) {
            // SAFETY: closing affects this process's table of descriptors only, and the caller uses no half again.
            unsafe { libc::close(*fd) };
        }
    }
}
