//! A recording of what this process calls and waits for, where `RGPU_TRACE` names a file (`rgpu-trace` says what is in it).
//! It begins when the process connects. [`gate`] turns it on: while it is off, nothing here runs.

use std::cell::Cell;
use std::collections::HashMap;
use std::path::Path;
use std::sync::{Mutex, OnceLock};

use rgpu_proto::opcode::Opcode;
use rgpu_proto::spec;
use rgpu_trace::record::{Place, Recording, Waited, now};
use rgpu_trace::{Event, Kind, NO_CALL, Note};

use crate::gate;
use crate::names::Hold;

mod site;

/// Most bytes of a recording: some 800,000 events.
const SIZE: usize = 32 << 20;

/// Names in one note.
const NAMES: usize = 256;

static RECORDING: OnceLock<Recording> = OnceLock::new();

/// Call sites by their numbers.
static SITES: Mutex<Option<HashMap<site::Site, u64>>> = Mutex::new(None);

thread_local! {
    static CALL: Cell<u16> = const { Cell::new(NO_CALL) };
    static PLACE: Cell<Option<Place>> = const { Cell::new(None) };
}

/// The recording, if there is one.
fn recording() -> Option<&'static Recording> {
    if gate::traces() {
        RECORDING.get()
    } else {
        None
    }
}

/// Begins to record to `path`.
pub(crate) fn begin(path: &Path, server: &str) {
    // Slot 0 is what no call has caused.
    let slots = spec::all().count() + 1;
    let recording = match Recording::create(path, SIZE, slots) {
        Ok(recording) => recording,
        Err(error) => {
            let path = path.display();
            crate::log::notice(format_args!("cannot record to {path}: {error}"));
            return;
        }
    };
    recording.note(&Note::Process {
        pid: std::process::id(),
        program: std::env::args_os()
            .next()
            .map_or_else(String::new, |name| name.to_string_lossy().into_owned()),
        server: server.to_owned(),
    });
    let own = ("(rgpu itself)".to_owned(), "-".to_owned());
    let names = spec::all().map(|row| (row.name.to_owned(), row.class.name().to_owned()));
    let names: Vec<_> = std::iter::once(own).chain(names).collect();
    for (at, names) in names.chunks(NAMES).enumerate() {
        recording.note(&Note::Calls {
            first: (at * NAMES) as u16,
            names: names.to_vec(),
        });
    }
    let operations = Opcode::own().map(|op| (op.0, op.name().to_owned()));
    recording.note(&Note::Operations(operations.collect()));
    site::note_modules(&recording);
    if RECORDING.set(recording).is_ok() {
        gate::trace();
    }
}

/// The session is there; it took `nanoseconds`.
pub(crate) fn connected(nanoseconds: u64) {
    if let Some(recording) = recording() {
        recording.connected(nanoseconds);
    }
}

/// The process ends by itself.
pub(crate) fn end() {
    if let Some(recording) = RECORDING.get() {
        recording.end();
    }
}

/// The slot of the call with this operation.
pub(crate) fn slot_of(op: Opcode) -> u16 {
    static SLOTS: OnceLock<HashMap<u16, u16>> = OnceLock::new();
    let slots = SLOTS.get_or_init(|| spec::all().map(|row| row.id).zip(1..).collect());
    slots.get(&op.0).copied().unwrap_or(NO_CALL)
}

/// Runs `body` as the call of `slot`.
pub(crate) fn within<T>(slot: u16, body: impl FnOnce() -> T) -> T {
    let Some(recording) = recording() else {
        return body();
    };
    let outer = CALL.replace(slot);
    let start = now();
    let result = body();
    let nanoseconds = now() - start;
    CALL.set(outer);
    // A function of the host or of a library may call on its own behalf; what is inside counts as the inner call.
    recording.called(slot);
    recording.returned(slot, nanoseconds);
    write(recording, Kind::Call, slot, 0, start, nanoseconds, 0, 0);
    result
}

#[expect(clippy::too_many_arguments, reason = "the words of an event")]
fn write(
    recording: &Recording,
    kind: Kind,
    call: u16,
    op: u16,
    start: u64,
    nanoseconds: u64,
    a: u64,
    b: u64,
) {
    let thread = u64::from(crate::thread::lane());
    let mut place = PLACE.get().unwrap_or_else(|| {
        recording.note(&Note::Thread {
            number: thread,
            // SAFETY: a plain system call.
            tid: unsafe { libc::gettid() },
            name: thread_name(),
        });
        Place::default()
    });
    let event = Event {
        kind,
        call,
        op,
        start,
        nanoseconds,
        a,
        b,
    };
    recording.event(thread, &mut place, &event);
    PLACE.set(Some(place));
}

/// As the system calls this thread.
fn thread_name() -> String {
    let mut name = [0_u8; 17];
    // SAFETY: PR_GET_NAME writes up to 16 bytes.
    unsafe { libc::prctl(libc::PR_GET_NAME, name.as_mut_ptr()) };
    std::ffi::CStr::from_bytes_until_nul(&name).map_or_else(
        |_| String::new(),
        |name| name.to_string_lossy().into_owned(),
    )
}

/// A frame of `bytes` is about to be sent by this thread.
pub(crate) fn sent(bytes: usize) {
    if let Some(recording) = recording() {
        recording.sent(CALL.get(), bytes);
    }
}

/// Runs `send`, which writes `bytes` to the connection.
pub(crate) fn sending<T>(bytes: usize, send: impl FnOnce() -> T) -> T {
    let Some(recording) = recording() else {
        return send();
    };
    let start = now();
    let result = send();
    let took = now() - start;
    recording.sending(took);
    write(
        recording,
        Kind::Sent,
        CALL.get(),
        0,
        start,
        took,
        bytes as u64,
        0,
    );
    result
}

/// Who made a request, and when.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Request {
    call: u16,
    at: u64,
}

impl Request {
    /// Made while nothing is recorded.
    pub(crate) const NONE: Self = Self {
        call: NO_CALL,
        at: 0,
    };
}

/// A request of this thread is about to be sent.
pub(crate) fn request() -> Request {
    match recording() {
        None => Request::NONE,
        Some(_) => Request {
            call: CALL.get(),
            at: now(),
        },
    }
}

/// A frame of `bytes` has come.
pub(crate) fn received(bytes: usize) {
    if let Some(recording) = recording() {
        write(
            recording,
            Kind::Received,
            NO_CALL,
            0,
            now(),
            0,
            bytes as u64,
            0,
        );
    }
}

/// The answer to request `seq` has come in full, with `bytes`.
pub(crate) fn answered(request: Request, op: Opcode, seq: u64, bytes: usize) {
    // One that was made before the recording began has no time.
    if let Some(recording) = recording()
        && request.at != 0
    {
        recording.received(request.call, bytes);
        let took = now().saturating_sub(request.at);
        write(
            recording,
            Kind::Trip,
            request.call,
            op.0,
            request.at,
            took,
            seq,
            0,
        );
    }
}

/// A wait that begins now.
#[derive(Debug)]
pub(crate) struct Wait {
    start: u64,
    site: u64,
}

impl Wait {
    /// The call site is looked for while the request is on its way.
    pub(crate) fn begin() -> Option<Self> {
        let recording = recording()?;
        let start = now();
        Some(Self {
            start,
            site: number_of(recording, site::Site::here()),
        })
    }

    /// The answer to request `seq` is there.
    pub(crate) fn answered(self, op: Opcode, seq: u64) {
        self.end(Kind::Wait, Waited::Trip, op, seq);
    }

    /// There is room again.
    pub(crate) fn room(self) {
        self.end(Kind::Stall, Waited::Stall, Opcode::DATA, 0);
    }

    fn end(self, kind: Kind, what: Waited, op: Opcode, seq: u64) {
        if let Some(recording) = recording() {
            let took = now() - self.start;
            let call = CALL.get();
            recording.waited(call, what, took);
            write(
                recording, kind, call, op.0, self.start, took, seq, self.site,
            );
        }
    }
}

/// The number of a call site, which is noted the first time.
fn number_of(recording: &Recording, site: site::Site) -> u64 {
    let mut sites = SITES.hold();
    let sites = sites.get_or_insert_default();
    if let Some(number) = sites.get(&site) {
        return *number;
    }
    let number = sites.len() as u64 + 1;
    site.note(recording, number);
    sites.insert(site, number);
    number
}
