//! tcp and unix sockets.

use std::io::{self, IoSlice, IoSliceMut, Read};
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use crate::{Address, Close, Connection, ReceiveBytes, SendBytes, Url, emulate, rdma};

/// Slices given to one `writev`; IOV_MAX is 1024 on Linux.
const MAX_SLICES: usize = 64;

/// Connects to `address`, or fails within `timeout`, name resolution included.
pub fn connect(address: &Address, timeout: Duration) -> io::Result<Connection> {
    let connection = connect_directly(&address.url, timeout)?;
    match address.link {
        Some(link) => emulate(connection, link),
        None => Ok(connection),
    }
}

fn connect_directly(url: &Url, timeout: Duration) -> io::Result<Connection> {
    match url {
        // Without the server's first words nothing is known of RDMA: `rdma::reach` goes on from there.
        Url::Tcp { host, port } | Url::Rdma { host, port } => {
            connect_tcp(host, *port, timeout).and_then(|s| tcp(s, url.to_string()))
        }
        Url::Unix(path) => unix(UnixStream::connect(path)?, url.to_string()),
    }
}

/// A connection over a connected socket received from elsewhere.
pub fn from_fd(fd: OwnedFd) -> io::Result<Connection> {
    match family(fd.as_fd())? {
        libc::AF_INET | libc::AF_INET6 => {
            let stream = TcpStream::from(fd);
            let peer = stream
                .peer_addr()
                .map_or_else(|_| "tcp".into(), |peer| format!("tcp://{peer}"));
            tcp(stream, peer)
        }
        libc::AF_UNIX => unix(UnixStream::from(fd), "unix".into()),
        other => Err(io::Error::other(format!(
            "socket family {other} is neither tcp nor unix"
        ))),
    }
}

pub(crate) fn family(fd: BorrowedFd<'_>) -> io::Result<i32> {
    let mut family: libc::c_int = 0;
    let mut len = size_of_val(&family) as libc::socklen_t;
    // SAFETY: `family` and `len` are live and `len` is the size of `family`.
    let failed = unsafe {
        libc::getsockopt(
            fd.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_DOMAIN,
            (&raw mut family).cast(),
            &raw mut len,
        )
    };
    if failed == 0 {
        Ok(family)
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Tries each address of the name. `getaddrinfo` has no timeout of its own, so it runs on a thread that
/// is left behind where it takes too long.
pub(crate) fn connect_tcp(host: &str, port: u16, timeout: Duration) -> io::Result<TcpStream> {
    let deadline = Instant::now() + timeout;
    let addresses = resolve(host, port, timeout)?;
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no addresses");
    for address in addresses {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "connection timed out",
            ));
        }
        match TcpStream::connect_timeout(&address, left) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn resolve(host: &str, port: u16, timeout: Duration) -> io::Result<Vec<SocketAddr>> {
    if let Ok(address) = host.parse() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let (done, wait) = mpsc::channel();
    let name = (host.to_owned(), port);
    thread::Builder::new()
        .name("rgpu-resolve".into())
        .spawn(move || {
            let result = name.to_socket_addrs().map(Iterator::collect);
            // The receiver is gone where the caller has given up.
            let _ = done.send(result);
        })?;
    wait.recv_timeout(timeout).unwrap_or_else(|_| {
        Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "name resolution timed out",
        ))
    })
}

pub(crate) fn tcp(stream: TcpStream, peer: String) -> io::Result<Connection> {
    stream.set_nodelay(true)?;
    stream.set_nonblocking(false)?;
    keep_alive(stream.as_fd())?;
    let (reader, own) = (stream.try_clone()?, stream.try_clone()?);
    let all = [stream.as_raw_fd(), reader.as_raw_fd(), own.as_raw_fd()];
    let closer = SocketCloser { own, all };
    Ok(Connection::new(
        Box::new(stream),
        Box::new(SocketReceiver::new(reader)),
        Arc::new(closer),
        peer,
    ))
}

fn unix(stream: UnixStream, peer: String) -> io::Result<Connection> {
    stream.set_nonblocking(false)?;
    let (reader, own) = (stream.try_clone()?, stream.try_clone()?);
    let all = [stream.as_raw_fd(), reader.as_raw_fd(), own.as_raw_fd()];
    let closer = SocketCloser { own, all };
    Ok(Connection::new(
        Box::new(stream),
        Box::new(SocketReceiver::new(reader)),
        Arc::new(closer),
        peer,
    ))
}

/// A dead peer is noticed after 10 s of silence and three probes 3 s apart.
pub(crate) fn keep_alive(fd: BorrowedFd<'_>) -> io::Result<()> {
    set_option(fd, libc::SOL_SOCKET, libc::SO_KEEPALIVE, 1)?;
    set_option(fd, libc::IPPROTO_TCP, libc::TCP_KEEPIDLE, 10)?;
    set_option(fd, libc::IPPROTO_TCP, libc::TCP_KEEPINTVL, 3)?;
    set_option(fd, libc::IPPROTO_TCP, libc::TCP_KEEPCNT, 3)
}

fn set_option(fd: BorrowedFd<'_>, level: i32, option: i32, value: libc::c_int) -> io::Result<()> {
    // SAFETY: `value` is live and its size is passed.
    let failed = unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            level,
            option,
            (&raw const value).cast(),
            size_of_val(&value) as libc::socklen_t,
        )
    };
    if failed == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// `sendmsg` and not `writev`: inside an application that keeps the default SIGPIPE, a write to a closed
/// socket must fail, not kill.
pub(crate) fn send_all(fd: BorrowedFd<'_>, slices: &[IoSlice<'_>]) -> io::Result<()> {
    let mut storage: Vec<IoSlice<'_>> = slices.to_vec();
    let mut left = storage.as_mut_slice();
    IoSlice::advance_slices(&mut left, 0);
    while !left.is_empty() {
        let now = left.len().min(MAX_SLICES);
        match send_some(fd, &left[..now]) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => IoSlice::advance_slices(&mut left, written),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn send_some(fd: BorrowedFd<'_>, slices: &[IoSlice<'_>]) -> io::Result<usize> {
    // SAFETY: a zeroed msghdr is a valid one without name, control data and vectors.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = slices.as_ptr().cast_mut().cast();
    message.msg_iovlen = slices.len() as _;
    // SAFETY: `IoSlice` has the layout of `iovec`, the slices are live, and sendmsg only reads them.
    let sent = unsafe { libc::sendmsg(fd.as_raw_fd(), &raw const message, libc::MSG_NOSIGNAL) };
    usize::try_from(sent).map_err(|_| io::Error::last_os_error())
}

impl SendBytes for TcpStream {
    fn send(&mut self, slices: &[IoSlice<'_>]) -> io::Result<()> {
        send_all(self.as_fd(), slices)
    }
}

impl SendBytes for UnixStream {
    fn send(&mut self, slices: &[IoSlice<'_>]) -> io::Result<()> {
        send_all(self.as_fd(), slices)
    }
}

/// Bytes read ahead: a call and what follows it come with one read.
const AHEAD: usize = 64 << 10;
/// Bytes read behind a piece that is itself larger than [`AHEAD`]: the header of the next, so that little of its body
/// is copied twice.
const BEHIND: usize = 256;

/// Reads ahead, and straight to where large pieces belong.
struct SocketReceiver<S> {
    socket: S,
    ahead: Box<[u8]>,
    /// What of `ahead` is read and not yet taken.
    start: usize,
    end: usize,
}

impl<S> SocketReceiver<S> {
    fn new(socket: S) -> Self {
        Self {
            socket,
            ahead: vec![0; AHEAD].into(),
            start: 0,
            end: 0,
        }
    }

    /// Moves what is there to the front of `buffer`; how much.
    fn take(&mut self, buffer: &mut [u8]) -> usize {
        let count = buffer.len().min(self.end - self.start);
        let taken = self.start + count;
        buffer[..count].copy_from_slice(&self.ahead[self.start..taken]);
        self.start = taken;
        count
    }
}

impl<S: Read + AsFd + Send> SocketReceiver<S> {
    /// Waits for bytes, with nothing left from before: how many came for `buffer`. Others stay here.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = buffer.len();
        let more = if wanted < AHEAD { AHEAD } else { BEHIND };
        let mut slices = [
            IoSliceMut::new(buffer),
            IoSliceMut::new(&mut self.ahead[..more]),
        ];
        let count = loop {
            match self.socket.read_vectored(&mut slices) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                done => break done?,
            }
        };
        (self.start, self.end) = (0, count.saturating_sub(wanted));
        Ok(count.min(wanted))
    }
}

impl<S: Read + AsFd + Send> ReceiveBytes for SocketReceiver<S> {
    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        let mut filled = self.take(buffer);
        while filled < buffer.len() {
            match self.read(&mut buffer[filled..])? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => filled += count,
            }
        }
        Ok(())
    }

    fn receive_some(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.take(buffer) {
            0 if !buffer.is_empty() => self.read(buffer),
            count => Ok(count),
        }
    }

    fn wait_ready(&mut self, timeout: Option<Duration>) -> io::Result<bool> {
        if self.start < self.end {
            return Ok(true);
        }
        poll_readable(self.socket.as_fd().as_raw_fd(), timeout)
    }
}

pub(crate) fn poll_readable(fd: RawFd, timeout: Option<Duration>) -> io::Result<bool> {
    let deadline = timeout.map(|timeout| Instant::now() + timeout);
    loop {
        let millis = deadline.map_or(-1, |deadline| {
            let left = deadline.saturating_duration_since(Instant::now());
            i32::try_from(left.as_micros().div_ceil(1000)).unwrap_or(i32::MAX)
        });
        let mut poll = libc::pollfd {
            fd,
            events: libc::POLLIN,
            revents: 0,
        };
        // SAFETY: one live pollfd is passed with the count 1.
        match unsafe { libc::poll(&raw mut poll, 1, millis) } {
            0 => return Ok(false),
            1.. => return Ok(true),
            _ => {
                let error = io::Error::last_os_error();
                if error.kind() != io::ErrorKind::Interrupted {
                    return Err(error);
                }
            }
        }
    }
}

/// One of three descriptors of a socket, and the numbers of all.
struct SocketCloser<S> {
    own: S,
    all: [RawFd; 3],
}

impl<S: AsFd + Send + Sync> Close for SocketCloser<S> {
    fn close(&self) {
        // SAFETY: `own` keeps the descriptor open. Fails only where the peer has closed already.
        unsafe { libc::shutdown(self.own.as_fd().as_raw_fd(), libc::SHUT_RDWR) };
    }

    fn abandon(&self) {
        for fd in self.all {
            // SAFETY: closing affects this process's table of descriptors only, and the caller uses no half
            // again.
            unsafe { libc::close(fd) };
        }
    }
}

/// Accepts connections at an address.
#[derive(Debug)]
pub enum Listener {
    /// `tcp://`.
    Tcp(TcpListener),
    /// `unix:`, and its file.
    Unix(UnixListener, SocketFile),
}

impl Listener {
    /// Listens at `url`: by TCP for RDMA, where this host has it. A unix socket file that no process listens on any more is
    /// replaced.
    pub fn bind(url: &Url) -> io::Result<Self> {
        match url {
            Url::Tcp { host, port } => Ok(Self::Tcp(TcpListener::bind((host.as_str(), *port))?)),
            Url::Rdma { host, port } => {
                rdma::check()?;
                Ok(Self::Tcp(TcpListener::bind((host.as_str(), *port))?))
            }
            Url::Unix(path) => {
                if let Err(error) = UnixStream::connect(path)
                    && error.kind() == io::ErrorKind::ConnectionRefused
                {
                    std::fs::remove_file(path)?;
                }
                Ok(Self::Unix(
                    UnixListener::bind(path)?,
                    SocketFile(path.clone()),
                ))
            }
        }
    }

    /// The address, with the port that the system chose.
    pub fn url(&self) -> io::Result<Url> {
        match self {
            Self::Tcp(listener) => {
                let address = listener.local_addr()?;
                Ok(Url::Tcp {
                    host: address.ip().to_string(),
                    port: address.port(),
                })
            }
            Self::Unix(_, file) => Ok(Url::Unix(file.path().into())),
        }
    }

    /// The next client.
    pub fn accept(&self) -> io::Result<Connection> {
        match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept()?;
                tcp(stream, format!("tcp://{peer}"))
            }
            Self::Unix(listener, file) => unix(
                listener.accept()?.0,
                Url::Unix(file.path().into()).to_string(),
            ),
        }
    }
}

/// The file of a unix socket, removed when dropped.
#[derive(Debug)]
pub struct SocketFile(PathBuf);

impl SocketFile {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Already gone where somebody cleaned up.
        let _ = std::fs::remove_file(&self.0);
    }
}
