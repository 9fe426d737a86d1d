//! The contract between compiled kernels (`rgpu-softgpu-jit`) and the code that runs them (this crate).
//!
//! A kernel is one function that runs one thread from start to end. It reads who it is and where its
//! memory lies from a [`ThreadContext`] and calls the library functions of [`crate::libcalls`] where
//! threads meet or where the host is needed.

use std::ffi::c_void;

use serde::{Deserialize, Serialize};

/// First address of the device window. The window is reserved `PROT_NONE`, so that a host load from a
/// device pointer faults as it does with a real card; its bytes live at `+ ThreadContext::global_delta`.
pub const DEVICE_WINDOW_BASE: u64 = 0x2000_0000_0000;
/// Length of the device window in bytes.
pub const DEVICE_WINDOW_SIZE: u64 = 1 << 40;
/// Bytes on both sides of the device window that are never accessible, where compiled code may reach without a check.
pub const WINDOW_GUARD: u64 = 1 << 40;
/// The same around a block's shared memory: a 32-bit number and 16 MiB.
pub const SHARED_GUARD: u64 = (1 << 31) + (1 << 24);
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
    /// The frames of a block's threads, in a kernel entered by [`Entry::Block`].
    pub frames: *mut u8,
}

/// A compiled kernel. Returns when the thread exits.
pub type KernelFn = unsafe extern "C" fn(*mut ThreadContext);

/// Distance in bytes of the contexts of two threads of a block, in a kernel entered by [`TurnFn`].
pub const CONTEXT_STRIDE: usize = crate::exec::CONTEXT_STRIDE;
/// What [`Turns::sites`] holds for a thread that has not started.
pub const SITE_START: u32 = 0;
/// What [`Turns::sites`] holds for a thread that has ended.
pub const SITE_EXITED: u32 = u32::MAX;
/// What a [`TurnFn`] returns if the threads stopped at different sites.
pub const SITES_DIFFER: u32 = u32::MAX - 1;
/// Where a frame holds the arguments of the library function that the thread stopped at, as up to five 64-bit
/// words, without the context.
pub const FRAME_ARGUMENTS: usize = 0;
/// Where a frame holds the result of that function, which the thread reads when it goes on.
pub const FRAME_RESULT: usize = 40;
/// Where a frame holds what the kernel itself keeps in it. Frames are aligned to 16 bytes.
pub const FRAME_REGISTERS: usize = 48;

/// Which threads of a block go on, for one call of a [`TurnFn`]. Compiled code reads fields by `offset_of!`.
#[repr(C)]
#[derive(Debug)]
pub struct Turns {
    /// Numbers of the threads in their block.
    pub list: *const u16,
    /// Length of `list`.
    pub count: u64,
    /// The thread that runs; written by compiled code, read when it faults.
    pub current: u64,
    /// The context of thread 0; the others follow, [`CONTEXT_STRIDE`] apart.
    pub contexts: *mut ThreadContext,
    /// The frame of thread 0; the others follow, [`Resumable::frame_size`] apart.
    pub frames: *mut u8,
    /// For each thread of the block where it goes on: the number of a site, or [`SITE_START`].
    pub sites: *mut u32,
}

/// A compiled kernel that runs several threads in turn, each until it meets others or ends. Returns the site at which
/// all of them stopped, [`SITE_EXITED`] if all have ended, or [`SITES_DIFFER`].
pub type TurnFn = unsafe extern "C" fn(*mut Turns) -> u32;

/// A library function at which a thread of a resumable kernel stops, instead of calling it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Meet {
    /// `bar_sync`.
    BarSync,
    /// `bar_sync` of barrier 0 and all threads.
    BarSyncAll,
    /// `bar_arrive`.
    BarArrive,
    /// `bar_red`.
    BarRed,
    /// `bar_warp_sync`.
    WarpSync,
    /// `shfl_sync`.
    Shfl,
    /// `vote_sync`.
    Vote,
    /// `match_any_sync`.
    MatchAny,
    /// `match_all_sync`.
    MatchAll,
    /// `redux_sync`.
    Redux,
    /// `elect_sync`.
    Elect,
    /// `activemask`.
    Activemask,
    /// `yield_`.
    Yield,
    /// `nanosleep`.
    Nanosleep,
}

impl Meet {
    /// What stopping in place of a library function means; `None` for those that are called.
    pub fn in_place_of(libcall: &str) -> Option<Self> {
        Some(match libcall {
            "bar_sync" => Self::BarSync,
            "bar_arrive" => Self::BarArrive,
            "bar_red" => Self::BarRed,
            "bar_warp_sync" => Self::WarpSync,
            "shfl_sync" => Self::Shfl,
            "vote_sync" => Self::Vote,
            "match_any_sync" => Self::MatchAny,
            "match_all_sync" => Self::MatchAll,
            "redux_sync" => Self::Redux,
            "elect_sync" => Self::Elect,
            "activemask" => Self::Activemask,
            "yield_" => Self::Yield,
            "nanosleep" => Self::Nanosleep,
            _ => return None,
        })
    }

    /// Whether it concerns the threads of one warp only, or none but the thread itself.
    pub fn is_within_warp(self) -> bool {
        !matches!(
            self,
            Self::BarSync | Self::BarSyncAll | Self::BarArrive | Self::BarRed
        )
    }
}

/// What the executor must know of a kernel that is entered by [`TurnFn`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resumable {
    /// Bytes that a thread keeps while it is stopped, a multiple of 16.
    pub frame_size: u32,
    /// The sites; the first has number 1.
    pub sites: Vec<Meet>,
}

impl Resumable {
    /// What a thread does at a site.
    pub fn meet(&self, site: u32) -> Option<Meet> {
        let index = usize::try_from(site.checked_sub(1)?).ok()?;
        self.sites.get(index).copied()
    }
}

/// What the executor must know of a kernel that is entered by [`Entry::Block`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Together {
    /// Threads of a row that run together.
    pub lanes: u32,
    /// Bytes that a thread keeps from barrier to barrier.
    pub frame_size: u32,
}

impl Together {
    /// Bytes of the frames of a block with these dimensions: those of `lanes` threads together, row by row.
    pub fn frames_size(&self, block: [u32; 3]) -> usize {
        let groups = block[0].div_ceil(self.lanes) as usize * block[1] as usize * block[2] as usize;
        groups * self.lanes as usize * self.frame_size as usize
    }
}

/// How a kernel is entered.
#[derive(Debug, Clone)]
pub enum Entry {
    /// Runs one thread. Threads never wait for each other.
    Thread(KernelFn),
    /// Runs some threads until each waits for others or ends.
    Turns(TurnFn, std::sync::Arc<Resumable>),
    /// Runs one thread, which may wait for others in the middle of any function and needs a stack of its own.
    Stack(KernelFn),
    /// Runs all threads of a block, from barrier to barrier. It sets `tid` itself.
    Block(KernelFn, Together),
}

impl Entry {
    /// Whether threads may wait for each other: at a barrier, a warp operation, or in a loop that polls memory.
    pub fn threads_meet(&self) -> bool {
        matches!(self, Self::Turns(..) | Self::Stack(_))
    }
}

/// A compiled kernel and what the executor must know of it.
#[derive(Debug, Clone)]
pub struct Kernel {
    /// Name as in PTX, for messages.
    pub name: String,
    /// Entry point; valid for as long as `code` lives.
    pub entry: Entry,
    /// Keeps the machine code mapped.
    pub code: std::sync::Arc<dyn Code>,
    /// What the code takes for granted of its parameters.
    pub assumed: Vec<Assumed>,
    /// Bytes of static shared memory.
    pub static_shared: u32,
    /// Bytes of local memory per thread.
    pub local_size: u32,
    /// Bytes of parameters.
    pub params_size: u32,
}

/// A parameter that points into the device window. An access through it may go astray, but no further than
/// [`WINDOW_GUARD`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assumed {
    /// Where its 8 bytes lie in the parameter buffer.
    pub offset: u32,
    /// What it must be a multiple of, a power of two.
    pub align: u32,
}

impl Kernel {
    /// Whether the code may run with these parameters.
    pub fn accepts(&self, params: &[u8]) -> bool {
        let window = DEVICE_WINDOW_BASE..DEVICE_WINDOW_BASE + DEVICE_WINDOW_SIZE;
        self.assumed.iter().all(|assumed| {
            let at = assumed.offset as usize;
            let bytes = params.get(at..).and_then(|rest| rest.first_chunk::<8>());
            bytes.is_some_and(|bytes| {
                let pointer = u64::from_le_bytes(*bytes);
                window.contains(&pointer) && pointer.is_multiple_of(u64::from(assumed.align))
            })
        })
    }
}

/// Owner of executable memory.
pub trait Code: Send + Sync + std::fmt::Debug {
    /// Whether this is an address of an instruction compiled from PTX, at which a thread can be stopped for ever. A
    /// signal handler asks: no locks, no allocation.
    fn contains(&self, address: usize) -> bool;

    /// For which thread of a group the instruction at an address runs; 0 is the one that `tid` names. For kernels
    /// entered by [`Entry::Block`].
    fn lane_of(&self, _address: usize) -> u32 {
        0
    }
}

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
