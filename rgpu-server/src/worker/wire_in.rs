//! Frames from the client, checked: size, then sequence, then body.

use std::io;

use rgpu_proto::frame::{FrameError, HEADER_LEN, Header};
use rgpu_proto::opcode::Opcode;
use rgpu_proto::session::{Incoming, SessionError};
use rgpu_proto::wire::DecodeError;
use rgpu_transport::{Place, Receiver};

/// Why a session ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum End {
    /// The client closed the connection between two frames, or said goodbye.
    #[error("the client left")]
    Left,
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Broken(#[from] io::Error),
    /// The client sent a frame that no client sends.
    #[error("malformed frame: {0}")]
    Frame(#[from] FrameError),
    /// The client sent frames out of order.
    #[error("protocol violation: {0}")]
    Session(#[from] SessionError),
    /// The client sent a body that is not what its operation takes.
    #[error("malformed body of {op}: {error}")]
    Body {
        /// The operation.
        op: Opcode,
        /// What is wrong.
        error: DecodeError,
    },
    /// The client sent bulk data that nothing asked for, or too much or too little of it.
    #[error("bulk data of {op}: {what}")]
    Bulk {
        /// The operation.
        op: Opcode,
        /// What is wrong.
        what: &'static str,
    },
    /// An operation that only servers send.
    #[error("a client does not send {0}")]
    NotForServers(Opcode),
}

impl End {
    /// Whether the client broke the protocol, as opposed to leaving.
    pub(super) const fn is_violation(&self) -> bool {
        !matches!(self, Self::Left | Self::Broken(_))
    }
}

/// A frame from the client.
#[derive(Debug)]
pub(super) enum Arrived<'a> {
    /// A call and its body.
    Call(Header, &'a [u8]),
    /// A piece of bulk data, whose body is still on the wire.
    Data(Header),
}

/// Receives the client's frames.
pub(super) struct WireIn {
    receiver: Receiver,
    incoming: Incoming,
    /// Where bodies are put.
    body: Vec<u8>,
}

/// Room for bodies that is kept.
const KEPT: usize = 64 << 10;

impl std::fmt::Debug for WireIn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WireIn").finish_non_exhaustive()
    }
}

impl WireIn {
    pub(super) fn new(receiver: Receiver) -> Self {
        Self {
            receiver,
            incoming: Incoming::default(),
            body: vec![0; KEPT],
        }
    }

    /// The next frame: a call with its body, or the header of a piece of bulk data. `sent` counts the frames
    /// sent to the client, and is asked once the frame is here.
    pub(super) fn next(&mut self, sent: impl FnOnce() -> u64) -> Result<Arrived<'_>, End> {
        let mut bytes = [0; HEADER_LEN];
        match self.receiver.receive(&mut bytes) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Err(End::Left),
            result => result?,
        }
        let header = Header::from_bytes(&bytes)?;
        self.incoming.accept(&header, sent())?;
        if header.op == Opcode::DATA {
            return Ok(Arrived::Data(header));
        }
        Ok(Arrived::Call(header, self.body_of(&header)?))
    }

    fn body_of(&mut self, header: &Header) -> Result<&[u8], End> {
        let len = header.len as usize;
        if self.body.len() > KEPT.max(len) {
            self.body = Vec::new();
        }
        if self.body.len() < len.max(KEPT) {
            self.body.resize(len.max(KEPT), 0);
        }
        self.receiver.receive(&mut self.body[..len])?;
        Ok(&self.body[..len])
    }

    /// The body of a piece of bulk data where it lies, if it lies in memory that the client shares.
    pub(super) fn take(&mut self, len: usize) -> Result<Option<Place>, End> {
        Ok(self.receiver.take(len)?)
    }

    /// Receives the body of a piece of bulk data.
    pub(super) fn body(&mut self, place: &mut [u8]) -> Result<(), End> {
        Ok(self.receiver.receive(place)?)
    }
}
