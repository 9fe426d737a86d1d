//! `CUlimit`.

use std::sync::atomic::{AtomicU64, Ordering};

use super::Context;
use crate::status::{Result, Status, UNSUPPORTED_LIMIT};

const STACK_SIZE: u32 = 0;
const PRINTF_FIFO_SIZE: u32 = 1;
const MALLOC_HEAP_SIZE: u32 = 2;
const DEV_RUNTIME_SYNC_DEPTH: u32 = 3;
const DEV_RUNTIME_PENDING_LAUNCH_COUNT: u32 = 4;
const MAX_L2_FETCH_GRANULARITY: u32 = 5;
const PERSISTING_L2_CACHE_SIZE: u32 = 6;
/// `CU_LIMIT_SHMEM_SIZE` and what follows it are of contexts for graphics.
const FIRST_OF_GRAPHICS: u32 = 7;
const LAST_OF_GRAPHICS: u32 = 9;

/// Local memory per thread that a GPU of compute capability 9.0 can give (512 KiB).
const MAX_STACK: u64 = 512 << 10;
const DEFAULT_STACK: u64 = 1 << 10;
const DEFAULT_FIFO: u64 = 1 << 20;
const DEFAULT_PENDING: u64 = 2048;
const DEFAULT_GRANULARITY: u64 = 64;

/// The limits of one context.
#[derive(Debug)]
pub(crate) struct Limits {
    stack: AtomicU64,
    fifo: AtomicU64,
    pending: AtomicU64,
    granularity: AtomicU64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            stack: AtomicU64::new(DEFAULT_STACK),
            fifo: AtomicU64::new(DEFAULT_FIFO),
            pending: AtomicU64::new(DEFAULT_PENDING),
            granularity: AtomicU64::new(DEFAULT_GRANULARITY),
        }
    }
}

impl Limits {
    /// Bytes of stack of a thread, if the program has set it.
    pub(crate) fn own_stack(&self) -> Option<u64> {
        let stack = self.stack.load(Ordering::Relaxed);
        (stack != DEFAULT_STACK).then_some(stack)
    }
}

impl Context {
    /// The value of a limit.
    pub(crate) fn limit(&self, limit: u32) -> Result<u64> {
        let limits = &self.limits;
        let value = match limit {
            STACK_SIZE => &limits.stack,
            PRINTF_FIFO_SIZE => &limits.fifo,
            MALLOC_HEAP_SIZE => return Ok(self.gpu()?.executor.heap().limit()),
            DEV_RUNTIME_PENDING_LAUNCH_COUNT => &limits.pending,
            MAX_L2_FETCH_GRANULARITY => &limits.granularity,
            // No part of the cache can be set aside.
            PERSISTING_L2_CACHE_SIZE => return Ok(0),
            DEV_RUNTIME_SYNC_DEPTH | FIRST_OF_GRAPHICS..=LAST_OF_GRAPHICS => {
                return Err(UNSUPPORTED_LIMIT);
            }
            _ => return Err(Status::ERROR_INVALID_VALUE),
        };
        Ok(value.load(Ordering::Relaxed))
    }

    /// Sets a limit; values out of range are clamped where CUDA does so.
    pub(crate) fn set_limit(&self, limit: u32, value: u64) -> Result {
        let limits = &self.limits;
        match limit {
            STACK_SIZE if value > MAX_STACK => return Err(Status::ERROR_INVALID_VALUE),
            STACK_SIZE => limits.stack.store(value, Ordering::Relaxed),
            PRINTF_FIFO_SIZE => limits.fifo.store(value, Ordering::Relaxed),
            MALLOC_HEAP_SIZE => {
                let set = self.gpu()?.executor.heap().set_limit(value);
                set.map_err(|_| Status::ERROR_INVALID_VALUE)?;
            }
            DEV_RUNTIME_PENDING_LAUNCH_COUNT => limits.pending.store(value, Ordering::Relaxed),
            MAX_L2_FETCH_GRANULARITY if value > 128 => return Err(Status::ERROR_INVALID_VALUE),
            MAX_L2_FETCH_GRANULARITY => limits.granularity.store(value, Ordering::Relaxed),
            PERSISTING_L2_CACHE_SIZE
            | DEV_RUNTIME_SYNC_DEPTH
            | FIRST_OF_GRAPHICS..=LAST_OF_GRAPHICS => return Err(UNSUPPORTED_LIMIT),
            _ => return Err(Status::ERROR_INVALID_VALUE),
        }
        Ok(())
    }

    /// Sets all limits back, for a context that starts afresh.
    pub(super) fn reset_limits(&self) {
        let limits = &self.limits;
        limits.stack.store(DEFAULT_STACK, Ordering::Relaxed);
        limits.fifo.store(DEFAULT_FIFO, Ordering::Relaxed);
        limits.pending.store(DEFAULT_PENDING, Ordering::Relaxed);
        limits
            .granularity
            .store(DEFAULT_GRANULARITY, Ordering::Relaxed);
    }
}
