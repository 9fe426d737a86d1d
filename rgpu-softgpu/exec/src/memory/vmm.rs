//! Reservations, physical memory, and mapping one into the other.

use std::io;
use std::os::fd::{AsFd, FromRawFd, OwnedFd};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};

use super::{Access, DeviceMemory, Entry, Group, MemoryError, Physical, Place, Result, UNIT, lock};

impl DeviceMemory {
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
        let charge = self.budget.charge(size)?;
        Ok(Arc::new(Physical {
            file: memory_file(size)?,
            size,
            device: self.device,
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
        let window = &self.inner.window;
        if let Err(error) = window.map_file(base, size, memory.file.as_fd(), offset) {
            self.inner.clear(base, size);
            return Err(error.into());
        }
        let access = vec![Access::None; window.views()];
        self.inner.enter(
            &mut state,
            Entry {
                base,
                room: size,
                size: AtomicU64::new(size),
                id: AtomicU64::new(self.inner.next_id()),
                group: Group {
                    device: memory.device,
                    pool: 0,
                },
                place: Place::Mapped(memory.clone(), Mutex::new(access)),
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

    /// Says what this device's kernels may do with one or several whole mappings.
    pub fn set_access(&self, base: u64, size: u64, access: Access) -> Result<()> {
        let end = base
            .checked_add(size)
            .ok_or(MemoryError::Invalid("range wraps"))?;
        let state = self.inner.state();
        let entries = state.mappings(base, end).ok_or(MemoryError::NotAllocated)?;
        let device = self.device as usize;
        if !entries.is_empty() {
            self.inner.window.protect(device, base, size, access)?;
        }
        for entry in entries {
            if let Place::Mapped(_, of_devices) = &entry.place {
                lock(of_devices)[device] = access;
            }
        }
        Ok(())
    }
}

impl DeviceMemory {
    /// Says what the host may do with one or several whole mappings at their device addresses.
    pub fn set_host_access(&self, base: u64, size: u64, access: Access) -> Result<()> {
        let end = base
            .checked_add(size)
            .ok_or(MemoryError::Invalid("range wraps"))?;
        let state = self.inner.state();
        let mappings = state.mappings(base, end).ok_or(MemoryError::NotAllocated)?;
        match mappings.is_empty() {
            true => Ok(()),
            false => Ok(self.inner.window.protect_host(base, size, access)?),
        }
    }
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
