//! What stands in the slots.

use std::ffi::c_void;
use std::mem::size_of;
use std::sync::atomic::AtomicU32;

use super::{
    Backend, CONTEXT_CHECKS, CONTEXT_LOCAL_STORAGE, CTX_CREATE_BYPASS, CUDART_INTERFACE,
    DEVICE_EXTENDED_RT, HEAP_ACCESS, INTEGRITY_CHECK, Slot, TOOLS_RUNTIME_CALLBACK_HOOKS,
    TOOLS_TLS, TableId, Tables, Unknown, report, tables,
};
use crate::integrity::{self, Facts};
use crate::storage::{Destructor, contexts};
use crate::{Status, guard};

/// Any function, as an address.
macro_rules! address {
    ($function:expr, ($($argument:ty),*) $(-> $result:ty)?) => {
        $function as unsafe extern "C" fn($($argument),*) $(-> $result)? as *const c_void
    };
}

/// The tables of one backend: (id, slots, whether slot 0 is the size, known slots).
pub(super) fn build<B: Backend>() -> Tables {
    type Ptr = *mut c_void;
    type Out = *mut *mut c_void;
    type Image = *const c_void;

    let tables = vec![
        sized::<B, 0, 13>(&[
            (1, address!(load_module::<B>, (Out, Image) -> u32)),
            (2, address!(primary_context::<B>, (Out, i32) -> u32)),
            (
                6,
                address!(load_module_ext::<B>, (Out, Image, Ptr, Ptr, u32) -> u32),
            ),
            (7, address!(ignore_size, (usize))),
            (
                8,
                address!(load_container_ext::<B>, (Image, Out, Ptr, Ptr, u32) -> u32),
            ),
            (12, address!(load_compilers, () -> u32)),
        ]),
        sized::<B, 1, 4>(&[]),
        sized::<B, 2, 7>(&[
            (2, address!(call_flags, (Out, *mut usize))),
            (6, address!(resource_flags, (Out, *mut usize))),
        ]),
        unsized_::<B, 3, 4>(&[
            (
                0,
                address!(storage_put::<B>, (Ptr, Ptr, Ptr, Option<Destructor>) -> u32),
            ),
            (1, address!(storage_delete::<B>, (Ptr, Ptr) -> u32)),
            (2, address!(storage_get::<B>, (Out, Ptr, Ptr) -> u32)),
        ]),
        sized::<B, 4, 2>(&[(1, address!(create_context::<B>, (Out, u32, i32) -> u32))]),
        sized::<B, 5, 3>(&[]),
        sized::<B, 6, 26>(&[
            (
                5,
                address!(attribute_ext::<B>, (i32, u32, i32, *mut [usize; 2]) -> u32),
            ),
            (13, address!(device_flag::<B>, (*mut u8, i32) -> u32)),
        ]),
        sized::<B, 7, 3>(&[(
            1,
            address!(integrity_check::<B>, (u32, u64, *mut [u64; 2]) -> u32),
        )]),
        sized::<B, 8, 4>(&[
            (
                2,
                address!(context_check::<B>, (Ptr, *mut u32, *mut *const c_void) -> u32),
            ),
            (3, address!(no_check, () -> u32)),
        ]),
    ];
    Tables { tables }
}

/// The tables by the number that [`unknown`] knows them by.
const TABLES: [TableId; 9] = [
    CUDART_INTERFACE,
    TOOLS_TLS,
    TOOLS_RUNTIME_CALLBACK_HOOKS,
    CONTEXT_LOCAL_STORAGE,
    CTX_CREATE_BYPASS,
    HEAP_ACCESS,
    DEVICE_EXTENDED_RT,
    INTEGRITY_CHECK,
    CONTEXT_CHECKS,
];

type Known = [(usize, *const c_void)];

/// Table number `T` of `N` slots that starts with its size in bytes.
fn sized<B: Backend, const T: usize, const N: usize>(known: &Known) -> (TableId, &'static [Slot]) {
    let size = N * size_of::<Slot>();
    table::<B, T, N>(known, Some(size))
}

/// Table number `T` of `N` slots that starts with a function.
fn unsized_<B: Backend, const T: usize, const N: usize>(
    known: &Known,
) -> (TableId, &'static [Slot]) {
    table::<B, T, N>(known, None)
}

fn table<B: Backend, const T: usize, const N: usize>(
    known: &Known,
    size: Option<usize>,
) -> (TableId, &'static [Slot]) {
    let mut slots: [Slot; N] = std::array::from_fn(|slot| Slot(unknown_slot::<B, T>(slot)));
    if let Some(size) = size {
        slots[0] = Slot(size as *const c_void);
    }
    for &(slot, address) in known {
        slots[slot] = Slot(address);
    }
    (TABLES[T], Box::leak(Box::new(slots)))
}

/// A function that reports being called as slot `slot` of table `T`.
fn unknown_slot<B: Backend, const T: usize>(slot: usize) -> *const c_void {
    macro_rules! each {
        ($($number:literal)*) => {
            match slot {
                $($number => address!(unknown::<B, T, $number>, () -> u32),)*
                _ => address!(unknown::<B, T, { usize::MAX }>, () -> u32),
            }
        };
    }
    each!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25)
}

unsafe extern "C" fn unknown<B: Backend, const T: usize, const SLOT: usize>() -> u32 {
    guard(|| {
        report::<B>(Unknown::Slot(TABLES[T], SLOT));
        Err(Status::ERROR_NOT_SUPPORTED)
    })
}

/// Stores a result where C wants it.
///
/// # Safety
///
/// `out` must be null or writable.
unsafe fn store<T>(out: *mut T, value: impl FnOnce() -> Result<T, Status>) -> Result<(), Status> {
    if out.is_null() {
        return Err(Status::ERROR_INVALID_VALUE);
    }
    let value = value()?;
    // SAFETY: not null, so the caller says it is writable.
    unsafe { out.write(value) };
    Ok(())
}

// CUDART_INTERFACE. Pointers come from cudart as its C code passes them: null, or valid for what they are.

unsafe extern "C" fn load_module<B: Backend>(
    module: *mut *mut c_void,
    image: *const c_void,
) -> u32 {
    // SAFETY: `module` is null or writable; `image` is a fatbin wrapper.
    guard(|| unsafe { store(module, || B::load_module(image)) })
}

unsafe extern "C" fn primary_context<B: Backend>(context: *mut *mut c_void, device: i32) -> u32 {
    // SAFETY: `context` is null or writable.
    guard(|| unsafe { store(context, || B::primary_context(device)) })
}

unsafe extern "C" fn load_module_ext<B: Backend>(
    module: *mut *mut c_void,
    image: *const c_void,
    unknown1: *mut c_void,
    unknown2: *mut c_void,
    unknown3: u32,
) -> u32 {
    guard(|| {
        only_zeros::<B>(6, unknown1, unknown2, unknown3)?;
        // SAFETY: `module` is null or writable; `image` is a fatbin wrapper.
        unsafe { store(module, || B::load_module(image)) }
    })
}

unsafe extern "C" fn load_container_ext<B: Backend>(
    image: *const c_void,
    module: *mut *mut c_void,
    unknown1: *mut c_void,
    unknown2: *mut c_void,
    unknown3: u32,
) -> u32 {
    guard(|| {
        only_zeros::<B>(8, unknown1, unknown2, unknown3)?;
        // SAFETY: `module` is null or writable; `image` is a fatbin container.
        unsafe { store(module, || B::load_module(image)) }
    })
}

fn only_zeros<B: Backend>(
    slot: usize,
    unknown1: *mut c_void,
    unknown2: *mut c_void,
    unknown3: u32,
) -> Result<(), Status> {
    if unknown1.is_null() && unknown2.is_null() && unknown3 == 0 {
        return Ok(());
    }
    report::<B>(Unknown::Arguments(CUDART_INTERFACE, slot));
    Err(Status::ERROR_NOT_SUPPORTED)
}

unsafe extern "C" fn ignore_size(_: usize) {}

/// NVIDIA's driver loads its PTX compiler here; ours loads nothing.
unsafe extern "C" fn load_compilers() -> u32 {
    Status::SUCCESS.0
}

// TOOLS_RUNTIME_CALLBACK_HOOKS. Arrays that a tool would set and cudart reads, one number per runtime call (by
// its CUPTI callback id) and per kind of resource. No tool is here, so they stay zero. cudart 13.0.2 checks the
// counts: it crashes below 523 calls and refuses below 14 kinds.

const CALLS: usize = 1024;
const RESOURCES: usize = 14;

unsafe extern "C" fn call_flags(flags: *mut *mut c_void, count: *mut usize) {
    static FLAGS: [AtomicU32; CALLS] = [const { AtomicU32::new(0) }; CALLS];
    // SAFETY: both are null or writable.
    unsafe { give(&FLAGS, flags, count) };
}

unsafe extern "C" fn resource_flags(flags: *mut *mut c_void, count: *mut usize) {
    static FLAGS: [AtomicU32; RESOURCES] = [const { AtomicU32::new(0) }; RESOURCES];
    // SAFETY: both are null or writable.
    unsafe { give(&FLAGS, flags, count) };
}

/// # Safety
///
/// `flags` and `count` must be null or writable.
unsafe fn give(array: &'static [AtomicU32], flags: *mut *mut c_void, count: *mut usize) {
    // Nothing to report an error with, so nulls are passed over.
    // SAFETY: null or writable, says the caller.
    let _ = unsafe { store(flags, || Ok(array.as_ptr().cast_mut().cast())) };
    // SAFETY: as above.
    let _ = unsafe { store(count, || Ok(array.len())) };
}

// CONTEXT_LOCAL_STORAGE.

/// Null, and all ones, mean the current context, which needs no looking up.
fn context<B: Backend>(context: *mut c_void) -> Result<*mut c_void, Status> {
    let (context, known) = match context.addr() {
        0 | usize::MAX => (B::current_context()?, true),
        _ => (context, B::is_context(context)),
    };
    match known && !context.is_null() {
        true => Ok(context),
        false => Err(Status::ERROR_INVALID_CONTEXT),
    }
}

unsafe extern "C" fn storage_put<B: Backend>(
    handle: *mut c_void,
    key: *mut c_void,
    value: *mut c_void,
    destructor: Option<Destructor>,
) -> u32 {
    guard(|| {
        let context = context::<B>(handle)?;
        // SAFETY: the library that stores a value vouches for its destructor.
        unsafe { contexts().put(context, key, value, destructor) };
        Ok(())
    })
}

/// A context that is gone has no values left, but a library may clean up after it: not an error of its own.
unsafe extern "C" fn storage_delete<B: Backend>(handle: *mut c_void, key: *mut c_void) -> u32 {
    guard(|| {
        let context = match handle.addr() {
            0 | usize::MAX => context::<B>(handle)?,
            _ => handle,
        };
        match contexts().delete(context, key) {
            true => Ok(()),
            false => Err(Status::ERROR_INVALID_HANDLE),
        }
    })
}

unsafe extern "C" fn storage_get<B: Backend>(
    value: *mut *mut c_void,
    handle: *mut c_void,
    key: *mut c_void,
) -> u32 {
    let find = || {
        let context = context::<B>(handle)?;
        let found = contexts().get(context, key);
        found.ok_or(Status::ERROR_INVALID_HANDLE)
    };
    // SAFETY: `value` is null or writable.
    guard(|| unsafe { store(value, find) })
}

// CTX_CREATE_BYPASS.

unsafe extern "C" fn create_context<B: Backend>(
    context: *mut *mut c_void,
    flags: u32,
    device: i32,
) -> u32 {
    // SAFETY: `context` is null or writable.
    guard(|| unsafe { store(context, || B::create_context(flags, device)) })
}

// DEVICE_EXTENDED_RT.

unsafe extern "C" fn attribute_ext<B: Backend>(
    device: i32,
    attribute: u32,
    _unknown: i32,
    result: *mut [usize; 2],
) -> u32 {
    let read = || {
        let value = B::device_attribute(attribute, device)?;
        let value = usize::try_from(value).map_err(|_| Status::ERROR_NOT_SUPPORTED)?;
        Ok([value, 0])
    };
    // SAFETY: `result` is null or writable.
    guard(|| unsafe { store(result, read) })
}

/// Seen to answer zero; what it says is not known.
unsafe extern "C" fn device_flag<B: Backend>(flag: *mut u8, device: i32) -> u32 {
    let read = || {
        let count = B::devices()?.len();
        match usize::try_from(device) {
            Ok(ordinal) if ordinal < count => Ok(0),
            _ => Err(Status::ERROR_INVALID_DEVICE),
        }
    };
    // SAFETY: `flag` is null or writable.
    guard(|| unsafe { store(flag, read) })
}

// INTEGRITY_CHECK.

unsafe extern "C" fn integrity_check<B: Backend>(
    version: u32,
    unix_seconds: u64,
    result: *mut [u64; 2],
) -> u32 {
    let answer = || {
        let facts = facts::<B>()?;
        let devices = B::devices()?;
        Ok(integrity::answer(version, unix_seconds, &facts, &devices))
    };
    // SAFETY: `result` is null or writable.
    guard(|| unsafe { store(result, answer) })
}

fn facts<B: Backend>() -> Result<Facts, Status> {
    let slots = |id| {
        let found = tables::<B>().tables.iter().find(|(table, _)| *table == id);
        found.map(|(_, slots)| *slots).ok_or(Status::ERROR_UNKNOWN)
    };
    let integrity_table = slots(INTEGRITY_CHECK)?;
    // SAFETY: has no preconditions.
    let thread = unsafe { libc::pthread_self() };
    Ok(Facts {
        driver_version: B::driver_version().unsigned_abs(),
        process: std::process::id(),
        // cudart hashes the low half only.
        thread: (thread & 0xffff_ffff) as u32,
        cudart_table: slots(CUDART_INTERFACE)?.as_ptr().addr(),
        integrity_table: integrity_table.as_ptr().addr(),
        function: integrity_table[1].0.addr(),
    })
}

// CONTEXT_CHECKS.

/// Seen to answer zero for any context; cudart takes another answer for a context that it must not use. The
/// second result is left as the caller set it.
unsafe extern "C" fn context_check<B: Backend>(
    handle: *mut c_void,
    result: *mut u32,
    _unknown: *mut *const c_void,
) -> u32 {
    let check = || context::<B>(handle).map(|_| 0);
    // SAFETY: `result` is null or writable.
    guard(|| unsafe { store(result, check) })
}

unsafe extern "C" fn no_check() -> u32 {
    0
}
