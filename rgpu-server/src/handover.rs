//! What supervisor and worker say to each other, over a socket pair that keeps message boundaries.
//!
//! ```text
//! worker      -> supervisor   Ready     driver loaded, context created
//! supervisor  -> worker       Assign    + the client's socket
//! worker      -> supervisor   Usage     bytes of device memory in use, whenever that changes
//! ```
//!
//! A worker serves one client and exits; the supervisor learns of the end by the socket's end.

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, recvmsg,
    sendmsg, socketpair,
};
use rgpu_proto::hello::{ClientHello, Device};
use rgpu_proto::message;
use rgpu_proto::wire::{self, Decode, Encode};

/// Longest message: a `Ready` with the attributes of 8 devices takes some 12 KiB.
const MAX_MESSAGE: usize = 128 << 10;

/// File descriptor of the worker's end.
pub const WORKER_FD: RawFd = 3;

message! {
    /// The worker can take a client.
    pub struct Ready {
        /// `cuDriverGetVersion`.
        driver_version: i32,
        /// The devices it sees; a session gets the first.
        devices: Vec<Device>,
    }

    /// The worker's client; its socket comes with the message.
    pub struct Assign {
        /// Session number.
        session: u64,
        /// Protocol version agreed on.
        version: u16,
        /// Bytes of device memory granted.
        lease: u64,
        /// What the client said.
        hello: ClientHello,
    }

    /// Device memory in use.
    pub struct Usage {
        /// Bytes.
        bytes: u64,
    }
}

/// A new pair of ends: the supervisor's, and the worker's.
///
/// # Errors
/// Whatever `socketpair` answers.
pub fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socketpair(
        AddressFamily::Unix,
        SockType::SeqPacket,
        None,
        SockFlag::SOCK_CLOEXEC,
    )?)
}

/// Sends one message, with a file descriptor where given.
///
/// # Errors
/// The peer is gone.
pub fn send(
    socket: BorrowedFd<'_>,
    message: &impl Encode,
    fd: Option<BorrowedFd<'_>>,
) -> io::Result<()> {
    let bytes = wire::to_bytes(message);
    let fds = fd.map(|fd| [fd.as_raw_fd()]);
    let control: Vec<_> = fds
        .iter()
        .map(|fds| ControlMessage::ScmRights(fds))
        .collect();
    sendmsg::<()>(
        socket.as_raw_fd(),
        &[IoSlice::new(&bytes)],
        &control,
        MsgFlags::MSG_NOSIGNAL,
        None,
    )?;
    Ok(())
}

/// Receives one message and a file descriptor that came with it.
///
/// # Errors
/// [`io::ErrorKind::UnexpectedEof`] where the peer is gone; [`io::ErrorKind::InvalidData`] where the message
/// is not a `T`.
pub fn receive<T: Decode>(socket: BorrowedFd<'_>) -> io::Result<(T, Option<OwnedFd>)> {
    let mut bytes = vec![0; MAX_MESSAGE];
    let mut space = nix::cmsg_space!([RawFd; 1]);
    let mut slices = [IoSliceMut::new(&mut bytes)];
    let received = recvmsg::<()>(
        socket.as_raw_fd(),
        &mut slices,
        Some(&mut space),
        MsgFlags::MSG_CMSG_CLOEXEC,
    )?;
    let mut fd = None;
    for control in received.cmsgs()? {
        if let ControlMessageOwned::ScmRights(fds) = control {
            // SAFETY: the kernel has just made these descriptors for this process alone.
            fd = fds
                .into_iter()
                .map(|fd| unsafe { OwnedFd::from_raw_fd(fd) })
                .next_back();
        }
    }
    let len = received.bytes;
    if len == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let message = wire::from_bytes(&bytes[..len])
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    Ok((message, fd))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn a_message_arrives_with_its_descriptor() {
        let (a, b) = pair().expect("pair");
        let file = tempfile::tempfile().expect("file");
        send(a.as_fd(), &Usage { bytes: 7 }, Some(file.as_fd())).expect("send");
        let (usage, fd) = receive::<Usage>(b.as_fd()).expect("receive");
        assert_eq!(usage.bytes, 7);
        assert!(fd.is_some());
    }

    #[test]
    fn the_end_of_the_peer_is_an_error() {
        let (a, b) = pair().expect("pair");
        drop(a);
        let error = receive::<Usage>(b.as_fd()).expect_err("peer is gone");
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn a_wrong_message_is_invalid() {
        let (a, b) = pair().expect("pair");
        send(a.as_fd(), &1_u8, None).expect("send");
        let error = receive::<Usage>(b.as_fd()).expect_err("too short");
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }
}
