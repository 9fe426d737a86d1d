//! Occupancy: how many blocks of a kernel fit on a multiprocessor of compute capability 9.0 at once (CUDA C++
//! Programming Guide, "Compute Capabilities").

use std::num::NonZeroU32;

use crate::device::limits;
use crate::module::Function;
use crate::status::{Result, require};

/// Registers are handed out to a warp in this many.
const REGISTER_UNIT: u32 = 256;
/// Shared memory is handed out to a block in this many bytes.
const SHARED_UNIT: u64 = 128;

/// What a kernel takes of a multiprocessor.
#[derive(Debug, Clone, Copy)]
struct Need {
    max_threads: u32,
    registers: u32,
    static_shared: u32,
    max_dynamic_shared: u32,
}

impl Need {
    fn of(function: &Function) -> Result<Self> {
        let static_shared = function.static_shared()?;
        Ok(Self {
            max_threads: function.signature().max_threads(),
            registers: function.registers()?,
            static_shared,
            max_dynamic_shared: function.max_dynamic_shared(static_shared),
        })
    }

    /// Blocks of `threads` threads with `dynamic` bytes that fit at once.
    fn blocks(&self, threads: u32, dynamic: u64) -> u32 {
        let Some(warps) = NonZeroU32::new(threads.div_ceil(limits::WARP)) else {
            return 0;
        };
        if threads > self.max_threads || dynamic > u64::from(self.max_dynamic_shared) {
            return 0;
        }
        let by_warps = limits::THREADS_PER_SM / limits::WARP / warps;
        let of_warp = (self.registers * limits::WARP).next_multiple_of(REGISTER_UNIT);
        let by_registers = limits::REGISTERS_PER_SM / of_warp / warps;
        let of_block = u64::from(self.static_shared) + dynamic;
        let of_block =
            of_block.next_multiple_of(SHARED_UNIT) + u64::from(limits::SHARED_RESERVED_PER_BLOCK);
        let by_shared = u64::from(limits::SHARED_PER_SM) / of_block;
        limits::BLOCKS_PER_SM
            .min(by_warps)
            .min(by_registers)
            .min(u32::try_from(by_shared).unwrap_or(u32::MAX))
    }

    /// Most dynamic shared memory with which `blocks` blocks of `threads` threads fit at once.
    fn available_dynamic(&self, blocks: u32, threads: u32) -> Option<u32> {
        if blocks == 0 || self.blocks(threads, 0) < blocks {
            return None;
        }
        let of_block = limits::SHARED_PER_SM / blocks / SHARED_UNIT as u32 * SHARED_UNIT as u32;
        let room = of_block
            .checked_sub(limits::SHARED_RESERVED_PER_BLOCK)?
            .min(limits::SHARED_PER_BLOCK_OPTIN);
        room.checked_sub(self.static_shared)
    }

    /// The block size up to `limit` that keeps most threads on a multiprocessor, the largest of equals, and the
    /// blocks that fit.
    fn best(&self, limit: u32, dynamic: impl Fn(u32) -> u64) -> (u32, u32) {
        let limit = limit.min(self.max_threads);
        let mut best = (0, 0);
        let first = limit.next_multiple_of(limits::WARP);
        for size in (1..=first / limits::WARP)
            .rev()
            .map(|warps| warps * limits::WARP)
        {
            let size = size.min(limit);
            let blocks = self.blocks(size, dynamic(size));
            if blocks * size > best.0 * best.1 {
                best = (size, blocks);
            }
            if best.0 * best.1 == limits::THREADS_PER_SM {
                break;
            }
        }
        best
    }
}

/// Blocks that fit on one multiprocessor.
pub(crate) fn blocks(function: &Function, threads: u32, dynamic: u64) -> Result<u32> {
    require(threads > 0)?;
    Ok(Need::of(function)?.blocks(threads, dynamic))
}

/// Dynamic shared memory that each of `blocks` blocks may have.
pub(crate) fn available_dynamic(function: &Function, blocks: u32, threads: u32) -> Result<u32> {
    let found = Need::of(function)?.available_dynamic(blocks, threads);
    found.ok_or(crate::status::Status::ERROR_INVALID_VALUE)
}

/// The best block size, and the blocks of it that fit on one multiprocessor. A `limit` of 0 is none.
pub(crate) fn best_block(
    function: &Function,
    limit: u32,
    dynamic: impl Fn(u32) -> u64,
) -> Result<(u32, u32)> {
    let limit = if limit == 0 {
        limits::THREADS_PER_BLOCK
    } else {
        limit
    };
    Ok(Need::of(function)?.best(limit, dynamic))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Need = Need {
        max_threads: 1024,
        registers: 32,
        static_shared: 0,
        max_dynamic_shared: 48 << 10,
    };

    #[test]
    fn each_resource_can_be_the_limit() {
        assert_eq!(PLAIN.blocks(1024, 0), 2);
        assert_eq!(PLAIN.blocks(256, 0), 8);
        assert_eq!(PLAIN.blocks(33, 0), 32, "blocks");
        assert_eq!(PLAIN.blocks(96, 0), 21, "warps");
        let many = Need {
            registers: 128,
            ..PLAIN
        };
        assert_eq!(many.blocks(256, 0), 2, "registers");
        // 48 KiB and 1 KiB reserved, of 228 KiB.
        assert_eq!(PLAIN.blocks(128, 48 << 10), 4, "shared memory");
        assert_eq!(PLAIN.blocks(128, (48 << 10) + 1), 0);
        assert_eq!(PLAIN.blocks(1025, 0), 0);
    }

    #[test]
    fn the_largest_block_of_equals_is_best() {
        assert_eq!(PLAIN.best(1024, |_| 0), (1024, 2));
        assert_eq!(PLAIN.best(768, |_| 0), (512, 4));
        assert_eq!(PLAIN.best(100, |_| 0), (64, 32));
        let bounded = Need {
            max_threads: 256,
            ..PLAIN
        };
        assert_eq!(bounded.best(1024, |_| 0), (256, 8));
        // Dynamic memory that grows with the block.
        let (size, blocks) = PLAIN.best(1024, |threads| u64::from(threads) * 256);
        assert!(size * blocks <= (228 << 10) / 256);
    }

    #[test]
    fn what_is_available_fits() {
        let room = PLAIN.available_dynamic(4, 128).unwrap();
        assert_eq!(room, (57 << 10) - (1 << 10));
        let opted = Need {
            max_dynamic_shared: 227 << 10,
            ..PLAIN
        };
        assert_eq!(opted.blocks(128, room.into()), 4);
        assert_eq!(PLAIN.available_dynamic(3, 1024), None);
        assert_eq!(PLAIN.available_dynamic(1, 32), Some(227 << 10));
    }
}
