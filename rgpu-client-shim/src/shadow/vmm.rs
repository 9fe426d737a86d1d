//! Virtual memory management: reservations, physical memory, what is mapped where.

use std::collections::{BTreeMap, HashMap};

use rgpu_proto::status::Status;

/// `CU_MEM_ACCESS_FLAGS_PROT_READWRITE`.
const READ_WRITE: u32 = 3;

/// Physical memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Physical {
    /// Bytes.
    pub(crate) size: u64,
    /// Handles that the application holds.
    references: u32,
    mappings: u32,
}

/// A mapped range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mapped {
    /// Bytes.
    pub(crate) size: u64,
    /// Which memory.
    pub(crate) id: u32,
    /// `CUmemAccess_flags`.
    pub(crate) access: u32,
}

/// All of it.
#[derive(Debug, Default)]
pub(crate) struct Vmm {
    reservations: BTreeMap<u64, u64>,
    physical: HashMap<u32, Physical>,
    mapped: BTreeMap<u64, Mapped>,
}

const BAD: Status = Status::ERROR_INVALID_VALUE;

impl Vmm {
    /// Whether there is such physical memory.
    pub(crate) fn knows(&self, id: u32) -> bool {
        self.physical.contains_key(&id)
    }

    /// Keeps a reservation.
    pub(crate) fn reserved(&mut self, at: u64, size: u64) {
        self.reservations.insert(at, size);
    }

    /// Forgets a reservation with nothing mapped in it.
    pub(crate) fn unreserve(&mut self, at: u64, size: u64) -> Result<(), Status> {
        let used = self
            .mapped
            .range(at..at.saturating_add(size))
            .next()
            .is_some();
        if self.reservations.get(&at) != Some(&size) || used {
            return Err(BAD);
        }
        self.reservations.remove(&at);
        Ok(())
    }

    /// Adds physical memory.
    pub(crate) fn created(&mut self, id: u32, size: u64) {
        self.physical.insert(
            id,
            Physical {
                size,
                references: 1,
                mappings: 0,
            },
        );
    }

    /// Another handle of the memory mapped at `address`.
    pub(crate) fn retain_at(&mut self, address: u64) -> Result<u32, Status> {
        let (_, mapped) = self.mapping_of(address).ok_or(BAD)?;
        self.physical.get_mut(&mapped.id).ok_or(BAD)?.references += 1;
        Ok(mapped.id)
    }

    /// Gives a handle back: whether it was the last, and the bytes that are now free.
    pub(crate) fn release(&mut self, id: u32) -> Result<(bool, u64), Status> {
        let physical = self
            .physical
            .get_mut(&id)
            .filter(|p| p.references > 0)
            .ok_or(BAD)?;
        physical.references -= 1;
        let last = physical.references == 0;
        Ok((last, self.bury(id)))
    }

    /// Forgets memory that nobody holds or maps: its bytes.
    fn bury(&mut self, id: u32) -> u64 {
        match self.physical.get(&id) {
            Some(physical) if physical.references == 0 && physical.mappings == 0 => self
                .physical
                .remove(&id)
                .map_or(0, |physical| physical.size),
            _ => 0,
        }
    }

    /// Maps memory into a reservation, or says why that cannot be.
    pub(crate) fn map(&mut self, at: u64, size: u64, offset: u64, id: u32) -> Result<(), Status> {
        let end = at.checked_add(size).filter(|_| size > 0).ok_or(BAD)?;
        let (start, reserved) = self.reservations.range(..=at).next_back().ok_or(BAD)?;
        if end > start + reserved {
            return Err(BAD);
        }
        let before = self.mapped.range(..end).next_back();
        if before.is_some_and(|(start, mapped)| start + mapped.size > at) {
            return Err(Status::ERROR_ALREADY_MAPPED);
        }
        let physical = self
            .physical
            .get_mut(&id)
            .filter(|p| p.references > 0)
            .ok_or(BAD)?;
        if offset
            .checked_add(size)
            .is_none_or(|end| end > physical.size)
        {
            return Err(BAD);
        }
        physical.mappings += 1;
        self.mapped.insert(
            at,
            Mapped {
                size,
                id,
                access: 0,
            },
        );
        Ok(())
    }

    /// Unmaps whole mappings: the mappings that were in [at, +size), and the bytes that are now free.
    pub(crate) fn unmap(&mut self, at: u64, size: u64) -> Result<(Vec<(u64, u64)>, u64), Status> {
        let whole = self.whole(at, size)?;
        let mut freed = 0;
        for (start, _) in &whole {
            if let Some(mapped) = self.mapped.remove(start) {
                if let Some(physical) = self.physical.get_mut(&mapped.id) {
                    physical.mappings -= 1;
                }
                freed += self.bury(mapped.id);
            }
        }
        Ok((whole, freed))
    }

    /// Sets the access of whole mappings.
    pub(crate) fn set_access(&mut self, at: u64, size: u64, access: u32) -> Result<(), Status> {
        for (start, _) in self.whole(at, size)? {
            if let Some(mapped) = self.mapped.get_mut(&start) {
                mapped.access = access;
            }
        }
        Ok(())
    }

    /// The mappings that make up [at, +size) exactly.
    fn whole(&self, at: u64, size: u64) -> Result<Vec<(u64, u64)>, Status> {
        let end = at.checked_add(size).filter(|_| size > 0).ok_or(BAD)?;
        let mut whole = Vec::new();
        let mut next = at;
        while next < end {
            let mapped = self.mapped.get(&next).ok_or(BAD)?;
            whole.push((next, mapped.size));
            next += mapped.size;
        }
        if next == end { Ok(whole) } else { Err(BAD) }
    }

    /// The mapping that holds `address`, with its start.
    pub(crate) fn mapping_of(&self, address: u64) -> Option<(u64, Mapped)> {
        let (&start, mapped) = self.mapped.range(..=address).next_back()?;
        (address - start < mapped.size).then_some((start, *mapped))
    }

    /// The run of accessible mappings [start, end) around `address`.
    pub(crate) fn accessible(&self, address: u64) -> Option<(u64, u64)> {
        let (start, mapped) = self.mapping_of(address)?;
        if mapped.access != READ_WRITE {
            return None;
        }
        let mut end = start + mapped.size;
        while let Some(next) = self
            .mapped
            .get(&end)
            .filter(|next| next.access == READ_WRITE)
        {
            end += next.size;
        }
        Some((start, end))
    }

    /// The reservation that holds `address`.
    pub(crate) fn reservation_of(&self, address: u64) -> Option<(u64, u64)> {
        let (&start, &size) = self.reservations.range(..=address).next_back()?;
        (address - start < size).then_some((start, size))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_lives_as_long_as_a_handle_or_a_mapping() {
        let mut vmm = Vmm::default();
        vmm.reserved(0x1000, 0x4000);
        vmm.created(20, 0x2000);
        assert_eq!(vmm.map(0x1000, 0x2000, 0x1000, 20), Err(BAD));
        assert_eq!(vmm.map(0x4000, 0x2000, 0, 20), Err(BAD));
        vmm.map(0x1000, 0x2000, 0, 20).unwrap();
        assert_eq!(
            vmm.map(0x2000, 0x1000, 0, 20),
            Err(Status::ERROR_ALREADY_MAPPED)
        );
        assert_eq!(vmm.accessible(0x1800), None);
        vmm.set_access(0x1000, 0x2000, READ_WRITE).unwrap();
        assert_eq!(vmm.accessible(0x1800), Some((0x1000, 0x3000)));
        assert_eq!(vmm.release(20), Ok((true, 0)));
        assert_eq!(vmm.unreserve(0x1000, 0x4000), Err(BAD));
        assert_eq!(vmm.unmap(0x1000, 0x1000), Err(BAD));
        assert_eq!(
            vmm.unmap(0x1000, 0x2000),
            Ok((vec![(0x1000, 0x2000)], 0x2000))
        );
        vmm.unreserve(0x1000, 0x4000).unwrap();
        assert!(!vmm.knows(20));
    }

    #[test]
    fn neighbours_are_one_range() {
        let mut vmm = Vmm::default();
        vmm.reserved(0, 0x4000);
        vmm.created(20, 0x1000);
        vmm.created(21, 0x1000);
        vmm.map(0, 0x1000, 0, 20).unwrap();
        vmm.map(0x1000, 0x1000, 0, 21).unwrap();
        vmm.set_access(0, 0x2000, READ_WRITE).unwrap();
        assert_eq!(vmm.accessible(0x10), Some((0, 0x2000)));
        assert_eq!(vmm.retain_at(0x1fff), Ok(21));
        assert_eq!(vmm.release(21), Ok((false, 0)));
    }
}
