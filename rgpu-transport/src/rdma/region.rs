//! Memory that a device reads and writes.

use std::io;
use std::ptr::NonNull;
use std::sync::Arc;

use super::device::Device;
use super::sys;
use super::sys::bindings::*;

/// Whole pages of this process, known to a device.
pub(super) struct Region {
    device: Arc<Device>,
    start: NonNull<u8>,
    len: usize,
    memory: *mut ibv_mr,
}

// SAFETY: a mapping and a number of the device's; neither belongs to a thread.
unsafe impl Send for Region {}

impl Region {
    /// `len` bytes which the device may write, and the peer too where `remote`.
    pub(super) fn new(device: &Arc<Device>, len: usize, remote: bool) -> io::Result<Self> {
        // SAFETY: a fresh mapping at an address of the system's choice.
        let at = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                len,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        if at == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(at.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        let remote = if remote { IBV_ACCESS_REMOTE_WRITE } else { 0 };
        let access = IBV_ACCESS_LOCAL_WRITE | remote;
        // SAFETY: the mapping is this region's, and goes after the registration.
        let memory = unsafe {
            device
                .verbs
                .ibv_reg_mr(device.domain(), at, len, access as i32)
        };
        match sys::made("cannot register memory", memory) {
            Ok(memory) => Ok(Self {
                device: Arc::clone(device),
                start,
                len,
                memory,
            }),
            Err(error) => {
                // SAFETY: mapped above; nobody knows of it.
                unsafe { libc::munmap(at, len) };
                Err(error)
            }
        }
    }

    /// Where `len` bytes at `offset` are; they lie inside.
    fn at(&self, offset: usize, len: usize) -> *mut u8 {
        assert!(offset <= self.len && len <= self.len - offset);
        // SAFETY: inside the mapping, as just checked.
        unsafe { self.start.as_ptr().add(offset) }
    }

    /// What a request to the device takes.
    pub(super) fn part(&self, offset: usize, len: usize) -> ibv_sge {
        ibv_sge {
            addr: self.at(offset, len) as u64,
            length: len as u32,
            // SAFETY: registered for as long as this region lives.
            lkey: unsafe { (*self.memory).lkey },
        }
    }

    /// What lets the peer write here.
    pub(super) fn remote_key(&self) -> u32 {
        // SAFETY: registered for as long as this region lives.
        unsafe { (*self.memory).rkey }
    }

    /// Where the region begins, as the peer names it.
    pub(super) fn address(&self) -> u64 {
        self.start.as_ptr() as u64
    }

    /// Copies `bytes` to `offset`.
    pub(super) fn write(&mut self, offset: usize, bytes: &[u8]) {
        let to = self.at(offset, bytes.len());
        // SAFETY: `to` has room for `bytes`. No reference into the region exists, and callers write only what no request
        // under way reads.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len()) };
    }

    /// Copies from `offset` into `bytes`. A peer that may write here may do so meanwhile: whatever comes is its data.
    pub(super) fn read(&self, offset: usize, bytes: &mut [u8]) {
        let from = self.at(offset, bytes.len());
        // SAFETY: `from` has as much; no reference into the region exists, and a copy of bytes takes any bytes.
        unsafe { std::ptr::copy_nonoverlapping(from, bytes.as_mut_ptr(), bytes.len()) };
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: made by `new`; the queue pair that used them is gone, as owners drop it first.
        unsafe {
            self.device.verbs.ibv_dereg_mr(self.memory);
            libc::munmap(self.start.as_ptr().cast(), self.len);
        }
    }
}
