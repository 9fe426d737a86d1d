//! Sequence numbers: what a peer may send when.
//!
//! ```text
//! each side numbers its frames 1, 2, 3, …; a frame must carry the number after the last one.
//! replies name the call they answer, which must have been sent and not yet answered.
//! ```
//!
//! The numbers are what lets a session be resumed: after a broken connection each side knows which
//! frames the other has seen.

use crate::frame::Header;

/// Numbers of frames sent.
#[derive(Debug, Default)]
pub struct Outgoing {
    last: u64,
}

impl Outgoing {
    /// The number of the next frame.
    pub const fn next(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    /// The number of the last frame.
    pub const fn last(&self) -> u64 {
        self.last
    }
}

/// A frame out of order.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// Repeated, lost or invented frame.
    #[error("frame {op} has sequence number {got}, expected {expected}")]
    Sequence {
        /// Its operation.
        op: crate::opcode::Opcode,
        /// Its number.
        got: u64,
        /// The number due.
        expected: u64,
    },
    /// An answer or acknowledgement of something never sent.
    #[error("frame {op} refers to frame {re}, but only {sent} were sent")]
    NeverSent {
        /// Its operation.
        op: crate::opcode::Opcode,
        /// What it refers to.
        re: u64,
        /// Frames sent so far.
        sent: u64,
    },
}

/// Checks frames received.
#[derive(Debug, Default)]
pub struct Incoming {
    last: u64,
}

impl Incoming {
    /// Accepts the next frame of a peer to which `sent` frames were sent.
    pub fn accept(&mut self, header: &Header, sent: u64) -> Result<(), SessionError> {
        let expected = self.last + 1;
        if header.seq != expected {
            return Err(SessionError::Sequence {
                op: header.op,
                got: header.seq,
                expected,
            });
        }
        // A client's DATA names a call of its own, sent before it; everything else refers to the other side.
        let own = header.op == crate::opcode::Opcode::DATA && header.re < header.seq;
        if header.re > sent && !own {
            return Err(SessionError::NeverSent {
                op: header.op,
                re: header.re,
                sent,
            });
        }
        self.last = expected;
        Ok(())
    }

    /// The number of the last frame accepted.
    pub const fn last(&self) -> u64 {
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Flags;
    use crate::opcode::Opcode;

    fn frame(seq: u64, re: u64) -> Header {
        Header {
            len: 0,
            op: Opcode::PING,
            flags: Flags::default(),
            seq,
            re,
            ctx: 0,
            lane: 0,
        }
    }

    #[test]
    fn frames_come_in_order() {
        let mut incoming = Incoming::default();
        assert_eq!(incoming.accept(&frame(1, 0), 0), Ok(()));
        assert_eq!(incoming.accept(&frame(2, 3), 3), Ok(()));
        assert_eq!(incoming.last(), 2);
    }

    #[test]
    fn a_replayed_or_lost_frame_is_refused() {
        let mut incoming = Incoming::default();
        incoming.accept(&frame(1, 0), 0).expect("first");
        assert!(matches!(
            incoming.accept(&frame(1, 0), 0),
            Err(SessionError::Sequence { .. })
        ));
        assert!(matches!(
            incoming.accept(&frame(3, 0), 0),
            Err(SessionError::Sequence { .. })
        ));
    }

    #[test]
    fn data_may_follow_a_call_of_its_own_sender() {
        let mut incoming = Incoming::default();
        incoming.accept(&frame(1, 0), 0).expect("the call");
        let data = |seq, re| Header {
            op: Opcode::DATA,
            ..frame(seq, re)
        };
        assert_eq!(incoming.accept(&data(2, 1), 0), Ok(()));
        assert!(matches!(
            incoming.accept(&data(3, 3), 0),
            Err(SessionError::NeverSent { .. })
        ));
    }

    #[test]
    fn an_answer_to_nothing_is_refused() {
        let mut incoming = Incoming::default();
        assert!(matches!(
            incoming.accept(&frame(1, 1), 0),
            Err(SessionError::NeverSent { .. })
        ));
    }
}
