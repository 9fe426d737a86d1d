//! RDMA: reliable connections of verbs, beside a TCP connection that made them.
//!
//! ```text
//!              ┌── sender ─── queue pair ──── messages, writes ───> queue pair ─── receiver ──┐
//! connection ──┤                           <─── credits ─────────                             ├── connection
//!              └─ receiver ── queue pair <─── messages, writes ──── queue pair ─── sender ────┘
//!                     └──────────────── TCP: set-up, then only the sign of life ──────┘
//! ```
//!
//! The sides meet on a TCP connection, tell each other their queue pairs there ([`card`]), and leave it open: its end is
//! the connection's, which is how a peer that dies is noticed, as a queue pair that only receives would not. Each half of
//! a connection has a queue pair of its own, so that no two threads ever share one. [`sizes`] says how much may be under
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
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use crate::Connection;
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
    /// No verbs library, no device, too little memory that may be locked: in words, with what to do.
    pub fn new(socket: &TcpStream) -> io::Result<Self> {
        let local = socket.local_addr().ok().map(|address| address.ip());
        let port = Port::choose(local.map(|ip| ip.to_canonical()))?;
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

    /// Connects to the peer, which does the same at the other end of `socket`.
    ///
    /// # Errors
    /// The peer is gone, too slow, or no peer; or the devices do not reach each other.
    pub fn connect(self, socket: TcpStream, peer: String) -> io::Result<Connection> {
        let (sender, receiver, closer) = self.join(socket)?;
        Ok(Connection::new(
            Box::new(sender),
            Box::new(receiver),
            Arc::new(closer),
            peer,
        ))
    }

    fn join(self, mut socket: TcpStream) -> io::Result<(RdmaSender, RdmaReceiver, RdmaCloser)> {
        socket.set_nonblocking(false)?;
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
        socket.write_all(&card.to_bytes())?;
        let mut bytes = [0; card::LEN];
        socket.read_exact(&mut bytes)?;
        let peer = Peer::from_bytes(&bytes)?;

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
        socket.read_exact(&mut ready)?;
        if ready != [READY] {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let closer = RdmaCloser { life, descriptors };
        Ok((sender, receiver, closer))
    }
}

/// Number of the first packet: random, so that late packets of another connection fit none.
fn first_packet() -> u32 {
    RandomState::new().hash_one(0_u8) as u32 & card::NUMBERS
}
