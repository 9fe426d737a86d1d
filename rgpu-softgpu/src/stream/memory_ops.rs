//! Words of memory that a stream writes, or waits for (`cuStreamWriteValue32`, `cuStreamWaitValue32`, …).
//!
//! Kernels, copies and the host may write the word, and nobody tells: a wait looks again and again, ever more seldom, on
//! a thread that has nothing else to do. It ends with its context.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rgpu_softgpu_exec::memory::Access;

use super::Stream;
use crate::driver;
use crate::memory::{Place, Span};
use crate::status::{Result, Status, require};

/// As long as this a wait only gives way to other threads.
const ATTENTIVE: Duration = Duration::from_micros(100);
/// Longest time between two looks.
const LONGEST_PAUSE: Duration = Duration::from_millis(1);
/// `CU_STREAM_WAIT_VALUE_FLUSH`.
const FLUSH: u32 = 1 << 30;
/// `CU_STREAM_WRITE_VALUE_NO_MEMORY_BARRIER`, which the second version of the functions does not take.
const NO_BARRIER: u32 = 1;

/// One operation, as a program asks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MemoryOp {
    Wait(Word, u32),
    Write(Word, u32),
    /// All writes before are visible before any later: so it is, in any stream, here.
    Barrier,
}

/// A word in memory and the value that goes with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Word {
    pub(crate) address: u64,
    pub(crate) value: u64,
    /// 64 bits; otherwise 32.
    pub(crate) wide: bool,
}

/// `CUstreamWaitValue_flags`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Condition {
    Reached,
    Equal,
    And,
    Nor,
}

/// An operation whose memory is held.
enum Ready {
    Wait(Cell, Condition),
    Write(Cell),
}

struct Cell {
    span: Span,
    value: u64,
    wide: bool,
}

impl Cell {
    fn of(word: Word, access: Access) -> Result<Self> {
        let size = if word.wide { 8 } else { 4 };
        require(word.address.is_multiple_of(size))?;
        Ok(Self {
            span: Place::Device(word.address).span(driver::get()?, size, access)?,
            value: word.value,
            wide: word.wide,
        })
    }

    fn load(&self) -> u64 {
        // SAFETY: the span holds an aligned word of this size, which kernels access as atomically.
        unsafe {
            if self.wide {
                (*self.span.host().cast::<AtomicU64>()).load(Ordering::SeqCst)
            } else {
                (*self.span.host().cast::<AtomicU32>())
                    .load(Ordering::SeqCst)
                    .into()
            }
        }
    }

    fn store(&self) {
        // SAFETY: as in `load`.
        unsafe {
            if self.wide {
                (*self.span.host().cast::<AtomicU64>()).store(self.value, Ordering::SeqCst);
            } else {
                (*self.span.host().cast::<AtomicU32>()).store(self.value as u32, Ordering::SeqCst);
            }
        }
    }
}

impl Condition {
    fn of(flags: u32) -> Result<Self> {
        match flags {
            0 => Ok(Self::Reached),
            1 => Ok(Self::Equal),
            2 => Ok(Self::And),
            3 => Ok(Self::Nor),
            // The device does not announce it.
            _ if flags & !(FLUSH | 3) == 0 => Err(Status::ERROR_NOT_SUPPORTED),
            _ => Err(Status::ERROR_INVALID_VALUE),
        }
    }

    fn holds(self, found: u64, value: u64, wide: bool) -> bool {
        let all = if wide { u64::MAX } else { u32::MAX.into() };
        let sign = if wide { 1 << 63 } else { 1 << 31 };
        match self {
            // Cyclic: the difference is not negative.
            Self::Reached => found.wrapping_sub(value) & sign == 0,
            Self::Equal => found == value & all,
            Self::And => found & value != 0,
            Self::Nor => !(found | value) & all != 0,
        }
    }
}

impl Ready {
    fn of(op: MemoryOp) -> Result<Option<Self>> {
        Ok(match op {
            MemoryOp::Wait(word, flags) => {
                let condition = Condition::of(flags)?;
                Some(Self::Wait(Cell::of(word, Access::Read)?, condition))
            }
            MemoryOp::Write(_, NO_BARRIER) => return Err(Status::ERROR_NOT_SUPPORTED),
            MemoryOp::Write(word, flags) => {
                require(flags == 0)?;
                Some(Self::Write(Cell::of(word, Access::ReadWrite)?))
            }
            MemoryOp::Barrier => None,
        })
    }
}

impl Stream {
    /// Puts operations into the stream, all or, if one is impossible, none.
    pub(crate) fn memory_ops(&self, ops: &[MemoryOp]) -> Result {
        let ready = ops.iter().filter_map(|op| Ready::of(*op).transpose());
        let ready: Vec<Ready> = ready.collect::<Result<_>>()?;
        let cancel = self.context().cancel_token();
        self.enqueue(move || {
            for op in &ready {
                match op {
                    Ready::Write(cell) => cell.store(),
                    Ready::Wait(cell, condition) => {
                        let holds = || condition.holds(cell.load(), cell.value, cell.wide);
                        if !wait(holds, || cancel.is_cancelled()) {
                            return Ok(());
                        }
                    }
                }
            }
            Ok(())
        });
        Ok(())
    }
}

/// Waits until `holds`; false if `cancelled` came first.
fn wait(holds: impl Fn() -> bool, cancelled: impl Fn() -> bool) -> bool {
    let since = Instant::now();
    while !holds() {
        if cancelled() {
            return false;
        }
        let waited = since.elapsed();
        if waited < ATTENTIVE {
            std::thread::yield_now();
        } else {
            std::thread::sleep((waited / 16).min(LONGEST_PAUSE));
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_those_of_the_header() {
        let narrow = |flags, found: u32, value: u32| {
            let condition = Condition::of(flags).unwrap();
            condition.holds(found.into(), value.into(), false)
        };
        // (int32_t)(found - value) >= 0.
        assert!(narrow(0, 5, 5) && narrow(0, 6, 5) && !narrow(0, 4, 5));
        assert!(narrow(0, 3, 0xffff_fffe) && !narrow(0, 0xffff_fffe, 3));
        assert!(narrow(1, 7, 7) && !narrow(1, 8, 7));
        assert!(narrow(2, 6, 4) && !narrow(2, 6, 9));
        // ~(found | value) != 0.
        assert!(narrow(3, 1, 2) && !narrow(3, 0xffff_0000, 0x0000_ffff));
        let wide = |flags, found, value| Condition::of(flags).unwrap().holds(found, value, true);
        assert!(!wide(0, 4, 5) && wide(0, 3, u64::MAX - 1));
        assert!(wide(3, 0xffff_0000, 0xffff) && !wide(3, u64::MAX, 0));
        assert_eq!(Condition::of(FLUSH), Err(Status::ERROR_NOT_SUPPORTED));
        assert_eq!(Condition::of(4), Err(Status::ERROR_INVALID_VALUE));
    }
}
