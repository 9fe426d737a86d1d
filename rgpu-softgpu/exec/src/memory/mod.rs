//! Device memory: addresses, what is mapped there, how much is left.
//!
//! A device address is only a name inside the window ([`crate::abi::DEVICE_WINDOW_BASE`]), which all devices of the
//! process share; its byte lies in a view, at a fixed distance. An address range is in one of three states: free,
//! reserved, or mapped. What is mapped is listed in one table, which copies consult; kernels do not, they fault where
//! their device's view shows nothing.
//!
//! A device's view shows its own memory, what its peers let it see ([`DeviceMemory::show`]), and mappings it may
//! access ([`DeviceMemory::set_access`]). The host reaches all memory, whoever may see it.
//!
//! Freed memory is unmapped once the last copy that uses it has ended ([`Pin`]).

mod budget;
mod heap;
mod host;
mod peers;
mod pin;
mod retired;
mod spans;
mod unit;
mod vmm;
mod window;

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use budget::{Budget, Charge};
use spans::Spans;
use unit::Unit;
use window::Window;

use crate::abi::{DEVICE_WINDOW_BASE, DEVICE_WINDOW_SIZE};

pub use heap::Heap;
pub use host::{HostRange, HostRegistry};
pub use peers::{Group, MOST_DEVICES};
pub use pin::Pin;
pub use window::Access;

/// Granularity of addresses, and of physical handles.
pub const UNIT: u64 = 2 << 20;
/// Largest allocation that shares its unit of addresses with others.
const SMALL: u64 = UNIT / 2;
const PAGE: u64 = 4096;
/// Most runs of closed pages: an operating system allows a process some 65,000 mappings.
const MOST_HOLES: usize = 8192;

/// Why device memory refused.
#[derive(Debug, thiserror::Error)]
pub enum MemoryError {
    /// The cap, or the addresses, are used up.
    #[error("out of device memory")]
    OutOfMemory,
    /// Nothing is allocated, reserved or mapped at that place.
    #[error("not an allocation")]
    NotAllocated,
    /// The range is reserved, mapped or registered already.
    #[error("range in use")]
    InUse,
    /// The range is mapped, but may not be accessed so.
    #[error("access not allowed")]
    NoAccess,
    /// The caller's mistake.
    #[error("invalid: {0}")]
    Invalid(&'static str),
    /// The operating system refused.
    #[error("operating system: {0}")]
    Os(#[from] io::Error),
}

type Result<T> = std::result::Result<T, MemoryError>;

/// Memory without an address, for [`DeviceMemory::map`]. Counts against the cap while it lives.
#[derive(Debug)]
pub struct Physical {
    file: OwnedFd,
    size: u64,
    device: u32,
    _charge: Charge,
}

impl Physical {
    /// Whose memory it is.
    pub fn device(&self) -> u32 {
        self.device
    }

    /// Bytes.
    pub fn size(&self) -> u64 {
        self.size
    }
}

/// What lies at an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allocation {
    /// First byte.
    pub base: u64,
    /// Bytes, as asked for.
    pub size: u64,
    /// Never the same for two allocations of a process.
    pub id: u64,
    /// Whether it is a mapping of a [`Physical`].
    pub mapped: bool,
    /// Whose memory it is.
    pub device: u32,
}

#[derive(Debug)]
enum Place {
    /// Part of the unit at this address.
    Shared(u64),
    /// Whole units of its own.
    Whole,
    /// A mapping into a reservation; keeps the memory alive. What each device may do with it.
    Mapped(
        #[expect(dead_code, reason = "held, not read")] Arc<Physical>,
        Mutex<Vec<Access>>,
    ),
}

#[derive(Debug)]
struct Entry {
    base: u64,
    /// Bytes that are mapped for it; `size` of them are allocated.
    room: u64,
    size: AtomicU64,
    id: AtomicU64,
    /// Whose memory it is, and who else may see it.
    group: Group,
    place: Place,
    _charge: Option<Charge>,
}

impl Entry {
    fn size(&self) -> u64 {
        self.size.load(Ordering::Relaxed)
    }

    fn end(&self) -> u64 {
        self.base + self.size()
    }

    fn is_mapping(&self) -> bool {
        matches!(self.place, Place::Mapped(..))
    }
}

#[derive(Debug)]
struct State {
    /// Units that are neither reserved nor in use.
    free: Spans,
    /// Units shared by small allocations.
    shared: BTreeMap<u64, Unit>,
    /// Runs of closed pages in them.
    holes: usize,
    /// Which devices see the memory of a group, beside its own.
    seen_by: HashMap<Group, Vec<u32>>,
    /// Reserved ranges: address and size.
    reserved: BTreeMap<u64, u64>,
    /// Everything accessible, by first byte.
    entries: BTreeMap<u64, Arc<Entry>>,
    /// What is mapped but not allocated, for a pool to use again.
    retired: BTreeMap<u64, Entry>,
}

impl State {
    /// The views that show the memory of a group.
    fn views_of(&self, group: Group) -> Vec<usize> {
        let peers = self.seen_by.get(&group).into_iter().flatten();
        std::iter::once(group.device as usize)
            .chain(peers.map(|peer| *peer as usize))
            .collect()
    }

    fn at(&self, address: u64) -> Option<&Arc<Entry>> {
        let (_, entry) = self.entries.range(..=address).next_back()?;
        (address < entry.end()).then_some(entry)
    }

    /// Whether an entry overlaps `start..end`.
    fn overlaps(&self, start: u64, end: u64) -> bool {
        self.entries
            .range(..end)
            .next_back()
            .is_some_and(|(_, entry)| entry.end() > start)
    }

    /// Whether `start..end` lies in one reservation.
    fn is_reserved(&self, start: u64, end: u64) -> bool {
        let below = self.reserved.range(..=start).next_back();
        below.is_some_and(|(&at, &size)| start >= at && end <= at + size)
    }

    /// The mappings that make up exactly `start..end`, without gaps or overhang.
    fn mappings(&self, start: u64, end: u64) -> Option<Vec<Arc<Entry>>> {
        let mut found = Vec::new();
        let mut next = start;
        while next < end {
            let entry = self.entries.get(&next).filter(|entry| entry.is_mapping())?;
            next = entry.end();
            found.push(entry.clone());
        }
        (next == end).then_some(found)
    }
}

/// The memory of one device. Devices that are to reach each other's are made together, since there can be only one
/// window in a process.
#[derive(Debug, Clone)]
pub struct DeviceMemory {
    inner: Arc<Inner>,
    budget: Arc<Budget>,
    device: u32,
}

#[derive(Debug)]
struct Inner {
    // Before `window`, so that nothing is unmapped twice.
    state: Mutex<State>,
    host: HostRegistry,
    window: Window,
    ids: AtomicU64,
}

impl DeviceMemory {
    /// Reserves the device window; `capacity` bytes may be allocated in it.
    pub fn new(capacity: u64) -> Result<Self> {
        let mut only = Self::of_devices(&[capacity])?;
        only.pop().ok_or(MemoryError::Invalid("no device"))
    }

    /// Reserves the device window for several devices with these capacities, numbered from 0.
    pub fn of_devices(capacities: &[u64]) -> Result<Vec<Self>> {
        Self::at(DEVICE_WINDOW_BASE, DEVICE_WINDOW_SIZE, capacities)
    }

    fn at(base: u64, size: u64, capacities: &[u64]) -> Result<Vec<Self>> {
        if capacities.is_empty() || capacities.len() > MOST_DEVICES {
            return Err(MemoryError::Invalid("too few or too many devices"));
        }
        let window = Window::reserve(base, size, capacities.len())?;
        // The first unit stays free: an address near the window's base is more likely a mistake.
        let free = Spans::new(window.base() + UNIT, window.end(), UNIT);
        let state = State {
            free,
            shared: BTreeMap::new(),
            holes: 0,
            seen_by: HashMap::new(),
            reserved: BTreeMap::new(),
            entries: BTreeMap::new(),
            retired: BTreeMap::new(),
        };
        let inner = Arc::new(Inner {
            state: Mutex::new(state),
            host: HostRegistry::default(),
            window,
            ids: AtomicU64::new(1),
        });
        let device = |(device, &capacity)| Self {
            inner: inner.clone(),
            budget: Budget::new(capacity),
            device,
        };
        Ok((0..).zip(capacities).map(device).collect())
    }

    /// The number of the device.
    pub fn device(&self) -> u32 {
        self.device
    }

    /// Host address, in the device's view, of a byte minus its device address (wrapping).
    pub fn global_delta(&self) -> u64 {
        self.inner.window.delta(self.device as usize)
    }

    /// The device address of a host address, if it lies in the device's view.
    pub fn device_address(&self, host: u64) -> Option<u64> {
        self.inner.window.device(self.device as usize, host)
    }

    /// Bytes the device has.
    pub fn capacity(&self) -> u64 {
        self.budget.capacity()
    }

    /// Bytes allocated.
    pub fn used(&self) -> u64 {
        self.budget.used()
    }

    /// Pinned and registered host memory, which all devices share.
    pub fn host(&self) -> &HostRegistry {
        &self.inner.host
    }

    /// Allocates `size` bytes, aligned to 512.
    pub fn allocate(&self, size: u64) -> Result<u64> {
        self.allocate_in(0, size)
    }

    /// As [`Self::allocate`], in the memory of a pool (0 is none).
    pub fn allocate_in(&self, pool: u64, size: u64) -> Result<u64> {
        if size == 0 {
            return Err(MemoryError::Invalid("an allocation of no bytes"));
        }
        let charge = self.budget.charge(size)?;
        let group = Group {
            device: self.device,
            pool,
        };
        let mut state = self.inner.state();
        let (base, place) = if size <= SMALL {
            self.inner.place_small(&mut state, group, size)?
        } else {
            self.inner.place_large(&mut state, group, size)?
        };
        self.inner.enter(
            &mut state,
            Entry {
                base,
                room: size,
                size: AtomicU64::new(size),
                id: AtomicU64::new(self.inner.next_id()),
                group,
                place,
                _charge: Some(charge),
            },
        );
        Ok(base)
    }

    /// Frees an allocation, of any device, by its first byte.
    pub fn release(&self, base: u64) -> Result<Allocation> {
        let entry = {
            let mut state = self.inner.state();
            match state.entries.get(&base) {
                Some(entry) if !entry.is_mapping() => {}
                _ => return Err(MemoryError::NotAllocated),
            }
            state
                .entries
                .remove(&base)
                .ok_or(MemoryError::NotAllocated)?
        };
        let allocation = describe(&entry);
        self.inner.let_go(entry);
        Ok(allocation)
    }

    /// What holds the byte at `address`, whosever it is.
    pub fn find(&self, address: u64) -> Option<Allocation> {
        self.inner.state().at(address).map(|entry| describe(entry))
    }

    /// Every allocation and mapping, by address.
    pub fn allocations(&self) -> Vec<Allocation> {
        self.inner
            .state()
            .entries
            .values()
            .map(|entry| describe(entry))
            .collect()
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    fn next_id(&self) -> u64 {
        self.ids.fetch_add(1, Ordering::Relaxed)
    }

    fn enter(&self, state: &mut State, entry: Entry) {
        state.entries.insert(entry.base, Arc::new(entry));
    }

    fn place_small(&self, state: &mut State, group: Group, size: u64) -> Result<(u64, Place)> {
        let views = state.views_of(group);
        for (&unit, shared) in &mut state.shared {
            if shared.group == group
                && let Some(base) = shared.free.take(size, budget::GRAIN)
            {
                let before = shared.holes().count();
                if let Err(error) = shared.open(&self.window, &views, base, size) {
                    shared.free.give(base, size);
                    return Err(error.into());
                }
                state.holes = state.holes + shared.holes().count() - before;
                return Ok((base, Place::Shared(unit)));
            }
        }
        let unit = self.map_new(state, group, UNIT)?;
        let mut fresh = Unit::new(group, unit);
        let base = fresh.free.take(size, budget::GRAIN);
        state.shared.insert(unit, fresh);
        Ok((base.ok_or(MemoryError::OutOfMemory)?, Place::Shared(unit)))
    }

    fn place_large(&self, state: &mut State, group: Group, size: u64) -> Result<(u64, Place)> {
        Ok((self.map_new(state, group, size)?, Place::Whole))
    }

    /// Puts fresh memory at free addresses, and shows it to those who see the group.
    fn map_new(&self, state: &mut State, group: Group, size: u64) -> Result<u64> {
        let base = state
            .free
            .take(size, UNIT)
            .ok_or(MemoryError::OutOfMemory)?;
        let pages = size.next_multiple_of(PAGE);
        let own = group.device as usize;
        let mapped = self.window.map_plain(own, base, pages).and_then(|()| {
            let peers = state.seen_by.get(&group).into_iter().flatten();
            peers
                .copied()
                .try_for_each(|peer| self.window.share(own, peer as usize, base, pages))
        });
        if let Err(error) = mapped {
            self.clear(base, pages);
            state.free.give(base, size);
            return Err(error.into());
        }
        Ok(base)
    }

    /// Drops a reference to an entry that has left the table; the last one unmaps it.
    fn let_go(&self, entry: Arc<Entry>) {
        if let Some(entry) = Arc::into_inner(entry) {
            self.end(&entry);
        }
    }

    /// Unmaps what nobody uses any more.
    fn end(&self, entry: &Entry) {
        let state = &mut *self.state();
        match &entry.place {
            &Place::Shared(unit) => {
                let of_group = |shared: &&Unit| shared.group == entry.group;
                let only = state.shared.values().filter(of_group).count() == 1;
                let views = state.views_of(entry.group);
                let Some(shared) = state.shared.get_mut(&unit) else {
                    return;
                };
                shared.free.give(entry.base, entry.room);
                // One empty unit stays, for programs that allocate and free in a loop.
                let keep = only && entry.group.pool == 0;
                let before = shared.holes().count();
                if shared.free.is_whole(unit, unit + UNIT) && !keep {
                    state.holes -= before;
                    state.shared.remove(&unit);
                    self.clear(unit, UNIT);
                    state.free.give(unit, UNIT);
                } else if state.holes < MOST_HOLES {
                    // Nobody relies on it.
                    if let Err(error) = shared.close(&self.window, &views, entry.base, entry.room) {
                        tracing::debug!(base = entry.base, %error, "freed memory stays accessible");
                    }
                    state.holes = state.holes + shared.holes().count() - before;
                }
            }
            Place::Whole => {
                self.clear(entry.base, entry.room.next_multiple_of(PAGE));
                state.free.give(entry.base, entry.room);
            }
            // While a copy held this mapping, another may have taken its place.
            Place::Mapped(..) if !state.overlaps(entry.base, entry.end()) => {
                self.clear(entry.base, entry.room);
                if let Err(error) = self.window.clear_host(entry.base, entry.room) {
                    tracing::error!(entry.base, %error, "device memory could not be unmapped");
                }
            }
            Place::Mapped(..) => {}
        }
    }

    /// Takes away what is mapped at a range of every view.
    fn clear(&self, base: u64, size: u64) {
        for view in 0..self.window.views() {
            if let Err(error) = self.window.clear(view, base, size) {
                tracing::error!(base, size, %error, "device memory could not be unmapped");
            }
        }
    }
}

fn describe(entry: &Entry) -> Allocation {
    Allocation {
        base: entry.base,
        size: entry.size(),
        id: entry.id.load(Ordering::Relaxed),
        mapped: entry.is_mapping(),
        device: entry.group.device,
    }
}

/// Locks; a panic elsewhere while holding the lock does not make the table wrong.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
}

#[cfg(test)]
mod tests;
