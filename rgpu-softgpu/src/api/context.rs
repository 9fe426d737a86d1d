//! Contexts.

use std::ffi::c_void;
use std::sync::atomic::Ordering;

use cudarc::driver::sys::CUctxCreateParams;

use super::{put, put_if_wanted, read};
use crate::context;
use crate::device::limits;
use crate::driver;
use crate::status::{Result, Status, require};

/// `CUDA_ERROR_UNSUPPORTED_EXEC_AFFINITY`.
const UNSUPPORTED_EXEC_AFFINITY: Status = Status(224);
/// Largest `CUfunc_cache`.
const CACHE_CONFIGS: u32 = 3;
/// Largest `CUsharedconfig`.
const SHARED_CONFIGS: u32 = 2;

pub(crate) unsafe fn cuCtxCreate_v2(pctx: *mut *mut c_void, flags: u32, dev: i32) -> Result {
    let gpu = driver::gpu(dev)?;
    require(!pctx.is_null())?;
    // SAFETY: the contract of this function.
    unsafe { put(pctx, context::create(flags, gpu)?) }
}

pub(crate) unsafe fn cuCtxCreate_v3(
    pctx: *mut *mut c_void,
    _: *mut c_void,
    num_params: i32,
    flags: u32,
    dev: i32,
) -> Result {
    if num_params != 0 {
        return Err(UNSUPPORTED_EXEC_AFFINITY);
    }
    // SAFETY: the contract of this function.
    unsafe { cuCtxCreate_v2(pctx, flags, dev) }
}

pub(crate) unsafe fn cuCtxCreate_v4(
    pctx: *mut *mut c_void,
    ctx_create_params: *mut c_void,
    flags: u32,
    dev: i32,
) -> Result {
    if !ctx_create_params.is_null() {
        // SAFETY: the contract of this function.
        let params = unsafe { read(ctx_create_params.cast::<CUctxCreateParams>()) }?;
        if params.numExecAffinityParams != 0 {
            return Err(UNSUPPORTED_EXEC_AFFINITY);
        }
        if !params.cigParams.is_null() {
            return Err(Status::ERROR_NOT_SUPPORTED);
        }
    }
    // SAFETY: the contract of this function.
    unsafe { cuCtxCreate_v2(pctx, flags, dev) }
}

pub(crate) unsafe fn cuCtxDestroy_v2(ctx: *mut c_void) -> Result {
    context::destroy(ctx)
}

/// Counting users of a context by attach and detach is deprecated; a context has one creator.
pub(crate) unsafe fn cuCtxAttach(pctx: *mut *mut c_void, flags: u32) -> Result {
    let context = context::current()?;
    require(flags == 0)?;
    // SAFETY: the contract of this function.
    unsafe { put(pctx, context.handle()) }
}

pub(crate) unsafe fn cuCtxDetach(ctx: *mut c_void) -> Result {
    context::find(ctx).map(drop)
}

pub(crate) unsafe fn cuCtxGetCurrent(pctx: *mut *mut c_void) -> Result {
    driver::get()?;
    // SAFETY: the contract of this function.
    unsafe { put(pctx, context::current_handle()) }
}

pub(crate) unsafe fn cuCtxSetCurrent(ctx: *mut c_void) -> Result {
    context::set_current(ctx)
}

pub(crate) unsafe fn cuCtxPushCurrent_v2(ctx: *mut c_void) -> Result {
    context::push(ctx)
}

pub(crate) unsafe fn cuCtxPopCurrent_v2(pctx: *mut *mut c_void) -> Result {
    let handle = context::pop()?;
    // SAFETY: the contract of this function.
    unsafe { put_if_wanted(pctx, handle) };
    Ok(())
}

pub(crate) unsafe fn cuCtxGetDevice(device: *mut i32) -> Result {
    let ordinal = context::alive()?.ordinal();
    // SAFETY: the contract of this function.
    unsafe { put(device, ordinal) }
}

pub(crate) unsafe fn cuCtxGetDevice_v2(device: *mut i32, ctx: *mut c_void) -> Result {
    let context = match ctx.is_null() {
        true => context::alive()?,
        false => context::find(ctx)?,
    };
    // SAFETY: the contract of this function.
    unsafe { put(device, context.ordinal()) }
}

pub(crate) unsafe fn cuCtxGetApiVersion(ctx: *mut c_void, version: *mut u32) -> Result {
    context::find_or_current(ctx)?;
    // SAFETY: the contract of this function.
    unsafe { put(version, context::API_VERSION) }
}

pub(crate) unsafe fn cuCtxGetId(ctx: *mut c_void, ctx_id: *mut u64) -> Result {
    let context = context::find_or_current(ctx)?;
    // SAFETY: the contract of this function.
    unsafe { put(ctx_id, context.id()) }
}

pub(crate) unsafe fn cuCtxGetFlags(flags: *mut u32) -> Result {
    let context = context::current()?;
    // SAFETY: the contract of this function.
    unsafe { put(flags, context.flags()) }
}

pub(crate) unsafe fn cuCtxSetFlags(flags: u32) -> Result {
    context::current()?.set_flags(flags)
}

pub(crate) unsafe fn cuCtxGetLimit(pvalue: *mut usize, limit: u32) -> Result {
    let value = context::current()?.limit(limit)?;
    // SAFETY: the contract of this function.
    unsafe { put(pvalue, value as usize) }
}

pub(crate) unsafe fn cuCtxSetLimit(limit: u32, value: usize) -> Result {
    context::current()?.set_limit(limit, value as u64)
}

pub(crate) unsafe fn cuCtxGetCacheConfig(pconfig: *mut u32) -> Result {
    let config = context::current()?.cache_config.load(Ordering::Relaxed);
    // SAFETY: the contract of this function.
    unsafe { put(pconfig, config) }
}

pub(crate) unsafe fn cuCtxSetCacheConfig(config: u32) -> Result {
    let context = context::current()?;
    require(config <= CACHE_CONFIGS)?;
    context.cache_config.store(config, Ordering::Relaxed);
    Ok(())
}

pub(crate) unsafe fn cuCtxGetSharedMemConfig(p_config: *mut u32) -> Result {
    let config = context::current()?.shared_config.load(Ordering::Relaxed);
    // SAFETY: the contract of this function.
    unsafe { put(p_config, config) }
}

pub(crate) unsafe fn cuCtxSetSharedMemConfig(config: u32) -> Result {
    let context = context::current()?;
    require(config <= SHARED_CONFIGS)?;
    context.shared_config.store(config, Ordering::Relaxed);
    Ok(())
}

pub(crate) unsafe fn cuCtxGetStreamPriorityRange(
    least_priority: *mut i32,
    greatest_priority: *mut i32,
) -> Result {
    context::current()?;
    // SAFETY: the contract of this function.
    unsafe {
        put_if_wanted(least_priority, limits::LEAST_PRIORITY);
        put_if_wanted(greatest_priority, limits::GREATEST_PRIORITY);
    }
    Ok(())
}

/// No context can be limited to some multiprocessors.
pub(crate) unsafe fn cuCtxGetExecAffinity(_: *mut c_void, _: u32) -> Result {
    context::current()?;
    Err(UNSUPPORTED_EXEC_AFFINITY)
}

pub(crate) unsafe fn cuCtxResetPersistingL2Cache() -> Result {
    context::current().map(drop)
}

pub(crate) unsafe fn cuCtxSynchronize() -> Result {
    context::current()?.synchronise()
}

pub(crate) unsafe fn cuCtxSynchronize_v2(ctx: *mut c_void) -> Result {
    context::find_or_current(ctx)?.synchronise()
}

pub(crate) unsafe fn cuCtxEnablePeerAccess(peer_context: *mut c_void, flags: u32) -> Result {
    let context = context::current()?;
    require(flags == 0)?;
    let peer = context::find(peer_context)?;
    context.enable_peer(&peer)
}

pub(crate) unsafe fn cuCtxDisablePeerAccess(peer_context: *mut c_void) -> Result {
    let context = context::current()?;
    let peer = context::find(peer_context)?;
    context.disable_peer(&peer)
}

pub(crate) unsafe fn cuDevicePrimaryCtxRetain(pctx: *mut *mut c_void, dev: i32) -> Result {
    let gpu = driver::gpu(dev)?;
    require(!pctx.is_null())?;
    // SAFETY: the contract of this function.
    unsafe { put(pctx, gpu.primary.retain()) }
}

pub(crate) unsafe fn cuDevicePrimaryCtxRelease(dev: i32) -> Result {
    let gpu = driver::gpu(dev)?;
    gpu.primary.release()
}

pub(crate) unsafe fn cuDevicePrimaryCtxRelease_v2(dev: i32) -> Result {
    // SAFETY: the contract of this function.
    unsafe { cuDevicePrimaryCtxRelease(dev) }
}

pub(crate) unsafe fn cuDevicePrimaryCtxReset(dev: i32) -> Result {
    let gpu = driver::gpu(dev)?;
    gpu.primary.reset();
    Ok(())
}

pub(crate) unsafe fn cuDevicePrimaryCtxReset_v2(dev: i32) -> Result {
    // SAFETY: the contract of this function.
    unsafe { cuDevicePrimaryCtxReset(dev) }
}

pub(crate) unsafe fn cuDevicePrimaryCtxGetState(
    dev: i32,
    flags: *mut u32,
    active: *mut i32,
) -> Result {
    let gpu = driver::gpu(dev)?;
    require(!flags.is_null() && !active.is_null())?;
    // SAFETY: the contract of this function.
    unsafe {
        put(flags, gpu.primary.flags())?;
        put(active, gpu.primary.is_active().into())
    }
}

pub(crate) unsafe fn cuDevicePrimaryCtxSetFlags(dev: i32, flags: u32) -> Result {
    let gpu = driver::gpu(dev)?;
    gpu.primary.set_flags(flags)
}

pub(crate) unsafe fn cuDevicePrimaryCtxSetFlags_v2(dev: i32, flags: u32) -> Result {
    // SAFETY: the contract of this function.
    unsafe { cuDevicePrimaryCtxSetFlags(dev, flags) }
}
