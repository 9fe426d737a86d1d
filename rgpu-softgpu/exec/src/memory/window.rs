//! The two reservations behind the device's addresses.
//!
//! The *window* is what programs see: reserved and never accessible, so that a host access to a device pointer
//! faults. The *backing* is as long and holds the bytes: what is mapped there is what kernels may touch.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use super::PAGE;

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

/// Window and backing.
#[derive(Debug)]
pub(crate) struct Window {
    base: u64,
    size: u64,
    /// First byte of the backing.
    backing: u64,
    /// What was mapped for the backing, before its start was aligned.
    mapped: (u64, u64),
}

const RESERVE: libc::c_int = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;

impl Window {
    /// Reserves `base..base + size` for programs to see, and as much for the bytes.
    pub(crate) fn reserve(base: u64, size: u64) -> io::Result<Self> {
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
        // One unit more, so that device and host addresses are aligned alike and large pages fit.
        let length = size + super::UNIT;
        let mapped =
            map(0, length, libc::PROT_NONE, RESERVE, None).inspect_err(|_| unmap(base, size))?;
        Ok(Self {
            base,
            size,
            backing: mapped.next_multiple_of(super::UNIT),
            mapped: (mapped, length),
        })
    }

    pub(crate) fn base(&self) -> u64 {
        self.base
    }

    pub(crate) fn end(&self) -> u64 {
        self.base + self.size
    }

    /// Host address of a device byte minus its device address.
    pub(crate) fn delta(&self) -> u64 {
        self.backing.wrapping_sub(self.base)
    }

    /// The host address of a device address inside the window.
    pub(crate) fn host(&self, address: u64) -> *mut u8 {
        std::ptr::with_exposed_provenance_mut(address.wrapping_add(self.delta()) as usize)
    }

    /// The device address of a host address inside the backing.
    pub(crate) fn device(&self, host: u64) -> Option<u64> {
        (self.backing..self.backing + self.size)
            .contains(&host)
            .then(|| host.wrapping_sub(self.delta()))
    }

    /// Puts fresh zeroed memory at `address`.
    pub(crate) fn map_plain(&self, address: u64, size: u64) -> io::Result<()> {
        let protection = Access::ReadWrite.protection();
        let host = self.checked(address, size)?;
        map(host, size, protection, RESERVE | libc::MAP_FIXED, None)?;
        if size >= super::UNIT {
            // SAFETY: the range was just mapped; the advice changes speed, never content.
            unsafe { libc::madvise(pointer(host), size as usize, libc::MADV_HUGEPAGE) };
        }
        Ok(())
    }

    /// Puts `size` bytes of a memory file at `address`, not accessible yet.
    pub(crate) fn map_file(
        &self,
        address: u64,
        size: u64,
        file: BorrowedFd<'_>,
        offset: u64,
    ) -> io::Result<()> {
        let flags = libc::MAP_SHARED | libc::MAP_FIXED | libc::MAP_NORESERVE;
        map(
            self.checked(address, size)?,
            size,
            libc::PROT_NONE,
            flags,
            Some((file, offset)),
        )?;
        Ok(())
    }

    /// Changes what may be done with a mapped range.
    pub(crate) fn protect(&self, address: u64, size: u64, access: Access) -> io::Result<()> {
        let host = self.checked(address, size)?;
        // SAFETY: the range lies in the backing, which this struct owns.
        match unsafe { libc::mprotect(pointer(host), size as usize, access.protection()) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Takes away what is mapped at `address`; accesses fault again.
    pub(crate) fn clear(&self, address: u64, size: u64) -> io::Result<()> {
        map(
            self.checked(address, size)?,
            size,
            libc::PROT_NONE,
            RESERVE | libc::MAP_FIXED,
            None,
        )?;
        Ok(())
    }

    /// The host address of a page-aligned range that lies wholly in the window.
    fn checked(&self, address: u64, size: u64) -> io::Result<u64> {
        let inside = address >= self.base
            && address
                .checked_add(size)
                .is_some_and(|end| end <= self.end());
        if inside && size > 0 && address.is_multiple_of(PAGE) && size.is_multiple_of(PAGE) {
            Ok(address.wrapping_add(self.delta()))
        } else {
            Err(io::Error::from_raw_os_error(libc::EINVAL))
        }
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        unmap(self.base, self.size);
        unmap(self.mapped.0, self.mapped.1);
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
    // SAFETY: callers pass MAP_FIXED only for ranges inside the backing, which `Window` owns; otherwise the
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
