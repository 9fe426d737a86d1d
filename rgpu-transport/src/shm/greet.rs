//! How two ends come by a segment.

use std::io::{self, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use nix::cmsg_space;
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg,
};

use super::segment::{Segment, Way, nonsense};
use super::{End, Shared, connection};
use crate::{Address, Connection, Url, emulate, from_fd, socket};

/// A client's first byte after a server's offer: it has the segment.
const TAKEN: u8 = 1;
/// The same where it has none, though the server's words announced one.
pub const NOT_TAKEN: u8 = 0;

/// Descriptors that a message can carry (unix(7): SCM_MAX_FD), so that none is lost.
const MOST_DESCRIPTORS: usize = 253;

/// Connects to `address` as [`crate::connect`] does, but lets a server at a unix socket hand over shared memory with its
/// first words.
///
/// # Errors
/// Nobody is there.
pub fn connect(address: &Address, timeout: Duration) -> io::Result<Connection> {
    let Url::Unix(path) = &address.url else {
        return crate::connect(address, timeout);
    };
    let client = connection(UnixStream::connect(path)?, None, address.url.to_string())?;
    match address.link {
        Some(link) => emulate(client, link),
        None => Ok(client),
    }
}

/// A segment to share with a client, made before the client is told of it.
#[derive(Debug)]
pub struct Offer {
    segment: Segment,
    file: OwnedFd,
    ours: UnixStream,
    theirs: UnixStream,
}

impl Offer {
    /// An offer to the client at `socket`; `None` where that is no unix socket, or where there is no memory.
    pub fn to(socket: &OwnedFd) -> Option<Self> {
        let family = socket::family(socket.as_fd()).ok()?;
        if family != AddressFamily::Unix as i32 {
            return None;
        }
        let (segment, file) = Segment::create().ok()?;
        let (ours, theirs) = UnixStream::pair().ok()?;
        Some(Self {
            segment,
            file,
            ours,
            theirs,
        })
    }

    /// Says `words` to the client, which announce the offer, hands it over, and waits for what the client says of it.
    ///
    /// # Errors
    /// The client is gone, or says something else.
    pub fn make(self, socket: OwnedFd, words: &[u8]) -> io::Result<Connection> {
        let (last, front) = words.split_last().ok_or(io::ErrorKind::InvalidInput)?;
        socket::send_all(socket.as_fd(), &[io::IoSlice::new(front)])?;
        let descriptors = [self.file.as_raw_fd(), self.theirs.as_raw_fd()];
        sendmsg::<()>(
            socket.as_raw_fd(),
            &[io::IoSlice::new(&[*last])],
            &[ControlMessage::ScmRights(&descriptors)],
            MsgFlags::MSG_NOSIGNAL,
            None,
        )?;
        let mut stream = UnixStream::from(socket);
        let mut answer = [0];
        io::Read::read_exact(&mut stream, &mut answer)?;
        match answer[0] {
            TAKEN => {
                let shared = Shared::new(self.segment, self.ours, Way::ToClient, Way::ToServer);
                connection(stream, Some(shared), "unix".into())
            }
            NOT_TAKEN => from_fd(stream.into()),
            _ => Err(nonsense("the client neither took the segment nor left it")),
        }
    }
}

/// Receives by the socket, and takes the segment that comes with a server's last byte there.
pub(super) fn receive(end: &Arc<End>, buffer: &mut [u8]) -> io::Result<usize> {
    let mut space = cmsg_space!([RawFd; MOST_DESCRIPTORS]);
    let mut slices = [IoSliceMut::new(buffer)];
    let received = loop {
        match recvmsg::<()>(
            end.socket.as_raw_fd(),
            &mut slices,
            Some(&mut space),
            MsgFlags::MSG_CMSG_CLOEXEC,
        ) {
            Err(nix::errno::Errno::EINTR) => {}
            received => break received?,
        }
    };
    let mut descriptors = Vec::new();
    for control in received.cmsgs()? {
        if let ControlMessageOwned::ScmRights(fds) = control {
            // SAFETY: the kernel has just made these descriptors for this process alone.
            descriptors.extend(
                fds.into_iter()
                    .map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }),
            );
        }
    }
    let count = received.bytes;
    if !descriptors.is_empty() {
        take(end, descriptors)?;
    }
    Ok(count)
}

/// Takes what a server offers.
fn take(end: &End, descriptors: Vec<OwnedFd>) -> io::Result<()> {
    let Ok([file, room]) = <[OwnedFd; 2]>::try_from(descriptors) else {
        return Err(nonsense("the peer sent other descriptors than a segment's"));
    };
    if socket::family(room.as_fd())? != AddressFamily::Unix as i32 {
        return Err(nonsense("the peer's second descriptor is no unix socket"));
    }
    // Without room for it the client says that it has none.
    if let Some(segment) = Segment::open(file.as_fd())? {
        let room = UnixStream::from(room);
        room.set_nonblocking(false)?;
        let shared = Shared::new(segment, room, Way::ToServer, Way::ToClient);
        if end.shared.set(Arc::new(shared)).is_ok() {
            socket::send_all(end.socket.as_fd(), &[io::IoSlice::new(&[TAKEN])])?;
        }
    }
    Ok(())
}
