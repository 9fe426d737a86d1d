//! The bare peer: a ping-pong and a stream over the same transport with the same socket options, in a
//! process of its own, as a worker is. It waits in blocking reads; its client looks for a while before.

use std::io::{self, IoSlice};
use std::time::{Duration, Instant};

use rgpu_transport::{Connection, Listener, Url, connect, shm};

use crate::probe::QUIET;
use crate::stats::Samples;

/// Bytes of a ping.
const PING: usize = 64;
/// Bytes of one write of a stream: as the protocol's chunks.
const CHUNK: usize = 1 << 20;

/// How long a waiting client looks before it sleeps (`rgpu-client-shim/src/session/inbox.rs`).
const POLL: Duration = Duration::from_micros(50);

const ECHO: u8 = 1;
const SINK: u8 = 2;
const SOURCE: u8 = 3;

/// A server's words, with which shared memory comes.
const WELCOME: &[u8] = b"rgpu";

/// Serves one client, until it leaves; with `share` through shared memory.
///
/// # Errors
/// The connection breaks.
pub fn serve(listener: &Listener, share: bool) -> io::Result<()> {
    let mut connection = match listener {
        Listener::Unix(listener, _) if share => {
            let socket = listener.accept()?.0.into();
            let offer = shm::Offer::to(&socket).ok_or(io::ErrorKind::Unsupported)?;
            offer.make(socket, WELCOME)?
        }
        listener => listener.accept()?,
    };
    let mut chunk = vec![0_u8; CHUNK];
    loop {
        let mut request = [0_u8; PING];
        match connection.receive(&mut request) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            result => result?,
        }
        let mut len = [0; 8];
        len.copy_from_slice(&request[8..16]);
        let len = u64::from_le_bytes(len) as usize;
        match request[0] {
            ECHO => connection.send(&[IoSlice::new(&request)])?,
            SINK => {
                for piece in pieces(len) {
                    connection.receive(&mut chunk[..piece])?;
                }
                connection.send(&[IoSlice::new(&request)])?;
            }
            _ => {
                for piece in pieces(len) {
                    connection.send(&[IoSlice::new(&chunk[..piece])])?;
                }
            }
        }
    }
}

fn pieces(len: usize) -> impl Iterator<Item = usize> {
    (0..len).step_by(CHUNK).map(move |at| CHUNK.min(len - at))
}

fn request(kind: u8, len: usize) -> [u8; PING] {
    let mut request = [0; PING];
    request[0] = kind;
    request[8..16].copy_from_slice(&(len as u64).to_le_bytes());
    request
}

/// A client of the peer.
#[derive(Debug)]
pub struct Peer(Connection);

impl Peer {
    /// Connects.
    ///
    /// # Errors
    /// Nobody is there.
    pub fn connect(url: &Url, share: bool) -> io::Result<Self> {
        let (address, timeout) = (url.clone().into(), Duration::from_secs(5));
        if !share {
            return connect(&address, timeout).map(Self);
        }
        let mut connection = shm::connect(&address, timeout)?;
        connection.receive(&mut [0; WELCOME.len()])?;
        Ok(Self(connection))
    }

    /// Seconds of a 64-byte ping and its echo, mean of `count`.
    ///
    /// # Errors
    /// The connection breaks.
    pub fn ping(&mut self, count: usize) -> io::Result<f64> {
        let mut bytes = request(ECHO, 0);
        let start = Instant::now();
        for _ in 0..count {
            self.0.send(&[IoSlice::new(&bytes)])?;
            // Looks for an answer for a while before it sleeps, as the client library does.
            self.0.linger(POLL);
            self.0.receive(&mut bytes)?;
        }
        Ok(start.elapsed().as_secs_f64() / count as f64)
    }

    /// The same, each after a time in which nothing happened, so that both sides sleep when it begins.
    ///
    /// # Errors
    /// The connection breaks.
    pub fn quiet_ping(&mut self, count: usize) -> io::Result<f64> {
        let mut sum = 0.0;
        for _ in 0..count {
            std::thread::sleep(QUIET);
            sum += self.ping(1)?;
        }
        Ok(sum / count as f64)
    }

    /// Seconds to send `bytes` and have them acknowledged.
    ///
    /// # Errors
    /// The connection breaks.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<f64> {
        let mut ask = request(SINK, bytes.len());
        let start = Instant::now();
        self.0.send(&[IoSlice::new(&ask)])?;
        for chunk in bytes.chunks(CHUNK) {
            self.0.send(&[IoSlice::new(chunk)])?;
        }
        self.0.receive(&mut ask)?;
        Ok(start.elapsed().as_secs_f64())
    }

    /// Seconds to fill `bytes` from the peer.
    ///
    /// # Errors
    /// The connection breaks.
    pub fn fetch(&mut self, bytes: &mut [u8]) -> io::Result<f64> {
        let ask = request(SOURCE, bytes.len());
        let start = Instant::now();
        self.0.send(&[IoSlice::new(&ask)])?;
        for chunk in bytes.chunks_mut(CHUNK) {
            self.0.receive(chunk)?;
        }
        Ok(start.elapsed().as_secs_f64())
    }
}

/// The bare figures.
#[derive(Debug, Clone, Default)]
pub struct Bare {
    /// A ping and its echo.
    pub ping: Samples,
    /// The same after [`QUIET`].
    pub quiet_ping: Samples,
    /// A stream to the peer.
    pub send: Samples,
    /// A stream from the peer.
    pub fetch: Samples,
}

/// Measures the peer at `url`.
///
/// # Errors
/// The connection breaks.
pub fn measure(url: &Url, share: bool, amount: crate::probe::Amount) -> io::Result<Bare> {
    let mut peer = Peer::connect(url, share)?;
    let mut bytes = vec![1_u8; amount.bytes];
    // Fresh pages and a cold connection are not what is measured here.
    peer.send(&bytes)?;
    peer.fetch(&mut bytes)?;
    let mut bare = Bare::default();
    for _ in 0..amount.runs {
        bare.ping.0.push(peer.ping(amount.waits)?);
        bare.quiet_ping.0.push(peer.quiet_ping(amount.waits / 10)?);
        bare.send.0.push(peer.send(&bytes)?);
        bare.fetch.0.push(peer.fetch(&mut bytes)?);
    }
    Ok(bare)
}
