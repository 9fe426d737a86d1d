//! Shared memory with a peer that dies, lies, or sleeps at the wrong moment. What lies where is what docs/protocol.md says.

use std::io::{ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::mman::{MapFlags, ProtFlags, mmap};
use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};
use proptest::prelude::*;
use rgpu_transport::{Connection, Place, Receiver, Sender, Url, shm};

const TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes of a segment, as docs/protocol.md has it.
const SIZE: usize = 4096 + 2 * RING + 2 * 8 * SLOT;
const RING: usize = 256 << 10;
const SLOT: usize = 1 << 20;
/// Offsets of the words of the direction to the server.
const HEAD: usize = 0;
const TAIL: usize = 128;
const RETURNED: usize = 256;
const RECEIVER_SLEEPS: usize = 384;
const SENDER_SLEEPS: usize = 512;
/// From a word of the direction to the server to that of the direction to the client.
const TO_CLIENT: usize = 2048;
/// Offset of the ring to the server.
const RING_AT: usize = 4096;

fn socket_file() -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    std::env::temp_dir().join(format!("rgpu-shm-{}-{next}", std::process::id()))
}

/// A server that offers a segment to `socket`.
fn offer(socket: OwnedFd) -> std::io::Result<Connection> {
    let offer = shm::Offer::to(&socket).expect("a unix socket");
    offer.make(socket, b"welcome")
}

fn pair() -> (Connection, Connection) {
    let path = socket_file();
    let listener = UnixListener::bind(&path).expect("bind");
    let server = thread::spawn(move || offer(listener.accept().expect("accept").0.into()));
    let mut client = shm::connect(&Url::Unix(path.clone()).into(), TIMEOUT).expect("connect");
    client.receive(&mut [0; 7]).expect("the server's words");
    std::fs::remove_file(path).expect("it is there");
    (client, server.join().expect("server").expect("taken"))
}

/// A client without any of our code.
struct Raw {
    socket: UnixStream,
    room: UnixStream,
    base: NonNull<u8>,
}

impl Raw {
    fn word(&self, at: usize) -> &AtomicU64 {
        // SAFETY: the word is within the mapping and aligned, and used by atomic operations only.
        unsafe { AtomicU64::from_ptr(self.base.add(at).as_ptr().cast()) }
    }

    fn write(&self, at: usize, bytes: &[u8]) {
        assert!(at + bytes.len() <= SIZE);
        // SAFETY: within the mapping, to which no reference exists.
        unsafe {
            self.base
                .add(at)
                .copy_from_nonoverlapping(NonNull::from(bytes).cast(), bytes.len());
        }
    }

    /// Writes words into the ring to the server from its beginning, and says that `head` bytes are there.
    fn say(&self, words: &[u64], head: u64) {
        for (index, word) in words.iter().enumerate() {
            self.write(RING_AT + index * 8, &word.to_le_bytes());
        }
        self.word(HEAD).store(head, Ordering::SeqCst);
        self.ring();
    }

    fn ring(&self) {
        // The other side may have gone already.
        let _ = (&self.socket).write(&[1]);
        let _ = (&self.room).write(&[1]);
    }
}

/// Receives words and the descriptors that come with them.
fn receive_descriptors(socket: &UnixStream) -> Vec<OwnedFd> {
    let mut words = [0; 7];
    let mut space = nix::cmsg_space!([RawFd; 2]);
    let (mut got, mut found) = (0, Vec::new());
    while got < words.len() {
        let mut slices = [IoSliceMut::new(&mut words[got..])];
        let received = recvmsg::<()>(
            socket.as_raw_fd(),
            &mut slices,
            Some(&mut space),
            MsgFlags::empty(),
        )
        .expect("recvmsg");
        for control in received.cmsgs().expect("whole") {
            if let ControlMessageOwned::ScmRights(fds) = control {
                // SAFETY: new descriptors of this process.
                found.extend(fds.iter().map(|fd| unsafe { OwnedFd::from_raw_fd(*fd) }));
            }
        }
        got += received.bytes;
    }
    assert_eq!(&words, b"welcome");
    found
}

fn raw() -> (Raw, Connection) {
    let (socket, theirs) = UnixStream::pair().expect("pair");
    let server = thread::spawn(move || offer(theirs.into()));
    let [file, room]: [OwnedFd; 2] = receive_descriptors(&socket).try_into().expect("two");
    (&socket).write_all(&[1]).expect("taken");
    let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
    let len = NonZeroUsize::new(SIZE).expect("some");
    // SAFETY: a new mapping of a file that cannot shrink.
    let base = unsafe { mmap(None, len, access, MapFlags::MAP_SHARED, &file, 0) }.expect("mmap");
    let raw = Raw {
        socket,
        room: room.into(),
        base: base.cast(),
    };
    (raw, server.join().expect("server").expect("taken"))
}

/// A record in the ring of `len` bytes.
const fn inline(len: u64) -> u64 {
    len
}

/// A record of `len` bytes in slot `index`.
const fn slot(index: u64, len: u64) -> u64 {
    (index + 1) << 32 | len
}

#[test]
fn the_layout_is_the_documented_one() {
    let (raw, mut server) = raw();
    // "abc" in the ring, padded to 8, then "defg" in slot 2.
    let abc = u64::from_le_bytes(*b"abc\0\0\0\0\0");
    raw.write(4096 + 2 * RING + 2 * SLOT, b"defg");
    raw.say(&[inline(3), abc, slot(2, 4)], 24);
    let mut got = [0; 7];
    server.receive(&mut got).expect("receive");
    assert_eq!(&got, b"abcdefg");
    assert_eq!(raw.word(RETURNED).load(Ordering::SeqCst), 1 << 2);

    server
        .send(&[IoSlice::new(b"answer"), IoSlice::new(&[7; 20_000])])
        .expect("send");
    let mut ring = [0; 24];
    // SAFETY: within the mapping.
    let read = |at: usize, into: &mut [u8]| unsafe {
        raw.base
            .add(at)
            .copy_to_nonoverlapping(NonNull::from(&mut *into).cast(), into.len());
    };
    read(RING_AT + RING, &mut ring);
    assert_eq!(raw.word(TO_CLIENT + HEAD).load(Ordering::SeqCst), 24);
    assert_eq!(&ring[..14], b"\x06\0\0\0\0\0\0\0answer");
    assert_eq!(ring[16..], slot(0, 20_000).to_le_bytes());
    let mut bytes = vec![0; 20_000];
    read(4096 + 2 * RING + 8 * SLOT, &mut bytes);
    assert!(bytes == [7; 20_000]);
}

#[test]
fn nonsense_in_the_ring_ends_the_connection() {
    let cases: &[(&str, &[u64], u64)] = &[
        ("half a word", &[inline(1)], 12),
        ("more than the ring holds", &[inline(8)], RING as u64 + 8),
        ("a head that goes back", &[inline(8)], u64::MAX - 7),
        ("nothing", &[inline(0)], 16),
        ("a record longer than what was written", &[inline(9)], 16),
        ("a record of 4 GiB", &[inline(u32::MAX as u64)], 16),
        ("slot 8 of 0 to 7", &[slot(8, 1)], 8),
        ("slot 4 billion", &[slot(u32::MAX as u64 - 1, 1)], 8),
        ("nothing in a slot", &[slot(0, 0)], 8),
        ("more than a slot holds", &[slot(0, SLOT as u64 + 1)], 8),
    ];
    for (what, words, head) in cases {
        let (raw, mut server) = raw();
        raw.say(words, *head);
        let error = server.receive(&mut [0; 1]).expect_err(what);
        assert_eq!(error.kind(), ErrorKind::InvalidData, "{what}: {error}");
    }
}

#[test]
fn a_slot_in_use_cannot_be_filled_again() {
    let (raw, server) = raw();
    let (_sender, mut receiver, _closer) = server.split();
    raw.say(&[slot(3, 100_000), slot(3, 5)], 16);
    let place = receiver.take(100_000).expect("take").expect("in a slot");
    let error = receiver.receive(&mut [0; 5]).expect_err("slot 3 again");
    assert_eq!(error.kind(), ErrorKind::InvalidData);
    drop(place);
}

#[test]
fn a_tail_beyond_the_head_ends_the_connection() {
    for tail in [8, u64::MAX, RING as u64] {
        let (raw, mut server) = raw();
        raw.word(TO_CLIENT + TAIL).store(tail, Ordering::SeqCst);
        let error = server.send(&[IoSlice::new(b"x")]).expect_err("no room");
        assert_eq!(error.kind(), ErrorKind::InvalidData);
    }
}

#[test]
fn slots_that_were_never_sent_cannot_come_back() {
    let (raw, server) = raw();
    let (mut sender, _receiver, _closer) = server.split();
    let first = sender.lend(SLOT).expect("a slot");
    raw.word(TO_CLIENT + RETURNED)
        .store(u64::MAX, Ordering::SeqCst);
    let second = sender.lend(SLOT).expect("another");
    assert_ne!(first.address(), second.address());
}

#[test]
fn what_a_peer_said_before_it_died_arrives() {
    let (raw, mut server) = raw();
    raw.say(&[inline(8), 0x0807_0605_0403_0201, inline(100)], 16);
    drop(raw);
    let mut got = [0; 8];
    server.receive(&mut got).expect("all of it was there");
    assert_eq!(got, [1, 2, 3, 4, 5, 6, 7, 8]);
    let error = server.receive(&mut got).expect_err("the end");
    assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
}

#[test]
fn a_sender_without_room_notices_that_the_peer_is_gone() {
    for long in [1, 100_000] {
        let (raw, mut server) = raw();
        let sending = thread::spawn(move || {
            let bytes = vec![5; long];
            loop {
                if let Err(error) = server.send(&[IoSlice::new(&bytes)]) {
                    return error.kind();
                }
            }
        });
        // Until it sleeps, as nobody takes anything.
        while raw.word(TO_CLIENT + SENDER_SLEEPS).load(Ordering::SeqCst) == 0 {
            thread::yield_now();
        }
        drop(raw);
        assert_eq!(sending.join().expect("thread"), ErrorKind::BrokenPipe);
    }
}

#[test]
fn closing_wakes_a_sender_that_has_no_room() {
    let (_client, server) = pair();
    let (mut sender, _receiver, closer) = server.split();
    let (started, wait_started) = std::sync::mpsc::channel();
    let sending = thread::spawn(move || {
        started.send(()).expect("the test waits");
        sender.send(&[IoSlice::new(&vec![5; 100 << 20])])
    });
    wait_started.recv().expect("it runs");
    closer.close();
    assert!(sending.join().expect("thread").is_err());
}

/// What a hostile server hands over, and whether a client takes it.
fn hand_over(descriptors: &[RawFd]) -> std::io::Result<()> {
    let path = socket_file();
    let listener = UnixListener::bind(&path).expect("bind");
    let mut client = shm::connect(&Url::Unix(path.clone()).into(), TIMEOUT).expect("connect");
    std::fs::remove_file(path).expect("it is there");
    let (server, _) = listener.accept().expect("accept");
    sendmsg::<()>(
        server.as_raw_fd(),
        &[IoSlice::new(b"w")],
        &[ControlMessage::ScmRights(descriptors)],
        MsgFlags::empty(),
        None,
    )
    .expect("sendmsg");
    client.receive(&mut [0; 1])?;
    assert!(client.closer().shared_memory().is_some());
    let mut taken = [0; 1];
    (&server).read_exact(&mut taken).expect("it says so");
    assert_eq!(taken, [1]);
    Ok(())
}

fn memory(bytes: usize, seals: SealFlag) -> OwnedFd {
    let file = memfd_create(c"hostile", MFdFlags::MFD_ALLOW_SEALING).expect("memfd");
    nix::unistd::ftruncate(&file, bytes as i64).expect("ftruncate");
    fcntl(&file, FcntlArg::F_ADD_SEALS(seals)).expect("seals");
    file
}

#[test]
fn only_sealed_memory_of_the_right_size_is_taken() {
    let all = SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SEAL;
    let (_a, b) = UnixStream::pair().expect("pair");
    let good = memory(SIZE, all);
    hand_over(&[good.as_raw_fd(), b.as_raw_fd()]).expect("as it should be");

    let refused = |what: &str, descriptors: &[RawFd]| {
        let error = hand_over(descriptors).expect_err(what);
        assert_eq!(error.kind(), ErrorKind::InvalidData, "{what}: {error}");
    };
    for missing in all.iter() {
        let file = memory(SIZE, all - missing);
        refused("not sealed", &[file.as_raw_fd(), b.as_raw_fd()]);
    }
    let short = memory(SIZE - 1, all);
    refused("short", &[short.as_raw_fd(), b.as_raw_fd()]);
    let long = memory(SIZE + 1, all);
    refused("long", &[long.as_raw_fd(), b.as_raw_fd()]);
    refused("no memory", &[b.as_raw_fd(), b.as_raw_fd()]);
    refused("one only", &[good.as_raw_fd()]);
    refused("three", &[good.as_raw_fd(), b.as_raw_fd(), b.as_raw_fd()]);
    let file = std::fs::File::open("/dev/null").expect("open");
    // Not a socket at all, so that its family cannot be asked for.
    hand_over(&[good.as_raw_fd(), file.as_fd().as_raw_fd()]).expect_err("no socket");
    let tcp = std::net::TcpListener::bind("127.0.0.1:0").expect("bind");
    refused("a tcp socket", &[good.as_raw_fd(), tcp.as_raw_fd()]);
}

#[test]
fn a_client_that_did_not_get_the_segment_goes_on_over_the_socket() {
    let (mut socket, theirs) = UnixStream::pair().expect("pair");
    let server = thread::spawn(move || offer(theirs.into()));
    // Reads as something between would that passes bytes on only.
    socket.read_exact(&mut [0; 7]).expect("words");
    socket.write_all(&[shm::NOT_TAKEN]).expect("write");
    let mut server = server.join().expect("server").expect("over the socket");
    assert!(server.closer().shared_memory().is_none());
    socket.write_all(b"ping").expect("write");
    let mut got = [0; 4];
    server.receive(&mut got).expect("receive");
    assert_eq!(&got, b"ping");
    server.send(&[IoSlice::new(b"pong")]).expect("send");
    socket.read_exact(&mut got).expect("read");
    assert_eq!(&got, b"pong");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever a client writes wherever it can, its server's halves come to an end, and touch nothing else.
    #[test]
    fn no_garbage_harms_the_server(
        steps in prop::collection::vec(step(), 1..20),
        ring in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let (raw, server) = raw();
        let (mut sender, mut receiver, closer) = server.split();
        raw.write(RING_AT, &ring);
        let receiving = thread::spawn(move || {
            let (mut buffer, mut places) = (vec![0; 3 << 20], Vec::new());
            for round in 1.. {
                let end = match receiver.receive_some(&mut buffer[..round % 5 * 1000 + 1]) {
                    Ok(count) => count == 0,
                    Err(error) => {
                        assert_eq!(error.kind(), ErrorKind::InvalidData);
                        true
                    }
                };
                if end {
                    break;
                }
                if let Ok(Some(place)) = receiver.take(round) {
                    places.push(place);
                }
            }
        });
        let sending = thread::spawn(move || {
            let bytes = vec![9; 70_000];
            for long in (0..200).map(|round| [70_000, 10, 3000][round % 3]) {
                if sender.send(&[IoSlice::new(&bytes[..long])]).is_err() {
                    break;
                }
            }
        });
        for (word, value) in steps {
            raw.word(word).store(value, Ordering::SeqCst);
            raw.ring();
        }
        drop(raw);
        sending.join().expect("the sender does not panic");
        receiving.join().expect("the receiver does not panic");
        closer.close();
    }
}

/// A word, and what a peer writes there.
fn step() -> impl Strategy<Value = (usize, u64)> {
    let words = [HEAD, TAIL, RETURNED, RECEIVER_SLEEPS, SENDER_SLEEPS];
    let values = prop_oneof![
        any::<u64>(),
        (0..RING as u64 + 64),
        (0..64_u64).prop_map(|n| n * 8),
        Just(u64::MAX),
    ];
    (0..5_usize, any::<bool>(), values)
        .prop_map(move |(word, way, value)| (words[word] + usize::from(way) * TO_CLIENT, value))
}

/// Numbers that repeat from run to run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    /// Lets time pass: none, so little that the peer spins, or so much that it sleeps.
    fn pause(&mut self) {
        let micros = [0, 0, 0, 1, 5, 20, 90, 110, 300][self.below(9) as usize];
        let until = Instant::now() + Duration::from_micros(micros);
        while Instant::now() < until {
            thread::yield_now();
        }
    }
}

/// The byte at a position of a stream.
fn byte_at(position: u64) -> u8 {
    (position % 251) as u8
}

fn pour(mut sender: Sender, total: u64, mut random: Random) {
    let mut at = 0;
    let pattern: Vec<u8> = (0..251 + (3 << 20)).map(byte_at).collect();
    while at < total {
        let most = [8, 100, 5_000, 20_000, 300_000, 3 << 20][random.below(6) as usize];
        let len = (1 + random.below(most)).min(total - at) as usize;
        let bytes = &pattern[(at % 251) as usize..][..len];
        let (front, back) = bytes.split_at(random.below(len as u64 + 1) as usize);
        sender
            .send(&[IoSlice::new(front), IoSlice::new(back)])
            .expect("send");
        at += len as u64;
        random.pause();
    }
}

fn drain(mut receiver: Receiver, total: u64, mut random: Random) {
    let (mut at, mut buffer) = (0, vec![0; 2 << 20]);
    while at < total {
        let most = [8, 100, 5_000, 2 << 20][random.below(4) as usize];
        let room = (1 + random.below(most)) as usize;
        let count = receiver.receive_some(&mut buffer[..room]).expect("receive");
        assert_ne!(count, 0, "the end after {at} bytes of {total}");
        for byte in &buffer[..count] {
            assert_eq!(*byte, byte_at(at));
            at += 1;
        }
        if random.below(4) == 0 {
            random.pause();
        }
    }
}

#[test]
fn streams_both_ways_arrive_in_order_whoever_is_slower() {
    const TOTAL: u64 = 24 << 20;
    let (a, b) = pair();
    let mut threads = Vec::new();
    let mut closers = Vec::new();
    for (seed, end) in [(1, a), (2, b)] {
        let (sender, receiver, closer) = end.split();
        closers.push(closer);
        threads.push(thread::spawn(move || pour(sender, TOTAL, Random(seed))));
        threads.push(thread::spawn(move || {
            drain(receiver, TOTAL, Random(seed + 10))
        }));
    }
    for thread in threads {
        thread.join().expect("no panic");
    }
}

#[test]
fn no_wake_up_is_lost_in_many_round_trips() {
    const ROUNDS: u64 = 20_000;
    let (mut a, mut b) = pair();
    let echo = thread::spawn(move || {
        let mut random = Random(3);
        let mut bytes = [0; 8];
        for _ in 0..ROUNDS {
            b.receive(&mut bytes).expect("receive");
            random.pause();
            b.send(&[IoSlice::new(&bytes)]).expect("send");
        }
    });
    let mut random = Random(4);
    for round in 0..ROUNDS {
        a.send(&[IoSlice::new(&round.to_le_bytes())]).expect("send");
        random.pause();
        let mut bytes = [0; 8];
        a.receive(&mut bytes).expect("receive");
        assert_eq!(bytes, round.to_le_bytes());
    }
    echo.join().expect("no panic");
}

fn bytes_of(place: &Place) -> Vec<u8> {
    let mut bytes = vec![0; place.len()];
    // SAFETY: the place has so many bytes, and the peers of these tests leave them alone.
    unsafe {
        place
            .address()
            .copy_to_nonoverlapping(NonNull::from(bytes.as_mut_slice()).cast(), place.len());
    }
    bytes
}

#[test]
fn bulk_is_taken_where_it_lies() {
    let (client, server) = pair();
    let (mut sender, _r, _c) = client.split();
    let (_s, mut receiver, _c) = server.split();
    let sending = thread::spawn(move || {
        for piece in 0..40_u8 {
            let body = vec![piece; SLOT];
            sender
                .send(&[IoSlice::new(b"head"), IoSlice::new(&body)])
                .expect("send");
        }
        sender
    });
    let mut places = Vec::new();
    for piece in 0..40_u8 {
        let mut head = [0; 4];
        receiver.receive(&mut head).expect("receive");
        assert_eq!(&head, b"head");
        if piece % 10 == 9 {
            // Others, in another order, on another thread.
            let mut given: Vec<Place> = std::mem::take(&mut places);
            given.reverse();
            thread::spawn(move || drop(given)).join().expect("thread");
        }
        assert!(receiver.take(SLOT - 1).expect("take").is_none(), "not all");
        match receiver.take(SLOT).expect("take") {
            Some(place) => {
                assert!(bytes_of(&place) == vec![piece; SLOT]);
                places.push(place);
                assert!(places.len() <= 6, "two slots always go round");
            }
            None => {
                assert_eq!(places.len(), 6);
                let mut body = vec![0; SLOT];
                receiver.receive(&mut body).expect("receive");
                assert!(body == vec![piece; SLOT]);
            }
        }
    }
    drop(sending.join().expect("no panic"));
}

#[test]
fn lent_slots_are_filled_by_others_and_sent() {
    let (client, server) = pair();
    let (mut sender, _r, _c) = server.split();
    let (mut other, mut receiver, _c) = client.split();
    assert!(
        sender.lend(100).is_none(),
        "small data goes through the ring"
    );
    assert!(sender.lend(SLOT + 1).is_none(), "longer than a slot");
    for round in 0..10_u8 {
        let mut lent: Vec<Place> = std::iter::from_fn(|| sender.lend(50_000)).collect();
        assert_eq!(
            lent.len(),
            6,
            "two slots are left for what is sent meanwhile"
        );
        lent.truncate(3);
        for (place, index) in lent.into_iter().zip(0..) {
            let bytes = vec![round * 10 + index; 50_000];
            // SAFETY: the place has so many bytes, and is nobody else's before it is sent.
            unsafe {
                place
                    .address()
                    .copy_from_nonoverlapping(NonNull::from(bytes.as_slice()).cast(), 50_000);
            }
            sender
                .send_lent(&[IoSlice::new(&[index])], place)
                .expect("send");
            let mut got = vec![0; 50_001];
            receiver.receive(&mut got).expect("receive");
            assert_eq!(got[0], index);
            assert!(got[1..] == bytes);
        }
    }
    let foreign = other.lend(SLOT).expect("a slot of the other direction");
    let error = sender.send_lent(&[], foreign).expect_err("not its own");
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}
