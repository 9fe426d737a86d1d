//! Where what stands in a recording. Everything is a 64-bit word of the machine that recorded.

/// First word of a recording.
pub(crate) const MAGIC: u64 = u64::from_le_bytes(*b"rgputrc1");

/// Bytes of the head.
pub(crate) const HEAD: usize = 4096;

/// Words of the head, by place.
pub(crate) mod head {
    pub(crate) const MAGIC: usize = 0;
    pub(crate) const PROCESS: usize = 1;
    /// Slots of the totals.
    pub(crate) const SLOTS: usize = 2;
    /// Blocks handed out; more than there are, once none is left.
    pub(crate) const BLOCKS: usize = 3;
    /// When the recording began, on the monotonic clock.
    pub(crate) const BEGUN: usize = 4;
    /// When the program ended; 0 where it was killed.
    pub(crate) const ENDED: usize = 5;
    /// Events that found no room.
    pub(crate) const DROPPED: usize = 6;
    /// Nanoseconds that writing to the connection took.
    pub(crate) const SENDING: usize = 7;
    /// Nanoseconds until the session was there.
    pub(crate) const CONNECTING: usize = 8;
}

/// Bytes of a block, its head included.
pub(crate) const BLOCK: usize = 64 << 10;

/// Words of a block's head.
pub(crate) mod block {
    /// What kind of block it is; 0 until it is in use.
    pub(crate) const KIND: usize = 0;
    /// The thread that writes events.
    pub(crate) const THREAD: usize = 1;
    /// Bytes that are valid, after the head.
    pub(crate) const USED: usize = 2;
    pub(crate) const WORDS: usize = 4;
}

/// Kinds of blocks.
pub(crate) const EVENTS: u64 = 1;
pub(crate) const NOTES: u64 = 2;

/// Words of an event.
pub(crate) const EVENT: usize = 5;

/// Words of the totals of a call.
pub(crate) const TOTALS: usize = 8;

/// Events of a block.
pub(crate) const EVENTS_OF_BLOCK: usize = (BLOCK / 8 - block::WORDS) / EVENT;

/// Where the blocks begin.
pub(crate) const fn blocks_at(slots: usize) -> usize {
    HEAD + (slots * TOTALS * 8).next_multiple_of(4096)
}

/// The slot of what no call of the program has caused.
pub const NO_CALL: u16 = 0;

/// What an event tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// A call of the program, from its beginning to its end.
    Call = 1,
    /// A call waited for an answer. `a` is the number of its request, `b` the call site.
    Wait = 2,
    /// A call waited until the server could take more data. `b` is the call site.
    Stall = 3,
    /// A request and its answer. `a` is its number.
    Trip = 4,
    /// Bytes were written to the connection: `a`.
    Sent = 5,
    /// Bytes were read from the connection: `a`.
    Received = 6,
}

impl Kind {
    pub(crate) const fn of(number: u8) -> Option<Self> {
        Some(match number {
            1 => Self::Call,
            2 => Self::Wait,
            3 => Self::Stall,
            4 => Self::Trip,
            5 => Self::Sent,
            6 => Self::Received,
            _ => return None,
        })
    }

    /// Whether the last quarter of a recording has room for it: what waits is what the recording is for.
    pub(crate) const fn matters(self) -> bool {
        matches!(self, Self::Wait | Self::Stall)
    }
}

/// Something that happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    /// What.
    pub kind: Kind,
    /// The call that the program was in, by its slot.
    pub call: u16,
    /// The operation on the wire.
    pub op: u16,
    /// When it began, in nanoseconds of the monotonic clock.
    pub start: u64,
    /// How long it took.
    pub nanoseconds: u64,
    /// See [`Kind`].
    pub a: u64,
    /// See [`Kind`].
    pub b: u64,
}

impl Event {
    pub(crate) const fn words(&self) -> [u64; EVENT] {
        let what = self.kind as u64 | (self.call as u64) << 16 | (self.op as u64) << 32;
        [what, self.start, self.nanoseconds, self.a, self.b]
    }

    pub(crate) fn of(words: [u64; EVENT]) -> Option<Self> {
        let [what, start, nanoseconds, a, b] = words;
        Some(Self {
            kind: Kind::of(what as u8)?,
            call: (what >> 16) as u16,
            op: (what >> 32) as u16,
            start,
            nanoseconds,
            a,
            b,
        })
    }
}

/// What all calls of one name add up to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// How often it was called.
    pub calls: u64,
    /// Bytes sent for it.
    pub sent: u64,
    /// Bytes that came for it.
    pub received: u64,
    /// How often it waited for an answer.
    pub trips: u64,
    /// Nanoseconds that it waited, for answers and for room.
    pub waited: u64,
    /// The longest of these waits.
    pub longest: u64,
    /// The shortest wait for an answer; 0 for none.
    pub shortest: u64,
    /// Nanoseconds spent in it.
    pub inside: u64,
}

impl Totals {
    pub(crate) const fn of(words: [u64; TOTALS]) -> Self {
        let [
            calls,
            sent,
            received,
            trips,
            waited,
            longest,
            shortest,
            inside,
        ] = words;
        Self {
            calls,
            sent,
            received,
            trips,
            waited,
            longest,
            shortest,
            inside,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_what_was_written() {
        let event = Event {
            kind: Kind::Wait,
            call: 0x1234,
            op: 0xf00d,
            start: u64::MAX,
            nanoseconds: 2,
            a: 3,
            b: 4,
        };
        assert_eq!(Event::of(event.words()), Some(event));
        assert_eq!(Event::of([7, 0, 0, 0, 0]), None);
        assert_eq!(Event::of([0; EVENT]), None);
    }
}
