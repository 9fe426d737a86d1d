//! How a call of a library becomes work in a stream.
//!
//! A call checks its arguments, looks the extents of its pointers up in the driver ([`Span::new`]), and puts a closure
//! into its stream ([`Stream::enqueue`]), as a host function of the driver. Its turn come, the closure runs on the
//! threads of [`crate::cpu`]; the driver's own thread waits for it. What the closure finds wrong then (a pointer in an
//! array of pointers, say) can no longer be returned: it is logged.

use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;

use libloading::os::unix::{Library, RTLD_NOW, Symbol};
use rgpu_driver_abi::own;

use crate::cpu;

/// Why work could not be put into a stream, or did not run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// There is no `libcuda.so.1`, or not one with the calls that are needed.
    #[error("this process has no CUDA driver")]
    NoDriver,
    /// The driver's own code.
    #[error("the driver answers {0}")]
    Driver(u32),
    /// Memory that a call would touch is not allocated.
    #[error("{bytes} bytes at {address:#x} are not all memory of the device")]
    Extent {
        /// Where it starts.
        address: usize,
        /// How much it is.
        bytes: usize,
    },
    /// A pointer is not a multiple of its element's size.
    #[error("the address {address:#x} is not aligned")]
    Alignment {
        /// The pointer.
        address: usize,
    },
}

/// What a call returns.
pub type Result<T = ()> = std::result::Result<T, Error>;

type Handle = *mut c_void;
type HostFunction = unsafe extern "C" fn(*mut c_void);

/// The driver's functions that this crate needs.
pub(crate) struct Driver {
    context_current: Symbol<unsafe extern "C" fn(*mut Handle) -> u32>,
    init: Symbol<unsafe extern "C" fn(u32) -> u32>,
    primary: Symbol<unsafe extern "C" fn(*mut Handle, i32) -> u32>,
    context_set: Symbol<unsafe extern "C" fn(Handle) -> u32>,
    launch_host: Symbol<unsafe extern "C" fn(Handle, HostFunction, *mut c_void) -> u32>,
    synchronise: Symbol<unsafe extern "C" fn(Handle) -> u32>,
    range: Symbol<unsafe extern "C" fn(*mut u64, *mut usize, u64) -> u32>,
    attribute: Symbol<unsafe extern "C" fn(*mut c_void, u32, u64) -> u32>,
    pub(crate) copy: Symbol<unsafe extern "C" fn(*const c_void) -> u32>,
    pub(crate) copy_later: Symbol<unsafe extern "C" fn(*const c_void, Handle) -> u32>,
    _library: Library,
}

impl Driver {
    fn load() -> Option<Self> {
        // SAFETY: the program uses this library already; its initialisers have run.
        let library = unsafe { Library::open(Some("libcuda.so.1"), RTLD_NOW) }.ok()?;
        // SAFETY: the types are those of the functions in CUDA's documentation.
        unsafe {
            Some(Self {
                context_current: library.get(b"cuCtxGetCurrent\0").ok()?,
                init: library.get(b"cuInit\0").ok()?,
                primary: library.get(b"cuDevicePrimaryCtxRetain\0").ok()?,
                context_set: library.get(b"cuCtxSetCurrent\0").ok()?,
                launch_host: library.get(b"cuLaunchHostFunc\0").ok()?,
                synchronise: library.get(b"cuStreamSynchronize\0").ok()?,
                range: library.get(b"cuMemGetAddressRange_v2\0").ok()?,
                attribute: library.get(b"cuPointerGetAttribute\0").ok()?,
                copy: library.get(b"cuMemcpy2DUnaligned_v2\0").ok()?,
                copy_later: library.get(b"cuMemcpy2DAsync_v2\0").ok()?,
                _library: library,
            })
        }
    }
}

pub(crate) fn driver() -> Result<&'static Driver> {
    static DRIVER: OnceLock<Option<Driver>> = OnceLock::new();
    let driver = DRIVER.get_or_init(Driver::load).as_ref();
    driver.ok_or(Error::NoDriver)
}

pub(crate) fn check(code: u32) -> Result {
    match code {
        0 => Ok(()),
        code => Err(Error::Driver(code)),
    }
}

/// A context of the driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Context(Handle);

// SAFETY: handles of contexts may be used from any thread.
unsafe impl Send for Context {}
// SAFETY: as above.
unsafe impl Sync for Context {}

impl Context {
    /// The calling thread's.
    pub fn current() -> Result<Self> {
        let mut handle = std::ptr::null_mut();
        // SAFETY: the pointer is to a local.
        check(unsafe { (driver()?.context_current)(&raw mut handle) })?;
        match handle.is_null() {
            // CUDA_ERROR_INVALID_CONTEXT.
            true => Err(Error::Driver(201)),
            false => Ok(Self(handle)),
        }
    }

    /// The calling thread's; where it has none, the primary context of the first device becomes it, as in NVIDIA's
    /// runtime.
    pub fn current_or_primary() -> Result<Self> {
        match Self::current() {
            Err(Error::Driver(_)) => {}
            known => return known,
        }
        let driver = driver()?;
        let mut handle = std::ptr::null_mut();
        // SAFETY: the pointer is to a local.
        unsafe {
            check((driver.init)(0))?;
            check((driver.primary)(&raw mut handle, 0))?;
            check((driver.context_set)(handle))?;
        }
        Ok(Self(handle))
    }
}

/// A stream: one that the program created, or a default stream (null, `CU_STREAM_LEGACY`, `CU_STREAM_PER_THREAD`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stream(pub *mut c_void);

// SAFETY: handles of streams may be used from any thread.
unsafe impl Send for Stream {}
// SAFETY: as above.
unsafe impl Sync for Stream {}

/// A piece of work on its way through the driver.
struct Job {
    name: &'static str,
    work: Box<dyn FnOnce(&Run) -> Result + Send>,
    run: Run,
}

/// What work may ask for when it runs.
#[derive(Debug)]
pub struct Run {
    context: Context,
}

impl Run {
    /// [`Span::new`], for pointers that are known only now.
    pub fn span<T>(&self, pointer: *const T, len: usize) -> Result<Span<T>> {
        // SAFETY: the handle was current when the work was put into its stream, which keeps its context.
        check(unsafe { (driver()?.context_set)(self.context.0) })?;
        Span::new(pointer, len)
    }
}

impl Stream {
    /// Puts `work` into the stream; `name` says in the log whose it was.
    pub fn enqueue(
        self,
        name: &'static str,
        work: impl FnOnce(&Run) -> Result + Send + 'static,
    ) -> Result {
        let context = Context::current()?;
        let job = Box::new(Job {
            name,
            work: Box::new(work),
            run: Run { context },
        });
        let job = Box::into_raw(job);
        // SAFETY: the function takes what it is given here, once.
        let code = unsafe { (driver()?.launch_host)(self.0, run, job.cast()) };
        if code != 0 {
            // SAFETY: the driver refused it, so nobody else has it.
            drop(unsafe { Box::from_raw(job) });
        }
        check(code)
    }

    /// Waits for all that is in the stream.
    pub fn synchronise(self) -> Result {
        // SAFETY: the driver checks the handle.
        check(unsafe { (driver()?.synchronise)(self.0) })
    }
}

/// The host function of every piece of work.
unsafe extern "C" fn run(job: *mut c_void) {
    // SAFETY: `enqueue` made it, and the driver calls this once.
    let job = unsafe { Box::from_raw(job.cast::<Job>()) };
    let Job { name, work, run } = *job;
    let work = AssertUnwindSafe(move || cpu::compute(move || work(&run)));
    match catch_unwind(work) {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::error!(call = name, %error, "did not run"),
        Err(_) => tracing::error!(call = name, "panicked"),
    }
}

/// Elements in device memory (or page-locked host memory) that the driver has vouched for.
///
/// They stay allocated until the work that uses them has run: freeing memory waits for it. Programs may change them
/// meanwhile from elsewhere, which is a race in the program, as on a GPU.
#[derive(Debug)]
pub struct Span<T> {
    /// In the current device's view, which is where the process finds the bytes.
    pointer: *mut T,
    len: usize,
}

impl<T> Clone for Span<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Span<T> {}

// SAFETY: the elements are memory of the device, which belongs to no thread.
unsafe impl<T: Send> Send for Span<T> {}
// SAFETY: as above.
unsafe impl<T: Sync> Sync for Span<T> {}

impl Driver {
    /// How many bytes there are from `address` to the end of what holds it, and where the process finds them.
    fn look_up(&self, address: usize) -> Option<(usize, usize)> {
        let (mut base, mut size, mut view) = (0u64, 0usize, 0u64);
        // SAFETY: the pointers are to locals of the types that the calls write.
        let codes = unsafe {
            [
                (self.range)(&raw mut base, &raw mut size, address as u64),
                (self.attribute)(
                    (&raw mut view).cast(),
                    own::POINTER_ATTRIBUTE_VIEW,
                    address as u64,
                ),
            ]
        };
        let left = (base as usize + size).checked_sub(address)?;
        (codes == [0, 0] && left > 0).then_some((left, view as usize))
    }
}

impl<T> Span<T> {
    /// `len` elements at the device pointer `pointer`, all of them memory that the current device may access. None need
    /// no memory.
    pub fn new(pointer: *const T, len: usize) -> Result<Self> {
        let address = pointer.addr();
        if len == 0 {
            return Ok(Self {
                pointer: std::ptr::dangling_mut(),
                len,
            });
        }
        let bytes = len.saturating_mul(size_of::<T>());
        let outside = Error::Extent { address, bytes };
        let driver = driver()?;
        let (mut known, view) = driver.look_up(address).ok_or(outside)?;
        // More than one allocation only where mappings follow each other.
        while known < bytes {
            let next = address.checked_add(known).ok_or(outside)?;
            let (more, at) = driver.look_up(next).ok_or(outside)?;
            if at != view.wrapping_add(known) {
                return Err(outside);
            }
            known = known.saturating_add(more);
        }
        match pointer.is_aligned() {
            true => Ok(Self {
                pointer: std::ptr::with_exposed_provenance_mut(view),
                len,
            }),
            false => Err(Error::Alignment { address }),
        }
    }

    /// A part of it.
    ///
    /// # Panics
    /// It is not all inside.
    #[must_use]
    pub fn part(self, from: usize, len: usize) -> Self {
        assert!(from.checked_add(len).is_some_and(|end| end <= self.len));
        Self {
            pointer: self.pointer.wrapping_add(from),
            len,
        }
    }

    /// The first element, where the process finds it.
    pub fn pointer(self) -> *mut T {
        self.pointer
    }

    /// How many there are.
    pub fn len(self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.len == 0
    }
}

/// A scalar argument: known at the call, or read from device memory when the work runs.
#[derive(Debug, Clone, Copy)]
pub enum Scalar<T> {
    /// Its value.
    Known(T),
    /// Where it is.
    Device(Span<T>),
}

impl<T: Copy> Scalar<T> {
    /// The value; for use when the work runs.
    pub fn get(self) -> T {
        match self {
            Self::Known(value) => value,
            // SAFETY: one aligned element, which the driver has vouched for; made only of types of which any bytes
            // are a value.
            Self::Device(span) => unsafe { span.pointer.read() },
        }
    }
}
