//! One direction of a segment: a ring of records, and slots that records name.
//!
//! ```text
//! sender:   copy bytes into the ring or a slot -> write the record -> head          (-> bell, where the peer sleeps)
//! receiver: head -> record -> copy the bytes out -> tail, or the slot's bit          (-> bell, likewise)
//! ```
//!
//! A record begins at a multiple of 8 with a word: its length, and above bit 32 where its bytes are: 0, they follow in
//! the ring, up to the next multiple of 8; N + 1, at the front of slot N. Positions count bytes since the beginning.
//!
//! What the peer writes is read once, into a local, and checked before it is used: positions that are no multiple of 8
//! or too far apart, records that are longer than what was written, slots that are still in use. None of that can make
//! this side touch memory outside the segment; bytes that the peer changes while they are copied are only other bytes.

use std::io;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::segment::{RING, SLOT, SLOTS, Segment, Way, Word, nonsense};

/// Bytes of a record's first word.
const WORD: usize = 8;

/// Slots that may be lent, or in use by the receiver, beside the others: the two that are left keep going round, so
/// that a device which holds slots for long stops nobody else.
const MOST_LENT: u32 = SLOTS as u32 - 2;

/// Bytes that the receiver takes out of the ring before it says so.
const STEP: u64 = RING as u64 / 8;

fn round_up(len: usize) -> usize {
    len.next_multiple_of(WORD)
}

/// Slots of one direction that are out of its half's hands.
#[derive(Debug, Default)]
pub(super) struct Slots(AtomicU64);

impl Slots {
    /// Marks slot `index`; whether it was unmarked, and `most` others at most are marked.
    fn mark(&self, index: usize, most: u32) -> bool {
        let bit = 1 << index;
        let marked = self.0.load(Ordering::Relaxed);
        if marked & bit != 0 || marked.count_ones() > most {
            return false;
        }
        // Marks are set by one thread.
        self.0.fetch_or(bit, Ordering::Relaxed);
        true
    }

    pub(super) fn unmark(&self, index: usize) {
        self.0.fetch_and(!(1 << index), Ordering::Release);
    }

    fn all(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}

/// What a sender does to its direction.
#[derive(Debug)]
pub(super) struct Producer {
    segment: Arc<Segment>,
    way: Way,
    /// Where the next record goes.
    head: u64,
    /// Where the receiver last said that it was.
    tail: u64,
    /// Bytes of the record that is being written at `head`, if one is.
    open: usize,
    /// Slots that the receiver has.
    sent: u64,
    lent: Arc<Slots>,
}

impl Producer {
    pub(super) fn new(segment: Arc<Segment>, way: Way, lent: Arc<Slots>) -> Self {
        Self {
            segment,
            way,
            head: 0,
            tail: 0,
            open: 0,
            sent: 0,
            lent,
        }
    }

    /// Bytes of the ring behind the record that is being written.
    fn free(&mut self) -> io::Result<usize> {
        let tail = self
            .segment
            .word(self.way, Word::Tail)
            .load(Ordering::SeqCst);
        if tail.wrapping_sub(self.tail) > self.head - self.tail {
            return Err(nonsense("the peer took more than it was sent"));
        }
        self.tail = tail;
        let written = if self.open == 0 { 0 } else { WORD + self.open };
        // What was written had room behind a tail that was no later.
        Ok(RING - (self.head - tail) as usize - written)
    }

    /// Whether `bytes` more fit, with the words that they need.
    pub(super) fn has_room(&mut self, bytes: usize) -> io::Result<bool> {
        Ok(self.free()? >= 2 * WORD + round_up(bytes))
    }

    /// Writes the front of `bytes` into the ring, as much as there is room for; how many.
    pub(super) fn append(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let word = if self.open == 0 { WORD } else { 0 };
        // Rounding the record up takes less than a word.
        let room = self.free()?.saturating_sub(word + WORD);
        let now = room.min(bytes.len());
        let at = self.head + (WORD + self.open) as u64;
        self.segment.write_ring(self.way, at, &bytes[..now]);
        self.open += now;
        Ok(now)
    }

    /// A slot to fill, if one is free.
    pub(super) fn free_slot(&mut self) -> Option<usize> {
        let returned = self.segment.word(self.way, Word::Returned);
        // What was never sent cannot come back.
        self.sent &= !returned.swap(0, Ordering::SeqCst);
        let taken = self.sent | self.lent.all();
        // The lowest, so that few are used, and stay in the processor's cache, where the peer keeps up.
        let index = (!taken).trailing_zeros() as usize;
        (index < SLOTS).then_some(index)
    }

    /// A slot that somebody may fill and then send.
    pub(super) fn lend(&mut self) -> Option<(usize, NonNull<u8>)> {
        let index = self.free_slot()?;
        let lent = self.lent.mark(index, MOST_LENT - 1);
        lent.then(|| (index, self.segment.slot(self.way, index)))
    }

    /// Whether so much was written that the receiver should see it before there is more.
    pub(super) fn is_pressing(&self) -> bool {
        self.open as u64 >= STEP
    }

    /// Copies `bytes` into a free slot and writes its record, for which there is room.
    pub(super) fn put(&mut self, index: usize, bytes: &[u8]) {
        self.segment.fill_slot(self.way, index, bytes);
        self.put_filled(index, bytes.len());
    }

    /// Writes the record of a slot that has been filled; there is room for it.
    pub(super) fn put_filled(&mut self, index: usize, len: usize) {
        self.close();
        self.sent |= 1 << index;
        self.word(len, index + 1);
        self.head += WORD as u64;
    }

    /// Ends the record that is being written.
    fn close(&mut self) {
        let len = std::mem::take(&mut self.open);
        if len > 0 {
            self.word(len, 0);
            self.head += (WORD + round_up(len)) as u64;
        }
    }

    fn word(&self, len: usize, place: usize) {
        let word = len as u64 | (place as u64) << 32;
        self.segment
            .write_ring(self.way, self.head, &word.to_le_bytes());
    }

    /// Lets the receiver see all that was written. Whether it has to be woken.
    pub(super) fn publish(&mut self) -> bool {
        self.close();
        self.segment
            .word(self.way, Word::Head)
            .store(self.head, Ordering::SeqCst);
        wake(self.segment.word(self.way, Word::ReceiverSleeps))
    }

    /// Which of the slots that are lent begins at `place`.
    pub(super) fn lent_at(&self, place: NonNull<u8>) -> Option<usize> {
        let index = self.segment.index_of(self.way, place)?;
        (self.lent.all() & (1 << index) != 0).then_some(index)
    }
}

/// Whether the peer that is asleep according to `flag` is ours to wake: it is woken once.
pub(super) fn wake(flag: &AtomicU64) -> bool {
    flag.load(Ordering::SeqCst) != 0 && flag.swap(0, Ordering::SeqCst) != 0
}

/// Where the bytes that come next are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Current {
    None,
    /// In the ring at the tail.
    Inline {
        left: usize,
    },
    /// In a slot.
    Slot {
        index: usize,
        at: usize,
        left: usize,
    },
}

/// What a receiver does to its direction.
#[derive(Debug)]
pub(super) struct Consumer {
    segment: Arc<Segment>,
    way: Way,
    /// All before this has been taken.
    tail: u64,
    /// The tail that the sender knows.
    told: u64,
    /// All before this has been written.
    head: u64,
    current: Current,
    held: Arc<Slots>,
}

impl Consumer {
    pub(super) fn new(segment: Arc<Segment>, way: Way, held: Arc<Slots>) -> Self {
        Self {
            segment,
            way,
            tail: 0,
            told: 0,
            head: 0,
            current: Current::None,
            held,
        }
    }

    /// Whether bytes are here.
    pub(super) fn has_some(&mut self) -> io::Result<bool> {
        if self.current != Current::None {
            return Ok(true);
        }
        if self.head == self.tail {
            let head = self
                .segment
                .word(self.way, Word::Head)
                .load(Ordering::SeqCst);
            let new = head.wrapping_sub(self.tail);
            if new > RING as u64 || !new.is_multiple_of(WORD as u64) {
                return Err(nonsense("the peer's ring holds more than it can"));
            }
            self.head = head;
            if new == 0 {
                return Ok(false);
            }
        }
        self.current = self.record()?;
        Ok(true)
    }

    /// Reads the record at the tail.
    fn record(&mut self) -> io::Result<Current> {
        let mut word = [0; WORD];
        self.segment.read_ring(self.way, self.tail, &mut word);
        let word = u64::from_le_bytes(word);
        self.tail += WORD as u64;
        let here = (self.head - self.tail) as usize;
        let (len, place) = ((word & 0xffff_ffff) as usize, (word >> 32) as usize);
        match place.checked_sub(1) {
            None if len > 0 && round_up(len) <= here => Ok(Current::Inline { left: len }),
            Some(index) if index < SLOTS && len > 0 && len <= SLOT => {
                if !self.held.mark(index, SLOTS as u32) {
                    return Err(nonsense("the peer filled a slot that is in use"));
                }
                Ok(Current::Slot {
                    index,
                    at: 0,
                    left: len,
                })
            }
            _ => Err(nonsense("the peer's ring holds a record that is none")),
        }
    }

    /// Fills the front of `into` with bytes that are here; how many, and whether the sender has to be woken.
    pub(super) fn take(&mut self, into: &mut [u8]) -> (usize, bool) {
        match self.current {
            Current::None => (0, false),
            Current::Inline { left } => {
                let now = left.min(into.len());
                self.segment
                    .read_ring(self.way, self.tail, &mut into[..now]);
                self.tail += now as u64;
                if now < left {
                    self.current = Current::Inline { left: left - now };
                    return (now, false);
                }
                self.current = Current::None;
                self.tail = self.tail.next_multiple_of(WORD as u64);
                (now, self.tail - self.told >= STEP && self.tell())
            }
            Current::Slot { index, at, left } => {
                let now = left.min(into.len());
                self.segment
                    .read_slot(self.way, index, at, &mut into[..now]);
                if now < left {
                    self.current = Current::Slot {
                        index,
                        at: at + now,
                        left: left - now,
                    };
                    return (now, false);
                }
                self.current = Current::None;
                (now, give_back(&self.segment, self.way, index, &self.held))
            }
        }
    }

    /// The slot that holds just the next `len` bytes, if one does and enough others are left; it is the caller's to
    /// give back.
    pub(super) fn take_slot(&mut self, len: usize) -> Option<(usize, NonNull<u8>)> {
        match self.current {
            Current::Slot { index, at: 0, left }
                if left == len && self.held.all().count_ones() <= MOST_LENT =>
            {
                self.current = Current::None;
                Some((index, self.segment.slot(self.way, index)))
            }
            _ => None,
        }
    }

    /// Tells the sender how much has been taken, as before a sleep. Whether it has to be woken.
    pub(super) fn tell(&mut self) -> bool {
        // What is left of a record in the ring keeps its room.
        if self.told == self.tail || matches!(self.current, Current::Inline { .. }) {
            return false;
        }
        self.told = self.tail;
        self.segment
            .word(self.way, Word::Tail)
            .store(self.tail, Ordering::SeqCst);
        wake(self.segment.word(self.way, Word::SenderSleeps))
    }
}

/// Gives slot `index` back to the sender; whether it has to be woken.
pub(super) fn give_back(segment: &Segment, way: Way, index: usize, held: &Slots) -> bool {
    // Before the sender can fill it again.
    held.unmark(index);
    segment
        .word(way, Word::Returned)
        .fetch_or(1 << index, Ordering::SeqCst);
    wake(segment.word(way, Word::SenderSleeps))
}
