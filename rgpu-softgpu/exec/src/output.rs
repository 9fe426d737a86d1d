//! What kernels print.
//!
//! A launch collects its output; when it ends, that moves to the device's queue; a synchronisation writes the queue
//! out. A launch that prints much writes through, so that memory stays bounded and nothing is lost.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Where a text belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel {
    /// Standard output: `printf`.
    Out,
    /// Standard error: `assert`.
    Err,
}

/// Who takes the text.
pub trait Sink: Send {
    /// Writes all of `bytes`; nobody could handle an error.
    fn write(&mut self, channel: Channel, bytes: &[u8]);
}

/// Writes to C's `stdout` and `stderr`, so that the program's own `printf` keeps its order with ours.
#[derive(Debug, Default)]
pub struct Stdio;

unsafe extern "C" {
    static stdout: *mut libc::FILE;
    static stderr: *mut libc::FILE;
}

impl Sink for Stdio {
    fn write(&mut self, channel: Channel, bytes: &[u8]) {
        // SAFETY: the C library sets both before any code of ours runs, and locks them itself.
        unsafe {
            let file = match channel {
                Channel::Out => stdout,
                Channel::Err => stderr,
            };
            libc::fwrite(bytes.as_ptr().cast(), 1, bytes.len(), file);
        }
    }
}

/// Texts in order, neighbours of one channel merged.
#[derive(Debug, Default)]
struct Texts(Vec<(Channel, Vec<u8>)>);

impl Texts {
    fn push(&mut self, channel: Channel, bytes: &[u8]) {
        match self.0.last_mut() {
            Some((last, text)) if *last == channel => text.extend_from_slice(bytes),
            _ => self.0.push((channel, bytes.to_vec())),
        }
    }

    fn len(&self) -> usize {
        self.0.iter().map(|(_, text)| text.len()).sum()
    }
}

/// The output of a device.
pub struct Output {
    queue: Mutex<Texts>,
    sink: Mutex<Box<dyn Sink>>,
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Output")
            .field("queue", &self.queue)
            .finish_non_exhaustive()
    }
}

impl Default for Output {
    fn default() -> Self {
        Self::new(Box::new(Stdio))
    }
}

impl Output {
    /// Output that goes to `sink`.
    pub fn new(sink: Box<dyn Sink>) -> Self {
        Self {
            queue: Mutex::default(),
            sink: Mutex::new(sink),
        }
    }

    /// Sends later output elsewhere.
    pub fn set_sink(&self, sink: Box<dyn Sink>) {
        *lock(&self.sink) = sink;
    }

    /// Writes what ended launches have printed. Call it where CUDA does: at synchronisations.
    pub fn flush(&self) {
        // Held while writing, so that two flushes keep their order.
        let mut sink = lock(&self.sink);
        let texts = std::mem::take(&mut *lock(&self.queue));
        for (channel, text) in texts.0 {
            sink.write(channel, &text);
        }
    }

    fn append(&self, texts: Texts) {
        let mut queue = lock(&self.queue);
        for (channel, text) in texts.0 {
            queue.push(channel, &text);
        }
        let full = queue.len() > MOST_QUEUED;
        drop(queue);
        if full {
            self.flush();
        }
    }
}

/// More than this is written without waiting for a synchronisation; it is CUDA's default buffer size.
const MOST_QUEUED: usize = 1 << 20;

/// The output of one launch.
#[derive(Debug, Default)]
pub(crate) struct LaunchOutput {
    texts: Mutex<Texts>,
    /// Bytes that failed assertions have printed.
    asserted: AtomicUsize,
}

impl LaunchOutput {
    /// What is printed is kept; of failed assertions only as much as fits CUDA's default buffer, since they are many
    /// and alike.
    pub(crate) fn write(&self, channel: Channel, bytes: &[u8], device: &Output) {
        if channel == Channel::Err
            && self.asserted.fetch_add(bytes.len(), Ordering::Relaxed) + bytes.len() > MOST_QUEUED
        {
            return;
        }
        let mut texts = lock(&self.texts);
        texts.push(channel, bytes);
        if texts.len() > MOST_QUEUED {
            let texts = std::mem::take(&mut *texts);
            device.append(texts);
        }
    }

    /// Hands over what is left when the launch ends.
    pub(crate) fn finish(&self, device: &Output) {
        let texts = std::mem::take(&mut *lock(&self.texts));
        if !texts.0.is_empty() {
            device.append(texts);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
