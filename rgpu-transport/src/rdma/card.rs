//! What the sides tell each other over the socket before they connect their queue pairs.

use std::io;
use std::net::Ipv6Addr;

use super::sys::bindings::{IBV_MTU_256, IBV_MTU_4096, ibv_mtu};

/// First bytes; the last is the version of the card, and with it of the sizes in [`super::sizes`].
const MAGIC: [u8; 8] = *b"rGPUrdm\x01";
/// Bytes of a card.
pub(super) const LEN: usize = 64;

/// A side, as the other sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Peer {
    /// Its address.
    pub(super) gid: [u8; 16],
    /// Its address in an InfiniBand subnet.
    pub(super) lid: u16,
    /// Its port's largest packet.
    pub(super) mtu: ibv_mtu,
    /// The queue pair at which it receives, and the number of the first packet from there.
    pub(super) receiver: (u32, u32),
    /// The queue pair from which it sends, and the number of the first packet from there.
    pub(super) sender: (u32, u32),
    /// Where its slots are, and the key to them.
    pub(super) slots: (u64, u32),
}

/// Packets and queue pairs are numbered with 24 bits.
pub(super) const NUMBERS: u32 = 0x00ff_ffff;

impl Peer {
    pub(super) fn to_bytes(self) -> [u8; LEN] {
        let mut bytes = [0; LEN];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..24].copy_from_slice(&self.gid);
        bytes[24..26].copy_from_slice(&self.lid.to_le_bytes());
        bytes[26] = self.mtu as u8;
        let numbers = [
            self.receiver.0,
            self.receiver.1,
            self.sender.0,
            self.sender.1,
            self.slots.1,
        ];
        for (at, number) in numbers.into_iter().enumerate() {
            bytes[28 + 4 * at..][..4].copy_from_slice(&number.to_le_bytes());
        }
        bytes[48..56].copy_from_slice(&self.slots.0.to_le_bytes());
        bytes
    }

    /// Reads and checks a card. That its numbers name what the peer has is the device's to find out: a wrong one breaks
    /// the connection and nothing else.
    pub(super) fn from_bytes(bytes: &[u8; LEN]) -> io::Result<Self> {
        let wrong = |what| io::Error::new(io::ErrorKind::InvalidData, format!("RDMA: {what}"));
        if bytes[..7] != MAGIC[..7] {
            return Err(wrong("the peer sent something else than its queue pairs"));
        }
        if bytes[7] != MAGIC[7] {
            return Err(wrong(
                "the peer speaks another version: upgrade the older side",
            ));
        }
        let number = |at: usize| {
            let mut four = [0; 4];
            four.copy_from_slice(&bytes[28 + 4 * at..][..4]);
            u32::from_le_bytes(four)
        };
        let mut gid = [0; 16];
        gid.copy_from_slice(&bytes[8..24]);
        let mut eight = [0; 8];
        eight.copy_from_slice(&bytes[48..56]);
        let peer = Self {
            gid,
            lid: u16::from_le_bytes([bytes[24], bytes[25]]),
            mtu: ibv_mtu::from(bytes[26]),
            receiver: (number(0), number(1)),
            sender: (number(2), number(3)),
            slots: (u64::from_le_bytes(eight), number(4)),
        };
        let pairs = [
            peer.receiver.0,
            peer.receiver.1,
            peer.sender.0,
            peer.sender.1,
        ];
        if pairs.iter().any(|number| *number > NUMBERS) {
            return Err(wrong("the peer's queue pairs have numbers that none has"));
        }
        if !(IBV_MTU_256..=IBV_MTU_4096).contains(&peer.mtu) {
            return Err(wrong("the peer's packets have a size that none has"));
        }
        let address = Ipv6Addr::from(peer.gid);
        if address.is_unspecified() || address.is_multicast() {
            return Err(wrong("the peer has no address"));
        }
        if peer
            .slots
            .0
            .checked_add(super::sizes::SLOTS_LEN as u64)
            .is_none()
        {
            return Err(wrong("the peer's memory lies nowhere"));
        }
        Ok(peer)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn peer() -> Peer {
        Peer {
            gid: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 1],
            lid: 0x0102,
            mtu: 3,
            receiver: (0x11, 0x12_3456),
            sender: (0x12, 0xff_ffff),
            slots: (0x7fff_0000_1000, 0xabcd),
        }
    }

    /// Golden bytes: what version 1 puts on the wire.
    #[test]
    fn a_card_is_fixed() {
        let golden = [
            b"rGPUrdm\x01".as_slice(),
            &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 1],
            &[2, 1, 3, 0],
            &[0x11, 0, 0, 0, 0x56, 0x34, 0x12, 0],
            &[0x12, 0, 0, 0, 0xff, 0xff, 0xff, 0],
            &[0xcd, 0xab, 0, 0],
            &[0, 0x10, 0, 0, 0xff, 0x7f, 0, 0],
            &[0; 8],
        ]
        .concat();
        assert_eq!(peer().to_bytes().as_slice(), golden);
        let read = Peer::from_bytes(&peer().to_bytes()).expect("a card");
        assert_eq!(read, peer());
    }

    proptest! {
        #[test]
        fn what_is_read_is_what_was_said(
            gid in any::<[u8; 16]>().prop_filter("an address", |gid| {
                gid[0] != 0xff && *gid != [0; 16]
            }),
            lid: u16,
            mtu in 1..=5_u32,
            pairs in [0..=NUMBERS, 0..=NUMBERS, 0..=NUMBERS, 0..=NUMBERS],
            slots in (0..1_u64 << 63, any::<u32>()),
        ) {
            let receiver = (pairs[0], pairs[1]);
            let sender = (pairs[2], pairs[3]);
            let peer = Peer { gid, lid, mtu, receiver, sender, slots };
            prop_assert_eq!(Peer::from_bytes(&peer.to_bytes()).expect("a card"), peer);
        }

        #[test]
        fn no_card_panics(mut bytes: [u8; LEN]) {
            bytes[..8].copy_from_slice(&MAGIC);
            let _ = Peer::from_bytes(&bytes);
        }
    }

    #[test]
    fn what_no_peer_says_is_refused() {
        let refused = |change: &dyn Fn(&mut [u8; LEN])| {
            let mut bytes = peer().to_bytes();
            change(&mut bytes);
            Peer::from_bytes(&bytes).expect_err("refused").to_string()
        };
        assert!(refused(&|b| b[0] = b'G').contains("something else"));
        assert!(refused(&|b| b[7] = 2).contains("version"));
        assert!(refused(&|b| b[8..24].fill(0)).contains("no address"));
        assert!(refused(&|b| b[8] = 0xff).contains("no address"));
        assert!(refused(&|b| b[26] = 0).contains("packets"));
        assert!(refused(&|b| b[26] = 6).contains("packets"));
        assert!(refused(&|b| b[31] = 1).contains("queue pairs"));
        assert!(refused(&|b| b[43] = 1).contains("queue pairs"));
        assert!(refused(&|b| b[48..56].fill(0xff)).contains("nowhere"));
    }
}
