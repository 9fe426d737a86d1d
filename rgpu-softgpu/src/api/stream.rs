//! Streams.

use std::ffi::c_void;

use rgpu_driver_abi::stream::BatchMemOp;

use super::{put, put_if_wanted};
use crate::driver;
use crate::status::{Result, Status, require};
use crate::stream::{MemoryOp, Word};
use crate::{context, event, stream};

/// `CU_STREAM_CAPTURE_STATUS_NONE`.
const NOT_CAPTURING: u32 = 0;
/// Largest `CUstreamCaptureMode`.
const CAPTURE_MODES: u32 = 2;
/// `CU_EVENT_WAIT_EXTERNAL`, which means something in a graph only.
const WAIT_EXTERNAL: u32 = 1;

/// `CUstreamCallback`.
type StreamCallback = unsafe extern "C" fn(*mut c_void, u32, *mut c_void);
/// `CUhostFn`.
type HostFunction = unsafe extern "C" fn(*mut c_void);

/// What the program wants passed to its callback.
struct UserData(*mut c_void);

// SAFETY: the driver only hands it back, from a thread that the program cannot choose.
unsafe impl Send for UserData {}

impl UserData {
    fn pointer(&self) -> *mut c_void {
        self.0
    }
}

pub(crate) unsafe fn cuStreamCreate(ph_stream: *mut *mut c_void, flags: u32) -> Result {
    // SAFETY: the contract of this function.
    unsafe { cuStreamCreateWithPriority(ph_stream, flags, 0) }
}

pub(crate) unsafe fn cuStreamCreateWithPriority(
    ph_stream: *mut *mut c_void,
    flags: u32,
    priority: i32,
) -> Result {
    require(!ph_stream.is_null())?;
    // SAFETY: the contract of this function.
    unsafe { put(ph_stream, stream::create(flags, priority)?) }
}

pub(crate) unsafe fn cuStreamDestroy_v2(h_stream: *mut c_void) -> Result {
    stream::destroy(h_stream)
}

pub(crate) unsafe fn cuStreamSynchronize(h_stream: *mut c_void) -> Result {
    stream::resolve(h_stream)?.synchronise()
}

pub(crate) unsafe fn cuStreamQuery(h_stream: *mut c_void) -> Result {
    stream::resolve(h_stream)?.query()
}

pub(crate) unsafe fn cuStreamWaitEvent(
    h_stream: *mut c_void,
    h_event: *mut c_void,
    flags: u32,
) -> Result {
    let stream = stream::resolve(h_stream)?;
    let event = event::resolve(h_event)?;
    require(flags & !WAIT_EXTERNAL == 0)?;
    if let Some(ticket) = event.recorded() {
        stream.after(&[ticket]);
    }
    Ok(())
}

pub(crate) unsafe fn cuStreamAddCallback(
    h_stream: *mut c_void,
    callback: Option<unsafe extern "C" fn()>,
    user_data: *mut c_void,
    flags: u32,
) -> Result {
    let stream = stream::resolve(h_stream)?;
    require(flags == 0)?;
    let callback = callback.ok_or(Status::ERROR_INVALID_VALUE)?;
    // SAFETY: the contract of this function: it is a CUstreamCallback.
    let callback: StreamCallback = unsafe { std::mem::transmute(callback) };
    let (user_data, handle) = (UserData(user_data), h_stream.addr());
    stream.enqueue_always(move |state| {
        let handle = std::ptr::without_provenance_mut(handle);
        // SAFETY: the program's own function and data, called once, as it asked for.
        context::in_callback(|| unsafe {
            callback(handle, Status::of(state).0, user_data.pointer());
        });
    });
    Ok(())
}

pub(crate) unsafe fn cuLaunchHostFunc(
    h_stream: *mut c_void,
    function: Option<unsafe extern "C" fn()>,
    user_data: *mut c_void,
) -> Result {
    let stream = stream::resolve(h_stream)?;
    let function = function.ok_or(Status::ERROR_INVALID_VALUE)?;
    // SAFETY: the contract of this function: it is a CUhostFn.
    let function: HostFunction = unsafe { std::mem::transmute(function) };
    let user_data = UserData(user_data);
    // Documented: not called if the context is poisoned.
    stream.enqueue_always(move |state| {
        if state.is_ok() {
            // SAFETY: the program's own function and data, called once, as it asked for.
            context::in_callback(|| unsafe { function(user_data.pointer()) });
        }
    });
    Ok(())
}

pub(crate) unsafe fn cuStreamGetCtx(h_stream: *mut c_void, pctx: *mut *mut c_void) -> Result {
    let handle = stream::resolve(h_stream)?.context().handle();
    // SAFETY: the contract of this function.
    unsafe { put(pctx, handle) }
}

pub(crate) unsafe fn cuStreamGetDevice(h_stream: *mut c_void, device: *mut i32) -> Result {
    let ordinal = stream::resolve(h_stream)?.context().ordinal();
    // SAFETY: the contract of this function.
    unsafe { put(device, ordinal) }
}

pub(crate) unsafe fn cuStreamGetFlags(h_stream: *mut c_void, flags: *mut u32) -> Result {
    let value = stream::resolve(h_stream)?.flags();
    // SAFETY: the contract of this function.
    unsafe { put(flags, value) }
}

pub(crate) unsafe fn cuStreamGetId(h_stream: *mut c_void, stream_id: *mut u64) -> Result {
    let id = stream::resolve(h_stream)?.id();
    // SAFETY: the contract of this function.
    unsafe { put(stream_id, id) }
}

pub(crate) unsafe fn cuStreamGetPriority(h_stream: *mut c_void, priority: *mut i32) -> Result {
    let value = stream::resolve(h_stream)?.priority();
    // SAFETY: the contract of this function.
    unsafe { put(priority, value) }
}

pub(crate) unsafe fn cuStreamGetAttribute(
    h_stream: *mut c_void,
    attr: u32,
    value_out: *mut c_void,
) -> Result {
    let value = stream::resolve(h_stream)?.attributes().get(attr)?;
    require(!value_out.is_null())?;
    // SAFETY: the contract of this function: a CUstreamAttrValue, of which this is a member.
    unsafe { std::ptr::copy_nonoverlapping(value.as_ptr(), value_out.cast(), value.len()) };
    Ok(())
}

pub(crate) unsafe fn cuStreamSetAttribute(
    h_stream: *mut c_void,
    attr: u32,
    value: *const c_void,
) -> Result {
    let stream = stream::resolve(h_stream)?;
    // SAFETY: the contract of this function: a CUstreamAttrValue, which has 64 bytes.
    let value = unsafe { super::read(value.cast::<[u8; 64]>()) }?;
    stream.attributes().set(attr, &value)
}

pub(crate) unsafe fn cuStreamCopyAttributes(dst: *mut c_void, src: *mut c_void) -> Result {
    let (dst, src) = (stream::resolve(dst)?, stream::resolve(src)?);
    // Documented: both of one context.
    require(dst.context().id() == src.context().id())?;
    let attributes = src.attributes().clone();
    *dst.attributes() = attributes;
    Ok(())
}

pub(crate) unsafe fn cuStreamIsCapturing(
    h_stream: *mut c_void,
    capture_status: *mut u32,
) -> Result {
    stream::resolve(h_stream)?;
    // SAFETY: the contract of this function.
    unsafe { put(capture_status, NOT_CAPTURING) }
}

/// Streams are never captured, so only the status has something to say.
pub(crate) unsafe fn cuStreamGetCaptureInfo_v2(
    h_stream: *mut c_void,
    capture_status_out: *mut u32,
    id_out: *mut u64,
    _: *mut c_void,
    _: *mut c_void,
    num_dependencies_out: *mut usize,
) -> Result {
    stream::resolve(h_stream)?;
    // SAFETY: the contract of this function.
    unsafe {
        put_if_wanted(id_out, 0);
        put_if_wanted(num_dependencies_out, 0);
        put(capture_status_out, NOT_CAPTURING)
    }
}

pub(crate) unsafe fn cuStreamGetCaptureInfo_v3(
    h_stream: *mut c_void,
    capture_status_out: *mut u32,
    id_out: *mut u64,
    graph_out: *mut c_void,
    dependencies_out: *mut c_void,
    _: *mut c_void,
    num_dependencies_out: *mut usize,
) -> Result {
    // SAFETY: the contract of this function.
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

/// No stream is ever captured, so every mode is as good as any other; it is remembered per thread.
pub(crate) unsafe fn cuThreadExchangeStreamCaptureMode(mode: *mut u32) -> Result {
    thread_local! {
        static MODE: std::cell::Cell<u32> = const { std::cell::Cell::new(0) };
    }
    driver::get()?;
    // SAFETY: the contract of this function.
    let wanted = unsafe { super::read(mode) }?;
    require(wanted <= CAPTURE_MODES)?;
    // SAFETY: the contract of this function.
    unsafe { put(mode, MODE.replace(wanted)) }
}

fn wait_for(h_stream: *mut c_void, word: Word, flags: u32) -> Result {
    stream::resolve(h_stream)?.memory_ops(&[MemoryOp::Wait(word, flags)])
}

fn write(h_stream: *mut c_void, word: Word, flags: u32) -> Result {
    stream::resolve(h_stream)?.memory_ops(&[MemoryOp::Write(word, flags)])
}

fn narrow(address: u64, value: u32) -> Word {
    Word {
        address,
        value: value.into(),
        wide: false,
    }
}

fn wide(address: u64, value: u64) -> Word {
    Word {
        address,
        value,
        wide: true,
    }
}

pub(crate) unsafe fn cuStreamWaitValue32_v2(
    stream: *mut c_void,
    addr: u64,
    value: u32,
    flags: u32,
) -> Result {
    wait_for(stream, narrow(addr, value), flags)
}

pub(crate) unsafe fn cuStreamWaitValue64_v2(
    stream: *mut c_void,
    addr: u64,
    value: u64,
    flags: u32,
) -> Result {
    wait_for(stream, wide(addr, value), flags)
}

pub(crate) unsafe fn cuStreamWriteValue32_v2(
    stream: *mut c_void,
    addr: u64,
    value: u32,
    flags: u32,
) -> Result {
    write(stream, narrow(addr, value), flags)
}

pub(crate) unsafe fn cuStreamWriteValue64_v2(
    stream: *mut c_void,
    addr: u64,
    value: u64,
    flags: u32,
) -> Result {
    write(stream, wide(addr, value), flags)
}

pub(crate) unsafe fn cuStreamBatchMemOp_v2(
    stream: *mut c_void,
    count: u32,
    param_array: *mut c_void,
    flags: u32,
) -> Result {
    let stream = stream::resolve(stream)?;
    // Documented: fewer than 256 operations.
    require(flags == 0 && count < 256)?;
    let first = param_array.cast::<BatchMemOp>();
    let ops = (0..count as usize).map(|index| {
        // SAFETY: the contract of this function: `count` unions.
        let params = unsafe { super::read(first.wrapping_add(index)) }?;
        memory_op(&params)
    });
    let ops: Vec<MemoryOp> = ops.collect::<Result<_>>()?;
    stream.memory_ops(&ops)
}

fn memory_op(params: &BatchMemOp) -> Result<MemoryOp> {
    let narrow = narrow(params.address, params.value as u32);
    let wide = wide(params.address, params.value);
    // CUstreamBatchMemOpType.
    match params.operation {
        1 => Ok(MemoryOp::Wait(narrow, params.flags)),
        2 => Ok(MemoryOp::Write(narrow, params.flags)),
        3 => Err(Status::ERROR_NOT_SUPPORTED),
        4 => Ok(MemoryOp::Wait(wide, params.flags)),
        5 => Ok(MemoryOp::Write(wide, params.flags)),
        6 => require(params.own_flags <= 1).map(|()| MemoryOp::Barrier),
        _ => Err(Status::ERROR_INVALID_VALUE),
    }
}
