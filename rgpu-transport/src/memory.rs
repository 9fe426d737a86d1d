//! A connection inside one process, for tests and for a client and a server in one program.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::{Close, Connection, ReceiveBytes, SendBytes};

/// Bytes that one direction holds before a sender waits.
const CAPACITY: usize = 1 << 20;

#[derive(Default)]
struct State {
    bytes: VecDeque<u8>,
    closed: bool,
}

/// One direction.
#[derive(Default)]
struct Pipe {
    state: Mutex<State>,
    changed: Condvar,
}

impl Pipe {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.changed
            .wait(state)
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }
}

struct MemorySender(Arc<Pipe>);

impl SendBytes for MemorySender {
    fn send(&mut self, slices: &[IoSlice<'_>]) -> io::Result<()> {
        for slice in slices {
            let mut left: &[u8] = slice;
            while !left.is_empty() {
                let mut state = self.0.lock();
                while !state.closed && state.bytes.len() == CAPACITY {
                    state = self.0.wait(state);
                }
                if state.closed {
                    return Err(io::ErrorKind::BrokenPipe.into());
                }
                let (now, later) = left.split_at(left.len().min(CAPACITY - state.bytes.len()));
                state.bytes.extend(now);
                left = later;
                drop(state);
                self.0.changed.notify_all();
            }
        }
        Ok(())
    }
}

impl Drop for MemorySender {
    fn drop(&mut self) {
        self.0.close();
    }
}

struct MemoryReceiver(Arc<Pipe>);

impl ReceiveBytes for MemoryReceiver {
    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.receive_some(&mut buffer[filled..])? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => filled += count,
            }
        }
        Ok(())
    }

    fn receive_some(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut state = self.0.lock();
        while !state.closed && state.bytes.is_empty() {
            state = self.0.wait(state);
        }
        let count = state.bytes.len().min(buffer.len());
        for (slot, byte) in buffer.iter_mut().zip(state.bytes.drain(..count)) {
            *slot = byte;
        }
        drop(state);
        self.0.changed.notify_all();
        Ok(count)
    }

    fn wait_ready(&mut self, timeout: Option<Duration>) -> io::Result<bool> {
        let deadline = timeout.map(|timeout| Instant::now() + timeout);
        let mut state = self.0.lock();
        loop {
            if state.closed || !state.bytes.is_empty() {
                return Ok(true);
            }
            let Some(deadline) = deadline else {
                state = self.0.wait(state);
                continue;
            };
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(false);
            }
            (state, _) = self
                .0
                .changed
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Drop for MemoryReceiver {
    fn drop(&mut self) {
        self.0.close();
    }
}

struct MemoryCloser([Arc<Pipe>; 2]);

impl Close for MemoryCloser {
    fn close(&self) {
        for pipe in &self.0 {
            pipe.close();
        }
    }
}

/// Two ends of a connection inside this process.
pub fn pair() -> (Connection, Connection) {
    let (there, back) = (Arc::<Pipe>::default(), Arc::<Pipe>::default());
    (end(&there, &back), end(&back, &there))
}

fn end(out: &Arc<Pipe>, into: &Arc<Pipe>) -> Connection {
    Connection::new(
        Box::new(MemorySender(Arc::clone(out))),
        Box::new(MemoryReceiver(Arc::clone(into))),
        Arc::new(MemoryCloser([Arc::clone(out), Arc::clone(into)])),
        "memory".into(),
    )
}
