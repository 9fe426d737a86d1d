//! Slots of memory that the client shares: the device copies from and to them where they lie.

use std::collections::VecDeque;
use std::ffi::c_void;
use std::ptr::NonNull;
use std::sync::Arc;

use rgpu_proto::handle::{Id, Stream};
use rgpu_proto::limits::MAX_CHUNK;
use rgpu_proto::status::Status;
use rgpu_transport::Place;

use super::memory::{Delivery, Filled, Piece};
use crate::worker::driver::Driver;
use crate::worker::event::Event;
use crate::worker::host_func::Gate;
use crate::worker::session::{Handled, Session};
use crate::worker::spare::SpareStream;
use crate::worker::staging::Pool;

/// Pieces that the device fills ahead of the one that is being sent.
const AHEAD: usize = 4;

/// What the session knows of its client's slots.
#[derive(Debug)]
pub(in crate::worker) struct Slots {
    /// All of them, if the client shares memory.
    memory: Option<(NonNull<u8>, usize)>,
    locked: bool,
    /// Slots that came, until the device has read them.
    held: Vec<(Event, Place)>,
}

impl Slots {
    pub(in crate::worker) const fn new(memory: Option<(NonNull<u8>, usize)>) -> Self {
        Self {
            memory,
            locked: false,
            held: Vec::new(),
        }
    }

    /// Whether there are any. They are page-locked for the device when they are first used; where the driver cannot, it
    /// takes them as any other memory.
    fn usable(&mut self, driver: &Driver) -> bool {
        /// `CU_MEMHOSTREGISTER_PORTABLE`: for every context of the process.
        const PORTABLE: u32 = 1;
        let Some((at, len)) = self.memory else {
            return false;
        };
        if !self.locked {
            self.locked = true;
            // SAFETY: the memory stays mapped until the process ends (`session::serve`).
            let locked = unsafe { driver.cuMemHostRegister_v2(at.as_ptr().cast(), len, PORTABLE) };
            if let Err(status) = locked {
                tracing::debug!(status = status.0, "shared memory is not page-locked");
            }
        }
        true
    }

    /// The context that locked them is gone.
    pub(in crate::worker) const fn unlocked(&mut self) {
        self.locked = false;
    }
}

impl Session {
    /// Whether pieces of bulk data may lie in slots; gives back those that the device has read.
    pub(in crate::worker) fn takes_slots(&mut self) -> bool {
        self.slots.held.retain(|(event, _)| event.is_pending());
        self.slots.usable(&self.driver)
    }

    /// Issues the copy of a piece from where it lies.
    pub(in crate::worker) fn copy_in_slot(
        &mut self,
        dst: u64,
        stream: Id<Stream>,
        place: Place,
    ) -> Result<(), Status> {
        let stream = self.stream(stream)?;
        let from = place.address().as_ptr().cast();
        // SAFETY: the place is held until the event after this copy; the driver checks the range.
        unsafe {
            self.driver
                .cuMemcpyHtoDAsync_v2(dst, from, place.len(), stream)?;
        }
        let event = self.event(stream)?;
        self.slots.held.push((event, place));
        Ok(())
    }

    /// Copies [address, +bytes) to the client through slots, which are too few for all of it at once: so the stream stands
    /// still, once it is there, while another stream fills one slot after the other. `None` without slots.
    pub(super) fn copy_out_through_slots(
        &mut self,
        address: u64,
        bytes: u64,
        stream: *mut c_void,
    ) -> Option<Handled> {
        let shared = self.slots.usable(&self.driver);
        shared.then(|| self.send_through_slots(address, bytes, stream))
    }

    fn send_through_slots(&mut self, from: u64, bytes: u64, stream: *mut c_void) -> Handled {
        let other = self.contexts.current()?.spare.take(&self.driver)?;
        let there = Arc::new(self.event(stream)?);
        let hold = Gate::hold(&self.driver, stream)?;
        let (finished, underway) = (Arc::clone(&there), self.in_place.begin());
        let pool = Arc::clone(&self.chunks_out);
        self.deliver(
            move |delivery| {
                let _until_then = (hold, underway);
                if let Err(status) = there.synchronize() {
                    return delivery.reply(Err(status), &[]);
                }
                let pieces = Pieces {
                    delivery,
                    pool: &pool,
                    stream: &other,
                    from,
                    left: bytes,
                    queue: VecDeque::new(),
                };
                delivery.send_pieces(pieces, &pool);
            },
            finished,
        )
    }
}

/// The pieces of a copy, some of them issued ahead.
struct Pieces<'a> {
    delivery: &'a Delivery,
    pool: &'a Pool,
    stream: &'a SpareStream,
    from: u64,
    left: u64,
    queue: VecDeque<Piece>,
}

impl Iterator for Pieces<'_> {
    type Item = Piece;

    fn next(&mut self) -> Option<Piece> {
        while self.left > 0 && self.queue.len() < AHEAD {
            let len = self.left.min(MAX_CHUNK as u64);
            let place = match self.delivery.writer.lend(len as usize) {
                Some(place) => Ok(Filled::Slot(place)),
                // Those under way come first: there may be a slot then.
                None if !self.queue.is_empty() => break,
                None => self.pool.take(&self.delivery.driver).map(Filled::Chunk),
            };
            let result = place.and_then(|place| self.issue(place, len as usize));
            self.from = self.from.wrapping_add(len);
            self.left = if result.is_ok() { self.left - len } else { 0 };
            self.queue.push_back(Piece {
                result,
                len: len as usize,
                last: self.left == 0,
            });
        }
        self.queue.pop_front()
    }
}

impl Pieces<'_> {
    fn issue(&self, place: Filled, len: usize) -> Result<(Filled, Event), Status> {
        let (driver, stream) = (&self.delivery.driver, self.stream.raw());
        // SAFETY: the place has room and stays until the event after this copy; the driver checks the range.
        let issued =
            unsafe { driver.cuMemcpyDtoHAsync_v2(place.address(), self.from, len, stream) };
        match issued.and_then(|()| Event::record(driver, stream)) {
            Ok(event) => Ok((place, event)),
            Err(status) => {
                place.give_to(self.pool);
                Err(status)
            }
        }
    }
}
