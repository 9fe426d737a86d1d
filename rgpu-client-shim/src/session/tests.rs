//! A session against a server that a test plays by hand, over the in-memory transport.

use std::io::IoSlice;
use std::thread;

use proptest::prelude::*;
use rgpu_proto::frame::{HEADER_LEN, Header};
use rgpu_proto::handle::{Id, Stream};
use rgpu_proto::limits::{INLINE_DATA, MAX_CHUNK};
use rgpu_proto::msg::memory::{CopyIn, CopyOut, Extent, Pitched};
use rgpu_proto::msg::stream::{HostFuncDone, HostFuncDue};
use rgpu_proto::msg::{Credit, ReplyHead};
use rgpu_proto::session::{Incoming, Outgoing as Numbers};
use rgpu_transport::memory::pair;

use super::*;

const SYNC: Opcode = Opcode::of("cuStreamSynchronize");
const RECORD: Opcode = Opcode::of("cuEventRecord");

struct Server {
    connection: Connection,
    numbers: Numbers,
    incoming: Incoming,
}

impl Server {
    /// The next frame, checked as a server checks it.
    fn next(&mut self) -> (Header, Vec<u8>) {
        let mut bytes = [0; HEADER_LEN];
        self.connection.receive(&mut bytes).expect("a frame");
        let header = Header::from_bytes(&bytes).expect("a good frame");
        self.incoming
            .accept(&header, self.numbers.last())
            .expect("in order");
        let mut body = vec![0; header.len as usize];
        self.connection.receive(&mut body).expect("its body");
        (header, body)
    }

    fn send(&mut self, op: Opcode, flags: Flags, re: u64, body: &[u8]) {
        let header = Header {
            len: body.len() as u32,
            op,
            flags,
            seq: self.numbers.next(),
            re,
            ctx: 0,
            lane: 0,
        };
        let header = header.to_bytes();
        self.connection
            .send(&[IoSlice::new(&header), IoSlice::new(body)])
            .expect("the client listens");
    }

    fn reply(&mut self, to: &Header, status: u32, deferred: u32, more: &[u8]) {
        self.reply_as(to, Flags::REPLY, status, deferred, more);
    }

    fn reply_as(&mut self, to: &Header, flags: Flags, status: u32, deferred: u32, more: &[u8]) {
        let mut body = wire::to_bytes(&ReplyHead {
            status,
            deferred,
            deferred_op: RECORD.0,
        });
        body.extend_from_slice(more);
        self.send(to.op, flags, to.seq, &body);
    }
}

fn connected(credit: u64) -> (&'static Session, Server) {
    let (client, server) = pair();
    let session = Box::leak(Box::new(Session::new(client, credit, false)));
    let server = Server {
        connection: server,
        numbers: Numbers::default(),
        incoming: Incoming::default(),
    };
    (session, server)
}

fn out_of(bytes: u64) -> CopyOut {
    CopyOut {
        src: Pitched::linear(0x1000),
        extent: Extent::linear(bytes),
        stream: Id::<Stream>::new(20),
    }
}

fn target(bytes: &mut [u8]) -> HostBox {
    HostBox::linear(bytes.as_mut_ptr() as usize, bytes.len())
}

#[test]
fn posted_calls_arrive_in_order_though_nobody_waits() {
    let (session, mut server) = connected(0);
    for number in 0..1000_u32 {
        session.post(RECORD, &number).unwrap();
    }
    for number in 0..1000_u32 {
        let (header, body) = server.next();
        assert_eq!((header.op, header.flags), (RECORD, Flags::default()));
        assert_eq!(body, number.to_le_bytes());
    }
}

#[test]
fn answers_may_overtake_each_other() {
    let (session, mut server) = connected(0);
    let callers: Vec<_> = (0..4_u32)
        .map(|number| thread::spawn(move || session.call(SYNC, &number).unwrap()))
        .collect();
    let calls: Vec<_> = callers.iter().map(|_| server.next()).collect();
    for (header, body) in calls.iter().rev() {
        assert!(header.flags.has(Flags::WAIT));
        server.reply(header, 0, 0, body);
    }
    for (number, caller) in (0..4_u32).zip(callers) {
        assert_eq!(caller.join().unwrap(), number.to_le_bytes());
    }
}

#[test]
fn an_error_of_a_posted_call_comes_with_the_next_answer_and_once() {
    let (session, mut server) = connected(0);
    let caller = thread::spawn(move || [(); 3].map(|()| session.call(SYNC, &0_u32).err()));
    let (first, _) = server.next();
    server.reply(&first, 0, Status::ERROR_INVALID_VALUE.0, &[]);
    let (second, _) = server.next();
    server.reply(&second, 0, 0, &[]);
    let (third, _) = server.next();
    server.reply(&third, Status::ERROR_NOT_READY.0, 0, &[]);
    let results = caller.join().unwrap();
    assert_eq!(
        results,
        [
            Some(Status::ERROR_INVALID_VALUE),
            None,
            Some(Status::ERROR_NOT_READY)
        ]
    );
}

#[test]
fn a_sticky_error_stays() {
    let (session, mut server) = connected(0);
    let caller = thread::spawn(move || session.call(SYNC, &0_u32).err());
    let (header, _) = server.next();
    server.reply(&header, Status::ERROR_ILLEGAL_ADDRESS.0, 0, &[]);
    assert_eq!(caller.join().unwrap(), Some(Status::ERROR_ILLEGAL_ADDRESS));
    assert_eq!(
        session.post(RECORD, &0_u32),
        Err(Status::ERROR_ILLEGAL_ADDRESS)
    );
    assert_eq!(
        session.call(SYNC, &0_u32),
        Err(Status::ERROR_ILLEGAL_ADDRESS)
    );
}

#[test]
fn a_server_that_goes_wakes_everybody() {
    let (session, mut server) = connected(0);
    let callers: Vec<_> = (0..3)
        .map(|_| thread::spawn(move || session.call(SYNC, &0_u32).err()))
        .collect();
    for _ in &callers {
        server.next();
    }
    drop(server);
    for caller in callers {
        assert_eq!(caller.join().unwrap(), Some(LOST));
    }
    assert_eq!(session.post(RECORD, &0_u32), Err(LOST));
}

#[test]
fn a_server_that_breaks_the_protocol_is_left() {
    for broken in [
        |server: &mut Server, to: &Header| server.send(to.op, Flags::REPLY, 77, &[0; 10]),
        |server: &mut Server, to: &Header| server.send(to.op, Flags::REPLY, to.seq, &[0; 3]),
        |server: &mut Server, to: &Header| server.send(Opcode::DATA, Flags::LAST, to.seq, &[1]),
        |server: &mut Server, _: &Header| server.send(Opcode::PING, Flags::default(), 0, &[]),
        |server: &mut Server, to: &Header| {
            server.numbers.next();
            server.reply(to, 0, 0, &[]);
        },
    ] {
        let (session, mut server) = connected(0);
        let caller = thread::spawn(move || session.call(SYNC, &0_u32).err());
        let (header, _) = server.next();
        broken(&mut server, &header);
        assert_eq!(caller.join().unwrap(), Some(LOST));
    }
}

#[test]
fn data_lands_in_the_applications_rows() {
    let (session, mut server) = connected(0);
    let caller = thread::spawn(move || {
        let mut rows = vec![0_u8; 40];
        let target = HostBox {
            pitch: 10,
            slice: 40,
            width: 4,
            height: 4,
            ..target(&mut rows)
        };
        session.copy_out(&out_of(16), target, 20, true).unwrap();
        rows
    });
    let (header, _) = server.next();
    let data: Vec<u8> = (1..=16).collect();
    server.reply(&header, 0, 0, &data);
    let rows = caller.join().unwrap();
    for row in 0..4 {
        assert_eq!(rows[row * 10..row * 10 + 4], data[row * 4..row * 4 + 4]);
        assert!(
            row == 3
                || rows[row * 10 + 4..row * 10 + 10]
                    .iter()
                    .all(|byte| *byte == 0)
        );
    }
}

#[test]
fn bulk_data_comes_in_chunks_and_may_end_early() {
    let (session, mut server) = connected(0);
    let len = 2 * MAX_CHUNK + 5;
    let caller = thread::spawn(move || {
        let mut bytes = vec![0_u8; len];
        let place = target(&mut bytes);
        let whole = session.copy_out(&out_of(len as u64), place, 20, true);
        let sum = bytes.iter().map(|byte| u64::from(*byte)).sum::<u64>();
        let early = session.copy_out(&out_of(len as u64), place, 20, true);
        (whole, sum, early)
    });
    let (header, _) = server.next();
    server.reply_as(&header, Flags::REPLY.and(Flags::BULK), 0, 0, &[]);
    for (chunk, flags) in [
        (MAX_CHUNK, Flags::default()),
        (MAX_CHUNK, Flags::default()),
        (5, Flags::LAST),
    ] {
        server.send(Opcode::DATA, flags, header.seq, &vec![3; chunk]);
    }
    let (header, _) = server.next();
    server.reply_as(&header, Flags::REPLY.and(Flags::BULK), 0, 0, &[]);
    server.send(Opcode::DATA, Flags::LAST, header.seq, &[]);
    // The client asks why.
    let (ping, _) = server.next();
    assert_eq!(ping.op, Opcode::PING);
    server.reply(&ping, 0, Status::ERROR_ILLEGAL_ADDRESS.0, &[]);
    let (whole, sum, early) = caller.join().unwrap();
    assert_eq!((whole, sum), (Ok(()), 3 * len as u64));
    assert_eq!(early, Err(Status::ERROR_ILLEGAL_ADDRESS));
}

#[test]
fn a_copy_that_nobody_waits_for_arrives_before_the_next_wait_returns() {
    let (session, mut server) = connected(0);
    let bytes = Box::leak(vec![0_u8; 64].into_boxed_slice());
    let place = target(bytes);
    session.copy_out(&out_of(64), place, 20, false).unwrap();
    assert_eq!(session.copies_due(place.at + 63, place.at + 64), [20]);
    assert!(session.copies_due(place.at + 64, place.at + 65).is_empty());
    let caller = thread::spawn(move || session.call(SYNC, &20_u32).unwrap());
    let (copy, _) = server.next();
    assert!(!copy.flags.has(Flags::WAIT));
    let (sync, _) = server.next();
    server.reply(&copy, 0, 0, &[9; 64]);
    server.reply(&sync, 0, 0, &[]);
    caller.join().unwrap();
    assert!(session.copies_due(place.at, place.end()).is_empty());
    // SAFETY: the bytes were leaked above, and the copy into them is over.
    let bytes = unsafe { std::slice::from_raw_parts(place.at as *const u8, 64) };
    assert!(bytes.iter().all(|byte| *byte == 9));
}

#[test]
fn a_copy_that_nobody_waits_for_arrives_though_nobody_calls() {
    let (session, mut server) = connected(0);
    let bytes = Box::leak(vec![0_u8; 8].into_boxed_slice());
    let place = target(bytes);
    session.copy_out(&out_of(8), place, 20, false).unwrap();
    let (copy, _) = server.next();
    server.reply(&copy, 0, 0, &[5; 8]);
    while !session.copies_due(place.at, place.end()).is_empty() {
        thread::yield_now();
    }
}

#[test]
fn bulk_data_waits_for_credit() {
    let (session, mut server) = connected(MAX_CHUNK as u64);
    let sender = thread::spawn(move || {
        let bytes = vec![7_u8; 3 * MAX_CHUNK];
        let body = CopyIn {
            dst: Pitched::linear(0x1000),
            extent: Extent::linear(bytes.len() as u64),
            stream: Id::new(20),
        };
        session.copy_in(&body, HostBox::linear(bytes.as_ptr() as usize, bytes.len()))
    });
    let (call, _) = server.next();
    assert!(call.op == Opcode::COPY_IN && call.flags.has(Flags::BULK));
    for last in [false, false, true] {
        let (data, body) = server.next();
        assert_eq!(
            (data.op, data.re, body.len()),
            (Opcode::DATA, call.seq, MAX_CHUNK)
        );
        assert_eq!(data.flags.has(Flags::LAST), last);
        let credit = wire::to_bytes(&Credit {
            bytes: MAX_CHUNK as u64,
        });
        server.send(Opcode::CREDIT, Flags::default(), 0, &credit);
    }
    assert_eq!(sender.join().unwrap(), Ok(()));
}

#[test]
fn a_transfer_that_waits_for_credit_holds_nobody_up() {
    let (session, mut server) = connected(MAX_CHUNK as u64);
    let sender = thread::spawn(move || {
        let bytes = vec![7_u8; 2 * MAX_CHUNK];
        let body = CopyIn {
            dst: Pitched::linear(0x1000),
            extent: Extent::linear(bytes.len() as u64),
            stream: Id::new(20),
        };
        session.copy_in(&body, HostBox::linear(bytes.as_ptr() as usize, bytes.len()))
    });
    let (call, _) = server.next();
    assert_eq!(server.next().0.re, call.seq);
    let other = thread::spawn(move || session.call(SYNC, &0_u32));
    let (sync, _) = server.next();
    assert_eq!(sync.op, SYNC);
    server.reply(&sync, 0, 0, &[]);
    assert!(other.join().unwrap().is_ok());
    let credit = wire::to_bytes(&Credit {
        bytes: MAX_CHUNK as u64,
    });
    server.send(Opcode::CREDIT, Flags::default(), 0, &credit);
    let (last, _) = server.next();
    assert!(last.re == call.seq && last.flags.has(Flags::LAST));
    assert_eq!(sender.join().unwrap(), Ok(()));
}

#[test]
fn small_data_travels_inside_its_call() {
    let (session, mut server) = connected(0);
    let bytes = vec![1_u8; INLINE_DATA];
    let body = CopyIn {
        dst: Pitched::linear(0x1000),
        extent: Extent::linear(bytes.len() as u64),
        stream: Id::new(20),
    };
    session
        .copy_in(&body, HostBox::linear(bytes.as_ptr() as usize, bytes.len()))
        .unwrap();
    let (call, sent) = server.next();
    assert!(!call.flags.has(Flags::BULK));
    assert_eq!(sent.len(), wire::to_bytes(&body).len() + INLINE_DATA);
}

#[test]
fn host_functions_run_when_they_are_due() {
    static RAN: AtomicU32 = AtomicU32::new(0);
    unsafe extern "C" fn note(data: *mut std::ffi::c_void) {
        // In order, each once.
        assert_eq!(
            RAN.swap(data as usize as u32, Ordering::SeqCst) + 1,
            data as usize as u32
        );
    }
    let (session, mut server) = connected(0);
    for number in 1..=3 {
        let function = HostFunction {
            stream: 20,
            order: 20,
            handle: 0,
            data: number,
            call: Callee::Plain(note),
        };
        session.post_host_function(function, false).unwrap();
    }
    assert!(session.host_functions().any_in(Some(20)));
    assert!(!session.host_functions().any_in(Some(21)));
    let calls: Vec<HostFunc> = (0..3)
        .map(|_| wire::from_bytes(&server.next().1).unwrap())
        .collect();
    for (number, call) in (1..).zip(calls) {
        let due = wire::to_bytes(&HostFuncDue {
            token: call.token,
            status: 0,
        });
        server.send(Opcode::HOST_FUNC_DUE, Flags::default(), 0, &due);
        let (header, body) = server.next();
        assert_eq!(header.op, Opcode::HOST_FUNC_DONE);
        let done: HostFuncDone = wire::from_bytes(&body).unwrap();
        assert_eq!(
            (done.token, RAN.load(Ordering::SeqCst)),
            (call.token, number)
        );
    }
    assert!(!session.host_functions().any_in(None));
}

#[test]
fn the_end_of_the_program_is_announced() {
    let (session, mut server) = connected(0);
    session.post(RECORD, &1_u32).unwrap();
    session.finish();
    assert_eq!(server.next().0.op, RECORD);
    assert_eq!(server.next().0.op, Opcode::GOODBYE);
    assert!(session.call(SYNC, &0_u32).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever a server sends, a call returns, and nothing panics (a panic while reading is caught, and logged
    /// as an internal error).
    #[test]
    fn no_bytes_of_a_server_hang_or_break_a_call(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        headers in prop::collection::vec((0_u32..80, 0_usize..20, 0_u16..16, 0_u64..4), 0..4),
    ) {
        let (session, mut server) = connected(0);
        let mut room = [0_u8; 64];
        let place = target(&mut room);
        let caller = thread::spawn(move || session.copy_out(&out_of(64), place, 20, true));
        server.next();
        for (len, op, flags, re) in headers {
            let op = [Opcode::COPY_OUT, Opcode::DATA, Opcode::CREDIT, Opcode::GOODBYE, SYNC][op % 5];
            let body: Vec<u8> = bytes.iter().copied().cycle().take(len as usize).collect();
            let seq = server.numbers.next();
            let header = Header { len: body.len() as u32, op, flags: Flags(flags), seq, re, ctx: 0, lane: 0 };
            // The client may have left already.
            let _ = server.connection.send(&[IoSlice::new(&header.to_bytes()), IoSlice::new(&body)]);
        }
        let _ = server.connection.send(&[IoSlice::new(&bytes)]);
        drop(server);
        let _ = caller.join().expect("no panic");
        // The buffer is this test's, and the call that fills it is over.
        let _ = room;
    }
}

const WATCH: Opcode = Opcode::of("cuEventSynchronize");

#[test]
fn a_watch_is_looked_for_without_waiting() {
    let (session, mut server) = connected(0);
    let news = session.news();
    let watch = session.watch(WATCH, &0_u32).unwrap();
    let (header, _) = server.next();
    assert_eq!((header.op, header.flags), (WATCH, Flags::default()));
    assert_eq!(session.look(watch), None);
    assert_eq!(session.news(), news);
    server.reply(&header, 0, 0, &[]);
    assert_eq!(session.look(watch), Some(Status::SUCCESS));
    assert_ne!(session.news(), news);
    assert_eq!(session.look(watch), None, "it is taken once");
}

#[test]
fn a_watch_given_up_leaves_nothing_behind() {
    let (session, mut server) = connected(0);
    let watches = [(); 2].map(|()| session.watch(WATCH, &0_u32).unwrap());
    let [first, second] = [(); 2].map(|()| server.next().0);
    session.give_up(watches[0]);
    server.reply(&first, Status::ERROR_INVALID_HANDLE.0, 0, &[]);
    server.reply(&second, 0, 0, &[]);
    assert_eq!(session.look(watches[1]), Some(Status::SUCCESS));
    assert_eq!(session.look(watches[0]), None);
    // As of any call that nobody waits for, its error comes with the next answer.
    assert_eq!(
        session.judge(Status::SUCCESS),
        Err(Status::ERROR_INVALID_HANDLE)
    );
}
