//! Contexts: which exist, and how often each primary one is retained. Which one is current to a thread is in
//! [`crate::thread`].
//!
//! A primary context has a fixed id and can be made current before it is retained, as cudart does.

use std::collections::BTreeMap;

use rgpu_proto::msg::PRIMARY_CONTEXT;
use rgpu_proto::status::Status;

/// `CU_CTX_SCHED_MASK | CU_CTX_MAP_HOST | CU_CTX_LMEM_RESIZE_TO_MAX | …`: the flags that contexts have.
const KNOWN_FLAGS: u32 = 0xff;
/// `CU_CTX_SCHED_MASK`.
const SCHED_MASK: u32 = 7;
/// `CU_CTX_MAP_HOST`.
const MAP_HOST: u32 = 8;

/// A context.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Context {
    /// Its device's ordinal.
    pub(crate) device: u32,
    /// `CUctx_flags`.
    pub(crate) flags: u32,
    /// `CUfunc_cache`.
    pub(crate) cache: u32,
    /// `CUsharedconfig`.
    pub(crate) banks: u32,
    /// How often it is retained (`cuDevicePrimaryCtxRetain`, `cuCtxAttach`).
    pub(crate) references: u32,
}

/// All contexts.
#[derive(Debug)]
pub(crate) struct Contexts {
    known: BTreeMap<u32, Context>,
    devices: u32,
}

impl Context {
    const fn new(device: u32, flags: u32, references: u32) -> Self {
        Self {
            device,
            flags,
            cache: 0,
            banks: 0,
            references,
        }
    }
}

impl Contexts {
    /// The primary contexts of `devices` devices, none retained.
    pub(crate) fn new(devices: usize) -> Self {
        let devices = devices as u32;
        let known = (0..devices)
            .map(|at| (PRIMARY_CONTEXT + at, Context::new(at, 0, 0)))
            .collect();
        Self { known, devices }
    }

    /// The primary context of a device.
    pub(crate) fn primary(&self, device: i32) -> Result<u32, Status> {
        u32::try_from(device)
            .ok()
            .filter(|at| *at < self.devices)
            .map(|at| PRIMARY_CONTEXT + at)
            .ok_or(Status::ERROR_INVALID_DEVICE)
    }

    /// Whether a context is a primary one.
    pub(crate) const fn is_primary(&self, id: u32) -> bool {
        id >= PRIMARY_CONTEXT && id < PRIMARY_CONTEXT + self.devices
    }

    /// Refuses a context that does not exist (any more).
    pub(crate) fn check(&self, id: u32) -> Result<(), Status> {
        match self.known.contains_key(&id) {
            true => Ok(()),
            false => Err(Status::ERROR_INVALID_CONTEXT),
        }
    }

    /// A context.
    pub(crate) fn get(&self, id: u32) -> Result<Context, Status> {
        self.known
            .get(&id)
            .copied()
            .ok_or(Status::ERROR_INVALID_CONTEXT)
    }

    /// A context, to change.
    pub(crate) fn get_mut(&mut self, id: u32) -> Result<&mut Context, Status> {
        self.known.get_mut(&id).ok_or(Status::ERROR_INVALID_CONTEXT)
    }

    /// Adds a context that the client created.
    pub(crate) fn add(&mut self, id: u32, device: u32, flags: u32) {
        self.known
            .insert(id, Context::new(device, flags & !MAP_HOST, 1));
    }

    /// Forgets a context that the client created; primary ones cannot be destroyed.
    pub(crate) fn remove(&mut self, id: u32) -> Result<(), Status> {
        self.check(id)?;
        if self.is_primary(id) {
            return Err(Status::ERROR_INVALID_CONTEXT);
        }
        self.known.remove(&id);
        Ok(())
    }

    /// Retains a device's primary context.
    pub(crate) fn retain(&mut self, device: i32) -> Result<u32, Status> {
        let id = self.primary(device)?;
        self.get_mut(id)?.references += 1;
        Ok(id)
    }

    /// Releases a device's primary context: its id, where that was the last reference.
    pub(crate) fn release(&mut self, device: i32) -> Result<Option<u32>, Status> {
        let id = self.primary(device)?;
        let context = self.get_mut(id)?;
        if context.references == 0 {
            return Err(Status::ERROR_INVALID_CONTEXT);
        }
        context.references -= 1;
        Ok((context.references == 0).then_some(id))
    }

    /// Brings a primary context back to its first state. References are the application's to release.
    pub(crate) fn reset(&mut self, id: u32) {
        if let Some(context) = self.known.get_mut(&id) {
            *context = Context::new(context.device, context.flags, context.references);
        }
    }
}

/// Whether `flags` are flags of a context: known bits, at most one way of waiting.
pub(crate) const fn flags_are_valid(flags: u32) -> bool {
    flags & !KNOWN_FLAGS == 0 && matches!(flags & SCHED_MASK, 0 | 1 | 2 | 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn primary_contexts_count_their_references() {
        let mut contexts = Contexts::new(1);
        assert_eq!(contexts.retain(1), Err(Status::ERROR_INVALID_DEVICE));
        assert_eq!(contexts.release(0), Err(Status::ERROR_INVALID_CONTEXT));
        let id = contexts.retain(0).unwrap();
        contexts.retain(0).unwrap();
        assert_eq!(contexts.release(0), Ok(None));
        assert_eq!(contexts.release(0), Ok(Some(id)));
        assert_eq!(contexts.remove(id), Err(Status::ERROR_INVALID_CONTEXT));
    }

    #[test]
    fn a_destroyed_context_is_unknown() {
        let mut contexts = Contexts::new(1);
        contexts.add(30, 0, 0);
        contexts.remove(30).unwrap();
        assert_eq!(contexts.check(30), Err(Status::ERROR_INVALID_CONTEXT));
    }

    #[test]
    fn flags_name_one_way_of_waiting() {
        assert!(flags_are_valid(0) && flags_are_valid(4 | 8 | 16));
        assert!(!flags_are_valid(3) && !flags_are_valid(0x100));
    }
}
