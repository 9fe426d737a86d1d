//! The fixed header before every body.
//!
//! ```text
//!  0      4    6      8         16        24     28     32
//!  | len  | op | flags| seq     | re      | ctx  | lane | body (len bytes)
//! ```
//!
//! All little-endian. `len` counts the body. `seq` numbers the sender's frames from 1. `re` is, from the
//! client, the highest frame of the server it has seen; from the server, the call that this frame answers;
//! on DATA, both ways, the client's call whose data it is (calls of other threads may come in between).
//! `ctx` is the context current to the calling thread, `lane` a number for that thread.

use crate::limits;
use crate::opcode::Opcode;

/// Bytes of a header.
pub const HEADER_LEN: usize = 32;

/// Bits of [`Header::flags`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flags(pub u16);

impl Flags {
    /// Answers the call `re`.
    pub const REPLY: Self = Self(1);
    /// DATA frames follow for this call, until one with [`Self::LAST`].
    pub const BULK: Self = Self(2);
    /// The last DATA frame of a call.
    pub const LAST: Self = Self(4);
    /// The client waits for this call's answer.
    pub const WAIT: Self = Self(8);
    const KNOWN: u16 = 15;

    /// Whether all bits of `other` are set.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both sets of bits.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// A frame's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Bytes of body.
    pub len: u32,
    /// What the body is.
    pub op: Opcode,
    /// How to read it.
    pub flags: Flags,
    /// Number of this frame among its sender's.
    pub seq: u64,
    /// See the module's picture.
    pub re: u64,
    /// Current context of the calling thread, 0 for none.
    pub ctx: u32,
    /// The calling thread, numbered by the client from 1; 0 where no thread matters.
    pub lane: u32,
}

/// A header that no correct peer sends.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Body past its limit.
    #[error("frame {op} announces {len} bytes, more than the limit of {limit}")]
    TooLong {
        /// The frame's operation.
        op: Opcode,
        /// Announced length.
        len: u32,
        /// The limit.
        limit: usize,
    },
    /// An operation that does not exist.
    #[error("unknown operation {0:#06x}")]
    UnknownOp(u16),
    /// Flags that do not exist.
    #[error("unknown flags {0:#06x}")]
    UnknownFlags(u16),
}

impl Header {
    /// The header's bytes.
    #[inline]
    pub fn to_bytes(self) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        bytes[0..4].copy_from_slice(&self.len.to_le_bytes());
        bytes[4..6].copy_from_slice(&self.op.0.to_le_bytes());
        bytes[6..8].copy_from_slice(&self.flags.0.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.seq.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.re.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.ctx.to_le_bytes());
        bytes[28..32].copy_from_slice(&self.lane.to_le_bytes());
        bytes
    }

    /// Reads and checks a header: size, operation and flags.
    #[inline]
    pub fn from_bytes(bytes: &[u8; HEADER_LEN]) -> Result<Self, FrameError> {
        let u16_at = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
        let u32_at = |at: usize| u32::from(u16_at(at)) | u32::from(u16_at(at + 2)) << 16;
        let u64_at = |at: usize| u64::from(u32_at(at)) | u64::from(u32_at(at + 4)) << 32;
        let header = Self {
            len: u32_at(0),
            op: Opcode(u16_at(4)),
            flags: Flags(u16_at(6)),
            seq: u64_at(8),
            re: u64_at(16),
            ctx: u32_at(24),
            lane: u32_at(28),
        };
        let limit = if header.op == Opcode::DATA {
            limits::MAX_CHUNK
        } else {
            limits::MAX_BODY
        };
        if header.len as usize > limit {
            return Err(FrameError::TooLong {
                op: header.op,
                len: header.len,
                limit,
            });
        }
        if !header.op.exists() {
            return Err(FrameError::UnknownOp(header.op.0));
        }
        if header.flags.0 & !Flags::KNOWN != 0 {
            return Err(FrameError::UnknownFlags(header.flags.0));
        }
        Ok(header)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn header() -> Header {
        Header {
            len: 5,
            op: Opcode::DATA,
            flags: Flags::LAST,
            seq: 7,
            re: 9,
            ctx: 16,
            lane: 2,
        }
    }

    /// Golden bytes: what version 1 puts on the wire.
    #[test]
    fn header_bytes_are_fixed() {
        let mut golden = [0; HEADER_LEN];
        (golden[0], golden[4], golden[5], golden[6]) = (5, 0x01, 0xf0, 4);
        (golden[8], golden[16], golden[24], golden[28]) = (7, 9, 16, 2);
        assert_eq!(header().to_bytes(), golden);
        assert_eq!(Header::from_bytes(&golden), Ok(header()));
    }

    #[test]
    fn a_huge_length_is_refused() {
        let bytes = Header {
            len: u32::MAX,
            ..header()
        }
        .to_bytes();
        assert!(matches!(
            Header::from_bytes(&bytes),
            Err(FrameError::TooLong { .. })
        ));
    }

    #[test]
    fn unknown_operations_and_flags_are_refused() {
        let bytes = Header {
            op: Opcode(0xefff),
            ..header()
        }
        .to_bytes();
        assert_eq!(
            Header::from_bytes(&bytes),
            Err(FrameError::UnknownOp(0xefff))
        );
        let bytes = Header {
            flags: Flags(0x8000),
            ..header()
        }
        .to_bytes();
        assert_eq!(
            Header::from_bytes(&bytes),
            Err(FrameError::UnknownFlags(0x8000))
        );
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes: [u8; HEADER_LEN]) {
            if let Ok(header) = Header::from_bytes(&bytes) {
                prop_assert_eq!(header.to_bytes(), bytes);
            }
        }
    }
}
