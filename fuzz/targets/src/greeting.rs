//! The handshake.

use rgpu_proto::hello::{
    ClientHello, HelloKind, Inventory, PREAMBLE_LEN, Preamble, Refusal, ServerHello, negotiate,
    version_mismatch,
};
use rgpu_proto::wire;

use crate::body::canonical;

/// Reads a preamble and its message; versions agreed on lie in both ranges.
pub fn hello(data: &[u8]) {
    let Some((preamble, body)) = data.split_first_chunk::<PREAMBLE_LEN>() else {
        return;
    };
    let Ok(preamble) = Preamble::from_bytes(preamble) else {
        return;
    };
    match preamble.kind {
        HelloKind::Client => {
            canonical::<ClientHello>(body);
            if let Ok(client) = wire::from_bytes::<ClientHello>(body) {
                versions((client.min_version, client.max_version));
            }
        }
        HelloKind::Server => canonical::<ServerHello>(body),
        HelloKind::Refusal => canonical::<Refusal>(body),
        HelloKind::Inventory => canonical::<Inventory>(body),
        HelloKind::Patience => canonical::<()>(body),
    }
}

fn versions(client: (u16, u16)) {
    for server in [(1, 1), (1, 2), (2, 3), (u16::MAX, u16::MAX)] {
        match negotiate(client, server) {
            Some(version) => {
                let fits = |range: (u16, u16)| (range.0..=range.1).contains(&version);
                assert!(
                    fits(client) && fits(server),
                    "{client:?} {server:?} {version}"
                );
            }
            None => assert!(version_mismatch(client, server).contains("upgrade")),
        }
    }
}
