//! The receiving half: a stream of what came in cells and slots, in the order in which it was sent.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::life::{GRACE, Life};
use super::queue::{Completion, Kind, Queue, Woken};
use super::region::Region;
use super::sizes::{CELL, CELLS, CELLS_LEN, CREDITS, END, IN_SLOT, SLOT, SLOTS, credits};
use crate::ReceiveBytes;

/// The number that messages with credits are posted with; receive requests have their cell's.
const OF_CREDITS: u64 = u64::MAX;

/// Send requests under way at most: credits.
pub(super) const SENDS: usize = CREDITS;
/// Receive requests: one for each cell, and one for the last message.
pub(super) const RECEIVES: usize = CELLS + 1;
/// Bytes of the region of cells.
pub(super) const REGION: usize = CELLS_LEN + CELL;

pub(super) struct RdmaReceiver {
    pub(super) queue: Queue,
    cells: Region,
    /// The only memory that the peer may write to.
    slots: Region,
    life: Arc<Life>,
    arrived: VecDeque<Piece>,
    /// The slot that the peer writes to next.
    next_slot: usize,
    /// Slots with bytes that were not taken yet.
    held_slots: usize,
    /// Requests and slots to give back.
    freed: (usize, usize),
    /// Messages with credits that are not done.
    crediting: usize,
    state: State,
}

/// Bytes that came together.
#[derive(Debug)]
struct Piece {
    place: Place,
    from: usize,
    len: usize,
}

#[derive(Debug, Clone, Copy)]
enum Place {
    Cell(u64),
    Slot(usize),
}

/// What can still come.
#[derive(Debug)]
enum State {
    Open,
    /// The socket has ended; until then what was under way may arrive.
    Ending(Instant),
    Ended,
    /// Said once, after what came before.
    Failed(Option<io::Error>),
}

impl RdmaReceiver {
    /// Posts the receive requests; the queue is prepared and not yet connected.
    pub(super) fn new(
        queue: Queue,
        cells: Region,
        slots: Region,
        life: Arc<Life>,
    ) -> io::Result<Self> {
        let mut receiver = Self {
            queue,
            cells,
            slots,
            life,
            arrived: VecDeque::with_capacity(RECEIVES),
            next_slot: 0,
            held_slots: 0,
            freed: (0, 0),
            crediting: 0,
            state: State::Open,
        };
        for cell in 0..RECEIVES {
            receiver.offer(cell as u64)?;
        }
        Ok(receiver)
    }

    /// Gives the device a cell for the next message.
    fn offer(&mut self, cell: u64) -> io::Result<()> {
        let place = self.cells.part(cell as usize * CELL, CELL);
        self.queue.receive(cell, Some(place))
    }

    /// Takes what has come. Failures are told after what came before them.
    fn reap(&mut self) {
        if matches!(self.state, State::Ended | State::Failed(_)) {
            return;
        }
        loop {
            let taken = match self.queue.next() {
                Ok(Some(done)) => self.take(done),
                Ok(None) => return,
                Err(error) => Err(error),
            };
            if let Err(error) = taken {
                self.state = State::Failed(Some(self.life.fail(error)));
                return;
            }
            if matches!(self.state, State::Ended) {
                return;
            }
        }
    }

    fn take(&mut self, done: Completion) -> io::Result<()> {
        match done.kind {
            Kind::Sent => self.crediting -= 1,
            Kind::Received(Some(END)) if done.len == 0 => self.state = State::Ended,
            Kind::Received(None) if (1..=CELL).contains(&done.len) => {
                self.arrived.push_back(Piece {
                    place: Place::Cell(done.id),
                    from: 0,
                    len: done.len,
                });
            }
            Kind::Written(IN_SLOT) if (1..=SLOT).contains(&done.len) => {
                if self.held_slots == SLOTS {
                    return Err(violation("more than it has credits for"));
                }
                self.arrived.push_back(Piece {
                    place: Place::Slot(self.next_slot),
                    from: 0,
                    len: done.len,
                });
                self.held_slots += 1;
                self.next_slot = (self.next_slot + 1) % SLOTS;
                self.offer(done.id)?;
                self.freed.0 += 1;
            }
            _ => return Err(violation("a message that no peer sends")),
        }
        Ok(())
    }

    /// Waits until there are bytes, or until there will be none, or until `until`; whether one of the first two holds.
    fn wait(&mut self, until: Option<Instant>) -> io::Result<bool> {
        loop {
            self.reap();
            if !self.arrived.is_empty() {
                return Ok(true);
            }
            let (life, grace) = match self.state {
                State::Open => (Some(&*self.life), None),
                State::Ending(grace) => (None, Some(grace)),
                State::Ended | State::Failed(_) => return Ok(true),
            };
            let wake = [grace, until].into_iter().flatten().min();
            match self.queue.wait(life, wake)? {
                Woken::Completion => {}
                Woken::Ended if self.life.is_closed() => self.state = State::Ended,
                Woken::Ended => self.state = State::Ending(Instant::now() + GRACE),
                Woken::Late if grace.is_some_and(|grace| grace <= Instant::now()) => {
                    self.state = State::Ended;
                }
                Woken::Late => return Ok(false),
            }
        }
    }

    /// Takes bytes of the first piece; returns its place to the peer when it is empty.
    fn take_bytes(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(piece) = self.arrived.front_mut() else {
            return match &mut self.state {
                State::Failed(error) => Err(error
                    .take()
                    .unwrap_or_else(|| io::ErrorKind::BrokenPipe.into())),
                _ => Ok(0),
            };
        };
        let count = (piece.len - piece.from).min(buffer.len());
        let buffer = &mut buffer[..count];
        match piece.place {
            Place::Cell(cell) => self.cells.read(cell as usize * CELL + piece.from, buffer),
            Place::Slot(slot) => self.slots.read(slot * SLOT + piece.from, buffer),
        }
        piece.from += count;
        if piece.from == piece.len {
            let place = piece.place;
            self.arrived.pop_front();
            self.free(place);
        }
        Ok(count)
    }

    /// What fails here is told with the next bytes that are asked for.
    fn free(&mut self, place: Place) {
        if !matches!(self.state, State::Open | State::Ending(_)) {
            return;
        }
        if let Err(error) = self.give_back(place) {
            self.state = State::Failed(Some(self.life.fail(error)));
        }
    }

    fn give_back(&mut self, place: Place) -> io::Result<()> {
        match place {
            Place::Cell(cell) => {
                self.offer(cell)?;
                self.freed.0 += 1;
            }
            Place::Slot(_) => {
                self.held_slots -= 1;
                self.freed.1 += 1;
            }
        }
        let (requests, slots) = self.freed;
        if requests < CELLS / 2 && slots < SLOTS / 2 {
            return Ok(());
        }
        self.freed = (0, 0);
        while self.crediting == SENDS {
            // The peer's device answers for itself.
            self.queue.wait(None, None)?;
            self.reap();
            if matches!(self.state, State::Ended | State::Failed(_)) {
                return Ok(());
            }
        }
        self.crediting += 1;
        self.queue
            .send(OF_CREDITS, None, Some(credits(requests, slots)))
    }
}

impl ReceiveBytes for RdmaReceiver {
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
        if self.arrived.is_empty() {
            self.wait(None)?;
        }
        self.take_bytes(buffer)
    }

    fn wait_ready(&mut self, timeout: Option<Duration>) -> io::Result<bool> {
        self.wait(timeout.map(|timeout| Instant::now() + timeout))
    }
}

fn violation(what: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("RDMA: the peer sent {what}"),
    )
}
