//! A stream of frames, as a worker takes it off the wire.

use rgpu_proto::frame::{HEADER_LEN, Header};
use rgpu_proto::opcode::Opcode;
use rgpu_proto::session::Incoming;

use crate::body;

/// Reads frames until one is refused, and the bodies of those that are not.
pub fn frame_decode(data: &[u8]) {
    let mut left = data;
    let mut incoming = Incoming::default();
    while let Some((head, rest)) = left.split_first_chunk::<HEADER_LEN>() {
        let Ok(header) = Header::from_bytes(head) else {
            return;
        };
        assert_eq!(
            header.to_bytes(),
            *head,
            "a header is written as it was read"
        );
        let before = incoming.last();
        if incoming.accept(&header, 0).is_err() {
            assert_eq!(incoming.last(), before, "a refused frame does not count");
            return;
        }
        assert_eq!(incoming.last(), before + 1);
        let Some((body, rest)) = rest.split_at_checked(header.len as usize) else {
            return;
        };
        if header.op != Opcode::DATA {
            body::call(header.op, body);
        }
        left = rest;
    }
}
