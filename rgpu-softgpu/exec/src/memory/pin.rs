//! Access to device memory from the host: pins, copies, fills.

use std::sync::Arc;

use super::{Access, DeviceMemory, Entry, Inner, MemoryError, Result};

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

impl DeviceMemory {
    /// Checks that `size` bytes from `address` lie in one allocation of any device (or in mappings side by side) that
    /// allows `access`, and keeps them mapped.
    pub fn pin(&self, address: u64, size: u64, access: Access) -> Result<Pin> {
        self.pin_in(address, size, None, access)
    }

    /// As [`Self::pin`], but only where this device's kernels may access the memory.
    pub(crate) fn pin_for_kernel(&self, address: u64, size: u64, access: Access) -> Result<Pin> {
        self.pin_in(address, size, Some(self.device), access)
    }

    fn pin_in(&self, address: u64, size: u64, view: Option<u32>, access: Access) -> Result<Pin> {
        let end = address.checked_add(size).ok_or(MemoryError::NotAllocated)?;
        let state = self.inner.state();
        // Views in which all of the range may be accessed, one bit each.
        let mut views: u32 = view.map_or(u32::MAX, |view| 1 << view);
        let mut held = Vec::new();
        let mut next = address;
        while next < end || held.is_empty() {
            let entry = state.at(next).ok_or(MemoryError::NotAllocated)?;
            if !held.is_empty() && !entry.is_mapping() {
                return Err(MemoryError::NotAllocated);
            }
            let allows = |&device: &u32| {
                let allowed = state.access_of(entry, device);
                allowed == Access::ReadWrite || allowed == access
            };
            // Not where a peer sees it: that may end while the pin lasts.
            let devices = match view {
                None if !entry.is_mapping() => entry.group.device..entry.group.device + 1,
                _ => 0..self.inner.window.views() as u32,
            };
            let allowing: u32 = devices.filter(allows).map(|device| 1 << device).sum();
            views &= allowing;
            if views == 0 {
                return Err(MemoryError::NoAccess);
            }
            next = entry.end();
            let more = entry.is_mapping();
            held.push(entry.clone());
            if !more && next < end {
                return Err(MemoryError::NotAllocated);
            }
        }
        let view = views.trailing_zeros() as usize;
        Ok(Pin {
            owner: self.inner.clone(),
            held,
            host: self.inner.window.host(view, address),
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
