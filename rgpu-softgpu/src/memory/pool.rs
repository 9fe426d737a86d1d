//! Pools and stream-ordered allocation.
//!
//! An allocation is made when it is asked for and freed when its stream gets there. A pool keeps nothing back:
//! what it has reserved is what is in use, and trimming it changes nothing.

use std::ffi::c_void;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rgpu_proto::handle::{self, Id};

use super::owners::Owner;
use crate::context::Context;
use crate::driver;
use crate::handles::Table;
use crate::status::{Result, Status, of_memory, require};
use crate::stream::Stream;

/// A pool.
#[derive(Debug)]
pub(crate) struct Pool {
    handle: Id<handle::Pool>,
    /// `CU_MEMPOOL_ATTR_REUSE_…`: remembered, without effect.
    reuse: [AtomicU32; 3],
    release_threshold: AtomicU64,
    used: AtomicU64,
    used_high: AtomicU64,
}

/// What an allocation takes of its pool; given back when dropped.
#[derive(Debug)]
pub(crate) struct Share {
    pool: Arc<Pool>,
    size: u64,
}

/// The device's default pool, and the one that takes its place.
#[derive(Debug)]
pub(crate) struct Pools {
    default: Arc<Pool>,
    current: Mutex<Arc<Pool>>,
    /// Frees that streams have not got to.
    pending: Arc<AtomicUsize>,
}

impl Pools {
    pub(crate) fn new(pools: &Table<handle::Pool, Pool>) -> Self {
        let default = Pool::enter(pools);
        Self {
            current: Mutex::new(default.clone()),
            default,
            pending: Arc::default(),
        }
    }

    pub(crate) fn default_handle(&self) -> *mut c_void {
        self.default.handle()
    }

    pub(crate) fn current(&self) -> Arc<Pool> {
        self.current
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(crate) fn set_current(&self, pool: Arc<Pool>) {
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = pool;
    }
}

/// Waits for pending frees; whether there were any.
pub(super) fn reclaim(context: &Context) -> bool {
    let Ok(driver) = driver::get() else {
        return false;
    };
    let any = driver.default_pools.pending.load(Ordering::Acquire) > 0;
    if any {
        context.drain();
    }
    any
}

/// Allocates from `pool`, or from the device's current one.
pub(crate) fn allocate_async(size: u64, pool: Option<Arc<Pool>>, stream: &Stream) -> Result<u64> {
    require(size > 0)?;
    let driver = driver::get()?;
    let pool = pool.unwrap_or_else(|| driver.default_pools.current());
    let base = match driver.memory.allocate(size) {
        Err(_) if reclaim(stream.context()) => driver.memory.allocate(size),
        result => result,
    };
    let base = base.map_err(of_memory)?;
    let owner = Owner {
        share: Some(Share::take(pool, size)),
        ..Owner::of(stream.context().id())
    };
    driver.owners.add(base, owner);
    Ok(base)
}

/// Frees an allocation once `stream` has got there.
pub(crate) fn free_async(base: u64, stream: &Stream) -> Result {
    if base == 0 {
        return Ok(());
    }
    let driver = driver::get()?;
    let owner = driver.owners.get(base);
    require(owner.is_some_and(|owner| owner.may_be_freed))?;
    let owner = driver
        .owners
        .remove(base)
        .ok_or(Status::ERROR_INVALID_VALUE)?;
    let pending = driver.default_pools.pending.clone();
    pending.fetch_add(1, Ordering::AcqRel);
    // A poisoned context frees its memory too.
    stream.enqueue_always(move |_| {
        if let Err(error) = driver.memory.release(base) {
            tracing::error!(base, %error, "memory of a pool could not be freed");
        }
        drop(owner);
        pending.fetch_sub(1, Ordering::AcqRel);
    });
    Ok(())
}

impl Share {
    fn take(pool: Arc<Pool>, size: u64) -> Arc<Self> {
        let used = pool.used.fetch_add(size, Ordering::AcqRel) + size;
        pool.used_high.fetch_max(used, Ordering::AcqRel);
        Arc::new(Self { pool, size })
    }

    /// The pool it is of.
    pub(super) fn pool(&self) -> &Pool {
        &self.pool
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.pool.used.fetch_sub(self.size, Ordering::AcqRel);
    }
}

/// What `cuMemPoolGetAttribute` gives: the type depends on the attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Value {
    Int(u32),
    Long(u64),
}

const REUSE_FIRST: u32 = 1;
const REUSE_LAST: u32 = 3;
const RELEASE_THRESHOLD: u32 = 4;
const RESERVED_CURRENT: u32 = 5;
const RESERVED_HIGH: u32 = 6;
const USED_CURRENT: u32 = 7;
const USED_HIGH: u32 = 8;

impl Pool {
    /// A new pool in the table.
    pub(crate) fn enter(pools: &Table<handle::Pool, Self>) -> Arc<Self> {
        let handle = pools.mint();
        let pool = Arc::new(Self {
            handle,
            reuse: [const { AtomicU32::new(1) }; 3],
            release_threshold: AtomicU64::new(0),
            used: AtomicU64::new(0),
            used_high: AtomicU64::new(0),
        });
        pools.insert(handle, pool.clone());
        pool
    }

    pub(crate) fn handle(&self) -> *mut c_void {
        self.handle.to_c()
    }

    /// Whether the attribute is an `int`; the others are 64 bits wide.
    pub(crate) fn is_int(attribute: u32) -> bool {
        (REUSE_FIRST..=REUSE_LAST).contains(&attribute)
    }

    pub(crate) fn attribute(&self, attribute: u32) -> Result<Value> {
        let value = match attribute {
            REUSE_FIRST..=REUSE_LAST => {
                let flag = &self.reuse[(attribute - REUSE_FIRST) as usize];
                return Ok(Value::Int(flag.load(Ordering::Relaxed)));
            }
            RELEASE_THRESHOLD => &self.release_threshold,
            RESERVED_CURRENT | USED_CURRENT => &self.used,
            RESERVED_HIGH | USED_HIGH => &self.used_high,
            _ => return Err(Status::ERROR_INVALID_VALUE),
        };
        Ok(Value::Long(value.load(Ordering::Acquire)))
    }

    pub(crate) fn set_attribute(&self, attribute: u32, value: Value) -> Result {
        match (attribute, value) {
            (REUSE_FIRST..=REUSE_LAST, Value::Int(value)) => {
                let flag = &self.reuse[(attribute - REUSE_FIRST) as usize];
                flag.store(u32::from(value != 0), Ordering::Relaxed);
            }
            (RELEASE_THRESHOLD, Value::Long(value)) => {
                self.release_threshold.store(value, Ordering::Relaxed);
            }
            // A high mark may only be set back, to what is in use now.
            (RESERVED_HIGH | USED_HIGH, Value::Long(0)) => {
                let used = self.used.load(Ordering::Acquire);
                self.used_high.store(used, Ordering::Release);
            }
            _ => return Err(Status::ERROR_INVALID_VALUE),
        }
        Ok(())
    }
}

/// Forgets a pool; its allocations live on.
pub(crate) fn destroy(handle: *mut c_void) -> Result {
    let driver = driver::get()?;
    require(handle != driver.default_pools.default_handle())?;
    let pool = driver.pools.remove(handle)?;
    if Arc::ptr_eq(&driver.default_pools.current(), &pool) {
        let default = driver.default_pools.default.clone();
        driver.default_pools.set_current(default);
    }
    Ok(())
}
