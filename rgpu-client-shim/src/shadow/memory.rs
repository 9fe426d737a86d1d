//! Device memory and page-locked host memory, under one lock: what an address is.

use std::collections::BTreeMap;

use rgpu_proto::hello::ServerHello;

use super::host::HostMemory;
use super::pools::Pools;
use super::vmm::Vmm;
use crate::allocator::Allocator;
use crate::copy::Lookup;

/// A variable of a module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Global {
    /// Its name.
    pub(crate) name: String,
    /// Bytes.
    pub(crate) size: u64,
    /// The module or library it belongs to.
    pub(crate) owner: u32,
    /// In which context.
    pub(crate) context: u32,
}

/// All memory.
#[derive(Debug)]
pub(crate) struct Memory {
    /// Who lies where in the window.
    pub(crate) allocator: Allocator,
    /// Page-locked memory.
    pub(crate) host: HostMemory,
    /// Reservations and mappings.
    pub(crate) vmm: Vmm,
    /// Pools.
    pub(crate) pools: Pools,
    /// Variables of modules; the driver puts them where it likes.
    globals: BTreeMap<u64, Global>,
    /// The window.
    window: (u64, u64),
    granularity: u64,
    lease: u64,
}

impl Memory {
    /// Nothing allocated. The window is set by [`Self::place`].
    pub(crate) fn new(hello: &ServerHello, pools: Vec<u32>) -> Self {
        let (base, size) = (hello.window_base, hello.window_size);
        let mut allocator = Allocator::new(base, size, hello.granularity, hello.lease);
        pools
            .iter()
            .for_each(|pool| allocator.add_pool(*pool, u64::MAX));
        Self {
            allocator,
            host: HostMemory::default(),
            vmm: Vmm::default(),
            pools: Pools::new(pools),
            globals: BTreeMap::new(),
            window: (base, size),
            granularity: hello.granularity,
            lease: hello.lease,
        }
    }

    /// The window that both sides could reserve.
    pub(crate) fn place(&mut self, base: u64, size: u64) {
        if self.window != (base, size) {
            self.window = (base, size);
            self.allocator = Allocator::new(base, size, self.granularity, self.lease);
            for pool in self.pools.defaults() {
                self.allocator.add_pool(*pool, u64::MAX);
            }
        }
    }

    /// Keeps a variable's place.
    pub(crate) fn add_global(&mut self, address: u64, global: Global) {
        self.globals.insert(address, global);
    }

    /// The variable that holds `address`, with its start.
    pub(crate) fn global_at(&self, address: u64) -> Option<(u64, &Global)> {
        let (&start, global) = self.globals.range(..=address).next_back()?;
        (address - start < global.size).then_some((start, global))
    }

    /// Start and bytes of a variable that was looked up before. It stays where it is as long as its owner does.
    pub(crate) fn global_named(&self, owner: u32, context: u32, name: &str) -> Option<(u64, u64)> {
        self.globals
            .iter()
            .find(|(_, global)| {
                global.owner == owner && global.context == context && global.name == name
            })
            .map(|(at, global)| (*at, global.size))
    }

    /// Forgets the variables of a module or library that is gone.
    pub(crate) fn forget_globals(&mut self, owner: u32) {
        self.globals.retain(|_, global| global.owner != owner);
    }

    /// Forgets all variables of a context that is gone.
    pub(crate) fn forget_context_globals(&mut self, context: u32) {
        self.globals.retain(|_, global| global.context != context);
    }

    /// Whether `address` lies in the window.
    pub(crate) const fn in_window(&self, address: u64) -> bool {
        address >= self.window.0 && address - self.window.0 < self.window.1
    }
}

impl Lookup for Memory {
    fn device_range(&self, address: u64) -> Option<(u64, u64)> {
        if let Some(allocation) = self.allocator.containing(address) {
            return Some((allocation.address, allocation.address + allocation.size));
        }
        self.vmm.accessible(address).or_else(|| {
            self.global_at(address)
                .map(|(start, global)| (start, start + global.size))
        })
    }

    fn could_be_device(&self, address: u64) -> bool {
        self.in_window(address) || self.global_at(address).is_some()
    }
}
