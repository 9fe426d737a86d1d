//! What a hostile peer can do: break its own connection. These need a device: `cargo xtask test --rdma` has one.

use std::io::{ErrorKind, IoSlice};
use std::net::TcpListener;
use std::thread;

use super::*;
use crate::{Close, ReceiveBytes, SendBytes};
use sizes::{CELL, CELLS, END, IN_SLOT, SLOT, SLOTS, credits};

type Side = (RdmaSender, RdmaReceiver, RdmaCloser);

fn sockets() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let a = TcpStream::connect(listener.local_addr().expect("address")).expect("connect");
    (a, listener.accept().expect("accept").0)
}

/// Two sides, of which the test makes the first do what none does.
fn pair() -> (Side, Side) {
    let (a, b) = sockets();
    let join = |socket: TcpStream, turn| {
        let offer = Offer::to(&socket).expect("an RDMA device");
        offer.join(socket, turn).expect("connect")
    };
    let other = thread::spawn(move || join(b, Turn::Second));
    (join(a, Turn::First), other.join().expect("thread"))
}

/// The receiver of a side whose peer does `what` ends with an error that holds `words`.
fn refused(what: impl FnOnce(&mut RdmaSender), words: &str) {
    let ((mut hostile, mut answers, _), (_sender, mut receiver, _closer)) = pair();
    what(&mut hostile);
    let error = receiver.receive(&mut [0; 1]).expect_err("refused");
    assert!(error.to_string().contains(words), "{error}");
    let error = answers
        .receive(&mut [0; 1])
        .expect_err("and the connection ends");
    assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
    let error = receiver.receive(&mut [0; 1]).expect_err("for good");
    assert_eq!(error.kind(), ErrorKind::BrokenPipe);
}

#[test]
#[ignore = "needs an RDMA device: `cargo xtask test --rdma` has one"]
fn messages_that_no_peer_sends_end_the_connection() {
    refused(
        |s| s.queue.send(9, None, Some(77)).expect("post"),
        "no peer sends",
    );
    refused(
        |s| s.queue.send(9, None, None).expect("post"),
        "no peer sends",
    );
    let loud = |s: &mut RdmaSender| {
        let part = s.staging.part(0, 8);
        s.queue.send(9, Some(part), Some(END)).expect("post");
    };
    refused(loud, "no peer sends");
    let unknown = |s: &mut RdmaSender| {
        let part = s.staging.part(0, 8);
        s.queue.write(9, part, s.slots, IN_SLOT + 5).expect("post");
    };
    refused(unknown, "no peer sends");
}

#[test]
#[ignore = "needs an RDMA device: `cargo xtask test --rdma` has one"]
fn lengths_are_checked() {
    let long = |s: &mut RdmaSender| {
        let part = s.staging.part(0, CELL + 1);
        s.queue.send(9, Some(part), None).expect("post");
    };
    refused(long, "the connection broke");
    let longer_than_a_slot = |s: &mut RdmaSender| {
        let part = s.staging.part(0, SLOT + 1);
        s.queue.write(9, part, s.slots, IN_SLOT).expect("post");
    };
    refused(longer_than_a_slot, "no peer sends");
    let empty = |s: &mut RdmaSender| {
        let part = s.staging.part(0, 0);
        s.queue.write(9, part, s.slots, IN_SLOT).expect("post");
    };
    refused(empty, "no peer sends");
}

#[test]
#[ignore = "needs an RDMA device: `cargo xtask test --rdma` has one"]
fn only_the_slots_can_be_written() {
    let behind_them = |s: &mut RdmaSender| {
        let part = s.staging.part(0, 8);
        let (address, key) = s.slots;
        let there = (address + (SLOTS * SLOT) as u64 - 4, key);
        s.queue.write(9, part, there, IN_SLOT).expect("post");
    };
    // The device of the side that is written to refuses, and tells both.
    let ((mut hostile, ..), (_sender, mut receiver, _closer)) = pair();
    behind_them(&mut hostile);
    let error = loop {
        if let Err(error) = hostile.reap() {
            break error;
        }
    };
    assert!(error.to_string().contains("remote access"), "{error}");
    drop(hostile);
    assert!(receiver.receive(&mut [0; 1]).is_err());
}

#[test]
#[ignore = "needs an RDMA device: `cargo xtask test --rdma` has one"]
fn writes_without_credits_end_the_connection() {
    let ((mut hostile, ..), (_sender, mut receiver, _closer)) = pair();
    for at in 0..=SLOTS {
        let part = hostile.staging.part(0, 8);
        let there = (
            hostile.slots.0 + (at % SLOTS * SLOT) as u64,
            hostile.slots.1,
        );
        hostile.queue.write(9, part, there, IN_SLOT).expect("post");
    }
    // The device is done with them, so they have arrived.
    let mut done = 0;
    while done <= SLOTS {
        done += usize::from(hostile.queue.next().expect("sent").is_some());
    }
    // What came within its credits is the peer's to send.
    receiver
        .receive(&mut [0; 8 * SLOTS])
        .expect("as many as there are slots");
    let error = receiver.receive(&mut [0; 1]).expect_err("one too many");
    assert!(error.to_string().contains("credits"), "{error}");
}

#[test]
#[ignore = "needs an RDMA device: `cargo xtask test --rdma` has one"]
fn credits_that_nobody_has_end_the_connection() {
    let ((_sender, mut hostile, _), (mut sender, ..)) = pair();
    let more = Some(credits(CELLS, SLOTS));
    hostile.queue.send(9, None, more).expect("post");
    while hostile.queue.next().expect("sent").is_none() {}
    let error = sender.send(&[IoSlice::new(b"x")]).expect_err("refused");
    assert!(error.to_string().contains("more credits"), "{error}");
}

#[test]
#[ignore = "needs an RDMA device: `cargo xtask test --rdma` has one"]
fn a_process_that_dies_is_noticed() {
    let ((sender, receiver, closer), (mut other, mut waiting, _closer)) = pair();
    other.send(&[IoSlice::new(b"x")]).expect("send");
    // As the system does when a process dies: no last message, and the descriptors are closed.
    std::mem::forget((sender, receiver));
    closer.close();
    let error = waiting.receive(&mut [0; 1]).expect_err("gone");
    assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
}

#[test]
#[ignore = "needs an RDMA device: `cargo xtask test --rdma` has one"]
fn what_is_no_card_is_refused() {
    let (a, mut b) = sockets();
    let words = [b'x'; card::LEN];
    let other = thread::spawn(move || b.write_all(&words).map(|()| b));
    let error = Offer::to(&a)
        .expect("a device")
        .join(a, Turn::First)
        .map(drop);
    let error = error.expect_err("no card").to_string();
    assert!(error.contains("something else"), "{error}");
    drop(other.join().expect("thread").expect("written"));
}
