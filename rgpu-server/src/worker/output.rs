//! What kernels and the driver print goes to the client, in order with its calls.
//!
//! The driver writes to file descriptors 1 and 2 of the worker. Both are pipes here; a thread forwards what
//! arrives, and [`Output::drain`] forwards what has been written so far before a wait is answered.

use std::io::{self, Read};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use rgpu_proto::msg;
use rgpu_proto::opcode::Opcode;

use super::writer::Writer;

/// Forwards the worker's stdout and stderr.
#[derive(Debug)]
pub(super) struct Output {
    pipes: [Mutex<std::fs::File>; 2],
}

/// Puts pipes in the place of file descriptors 1 and 2. Returns the reading ends and the old stderr.
///
/// # Errors
/// Whatever `pipe2` or `dup2` answer.
pub(super) fn capture() -> io::Result<([std::fs::File; 2], std::fs::File)> {
    let stderr = io::stderr().lock();
    let old = duplicate(stderr.as_raw_fd())?;
    drop(stderr);
    let out = pipe_at(libc::STDOUT_FILENO)?;
    let err = pipe_at(libc::STDERR_FILENO)?;
    unbuffer();
    Ok(([out, err], old))
}

unsafe extern "C" {
    static stdout: *mut libc::FILE;
}

/// Makes what a driver prints through C's `stdout` reach the pipe at once: C buffers what goes to a pipe.
fn unbuffer() {
    // SAFETY: C sets `stdout` before any code of ours runs, and nothing has been printed through it yet.
    unsafe { libc::setvbuf(stdout, std::ptr::null_mut(), libc::_IONBF, 0) };
}

fn duplicate(fd: i32) -> io::Result<std::fs::File> {
    // SAFETY: fcntl with F_DUPFD_CLOEXEC makes a new descriptor and touches nothing else.
    let new = unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 10) };
    if new < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor was made above and has no other owner.
    Ok(unsafe { std::fs::File::from_raw_fd(new) })
}

/// Makes `fd` the writing end of a new pipe and returns the reading end.
fn pipe_at(fd: i32) -> io::Result<std::fs::File> {
    let mut ends = [0; 2];
    // SAFETY: `ends` holds two descriptors.
    if unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: both descriptors were made above and have no other owner.
    let (reader, writer) =
        unsafe { (OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1])) };
    // SAFETY: dup2 onto a standard descriptor replaces it; `writer` stays valid until dropped.
    if unsafe { libc::dup2(writer.as_raw_fd(), fd) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(reader.into())
}

impl Output {
    /// Forwards from `pipes` (stdout, stderr) to `writer` from now on.
    pub(super) fn start(pipes: [std::fs::File; 2], writer: &Arc<Writer>) -> io::Result<Arc<Self>> {
        let output = Arc::new(Self {
            pipes: pipes.map(Mutex::new),
        });
        for which in 0..2 {
            let (output, writer) = (Arc::clone(&output), Arc::clone(writer));
            thread::Builder::new()
                .name("rgpu-output".into())
                .spawn(move || output.forward(which, &writer))?;
        }
        Ok(output)
    }

    /// Forwards all that was written before the call.
    pub(super) fn drain(&self, writer: &Writer) {
        for which in 0..2 {
            while self.step(which, writer, 0) {}
        }
    }

    fn forward(&self, which: usize, writer: &Writer) {
        let fd = self.pipes[which]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .as_raw_fd();
        while readable(fd, -1) {
            self.step(which, writer, 0);
        }
    }

    /// Sends one piece, if there is one within `timeout` milliseconds.
    fn step(&self, which: usize, writer: &Writer, timeout: i32) -> bool {
        let mut pipe = self.pipes[which]
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if !readable(pipe.as_raw_fd(), timeout) {
            return false;
        }
        let mut piece = [0; 16 << 10];
        let Ok(len @ 1..) = pipe.read(&mut piece) else {
            return false;
        };
        let body = msg::Output {
            fd: which as u8 + 1,
            bytes: piece[..len].to_vec(),
        };
        // A client that is gone is noticed by the session's reader.
        writer.notify(Opcode::OUTPUT, &body).is_ok()
    }
}

fn readable(fd: i32, timeout: i32) -> bool {
    let mut poll = libc::pollfd {
        fd,
        events: libc::POLLIN,
        revents: 0,
    };
    // SAFETY: one live pollfd is passed with the count 1.
    let ready = unsafe { libc::poll(&raw mut poll, 1, timeout) };
    ready == 1 && poll.revents & libc::POLLIN != 0
}
