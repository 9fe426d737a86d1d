//! Events.
//!
//! Programs poll events, so a query crosses the wire only where it has to. What is known of a recording:
//!
//! ```text
//! Happened ──record──> Issued ──query, nothing heard since──> Watched ──answer──> Happened
//!                        └──query, the server has been heard: ask it──> Happened, or Watched
//! ```
//!
//! As long as the server has not been heard since the recording was issued, the program cannot know that it has
//! happened, and "not ready" is a true answer. The server answers a watch before anything that would show the program
//! in another way that the event has happened (docs/protocol.md, "Order and waiting").

use rgpu_proto::handle::Event;
use rgpu_proto::msg::stream::{EventCreate, EventRef};
use rgpu_proto::opcode::Opcode;

use super::*;
use crate::client::get as client;
use crate::shadow::modules::words;
use crate::shadow::streams::{Event as Known, Recording, Streams};

/// `CU_EVENT_BLOCKING_SYNC | CU_EVENT_DISABLE_TIMING | CU_EVENT_INTERPROCESS`.
const FLAGS: u32 = 7;
/// `CU_EVENT_INTERPROCESS`.
const INTERPROCESS: u32 = 4;

/// The id of an event that exists, where the thread has a working context.
fn event(client: &'static Client, value: *mut c_void) -> Result<u32> {
    client.working_context()?;
    match handle::<Event>(client, value)? {
        0 => Err(Status::ERROR_INVALID_HANDLE),
        id => Ok(id),
    }
}

pub(crate) unsafe fn cuEventCreate(ph_event: *mut *mut c_void, flags: u32) -> Result {
    let client = client()?;
    if ph_event.is_null() || flags & !FLAGS != 0 {
        return Err(INVALID);
    }
    let context = client.working_context()?;
    if flags & INTERPROCESS != 0 {
        return Err(Status::ERROR_NOT_SUPPORTED);
    }
    let id = client.mint();
    let body = EventCreate {
        id: Id::new(id),
        flags,
    };
    client
        .session
        .post(const { Opcode::of("cuEventCreate") }, &body)?;
    let known = Known {
        context,
        recordings: 0,
        recording: Recording::Happened,
    };
    client.streams.hold().events.insert(id, known);
    // SAFETY: the application's pointer.
    unsafe { put(ph_event, Id::<Event>::new(id).to_c()) }
}

pub(crate) unsafe fn cuEventDestroy_v2(h_event: *mut c_void) -> Result {
    let client = client()?;
    let id = event(client, h_event)?;
    let gone = client.streams.hold().events.remove(&id);
    if let Some(watch) = gone.and_then(|event| event.recording.watch()) {
        client.session.give_up(watch);
    }
    let op = const { Opcode::of("cuEventDestroy_v2") };
    client.session.post(op, &EventRef { id: Id::new(id) })
}

const RECORD: Opcode = Opcode::of("cuEventRecord");
const RECORD_WITH_FLAGS: Opcode = Opcode::of("cuEventRecordWithFlags");
const CONTEXT_RECORD: Opcode = Opcode::of("cuCtxRecordEvent");

/// The event that a posted call records.
fn recorded(op: Opcode, body: &[u8]) -> Option<u32> {
    let [first, second] = words(body);
    match op {
        RECORD | RECORD_WITH_FLAGS => Some(first),
        CONTEXT_RECORD => Some(second),
        _ => None,
    }
}

/// Refuses flags that no posted call takes: `CU_EVENT_RECORD_EXTERNAL` and `CU_EVENT_WAIT_EXTERNAL` are the only ones.
fn check_flags(op: Opcode, body: &[u8]) -> Result {
    const WAIT: Opcode = Opcode::of("cuStreamWaitEvent");
    let [_, _, flags] = match op {
        WAIT | RECORD_WITH_FLAGS => words(body),
        _ => [0; 3],
    };
    if flags > 1 { Err(INVALID) } else { Ok(()) }
}

/// The context in which a posted call records: an event of another one is refused.
fn recorded_in(op: Opcode, body: &[u8], streams: &Streams) -> Result<u32> {
    let [first, second] = words(body);
    match op {
        CONTEXT_RECORD => Ok(first),
        _ => Ok(streams
            .get(second, crate::thread::current_context())?
            .context),
    }
}

/// Posts a derived call by `post`. Where it records an event, no query of another thread comes in between.
pub(crate) fn posting(
    client: &'static Client,
    op: Opcode,
    body: &[u8],
    post: impl FnOnce() -> Result,
) -> Result {
    check_flags(op, body)?;
    let Some(id) = recorded(op, body) else {
        return post();
    };
    let mut streams = client.streams.hold();
    if recorded_in(op, body, &streams)? != streams.event(id)?.context {
        return Err(Status::ERROR_INVALID_HANDLE);
    }
    let issued = Recording::Issued {
        news: client.session.news(),
    };
    let event = streams.event(id)?;
    event.recordings += 1;
    if let Some(watch) = std::mem::replace(&mut event.recording, issued).watch() {
        client.session.give_up(watch);
    }
    post()
}

/// Asks the server to say when the recording at hand has happened.
fn watch(client: &'static Client, streams: &mut Streams, id: u32) -> Result {
    let op = const { Opcode::of("cuEventSynchronize") };
    let call = client.session.watch(op, &EventRef { id: Id::new(id) })?;
    streams.event(id)?.recording = Recording::Watched { call };
    Ok(())
}

/// Asks the server now; `asked` is the event as it was known. What it says is about that recording alone: the event may
/// be recorded again meanwhile.
fn ask(client: &'static Client, id: u32, op: Opcode, asked: Known) -> Result {
    let result = client
        .session
        .call(op, &EventRef { id: Id::new(id) })
        .map(drop);
    let mut streams = client.streams.hold();
    // Another thread may have destroyed it.
    let Some(event) = streams.events.get_mut(&id).filter(|event| **event == asked) else {
        return result;
    };
    match result {
        Ok(()) => event.recording = Recording::Happened,
        Err(Status::ERROR_NOT_READY) if !client.session.is_synchronous() => {
            watch(client, &mut streams, id)?;
        }
        Err(_) => return result,
    }
    if let Some(call) = asked.recording.watch() {
        client.session.give_up(call);
    }
    result
}

/// What the answer to a watch says, if it is there.
fn look(client: &'static Client, id: u32, call: u64) -> Option<Result> {
    let status = client.session.look(call)?;
    let watched = Recording::Watched { call };
    if let Ok(event) = client.streams.hold().event(id)
        && event.recording == watched
    {
        // After an error the next query asks again.
        event.recording = match status {
            Status::SUCCESS => Recording::Happened,
            _ => Recording::Issued { news: 0 },
        };
    }
    Some(client.session.judge(status))
}

pub(crate) unsafe fn cuEventQuery(h_event: *mut c_void) -> Result {
    let client = client()?;
    let id = event(client, h_event)?;
    let mut streams = client.streams.hold();
    let known = *streams.event(id)?;
    match known.recording {
        Recording::Happened => Ok(()),
        Recording::Watched { call } => {
            drop(streams);
            look(client, id, call).unwrap_or(Err(Status::ERROR_NOT_READY))
        }
        Recording::Issued { news }
            if news == client.session.news() && !client.session.is_synchronous() =>
        {
            watch(client, &mut streams, id).and(Err(Status::ERROR_NOT_READY))
        }
        Recording::Issued { .. } => {
            drop(streams);
            ask(client, id, const { Opcode::of("cuEventQuery") }, known)
        }
    }
}

pub(crate) unsafe fn cuEventSynchronize(h_event: *mut c_void) -> Result {
    let client = client()?;
    let id = event(client, h_event)?;
    let known = *client.streams.hold().event(id)?;
    let answer = match known.recording {
        Recording::Happened => Some(Ok(())),
        Recording::Watched { call } => look(client, id, call),
        Recording::Issued { .. } => None,
    };
    let op = const { Opcode::of("cuEventSynchronize") };
    answer.unwrap_or_else(|| ask(client, id, op, known))
}
