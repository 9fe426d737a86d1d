//! What the tests share: contexts of their own, checks, kernels in PTX.
#![allow(dead_code, unused_imports, reason = "not every test needs everything")]

use std::ffi::{CString, c_void};
use std::ptr::{null, null_mut};

use rgpu_softgpu::entry::*;

pub(crate) type Handle = *mut c_void;

pub(crate) const SUCCESS: u32 = 0;
pub(crate) const INVALID_VALUE: u32 = 1;
pub(crate) const OUT_OF_MEMORY: u32 = 2;
pub(crate) const NOT_INITIALIZED: u32 = 3;
pub(crate) const INVALID_CONTEXT: u32 = 201;
pub(crate) const NO_BINARY_FOR_GPU: u32 = 209;
pub(crate) const INVALID_PTX: u32 = 218;
pub(crate) const INVALID_HANDLE: u32 = 400;
pub(crate) const NOT_FOUND: u32 = 500;
pub(crate) const NOT_READY: u32 = 600;
pub(crate) const ILLEGAL_ADDRESS: u32 = 700;
pub(crate) const CONTEXT_IS_DESTROYED: u32 = 709;
pub(crate) const COOPERATIVE_LAUNCH_TOO_LARGE: u32 = 720;
pub(crate) const NOT_PERMITTED: u32 = 800;
pub(crate) const NOT_SUPPORTED: u32 = 801;

/// Calls the driver; the code.
macro_rules! cu {
    ($call:expr) => {
        // SAFETY: the test passes valid pointers, or wrong ones that the driver refuses.
        unsafe { $call }
    };
}

/// Calls the driver, which must succeed.
macro_rules! ok {
    ($call:expr) => {
        assert_eq!(cu!($call), 0, "{}", stringify!($call))
    };
}

pub(crate) use {cu, ok};

/// A context of its own, current on this thread until dropped.
pub(crate) struct Context(pub(crate) Handle);

impl Context {
    pub(crate) fn new() -> Self {
        let mut handle = null_mut();
        ok!(cuInit(0));
        ok!(cuCtxCreate_v2(&mut handle, 0, 0));
        Self(handle)
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        cu!(cuCtxDestroy_v2(self.0));
    }
}

/// `add`: adds `value` to each of `n` words. `spin`: waits until the word at its pointer is not 0. `wild`: writes
/// where nothing is. `bounded`: at most 64 threads. `twice`: of 16 bytes of static shared memory.
pub(crate) const PTX: &str = r"
.version 8.0
.target sm_75
.address_size 64

.visible .global .align 4 .u32 counter = 41;
.visible .const .align 4 .b8 table[8] = {1, 2, 3, 4, 5, 6, 7, 8};

.visible .entry add(.param .u64 add_0, .param .u32 add_1, .param .u32 add_2)
{
    .reg .pred %p<2>;
    .reg .b32 %r<8>;
    .reg .b64 %rd<4>;
    ld.param.u64 %rd1, [add_0];
    ld.param.u32 %r1, [add_1];
    ld.param.u32 %r2, [add_2];
    mov.u32 %r3, %ctaid.x;
    mov.u32 %r4, %ntid.x;
    mov.u32 %r5, %tid.x;
    mad.lo.s32 %r6, %r3, %r4, %r5;
    setp.ge.u32 %p1, %r6, %r2;
    @%p1 bra DONE;
    mul.wide.u32 %rd2, %r6, 4;
    add.s64 %rd3, %rd1, %rd2;
    ld.global.u32 %r7, [%rd3];
    add.u32 %r7, %r7, %r1;
    st.global.u32 [%rd3], %r7;
DONE:
    ret;
}

.visible .entry spin(.param .u64 spin_0)
{
    .reg .pred %p<2>;
    .reg .b32 %r<2>;
    .reg .b64 %rd<2>;
    ld.param.u64 %rd1, [spin_0];
AGAIN:
    ld.volatile.global.u32 %r1, [%rd1];
    setp.eq.u32 %p1, %r1, 0;
    @%p1 bra AGAIN;
    ret;
}

.visible .entry wild()
{
    .reg .b32 %r<2>;
    .reg .b64 %rd<2>;
    mov.u64 %rd1, 64;
    mov.u32 %r1, 1;
    st.global.u32 [%rd1], %r1;
    ret;
}

.visible .entry bounded()
.maxntid 64, 1, 1
{
    ret;
}

.visible .entry twice()
{
    .reg .b32 %r<2>;
    .shared .align 4 .b8 room[16];
    mov.u32 %r1, 1;
    st.shared.u32 [room], %r1;
    ret;
}
";

/// Loads a module of [`PTX`].
pub(crate) fn module() -> Handle {
    let text = CString::new(PTX).unwrap();
    let mut module = null_mut();
    ok!(cuModuleLoadData(&mut module, text.as_ptr().cast()));
    module
}

/// A function of a module.
pub(crate) fn function(module: Handle, name: &str) -> Handle {
    let name = CString::new(name).unwrap();
    let mut function = null_mut();
    ok!(cuModuleGetFunction(&mut function, module, name.as_ptr()));
    function
}

/// Allocates `size` bytes of zeros.
pub(crate) fn zeros(size: usize) -> u64 {
    let mut address = 0;
    ok!(cuMemAlloc_v2(&mut address, size));
    ok!(cuMemsetD8_v2(address, 0, size));
    address
}

/// The words at a device address.
pub(crate) fn words(address: u64, count: usize) -> Vec<u32> {
    let mut words = vec![0u32; count];
    ok!(cuMemcpyDtoH_v2(
        words.as_mut_ptr().cast(),
        address,
        count * 4
    ));
    words
}

/// Launches with arguments given as pointers.
pub(crate) fn launch(
    function: Handle,
    blocks: u32,
    threads: u32,
    stream: Handle,
    arguments: &mut [*const c_void],
) -> u32 {
    let arguments: *mut c_void = match arguments {
        [] => null_mut(),
        some => some.as_mut_ptr().cast(),
    };
    cu!(cuLaunchKernel(
        function,
        blocks,
        1,
        1,
        threads,
        1,
        1,
        0,
        stream,
        arguments,
        null_mut()
    ))
}

/// Launches `add` over `count` words.
pub(crate) fn add(function: Handle, address: u64, value: u32, count: u32, stream: Handle) -> u32 {
    let mut arguments = [
        (&raw const address).cast(),
        (&raw const value).cast(),
        (&raw const count).cast(),
    ];
    launch(
        function,
        count.div_ceil(64).max(1),
        64,
        stream,
        &mut arguments,
    )
}

/// A kernel that runs until [`Spin::stop`].
pub(crate) struct Spin {
    flag: u64,
    release: Handle,
}

impl Spin {
    /// Starts it in `stream`.
    pub(crate) fn start(module: Handle, stream: Handle) -> Self {
        let flag = zeros(4);
        // The set must be over before the stream, which may not wait for the legacy one, looks.
        ok!(cuCtxSynchronize());
        let mut release = null_mut();
        ok!(cuStreamCreate(&mut release, 1));
        let mut arguments = [(&raw const flag).cast()];
        assert_eq!(
            launch(function(module, "spin"), 1, 1, stream, &mut arguments),
            0
        );
        Self { flag, release }
    }

    /// Lets it end.
    pub(crate) fn stop(self) {
        ok!(cuMemsetD32Async(self.flag, 1, 1, self.release));
    }
}

/// A stream with these flags.
pub(crate) fn stream(flags: u32) -> Handle {
    let mut stream = null_mut();
    ok!(cuStreamCreate(&mut stream, flags));
    stream
}

/// An event with these flags.
pub(crate) fn event(flags: u32) -> Handle {
    let mut event = null_mut();
    ok!(cuEventCreate(&mut event, flags));
    event
}

pub(crate) fn no_data() -> *const c_void {
    null()
}
