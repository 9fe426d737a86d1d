//! Addresses that compiled code does not resolve itself, and traps.

use super::{Ctx, Host};
use crate::abi::{
    DEVICE_WINDOW_BASE, DEVICE_WINDOW_SIZE, LOCAL_WINDOW_BASE, PARAM_WINDOW_BASE,
    SHARED_WINDOW_BASE, SMALL_WINDOW_SIZE, ThreadContext, Trap,
};
use crate::exec::thread::Thread;

/// The host address of a generic address.
pub(super) fn resolve(
    thread: &Thread,
    address: u64,
    width: u32,
    write: bool,
) -> Result<Host, Trap> {
    check_alignment(address, width)?;
    resolve_bytes(thread, address, u64::from(width), write).ok_or(Trap::IllegalAddress)
}

/// [`resolve`] without a demand on the alignment. An address in the device window is not checked further: the
/// access itself faults where nothing is mapped.
pub(super) fn resolve_bytes(thread: &Thread, address: u64, size: u64, write: bool) -> Option<Host> {
    let context = &thread.context;
    let inside = |base: u64, window: u64| {
        let offset = address.wrapping_sub(base);
        (offset < window && size <= window - offset).then_some(offset)
    };
    if inside(DEVICE_WINDOW_BASE, DEVICE_WINDOW_SIZE).is_some() {
        let host = address.wrapping_add(context.global_delta);
        return Some(std::ptr::with_exposed_provenance_mut(host as usize));
    }
    if let Some(offset) = inside(SHARED_WINDOW_BASE, SMALL_WINDOW_SIZE) {
        return within(context.shared, context.shared_size, offset, size);
    }
    if let Some(offset) = inside(LOCAL_WINDOW_BASE, SMALL_WINDOW_SIZE) {
        return within(context.local, context.local_size, offset, size);
    }
    if let Some(offset) = inside(PARAM_WINDOW_BASE, SMALL_WINDOW_SIZE) {
        return if write {
            None
        } else {
            within(context.params.cast_mut(), context.params_size, offset, size)
        };
    }
    thread.host_memory(address, size)
}

fn within(base: Host, length: u64, offset: u64, size: u64) -> Option<Host> {
    (offset <= length && size <= length - offset).then(|| base.wrapping_add(offset as usize))
}

fn check_alignment(address: u64, width: u32) -> Result<(), Trap> {
    if width.is_power_of_two() && address & u64::from(width - 1) != 0 {
        return Err(Trap::MisalignedAddress);
    }
    Ok(())
}

pub(super) extern "C" fn translate(ctx: Ctx, address: u64, width: u32, write: u32) -> Host {
    // SAFETY: compiled code passes its own context.
    let thread = unsafe { Thread::of(ctx) };
    match resolve(thread, address, width, write != 0) {
        Ok(host) => host,
        Err(trap) => thread.fault(trap, Some(address)),
    }
}

/// Translates an offset in one of the small spaces.
fn translate_in(ctx: Ctx, window: u64, offset: u64, width: u32, write: u32) -> Host {
    // A negative offset, or one past the window, must not reach another window.
    let address = if offset < SMALL_WINDOW_SIZE {
        window + offset
    } else {
        u64::MAX
    };
    // SAFETY: compiled code passes its own context.
    let thread = unsafe { Thread::of(ctx) };
    match check_alignment(offset, width) {
        Ok(()) => {}
        Err(trap) => thread.fault(trap, Some(address)),
    }
    match resolve_bytes(thread, address, u64::from(width), write != 0) {
        Some(host) if address != u64::MAX => host,
        _ => thread.fault(Trap::IllegalAddress, Some(address)),
    }
}

pub(super) extern "C" fn translate_shared(ctx: Ctx, offset: u64, width: u32, write: u32) -> Host {
    translate_in(ctx, SHARED_WINDOW_BASE, offset, width, write)
}

pub(super) extern "C" fn translate_local(ctx: Ctx, offset: u64, width: u32, write: u32) -> Host {
    translate_in(ctx, LOCAL_WINDOW_BASE, offset, width, write)
}

pub(super) extern "C" fn translate_param(ctx: Ctx, offset: u64, width: u32, write: u32) -> Host {
    translate_in(ctx, PARAM_WINDOW_BASE, offset, width, write)
}

pub(super) extern "C" fn local_alloc(ctx: Ctx, size: u64, align: u64) -> u64 {
    let align = if align.is_power_of_two() { align } else { 16 };
    // SAFETY: compiled code passes its own context; only this thread uses it.
    let context: &mut ThreadContext = unsafe { &mut *ctx };
    let start = context.local_top.checked_next_multiple_of(align);
    let end = start
        .and_then(|start| start.checked_add(size))
        .filter(|&end| end <= context.local_size);
    if let (Some(start), Some(end)) = (start, end) {
        context.local_top = end;
        return start;
    }
    // SAFETY: as above.
    unsafe { Thread::of(ctx) }.fault(Trap::StackOverflow, None)
}

pub(super) extern "C" fn trap(ctx: Ctx, code: u32) {
    // SAFETY: compiled code passes its own context.
    let thread = unsafe { Thread::of(ctx) };
    thread.fault(
        Trap::from_code(code).unwrap_or(Trap::IllegalInstruction),
        None,
    )
}
