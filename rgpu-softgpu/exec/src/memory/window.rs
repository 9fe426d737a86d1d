//! The reservations behind the devices' addresses.
//!
//! The *window* is what programs see: reserved and not accessible, so that a host access to a device pointer
//! faults, unless the program has asked for access to memory that it has mapped. Each device has a *view*, which is as long and holds the bytes: what is mapped there is what its kernels
//! may touch. Memory that several devices may touch is mapped in several views. Guards on
//! both sides of a view are never accessible.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use super::PAGE;
use crate::abi::WINDOW_GUARD;

/// What may be done with a mapped range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Nothing: mapped, but not yet accessible.
    None,
    /// Loads.
    Read,
    /// Loads and stores.
    ReadWrite,
}

impl Access {
    fn protection(self) -> libc::c_int {
        match self {
            Self::None => libc::PROT_NONE,
            Self::Read => libc::PROT_READ,
            Self::ReadWrite => libc::PROT_READ | libc::PROT_WRITE,
        }
    }
}

/// Window and views.
#[derive(Debug)]
pub(crate) struct Window {
    base: u64,
    size: u64,
    views: Vec<View>,
}

/// What one device sees of the window.
#[derive(Debug)]
struct View {
    /// Its first byte.
    start: u64,
    /// What was mapped for it, before its start was aligned.
    mapped: (u64, u64),
}

impl View {
    fn reserve(size: u64) -> io::Result<Self> {
        // One unit more, so that device and host addresses are aligned alike and large pages fit.
        let length = size + super::UNIT + 2 * WINDOW_GUARD;
        let mapped = map(0, length, libc::PROT_NONE, RESERVE, None)?;
        Ok(Self {
            start: (mapped + WINDOW_GUARD).next_multiple_of(super::UNIT),
            mapped: (mapped, length),
        })
    }
}

impl Drop for View {
    fn drop(&mut self) {
        unmap(self.mapped.0, self.mapped.1);
    }
}

const RESERVE: libc::c_int = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;

impl Window {
    /// Reserves `base..base + size` for programs to see, and as much for each of `views` devices.
    pub(crate) fn reserve(base: u64, size: u64, views: usize) -> io::Result<Self> {
        let window = map(
            base,
            size,
            libc::PROT_NONE,
            RESERVE | libc::MAP_FIXED_NOREPLACE,
            None,
        )?;
        if window != base {
            // A kernel that does not know MAP_FIXED_NOREPLACE takes the address as a hint.
            unmap(window, size);
            return Err(io::Error::from_raw_os_error(libc::EEXIST));
        }
        let mut reserved = Self {
            base,
            size,
            views: Vec::new(),
        };
        for _ in 0..views {
            reserved.views.push(View::reserve(size)?);
        }
        Ok(reserved)
    }

    pub(crate) fn base(&self) -> u64 {
        self.base
    }

    pub(crate) fn end(&self) -> u64 {
        self.base + self.size
    }

    /// How many devices there are.
    pub(crate) fn views(&self) -> usize {
        self.views.len()
    }

    /// Host address of a byte in a view minus its device address.
    pub(crate) fn delta(&self, view: usize) -> u64 {
        self.views[view].start.wrapping_sub(self.base)
    }

    /// The host address in a view of a device address inside the window.
    pub(crate) fn host(&self, view: usize, address: u64) -> *mut u8 {
        std::ptr::with_exposed_provenance_mut(address.wrapping_add(self.delta(view)) as usize)
    }

    /// The device address of a host address inside a view or its guards.
    pub(crate) fn device(&self, view: usize, host: u64) -> Option<u64> {
        let start = self.views[view].start;
        (start - WINDOW_GUARD..start + self.size + WINDOW_GUARD)
            .contains(&host)
            .then(|| host.wrapping_sub(self.delta(view)))
    }

    /// Puts fresh zeroed memory at `address` of a view.
    pub(crate) fn map_plain(&self, view: usize, address: u64, size: u64) -> io::Result<()> {
        let protection = Access::ReadWrite.protection();
        let host = self.checked(view, address, size)?;
        // Private memory has large pages; memory that another view may come to show must be shared.
        let kind = match self.views.len() {
            1 => RESERVE,
            _ => libc::MAP_SHARED | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
        };
        map(host, size, protection, kind | libc::MAP_FIXED, None)?;
        if size >= super::UNIT {
            // SAFETY: the range was just mapped; the advice changes speed, never content.
            unsafe { libc::madvise(pointer(host), size as usize, libc::MADV_HUGEPAGE) };
        }
        Ok(())
    }

    /// Shows in one view what [`Self::map_plain`] has put at `address` of another.
    pub(crate) fn share(&self, from: usize, to: usize, address: u64, size: u64) -> io::Result<()> {
        let (from, to) = (
            self.checked(from, address, size)?,
            self.checked(to, address, size)?,
        );
        let flags = libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED;
        // SAFETY: both ranges lie in views, which this struct owns. An old size of 0 maps the pages of a shared
        // mapping once more (mremap(2)).
        let found = unsafe { libc::mremap(pointer(from), 0, size as usize, flags, pointer(to)) };
        match found {
            libc::MAP_FAILED => Err(io::Error::last_os_error()),
            _ => Ok(()),
        }
    }

    /// Puts `size` bytes of a memory file at `address` of the window and of every view, not accessible yet.
    pub(crate) fn map_file(
        &self,
        address: u64,
        size: u64,
        file: BorrowedFd<'_>,
        offset: u64,
    ) -> io::Result<()> {
        let flags = libc::MAP_SHARED | libc::MAP_FIXED | libc::MAP_NORESERVE;
        let views = (0..self.views.len()).map(|view| self.checked(view, address, size));
        for host in views.chain([self.inside(address, size)]) {
            map(host?, size, libc::PROT_NONE, flags, Some((file, offset)))?;
        }
        Ok(())
    }

    /// Changes what may be done with a mapped range of a view.
    pub(crate) fn protect(
        &self,
        view: usize,
        address: u64,
        size: u64,
        access: Access,
    ) -> io::Result<()> {
        protect(self.checked(view, address, size)?, size, access)
    }

    /// Changes what the host may do with a range of the window where a memory file is mapped.
    pub(crate) fn protect_host(&self, address: u64, size: u64, access: Access) -> io::Result<()> {
        protect(self.inside(address, size)?, size, access)
    }

    /// Takes a memory file away from `address` of the window; accesses of the host fault again.
    pub(crate) fn clear_host(&self, address: u64, size: u64) -> io::Result<()> {
        let host = self.inside(address, size)?;
        map(host, size, libc::PROT_NONE, RESERVE | libc::MAP_FIXED, None)?;
        Ok(())
    }

    /// Takes away what is mapped at `address` of a view; accesses fault again.
    pub(crate) fn clear(&self, view: usize, address: u64, size: u64) -> io::Result<()> {
        map(
            self.checked(view, address, size)?,
            size,
            libc::PROT_NONE,
            RESERVE | libc::MAP_FIXED,
            None,
        )?;
        Ok(())
    }

    /// The host address in a view of a page-aligned range that lies wholly in the window.
    fn checked(&self, view: usize, address: u64, size: u64) -> io::Result<u64> {
        Ok(self.inside(address, size)?.wrapping_add(self.delta(view)))
    }

    /// The address of a page-aligned range that lies wholly in the window.
    fn inside(&self, address: u64, size: u64) -> io::Result<u64> {
        let inside = address >= self.base
            && address
                .checked_add(size)
                .is_some_and(|end| end <= self.end());
        if inside && size > 0 && address.is_multiple_of(PAGE) && size.is_multiple_of(PAGE) {
            Ok(address)
        } else {
            Err(io::Error::from_raw_os_error(libc::EINVAL))
        }
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        unmap(self.base, self.size);
    }
}

/// Changes what may be done with a range of a view or of the window, which the caller owns.
fn protect(host: u64, size: u64, access: Access) -> io::Result<()> {
    // SAFETY: the caller owns the range.
    match unsafe { libc::mprotect(pointer(host), size as usize, access.protection()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

fn pointer(address: u64) -> *mut libc::c_void {
    std::ptr::with_exposed_provenance_mut(address as usize)
}

/// `mmap`. With `MAP_FIXED` the caller owns what lies at `address`.
fn map(
    address: u64,
    size: u64,
    protection: libc::c_int,
    flags: libc::c_int,
    file: Option<(BorrowedFd<'_>, u64)>,
) -> io::Result<u64> {
    let (fd, offset) = file.map_or((-1, 0), |(fd, offset)| {
        (fd.as_raw_fd(), offset as libc::off_t)
    });
    // SAFETY: callers pass MAP_FIXED only for ranges inside a view, which `Window` owns; otherwise the
    // kernel chooses or refuses.
    let found = unsafe {
        libc::mmap(
            pointer(address),
            size as usize,
            protection,
            flags,
            fd,
            offset,
        )
    };
    if found == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    Ok(found.expose_provenance() as u64)
}

fn unmap(address: u64, size: u64) {
    // SAFETY: callers own the range.
    unsafe { libc::munmap(pointer(address), size as usize) };
}
