//! Bulk data on its way in. Calls of other threads may come between the pieces of a transfer; each piece
//! names its call.

use std::collections::HashMap;

use rgpu_proto::frame::{Flags, Header};
use rgpu_proto::handle::{Id, Stream};
use rgpu_proto::limits::{BULK_CREDIT, MAX_CHUNK, MAX_MODULE};
use rgpu_proto::msg::Credit;
use rgpu_proto::msg::link::LinkAdd;
use rgpu_proto::msg::memory::CopyIn;
use rgpu_proto::msg::module::Load;
use rgpu_proto::opcode::Opcode;
use rgpu_proto::status::Status;

use super::session::{Answer, DONE, Failed, Handled, Session};
use super::staging::Chunk;
use super::wire_in::{End, WireIn};

/// Transfers under way at most: a thread of the client has one at a time.
const MOST: usize = 4096;

/// Transfers under way, by the number of their call.
pub(super) type Transfers = HashMap<u64, Transfer>;

/// A call whose data is arriving.
#[derive(Debug)]
pub(super) struct Transfer {
    call: Header,
    left: u64,
    sink: Sink,
}

/// Credit is given back in pieces of this size: a client that has less left than the whole asks for nothing yet.
const CREDIT_PIECE: u64 = BULK_CREDIT / 16;

/// Where the data goes.
#[derive(Debug)]
pub(super) enum Sink {
    /// To device memory, piece by piece, so that receiving one overlaps copying the one before.
    Linear {
        /// Where the next piece goes.
        dst: u64,
        /// In which stream.
        stream: Id<Stream>,
        /// The device had nothing to do when the call came: where the host sees the place, data is put there at once.
        idle: bool,
    },
    /// To a pitched destination, which takes the bytes as a whole.
    Box {
        /// The call.
        copy: CopyIn,
        /// The bytes so far.
        staging: Chunk,
    },
    /// A module image.
    Image {
        /// The call.
        load: Load,
        /// The bytes so far; memory grows as they arrive, not as they are announced.
        bytes: Vec<u8>,
    },
    /// An input of a link.
    Link {
        /// The call.
        add: LinkAdd,
        /// The bytes so far, as above.
        bytes: Vec<u8>,
    },
    /// Nowhere: the call has failed, but its data comes all the same.
    Nothing(Status),
}

impl Transfer {
    /// Bytes of host memory that it holds, or will when it is complete.
    fn staged(&self) -> u64 {
        match &self.sink {
            Sink::Box { staging, .. } => staging.bytes().len() as u64,
            Sink::Image { load, .. } => load.size,
            Sink::Link { add, .. } => add.size,
            Sink::Linear { .. } | Sink::Nothing(_) => 0,
        }
    }
}

/// Whether `bytes` more may be staged beside `staged`. A box cannot be larger than what the client may hold on the
/// device, nor an image than any module, so that a correct client with one thread is never refused.
fn fits(staged: impl Iterator<Item = u64>, bytes: u64, lease: u64) -> bool {
    let all = staged.fold(bytes, u64::saturating_add);
    all <= lease.max(MAX_MODULE)
}

impl Session {
    /// Refuses to hold more of a client's data in host memory than it could have on the device.
    pub(super) fn room_to_stage(&self, bytes: u64) -> Result<(), Status> {
        let staged = self.transfers.values().map(Transfer::staged);
        if fits(staged, bytes, self.window.lease()) {
            Ok(())
        } else {
            Err(Status::ERROR_OUT_OF_MEMORY)
        }
    }

    /// The call at hand failed before it was carried out; its data comes all the same.
    pub(super) fn refuse(&mut self, status: Status, body: &[u8]) -> Handled {
        const LINK_ADD: Opcode = Opcode::of("cuLinkAddData_v2");
        if !self.frame.flags.has(Flags::BULK) {
            return Err(status.into());
        }
        let bytes = match self.frame.op {
            Opcode::COPY_IN => {
                let copy: CopyIn = self.decode(body)?;
                self.transfer_size(&copy.extent)?
            }
            LINK_ADD => self.decode::<LinkAdd>(body)?.size.min(MAX_MODULE),
            _ => return Err(status.into()),
        };
        self.await_bulk(bytes, Sink::Nothing(status))
    }

    /// The call at hand goes on when its `bytes` have arrived.
    pub(super) fn await_bulk(&mut self, bytes: u64, sink: Sink) -> Handled {
        if bytes == 0 || self.transfers.len() >= MOST {
            return Err(self
                .bulk("no data announced, or too many transfers at once")
                .into());
        }
        let transfer = Transfer {
            call: self.frame,
            left: bytes,
            sink,
        };
        self.transfers.insert(self.frame.seq, transfer);
        Ok(Answer::Elsewhere)
    }

    /// A piece of bulk data has arrived.
    pub(super) fn data(&mut self, header: &Header, wire: &mut WireIn) -> Handled {
        let Some(mut transfer) = self.transfers.remove(&header.re) else {
            return Err(End::Bulk {
                op: header.op,
                what: "no call waits for it",
            }
            .into());
        };
        self.frame = transfer.call;
        let len = header.len as u64;
        if len == 0 || len > transfer.left {
            return Err(self.bulk("a piece of the wrong length").into());
        }
        if header.flags.has(Flags::LAST) != (len == transfer.left) {
            return Err(self
                .bulk("the last piece is not where the call's length puts it")
                .into());
        }
        let entered = self.enter();
        self.piece(&mut transfer, len as usize, wire)?;
        match entered {
            Err(Failed::Status(status)) => transfer.sink = Sink::Nothing(status),
            entered => entered?,
        }
        transfer.left -= len;
        self.give_credit(len)?;
        if transfer.left > 0 {
            self.transfers.insert(header.re, transfer);
            return Ok(Answer::Elsewhere);
        }
        self.arrived(transfer.sink)
    }

    /// Takes one piece off the wire and passes it on.
    fn piece(&mut self, transfer: &mut Transfer, len: usize, wire: &mut WireIn) -> Result<(), End> {
        let failed = match &mut transfer.sink {
            Sink::Linear { dst, stream, idle } => {
                let at = *dst;
                *dst = at.wrapping_add(len as u64);
                self.linear_piece(at, *stream, *idle, len, wire)?
            }
            Sink::Box { staging, .. } => {
                let bytes = staging.bytes_mut();
                let at = bytes.len() - transfer.left as usize;
                wire.body(&mut bytes[at..at + len])?;
                Ok(())
            }
            Sink::Image { bytes, .. } | Sink::Link { bytes, .. } => {
                let at = bytes.len();
                bytes.resize(at + len, 0);
                wire.body(&mut bytes[at..])?;
                Ok(())
            }
            Sink::Nothing(_) => drop_piece(len, wire).map(Ok)?,
        };
        if let Err(status) = failed {
            transfer.sink = Sink::Nothing(status);
        }
        Ok(())
    }

    fn linear_piece(
        &mut self,
        at: u64,
        stream: Id<Stream>,
        idle: bool,
        len: usize,
        wire: &mut WireIn,
    ) -> Result<Result<(), Status>, End> {
        if let Some(place) = self.window.host_sees(at, len as u64).filter(|_| idle) {
            // SAFETY: memory that the client owns, which the driver lets the host touch. What is issued for it meanwhile
            // races with the copy in the client's program too.
            wire.body(unsafe { std::slice::from_raw_parts_mut(place, len) })?;
            return Ok(Ok(()));
        }
        if self.takes_slots()
            && let Some(place) = wire.take(len)?
        {
            return Ok(self.copy_in_slot(at, stream, place));
        }
        match self.chunks_in.take(&self.driver) {
            Ok(mut chunk) => {
                wire.body(&mut chunk.bytes_mut()[..len])?;
                Ok(self.copy_in_piece(at, stream, chunk, len))
            }
            Err(status) => drop_piece(len, wire).map(|()| Err(status)),
        }
    }

    /// Lets the client send `bytes` more, once that is worth a frame.
    fn give_credit(&mut self, bytes: u64) -> std::io::Result<()> {
        self.credit_owed += bytes;
        if self.credit_owed < CREDIT_PIECE {
            return Ok(());
        }
        let bytes = std::mem::take(&mut self.credit_owed);
        self.writer.notify(Opcode::CREDIT, &Credit { bytes })
    }

    /// The last piece has arrived.
    fn arrived(&mut self, sink: Sink) -> Handled {
        match sink {
            Sink::Linear { .. } => Ok(DONE),
            Sink::Box { copy, staging } => {
                self.copy_in_box(&copy, staging)?;
                Ok(DONE)
            }
            Sink::Image { load, bytes } => self.image_arrived(&load, bytes),
            Sink::Link { add, bytes } => self.link_input(&add, bytes),
            Sink::Nothing(status) => Err(status.into()),
        }
    }
}

/// Takes a piece off the wire and drops it.
fn drop_piece(len: usize, wire: &mut WireIn) -> Result<(), End> {
    let mut sink = vec![0; len.min(MAX_CHUNK)];
    wire.body(&mut sink)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn staged_bytes_are_bounded_by_lease_or_module() {
        let (lease, none) = (4 << 30, || std::iter::empty());
        assert!(fits(none(), lease, lease));
        assert!(!fits(none(), lease + 1, lease));
        assert!(!fits([lease, 1].into_iter(), 0, lease));
        assert!(fits(none(), MAX_MODULE, 1 << 20));
        assert!(!fits([u64::MAX].into_iter(), u64::MAX, lease));
    }
}
