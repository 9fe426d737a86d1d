//! Which devices see whose memory.

use super::{Access, DeviceMemory, Entry, Inner, PAGE, Place, Result, State, UNIT, lock};

/// Most devices of a process: each costs a window's worth of addresses.
pub const MOST_DEVICES: usize = 16;

/// Memory that is seen by the same devices: what a device allocates outside pools (pool 0), or one pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Group {
    /// Whose memory it is.
    pub device: u32,
    /// The pool's number, 0 for none.
    pub pool: u64,
}

impl DeviceMemory {
    /// Lets a peer's kernels access the memory of one of this device's groups, what is allocated later included.
    pub fn show(&self, pool: u64, peer: &Self) -> Result<()> {
        let group = self.group(pool);
        if peer.device == self.device {
            return Ok(());
        }
        let mut state = self.inner.state();
        if state.is_seen(group, peer.device) {
            return Ok(());
        }
        let (own, to) = (self.device as usize, peer.device as usize);
        let window = &self.inner.window;
        for (base, size) in state.ranges(group) {
            let shown = window.share(own, to, base, size);
            let shown = shown.and_then(|()| match state.shared.get(&base) {
                Some(unit) => unit.adjust(window, to),
                None => Ok(()),
            });
            if let Err(error) = shown {
                self.inner.hide(&state, group, to);
                return Err(error.into());
            }
        }
        state.seen_by.entry(group).or_default().push(peer.device);
        Ok(())
    }

    /// Takes back what [`Self::show`] gave.
    pub fn hide(&self, pool: u64, peer: &Self) {
        let group = self.group(pool);
        let mut state = self.inner.state();
        if !state.is_seen(group, peer.device) {
            return;
        }
        self.inner.hide(&state, group, peer.device as usize);
        if let Some(peers) = state.seen_by.get_mut(&group) {
            peers.retain(|&other| other != peer.device);
        }
    }

    /// Forgets who sees a pool that will never be allocated from again.
    pub fn forget_pool(&self, pool: u64) {
        self.inner.state().seen_by.remove(&self.group(pool));
    }

    /// Whether this device's kernels may access the memory of a peer's group.
    pub fn sees(&self, pool: u64, peer: &Self) -> bool {
        let group = peer.group(pool);
        group.device == self.device || self.inner.state().is_seen(group, self.device)
    }

    /// What this device's kernels may do with the byte at `address`.
    pub fn access(&self, address: u64) -> Option<Access> {
        let state = self.inner.state();
        state
            .at(address)
            .map(|entry| state.access_of(entry, self.device))
    }

    fn group(&self, pool: u64) -> Group {
        Group {
            device: self.device,
            pool,
        }
    }
}

impl State {
    fn is_seen(&self, group: Group, by: u32) -> bool {
        let peers = self.seen_by.get(&group);
        peers.is_some_and(|peers| peers.contains(&by))
    }

    /// What a device's kernels may do with an entry.
    pub(super) fn access_of(&self, entry: &Entry, device: u32) -> Access {
        match &entry.place {
            Place::Mapped(_, access) => lock(access)
                .get(device as usize)
                .copied()
                .unwrap_or(Access::None),
            _ if entry.group.device == device || self.is_seen(entry.group, device) => {
                Access::ReadWrite
            }
            _ => Access::None,
        }
    }

    /// What is mapped for a group: whole pages.
    fn ranges(&self, group: Group) -> Vec<(u64, u64)> {
        let units = self.shared.iter();
        let units = units
            .filter(|(_, shared)| shared.group == group)
            .map(|(&unit, _)| (unit, UNIT));
        let live = self.entries.values().map(AsRef::as_ref);
        let whole = live
            .chain(self.retired.values())
            .filter(|entry| entry.group == group && matches!(entry.place, Place::Whole))
            .map(|entry| (entry.base, entry.room.next_multiple_of(PAGE)));
        units.chain(whole).collect()
    }
}

impl Inner {
    fn hide(&self, state: &State, group: Group, view: usize) {
        for (base, size) in state.ranges(group) {
            if let Err(error) = self.window.clear(view, base, size) {
                tracing::error!(base, size, %error, "a peer's memory could not be hidden");
            }
        }
    }
}
