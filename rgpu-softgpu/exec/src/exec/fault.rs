//! Why a launch failed.

use super::signals::SignalFault;
use crate::abi::{ThreadContext, Trap};
use crate::memory::DeviceMemory;

/// What stopped a kernel, and where. The first fault of a launch stops the whole launch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The reason.
    pub trap: Trap,
    /// The kernel's name.
    pub kernel: String,
    /// `blockIdx`.
    pub block: [u32; 3],
    /// `threadIdx`.
    pub thread: [u32; 3],
    /// The device address accessed, if that was the reason and it is known.
    pub address: Option<u64>,
}

impl Fault {
    /// A fault of the thread of `context`.
    pub(crate) fn at(
        kernel: &str,
        context: &ThreadContext,
        trap: Trap,
        address: Option<u64>,
    ) -> Self {
        Self {
            trap,
            kernel: kernel.to_owned(),
            block: context.ctaid,
            thread: context.tid,
            address,
        }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            trap,
            kernel,
            block: b,
            thread: t,
            address,
        } = self;
        let reason = match trap {
            Trap::IllegalAddress => "access outside any allocation",
            Trap::MisalignedAddress => "misaligned access",
            Trap::Trap => "trap instruction",
            Trap::Assert => "assertion failed",
            Trap::StackOverflow => "stack exhausted",
            Trap::InvalidPc => "call of something that is not a function",
            Trap::IllegalInstruction => "illegal instruction",
            Trap::Cancelled => "cancelled",
            Trap::Deadlock => {
                "deadlock: every thread left in the block waits at a barrier or warp operation for one that cannot come"
            }
        };
        write!(
            f,
            "kernel {kernel}, block [{},{},{}], thread [{},{},{}]: {reason}",
            b[0], b[1], b[2], t[0], t[1], t[2]
        )?;
        match address {
            Some(address) => write!(f, " at {address:#x}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Fault {}

/// What a signal means to the program.
pub(crate) fn from_signal(signal: &SignalFault, memory: &DeviceMemory) -> (Trap, Option<u64>) {
    if signal.in_guard {
        return (Trap::StackOverflow, None);
    }
    match signal.signal {
        libc::SIGSEGV | libc::SIGBUS if signal.address == Some(signal.pc) => {
            (Trap::InvalidPc, None)
        }
        libc::SIGSEGV | libc::SIGBUS => {
            let address = signal
                .address
                .map(|host| memory.device_address(host as u64).unwrap_or(host as u64));
            (Trap::IllegalAddress, address)
        }
        _ => (Trap::IllegalInstruction, None),
    }
}
