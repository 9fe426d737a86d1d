//! The sending half: small messages by send, large pieces by a write to the peer's slots.

use std::io::{self, IoSlice};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::life::{GRACE, Life};
use super::queue::{Kind, Queue, Woken};
use super::region::Region;
use super::sizes::{CELL, CELLS, CELLS_LEN, CREDITS, END, IN_SLOT, SLOT, SLOTS, SLOTS_LEN, counts};
use crate::SendBytes;

/// How long the last bytes may take to arrive when a sender is dropped, as a socket lingers.
const LINGER: Duration = Duration::from_secs(5);

/// What a request was for; the number it is posted with.
const OF_CELL: u64 = 1;
const OF_SLOT: u64 = 2;
const OF_END: u64 = 3;
const OF_CREDITS: u64 = 4;

/// Send requests under way at most.
pub(super) const SENDS: usize = CELLS + SLOTS + 1;
/// Receive requests: for credits.
pub(super) const RECEIVES: usize = CREDITS;

pub(super) struct RdmaSender {
    pub(super) queue: Queue,
    /// Cells and then slots, laid out as the peer's are.
    pub(super) staging: Region,
    life: Arc<Life>,
    /// Where the peer's slots are.
    pub(super) slots: (u64, u32),
    cells_out: Lane,
    slots_out: Lane,
    /// Messages that the peer has receive requests for.
    requests: usize,
    /// Slots of the peer's that are free.
    free_slots: usize,
    /// The last message is on its way.
    ended: bool,
    failed: bool,
}

/// Pieces of staging that are used one after the other.
#[derive(Debug, Default)]
struct Lane {
    next: usize,
    busy: usize,
}

impl Lane {
    fn take(&mut self, count: usize) -> usize {
        let at = self.next;
        self.next = (at + 1) % count;
        self.busy += 1;
        at
    }
}

impl RdmaSender {
    /// Posts the receive requests; the queue is prepared and not yet connected.
    pub(super) fn new(
        mut queue: Queue,
        staging: Region,
        life: Arc<Life>,
        slots: (u64, u32),
    ) -> io::Result<Self> {
        for _ in 0..CREDITS {
            queue.receive(OF_CREDITS, None)?;
        }
        Ok(Self {
            queue,
            staging,
            life,
            slots,
            cells_out: Lane::default(),
            slots_out: Lane::default(),
            requests: CELLS,
            free_slots: SLOTS,
            ended: false,
            failed: false,
        })
    }

    /// Bytes of staging.
    pub(super) const STAGING: usize = CELLS_LEN + SLOTS_LEN;

    /// Takes what has finished and what the peer gives back.
    pub(super) fn reap(&mut self) -> io::Result<()> {
        while let Some(done) = self.queue.next()? {
            match (done.kind, done.id) {
                (Kind::Sent, OF_CELL) => self.cells_out.busy -= 1,
                (Kind::Sent, OF_SLOT) => self.slots_out.busy -= 1,
                (Kind::Sent, _) => {}
                (Kind::Received(Some(credits)), OF_CREDITS) => {
                    self.queue.receive(OF_CREDITS, None)?;
                    self.credit(credits)?;
                }
                _ => return Err(violation("a message where only credits are expected")),
            }
        }
        Ok(())
    }

    fn credit(&mut self, credits: u32) -> io::Result<()> {
        let (requests, slots) = counts(credits);
        self.requests += requests;
        self.free_slots += slots;
        if self.requests > CELLS || self.free_slots > SLOTS {
            return Err(violation("more credits than there are"));
        }
        Ok(())
    }

    /// Waits until `ready`.
    fn wait(&mut self, ready: impl Fn(&Self) -> bool) -> io::Result<()> {
        self.reap()?;
        while !ready(self) {
            match self.queue.wait(Some(&self.life), None)? {
                Woken::Completion => self.reap()?,
                Woken::Ended | Woken::Late => return Err(io::ErrorKind::BrokenPipe.into()),
            }
        }
        Ok(())
    }

    fn send_all(&mut self, slices: &[IoSlice<'_>]) -> io::Result<()> {
        if self.life.is_closed() {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let mut bytes = Bytes::of(slices);
        while bytes.left > 0 {
            if bytes.left <= CELL {
                self.send_cell(&mut bytes)?;
            } else {
                self.send_slot(&mut bytes)?;
            }
        }
        Ok(())
    }

    fn send_cell(&mut self, bytes: &mut Bytes<'_>) -> io::Result<()> {
        self.wait(|s| s.requests > 0 && s.cells_out.busy < CELLS)?;
        let at = self.cells_out.take(CELLS) * CELL;
        let len = bytes.fill(&mut self.staging, at, CELL);
        self.requests -= 1;
        let part = self.staging.part(at, len);
        self.queue.send(OF_CELL, Some(part), None)
    }

    fn send_slot(&mut self, bytes: &mut Bytes<'_>) -> io::Result<()> {
        self.wait(|s| s.requests > 0 && s.free_slots > 0 && s.slots_out.busy < SLOTS)?;
        let slot = self.slots_out.take(SLOTS) * SLOT;
        let at = CELLS_LEN + slot;
        let len = bytes.fill(&mut self.staging, at, SLOT);
        self.requests -= 1;
        self.free_slots -= 1;
        let part = self.staging.part(at, len);
        let (address, key) = self.slots;
        let there = (address + slot as u64, key);
        self.queue.write(OF_SLOT, part, there, IN_SLOT)
    }

    /// Tells the peer that nothing follows, and waits until it has everything.
    fn finish(&mut self) -> io::Result<()> {
        let patience = if self.life.is_closed() { GRACE } else { LINGER };
        let until = Instant::now() + patience;
        self.queue.send(OF_END, None, Some(END))?;
        loop {
            while let Some(done) = self.queue.next()? {
                // Finished in order, so everything before it has arrived as well. Credits are of no use any more.
                if done.kind == Kind::Sent && done.id == OF_END {
                    return Ok(());
                }
            }
            // A socket that this side has closed says nothing about the peer.
            let life = (!self.life.is_closed()).then_some(&*self.life);
            match self.queue.wait(life, Some(until))? {
                Woken::Completion => {}
                Woken::Ended | Woken::Late => return Ok(()),
            }
        }
    }
}

impl SendBytes for RdmaSender {
    fn send(&mut self, slices: &[IoSlice<'_>]) -> io::Result<()> {
        if self.failed {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        self.send_all(slices).map_err(|error| {
            self.failed = true;
            self.life.fail(error)
        })
    }
}

impl Drop for RdmaSender {
    fn drop(&mut self) {
        if !self.failed && !self.ended {
            self.ended = true;
            // A peer that is gone needs no end.
            let _ = self.finish();
        }
    }
}

fn violation(what: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("RDMA: the peer sent {what}"),
    )
}

/// The bytes of several slices, taken from the front.
struct Bytes<'a> {
    slices: &'a [IoSlice<'a>],
    /// Bytes of the first slice that were taken.
    taken: usize,
    left: usize,
}

impl<'a> Bytes<'a> {
    fn of(slices: &'a [IoSlice<'a>]) -> Self {
        Self {
            slices,
            taken: 0,
            left: slices.iter().map(|slice| slice.len()).sum(),
        }
    }

    /// Moves up to `most` bytes into a region.
    fn fill(&mut self, region: &mut Region, at: usize, most: usize) -> usize {
        let mut filled = 0;
        while filled < most {
            let Some(first) = self.slices.first() else {
                break;
            };
            let rest = &first[self.taken..];
            let now = rest.len().min(most - filled);
            region.write(at + filled, &rest[..now]);
            filled += now;
            self.taken += now;
            if now == rest.len() {
                self.slices = &self.slices[1..];
                self.taken = 0;
            }
        }
        self.left -= filled;
        filled
    }
}
