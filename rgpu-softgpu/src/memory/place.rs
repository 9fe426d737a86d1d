//! Where an address of the program leads, and the proof that a range may be accessed.

use rgpu_softgpu_exec::abi::{DEVICE_WINDOW_BASE, DEVICE_WINDOW_SIZE};
use rgpu_softgpu_exec::memory::{Access, Pin};

use crate::driver::Driver;
use crate::status::{Result, Status, of_memory, require};

/// What kind of memory a parameter means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// A `CUdeviceptr`: device memory, or pinned host memory.
    Device(u64),
    /// A host pointer; a device address here works too, as unified addressing has it.
    Host(u64),
}

/// Bytes that stay accessible while this lives.
#[derive(Debug)]
pub(crate) struct Span {
    host: *mut u8,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Device(#[expect(dead_code, reason = "held, not read")] Pin),
    Pinned,
    Pageable,
}

// SAFETY: device memory is pinned, pinned host memory is the driver's or the program's until it is freed, and
// pageable memory is only used while the program waits or from a copy; none belongs to a thread.
unsafe impl Send for Span {}

impl Span {
    /// The host address of the first byte.
    pub(crate) fn host(&self) -> *mut u8 {
        self.host
    }

    /// Whether it is device memory.
    pub(crate) fn is_device(&self) -> bool {
        matches!(self.kind, Kind::Device(_))
    }

    /// Whether it is host memory that the program could free or reuse as soon as a call returns.
    pub(crate) fn is_pageable(&self) -> bool {
        matches!(self.kind, Kind::Pageable)
    }
}

/// Whether an address lies in the device's window.
pub(crate) fn is_device(address: u64) -> bool {
    (DEVICE_WINDOW_BASE..DEVICE_WINDOW_BASE + DEVICE_WINDOW_SIZE).contains(&address)
}

impl Place {
    /// What `address` means to a call that takes any pointer.
    pub(crate) fn unified(address: u64) -> Self {
        Self::Host(address)
    }

    fn address(self) -> u64 {
        match self {
            Self::Device(address) | Self::Host(address) => address,
        }
    }

    /// The place `offset` bytes further on.
    pub(crate) fn plus(self, offset: u64) -> Result<Self> {
        let moved = self.address().checked_add(offset);
        let moved = moved.ok_or(Status::ERROR_INVALID_VALUE)?;
        Ok(match self {
            Self::Device(_) => Self::Device(moved),
            Self::Host(_) => Self::Host(moved),
        })
    }

    /// Proves that `size` bytes may be accessed, as far as the driver can know.
    pub(crate) fn span(self, driver: &Driver, size: u64, access: Access) -> Result<Span> {
        let address = self.address();
        if is_device(address) {
            let pin = driver
                .memory
                .pin(address, size, access)
                .map_err(of_memory)?;
            return Ok(Span {
                host: pin.host(),
                kind: Kind::Device(pin),
            });
        }
        require(address != 0 && address.checked_add(size).is_some())?;
        let pinned = driver.memory.host().find(address);
        let kind = match pinned {
            Some(range) => {
                require(matches!(self, Self::Host(_)) || range.holds(address, size))?;
                match range.holds(address, size) {
                    true => Kind::Pinned,
                    false => Kind::Pageable,
                }
            }
            None => {
                require(matches!(self, Self::Host(_)))?;
                Kind::Pageable
            }
        };
        Ok(Span {
            host: std::ptr::with_exposed_provenance_mut(address as usize),
            kind,
        })
    }
}
