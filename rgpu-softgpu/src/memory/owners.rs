//! Whose each allocation is: a context's, and perhaps a pool's.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::pool::Share;
use crate::driver::Driver;
use crate::status::{Result, Status, of_memory};

/// Who owns an allocation.
#[derive(Debug, Clone)]
pub(crate) struct Owner {
    /// The context, by id.
    pub(crate) context: u64,
    /// Its share of a pool, if it came from one.
    pub(crate) share: Option<Share>,
    /// Whether the program may free it: a module's variables go with the module.
    pub(crate) may_be_freed: bool,
}

impl Owner {
    /// An allocation of a context.
    pub(crate) fn of(context: u64) -> Self {
        Self {
            context,
            share: None,
            may_be_freed: true,
        }
    }
}

/// All allocations by address, and pinned host memory likewise.
#[derive(Debug, Default)]
pub(crate) struct Owners {
    device: Mutex<HashMap<u64, Owner>>,
    host: Mutex<HashMap<u64, u64>>,
}

impl Owners {
    /// Says whose an allocation is.
    pub(crate) fn add(&self, base: u64, owner: Owner) {
        lock(&self.device).insert(base, owner);
    }

    /// Whose the allocation at `base` is.
    pub(crate) fn get(&self, base: u64) -> Option<Owner> {
        lock(&self.device).get(&base).cloned()
    }

    /// Forgets an allocation; gives whose it was.
    pub(crate) fn remove(&self, base: u64) -> Option<Owner> {
        lock(&self.device).remove(&base)
    }

    /// Frees an allocation.
    pub(crate) fn free(&self, driver: &Driver, base: u64) -> Result {
        let owner = self.remove(base).ok_or(Status::ERROR_INVALID_VALUE)?;
        release(driver, base, &owner)
    }

    /// Says that pinned memory at `base` is `context`'s.
    pub(crate) fn add_host(&self, base: u64, context: u64) {
        lock(&self.host).insert(base, context);
    }

    /// The context of pinned memory.
    pub(crate) fn host_context(&self, base: u64) -> Option<u64> {
        lock(&self.host).get(&base).copied()
    }

    /// Forgets pinned memory.
    pub(crate) fn remove_host(&self, base: u64) {
        lock(&self.host).remove(&base);
    }

    /// Frees all that is `context`'s.
    pub(crate) fn free_all_of(&self, driver: &Driver, context: u64) {
        let of_context = |_: &u64, owner: &mut Owner| owner.context == context;
        let gone: Vec<(u64, Owner)> = lock(&self.device).extract_if(of_context).collect();
        for (base, owner) in gone {
            if let Err(status) = release(driver, base, &owner) {
                let code = status.0;
                tracing::error!(base, code, "memory of a context could not be freed");
            }
        }
        let gone: Vec<u64> = lock(&self.host)
            .extract_if(|_, owner| *owner == context)
            .map(|(base, _)| base)
            .collect();
        for base in gone {
            let host = driver.memory.host();
            if host.unregister(base).is_err() {
                // SAFETY: the context is gone, and its memory with it, as documented.
                let _ = unsafe { host.free(base) };
            }
        }
    }
}

/// Gives memory that nothing uses back to its pool, or to its device.
fn release(driver: &Driver, base: u64, owner: &Owner) -> Result {
    match &owner.share {
        Some(share) => share.give_back(base),
        None => driver.memory.release(base).map(drop).map_err(of_memory),
    }
}

fn lock<K, V>(table: &Mutex<HashMap<K, V>>) -> MutexGuard<'_, HashMap<K, V>> {
    table.lock().unwrap_or_else(PoisonError::into_inner)
}
