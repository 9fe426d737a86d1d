//! Streams.

use std::sync::atomic::Ordering;

use rgpu_proto::handle::Context;
use rgpu_proto::msg::stream::{StreamCreate, StreamGet, StreamRef, StreamSet, StreamValue};
use rgpu_proto::opcode::Opcode;
use rgpu_proto::wire;

use super::*;
use crate::client::get as client;
use crate::session::{Callee, HostFunction};
use crate::shadow::streams::Stream as Known;

/// `CU_STREAM_NON_BLOCKING`.
const NON_BLOCKING: u32 = 1;
/// Status of a stream that is not capturing.
const NOT_CAPTURING: u32 = 0;

fn create(ph_stream: *mut *mut c_void, flags: u32, priority: i32) -> Result {
    let client = client()?;
    if ph_stream.is_null() || flags & !NON_BLOCKING != 0 {
        return Err(INVALID);
    }
    let context = client.working_context()?;
    // A priority outside the range is brought into it (CUDA Driver API reference).
    let priority = client.clamp_priority(priority);
    let id = client.mint();
    let body = StreamCreate {
        id: Id::new(id),
        flags,
        priority,
    };
    client
        .session
        .post(const { Opcode::of("cuStreamCreateWithPriority") }, &body)?;
    client.streams.hold().streams.insert(
        id,
        Known {
            context,
            flags,
            priority,
        },
    );
    // SAFETY: the application's pointer.
    unsafe { put(ph_stream, Id::<Stream>::new(id).to_c()) }
}

pub(crate) unsafe fn cuStreamCreate(ph_stream: *mut *mut c_void, flags: u32) -> Result {
    create(ph_stream, flags, 0)
}

pub(crate) unsafe fn cuStreamCreateWithPriority(
    ph_stream: *mut *mut c_void,
    flags: u32,
    priority: i32,
) -> Result {
    create(ph_stream, flags, priority)
}

pub(crate) unsafe fn cuStreamDestroy_v2(h_stream: *mut c_void) -> Result {
    let client = client()?;
    client.working_context()?;
    let id = handle::<Stream>(client, h_stream)?;
    if client.streams.hold().streams.remove(&id).is_none() {
        return Err(Status::ERROR_INVALID_HANDLE);
    }
    client.changed();
    {
        // What was freed in the stream will have no stream to order its reuse.
        let mut memory = client.memory.hold();
        let before = memory.allocator.unsettled();
        memory.allocator.settle(id);
        if memory.allocator.unsettled() != before {
            client.session.post(Opcode::FENCE, &())?;
        }
    }
    let op = const { Opcode::of("cuStreamDestroy_v2") };
    client.session.post(op, &StreamRef { id: Id::new(id) })
}

pub(crate) unsafe fn cuStreamQuery(h_stream: *mut c_void) -> Result {
    let client = client()?;
    let id = stream_here(client, h_stream)?;
    settle_after(client, Some(order_of(id)), || {
        let body = StreamRef { id: Id::new(id) };
        client
            .session
            .call(const { Opcode::of("cuStreamQuery") }, &body)
            .map(drop)
    })
}

pub(crate) unsafe fn cuStreamSynchronize(h_stream: *mut c_void) -> Result {
    let client = client()?;
    wait_for_stream(client, stream_here(client, h_stream)?)
}

/// Waits for all that was issued to a stream.
pub(super) fn wait_for_stream(client: &'static Client, id: u32) -> Result {
    settle_after(client, Some(order_of(id)), || {
        let body = StreamRef { id: Id::new(id) };
        client
            .session
            .call(const { Opcode::of("cuStreamSynchronize") }, &body)
            .map(drop)
    })
}

/// The stream that a query is about, as the shadow knows it.
fn known(h_stream: *mut c_void) -> Result<(u32, Known)> {
    let client = client()?;
    let context = client.context()?;
    let id = stream(client, h_stream)?;
    Ok((id, client.streams.hold().get(id, context)?))
}

pub(crate) unsafe fn cuStreamGetCtx(h_stream: *mut c_void, pctx: *mut *mut c_void) -> Result {
    let (_, stream) = known(h_stream)?;
    // SAFETY: the application's pointer.
    unsafe { put(pctx, Id::<Context>::new(stream.context).to_c()) }
}

pub(crate) unsafe fn cuStreamGetDevice(h_stream: *mut c_void, device: *mut i32) -> Result {
    let (_, stream) = known(h_stream)?;
    let context = client()?.contexts.hold().get(stream.context)?;
    // SAFETY: the application's pointer.
    unsafe { put(device, context.device as i32) }
}

pub(crate) unsafe fn cuStreamGetFlags(h_stream: *mut c_void, flags: *mut u32) -> Result {
    let (_, stream) = known(h_stream)?;
    // SAFETY: the application's pointer.
    unsafe { put(flags, stream.flags) }
}

pub(crate) unsafe fn cuStreamGetId(h_stream: *mut c_void, stream_id: *mut u64) -> Result {
    let (id, stream) = known(h_stream)?;
    // Default streams exist once in each context, and one of them once in each thread.
    let number = match id {
        LEGACY => u64::from(stream.context) << 32 | 1,
        PER_THREAD => u64::from(stream.context) << 32 | u64::from(crate::thread::lane()) << 2 | 2,
        id => u64::from(id) << 2,
    };
    // SAFETY: the application's pointer.
    unsafe { put(stream_id, number) }
}

pub(crate) unsafe fn cuStreamGetPriority(h_stream: *mut c_void, priority: *mut i32) -> Result {
    let (id, stream) = known(h_stream)?;
    let client = client()?;
    let mut value = stream.priority;
    if client.priorities_changed.load(Ordering::Relaxed) {
        let attribute = get_attribute(client, id, PRIORITY)?;
        value = attribute
            .first_chunk()
            .map_or(value, |bytes| i32::from_ne_bytes(*bytes));
    }
    // SAFETY: the application's pointer.
    unsafe { put(priority, value) }
}

/// Bytes of `CUstreamAttrValue`.
const ATTRIBUTE_VALUE: usize = 64;
/// `CU_STREAM_ATTRIBUTE_PRIORITY`.
const PRIORITY: u32 = 8;

fn get_attribute(client: &'static Client, id: u32, attribute: u32) -> Result<Vec<u8>> {
    const GET: Opcode = Opcode::of("cuStreamGetAttribute");
    let body = StreamGet {
        id: Id::new(id),
        attribute,
    };
    let answer = client.session.call(GET, &body)?;
    let found: StreamValue =
        wire::from_bytes(&answer).map_err(|error| client.session.broken(GET, &error))?;
    Ok(found.value)
}

pub(crate) unsafe fn cuStreamGetAttribute(
    h_stream: *mut c_void,
    attr: u32,
    value_out: *mut c_void,
) -> Result {
    let client = client()?;
    client.working_context()?;
    let id = stream(client, h_stream)?;
    if value_out.is_null() {
        return Err(INVALID);
    }
    let value = get_attribute(client, id, attr)?;
    let value: [u8; ATTRIBUTE_VALUE] = value.try_into().map_err(|_| Status::ERROR_UNKNOWN)?;
    // SAFETY: the application's CUstreamAttrValue, which has as many bytes.
    unsafe { put(value_out.cast(), value) }
}

pub(crate) unsafe fn cuStreamSetAttribute(
    h_stream: *mut c_void,
    attr: u32,
    value: *const c_void,
) -> Result {
    let client = client()?;
    client.working_context()?;
    let id = stream(client, h_stream)?;
    // SAFETY: the application's CUstreamAttrValue, which has as many bytes.
    let value: [u8; ATTRIBUTE_VALUE] = unsafe { get(value.cast())? };
    let body = StreamSet {
        id: Id::new(id),
        attribute: attr,
        value: value.to_vec(),
    };
    client
        .session
        .call(const { Opcode::of("cuStreamSetAttribute") }, &body)?;
    if attr == PRIORITY {
        client.priorities_changed.store(true, Ordering::Relaxed);
    }
    Ok(())
}

pub(crate) unsafe fn cuStreamIsCapturing(h_stream: *mut c_void, status: *mut u32) -> Result {
    known(h_stream)?;
    // SAFETY: the application's pointer.
    unsafe { put(status, NOT_CAPTURING) }
}

pub(crate) unsafe fn cuStreamGetCaptureInfo_v2(
    h_stream: *mut c_void,
    capture_status_out: *mut u32,
    id_out: *mut u64,
    _graph_out: *mut c_void,
    _dependencies_out: *mut c_void,
    num_dependencies_out: *mut usize,
) -> Result {
    known(h_stream)?;
    // SAFETY: the application's pointers; only the first has to be there.
    unsafe {
        put(capture_status_out, NOT_CAPTURING)?;
        put_opt(id_out, 0);
        put_opt(num_dependencies_out, 0);
    }
    Ok(())
}

pub(crate) unsafe fn cuStreamGetCaptureInfo_v3(
    h_stream: *mut c_void,
    capture_status_out: *mut u32,
    id_out: *mut u64,
    graph_out: *mut c_void,
    dependencies_out: *mut c_void,
    _edge_data_out: *mut c_void,
    num_dependencies_out: *mut usize,
) -> Result {
    // SAFETY: the same contract.
    unsafe {
        cuStreamGetCaptureInfo_v2(
            h_stream,
            capture_status_out,
            id_out,
            graph_out,
            dependencies_out,
            num_dependencies_out,
        )
    }
}

pub(crate) unsafe fn cuThreadExchangeStreamCaptureMode(mode: *mut u32) -> Result {
    use std::cell::Cell;
    thread_local! {
        /// `CU_STREAM_CAPTURE_MODE_GLOBAL`.
        static MODE: Cell<u32> = const { Cell::new(0) };
    }
    client()?;
    // SAFETY: the application's pointer to a mode.
    let new: u32 = unsafe { get(mode.cast())? };
    if new > 2 {
        return Err(INVALID);
    }
    let old = MODE.try_with(|mode| mode.replace(new)).unwrap_or(0);
    // SAFETY: the application's pointer.
    unsafe { put(mode, old) }
}

type Callback = Option<unsafe extern "C" fn()>;

fn call_back(h_stream: *mut c_void, call: Callee, data: *mut c_void, on_error: bool) -> Result {
    let client = client()?;
    client.working_context()?;
    let stream = stream(client, h_stream)?;
    let function = HostFunction {
        stream,
        order: order_of(stream),
        handle: h_stream as usize,
        data: data as usize,
        call,
    };
    client.session.post_host_function(function, on_error)
}

pub(crate) unsafe fn cuLaunchHostFunc(
    h_stream: *mut c_void,
    function: Callback,
    user_data: *mut c_void,
) -> Result {
    let function = function.ok_or(INVALID)?;
    // SAFETY: the C type of this parameter is CUhostFn.
    let function = unsafe {
        std::mem::transmute::<unsafe extern "C" fn(), unsafe extern "C" fn(*mut c_void)>(function)
    };
    call_back(h_stream, Callee::Plain(function), user_data, false)
}

pub(crate) unsafe fn cuStreamAddCallback(
    h_stream: *mut c_void,
    callback: Callback,
    user_data: *mut c_void,
    flags: u32,
) -> Result {
    let callback = callback.ok_or(INVALID)?;
    if flags != 0 {
        return Err(INVALID);
    }
    // SAFETY: the C type of this parameter is CUstreamCallback.
    let callback = unsafe {
        std::mem::transmute::<
            unsafe extern "C" fn(),
            unsafe extern "C" fn(*mut c_void, u32, *mut c_void),
        >(callback)
    };
    call_back(h_stream, Callee::WithStatus(callback), user_data, true)
}
