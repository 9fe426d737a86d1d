//! Handles and versions.

use std::ffi::c_void;
use std::ptr::null_mut;

use rgpu_softgpu_math::queue::{self, Stream};

use crate::entry::property;
use crate::objects::{Context, create, destroy, get, with};
use crate::status::{Result, Status, require};
use crate::types::put;

pub(crate) unsafe fn cudnnCreate(handle: *mut *mut c_void) -> Result {
    queue::Context::current_or_primary().map_err(|_| Status::NOT_INITIALIZED)?;
    // SAFETY: the caller keeps the contract of the C function.
    unsafe {
        create(
            handle,
            Context {
                stream: Stream(null_mut()),
            },
        )
    }
}

pub(crate) unsafe fn cudnnDestroy(handle: *mut c_void) -> Result {
    // As documented, the work of the handle is waited for; its stream may be gone.
    if let Ok(context) = get::<Context>(handle) {
        let _ = context.stream.synchronise();
    }
    destroy::<Context>(handle)
}

pub(crate) unsafe fn cudnnSetStream(handle: *mut c_void, stream: *mut c_void) -> Result {
    with(handle, |context: &mut Context| {
        context.stream = Stream(stream);
        Ok(())
    })
}

pub(crate) unsafe fn cudnnGetStream(handle: *mut c_void, stream: *mut *mut c_void) -> Result {
    let context = get::<Context>(handle)?;
    require(!stream.is_null())?;
    // SAFETY: not null; the caller keeps the contract of the C function.
    unsafe { put(stream, context.stream.0) };
    Ok(())
}

pub(crate) unsafe fn cudnnGetProperty(kind: u32, value: *mut i32) -> Result {
    require(!value.is_null())?;
    // SAFETY: not null; the caller keeps the contract of the C function.
    unsafe { put(value, property(kind).ok_or(Status::INVALID_VALUE)?) };
    Ok(())
}

pub(crate) unsafe fn cudnnGraphVersionCheck() -> Result {
    Ok(())
}

pub(crate) unsafe fn cudnnOpsVersionCheck() -> Result {
    Ok(())
}

pub(crate) unsafe fn cudnnCnnVersionCheck() -> Result {
    Ok(())
}

pub(crate) unsafe fn cudnnAdvVersionCheck() -> Result {
    Ok(())
}

pub(crate) unsafe fn cudnnQueryRuntimeError(
    handle: *mut c_void,
    status: *mut u32,
    mode: u32,
    _tag: *mut u32,
) -> Result {
    let context = get::<Context>(handle)?;
    require(!status.is_null() && mode <= 2)?;
    if mode == 2 {
        context.stream.synchronise()?;
    }
    // SAFETY: not null; the caller keeps the contract of the C function.
    unsafe { put(status, 0) };
    Ok(())
}
