//! Frames in an order that a fuzzer bends, against a plain statement of what is allowed.

use rgpu_proto::frame::{Flags, Header};
use rgpu_proto::limits::{MAX_BODY, MAX_CHUNK};
use rgpu_proto::opcode::Opcode;
use rgpu_proto::session::Incoming;
use rgpu_proto::wire::{Decode, DecodeError, Reader};

/// One frame, right but for what the fuzzer says.
#[derive(Debug)]
struct Step {
    op: u16,
    flags: u16,
    len: u32,
    /// Added to the number that is due.
    skew: i8,
    re: u8,
    /// Frames that the other side sends before this one.
    answers: u8,
}

impl Decode for Step {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            op: u16::decode(input)?,
            flags: u16::decode(input)?,
            len: u32::decode(input)?,
            skew: u8::decode(input)?.cast_signed(),
            re: u8::decode(input)?,
            answers: u8::decode(input)?,
        })
    }
}

/// A checker of frames accepts exactly what the rules in `docs/protocol.md` allow, and nothing after a refusal
/// changes what is due next.
pub fn session_ops(data: &[u8]) {
    let mut reader = Reader::new(data);
    let mut incoming = Incoming::default();
    let (mut accepted, mut sent) = (0_u64, 0_u64);
    while let Ok(step) = Step::decode(&mut reader) {
        sent += u64::from(step.answers);
        let header = Header {
            len: step.len,
            op: Opcode(step.op),
            flags: Flags(step.flags),
            seq: (accepted + 1).wrapping_add_signed(step.skew.into()),
            re: step.re.into(),
            ctx: 0,
            lane: 0,
        };
        let passed = Header::from_bytes(&header.to_bytes())
            .is_ok_and(|header| incoming.accept(&header, sent).is_ok());
        assert_eq!(
            passed,
            is_allowed(&header, accepted, sent),
            "{step:?} after {accepted}"
        );
        accepted += u64::from(passed);
        assert_eq!(incoming.last(), accepted);
    }
}

fn is_allowed(header: &Header, accepted: u64, sent: u64) -> bool {
    let data = header.op == Opcode::DATA;
    let limit = if data { MAX_CHUNK } else { MAX_BODY };
    let names_own_call = data && header.re < header.seq;
    header.op.exists()
        && header.flags.0 < 16
        && header.len as usize <= limit
        && header.seq == accepted + 1
        && (header.re <= sent || names_own_call)
}
