//! The device window: a reserved range of addresses in which the client places its memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{anyhow, ensure};
use cudarc::driver::sys;
use rgpu_proto::status::Status;

use super::driver::Driver;

/// Addresses per byte of lease: room for fragmentation, so that the lease is the only limit that shows.
const ROOM: u64 = 8;
/// Smallest window.
const SMALLEST: u64 = 16 << 30;

/// A window and what is behind it.
#[derive(Debug)]
pub(super) struct Window {
    driver: Arc<Driver>,
    device: i32,
    base: u64,
    size: u64,
    granularity: u64,
    lease: u64,
    /// Bytes of physical memory that the client holds.
    used: u64,
    /// Backed ranges: address to size.
    backed: BTreeMap<u64, u64>,
    /// The host may touch what is behind them, at the same addresses.
    open: bool,
}

impl Window {
    /// Reserves a window for `lease` bytes on `device`.
    pub(super) fn reserve(driver: Arc<Driver>, device: i32, lease: u64) -> anyhow::Result<Self> {
        let granularity = granularity(&driver, device).map_err(|s| {
            anyhow!(
                "the driver has no virtual memory management (CUDA error {})",
                s.0
            )
        })?;
        ensure!(
            granularity.is_power_of_two(),
            "allocation granularity {granularity}"
        );
        let size = (lease.saturating_mul(ROOM))
            .max(SMALLEST)
            .next_multiple_of(granularity);
        let mut window = Self {
            driver,
            device,
            base: 0,
            size,
            granularity,
            lease,
            used: 0,
            backed: BTreeMap::new(),
            open: true,
        };
        window
            .move_elsewhere()
            .map_err(|s| anyhow!("no {size} bytes of addresses left (CUDA error {})", s.0))?;
        Ok(window)
    }

    /// Reserves another range of addresses; the one before stays reserved, so that it is not offered again.
    pub(super) fn move_elsewhere(&mut self) -> Result<(), Status> {
        let mut base = 0;
        // SAFETY: `base` is live.
        unsafe {
            self.driver.cuMemAddressReserve(
                &raw mut base,
                self.size as usize,
                self.granularity as usize,
                0,
                0,
            )?;
        }
        self.base = base;
        Ok(())
    }

    pub(super) const fn base(&self) -> u64 {
        self.base
    }

    pub(super) const fn size(&self) -> u64 {
        self.size
    }

    pub(super) const fn granularity(&self) -> u64 {
        self.granularity
    }

    /// Bytes that the client may hold.
    pub(super) const fn lease(&self) -> u64 {
        self.lease
    }

    /// Bytes in use.
    pub(super) const fn used(&self) -> u64 {
        self.used
    }

    /// Refuses a range that is not whole granules inside the window.
    pub(super) fn check(&self, address: u64, size: u64) -> Result<(), Status> {
        let offset = address
            .checked_sub(self.base)
            .ok_or(Status::ERROR_INVALID_VALUE)?;
        let inside = size > 0 && offset <= self.size && size <= self.size - offset;
        let aligned = (address | size) & (self.granularity - 1) == 0;
        if inside && aligned {
            Ok(())
        } else {
            Err(Status::ERROR_INVALID_VALUE)
        }
    }

    /// Whether [address, +size) lies in the window; nothing does everywhere.
    pub(super) const fn holds(&self, address: u64, size: u64) -> bool {
        size == 0
            || (address >= self.base
                && address - self.base <= self.size
                && size <= self.size - (address - self.base))
    }

    /// Charges `size` bytes to the lease.
    pub(super) fn charge(&mut self, size: u64) -> Result<(), Status> {
        match self.used.checked_add(size) {
            Some(used) if used <= self.lease => {
                self.used = used;
                Ok(())
            }
            _ => Err(Status::ERROR_OUT_OF_MEMORY),
        }
    }

    /// Gives `size` bytes back to the lease.
    pub(super) const fn refund(&mut self, size: u64) {
        self.used = self.used.saturating_sub(size);
    }

    /// Puts memory behind a range.
    pub(super) fn back(&mut self, address: u64, size: u64) -> Result<(), Status> {
        self.check(address, size)?;
        self.charge(size)?;
        let result = self.map_new(address, size);
        match result {
            Ok(()) => {
                self.backed.insert(address, size);
                self.open = self.open && self.open_to_host(address, size);
            }
            Err(_) => self.refund(size),
        }
        result
    }

    fn map_new(&self, address: u64, size: u64) -> Result<(), Status> {
        let memory = self.create(size)?;
        // SAFETY: the range was checked to lie in the window; the mapping keeps the memory after the release.
        unsafe {
            let mapped = self.driver.cuMemMap(address, size as usize, 0, memory, 0);
            self.driver.cuMemRelease(memory)?;
            mapped?;
        }
        self.allow(
            address,
            size,
            sys::CUmemAccess_flags::CU_MEM_ACCESS_FLAGS_PROT_READWRITE as u32,
        )
    }

    /// Physical memory on the session's device.
    pub(super) fn create(&self, size: u64) -> Result<u64, Status> {
        let properties = properties(self.device);
        let mut memory = 0;
        // SAFETY: both pointers are to live values of the types that the call takes.
        unsafe {
            self.driver.cuMemCreate(
                &raw mut memory,
                size as usize,
                (&raw const properties).cast(),
                0,
            )?;
        }
        Ok(memory)
    }

    /// Sets how the session's device may touch a mapped range.
    pub(super) fn allow(&self, address: u64, size: u64, flags: u32) -> Result<(), Status> {
        let device = sys::CUmemLocationType::CU_MEM_LOCATION_TYPE_DEVICE as u32;
        self.allow_at([device, self.device as u32], address, size, flags)
    }

    /// Lets the host touch a range as well. Memory behind a bus cannot be touched so: the driver refuses.
    fn open_to_host(&self, address: u64, size: u64) -> bool {
        let host = sys::CUmemLocationType::CU_MEM_LOCATION_TYPE_HOST as u32;
        let flags = sys::CUmemAccess_flags::CU_MEM_ACCESS_FLAGS_PROT_READWRITE as u32;
        self.allow_at([host, 0], address, size, flags).is_ok()
    }

    /// Device memory [address, +size) as the host sees it, where it may touch all of it.
    pub(super) fn host_sees(&self, address: u64, size: u64) -> Option<*mut u8> {
        let end = address
            .checked_add(size)
            .filter(|_| self.open && size > 0)?;
        let mut covered = address;
        while covered < end {
            let (base, size) = self.backed.range(..=covered).next_back()?;
            covered = Some(base + size).filter(|end| *end > covered)?;
        }
        Some(std::ptr::with_exposed_provenance_mut(address as usize))
    }

    fn allow_at(
        &self,
        location: [u32; 2],
        address: u64,
        size: u64,
        flags: u32,
    ) -> Result<(), Status> {
        #[repr(C)]
        struct AccessDesc {
            location: [u32; 2],
            flags: u32,
        }
        let desc = AccessDesc { location, flags };
        const { assert!(size_of::<AccessDesc>() == size_of::<sys::CUmemAccessDesc>()) };
        // SAFETY: `desc` has the layout of CUmemAccessDesc, asserted above, and is live.
        unsafe {
            self.driver
                .cuMemSetAccess(address, size as usize, (&raw const desc).cast(), 1)
        }
    }

    /// Takes the memory behind a range away.
    pub(super) fn unback(&mut self, address: u64, size: u64) -> Result<(), Status> {
        if self.backed.get(&address) != Some(&size) {
            return Err(Status::ERROR_INVALID_VALUE);
        }
        // SAFETY: the range was mapped by `back` and is unmapped once.
        unsafe { self.driver.cuMemUnmap(address, size as usize)? };
        self.backed.remove(&address);
        self.refund(size);
        Ok(())
    }

    /// Takes all backed memory away, as a reset of the device does.
    pub(super) fn unback_all(&mut self) -> Result<(), Status> {
        for (address, size) in self.backed.clone() {
            self.unback(address, size)?;
        }
        Ok(())
    }
}

fn properties(device: i32) -> sys::CUmemAllocationProp {
    // SAFETY: every field is a number, a null pointer or an enum with a zero item, so zero is valid.
    let mut properties: sys::CUmemAllocationProp = unsafe { std::mem::zeroed() };
    properties.type_ = sys::CUmemAllocationType::CU_MEM_ALLOCATION_TYPE_PINNED;
    properties.location.type_ = sys::CUmemLocationType::CU_MEM_LOCATION_TYPE_DEVICE;
    properties.location.id = device;
    properties
}

fn granularity(driver: &Driver, device: i32) -> Result<u64, Status> {
    /// `CU_MEM_ALLOC_GRANULARITY_MINIMUM`.
    const MINIMUM: u32 = 0;
    let properties = properties(device);
    let mut granularity = 0_usize;
    // SAFETY: both pointers are to live values of the types that the call takes.
    unsafe {
        driver.cuMemGetAllocationGranularity(
            &raw mut granularity,
            (&raw const properties).cast(),
            MINIMUM as _,
        )?;
    }
    Ok(granularity as u64)
}
