//! Events.

use rgpu_proto::handle::Event;
use rgpu_proto::msg::stream::{EventCreate, EventRef};
use rgpu_proto::opcode::Opcode;

use super::*;
use crate::client::get as client;
use crate::shadow::streams::Event as Known;

/// `CU_EVENT_BLOCKING_SYNC | CU_EVENT_DISABLE_TIMING | CU_EVENT_INTERPROCESS`.
const FLAGS: u32 = 7;
/// `CU_EVENT_INTERPROCESS`.
const INTERPROCESS: u32 = 4;

/// The id of an event that exists.
fn event(client: &'static Client, value: *mut c_void) -> Result<u32> {
    match handle::<Event>(client, value)? {
        0 => Err(Status::ERROR_INVALID_HANDLE),
        id => Ok(id),
    }
}

pub(crate) unsafe fn cuEventCreate(ph_event: *mut *mut c_void, flags: u32) -> Result {
    let client = client()?;
    let context = client.working_context()?;
    if ph_event.is_null() || flags & !FLAGS != 0 {
        return Err(INVALID);
    }
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
    client.streams.hold().events.insert(id, Known { context });
    // SAFETY: the application's pointer.
    unsafe { put(ph_event, Id::<Event>::new(id).to_c()) }
}

pub(crate) unsafe fn cuEventDestroy_v2(h_event: *mut c_void) -> Result {
    let client = client()?;
    client.session.usable()?;
    let id = event(client, h_event)?;
    client.streams.hold().events.remove(&id);
    let op = const { Opcode::of("cuEventDestroy_v2") };
    client.session.post(op, &EventRef { id: Id::new(id) })
}

pub(crate) unsafe fn cuEventQuery(h_event: *mut c_void) -> Result {
    let client = client()?;
    let id = event(client, h_event)?;
    let op = const { Opcode::of("cuEventQuery") };
    client
        .session
        .call(op, &EventRef { id: Id::new(id) })
        .map(drop)
}

pub(crate) unsafe fn cuEventSynchronize(h_event: *mut c_void) -> Result {
    let client = client()?;
    let id = event(client, h_event)?;
    let op = const { Opcode::of("cuEventSynchronize") };
    client
        .session
        .call(op, &EventRef { id: Id::new(id) })
        .map(drop)
}
