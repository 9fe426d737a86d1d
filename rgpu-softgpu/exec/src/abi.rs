//! The contract between compiled kernels (`rgpu-softgpu-jit`) and the code that runs them (this crate).
//!
//! A kernel is one function that runs one thread from start to end. It reads who it is and where its
//! memory lies from a [`ThreadContext`] and calls the library functions of [`crate::libcalls`] where
//! threads meet or where the host is needed.

use std::ffi::c_void;

/// First address of the device window. The window is reserved `PROT_NONE`, so that a host load from a
/// device pointer faults as it does with a real card; its bytes live at `+ ThreadContext::global_delta`.
pub const DEVICE_WINDOW_BASE: u64 = 0x2000_0000_0000;
/// Length of the device window in bytes.
pub const DEVICE_WINDOW_SIZE: u64 = 1 << 40;
/// Generic address of byte 0 of a block's shared memory.
pub const SHARED_WINDOW_BASE: u64 = 0x1000_0000_0000;
/// Generic address of byte 0 of a thread's local memory.
pub const LOCAL_WINDOW_BASE: u64 = 0x1100_0000_0000;
/// Generic address of byte 0 of a kernel's parameters.
pub const PARAM_WINDOW_BASE: u64 = 0x1200_0000_0000;
/// Length of each of the three windows above; offsets inside them fit 32 bits.
pub const SMALL_WINDOW_SIZE: u64 = 1 << 32;
/// Threads of a warp.
pub const WARP_SIZE: u32 = 32;

/// What a compiled kernel knows of its thread. Compiled code reads fields by `offset_of!`.
#[repr(C)]
#[derive(Debug)]
pub struct ThreadContext {
    /// `%tid`.
    pub tid: [u32; 3],
    /// `%ntid`.
    pub ntid: [u32; 3],
    /// `%ctaid`.
    pub ctaid: [u32; 3],
    /// `%nctaid`.
    pub nctaid: [u32; 3],
    /// `%laneid`.
    pub laneid: u32,
    /// `%warpid`.
    pub warpid: u32,
    /// `%smid`.
    pub smid: u32,
    /// Low half of `%gridid`.
    pub gridid: u32,
    /// Kernel parameters, laid out as PTX says; read-only.
    pub params: *const u8,
    /// Bytes at `params`.
    pub params_size: u64,
    /// The block's shared memory: static variables first, then dynamic.
    pub shared: *mut u8,
    /// Bytes at `shared`, static and dynamic.
    pub shared_size: u64,
    /// The thread's local memory (`.local` variables and `alloca`).
    pub local: *mut u8,
    /// Bytes at `local`.
    pub local_size: u64,
    /// Bytes of `local` in use; `alloca` and `.func` frames move it.
    pub local_top: u64,
    /// Host address of a device byte minus its device address (wrapping).
    pub global_delta: u64,
    /// Bytes of dynamic shared memory (`%dynamic_smem_size`).
    pub dynamic_shared_size: u64,
    /// The runtime's own state of this thread; opaque to compiled code.
    pub runtime: *mut c_void,
    /// `%nsmid`.
    pub nsmid: u32,
    /// Device address of the memory through which the blocks of a cooperative grid meet, else 0. `%envreg1` is its
    /// high half, `%envreg2` its low one: that is where NVIDIA's cooperative groups look for it.
    pub grid_workspace: u64,
}

/// A compiled kernel. Returns when the thread exits.
pub type KernelFn = unsafe extern "C" fn(*mut ThreadContext);

/// A compiled kernel and what the executor must know of it.
#[derive(Debug, Clone)]
pub struct Kernel {
    /// Name as in PTX, for messages.
    pub name: String,
    /// Entry point; valid for as long as `code` lives.
    pub entry: KernelFn,
    /// Keeps the machine code mapped.
    pub code: std::sync::Arc<dyn Code>,
    /// Threads may wait for each other (barrier, warp operation, or a loop that polls memory): each needs
    /// a stack of its own. Otherwise the threads of a block run one after another as a plain loop.
    pub threads_meet: bool,
    /// One call of `entry` runs a whole row of threads: those of `tid` (0, y, z) to (`ntid` x - 1, y, z). It sets
    /// `tid[0]` itself, and needs no `laneid` and `warpid`. Only where threads do not meet.
    pub runs_rows: bool,
    /// Bytes of static shared memory.
    pub static_shared: u32,
    /// Bytes of local memory per thread.
    pub local_size: u32,
    /// Bytes of parameters.
    pub params_size: u32,
}

/// Owner of executable memory.
pub trait Code: Send + Sync + std::fmt::Debug {}

/// Why a kernel stopped before its end. The number crosses from compiled code, so it is a plain `u32`
/// there ([`Trap::code`], [`Trap::from_code`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trap {
    /// Access outside any allocation: `CUDA_ERROR_ILLEGAL_ADDRESS`.
    IllegalAddress,
    /// Access not aligned to its width: `CUDA_ERROR_MISALIGNED_ADDRESS`.
    MisalignedAddress,
    /// `trap`: `CUDA_ERROR_LAUNCH_FAILED`.
    Trap,
    /// Device `assert`: `CUDA_ERROR_ASSERT`.
    Assert,
    /// Stack exhausted: `CUDA_ERROR_HARDWARE_STACK_ERROR`.
    StackOverflow,
    /// Call of something that is not a function: `CUDA_ERROR_INVALID_PC`.
    InvalidPc,
    /// `brkpt` without a debugger, or an instruction that cannot run: `CUDA_ERROR_ILLEGAL_INSTRUCTION`.
    IllegalInstruction,
    /// The launch was cancelled because its context or process is going away.
    Cancelled,
    /// Every thread left in a block waits for one that can never come. A GPU hangs here; this one says so:
    /// `CUDA_ERROR_LAUNCH_FAILED`.
    Deadlock,
}

impl Trap {
    const ALL: [Self; 9] = [
        Self::IllegalAddress,
        Self::MisalignedAddress,
        Self::Trap,
        Self::Assert,
        Self::StackOverflow,
        Self::InvalidPc,
        Self::IllegalInstruction,
        Self::Cancelled,
        Self::Deadlock,
    ];

    /// The number that compiled code passes to `libcalls::trap`.
    pub const fn code(self) -> u32 {
        self as u32
    }

    /// The trap of `code`, if there is one.
    pub fn from_code(code: u32) -> Option<Self> {
        Self::ALL.get(code as usize).copied()
    }
}
