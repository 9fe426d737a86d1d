//! Waiting for the other process: spin a moment, then sleep in `poll` until it writes a byte to a socket.
//!
//! **No wake-up is lost.** A sleeper sets its flag, then looks once more, then polls. Its peer publishes what the sleeper
//! looks for, then looks at the flag. All four are sequentially consistent, so that one of the two sees what the other
//! wrote: either the sleeper finds what it looks for, or the peer finds the flag, clears it and writes a byte, which stays
//! in the socket until it is read. A byte is read only between two looks, and whatever it was written for was published
//! before it, so the look that follows finds it. A byte too many costs one look. Each half of a connection has a socket of
//! its own to sleep at, so that none reads another's byte.
//!
//! The sockets are the sign of life, too: they hang up when the peer closes them or its process is gone.

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{MsgFlags, recv, send};

/// Longest spin, and the longest wait that it would have been worth spinning for: more than what it takes to wake a
/// thread on another processor of a virtual machine, so that two sides which sleep only because they wait for each other
/// to wake find out.
const MOST: Duration = Duration::from_micros(100);
/// Shortest spin worth the name.
const LEAST: Duration = Duration::from_micros(2);
/// Spins without giving the processor to whoever else wants it, perhaps the peer.
const ALONE: Duration = Duration::from_micros(4);
/// After so many waits without a spin comes one with, to see whether times have changed.
const PROBE: u32 = 32;

/// How a wait ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Woken {
    /// What was waited for is there.
    Ready,
    /// It will never be: a side has closed the connection.
    Gone,
    /// The time is over.
    Late,
}

/// How long to spin: as long as the last waits make it worth while.
#[derive(Debug)]
pub(super) struct Spin {
    limit: Duration,
    without: u32,
}

impl Spin {
    pub(super) fn new() -> Self {
        // With one processor the peer cannot run while this side spins.
        let alone = thread::available_parallelism().is_ok_and(|count| count.get() == 1);
        Self {
            limit: if alone { Duration::ZERO } else { MOST },
            without: 0,
        }
    }

    /// How long the wait that begins spins.
    fn next(&mut self) -> Duration {
        if self.limit > Duration::ZERO {
            return self.limit;
        }
        self.without += 1;
        if self.without < PROBE {
            return Duration::ZERO;
        }
        self.without = 0;
        MOST
    }

    /// Learns from a wait, its sleep included.
    fn learn(&mut self, waited: Duration) {
        self.limit = if waited <= MOST {
            self.limit.max(waited * 2).clamp(LEAST, MOST)
        } else if self.limit >= 2 * LEAST {
            self.limit / 2
        } else {
            Duration::ZERO
        };
    }
}

/// Waits until `ready`, asleep where that takes long, or until `until`. The peer writes to `socket` where `flag` says that
/// this side sleeps.
pub(super) fn wait(
    spin: &mut Spin,
    socket: &UnixStream,
    flag: &AtomicU64,
    until: Option<Instant>,
    mut ready: impl FnMut() -> io::Result<bool>,
) -> io::Result<Woken> {
    if ready()? {
        return Ok(Woken::Ready);
    }
    let since = Instant::now();
    let limit = spin.next();
    while since.elapsed() < limit {
        for _ in 0..16 {
            if ready()? {
                spin.learn(since.elapsed());
                return Ok(Woken::Ready);
            }
            std::hint::spin_loop();
        }
        if since.elapsed() > ALONE {
            thread::yield_now();
        }
    }
    let woken = sleep(socket, flag, until, ready);
    flag.store(0, Ordering::Relaxed);
    spin.learn(since.elapsed());
    woken
}

fn sleep(
    socket: &UnixStream,
    flag: &AtomicU64,
    until: Option<Instant>,
    mut ready: impl FnMut() -> io::Result<bool>,
) -> io::Result<Woken> {
    loop {
        flag.store(1, Ordering::SeqCst);
        if ready()? {
            return Ok(Woken::Ready);
        }
        let timeout = until.map_or(PollTimeout::NONE, |until| {
            let left = until.saturating_duration_since(Instant::now());
            PollTimeout::try_from(left.as_micros().div_ceil(1000)).unwrap_or(PollTimeout::MAX)
        });
        let rung = match poll(
            &mut [PollFd::new(socket.as_fd(), PollFlags::POLLIN)],
            timeout,
        ) {
            Err(Errno::EINTR) => continue,
            rung => rung? > 0,
        };
        let alive = !rung || hear(socket);
        if ready()? {
            return Ok(Woken::Ready);
        }
        if !alive {
            return Ok(Woken::Gone);
        }
        if until.is_some_and(|until| until <= Instant::now()) {
            return Ok(Woken::Late);
        }
    }
}

/// Reads what was written to wake this side; whether more can come.
fn hear(socket: &UnixStream) -> bool {
    let mut bytes = [0; 64];
    match recv(socket.as_raw_fd(), &mut bytes, MsgFlags::MSG_DONTWAIT) {
        Ok(count) => count > 0,
        Err(error) => error == Errno::EAGAIN || error == Errno::EINTR,
    }
}

/// Whether a side has closed the connection: hanging up is told unasked.
pub(super) fn is_closed(socket: &UnixStream) -> io::Result<bool> {
    let mut fds = [PollFd::new(socket.as_fd(), PollFlags::empty())];
    Ok(poll(&mut fds, PollTimeout::ZERO)? > 0)
}

/// Wakes the peer that sleeps at the other end of `socket`.
pub(super) fn ring(socket: &UnixStream) -> io::Result<()> {
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
    match send(socket.as_raw_fd(), &[1], flags) {
        // It is full of bytes that wake the peer as well.
        Ok(_) | Err(Errno::EAGAIN) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
