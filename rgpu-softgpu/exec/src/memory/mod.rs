//! Device memory: addresses, what is mapped there, how much is left.
//!
//! A device address is only a name inside the window ([`crate::abi::DEVICE_WINDOW_BASE`]); its byte lies in the
//! backing, at a fixed distance. An address range is in one of three states: free, reserved, or mapped. What is
//! mapped is listed in one table, which copies consult; kernels do not, they fault where nothing is mapped.
//!
//! Freed memory is unmapped once the last copy that uses it has ended ([`Pin`]).

mod budget;
mod heap;
mod host;
mod spans;
mod window;

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use budget::{Budget, Charge};
use spans::Spans;
use window::Window;

use crate::abi::{DEVICE_WINDOW_BASE, DEVICE_WINDOW_SIZE};

pub use heap::Heap;
pub use host::{HostRange, HostRegistry};
pub use window::Access;

/// Granularity of addresses, and of physical handles.
pub const UNIT: u64 = 2 << 20;
/// Largest allocation that shares its unit of addresses with others.
const SMALL: u64 = UNIT / 2;
const PAGE: u64 = 4096;

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
    _charge: Charge,
}

impl Physical {
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
}

#[derive(Debug)]
enum Place {
    /// Part of the unit at this address.
    Shared(u64),
    /// Whole units of its own.
    Whole,
    /// A mapping into a reservation; keeps the memory alive.
    Mapped(#[expect(dead_code, reason = "held, not read")] Arc<Physical>),
}

#[derive(Debug)]
struct Entry {
    base: u64,
    size: u64,
    id: u64,
    place: Place,
    access: Mutex<Access>,
    _charge: Option<Charge>,
}

impl Entry {
    fn end(&self) -> u64 {
        self.base + self.size
    }

    fn is_mapping(&self) -> bool {
        matches!(self.place, Place::Mapped(_))
    }

    fn allows(&self, wanted: Access) -> bool {
        let access = *lock(&self.access);
        access == Access::ReadWrite || access == wanted
    }
}

#[derive(Debug)]
struct State {
    /// Units that are neither reserved nor in use.
    free: Spans,
    /// Units shared by small allocations, and what is free in each.
    shared: BTreeMap<u64, Spans>,
    /// Reserved ranges: address and size.
    reserved: BTreeMap<u64, u64>,
    /// Everything accessible, by first byte.
    entries: BTreeMap<u64, Arc<Entry>>,
}

impl State {
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

/// The memory of one device. There can be one per process, since the window's place is fixed.
#[derive(Debug, Clone)]
pub struct DeviceMemory {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    // Before `window`, so that nothing is unmapped twice.
    state: Mutex<State>,
    budget: Arc<Budget>,
    host: HostRegistry,
    window: Window,
    ids: AtomicU64,
}

impl DeviceMemory {
    /// Reserves the device window; `capacity` bytes may be allocated in it.
    pub fn new(capacity: u64) -> Result<Self> {
        Self::at(DEVICE_WINDOW_BASE, DEVICE_WINDOW_SIZE, capacity)
    }

    fn at(base: u64, size: u64, capacity: u64) -> Result<Self> {
        let window = Window::reserve(base, size)?;
        // The first unit stays free: an address near the window's base is more likely a mistake.
        let free = Spans::new(window.base() + UNIT, window.end(), UNIT);
        let state = State {
            free,
            shared: BTreeMap::new(),
            reserved: BTreeMap::new(),
            entries: BTreeMap::new(),
        };
        Ok(Self {
            inner: Arc::new(Inner {
                state: Mutex::new(state),
                budget: Budget::new(capacity),
                host: HostRegistry::default(),
                window,
                ids: AtomicU64::new(1),
            }),
        })
    }

    /// Host address of a device byte minus its device address (wrapping).
    pub fn global_delta(&self) -> u64 {
        self.inner.window.delta()
    }

    /// The device address of a host address, if it lies in the backing.
    pub fn device_address(&self, host: u64) -> Option<u64> {
        self.inner.window.device(host)
    }

    /// Bytes the device has.
    pub fn capacity(&self) -> u64 {
        self.inner.budget.capacity()
    }

    /// Bytes allocated.
    pub fn used(&self) -> u64 {
        self.inner.budget.used()
    }

    /// Pinned and registered host memory.
    pub fn host(&self) -> &HostRegistry {
        &self.inner.host
    }

    /// Allocates `size` bytes, aligned to 512.
    pub fn allocate(&self, size: u64) -> Result<u64> {
        if size == 0 {
            return Err(MemoryError::Invalid("an allocation of no bytes"));
        }
        let charge = self.inner.budget.charge(size)?;
        let mut state = self.inner.state();
        let (base, place) = if size <= SMALL {
            self.inner.place_small(&mut state, size)?
        } else {
            self.inner.place_large(&mut state, size)?
        };
        self.inner.enter(
            &mut state,
            Entry {
                base,
                size,
                id: self.inner.next_id(),
                place,
                access: Mutex::new(Access::ReadWrite),
                _charge: Some(charge),
            },
        );
        Ok(base)
    }

    /// Frees an allocation by its first byte.
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

    /// What holds the byte at `address`.
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

    /// Reserves addresses without memory. `hint` 0 means anywhere; a hint that is not free is ignored.
    pub fn reserve(&self, size: u64, align: u64, hint: u64) -> Result<u64> {
        if size == 0 || !size.is_multiple_of(UNIT) {
            return Err(MemoryError::Invalid(
                "a reservation is a multiple of the granularity",
            ));
        }
        if align != 0 && !align.is_power_of_two() {
            return Err(MemoryError::Invalid("an alignment is a power of two"));
        }
        let mut state = self.inner.state();
        let wanted = hint != 0 && hint.is_multiple_of(align.max(UNIT));
        let base = if wanted && state.free.take_at(hint, size) {
            hint
        } else {
            state
                .free
                .take(size, align.max(UNIT))
                .ok_or(MemoryError::OutOfMemory)?
        };
        state.reserved.insert(base, size);
        Ok(base)
    }

    /// Gives back a whole reservation in which nothing is mapped.
    pub fn unreserve(&self, base: u64, size: u64) -> Result<()> {
        let mut state = self.inner.state();
        if state.reserved.get(&base) != Some(&size) {
            return Err(MemoryError::NotAllocated);
        }
        if state.overlaps(base, base + size) {
            return Err(MemoryError::InUse);
        }
        state.reserved.remove(&base);
        state.free.give(base, size);
        Ok(())
    }

    /// The reservation that holds `address`: its base and size.
    pub fn find_reservation(&self, address: u64) -> Option<(u64, u64)> {
        let state = self.inner.state();
        let (&base, &size) = state.reserved.range(..=address).next_back()?;
        (address - base < size).then_some((base, size))
    }

    /// Creates memory without an address.
    pub fn create_physical(&self, size: u64) -> Result<Arc<Physical>> {
        if size == 0 || !size.is_multiple_of(UNIT) {
            return Err(MemoryError::Invalid(
                "physical memory is a multiple of the granularity",
            ));
        }
        let charge = self.inner.budget.charge(size)?;
        Ok(Arc::new(Physical {
            file: memory_file(size)?,
            size,
            _charge: charge,
        }))
    }

    /// Maps physical memory into a reservation; it is accessible after [`Self::set_access`].
    pub fn map(&self, base: u64, size: u64, memory: &Arc<Physical>, offset: u64) -> Result<()> {
        let Some(end) = base.checked_add(size) else {
            return Err(MemoryError::Invalid("range wraps"));
        };
        if size == 0
            || ![base, size, offset]
                .iter()
                .all(|value| value.is_multiple_of(UNIT))
        {
            return Err(MemoryError::Invalid(
                "a mapping is a multiple of the granularity",
            ));
        }
        if offset
            .checked_add(size)
            .is_none_or(|stop| stop > memory.size)
        {
            return Err(MemoryError::Invalid("a mapping lies inside its memory"));
        }
        let mut state = self.inner.state();
        if !state.is_reserved(base, end) {
            return Err(MemoryError::NotAllocated);
        }
        if state.overlaps(base, end) {
            return Err(MemoryError::InUse);
        }
        self.inner
            .window
            .map_file(base, size, memory.file.as_fd(), offset)?;
        self.inner.enter(
            &mut state,
            Entry {
                base,
                size,
                id: self.inner.next_id(),
                place: Place::Mapped(memory.clone()),
                access: Mutex::new(Access::None),
                _charge: None,
            },
        );
        Ok(())
    }

    /// Unmaps one or several whole mappings.
    pub fn unmap(&self, base: u64, size: u64) -> Result<()> {
        let end = base
            .checked_add(size)
            .ok_or(MemoryError::Invalid("range wraps"))?;
        let gone = {
            let mut state = self.inner.state();
            let gone = state.mappings(base, end).ok_or(MemoryError::NotAllocated)?;
            for entry in &gone {
                state.entries.remove(&entry.base);
            }
            gone
        };
        gone.into_iter().for_each(|entry| self.inner.let_go(entry));
        Ok(())
    }

    /// Says what may be done with one or several whole mappings.
    pub fn set_access(&self, base: u64, size: u64, access: Access) -> Result<()> {
        let end = base
            .checked_add(size)
            .ok_or(MemoryError::Invalid("range wraps"))?;
        let state = self.inner.state();
        let entries = state.mappings(base, end).ok_or(MemoryError::NotAllocated)?;
        if !entries.is_empty() {
            self.inner.window.protect(base, size, access)?;
        }
        for entry in entries {
            *lock(&entry.access) = access;
        }
        Ok(())
    }

    /// What may be done with the mapping at `address`.
    pub fn access(&self, address: u64) -> Option<Access> {
        self.inner
            .state()
            .at(address)
            .map(|entry| *lock(&entry.access))
    }

    /// Checks that `size` bytes from `address` lie in one allocation (or in mappings side by side) that allows
    /// `access`, and keeps them mapped.
    pub fn pin(&self, address: u64, size: u64, access: Access) -> Result<Pin> {
        let end = address.checked_add(size).ok_or(MemoryError::NotAllocated)?;
        let state = self.inner.state();
        let mut held = Vec::new();
        let mut next = address;
        while next < end || held.is_empty() {
            let entry = state.at(next).ok_or(MemoryError::NotAllocated)?;
            if !held.is_empty() && !entry.is_mapping() {
                return Err(MemoryError::NotAllocated);
            }
            if !entry.allows(access) {
                return Err(MemoryError::NoAccess);
            }
            next = entry.end();
            let more = entry.is_mapping();
            held.push(entry.clone());
            if !more && next < end {
                return Err(MemoryError::NotAllocated);
            }
        }
        Ok(Pin {
            owner: self.inner.clone(),
            held,
            host: self.inner.window.host(address),
            size,
        })
    }

    /// Copies from the host.
    ///
    /// # Safety
    /// `from..from + size` must be readable host memory.
    pub unsafe fn copy_in(&self, to: u64, from: *const u8, size: u64) -> Result<()> {
        if size == 0 {
            return Ok(());
        }
        let pin = self.pin(to, size, Access::ReadWrite)?;
        // SAFETY: the pin covers the target, the caller answers for the source; `copy` allows overlap.
        unsafe { std::ptr::copy(from, pin.host, size as usize) };
        Ok(())
    }

    /// Copies to the host.
    ///
    /// # Safety
    /// `to..to + size` must be writable host memory.
    pub unsafe fn copy_out(&self, to: *mut u8, from: u64, size: u64) -> Result<()> {
        if size == 0 {
            return Ok(());
        }
        let pin = self.pin(from, size, Access::Read)?;
        // SAFETY: the pin covers the source, the caller answers for the target; `copy` allows overlap.
        unsafe { std::ptr::copy(pin.host.cast_const(), to, size as usize) };
        Ok(())
    }

    /// Copies within the device; the ranges may overlap.
    pub fn copy_within(&self, to: u64, from: u64, size: u64) -> Result<()> {
        if size == 0 {
            return Ok(());
        }
        let source = self.pin(from, size, Access::Read)?;
        let target = self.pin(to, size, Access::ReadWrite)?;
        // SAFETY: both ranges are pinned; `copy` allows overlap.
        unsafe { std::ptr::copy(source.host.cast_const(), target.host, size as usize) };
        Ok(())
    }

    /// Fills `count` elements with `pattern` (1, 2 or 4 bytes; any length works).
    pub fn fill(&self, to: u64, pattern: &[u8], count: u64) -> Result<()> {
        let size = count
            .checked_mul(pattern.len() as u64)
            .ok_or(MemoryError::NotAllocated)?;
        if size == 0 {
            return Ok(());
        }
        let pin = self.pin(to, size, Access::ReadWrite)?;
        if pattern.iter().all(|byte| *byte == pattern[0]) {
            // SAFETY: the pin covers the range.
            unsafe { std::ptr::write_bytes(pin.host, pattern[0], size as usize) };
            return Ok(());
        }
        for index in 0..count as usize {
            // SAFETY: element `index` lies inside the pinned range; bytes have no alignment.
            unsafe {
                let at = pin.host.add(index * pattern.len());
                std::ptr::copy_nonoverlapping(pattern.as_ptr(), at, pattern.len());
            }
        }
        Ok(())
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

    fn place_small(&self, state: &mut State, size: u64) -> Result<(u64, Place)> {
        for (&unit, spans) in &mut state.shared {
            if let Some(base) = spans.take(size, budget::GRAIN) {
                return Ok((base, Place::Shared(unit)));
            }
        }
        let unit = state
            .free
            .take(UNIT, UNIT)
            .ok_or(MemoryError::OutOfMemory)?;
        if let Err(error) = self.window.map_plain(unit, UNIT) {
            state.free.give(unit, UNIT);
            return Err(error.into());
        }
        let spans = state
            .shared
            .entry(unit)
            .or_insert_with(|| Spans::new(unit, unit + UNIT, budget::GRAIN));
        let base = spans
            .take(size, budget::GRAIN)
            .ok_or(MemoryError::OutOfMemory)?;
        Ok((base, Place::Shared(unit)))
    }

    fn place_large(&self, state: &mut State, size: u64) -> Result<(u64, Place)> {
        let base = state
            .free
            .take(size, UNIT)
            .ok_or(MemoryError::OutOfMemory)?;
        if let Err(error) = self.window.map_plain(base, size.next_multiple_of(PAGE)) {
            state.free.give(base, size);
            return Err(error.into());
        }
        Ok((base, Place::Whole))
    }

    /// Drops a reference to an entry that has left the table; the last one unmaps it.
    fn let_go(&self, entry: Arc<Entry>) {
        let Some(entry) = Arc::into_inner(entry) else {
            return;
        };
        let mut state = self.state();
        match entry.place {
            Place::Shared(unit) => {
                let only = state.shared.len() == 1;
                let Some(spans) = state.shared.get_mut(&unit) else {
                    return;
                };
                spans.give(entry.base, entry.size);
                // One empty unit stays, for programs that allocate and free in a loop.
                if spans.is_whole(unit, unit + UNIT) && !only {
                    state.shared.remove(&unit);
                    self.clear(unit, UNIT);
                    state.free.give(unit, UNIT);
                }
            }
            Place::Whole => {
                self.clear(entry.base, entry.size.next_multiple_of(PAGE));
                state.free.give(entry.base, entry.size);
            }
            // While a copy held this mapping, another may have taken its place.
            Place::Mapped(_) if !state.overlaps(entry.base, entry.end()) => {
                self.clear(entry.base, entry.size)
            }
            Place::Mapped(_) => {}
        }
    }

    fn clear(&self, base: u64, size: u64) {
        if let Err(error) = self.window.clear(base, size) {
            tracing::error!(base, size, %error, "device memory could not be unmapped");
        }
    }
}

/// Device memory that stays mapped, even if freed, until this is dropped.
#[derive(Debug)]
pub struct Pin {
    owner: Arc<Inner>,
    held: Vec<Arc<Entry>>,
    host: *mut u8,
    size: u64,
}

// SAFETY: `host` names memory that `held` keeps mapped; where it is used from does not matter.
unsafe impl Send for Pin {}

impl Pin {
    /// Where the bytes are on the host. Kernels may access them at any time: no references.
    pub fn host(&self) -> *mut u8 {
        self.host
    }

    /// How many bytes are pinned.
    pub fn size(&self) -> u64 {
        self.size
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        for entry in self.held.drain(..) {
            self.owner.let_go(entry);
        }
    }
}

fn describe(entry: &Entry) -> Allocation {
    Allocation {
        base: entry.base,
        size: entry.size,
        id: entry.id,
        mapped: entry.is_mapping(),
    }
}

/// Locks; a panic elsewhere while holding the lock does not make the table wrong.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
}

fn memory_file(size: u64) -> Result<OwnedFd> {
    // SAFETY: a constant name; the result is checked.
    let fd = unsafe { libc::memfd_create(c"rgpu-device-memory".as_ptr(), libc::MFD_CLOEXEC) };
    if fd < 0 {
        return Err(io::Error::last_os_error().into());
    }
    // SAFETY: just created, owned by nobody else.
    let file = unsafe { OwnedFd::from_raw_fd(fd) };
    let length = libc::off_t::try_from(size).map_err(|_| MemoryError::OutOfMemory)?;
    // SAFETY: a file descriptor that we own.
    if unsafe { libc::ftruncate(fd, length) } != 0 {
        return Err(io::Error::last_os_error().into());
    }
    Ok(file)
}

#[cfg(test)]
mod tests;
