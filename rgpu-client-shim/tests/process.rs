//! Whole processes: this test binary runs itself as the application, against a server played here.
//!
//! `application` is the application; which one, the variable `ROLE` says. It is ignored when run by itself.

use std::io::{IoSlice, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use rgpu_client::entry::*;
use rgpu_proto::frame::{Flags, HEADER_LEN, Header};
use rgpu_proto::hello::{
    self, ClientHello, Device, FEATURE_SHM, HelloKind, PREAMBLE_LEN, Preamble, Refusal,
    RefusalCode, ServerHello, VERSION,
};
use rgpu_proto::msg::ReplyHead;
use rgpu_proto::opcode::Opcode;
use rgpu_proto::wire::{self, Encode};
use rgpu_trace::{Event, Kind};
use rgpu_transport::{Connection, Listener, Url, shm};

/// What a server saw of its client.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Hello(String),
    Frame(Opcode),
    Closed,
}

fn server_hello() -> ServerHello {
    let device = Device {
        name: "played GPU".into(),
        uuid: [7; 16],
        total_memory: 1 << 30,
        pci_bus_id: "0000:01:00.0".into(),
        attributes: vec![(75, 9), (76, 0)],
    };
    ServerHello {
        version: VERSION,
        features: 0,
        session: 42,
        driver_version: 13000,
        devices: vec![device],
        lease: 64 << 20,
        window_base: 0x6100_0000_0000,
        window_size: 1 << 32,
        granularity: 2 << 20,
        stream_priorities: (0, -5),
        limits: vec![(0, 1024)],
        bulk_credit: 1 << 20,
    }
}

/// A server for one client: answers the handshake with `answer`, every call that waits with success, and says
/// what it saw.
fn server(kind: HelloKind, answer: impl Encode + Send + 'static) -> (String, Receiver<Seen>) {
    server_at("tcp://127.0.0.1:0", kind, answer)
}

fn server_at(
    url: &str,
    kind: HelloKind,
    answer: impl Encode + Send + 'static,
) -> (String, Receiver<Seen>) {
    let listener = Listener::bind(&url.parse::<Url>().unwrap()).unwrap();
    let address = listener.url().unwrap().to_string();
    let see = play(move || {
        let mut connection = listener.accept().unwrap();
        let words = client_hello(|bytes| connection.receive(bytes));
        connection
            .send(&[IoSlice::new(&hello::to_bytes(kind, &answer))])
            .unwrap();
        (words, connection)
    });
    (address, see)
}

/// A server that shares memory with its client.
fn sharing_server() -> (String, Receiver<Seen>) {
    let path = socket_file();
    let listener = UnixListener::bind(&path).unwrap();
    let address = format!("unix:{}", path.display());
    let see = play(move || {
        let (mut socket, _) = listener.accept().unwrap();
        std::fs::remove_file(path).unwrap();
        let words = client_hello(|bytes| socket.read_exact(bytes));
        assert_eq!(words.features & FEATURE_SHM, FEATURE_SHM);
        let socket = OwnedFd::from(socket);
        let offer = shm::Offer::to(&socket).unwrap();
        let answer = ServerHello {
            features: FEATURE_SHM,
            ..server_hello()
        };
        let connection = offer
            .make(socket, &hello::to_bytes(HelloKind::Server, &answer))
            .unwrap();
        assert!(connection.closer().shared_memory().is_some());
        (words, connection)
    });
    (address, see)
}

fn socket_file() -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    std::env::temp_dir().join(format!("rgpu-process-{}-{next}", std::process::id()))
}

fn client_hello(mut receive: impl FnMut(&mut [u8]) -> std::io::Result<()>) -> ClientHello {
    let mut preamble = [0; PREAMBLE_LEN];
    receive(&mut preamble).unwrap();
    let mut body = vec![0; Preamble::from_bytes(&preamble).unwrap().len];
    receive(&mut body).unwrap();
    wire::from_bytes(&body).unwrap()
}

/// Serves the client that `greet` lets in.
fn play(greet: impl FnOnce() -> (ClientHello, Connection) + Send + 'static) -> Receiver<Seen> {
    let (seen, see) = mpsc::channel();
    thread::spawn(move || {
        let (words, mut connection) = greet();
        seen.send(Seen::Hello(words.program)).unwrap();
        let mut sent = 0;
        while let Some(header) = next_frame(&mut connection) {
            seen.send(Seen::Frame(header.op)).unwrap();
            if header.flags.has(Flags::WAIT) {
                sent += 1;
                reply(&mut connection, &header, sent);
            }
        }
        seen.send(Seen::Closed).unwrap();
    });
    see
}

fn next_frame(connection: &mut Connection) -> Option<Header> {
    let mut bytes = [0; HEADER_LEN];
    connection.receive(&mut bytes).ok()?;
    let header = Header::from_bytes(&bytes).expect("a good frame");
    connection.receive(&mut vec![0; header.len as usize]).ok()?;
    Some(header)
}

fn reply(connection: &mut Connection, to: &Header, seq: u64) {
    let body = wire::to_bytes(&ReplyHead {
        status: 0,
        deferred: 0,
        deferred_op: 0,
    });
    let header = Header {
        len: body.len() as u32,
        op: to.op,
        flags: Flags::REPLY,
        seq,
        re: to.seq,
        ctx: 0,
        lane: 0,
    };
    connection
        .send(&[IoSlice::new(&header.to_bytes()), IoSlice::new(&body)])
        .unwrap();
}

/// Runs the application `role`; what it printed and how it ended.
fn run(role: &str, variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args([
            "--exact",
            "application",
            "--ignored",
            "--nocapture",
            "--test-threads=1",
        ])
        .env("ROLE", role)
        .env_remove("RGPU_SERVER")
        .stdin(Stdio::null());
    command
        .envs(variables.iter().copied())
        .output()
        .expect("runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The lines of ours on stderr; none may be on stdout.
fn lines(output: &Output) -> Vec<String> {
    assert!(
        !text(&output.stdout).contains("rgpu:"),
        "{}",
        text(&output.stdout)
    );
    text(&output.stderr)
        .lines()
        .filter(|l| l.starts_with("rgpu:"))
        .map(String::from)
        .collect()
}

#[test]
#[ignore = "the application of the other tests"]
fn application() {
    let role = std::env::var("ROLE").expect("run by another test");
    // SAFETY: every pointer below is to a live local.
    unsafe {
        match role.as_str() {
            "untouched" => {}
            "no-gpu" => {
                // Said once, however often it is asked.
                assert_eq!((cuInit(0), cuInit(0)), (100, 100));
                let mut count = 7;
                assert_eq!(cuDeviceGetCount(&raw mut count), 3);
            }
            "plain" => {
                use_device();
                assert_eq!(cuCtxSynchronize(), 0);
            }
            "killed" => {
                use_device();
                assert_eq!(cuCtxSynchronize(), 0);
                std::process::abort();
            }
            "fork" => fork_after_use(),
            other => panic!("no role {other}"),
        }
    }
    std::process::exit(0);
}

/// # Safety
/// None; the functions are unsafe by their C signatures.
unsafe fn use_device() {
    let mut context = std::ptr::null_mut();
    // SAFETY: the pointers are to live locals.
    unsafe {
        assert_eq!(cuInit(0), 0);
        assert_eq!(cuDevicePrimaryCtxRetain(&raw mut context, 0), 0);
        assert_eq!(cuCtxSetCurrent(context), 0);
    }
}

/// # Safety
/// To be called by a process with one thread besides those of the library.
unsafe fn fork_after_use() {
    // SAFETY: the child calls functions that touch no lock, and `_exit`.
    unsafe {
        use_device();
        assert_eq!(cuCtxSynchronize(), 0);
        let (mut told, mut tell) = std::io::pipe().unwrap();
        if libc_fork() == 0 {
            let mut count = 0;
            let forked = cuDeviceGetCount(&raw mut count) == 3 && cuCtxSynchronize() == 3;
            tell.write_all(&[u8::from(forked)]).unwrap();
            // The child outlives the parent by far; the connection must not.
            thread::sleep(Duration::from_secs(12));
            std::process::exit(0);
        }
        let mut forked = [0];
        told.read_exact(&mut forked).unwrap();
        assert_eq!(forked, [1], "the child could use CUDA");
        assert_eq!(cuCtxSynchronize(), 0);
    }
}

/// # Safety
/// As `fork`.
unsafe fn libc_fork() -> i32 {
    unsafe extern "C" {
        fn fork() -> i32;
    }
    // SAFETY: the caller's promise.
    unsafe { fork() }
}

#[test]
fn a_program_that_never_calls_cuda_is_not_touched() {
    let (address, see) = server(HelloKind::Server, server_hello());
    let output = run(
        "untouched",
        &[("RGPU_SERVER", &address), ("RGPU_LOG", "debug")],
    );
    assert!(output.status.success());
    assert_eq!(lines(&output), Vec::<String>::new());
    assert!(see.try_recv().is_err(), "it connected");
}

#[test]
fn without_a_server_there_is_no_device_and_one_line() {
    let since = Instant::now();
    let output = run("no-gpu", &[("RGPU_SERVER", "tcp://127.0.0.1:1")]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let lines = lines(&output);
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(
        lines[0].contains("tcp://127.0.0.1:1") && lines[0].contains("refused"),
        "{lines:?}"
    );
    assert!(since.elapsed() < Duration::from_secs(3));
}

#[test]
fn settings_that_make_no_sense_are_said_in_words() {
    for (variables, word) in [
        (&[][..], "RGPU_SERVER"),
        (&[("RGPU_SERVER", "gpu1")][..], "tcp://HOST:PORT"),
        (
            &[("RGPU_SERVER", "tcp://h:1"), ("RGPU_MEMORY", "lots")][..],
            "RGPU_MEMORY=lots",
        ),
    ] {
        let output = run("no-gpu", variables);
        assert!(output.status.success(), "{}", text(&output.stderr));
        let lines = lines(&output);
        assert!(lines.len() == 1 && lines[0].contains(word), "{lines:?}");
    }
}

#[test]
fn a_refusal_is_printed() {
    let refusal = |code| Refusal {
        code,
        reason: "3 GiB left".into(),
        min_version: VERSION + 1,
        max_version: VERSION + 1,
    };
    for (code, word) in [
        (RefusalCode::Version, "upgrade the client"),
        (RefusalCode::Memory, "3 GiB left"),
    ] {
        let (address, _see) = server(HelloKind::Refusal, refusal(code));
        let output = run("no-gpu", &[("RGPU_SERVER", &address)]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        let lines = lines(&output);
        assert!(lines.len() == 1 && lines[0].contains(word), "{lines:?}");
    }
}

#[test]
fn a_session_ends_with_its_program_and_is_accounted_for() {
    let stats = std::env::temp_dir().join(format!("rgpu-stats-{}.json", std::process::id()));
    let (address, see) = server(HelloKind::Server, server_hello());
    let variables = [
        ("RGPU_SERVER", address.as_str()),
        ("RGPU_STATS", stats.to_str().unwrap()),
    ];
    let output = run("plain", &variables);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(lines(&output), Vec::<String>::new());
    let seen: Vec<Seen> = see.iter().collect();
    assert!(matches!(&seen[0], Seen::Hello(program) if program.starts_with("process")));
    assert_eq!(
        seen[1..],
        [
            Seen::Frame(Opcode::WINDOW),
            Seen::Frame(Opcode::of("cuCtxSynchronize")),
            Seen::Frame(Opcode::GOODBYE),
            Seen::Closed,
        ]
    );
    let account: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(&stats).unwrap()).unwrap();
    std::fs::remove_file(&stats).unwrap();
    assert_eq!(account["server"], address.as_str());
    assert_eq!(
        (&account["device"], &account["session"]),
        (&"played GPU".into(), &42.into())
    );
    assert_eq!(
        (&account["round_trips"], &account["calls"]),
        (&1.into(), &4.into())
    );
}

#[test]
fn a_server_at_a_unix_socket_may_know_nothing_of_shared_memory() {
    let url = format!("unix:{}", socket_file().display());
    let (address, see) = server_at(&url, HelloKind::Server, server_hello());
    let output = run("plain", &[("RGPU_SERVER", &address)]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(see.iter().last(), Some(Seen::Closed));
}

#[test]
fn a_forked_child_cannot_use_cuda_and_does_not_hold_the_connection() {
    for (address, see) in [server(HelloKind::Server, server_hello()), sharing_server()] {
        ends_with_its_parent(address, &see);
    }
}

fn ends_with_its_parent(address: String, see: &Receiver<Seen>) {
    let since = Instant::now();
    // The child keeps the pipes of `output` open; that the parent has ended is seen by its connection.
    thread::spawn(move || run("fork", &[("RGPU_SERVER", &address)]));
    let seen: Vec<Seen> = see.iter().collect();
    let synchronised = seen
        .iter()
        .filter(|s| **s == Seen::Frame(Opcode::of("cuCtxSynchronize")))
        .count();
    assert_eq!(synchronised, 2, "{seen:?}");
    assert_eq!(seen.last(), Some(&Seen::Closed));
    assert!(since.elapsed() < Duration::from_secs(8));
}

#[test]
fn a_recording_holds_calls_waits_and_places_though_the_program_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("%p.rec");
    for (role, whole) in [("plain", true), ("killed", false)] {
        let (address, _see) = server(HelloKind::Server, server_hello());
        let variables = [
            ("RGPU_SERVER", address.as_str()),
            ("RGPU_TRACE", path.to_str().unwrap()),
        ];
        let output = run(role, &variables);
        assert_eq!(output.status.success(), whole, "{}", text(&output.stderr));
        let file = std::fs::read_dir(folder.path())
            .unwrap()
            .next()
            .unwrap()
            .unwrap();
        let recorded = rgpu_trace::read::file(&file.path()).unwrap();
        std::fs::remove_file(file.path()).unwrap();
        assert_eq!(file.file_name(), *format!("{}.rec", recorded.pid));
        assert_eq!(recorded.server, address);
        assert_eq!(recorded.ended.is_some(), whole);
        let slot = |name: &str| {
            *recorded
                .calls
                .iter()
                .find(|call| call.1.0 == name)
                .unwrap()
                .0
        };
        let synchronise = slot("cuCtxSynchronize");
        let totals = recorded.totals[&synchronise];
        // A header of 32 bytes each way; a reply's head, of 10, is not of the call.
        assert_eq!((totals.calls, totals.trips), (1, 1));
        assert_eq!((totals.sent, totals.received), (32, 32));
        assert!(totals.waited > 0 && totals.inside >= totals.waited);
        let events: Vec<_> = recorded.events.values().flatten().collect();
        let one = |kind| {
            let mut of = events
                .iter()
                .filter(|event| event.kind == kind && event.call == synchronise);
            let one = **of.next().unwrap();
            assert!(of.next().is_none(), "{kind:?} twice");
            one
        };
        let [call, wait, trip] = [Kind::Call, Kind::Wait, Kind::Trip].map(one);
        assert_eq!(wait.a, trip.a, "both are of one request");
        assert!(call.start <= trip.start && trip.start <= wait.start);
        let end = |event: Event| event.start + event.nanoseconds;
        assert!(end(trip) <= end(wait) && end(wait) <= end(call));
        let (frames, _) = &recorded.sites[&wait.b];
        let inside = |at: &u64| {
            let mut modules = recorded.modules.iter();
            modules.any(|module| (module.start..module.end).contains(at))
        };
        assert!(frames.len() > 5 && frames.iter().filter(|at| inside(at)).count() > 5);
        assert!(recorded.threads.values().any(|(_, name)| !name.is_empty()));
    }
}
