//! One set of tests, run over every transport.

use std::io::{ErrorKind, IoSlice, Read};
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rgpu_transport::{
    Address, Connection, Link, Listener, Url, connect, emulate, from_fd, memory, rdma, shm,
};

const TIMEOUT: Duration = Duration::from_secs(10);

fn over(url: &Url) -> (Connection, Connection) {
    let listener = Listener::bind(url).expect("bind");
    let url = listener.url().expect("url");
    let server = thread::spawn(move || listener.accept().expect("accept"));
    let client = connect(&url.into(), TIMEOUT).expect("connect");
    (client, server.join().expect("server"))
}

fn tcp() -> (Connection, Connection) {
    over(&"tcp://127.0.0.1:0".parse().expect("url"))
}

fn socket_file() -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let name = format!(
        "rgpu-transport-{}-{}",
        std::process::id(),
        NEXT.fetch_add(1, Ordering::Relaxed)
    );
    std::env::temp_dir().join(name)
}

fn unix() -> (Connection, Connection) {
    over(&Url::Unix(socket_file()))
}

/// A client at `address`, whose path nothing else uses, and its server, past their first words.
fn shm_at(path: PathBuf, link: Option<Link>) -> (Connection, Connection) {
    let listener = UnixListener::bind(&path).expect("bind");
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("accept");
        stream.read_exact(&mut [0; 5]).expect("the client's words");
        let socket = OwnedFd::from(stream);
        let offer = shm::Offer::to(&socket).expect("a unix socket");
        offer.make(socket, b"welcome").expect("the client took it")
    });
    let url = Url::Unix(path.clone());
    let mut client = shm::connect(&Address { url, link }, TIMEOUT).expect("connect");
    client.send(&[IoSlice::new(b"hello")]).expect("send");
    let mut words = [0; 7];
    client.receive(&mut words).expect("the server's words");
    assert_eq!(&words, b"welcome");
    assert!(client.closer().shared_memory().is_some(), "over the socket");
    std::fs::remove_file(path).expect("it is there");
    (client, server.join().expect("server"))
}

fn shared_memory() -> (Connection, Connection) {
    shm_at(socket_file(), None)
}

fn turned((a, b): (Connection, Connection)) -> (Connection, Connection) {
    (b, a)
}

fn slower_shared_memory() -> (Connection, Connection) {
    shm_at(socket_file(), Some(LINK))
}

fn rdma() -> (Connection, Connection) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let port = listener.local_addr().expect("address").port();
    let server = thread::spawn(move || {
        let socket = OwnedFd::from(listener.accept().expect("accept").0);
        let offer = rdma::Offer::to(&socket).expect("an RDMA device");
        offer.make(socket, b"words").expect("connect")
    });
    let address: Address = format!("rdma://127.0.0.1:{port}").parse().expect("address");
    let (mut words, upgrade) = rdma::reach(&address, TIMEOUT).expect("connect");
    let mut got = [0; 5];
    words.receive(&mut got).expect("words");
    assert_eq!(&got, b"words");
    let client = upgrade.finish(words).expect("connect");
    (client, server.join().expect("server"))
}

fn handed_over() -> (Connection, Connection) {
    let (a, b) = UnixStream::pair().expect("pair");
    let end = |stream| from_fd(OwnedFd::from(stream)).expect("from_fd");
    (end(a), end(b))
}

const LINK: Link = Link {
    delay: Duration::from_millis(1),
    rate: Some(10_000_000_000),
};

fn slower((a, b): (Connection, Connection)) -> (Connection, Connection) {
    (emulate(a, LINK).expect("threads"), b)
}

fn slower_server(pair: (Connection, Connection)) -> (Connection, Connection) {
    turned(slower(pair))
}

macro_rules! suite {
    ($($(#[$attribute:meta])* $transport:ident: $make:expr;)*) => {$(
        mod $transport {
            use super::*;

            #[test]
            $(#[$attribute])*
            fn slices_arrive_in_order() {
                slices_arrive_in_order_over($make);
            }

            #[test]
            $(#[$attribute])*
            fn a_large_transfer_arrives_whole_both_ways() {
                a_large_transfer_arrives_whole_both_ways_over($make);
            }

            #[test]
            $(#[$attribute])*
            fn the_end_is_seen_by_the_peer() {
                the_end_is_seen_by_the_peer_over($make);
            }

            #[test]
            $(#[$attribute])*
            fn closing_wakes_a_blocked_receiver() {
                closing_wakes_a_blocked_receiver_over($make);
            }

            #[test]
            $(#[$attribute])*
            fn readiness_is_told() {
                readiness_is_told_over($make);
            }

            #[test]
            $(#[$attribute])*
            fn pieces_of_any_size_stay_in_order() {
                pieces_of_any_size_stay_in_order_over($make);
            }

            #[test]
            $(#[$attribute])*
            fn last_words_arrive() {
                last_words_arrive_over($make);
            }

            #[test]
            $(#[$attribute])*
            fn closing_wakes_a_blocked_sender() {
                closing_wakes_a_blocked_sender_over($make);
            }

            #[test]
            $(#[$attribute])*
            fn a_blocked_sender_sees_the_end_of_its_peer() {
                a_blocked_sender_sees_the_end_of_its_peer_over($make);
            }
        }
    )*};
}

suite! {
    over_tcp: tcp();
    over_unix: unix();
    over_shared_memory: shared_memory();
    over_shared_memory_of_a_client: turned(shared_memory());
    over_memory: memory::pair();
    over_a_file_descriptor: handed_over();
    over_a_slower_tcp: slower(tcp());
    over_a_slower_unix_socket: slower_server(unix());
    over_a_slower_shared_memory: slower_shared_memory();
    over_a_slower_memory: slower(memory::pair());
    #[ignore = "needs an RDMA device: `cargo xtask test --rdma` has one"]
    over_rdma: rdma();
}

fn slices_arrive_in_order_over((mut a, mut b): (Connection, Connection)) {
    let many: Vec<Vec<u8>> = (0..200_u8).map(|i| vec![i; usize::from(i)]).collect();
    let slices: Vec<IoSlice<'_>> = many.iter().map(|bytes| IoSlice::new(bytes)).collect();
    a.send(&slices).expect("send");
    let mut got = vec![0; many.concat().len()];
    b.receive(&mut got).expect("receive");
    assert_eq!(got, many.concat());
    a.send(&[]).expect("nothing is sent without harm");
}

fn a_large_transfer_arrives_whole_both_ways_over((a, b): (Connection, Connection)) {
    let bytes: Vec<u8> = (0..8 << 20).map(|i: u32| (i % 251) as u8).collect();
    let exchange = |end: Connection, bytes: Vec<u8>| {
        thread::spawn(move || {
            let (mut sender, mut receiver, _closer) = end.split();
            let mut got = vec![0; bytes.len()];
            let sending = bytes.clone();
            let sending =
                thread::spawn(move || sender.send(&[IoSlice::new(&sending)]).map(|()| sender));
            receiver.receive(&mut got).expect("receive");
            sending.join().expect("thread").expect("send");
            assert!(got == bytes);
        })
    };
    let (one, two) = (exchange(a, bytes.clone()), exchange(b, bytes));
    one.join().expect("one");
    two.join().expect("two");
}

fn the_end_is_seen_by_the_peer_over((mut a, mut b): (Connection, Connection)) {
    a.send(&[IoSlice::new(b"ab")]).expect("send");
    drop(a);
    let mut got = [0; 3];
    let error = b.receive(&mut got).expect_err("the stream ended");
    assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
}

fn closing_wakes_a_blocked_receiver_over((mut a, b): (Connection, Connection)) {
    let closer = a.closer();
    let blocked = thread::spawn(move || a.receive(&mut [0; 1]));
    closer.close();
    assert!(blocked.join().expect("thread").is_err());
    closer.close();
    drop(b);
}

fn readiness_is_told_over((a, mut b): (Connection, Connection)) {
    let (_sender, mut receiver, _closer) = a.split();
    assert!(!receiver.wait_ready(Some(Duration::ZERO)).expect("poll"));
    b.send(&[IoSlice::new(b"x")]).expect("send");
    assert!(receiver.wait_ready(Some(TIMEOUT)).expect("poll"));
    receiver.receive(&mut [0; 1]).expect("receive");
    drop(b);
    assert!(receiver.wait_ready(None).expect("the end counts as ready"));
}

fn pieces_of_any_size_stay_in_order_over((mut a, b): (Connection, Connection)) {
    // Around what transports may have as limits, and in between.
    let sizes = [
        1, 31, 32, 33, 4095, 4096, 4097, 5000, 65_536, 262_143, 262_144, 262_145, 266_241,
        1_048_608,
    ];
    let bytes = |round: usize, size: usize| -> Vec<u8> {
        (0..size)
            .map(|at| ((at * 7 + round * 13 + size) % 253) as u8)
            .collect()
    };
    let all: Vec<u8> = (0..2)
        .flat_map(|round| sizes.iter().flat_map(move |size| bytes(round, *size)))
        .collect();
    let sending = thread::spawn(move || {
        for round in 0..2 {
            for size in sizes {
                let piece = bytes(round, size);
                let (head, tail) = piece.split_at(size.min(32));
                a.send(&[IoSlice::new(head), IoSlice::new(&[]), IoSlice::new(tail)])
                    .expect("send");
            }
        }
        a
    });
    let (_sender, mut receiver, _closer) = b.split();
    let mut got = Vec::new();
    let mut buffer = vec![0; 100_003];
    let mut most = 1;
    while got.len() < all.len() {
        most = most % buffer.len() * 3 % 100_003 + 1;
        let count = receiver.receive_some(&mut buffer[..most]).expect("receive");
        assert!(count > 0, "ended after {} bytes", got.len());
        got.extend_from_slice(&buffer[..count]);
    }
    assert!(got == all);
    drop(sending.join().expect("thread"));
}

fn last_words_arrive_over((mut a, mut b): (Connection, Connection)) {
    let words = vec![7; 600_000];
    let sending = {
        let words = words.clone();
        thread::spawn(move || {
            a.send(&[IoSlice::new(&words)]).expect("send");
            a.send(&[IoSlice::new(b"end")]).expect("send");
            drop(a);
        })
    };
    let mut got = vec![0; words.len() + 3];
    b.receive(&mut got).expect("receive");
    assert!(got[..words.len()] == words && got.ends_with(b"end"));
    let error = b.receive(&mut [0]).expect_err("nothing follows");
    assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
    sending.join().expect("thread");
}

/// Sends without end, until it fails; the number of pieces sent.
fn flood(mut end: Connection, sent: &AtomicUsize) {
    let piece = vec![1; 1 << 20];
    while end.send(&[IoSlice::new(&piece)]).is_ok() {
        sent.fetch_add(1, Ordering::Relaxed);
    }
}

/// Waits until a flood has filled whatever there is to fill. Nobody tells when a sender blocks: that it has sent nothing
/// for a while is all there is to see.
fn until_it_blocks(sent: &AtomicUsize) {
    let mut before = usize::MAX;
    while before != sent.load(Ordering::Relaxed) {
        before = sent.load(Ordering::Relaxed);
        thread::sleep(Duration::from_millis(50));
    }
}

fn closing_wakes_a_blocked_sender_over((a, b): (Connection, Connection)) {
    let (closer, sent) = (a.closer(), Arc::new(AtomicUsize::new(0)));
    let flooding = thread::spawn({
        let sent = Arc::clone(&sent);
        move || flood(a, &sent)
    });
    until_it_blocks(&sent);
    assert!(!flooding.is_finished(), "nobody reads, so it waits");
    closer.close();
    flooding.join().expect("woken");
    drop(b);
}

fn a_blocked_sender_sees_the_end_of_its_peer_over((a, b): (Connection, Connection)) {
    let sent = Arc::new(AtomicUsize::new(0));
    let flooding = thread::spawn({
        let sent = Arc::clone(&sent);
        move || flood(a, &sent)
    });
    until_it_blocks(&sent);
    assert!(!flooding.is_finished(), "nobody reads, so it waits");
    drop(b);
    flooding.join().expect("woken");
}

#[test]
fn a_port_where_nobody_listens_is_refused_at_once() {
    let listener = Listener::bind(&"tcp://127.0.0.1:0".parse().expect("url")).expect("bind");
    let url = listener.url().expect("url");
    drop(listener);
    let error = connect(&url.into(), TIMEOUT).expect_err("nobody listens");
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
}

#[test]
fn a_stale_socket_file_is_replaced_and_a_live_one_is_not() {
    let path = std::env::temp_dir().join(format!("rgpu-transport-stale-{}", std::process::id()));
    drop(UnixListener::bind(&path).expect("a socket file that stays behind"));
    let url = Url::Unix(path);
    let live = Listener::bind(&url).expect("stale file replaced");
    let error = Listener::bind(&url).expect_err("live socket kept");
    assert_eq!(error.kind(), ErrorKind::AddrInUse);
    drop(live);
}

fn delayed(delay: Duration) -> (Connection, Connection) {
    let (a, b) = memory::pair();
    let link = Link { delay, rate: None };
    (emulate(a, link).expect("threads"), b)
}

#[test]
fn a_round_trip_takes_the_delay() {
    let delay = Duration::from_millis(20);
    let (mut a, mut b) = delayed(delay);
    let since = Instant::now();
    a.send(&[IoSlice::new(b"ping")]).expect("send");
    b.receive(&mut [0; 4]).expect("receive");
    assert!(since.elapsed() >= delay / 2);
    b.send(&[IoSlice::new(b"pong")]).expect("send");
    a.receive(&mut [0; 4]).expect("receive");
    assert!(since.elapsed() >= delay);
}

#[test]
fn a_rate_spaces_bytes_out() {
    let (a, mut b) = memory::pair();
    let link = "unix:/x?rate=8mbit"
        .parse::<Address>()
        .expect("address")
        .link;
    let mut a = emulate(a, link.expect("a link")).expect("threads");
    let since = Instant::now();
    a.send(&[IoSlice::new(&[7; 50_000])]).expect("send");
    a.send(&[IoSlice::new(&[8; 50_000])]).expect("send");
    let mut got = vec![0; 100_000];
    b.receive(&mut got).expect("receive");
    // 800,000 bits.
    assert!(since.elapsed() >= Duration::from_millis(100));
    assert!(got[..50_000] == [7; 50_000] && got[50_000..] == [8; 50_000]);
}

#[test]
fn frames_under_way_do_not_hold_up_others() {
    let (mut a, mut b) = delayed(Duration::from_secs(600));
    for frame in 0..100 {
        a.send(&[IoSlice::new(&[frame; 10])]).expect("send");
    }
    b.send(&[IoSlice::new(b"answer")]).expect("send");
    // All are under way at once, and none of them has arrived.
    let closer = a.closer();
    let (sender, mut receiver, _closer) = a.split();
    assert!(!receiver.wait_ready(Some(Duration::ZERO)).expect("poll"));
    closer.close();
    assert!(receiver.receive(&mut [0; 1]).is_err());
    drop(sender);
    assert!(b.receive(&mut [0; 1]).is_err(), "closed before it arrived");
}

#[test]
fn what_was_sent_arrives_though_the_sender_is_gone() {
    let (mut a, mut b) = delayed(Duration::from_millis(20));
    a.send(&[IoSlice::new(b"last words")]).expect("send");
    let (sender, _receiver, _closer) = a.split();
    drop(sender);
    let mut got = [0; 10];
    b.receive(&mut got).expect("receive");
    assert_eq!(&got, b"last words");
}
