//! Clients that break the protocol: the connection ends with a clear log line, and the server goes on.

use std::io::{Read, Write};
use std::net::TcpStream;

use rgpu_proto::frame::{Flags, HEADER_LEN, Header};
use rgpu_proto::hello::{
    self, ClientHello, HelloKind, Intent, PREAMBLE_LEN, Preamble, Refusal, RefusalCode, ServerHello,
};
use rgpu_proto::msg::memory::{CopyIn, CopyOut, Extent, Pitched};
use rgpu_proto::msg::stream::StreamRef;
use rgpu_proto::msg::{Goodbye, ReplyHead};
use rgpu_proto::opcode::Opcode;
use rgpu_proto::status::Status;
use rgpu_proto::wire::{self, Encode};
use rgpu_tests::{HANG, Server, run};

use crate::{built, probe};

/// A connection with bytes of one's own.
struct Raw(TcpStream);

impl Raw {
    fn connect(server: &Server) -> Self {
        let address = server.tcp.strip_prefix("tcp://").expect("tcp");
        let stream = TcpStream::connect(address).expect("connect");
        stream.set_read_timeout(Some(HANG)).expect("timeout");
        Self(stream)
    }

    fn hello(&mut self, min_version: u16, max_version: u16) -> (HelloKind, Vec<u8>) {
        let hello = ClientHello {
            min_version,
            max_version,
            features: 1 << 63,
            intent: Intent::Session,
            memory: 64 << 20,
            pid: 1,
            host: "h".into(),
            program: "hostile".into(),
        };
        self.send(&hello::to_bytes(HelloKind::Client, &hello));
        let answer = self.message();
        if answer.0 == HelloKind::Patience {
            self.message()
        } else {
            answer
        }
    }

    fn message(&mut self) -> (HelloKind, Vec<u8>) {
        let mut preamble = [0; PREAMBLE_LEN];
        self.0.read_exact(&mut preamble).expect("preamble");
        let preamble = Preamble::from_bytes(&preamble).expect("preamble");
        let mut body = vec![0; preamble.len];
        self.0.read_exact(&mut body).expect("body");
        (preamble.kind, body)
    }

    fn session(server: &Server) -> Self {
        let mut raw = Self::connect(server);
        let (kind, body) = raw.hello(1, 1);
        assert_eq!(kind, HelloKind::Server);
        wire::from_bytes::<ServerHello>(&body).expect("hello");
        raw
    }

    fn send(&mut self, bytes: &[u8]) {
        // The server may have hung up in the middle of it.
        let _ = self.0.write_all(bytes);
    }

    fn frame(&mut self, header: Header, body: &[u8]) {
        self.send(&header.to_bytes());
        self.send(body);
    }

    /// The next frame, or `None` at the end of the connection.
    fn receive(&mut self) -> Option<(Header, Vec<u8>)> {
        let mut header = [0; HEADER_LEN];
        self.0.read_exact(&mut header).ok()?;
        let header = Header::from_bytes(&header).expect("header");
        let mut body = vec![0; header.len as usize];
        self.0.read_exact(&mut body).ok()?;
        Some((header, body))
    }

    /// The server's last words, and then the end.
    fn assert_ended(&mut self, why: &str) {
        let (header, body) = self.receive().expect("goodbye");
        assert_eq!(header.op, Opcode::GOODBYE);
        let reason = wire::from_bytes::<Goodbye>(&body).expect("goodbye").reason;
        assert!(reason.contains(why), "{reason}");
        assert!(self.receive().is_none());
    }
}

fn header(op: Opcode, flags: Flags, seq: u64, body: &[u8]) -> Header {
    Header {
        len: body.len() as u32,
        op,
        flags,
        seq,
        re: 0,
        ctx: 0,
        lane: 1,
    }
}

/// The server still serves, and has told its operator.
fn assert_well(server: &Server, log: &str) {
    server.wait_for_log(log);
    let out = run(&mut server.command(probe(), &["sum"]));
    assert!(out.status.success(), "{out:?}");
}

#[test]
fn random_bytes() {
    let server = Server::start(&built(), "512Mi");
    let mut noise = 12345_u32;
    let bytes: Vec<u8> = std::iter::repeat_with(|| {
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (noise >> 24) as u8
    })
    .take(4096)
    .collect();
    Raw::connect(&server).send(&bytes);
    assert_well(&server, "neither rgpu nor HTTP");
    // Noise after the right first words; the byte after them names a kind of message, and none has this one.
    Raw::connect(&server).send(&[b"rGPU\xff".as_slice(), &bytes].concat());
    assert_well(&server, "malformed handshake");
    let mut raw = Raw::session(&server);
    raw.send(&bytes);
    raw.assert_ended("malformed frame");
    assert_well(&server, "malformed frame");
}

#[test]
fn a_hello_of_huge_length() {
    let server = Server::start(&built(), "512Mi");
    let mut raw = Raw::connect(&server);
    raw.send(b"rGPU\x01\0\0\0\xff\xff\xff\xff");
    assert_well(&server, "exceeds the limit");
}

#[test]
fn a_truncated_hello_and_a_truncated_frame() {
    let server = Server::start(&built(), "512Mi");
    let mut raw = Raw::connect(&server);
    raw.send(b"rGPU\x01\0\0\0\x20\0\0\0abc");
    drop(raw);
    assert_well(&server, "ended early");
    let mut raw = Raw::session(&server);
    raw.send(&header(Opcode::PING, Flags::WAIT, 1, &[]).to_bytes()[..20]);
    drop(raw);
    assert_well(&server, "session ended");
}

#[test]
fn a_frame_of_huge_length() {
    let server = Server::start(&built(), "512Mi");
    let mut raw = Raw::session(&server);
    let huge = Header {
        len: u32::MAX,
        ..header(Opcode::PING, Flags::WAIT, 1, &[])
    };
    raw.send(&huge.to_bytes());
    raw.assert_ended("more than the limit");
    assert_well(&server, "more than the limit");
}

#[test]
fn unknown_operations_bodies_and_bulk_data() {
    let server = Server::start(&built(), "512Mi");
    let unknown = Header {
        op: Opcode(0x0eff),
        ..header(Opcode::PING, Flags::WAIT, 1, &[])
    };
    let mut raw = Raw::session(&server);
    raw.frame(unknown, &[]);
    raw.assert_ended("unknown operation");
    let mut raw = Raw::session(&server);
    raw.frame(
        header(Opcode::FILL, Flags::default(), 1, &[1, 2, 3]),
        &[1, 2, 3],
    );
    raw.assert_ended("malformed body");
    let mut raw = Raw::session(&server);
    raw.frame(header(Opcode::DATA, Flags::LAST, 1, &[1]), &[1]);
    raw.assert_ended("no call waits for it");
    assert_well(&server, "no call waits for it");
}

#[test]
fn bulk_data_longer_than_announced() {
    let server = Server::start(&built(), "512Mi");
    let mut raw = Raw::session(&server);
    let mut body = Vec::new();
    CopyIn {
        dst: Pitched::linear(0),
        extent: Extent::linear(20_000),
        stream: rgpu_proto::handle::Id::NULL,
    }
    .encode(&mut body);
    raw.frame(header(Opcode::COPY_IN, Flags::BULK, 1, &body), &body);
    let data = vec![0; 30_000];
    raw.frame(
        Header {
            re: 1,
            ..header(Opcode::DATA, Flags::LAST, 2, &data)
        },
        &data,
    );
    raw.assert_ended("a piece of the wrong length");
    assert_well(&server, "a piece of the wrong length");
}

#[test]
fn repeated_and_lost_frames() {
    let server = Server::start(&built(), "512Mi");
    let mut raw = Raw::session(&server);
    let ping = header(Opcode::PING, Flags::WAIT, 1, &[]);
    raw.frame(ping, &[]);
    assert_eq!(raw.receive().expect("reply").0.re, 1);
    raw.frame(ping, &[]);
    raw.assert_ended("sequence number");
    assert_well(&server, "sequence number");
}

/// Handles that are not the client's are errors of the call, not of the session.
#[test]
fn unknown_and_replayed_handles() {
    let server = Server::start(&built(), "512Mi");
    let mut raw = Raw::session(&server);
    let synchronize = const { Opcode::of("cuStreamSynchronize") };
    let destroy = const { Opcode::of("cuStreamDestroy_v2") };
    let body = wire::to_bytes(&StreamRef {
        id: rgpu_proto::handle::Id::new(77),
    });
    for (seq, op) in [(1, synchronize), (2, destroy), (3, destroy)] {
        raw.frame(header(op, Flags::WAIT, seq, &body), &body);
        let (reply, body) = raw.receive().expect("reply");
        assert_eq!(reply.re, seq);
        let head = wire::from_bytes::<ReplyHead>(&body).expect("head");
        assert_eq!(head.status, Status::ERROR_INVALID_HANDLE.0);
    }
    raw.frame(header(Opcode::PING, Flags::WAIT, 4, &[]), &[]);
    assert_eq!(raw.receive().expect("the session goes on").0.re, 4);
}

/// The data of a call that fails comes all the same, and is no error of the session.
#[test]
fn a_bulk_copy_in_a_context_that_is_gone() {
    let server = Server::start(&built(), "512Mi");
    let mut raw = Raw::session(&server);
    let body = wire::to_bytes(&CopyIn {
        dst: Pitched::linear(0),
        extent: Extent::linear(20_000),
        stream: rgpu_proto::handle::Id::NULL,
    });
    let gone = Header {
        ctx: 77,
        ..header(Opcode::COPY_IN, Flags::BULK.and(Flags::WAIT), 1, &body)
    };
    raw.frame(gone, &body);
    let data = vec![0; 20_000];
    let piece = Header {
        re: 1,
        ..header(Opcode::DATA, Flags::LAST, 2, &data)
    };
    raw.frame(piece, &data);
    let (reply, body) = raw.receive().expect("reply");
    assert_eq!(reply.re, 1);
    let head = wire::from_bytes::<ReplyHead>(&body).expect("head");
    assert_eq!(head.status, Status::ERROR_INVALID_CONTEXT.0);
    raw.frame(header(Opcode::PING, Flags::WAIT, 3, &[]), &[]);
    assert_eq!(raw.receive().expect("the session goes on").0.re, 3);
}

/// A copy that has to be staged as a whole cannot make the worker take more memory than the client may have.
#[test]
fn a_box_larger_than_any_lease() {
    let server = Server::start(&built(), "512Mi");
    let mut raw = Raw::session(&server);
    let body = wire::to_bytes(&CopyOut {
        src: Pitched {
            address: 0,
            pitch: 1 << 20,
            slice: 0,
        },
        extent: Extent {
            width: 1 << 20,
            height: 1 << 16,
            depth: 1,
        },
        stream: rgpu_proto::handle::Id::NULL,
    });
    raw.frame(header(Opcode::COPY_OUT, Flags::WAIT, 1, &body), &body);
    let (_, body) = raw.receive().expect("reply");
    let head = wire::from_bytes::<ReplyHead>(&body).expect("head");
    assert_eq!(head.status, Status::ERROR_OUT_OF_MEMORY.0);
    assert_well(&server, "session begins");
}

#[test]
fn versions_that_do_not_overlap() {
    let server = Server::start(&built(), "512Mi");
    let (kind, body) = Raw::connect(&server).hello(98, 99);
    assert_eq!(kind, HelloKind::Refusal);
    let refusal = wire::from_bytes::<Refusal>(&body).expect("refusal");
    assert_eq!(refusal.code, RefusalCode::Version);
    assert!(
        refusal.reason.contains("upgrade the server"),
        "{}",
        refusal.reason
    );
    assert_well(&server, "client speaks protocol versions 98 to 99");
}

/// The other way round: an old client library against a server of tomorrow.
#[test]
fn a_client_tells_its_user_of_versions_that_do_not_overlap() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("port");
    let url = format!("tcp://{}", listener.local_addr().expect("address"));
    let server = std::thread::spawn(move || {
        // `rgpu run` asks what the server is before the program asks for a session.
        for _ in 0..2 {
            let (mut stream, _) = listener.accept().expect("client");
            let mut preamble = [0; PREAMBLE_LEN];
            stream.read_exact(&mut preamble).expect("preamble");
            let preamble = Preamble::from_bytes(&preamble).expect("preamble");
            let mut hello = vec![0; preamble.len];
            stream.read_exact(&mut hello).expect("hello");
            let hello = wire::from_bytes::<ClientHello>(&hello).expect("hello");
            let reason = hello::version_mismatch((hello.min_version, hello.max_version), (98, 99));
            let refusal = Refusal {
                code: RefusalCode::Version,
                reason,
                min_version: 98,
                max_version: 99,
            };
            stream
                .write_all(&hello::to_bytes(HelloKind::Refusal, &refusal))
                .expect("refusal");
        }
    });
    let out = run(&mut rgpu_tests::run_on(
        &built().join("rgpu"),
        &url,
        probe(),
        &["sum"],
    ));
    server.join().expect("server");
    assert_eq!(out.stdout, "cuInit 100\n");
    assert!(out.stderr.contains("upgrade the client"), "{out:?}");
    assert_eq!(out.stderr.lines().count(), 1, "{out:?}");
}
