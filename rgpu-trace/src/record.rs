//! The writing side, inside the traced program. Threads share nothing but counters: each fills blocks of its own, and a
//! lock is taken only for notes, which calls that wait write at most.

use std::fs::OpenOptions;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::layout::{
    BLOCK, EVENT, EVENTS, EVENTS_OF_BLOCK, HEAD, MAGIC, NOTES, TOTALS, block, blocks_at, head,
};
use crate::{Event, Note};

/// A recording under way. It is never unmapped: threads may write until the process is gone.
#[derive(Debug)]
pub struct Recording {
    words: &'static [AtomicU64],
    slots: usize,
    blocks: usize,
    notes: Mutex<Notes>,
}

#[derive(Debug, Default)]
struct Notes {
    /// The block that is being filled.
    block: Option<usize>,
}

/// Where a thread writes next.
#[derive(Debug, Clone, Copy, Default)]
pub struct Place {
    /// The block's first word; 0 for none yet.
    block: usize,
    events: usize,
}

/// What a wait adds to the totals of its call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waited {
    /// Waited for an answer.
    Trip,
    /// Waited for room.
    Stall,
}

/// Nanoseconds of the monotonic clock, which all processes of a machine share.
pub fn now() -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` has room for the answer.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

impl Recording {
    /// Makes the file at `path`, of `size` bytes at most, with room for totals of `slots` calls.
    ///
    /// # Errors
    /// The file cannot be made or mapped.
    pub fn create(path: &Path, size: usize, slots: usize) -> io::Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(path)?;
        let first = blocks_at(slots);
        let size = size.max(first + BLOCK).next_multiple_of(4096);
        file.set_len(size as u64)?;
        // SAFETY: a new mapping at an address of the system's choice.
        let at = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                size,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                std::os::fd::AsRawFd::as_raw_fd(&file),
                0,
            )
        };
        if at == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the mapping is `size` bytes, zero at first, page-aligned, and never unmapped. Another process that
        // writes to the file changes numbers, which nothing but reports rely on.
        let words = unsafe { std::slice::from_raw_parts(at.cast::<AtomicU64>(), size / 8) };
        let recording = Self {
            words,
            slots,
            blocks: (size - first) / BLOCK,
            notes: Mutex::default(),
        };
        if !recording.back(0, first) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        recording.head(head::PROCESS, u64::from(std::process::id()));
        recording.head(head::SLOTS, slots as u64);
        recording.head(head::BEGUN, now());
        words[head::MAGIC].store(MAGIC, Ordering::Release);
        Ok(recording)
    }

    fn head(&self, word: usize, value: u64) {
        self.words[word].store(value, Ordering::Relaxed);
    }

    /// Makes sure that there is storage behind [at, +len): a page without makes its writer fail with a signal.
    fn back(&self, at: usize, len: usize) -> bool {
        const POPULATE_WRITE: i32 = 23;
        let from = at / 4096 * 4096;
        let start = self.words.as_ptr().cast::<u8>().wrapping_add(from);
        // SAFETY: the range lies in the mapping, and populating it changes no contents.
        let done = unsafe {
            libc::madvise(
                start.cast_mut().cast(),
                (at + len - from).next_multiple_of(4096),
                POPULATE_WRITE,
            )
        };
        // Kernels before 5.14 do not know it: there the risk of a full disk is taken.
        done == 0 || io::Error::last_os_error().raw_os_error() == Some(libc::EINVAL)
    }

    /// The first word of a fresh block; `None` once there is none. The last quarter is for what matters.
    fn allot(&self, kind: u64, thread: u64, matters: bool) -> Option<usize> {
        let given = &self.words[head::BLOCKS];
        let most = if matters {
            self.blocks
        } else {
            self.blocks - self.blocks / 4
        };
        let number = given
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |given| {
                ((given as usize) < most).then_some(given + 1)
            })
            .ok()? as usize;
        let at = blocks_at(self.slots) + number * BLOCK;
        if !self.back(at, BLOCK) {
            return None;
        }
        let first = at / 8;
        self.words[first + block::THREAD].store(thread, Ordering::Relaxed);
        self.words[first + block::KIND].store(kind, Ordering::Release);
        Some(first)
    }

    /// Writes an event of `thread`, which writes at `place`.
    pub fn event(&self, thread: u64, place: &mut Place, event: &Event) {
        if place.block == 0 || place.events == EVENTS_OF_BLOCK {
            let Some(block) = self.allot(EVENTS, thread, event.kind.matters()) else {
                self.words[head::DROPPED].fetch_add(1, Ordering::Relaxed);
                return;
            };
            *place = Place { block, events: 0 };
        }
        let at = place.block + block::WORDS + place.events * EVENT;
        for (word, value) in self.words[at..at + EVENT].iter().zip(event.words()) {
            word.store(value, Ordering::Relaxed);
        }
        place.events += 1;
        let used = place.events * EVENT * 8;
        self.words[place.block + block::USED].store(used as u64, Ordering::Release);
    }

    /// Writes a note. One that finds no room is left out.
    pub fn note(&self, note: &Note) {
        const ROOM: usize = BLOCK - block::WORDS * 8;
        let Ok(mut line) = serde_json::to_vec(note) else {
            return;
        };
        line.push(b'\n');
        // Whole words: what a block holds ends with spaces.
        line.resize(line.len().next_multiple_of(8), b' ');
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        let used = |first: usize| self.words[first + block::USED].load(Ordering::Relaxed) as usize;
        let fits = |first: &usize| used(*first) + line.len() <= ROOM;
        let Some(first) = notes.block.filter(fits).or_else(|| {
            let fresh = self.allot(NOTES, 0, true)?;
            Some(fresh).filter(fits)
        }) else {
            return;
        };
        notes.block = Some(first);
        let before = used(first);
        let at = first + block::WORDS + before / 8;
        for (word, bytes) in self.words[at..].iter().zip(line.chunks_exact(8)) {
            word.store(
                u64::from_le_bytes(bytes.try_into().unwrap_or_default()),
                Ordering::Relaxed,
            );
        }
        self.words[first + block::USED].store((before + line.len()) as u64, Ordering::Release);
    }

    fn totals(&self, slot: u16) -> &[AtomicU64] {
        let slot = usize::from(slot).min(self.slots - 1);
        let at = HEAD / 8 + slot * TOTALS;
        &self.words[at..at + TOTALS]
    }

    /// Counts a call.
    pub fn called(&self, slot: u16) {
        self.totals(slot)[0].fetch_add(1, Ordering::Relaxed);
    }

    /// Adds the time that a call took.
    pub fn returned(&self, slot: u16, nanoseconds: u64) {
        self.totals(slot)[7].fetch_add(nanoseconds, Ordering::Relaxed);
    }

    /// Counts bytes sent for a call.
    pub fn sent(&self, slot: u16, bytes: usize) {
        self.totals(slot)[1].fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Counts bytes that came for a call.
    pub fn received(&self, slot: u16, bytes: usize) {
        self.totals(slot)[2].fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Counts a wait of a call.
    pub fn waited(&self, slot: u16, what: Waited, nanoseconds: u64) {
        let [_, _, _, trips, waited, longest, shortest, _] = self.totals(slot) else {
            return;
        };
        waited.fetch_add(nanoseconds, Ordering::Relaxed);
        longest.fetch_max(nanoseconds, Ordering::Relaxed);
        if what == Waited::Trip {
            trips.fetch_add(1, Ordering::Relaxed);
            let least = |old: u64| (old == 0 || nanoseconds < old).then_some(nanoseconds.max(1));
            // Nothing to do where it was not the shortest.
            let _ = shortest.fetch_update(Ordering::Relaxed, Ordering::Relaxed, least);
        }
    }

    /// Adds time that writing to the connection took.
    pub fn sending(&self, nanoseconds: u64) {
        self.words[head::SENDING].fetch_add(nanoseconds, Ordering::Relaxed);
    }

    /// Says how long it took until the session was there.
    pub fn connected(&self, nanoseconds: u64) {
        self.head(head::CONNECTING, nanoseconds);
    }

    /// The program ends by itself.
    pub fn end(&self) {
        self.head(head::ENDED, now());
    }
}
