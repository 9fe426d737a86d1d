//! Results inside this crate: a CUDA code is the error.

use rgpu_softgpu_exec::abi::Trap;
use rgpu_softgpu_exec::memory::MemoryError;

pub(crate) use rgpu_proto::status::Status;

/// What every operation returns.
pub(crate) type Result<T = ()> = std::result::Result<T, Status>;

/// `CUDA_ERROR_UNSUPPORTED_LIMIT`.
pub(crate) const UNSUPPORTED_LIMIT: Status = Status(215);

/// `cudaErrorInvalidConfiguration`. NVIDIA's runtime gives the driver's codes on unchanged (docs/cudart-13.md), and
/// documents this one for launches: so the driver must return it to the runtime, though `cuda.h` has no such code.
pub(crate) const INVALID_CONFIGURATION: Status = Status(9);
/// `cudaErrorInvalidDeviceFunction`, likewise, for host functions that are no kernels.
pub(crate) const INVALID_DEVICE_FUNCTION: Status = Status(98);

/// The code for what device memory says.
pub(crate) fn of_memory(error: MemoryError) -> Status {
    match error {
        MemoryError::OutOfMemory => Status::ERROR_OUT_OF_MEMORY,
        MemoryError::NotAllocated | MemoryError::InUse | MemoryError::NoAccess => {
            Status::ERROR_INVALID_VALUE
        }
        MemoryError::Invalid(why) => {
            tracing::debug!(why, "refused");
            Status::ERROR_INVALID_VALUE
        }
        MemoryError::Os(error) if error.raw_os_error() == Some(libc::ENOMEM) => {
            Status::ERROR_OUT_OF_MEMORY
        }
        MemoryError::Os(error) => {
            tracing::error!(%error, "the operating system refused device memory");
            Status::ERROR_OPERATING_SYSTEM
        }
    }
}

/// The code that a stopped kernel leaves in its context.
pub(crate) fn of_trap(trap: Trap) -> Status {
    match trap {
        Trap::IllegalAddress => Status::ERROR_ILLEGAL_ADDRESS,
        Trap::MisalignedAddress => Status::ERROR_MISALIGNED_ADDRESS,
        Trap::Trap | Trap::Cancelled | Trap::Deadlock => Status::ERROR_LAUNCH_FAILED,
        Trap::Assert => Status::ERROR_ASSERT,
        Trap::StackOverflow => Status::ERROR_HARDWARE_STACK_ERROR,
        Trap::InvalidPc => Status::ERROR_INVALID_PC,
        Trap::IllegalInstruction => Status::ERROR_ILLEGAL_INSTRUCTION,
    }
}

/// Refuses with `CUDA_ERROR_INVALID_VALUE` unless `condition` holds.
pub(crate) fn require(condition: bool) -> Result {
    if condition {
        Ok(())
    } else {
        Err(Status::ERROR_INVALID_VALUE)
    }
}
