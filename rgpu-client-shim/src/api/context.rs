//! Contexts: creating, current ones, their properties.

use rgpu_proto::handle::Context;
use rgpu_proto::msg::ContextCreate;
use rgpu_proto::opcode::Opcode;

use super::*;
use crate::client::get as client;
use crate::shadow::contexts::flags_are_valid;
use crate::thread;

const NO_CONTEXT: Status = Status::ERROR_INVALID_CONTEXT;

/// The id of a context that exists; null is the current one.
pub(super) fn named_context(client: &'static Client, ctx: *mut c_void) -> Result<u32> {
    if ctx.is_null() {
        return client.context();
    }
    let id = Id::<Context>::from_c(ctx).ok_or(NO_CONTEXT)?.0;
    client.contexts.hold().check(id)?;
    Ok(id)
}

fn create(pctx: *mut *mut c_void, flags: u32, dev: i32) -> Result {
    let client = client()?;
    client.session.usable()?;
    client.device(dev)?;
    if pctx.is_null() || !flags_are_valid(flags) {
        return Err(INVALID);
    }
    let id = client.mint();
    let body = ContextCreate {
        id: Id::new(id),
        device: dev as u32,
        flags,
    };
    client
        .session
        .post(const { Opcode::of("cuCtxCreate_v4") }, &body)?;
    client.contexts.hold().add(id, dev as u32, flags);
    thread::contexts(|stack| stack.push(id))?;
    // SAFETY: the application's pointer, not null.
    unsafe { put(pctx, Id::<Context>::new(id).to_c()) }
}

pub(crate) unsafe fn cuCtxCreate_v2(pctx: *mut *mut c_void, flags: u32, dev: i32) -> Result {
    create(pctx, flags, dev)
}

pub(crate) unsafe fn cuCtxCreate_v3(
    pctx: *mut *mut c_void,
    _params_array: *mut c_void,
    num_params: i32,
    flags: u32,
    dev: i32,
) -> Result {
    // Execution affinity needs MPS, which a remote GPU does not offer.
    if num_params != 0 {
        return Err(Status::ERROR_NOT_SUPPORTED);
    }
    create(pctx, flags, dev)
}

pub(crate) unsafe fn cuCtxCreate_v4(
    pctx: *mut *mut c_void,
    ctx_create_params: *mut c_void,
    flags: u32,
    dev: i32,
) -> Result {
    if !ctx_create_params.is_null() {
        return Err(Status::ERROR_NOT_SUPPORTED);
    }
    create(pctx, flags, dev)
}

pub(crate) unsafe fn cuCtxAttach(pctx: *mut *mut c_void, flags: u32) -> Result {
    let client = client()?;
    let id = client.context()?;
    if flags != 0 || pctx.is_null() {
        return Err(INVALID);
    }
    client.contexts.hold().get_mut(id)?.references += 1;
    // SAFETY: the application's pointer.
    unsafe { put(pctx, Id::<Context>::new(id).to_c()) }
}

pub(crate) unsafe fn cuCtxDisablePeerAccess(peer_context: *mut c_void) -> Result {
    named_context(client()?, peer_context)?;
    Err(Status::ERROR_PEER_ACCESS_NOT_ENABLED)
}

pub(crate) unsafe fn cuCtxEnablePeerAccess(peer_context: *mut c_void, flags: u32) -> Result {
    named_context(client()?, peer_context)?;
    if flags != 0 {
        return Err(INVALID);
    }
    /// `CUDA_ERROR_PEER_ACCESS_UNSUPPORTED`.
    const UNSUPPORTED: Status = Status(217);
    Err(UNSUPPORTED)
}

pub(crate) unsafe fn cuCtxGetApiVersion(ctx: *mut c_void, version: *mut u32) -> Result {
    named_context(client()?, ctx)?;
    /// What contexts made by `cuCtxCreate_v2` and later report.
    const API_VERSION: u32 = 3020;
    // SAFETY: the application's pointer.
    unsafe { put(version, API_VERSION) }
}

pub(crate) unsafe fn cuCtxGetCacheConfig(pconfig: *mut u32) -> Result {
    let client = client()?;
    let id = client.context()?;
    let context = client.contexts.hold().get(id)?;
    // SAFETY: the application's pointer.
    unsafe { put(pconfig, context.cache) }
}

pub(crate) unsafe fn cuCtxGetCurrent(pctx: *mut *mut c_void) -> Result {
    client()?;
    // SAFETY: the application's pointer.
    unsafe { put(pctx, Id::<Context>::new(thread::current_context()).to_c()) }
}

pub(crate) unsafe fn cuCtxGetDevice(device: *mut i32) -> Result {
    let client = client()?;
    let id = client.context()?;
    let context = client.contexts.hold().get(id)?;
    // SAFETY: the application's pointer.
    unsafe { put(device, context.device as i32) }
}

pub(crate) unsafe fn cuCtxGetDevice_v2(device: *mut i32, ctx: *mut c_void) -> Result {
    let client = client()?;
    let id = named_context(client, ctx)?;
    let context = client.contexts.hold().get(id)?;
    // SAFETY: the application's pointer.
    unsafe { put(device, context.device as i32) }
}

pub(crate) unsafe fn cuCtxGetExecAffinity(_affinity: *mut c_void, _kind: u32) -> Result {
    client()?.context()?;
    /// `CUDA_ERROR_UNSUPPORTED_EXEC_AFFINITY`.
    const UNSUPPORTED: Status = Status(224);
    Err(UNSUPPORTED)
}

pub(crate) unsafe fn cuCtxGetFlags(flags: *mut u32) -> Result {
    let client = client()?;
    let id = client.context()?;
    let context = client.contexts.hold().get(id)?;
    // SAFETY: the application's pointer.
    unsafe { put(flags, context.flags) }
}

pub(crate) unsafe fn cuCtxGetId(ctx: *mut c_void, ctx_id: *mut u64) -> Result {
    let id = named_context(client()?, ctx)?;
    // SAFETY: the application's pointer.
    unsafe { put(ctx_id, u64::from(id)) }
}

pub(crate) unsafe fn cuCtxGetSharedMemConfig(p_config: *mut u32) -> Result {
    let client = client()?;
    let id = client.context()?;
    let context = client.contexts.hold().get(id)?;
    // SAFETY: the application's pointer.
    unsafe { put(p_config, context.banks) }
}

pub(crate) unsafe fn cuCtxSetSharedMemConfig(config: u32) -> Result {
    let client = client()?;
    let id = client.context()?;
    if config > 2 {
        return Err(INVALID);
    }
    // Devices since compute capability 5.0 have one bank size and ignore this.
    client.contexts.hold().get_mut(id)?.banks = config;
    Ok(())
}

pub(crate) unsafe fn cuCtxGetStreamPriorityRange(least: *mut i32, greatest: *mut i32) -> Result {
    let client = client()?;
    client.context()?;
    let range = client.hello.stream_priorities;
    // SAFETY: the application's pointers, which may be null.
    unsafe {
        put_opt(least, range.0);
        put_opt(greatest, range.1);
    }
    Ok(())
}

pub(crate) unsafe fn cuCtxPopCurrent_v2(pctx: *mut *mut c_void) -> Result {
    client()?;
    let id = thread::contexts(Vec::pop)?.ok_or(NO_CONTEXT)?;
    // SAFETY: the application's pointer, which may be null.
    unsafe { put_opt(pctx, Id::<Context>::new(id).to_c()) };
    Ok(())
}

pub(crate) unsafe fn cuCtxPushCurrent_v2(ctx: *mut c_void) -> Result {
    let client = client()?;
    if ctx.is_null() {
        return Err(NO_CONTEXT);
    }
    let id = named_context(client, ctx)?;
    thread::contexts(|stack| stack.push(id))
}

pub(crate) unsafe fn cuCtxSetCurrent(ctx: *mut c_void) -> Result {
    let client = client()?;
    let id = if ctx.is_null() {
        0
    } else {
        named_context(client, ctx)?
    };
    thread::contexts(|stack| {
        stack.pop();
        if id != 0 {
            stack.push(id);
        }
    })
}

pub(crate) unsafe fn cuCtxSetFlags(flags: u32) -> Result {
    let client = client()?;
    let id = client.context()?;
    if !flags_are_valid(flags) {
        return Err(INVALID);
    }
    client.contexts.hold().get_mut(id)?.flags = flags;
    Ok(())
}

pub(crate) unsafe fn cuCtxSynchronize() -> Result {
    let client = client()?;
    synchronize(client, client.context()?)
}

pub(crate) unsafe fn cuCtxSynchronize_v2(ctx: *mut c_void) -> Result {
    let client = client()?;
    synchronize(client, named_context(client, ctx)?)
}

pub(super) fn synchronize(client: &'static Client, id: u32) -> Result {
    const SYNCHRONIZE: Opcode = Opcode::of("cuCtxSynchronize");
    let origin = crate::session::Origin::within(id);
    settle_after(client, None, || {
        client.session.ask(SYNCHRONIZE, origin, &[]).map(drop)
    })
}

pub(crate) unsafe fn cuDevicePrimaryCtxGetState(
    dev: i32,
    flags: *mut u32,
    active: *mut i32,
) -> Result {
    let client = client()?;
    let contexts = client.contexts.hold();
    let context = contexts.get(contexts.primary(dev)?)?;
    // SAFETY: the application's pointers.
    unsafe {
        put(flags, context.flags)?;
        put(active, i32::from(context.references > 0))
    }
}

pub(crate) unsafe fn cuDevicePrimaryCtxRetain(pctx: *mut *mut c_void, dev: i32) -> Result {
    let client = client()?;
    client.session.usable()?;
    if pctx.is_null() {
        return Err(INVALID);
    }
    let id = client.contexts.hold().retain(dev)?;
    // SAFETY: the application's pointer.
    unsafe { put(pctx, Id::<Context>::new(id).to_c()) }
}

pub(crate) unsafe fn cuDevicePrimaryCtxSetFlags(dev: i32, flags: u32) -> Result {
    let client = client()?;
    let mut contexts = client.contexts.hold();
    let id = contexts.primary(dev)?;
    if !flags_are_valid(flags) {
        return Err(INVALID);
    }
    contexts.get_mut(id)?.flags = flags;
    Ok(())
}

pub(crate) unsafe fn cuDevicePrimaryCtxSetFlags_v2(dev: i32, flags: u32) -> Result {
    // SAFETY: the same contract.
    unsafe { cuDevicePrimaryCtxSetFlags(dev, flags) }
}
