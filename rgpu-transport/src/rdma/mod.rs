//! RDMA: reliable connections of verbs, beside a TCP connection that made them.
//!
//! ```text
//!              ┌── sender ─── queue pair ──── messages, writes ───> queue pair ─── receiver ──┐
//! connection ──┤                           <─── credits ─────────                             ├── connection
//!              └─ receiver ── queue pair <─── messages, writes ──── queue pair ─── sender ────┘
//!                     └──────────────── TCP: set-up, then only the sign of life ──────┘
//! ```
//!
//! The sides meet on a TCP connection, tell each other their queue pairs there (`card`), and leave it open: its end is
//! the connection's, which is how a peer that dies is noticed, as a queue pair that only receives would not. Each half of
//! a connection has a queue pair of its own, so that no two threads ever share one. `sizes` says how much may be under
//! way and why no message finds its receiver unprepared.
//!
//! The peer may be hostile: the only memory it can touch is the slots of its own connection; counts, lengths and numbers
//! that it sends are checked, and whatever is wrong ends the connection.

mod card;
mod device;
mod life;
mod queue;
mod receiver;
mod region;
mod sender;
mod sizes;
mod sys;
#[cfg(test)]
mod tests;

use std::hash::{BuildHasher, RandomState};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use crate::{Address, Connection, Url, emulate};
use card::Peer;
use device::Port;
use life::{Life, RdmaCloser};
use queue::Queue;
use receiver::RdmaReceiver;
use region::Region;
use sender::RdmaSender;

/// A side that connects does nothing else meanwhile: its card follows within a few round trips.
const PATIENCE: Duration = Duration::from_secs(10);

/// Says that a side's queue pairs are connected.
const READY: u8 = 1;

/// This side of a connection to be: a device is open, queue pairs are made and memory is registered.
pub struct Offer {
    port: Port,
    sending: Queue,
    staging: Region,
    receiving: Queue,
    cells: Region,
    slots: Region,
}

impl std::fmt::Debug for Offer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Offer")
            .field("port", &self.port.name())
            .finish_non_exhaustive()
    }
}

impl Offer {
    /// Makes ready to leave `socket` for RDMA, on the device with the socket's address.
    ///
    /// # Errors
    /// No TCP socket, no verbs library, no device, too little memory that may be locked: in words, with what to do.
    pub fn to(socket: &impl AsFd) -> io::Result<Self> {
        let socket = TcpStream::from(socket.as_fd().try_clone_to_owned()?);
        let port = Port::choose(socket.local_addr()?.ip().to_canonical())?;
        let device = &port.device;
        let mut offer = Self {
            sending: Queue::new(device, sender::SENDS, sender::RECEIVES)?,
            staging: Region::new(device, RdmaSender::STAGING, false)?,
            receiving: Queue::new(device, receiver::SENDS, receiver::RECEIVES)?,
            cells: Region::new(device, receiver::REGION, false)?,
            slots: Region::new(device, sizes::SLOTS_LEN, true)?,
            port,
        };
        offer.sending.prepare(&offer.port, false)?;
        offer.receiving.prepare(&offer.port, true)?;
        Ok(offer)
    }

    /// Says `words` to the client, which announce the offer, and connects to it once it answers with its card.
    ///
    /// # Errors
    /// The client is gone, too slow, or no client; or the devices do not reach each other.
    pub fn make(self, socket: OwnedFd, words: &[u8]) -> io::Result<Connection> {
        let mut socket = TcpStream::from(socket);
        let peer = format!("rdma://{}", socket.peer_addr()?);
        socket.set_nonblocking(false)?;
        socket.write_all(words)?;
        self.connect(socket, Turn::Second, peer)
    }

    fn connect(self, socket: TcpStream, turn: Turn, peer: String) -> io::Result<Connection> {
        let (sender, receiver, closer) = self.join(socket, turn)?;
        Ok(Connection::new(
            Box::new(sender),
            Box::new(receiver),
            Arc::new(closer),
            peer,
        ))
    }

    fn join(
        self,
        mut socket: TcpStream,
        turn: Turn,
    ) -> io::Result<(RdmaSender, RdmaReceiver, RdmaCloser)> {
        socket.set_nodelay(true)?;
        crate::socket::keep_alive(socket.as_fd())?;
        socket.set_read_timeout(Some(PATIENCE))?;
        let (sending_from, receiving_from) = (first_packet(), first_packet());
        let card = Peer {
            gid: self.port.gid,
            lid: self.port.lid,
            mtu: self.port.mtu,
            receiver: (self.receiving.number(), receiving_from),
            sender: (self.sending.number(), sending_from),
            slots: (self.slots.address(), self.slots.remote_key()),
        };
        if turn == Turn::First {
            socket.write_all(&card.to_bytes())?;
        }
        let mut bytes = [0; card::LEN];
        hear(&mut socket, &mut bytes)?;
        let peer = Peer::from_bytes(&bytes)?;
        if turn == Turn::Second {
            socket.write_all(&card.to_bytes())?;
        }

        let Self {
            port,
            mut sending,
            staging,
            mut receiving,
            cells,
            slots,
        } = self;
        let mut descriptors = Vec::from(port.device.descriptors());
        descriptors.extend([sending.descriptor(), receiving.descriptor()]);
        sending.connect(&port, &peer, peer.receiver, sending_from)?;
        receiving.connect(&port, &peer, peer.sender, receiving_from)?;
        let life = Arc::new(Life::new(socket.try_clone()?));
        let sender = RdmaSender::new(sending, staging, Arc::clone(&life), peer.slots)?;
        let receiver = RdmaReceiver::new(receiving, cells, slots, Arc::clone(&life))?;

        // Nothing is sent before the peer can receive it.
        socket.write_all(&[READY])?;
        let mut ready = [0];
        hear(&mut socket, &mut ready)?;
        if ready != [READY] {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let closer = RdmaCloser { life, descriptors };
        Ok((sender, receiver, closer))
    }
}

/// What the peer says, within [`PATIENCE`].
fn hear(socket: &mut TcpStream, bytes: &mut [u8]) -> io::Result<()> {
    socket
        .read_exact(bytes)
        .map_err(|error| match error.kind() {
            // What a timeout of a socket is called.
            io::ErrorKind::WouldBlock => io::Error::new(
                io::ErrorKind::TimedOut,
                "RDMA: the peer does not tell its queue pairs",
            ),
            io::ErrorKind::UnexpectedEof => io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "RDMA: the peer gave up; its log says why",
            ),
            _ => error,
        })
}

/// Whose card comes first: the client's, as it may have read ahead behind the server's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    First,
    Second,
}

/// A client's side of an RDMA connection, after its TCP connection was made.
#[derive(Debug)]
pub struct Upgrade {
    offer: Offer,
    socket: TcpStream,
    address: Address,
}

/// Connects to a server by TCP, to go on over RDMA once its words announce that it offers that.
///
/// # Errors
/// As [`Offer::to`], or nobody is there.
pub fn reach(address: &Address, timeout: Duration) -> io::Result<(Connection, Upgrade)> {
    let Url::Rdma { host, port } = &address.url else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let socket = crate::socket::connect_tcp(host, *port, timeout)?;
    let upgrade = Upgrade {
        offer: Offer::to(&socket)?,
        socket: socket.try_clone()?,
        address: address.clone(),
    };
    let words = crate::socket::tcp(socket, address.url.to_string())?;
    Ok((words, upgrade))
}

impl Upgrade {
    /// Leaves the connection of the words for one over RDMA.
    ///
    /// # Errors
    /// The server is gone, too slow, or no server; or the devices do not reach each other.
    pub fn finish(self, words: Connection) -> io::Result<Connection> {
        drop(words);
        let peer = self.address.url.to_string();
        let connection = self.offer.connect(self.socket, Turn::First, peer)?;
        match self.address.link {
            Some(link) => emulate(connection, link),
            None => Ok(connection),
        }
    }
}

/// Whether this host has what RDMA needs.
///
/// # Errors
/// What is missing, in words.
pub fn check() -> io::Result<()> {
    Port::choose(Ipv4Addr::UNSPECIFIED.into()).map(drop)
}

/// Number of the first packet: random, so that late packets of another connection fit none.
fn first_packet() -> u32 {
    RandomState::new().hash_one(0_u8) as u32 & card::NUMBERS
}
