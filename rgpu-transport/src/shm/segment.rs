//! The memory that two processes share: where what lies in it, how it is made, and what is checked before it is used.
//!
//! ```text
//! 0       4 KiB            260 KiB          516 KiB             8.5 MiB             16.5 MiB
//! | words | ring to server | ring to client | slots to server  | slots to client  |
//! ```
//!
//! The other process can write any of it at any time. So nothing here hands out a reference into it, but to a word for
//! one atomic operation: bytes are copied in and out by raw pointers, and what they say is judged by whoever reads them.

use std::io;
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::AtomicU64;

use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};
use nix::sys::statfs::{TMPFS_MAGIC, fstatfs};

use super::copy;

/// Bytes of a ring: small, so that it stays in a processor's cache.
pub(super) const RING: usize = 256 << 10;
/// Slots of a direction.
pub(super) const SLOTS: usize = 8;
/// Bytes of a slot: the longest piece of bulk data.
pub(super) const SLOT: usize = 1 << 20;

const WORDS: usize = 4 << 10;
const SLOTS_AT: usize = WORDS + 2 * RING;
const SIZE: usize = SLOTS_AT + 2 * SLOTS * SLOT;

/// Bytes between words that different processors write: two cache lines, since those are fetched in pairs.
const APART: usize = 128;

/// A direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    ToServer,
    ToClient,
}

/// A word of one direction.
#[derive(Debug, Clone, Copy)]
pub(super) enum Word {
    /// Bytes that the sender has put into the ring since the beginning.
    Head,
    /// Bytes that the receiver has taken out of it.
    Tail,
    /// Slots that the receiver has given back, a bit each; the sender clears them.
    Returned,
    /// Whether the receiver sleeps until something comes.
    ReceiverSleeps,
    /// Whether the sender sleeps until there is room.
    SenderSleeps,
}

/// A segment, mapped.
#[derive(Debug)]
pub(super) struct Segment {
    base: NonNull<u8>,
}

// SAFETY: the mapping belongs to no thread, and is reached by atomic operations and raw copies only.
unsafe impl Send for Segment {}
// SAFETY: as above.
unsafe impl Sync for Segment {}

/// The seals that keep the peer from taking memory away under a mapping, which would raise SIGBUS.
fn seals() -> SealFlag {
    SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SEAL
}

impl Segment {
    /// A new segment, all zero, and its file to hand to the peer.
    pub(super) fn create() -> io::Result<(Self, OwnedFd)> {
        let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
        let file = memfd_create(c"rgpu", flags)?;
        nix::unistd::ftruncate(&file, SIZE as i64)?;
        fcntl(&file, FcntlArg::F_ADD_SEALS(seals()))?;
        Ok((Self::map(file.as_fd())?, file))
    }

    /// The segment in a peer's `file`, if it is one; `None` where this process has no room for it.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidData`] if it is none.
    pub(super) fn open(file: BorrowedFd<'_>) -> io::Result<Option<Self>> {
        let sealed = fcntl(file, FcntlArg::F_GET_SEALS)
            .map(SealFlag::from_bits_truncate)
            .is_ok_and(|found| found.contains(seals()));
        if !sealed {
            return Err(nonsense("the peer's segment is no sealed memory"));
        }
        if nix::sys::stat::fstat(file)?.st_size != SIZE as i64 {
            return Err(nonsense("the peer's segment is of another size"));
        }
        // Memory of huge pages can be sealed too, and raises SIGBUS where there is none left.
        if fstatfs(file)?.filesystem_type() != TMPFS_MAGIC {
            return Err(nonsense("the peer's segment is of huge pages"));
        }
        Ok(Self::map(file).ok())
    }

    fn map(file: BorrowedFd<'_>) -> io::Result<Self> {
        const LEN: NonZeroUsize = NonZeroUsize::new(SIZE).expect("more than nothing");
        let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a mapping at an address of the system's choice touches no other; the file is sealed, so that its
        // pages stay.
        let base = unsafe { mmap(None, LEN, access, MapFlags::MAP_SHARED, file, 0)? };
        Ok(Self { base: base.cast() })
    }

    /// All slots, both ways: address and bytes.
    pub(super) fn slots(&self) -> (NonNull<u8>, usize) {
        // SAFETY: the offset is within the mapping.
        let at = unsafe { self.base.add(SLOTS_AT) };
        (at, SIZE - SLOTS_AT)
    }

    /// A word, for one atomic operation.
    pub(super) fn word(&self, way: Way, word: Word) -> &AtomicU64 {
        let at = way as usize * (WORDS / 2) + word as usize * APART;
        // SAFETY: the offset is within the mapping and a multiple of 8, and every process reaches these words by
        // atomic operations; one that does not can only give us another value.
        unsafe { AtomicU64::from_ptr(self.base.add(at).as_ptr().cast()) }
    }

    /// Where slot `index` lies.
    pub(super) fn slot(&self, way: Way, index: usize) -> NonNull<u8> {
        assert!(index < SLOTS);
        let at = SLOTS_AT + (way as usize * SLOTS + index) * SLOT;
        // SAFETY: the offset is within the mapping.
        unsafe { self.base.add(at) }
    }

    /// Which slot of `way` begins at `place`.
    pub(super) fn index_of(&self, way: Way, place: NonNull<u8>) -> Option<usize> {
        (0..SLOTS).find(|index| self.slot(way, *index) == place)
    }

    /// Copies `bytes` into slot `index`.
    pub(super) fn fill_slot(&self, way: Way, index: usize, bytes: &[u8]) {
        assert!(bytes.len() <= SLOT);
        let slot = self.slot(way, index).as_ptr();
        // SAFETY: a slot has room for them, and no reference to it exists.
        unsafe { copy::copy(bytes.as_ptr(), slot, bytes.len()) };
    }

    /// Copies bytes of slot `index` from `from` on.
    pub(super) fn read_slot(&self, way: Way, index: usize, from: usize, into: &mut [u8]) {
        assert!(from <= SLOT && into.len() <= SLOT - from);
        let slot = self.slot(way, index).as_ptr();
        // SAFETY: the bytes are within the slot, to which no reference exists, and `into` is this process's own.
        unsafe { copy::copy(slot.add(from), into.as_mut_ptr(), into.len()) };
    }

    /// Copies `bytes` into the ring at position `at`, round its end where need be.
    pub(super) fn write_ring(&self, way: Way, at: u64, bytes: &[u8]) {
        let (ring, from, first) = self.in_ring(way, at, bytes.len());
        let (now, later) = bytes.split_at(first);
        // SAFETY: both parts are within the ring, to which no reference exists.
        unsafe {
            ring.add(from)
                .copy_from_nonoverlapping(NonNull::from(now).cast(), now.len());
            ring.copy_from_nonoverlapping(NonNull::from(later).cast(), later.len());
        }
    }

    /// Copies bytes of the ring from position `at` on.
    pub(super) fn read_ring(&self, way: Way, at: u64, into: &mut [u8]) {
        let (ring, from, first) = self.in_ring(way, at, into.len());
        let (now, later) = into.split_at_mut(first);
        // SAFETY: both parts are within the ring, to which no reference exists, and `into` is this process's own.
        unsafe {
            ring.add(from)
                .copy_to_nonoverlapping(NonNull::from(&mut *now).cast(), now.len());
            ring.copy_to_nonoverlapping(NonNull::from(&mut *later).cast(), later.len());
        }
    }

    /// The ring, the offset of position `at` in it, and how many of `len` bytes come before its end.
    fn in_ring(&self, way: Way, at: u64, len: usize) -> (NonNull<u8>, usize, usize) {
        assert!(len <= RING);
        let from = (at % RING as u64) as usize;
        // SAFETY: the offset is within the mapping.
        let ring = unsafe { self.base.add(WORDS + way as usize * RING) };
        (ring, from, len.min(RING - from))
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        // SAFETY: the mapping was made by `map`, and whoever could use it holds this. It cannot fail for a whole mapping.
        let _ = unsafe { munmap(self.base.cast(), SIZE) };
    }
}

/// The peer wrote what no peer writes.
pub(super) fn nonsense(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
