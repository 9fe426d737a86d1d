//! Memory pools: what is allocated from each, and its settings. What a pool keeps, the allocator knows.

use std::collections::BTreeMap;

use rgpu_proto::status::Status;

use crate::allocator::Held;

/// A pool.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Pool {
    /// Its device's ordinal.
    pub(crate) device: u32,
    /// `REUSE_FOLLOW_EVENT_DEPENDENCIES`, `REUSE_ALLOW_OPPORTUNISTIC`, `REUSE_ALLOW_INTERNAL_DEPENDENCIES`.
    reuse: [i32; 3],
    used: u64,
    used_high: u64,
}

/// All pools.
#[derive(Debug)]
pub(crate) struct Pools {
    pools: BTreeMap<u32, Pool>,
    defaults: Vec<u32>,
    current: Vec<u32>,
}

/// A value of `CUmemPool_attribute`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PoolValue {
    /// A C `int`.
    Int(i32),
    /// A `cuuint64_t`.
    Long(u64),
}

/// The attributes by number: the reuse policies, then these.
const THRESHOLD: u32 = 4;
const RESERVED: u32 = 5;
const RESERVED_HIGH: u32 = 6;
const USED: u32 = 7;
const USED_HIGH: u32 = 8;

impl Pools {
    /// One default pool for each device.
    pub(crate) fn new(defaults: Vec<u32>) -> Self {
        let pools = defaults
            .iter()
            .zip(0..)
            .map(|(id, device)| (*id, Pool::new(device)))
            .collect();
        Self {
            pools,
            current: defaults.clone(),
            defaults,
        }
    }

    /// The default pools.
    pub(crate) fn defaults(&self) -> &[u32] {
        &self.defaults
    }

    /// Whether there is such a pool.
    pub(crate) fn exists(&self, id: u32) -> bool {
        self.pools.contains_key(&id)
    }

    /// A pool.
    pub(crate) fn get(&self, id: u32) -> Result<&Pool, Status> {
        self.pools.get(&id).ok_or(Status::ERROR_INVALID_VALUE)
    }

    /// The default pool of a device.
    pub(crate) fn default_of(&self, device: usize) -> Result<u32, Status> {
        self.defaults
            .get(device)
            .copied()
            .ok_or(Status::ERROR_INVALID_DEVICE)
    }

    /// The pool that a device allocates from.
    pub(crate) fn current_of(&self, device: usize) -> Result<u32, Status> {
        self.current
            .get(device)
            .copied()
            .ok_or(Status::ERROR_INVALID_DEVICE)
    }

    /// Makes a device allocate from a pool of its own.
    pub(crate) fn set_current(&mut self, device: usize, id: u32) -> Result<(), Status> {
        if self.get(id)?.device as usize != device {
            return Err(Status::ERROR_INVALID_VALUE);
        }
        *self
            .current
            .get_mut(device)
            .ok_or(Status::ERROR_INVALID_DEVICE)? = id;
        Ok(())
    }

    /// Adds a pool.
    pub(crate) fn add(&mut self, id: u32, device: u32) {
        self.pools.insert(id, Pool::new(device));
    }

    /// Destroys a pool; the default one cannot be. Its device goes back to the default pool.
    pub(crate) fn remove(&mut self, id: u32) -> Result<(), Status> {
        if self.defaults.contains(&id) || self.pools.remove(&id).is_none() {
            return Err(Status::ERROR_INVALID_VALUE);
        }
        for (current, default) in self.current.iter_mut().zip(&self.defaults) {
            if *current == id {
                *current = *default;
            }
        }
        Ok(())
    }

    /// Counts an allocation.
    pub(crate) fn allocated(&mut self, id: u32, bytes: u64) {
        if let Some(pool) = self.pools.get_mut(&id) {
            pool.used += bytes;
            pool.used_high = pool.used_high.max(pool.used);
        }
    }

    /// Counts a free; the pool may be gone.
    pub(crate) fn freed(&mut self, id: u32, bytes: u64) {
        if let Some(pool) = self.pools.get_mut(&id) {
            pool.used = pool.used.saturating_sub(bytes);
        }
    }

    /// The value of an attribute of a pool that holds this.
    pub(crate) fn attribute(&self, id: u32, which: u32, held: &Held) -> Result<PoolValue, Status> {
        let pool = self.get(id)?;
        Ok(match which {
            1..=3 => PoolValue::Int(pool.reuse[which as usize - 1]),
            THRESHOLD => PoolValue::Long(held.threshold),
            RESERVED => PoolValue::Long(held.reserved),
            RESERVED_HIGH => PoolValue::Long(held.high),
            USED => PoolValue::Long(pool.used),
            USED_HIGH => PoolValue::Long(pool.used_high),
            _ => return Err(Status::ERROR_INVALID_VALUE),
        })
    }

    /// Whether an attribute is a C `int`.
    pub(crate) const fn is_int(which: u32) -> bool {
        which >= 1 && which <= 3
    }

    /// Sets an attribute. High-water marks can be set back to now, by the value 0.
    pub(crate) fn set(
        &mut self,
        id: u32,
        which: u32,
        value: PoolValue,
        held: &mut Held,
    ) -> Result<(), Status> {
        let pool = self.pools.get_mut(&id).ok_or(Status::ERROR_INVALID_VALUE)?;
        match (which, value) {
            (1..=3, PoolValue::Int(value @ 0..=1)) => pool.reuse[which as usize - 1] = value,
            (THRESHOLD, PoolValue::Long(value)) => held.threshold = value,
            (RESERVED_HIGH, PoolValue::Long(0)) => held.high = held.reserved,
            (USED_HIGH, PoolValue::Long(0)) => pool.used_high = pool.used,
            _ => return Err(Status::ERROR_INVALID_VALUE),
        }
        Ok(())
    }
}

impl Pool {
    fn new(device: u32) -> Self {
        Self {
            device,
            reuse: [1; 3],
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pools_count_and_fall_back() {
        let mut pools = Pools::new(vec![16]);
        pools.add(20, 0);
        pools.set_current(0, 20).unwrap();
        pools.allocated(20, 100);
        pools.freed(20, 60);
        let mut held = Held {
            threshold: 0,
            most: u64::MAX,
            reserved: 512,
            high: 1024,
        };
        let long = |pools: &Pools, which, held: &Held| pools.attribute(20, which, held);
        assert_eq!(long(&pools, USED, &held), Ok(PoolValue::Long(40)));
        assert_eq!(long(&pools, USED_HIGH, &held), Ok(PoolValue::Long(100)));
        assert_eq!(long(&pools, RESERVED, &held), Ok(PoolValue::Long(512)));
        assert_eq!(
            long(&pools, RESERVED_HIGH, &held),
            Ok(PoolValue::Long(1024))
        );
        let now = PoolValue::Long(0);
        pools.set(20, USED_HIGH, now, &mut held).unwrap();
        pools.set(20, RESERVED_HIGH, now, &mut held).unwrap();
        assert_eq!(long(&pools, USED_HIGH, &held), Ok(PoolValue::Long(40)));
        assert_eq!(long(&pools, RESERVED_HIGH, &held), Ok(PoolValue::Long(512)));
        assert!(pools.set(20, USED, now, &mut held).is_err());
        pools.remove(20).unwrap();
        assert_eq!(pools.current_of(0), Ok(16));
        assert!(pools.remove(16).is_err() && pools.remove(20).is_err());
    }
}
