//! Virtual memory management: handles of physical memory, and where each is mapped.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::ffi::c_void;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rgpu_proto::handle::{self, FIRST_MINTED, Id};
use rgpu_softgpu_exec::memory::{Access, Physical};

use crate::driver::{self, Gpu};
use crate::status::{Result, Status, of_memory, require};

/// All physical memory of the process.
#[derive(Debug, Default)]
pub(crate) struct VirtualMemory {
    state: Mutex<State>,
    next: AtomicU32,
}

#[derive(Debug, Default)]
struct State {
    /// Memory by id, and how often it is retained.
    handles: HashMap<u32, (Arc<Physical>, u32)>,
    /// First address of each mapping, and what is mapped there.
    mappings: BTreeMap<u64, Mapping>,
}

#[derive(Debug)]
struct Mapping {
    size: u64,
    id: u32,
    memory: Arc<Physical>,
}

const ACCESS_NONE: u64 = 0;
const ACCESS_READ: u64 = 1;
const ACCESS_READ_WRITE: u64 = 3;

impl VirtualMemory {
    /// Creates memory of a device without an address.
    pub(crate) fn create(&self, size: u64, gpu: &Gpu) -> Result<u64> {
        let memory = gpu.memory.create_physical(size).map_err(of_memory)?;
        let id = FIRST_MINTED + self.next.fetch_add(1, Ordering::Relaxed);
        self.state().handles.insert(id, (memory, 1));
        Ok(to_c(id))
    }

    /// Counts one user less; the memory goes with the last user and the last mapping.
    pub(crate) fn release(&self, handle: u64) -> Result {
        let id = from_c(handle)?;
        let mut state = self.state();
        let entry = state.handles.get_mut(&id);
        let (_, users) = entry.ok_or(Status::ERROR_INVALID_VALUE)?;
        *users -= 1;
        if *users == 0 {
            state.handles.remove(&id);
        }
        Ok(())
    }

    /// The number of the device whose memory `handle` names.
    pub(crate) fn device(&self, handle: u64) -> Result<u32> {
        let id = from_c(handle)?;
        let state = self.state();
        let found = state.handles.get(&id);
        found
            .map(|(memory, _)| memory.device())
            .ok_or(Status::ERROR_INVALID_VALUE)
    }

    /// Maps memory into a reservation; not accessible yet.
    pub(crate) fn map(&self, address: u64, size: u64, offset: u64, handle: u64) -> Result {
        let id = from_c(handle)?;
        let mut state = self.state();
        let entry = state.handles.get(&id).ok_or(Status::ERROR_INVALID_VALUE)?;
        let memory = entry.0.clone();
        let mapped = driver::get()?.memory.map(address, size, &memory, offset);
        mapped.map_err(of_memory)?;
        state.mappings.insert(address, Mapping { size, id, memory });
        Ok(())
    }

    /// Unmaps whole mappings.
    pub(crate) fn unmap(&self, address: u64, size: u64) -> Result {
        let mut state = self.state();
        driver::get()?
            .memory
            .unmap(address, size)
            .map_err(of_memory)?;
        let end = address + size;
        state
            .mappings
            .retain(|&base, _| !(address..end).contains(&base));
        Ok(())
    }

    /// The handle of the memory mapped at `address`, with one user more.
    pub(crate) fn retain(&self, address: u64) -> Result<u64> {
        let mut state = self.state();
        let below = state.mappings.range(..=address).next_back();
        let (base, mapping) = below.ok_or(Status::ERROR_INVALID_VALUE)?;
        require(address - base < mapping.size)?;
        let (id, memory) = (mapping.id, mapping.memory.clone());
        state.handles.entry(id).or_insert((memory, 0)).1 += 1;
        Ok(to_c(id))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What `CUmemAccess_flags` means.
pub(crate) fn access_of(flags: u64) -> Result<Access> {
    match flags {
        ACCESS_NONE => Ok(Access::None),
        ACCESS_READ => Ok(Access::Read),
        ACCESS_READ_WRITE => Ok(Access::ReadWrite),
        _ => Err(Status::ERROR_INVALID_VALUE),
    }
}

/// `CUmemAccess_flags` of an access.
pub(crate) fn flags_of(access: Access) -> u64 {
    match access {
        Access::None => ACCESS_NONE,
        Access::Read => ACCESS_READ,
        Access::ReadWrite => ACCESS_READ_WRITE,
    }
}

fn to_c(id: u32) -> u64 {
    Id::<handle::Physical>::new(id).to_c().addr() as u64
}

fn from_c(handle: u64) -> Result<u32> {
    let pointer = std::ptr::without_provenance_mut::<c_void>(handle as usize);
    let id = Id::<handle::Physical>::from_c(pointer);
    id.map(|id| id.0).ok_or(Status::ERROR_INVALID_VALUE)
}
