//! One function per `local` and `custom` row, under the row's name, with the row's C parameters.
//!
//! They only translate: arguments are checked here, what is known is asked of `shadow`, what has to be sent is
//! given to `session`.

#![expect(non_snake_case, reason = "functions carry the names of the C API")]

mod context;
mod context_end;
mod copies;
mod device;
mod event;
mod fills;
mod host_memory;
mod init;
mod launch;
mod launch_plan;
mod library;
mod link;
mod mapped;
mod memory;
mod module;
mod occupancy;
mod pointer;
mod pool;
mod stream;
mod stream_memory;
mod vmm;

use std::ffi::c_void;

use rgpu_proto::handle::{Function, Id, Kernel, Named, Stream};
use rgpu_proto::kinds::ClientSide;
use rgpu_proto::status::Status;

pub(crate) use context::*;
pub(crate) use context_end::*;
pub(crate) use copies::*;
pub(crate) use device::*;
pub(crate) use event::*;
pub(crate) use fills::*;
pub(crate) use host_memory::*;
pub(crate) use init::*;
pub(crate) use launch::*;
pub(crate) use library::*;
pub(crate) use link::*;
pub(crate) use mapped::Mirrors;
pub(crate) use memory::*;
pub(crate) use module::*;
pub(crate) use occupancy::*;
pub(crate) use pointer::*;
pub(crate) use pool::*;
pub(crate) use stream::*;
pub(crate) use stream_memory::*;
pub(crate) use vmm::*;

use crate::client::Client;
use crate::names::Hold;
use crate::shadow::streams::{LEGACY, PER_THREAD};

/// Result of an entry point's body.
pub(crate) type Result<T = ()> = std::result::Result<T, Status>;

const INVALID: Status = Status::ERROR_INVALID_VALUE;

/// Stores a result where the application wants it.
///
/// # Safety
/// A non-null `place` is writable.
unsafe fn put<T>(place: *mut T, value: T) -> Result {
    if place.is_null() {
        return Err(INVALID);
    }
    // SAFETY: not null, and the caller's promise. C does not promise alignment.
    unsafe { place.write_unaligned(value) };
    Ok(())
}

/// The same for results that the application may leave out.
///
/// # Safety
/// A non-null `place` is writable.
unsafe fn put_opt<T>(place: *mut T, value: T) {
    if !place.is_null() {
        // SAFETY: not null, and the caller's promise.
        unsafe { place.write_unaligned(value) };
    }
}

/// Stores text with its NUL in `len` bytes, cut where it is longer.
///
/// # Safety
/// A non-null `place` has `len` writable bytes.
unsafe fn put_text(place: *mut c_void, len: i32, text: &str) -> Result {
    let len = usize::try_from(len)
        .ok()
        .filter(|len| *len > 0)
        .ok_or(INVALID)?;
    if place.is_null() {
        return Err(INVALID);
    }
    let fits = text.len().min(len - 1);
    // SAFETY: the caller's promise; `fits` bytes and a NUL are at most `len`.
    unsafe {
        std::ptr::copy_nonoverlapping(text.as_ptr(), place.cast(), fits);
        place.cast::<u8>().add(fits).write(0);
    }
    Ok(())
}

/// Reads a C text.
///
/// # Safety
/// A non-null `text` is NUL-terminated and stays as it is for the call.
unsafe fn text<'a>(text: *const std::ffi::c_char) -> Result<&'a std::ffi::CStr> {
    if text.is_null() {
        return Err(INVALID);
    }
    // SAFETY: not null, and the caller's promise.
    Ok(unsafe { std::ffi::CStr::from_ptr(text) })
}

/// Reads a structure of the application.
///
/// # Safety
/// A non-null `at` points to a valid `T`.
unsafe fn get<T>(at: *const c_void) -> Result<T> {
    if at.is_null() {
        return Err(INVALID);
    }
    // SAFETY: not null, and the caller's promise. C does not promise alignment.
    Ok(unsafe { at.cast::<T>().read_unaligned() })
}

/// The id behind a handle that must exist.
fn handle<K: Named>(client: &'static Client, value: *mut c_void) -> Result<u32> {
    let id = Id::<K>::from_c(value).ok_or(Status::ERROR_INVALID_HANDLE)?;
    (&client).check(K::KIND, id.0)?;
    Ok(id.0)
}

/// The stream behind a handle; null means the default stream of the entry point.
fn stream(client: &'static Client, value: *mut c_void) -> Result<u32> {
    let id = handle::<Stream>(client, value)?;
    Ok(match id {
        0 if crate::thread::own_default_stream() => PER_THREAD,
        0 => LEGACY,
        id => id,
    })
}

/// The same, where the thread has a working context: without one, no stream is looked at.
fn stream_here(client: &'static Client, value: *mut c_void) -> Result<u32> {
    client.working_context()?;
    stream(client, value)
}

/// Marks orders of threads' own default streams, which share a stream id.
const OWN: u32 = 1 << 31;

/// The order in which work of a stream runs, as a number: that of its id, except that each thread has a default
/// stream of its own.
fn order_of(stream: u32) -> u32 {
    match stream {
        PER_THREAD => OWN | crate::thread::lane(),
        stream => stream,
    }
}

/// Waits for all that was issued in an order; for all streams, where it is another thread's own.
fn wait_for_order(client: &'static Client, order: u32) -> Result {
    if order & OWN == 0 {
        return wait_for_stream(client, order);
    }
    if order == order_of(PER_THREAD) {
        return wait_for_stream(client, PER_THREAD);
    }
    synchronize(client, client.context()?)
}

/// The default stream of the entry point.
fn default_stream() -> u32 {
    if crate::thread::own_default_stream() {
        PER_THREAD
    } else {
        LEGACY
    }
}

/// What a `CUfunction` parameter names: cudart passes `CUkernel` there too.
pub(crate) enum Callable {
    /// A function.
    Function(u32),
    /// A kernel.
    Kernel(u32),
}

/// `cudaErrorInvalidDeviceFunction`. NVIDIA's runtime gives the driver's codes on unchanged (docs/cudart-13.md) and
/// documents this one, so that the driver must return it though `cuda.h` has no such code.
const INVALID_DEVICE_FUNCTION: Status = Status(98);

/// The id of a kernel that exists. The runtime passes any function that it does not know as a kernel: then the
/// value is the address of host code.
fn kernel(client: &'static Client, value: *mut c_void) -> Result<u32> {
    handle::<Kernel>(client, value).map_err(|status| {
        let user_space = (1 << 16..1 << 47).contains(&(value as usize));
        if user_space {
            INVALID_DEVICE_FUNCTION
        } else {
            status
        }
    })
}

/// What a `CUfunction` parameter names.
fn callable(client: &'static Client, value: *mut c_void) -> Result<Callable> {
    if let Ok(id) = handle::<Function>(client, value) {
        return Ok(Callable::Function(id));
    }
    kernel(client, value).map(Callable::Kernel)
}

/// The function of a `CUfunction` parameter in the current context.
pub(crate) fn function(client: &'static Client, value: *mut c_void) -> Result<u32> {
    match callable(client, value)? {
        Callable::Function(id) => Ok(id),
        Callable::Kernel(id) => kernel_function(client, id),
    }
}

/// What a handle parameter of a derived row is once defaults and stand-ins are resolved.
pub(crate) fn resolve<K: Named>(
    client: &'static Client,
    value: *mut c_void,
) -> Result<*mut c_void> {
    use rgpu_proto::handle::HandleKind;
    match K::KIND {
        HandleKind::Stream => stream(client, value).map(|id| Id::<Stream>::new(id).to_c()),
        HandleKind::Function => function(client, value).map(|id| Id::<Function>::new(id).to_c()),
        _ => Ok(value),
    }
}

/// Device memory of this process that has to be told to the server.
fn carry_out(client: &'static Client, steps: &[crate::allocator::Step]) -> Result {
    use crate::allocator::Step;
    use rgpu_proto::msg::memory::{Back, Unback};
    use rgpu_proto::opcode::Opcode;
    for step in steps {
        match *step {
            Step::Back(address, size) => {
                client
                    .session
                    .post(Opcode::MEMORY_BACK, &Back { address, size })?;
            }
            Step::Unback(address, size) => {
                client
                    .session
                    .post(Opcode::MEMORY_UNBACK, &Unback { address, size })?;
            }
            Step::Fence => client.session.post(Opcode::FENCE, &())?,
        }
    }
    Ok(())
}

/// Runs a wait for `stream` (or all) and frees what was freed in it before.
fn settle_after(
    client: &'static Client,
    stream: Option<u32>,
    wait: impl FnOnce() -> Result,
) -> Result {
    let before = client.memory.hold().allocator.stream_frees();
    wait()?;
    let mut memory = client.memory.hold();
    if memory.allocator.stream_frees() == before {
        match stream {
            Some(stream) => memory.allocator.settle(stream),
            None => memory.allocator.settle_all(),
        }
    }
    Ok(())
}
