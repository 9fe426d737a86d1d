//! Access to the memory of contexts on other devices.
//!
//! A context names the contexts whose memory it may access. What its kernels then reach is decided by device: once a
//! context of one device may access a context of another, all kernels of the first device reach all memory of the
//! second, but for pools, which have their own list (`cuMemPoolSetAccess`).

use std::collections::HashSet;
use std::sync::{MutexGuard, PoisonError};

use super::Context;
use crate::driver::{self, Driver};
use crate::status::{Result, Status, of_memory};

/// `CUDA_ERROR_PEER_ACCESS_UNSUPPORTED`.
const UNSUPPORTED: Status = Status(217);
/// `CUDA_ERROR_PEER_ACCESS_ALREADY_ENABLED`.
const ALREADY_ENABLED: Status = Status(704);

impl Context {
    /// Lets this context access the memory of `peer`.
    pub(crate) fn enable_peer(&self, peer: &Self) -> Result {
        if peer.id == self.id {
            return Err(Status::ERROR_INVALID_CONTEXT);
        }
        if peer.device == self.device {
            return Err(UNSUPPORTED);
        }
        let mut peers = self.peers();
        if peers.contains(&peer.id) {
            return Err(ALREADY_ENABLED);
        }
        let shown = peer.gpu()?.memory.show(0, &self.gpu()?.memory);
        shown.map_err(of_memory)?;
        peers.insert(peer.id);
        Ok(())
    }

    /// Takes back what [`Self::enable_peer`] gave.
    pub(crate) fn disable_peer(&self, peer: &Self) -> Result {
        if !self.peers().remove(&peer.id) {
            return Err(Status::ERROR_PEER_ACCESS_NOT_ENABLED);
        }
        self.hide_unless_needed(driver::get()?, peer);
        Ok(())
    }

    /// Ends all access that this context has and gives.
    pub(super) fn leave_peers(&self, driver: &Driver) {
        let had = std::mem::take(&mut *self.peers());
        for other in driver.contexts.all() {
            if had.contains(&other.id) {
                self.hide_unless_needed(driver, &other);
            }
            if other.peers().remove(&self.id) {
                other.hide_unless_needed(driver, self);
            }
        }
    }

    /// Hides the memory of `peer`'s device from this one's, unless another pair of their contexts needs it.
    fn hide_unless_needed(&self, driver: &Driver, peer: &Self) {
        let contexts = driver.contexts.all();
        let of_peer = contexts
            .iter()
            .filter(|context| context.device == peer.device);
        let of_peer: HashSet<u64> = of_peer.map(|context| context.id).collect();
        let of_own = contexts
            .iter()
            .filter(|context| context.device == self.device);
        let needed = of_own
            .into_iter()
            .any(|context| !context.peers().is_disjoint(&of_peer));
        if !needed && let (Ok(own), Ok(theirs)) = (self.gpu(), peer.gpu()) {
            theirs.memory.hide(0, &own.memory);
        }
    }

    fn peers(&self) -> MutexGuard<'_, HashSet<u64>> {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
