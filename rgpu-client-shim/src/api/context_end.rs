//! The end of a context: destroying, resetting, releasing; and what goes with it.

use rgpu_proto::handle::Context;
use rgpu_proto::msg::ContextRef;
use rgpu_proto::opcode::Opcode;

use super::context::named_context;
use super::mapped::forget_mirrors_of;
use super::*;
use crate::client::get as client;
use crate::thread;

pub(crate) unsafe fn cuCtxDestroy_v2(ctx: *mut c_void) -> Result {
    let client = client()?;
    client.session.usable()?;
    if ctx.is_null() {
        return Err(Status::ERROR_INVALID_CONTEXT);
    }
    let id = named_context(client, ctx)?;
    client.contexts.hold().remove(id)?;
    client.changed();
    rgpu_driver_abi::storage::contexts().context_destroyed(ctx);
    forget(client, id);
    client.session.post(
        const { Opcode::of("cuCtxDestroy_v2") },
        &ContextRef { id: Id::new(id) },
    )?;
    // Only the top of this thread's stack: a context below it stays there and is found dead later.
    thread::contexts(|stack| {
        if stack.last() == Some(&id) {
            stack.pop();
        }
    })
}

pub(crate) unsafe fn cuCtxDetach(ctx: *mut c_void) -> Result {
    let client = client()?;
    let id = named_context(client, ctx)?;
    let last = {
        let mut contexts = client.contexts.hold();
        let context = contexts.get_mut(id)?;
        context.references = context.references.saturating_sub(1);
        context.references == 0
    };
    match last {
        // SAFETY: the same handle.
        true => unsafe { cuCtxDestroy_v2(ctx) },
        false => Ok(()),
    }
}

pub(crate) unsafe fn cuDevicePrimaryCtxRelease(dev: i32) -> Result {
    let client = client()?;
    let last = client.contexts.hold().release(dev)?;
    last.map_or(Ok(()), |id| reset(client, id))
}

pub(crate) unsafe fn cuDevicePrimaryCtxRelease_v2(dev: i32) -> Result {
    // SAFETY: the same contract.
    unsafe { cuDevicePrimaryCtxRelease(dev) }
}

pub(crate) unsafe fn cuDevicePrimaryCtxReset(dev: i32) -> Result {
    let client = client()?;
    let id = client.contexts.hold().primary(dev)?;
    reset(client, id)
}

pub(crate) unsafe fn cuDevicePrimaryCtxReset_v2(dev: i32) -> Result {
    // SAFETY: the same contract.
    unsafe { cuDevicePrimaryCtxReset(dev) }
}

/// Brings a primary context back to its first state, here and at the server.
fn reset(client: &'static Client, id: u32) -> Result {
    client.session.usable()?;
    rgpu_driver_abi::storage::contexts().context_destroyed(Id::<Context>::new(id).to_c());
    client.contexts.hold().reset(id);
    forget(client, id);
    let mut memory = client.memory.hold();
    memory.allocator.reset();
    // The allocator and the server forget at the same point of the order.
    let op = const { Opcode::of("cuDevicePrimaryCtxReset_v2") };
    client
        .session
        .call(op, &ContextRef { id: Id::new(id) })
        .map(drop)
}

/// Forgets all that a context holds. Its memory is freed for others.
fn forget(client: &'static Client, id: u32) {
    forget_mirrors_of(client, id);
    for watch in client.streams.hold().forget_context(id) {
        client.session.give_up(watch);
    }
    client.modules.hold().forget_context(id);
    client.changed();
    let mut memory = client.memory.hold();
    memory.forget_context_globals(id);
    for address in memory.allocator.of_context(id) {
        if let Ok(allocation) = memory.allocator.free(address) {
            memory.pools.freed(allocation.pool, allocation.size);
        }
    }
}
