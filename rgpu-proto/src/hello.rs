//! The handshake.
//!
//! The client sends one [`ClientHello`]. The server answers with a [`ServerHello`] (the session begins), an
//! [`Inventory`] (the client only asked), or a [`Refusal`] in words, and then closes. Where a worker has to be
//! started first, an empty message of kind [`HelloKind::Patience`] comes before, so that a client can tell a
//! busy server from a dead one. Each message is framed by
//! [`Preamble`]: magic, kind, length. A client and a server whose version ranges do not overlap both say so.

use crate::limits;
use crate::wire::{self, Decode, DecodeError, Encode, Reader};
use crate::{choice, message};

/// First bytes of every handshake message. No HTTP method begins like this, so that one port serves both.
pub const MAGIC: [u8; 4] = *b"rGPU";

/// The newest version of the protocol that this crate speaks.
pub const VERSION: u16 = 1;
/// The oldest version it still speaks (the one before the newest, where there is one).
pub const OLDEST_VERSION: u16 = 1;

/// Bytes of a preamble: magic, kind, three bytes of zero, length of the message.
pub const PREAMBLE_LEN: usize = 12;

/// A bit of `features`, on unix sockets only: the bytes after the hellos go through a segment of memory that the server
/// hands over with the last byte of its hello.
pub const FEATURE_SHM: u64 = 1;

/// A bit of `features`, on TCP only: after the hellos both sides tell each other their queue pairs, the client first, and
/// go on over RDMA. The connection stays as the sign of life.
pub const FEATURE_RDMA: u64 = 2;

choice! {
    /// What a handshake message is.
    pub enum HelloKind {
        /// [`ClientHello`].
        Client = 1,
        /// [`ServerHello`].
        Server = 2,
        /// [`Refusal`].
        Refusal = 3,
        /// [`Inventory`].
        Inventory = 4,
        /// Nothing yet: the server has taken the client in and is starting a worker. Another message follows.
        Patience = 5,
    }

    /// What the client wants.
    pub enum Intent {
        /// A session on a GPU.
        Session = 1,
        /// To know what GPUs there are and who uses them.
        Inventory = 2,
    }

    /// Why a client was refused.
    pub enum RefusalCode {
        /// No common version.
        Version = 1,
        /// Not enough memory left for the lease asked for.
        Memory = 2,
        /// No GPU at all.
        NoDevice = 3,
        /// The message made no sense.
        Malformed = 4,
        /// Too many clients.
        Busy = 5,
        /// The server is going down or failed.
        Unavailable = 6,
    }
}

/// A `CUdevice_attribute` of this project's own: 1 on a device that runs PTX only, no machine code, and so none of
/// NVIDIA's libraries. NVIDIA's driver does not know it.
pub const ATTRIBUTE_PTX_ONLY: u32 = 0x7267_7075;

message! {
    /// The first words of a client.
    pub struct ClientHello {
        /// Oldest version it speaks.
        min_version: u16,
        /// Newest version it speaks.
        max_version: u16,
        /// Optional features it knows; unknown bits are ignored.
        features: u64,
        /// What it wants.
        intent: Intent,
        /// Device memory it asks for, in bytes; 0 takes the server's default.
        memory: u64,
        /// Process id on its own host, for people.
        pid: u32,
        /// Host name, for people.
        host: String,
        /// Program name, for people.
        program: String,
    }

    /// A device as its driver describes it.
    pub struct Device {
        /// `cuDeviceGetName`.
        name: String,
        /// `cuDeviceGetUuid_v2`.
        uuid: [u8; 16],
        /// `cuDeviceTotalMem_v2`: bytes on the card; what a client may use is its lease.
        total_memory: u64,
        /// `cuDeviceGetPCIBusId`.
        pci_bus_id: String,
        /// `cuDeviceGetAttribute`: number and value of each attribute the driver answers.
        attributes: Vec<(u32, i32)>,
    }

    /// The beginning of a session.
    pub struct ServerHello {
        /// The version both will speak.
        version: u16,
        /// Features both know.
        features: u64,
        /// Names the session in the server's log.
        session: u64,
        /// `cuDriverGetVersion` of the worker's driver.
        driver_version: i32,
        /// Devices of this session; the client sees these and no others.
        devices: Vec<Device>,
        /// Device memory this session may hold, in bytes.
        lease: u64,
        /// First address of the device window.
        window_base: u64,
        /// Bytes of the device window.
        window_size: u64,
        /// Allocation granularity of the window, a power of two.
        granularity: u64,
        /// `cuCtxGetStreamPriorityRange`: least and greatest.
        stream_priorities: (i32, i32),
        /// `cuCtxGetLimit` of the primary context: number and value.
        limits: Vec<(u32, u64)>,
        /// Bulk bytes the client may send before it must wait for credit.
        bulk_credit: u64,
    }

    /// No session, and why.
    pub struct Refusal {
        /// For programs.
        code: RefusalCode,
        /// For people.
        reason: String,
        /// Oldest version the server speaks.
        min_version: u16,
        /// Newest version the server speaks.
        max_version: u16,
    }

    /// A client of the server, for people.
    pub struct ClientInfo {
        /// Session number.
        session: u64,
        /// Process id on the client's host.
        pid: u32,
        /// Process id of its worker on the server's host.
        worker_pid: u32,
        /// Client's host.
        host: String,
        /// Client's program.
        program: String,
        /// Index into the inventory's devices.
        device: u32,
        /// Bytes leased.
        lease: u64,
        /// Bytes in use.
        used: u64,
    }

    /// What a server has and who uses it.
    pub struct Inventory {
        /// The server's version, as its package states it.
        server: String,
        /// `cuDriverGetVersion`.
        driver_version: i32,
        /// Its devices.
        devices: Vec<Device>,
        /// Bytes of each device that no lease covers.
        free: Vec<u64>,
        /// Its clients.
        clients: Vec<ClientInfo>,
    }
}

impl Device {
    /// Whether it runs PTX only, no machine code.
    pub fn runs_ptx_only(&self) -> bool {
        self.attributes.contains(&(ATTRIBUTE_PTX_ONLY, 1))
    }
}

/// Kind and length of a handshake message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Preamble {
    /// What follows.
    pub kind: HelloKind,
    /// Its length.
    pub len: usize,
}

/// A handshake message that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HelloError {
    /// Not our protocol at all.
    #[error("the peer does not speak the rgpu protocol (first bytes {0:02x?})")]
    NotRgpu([u8; 4]),
    /// Longer than any handshake.
    #[error("handshake message of {len} bytes exceeds the limit of {limit}")]
    TooLong {
        /// Announced length.
        len: usize,
        /// The limit.
        limit: usize,
    },
    /// A kind or body that does not decode.
    #[error("malformed handshake: {0}")]
    Decode(#[from] DecodeError),
}

impl Preamble {
    /// Reads and checks a preamble.
    pub fn from_bytes(bytes: &[u8; PREAMBLE_LEN]) -> Result<Self, HelloError> {
        let mut reader = Reader::new(bytes);
        let magic = <[u8; 4]>::decode(&mut reader)?;
        if magic != MAGIC {
            return Err(HelloError::NotRgpu(magic));
        }
        let kind = HelloKind::decode(&mut reader)?;
        reader.bytes(3)?;
        let len = u32::decode(&mut reader)? as usize;
        // A server's answer carries snapshots of devices; a client's first words are short.
        let limit = match kind {
            HelloKind::Client | HelloKind::Refusal | HelloKind::Patience => limits::MAX_HELLO,
            HelloKind::Server | HelloKind::Inventory => limits::MAX_BODY,
        };
        if len > limit {
            return Err(HelloError::TooLong { len, limit });
        }
        Ok(Self { kind, len })
    }
}

/// A whole handshake message, preamble and body.
pub fn to_bytes(kind: HelloKind, body: &impl Encode) -> Vec<u8> {
    let body = wire::to_bytes(body);
    let mut out = Vec::with_capacity(PREAMBLE_LEN + body.len());
    MAGIC.encode(&mut out);
    kind.encode(&mut out);
    [0_u8; 3].encode(&mut out);
    (body.len() as u32).encode(&mut out);
    out.extend(body);
    out
}

/// The newest version in both ranges, or `None`.
pub fn negotiate(client: (u16, u16), server: (u16, u16)) -> Option<u16> {
    let newest = client.1.min(server.1);
    (newest >= client.0.max(server.0)).then_some(newest)
}

/// What both sides print when their versions do not overlap.
pub fn version_mismatch(client: (u16, u16), server: (u16, u16)) -> String {
    format!(
        "client speaks protocol versions {} to {}, server {} to {}: upgrade the {}",
        client.0,
        client.1,
        server.0,
        server.1,
        if client.1 < server.0 {
            "client"
        } else {
            "server"
        }
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn client() -> ClientHello {
        ClientHello {
            min_version: 1,
            max_version: 2,
            features: 3,
            intent: Intent::Session,
            memory: 256,
            pid: 7,
            host: "h".into(),
            program: "p".into(),
        }
    }

    /// Golden bytes: what version 1 puts on the wire.
    #[test]
    fn client_hello_bytes_are_fixed() {
        let golden = [
            b"rGPU".as_slice(),
            &[1, 0, 0, 0],
            &[35, 0, 0, 0],
            &[1, 0, 2, 0],
            &[3, 0, 0, 0, 0, 0, 0, 0],
            &[1],
            &[0, 1, 0, 0, 0, 0, 0, 0],
            &[7, 0, 0, 0],
            &[1, 0, 0, 0, b'h'],
            &[1, 0, 0, 0, b'p'],
        ]
        .concat();
        assert_eq!(to_bytes(HelloKind::Client, &client()), golden);
        assert_eq!(
            wire::from_bytes::<ClientHello>(&golden[PREAMBLE_LEN..]),
            Ok(client())
        );
    }

    #[test]
    fn http_is_not_rgpu() {
        let error = Preamble::from_bytes(b"GET / HTTP/1");
        assert_eq!(error, Err(HelloError::NotRgpu(*b"GET ")));
    }

    #[test]
    fn versions_overlap_or_not() {
        assert_eq!(negotiate((1, 3), (2, 4)), Some(3));
        assert_eq!(negotiate((1, 1), (2, 3)), None);
        assert_eq!(negotiate((5, 6), (2, 3)), None);
        assert!(version_mismatch((1, 1), (2, 3)).ends_with("upgrade the client"));
        assert!(version_mismatch((5, 6), (2, 3)).ends_with("upgrade the server"));
    }

    proptest! {
        #[test]
        fn no_preamble_panics(bytes: [u8; PREAMBLE_LEN]) {
            let _ = Preamble::from_bytes(&bytes);
        }

        #[test]
        fn no_hello_panics(bytes: Vec<u8>) {
            let _ = wire::from_bytes::<ClientHello>(&bytes);
            let _ = wire::from_bytes::<ServerHello>(&bytes);
            let _ = wire::from_bytes::<Inventory>(&bytes);
        }
    }
}
