//! Writing containers.

use crate::container::{
    CONTAINER_HEADER, CONTAINER_MAGIC, CONTAINER_VERSION, ENTRY_HEADER, ENTRY_VERSION,
};
use crate::{Entry, Flags, Kind};

/// Puts images together into a container.
#[derive(Debug, Clone, Default)]
pub struct Builder {
    body: Vec<u8>,
}

impl Builder {
    /// An empty container.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether nothing was pushed yet.
    pub fn is_empty(&self) -> bool {
        self.body.is_empty()
    }

    /// Copies an entry of another container as stored.
    pub fn push_entry(&mut self, entry: &Entry<'_>) {
        self.body.extend_from_slice(entry.bytes());
        self.pad();
    }

    /// Adds PTX text, uncompressed, for `compute_{arch}`.
    pub fn push_ptx(&mut self, arch: u32, text: &[u8]) {
        let mut terminated = Vec::with_capacity(text.len() + 1);
        terminated.extend_from_slice(text);
        terminated.push(0);
        self.push_image(Kind::PTX, arch, Flags::ADDRESS_64, &terminated);
    }

    /// Adds an uncompressed image.
    pub fn push_image(&mut self, kind: Kind, arch: u32, flags: Flags, image: &[u8]) {
        let mut header = [0; ENTRY_HEADER];
        let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, &kind.0.to_le_bytes());
        put(2, &ENTRY_VERSION.to_le_bytes());
        put(4, &(ENTRY_HEADER as u32).to_le_bytes());
        put(8, &(image.len().next_multiple_of(8) as u64).to_le_bytes());
        put(28, &arch.to_le_bytes());
        put(40, &flags.0.to_le_bytes());
        self.body.extend_from_slice(&header);
        self.body.extend_from_slice(image);
        self.pad();
    }

    /// The container's bytes.
    pub fn finish(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(CONTAINER_HEADER + self.body.len());
        bytes.extend_from_slice(&CONTAINER_MAGIC.to_le_bytes());
        bytes.extend_from_slice(&CONTAINER_VERSION.to_le_bytes());
        bytes.extend_from_slice(&(CONTAINER_HEADER as u16).to_le_bytes());
        bytes.extend_from_slice(&(self.body.len() as u64).to_le_bytes());
        bytes.extend_from_slice(&self.body);
        bytes
    }

    fn pad(&mut self) {
        self.body.resize(self.body.len().next_multiple_of(8), 0);
    }
}
