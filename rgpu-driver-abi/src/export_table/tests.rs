//! The tables, called as C would: through the addresses in the slots.

use std::cell::Cell;
use std::ffi::c_void;
use std::mem::transmute;
use std::ptr;
use std::sync::Mutex;

use super::*;
use crate::integrity;
use crate::storage::{Destructor, contexts};

const CONTEXT: *mut c_void = 0xc0 as *mut c_void;
const OTHER_CONTEXT: *mut c_void = 0xc1 as *mut c_void;
const MODULE: *mut c_void = 0xd0 as *mut c_void;

thread_local! {
    static CURRENT: Cell<*mut c_void> = const { Cell::new(ptr::null_mut()) };
}

static REPORTS: Mutex<Vec<Unknown>> = Mutex::new(Vec::new());

struct Fake;

impl Backend for Fake {
    fn driver_version() -> i32 {
        13000
    }
    fn devices() -> Result<Vec<DeviceIdentity>, Status> {
        let uuid = [7; 16];
        Ok(vec![DeviceIdentity {
            uuid,
            ..DeviceIdentity::default()
        }])
    }
    fn current_context() -> Result<*mut c_void, Status> {
        Ok(CURRENT.get())
    }
    fn is_context(context: *mut c_void) -> bool {
        [CONTEXT, OTHER_CONTEXT].contains(&context)
    }
    fn primary_context(device: i32) -> Result<*mut c_void, Status> {
        match device {
            0 => Ok(CONTEXT),
            _ => Err(Status::ERROR_INVALID_DEVICE),
        }
    }
    fn create_context(flags: u32, _: i32) -> Result<*mut c_void, Status> {
        match flags {
            0 => Ok(OTHER_CONTEXT),
            _ => panic!("a bug behind the table"),
        }
    }
    unsafe fn load_module(image: *const c_void) -> Result<*mut c_void, Status> {
        match image.is_null() {
            true => Err(Status::ERROR_INVALID_VALUE),
            false => Ok(MODULE),
        }
    }
    fn device_attribute(attribute: u32, _: i32) -> Result<i32, Status> {
        Ok(attribute as i32 + 1)
    }
    fn unknown(what: Unknown) {
        REPORTS.lock().unwrap().push(what);
    }
}

fn slots(id: TableId) -> *const *const c_void {
    export_table::<Fake>(&id).unwrap().cast()
}

/// The function in a slot.
macro_rules! slot {
    ($table:expr, $slot:literal, fn($($argument:ty),*) $(-> $result:ty)?) => {{
        // SAFETY: the table has this slot, and the slot this signature.
        unsafe {
            transmute::<*const c_void, unsafe extern "C" fn($($argument),*) $(-> $result)?>(
                slots($table).add($slot).read(),
            )
        }
    }};
}

#[test]
fn tables_start_with_their_size_and_stay_where_they_are() {
    for (id, count) in [
        (CUDART_INTERFACE, 13),
        (TOOLS_TLS, 4),
        (TOOLS_RUNTIME_CALLBACK_HOOKS, 7),
        (CTX_CREATE_BYPASS, 2),
        (HEAP_ACCESS, 3),
        (DEVICE_EXTENDED_RT, 26),
        (INTEGRITY_CHECK, 3),
        (CONTEXT_CHECKS, 4),
    ] {
        let table = slots(id);
        assert_eq!(table, slots(id));
        // SAFETY: every table has a first slot.
        assert_eq!(unsafe { table.read() }.addr(), count * 8);
        for slot in 1..count {
            // SAFETY: the table is as long as it says.
            assert!(!unsafe { table.add(slot).read() }.is_null());
        }
    }
}

#[test]
fn ids_are_in_the_order_of_their_text() {
    assert_eq!(CUDART_INTERFACE[..4], [0x6b, 0xd5, 0xfb, 0x6c]);
    assert_eq!(CUDART_INTERFACE[15], 0xf9);
    assert_eq!(
        Unknown::Table(TOOLS_TLS).to_string(),
        "unknown export table 42d85a81-23f6-cb47-8298-f6e78a3aecdc"
    );
}

#[test]
fn the_entry_point_checks_its_arguments() {
    let mut table = ptr::null();
    let get = |table: *mut *const c_void, id: *const c_void| {
        // SAFETY: null or valid.
        unsafe { get_export_table::<Fake>(table, id) }
    };
    let id = ptr::from_ref(&TOOLS_TLS).cast();
    assert_eq!(get(&mut table, id), Ok(()));
    assert_eq!(table, slots(TOOLS_TLS).cast());
    assert_eq!(get(ptr::null_mut(), id), Err(Status::ERROR_INVALID_VALUE));
    assert_eq!(
        get(&mut table, ptr::null()),
        Err(Status::ERROR_INVALID_VALUE)
    );
    let unused = ptr::from_ref(&UNUSED_DEBUG).cast();
    assert_eq!(get(&mut table, unused), Err(Status::ERROR_INVALID_VALUE));
    assert!(table.is_null());
}

#[test]
fn what_is_unknown_is_reported_once() {
    let id = [0xEE; 16];
    assert!(export_table::<Fake>(&id).is_none());
    assert!(export_table::<Fake>(&id).is_none());
    assert!(export_table::<Fake>(&UNUSED_DEBUG).is_none());
    let unknown = slot!(HEAP_ACCESS, 2, fn() -> u32);
    for _ in 0..3 {
        // SAFETY: takes any arguments.
        assert_eq!(unsafe { unknown() }, Status::ERROR_NOT_SUPPORTED.0);
    }
    let load = slot!(
        CUDART_INTERFACE,
        6,
        fn(*mut *mut c_void, *const c_void, *mut c_void, *mut c_void, u32) -> u32
    );
    let mut module = ptr::null_mut();
    let image = ptr::from_ref(&id).cast();
    // SAFETY: valid pointers.
    let refused = unsafe { load(&mut module, image, ptr::null_mut(), ptr::null_mut(), 1) };
    assert_eq!(refused, Status::ERROR_NOT_SUPPORTED.0);

    let reports = REPORTS.lock().unwrap();
    let count = |what| reports.iter().filter(|seen| **seen == what).count();
    assert_eq!(count(Unknown::Table(id)), 1);
    assert_eq!(count(Unknown::Table(UNUSED_DEBUG)), 0);
    assert_eq!(count(Unknown::Slot(HEAP_ACCESS, 2)), 1);
    assert_eq!(count(Unknown::Arguments(CUDART_INTERFACE, 6)), 1);
}

#[test]
fn contexts_and_modules_come_from_the_backend() {
    let mut out = ptr::null_mut();
    let primary = slot!(CUDART_INTERFACE, 2, fn(*mut *mut c_void, i32) -> u32);
    // SAFETY: null or writable, in all calls below.
    unsafe {
        assert_eq!(primary(&mut out, 0), 0);
        assert_eq!(out, CONTEXT);
        assert_eq!(primary(&mut out, 5), Status::ERROR_INVALID_DEVICE.0);
        assert_eq!(primary(ptr::null_mut(), 0), Status::ERROR_INVALID_VALUE.0);
    }

    let image = ptr::from_ref(&TOOLS_TLS).cast::<c_void>();
    let load = slot!(
        CUDART_INTERFACE,
        1,
        fn(*mut *mut c_void, *const c_void) -> u32
    );
    let load_ext = slot!(
        CUDART_INTERFACE,
        8,
        fn(*const c_void, *mut *mut c_void, *mut c_void, *mut c_void, u32) -> u32
    );
    let null = ptr::null_mut();
    // SAFETY: null or valid.
    unsafe {
        assert_eq!(load(&mut out, image), 0);
        assert_eq!(out, MODULE);
        out = null;
        assert_eq!(load_ext(image, &mut out, null, null, 0), 0);
        assert_eq!(out, MODULE);
        assert_eq!(load(&mut out, null), Status::ERROR_INVALID_VALUE.0);
    }

    let create = slot!(CTX_CREATE_BYPASS, 1, fn(*mut *mut c_void, u32, i32) -> u32);
    // SAFETY: writable.
    unsafe {
        assert_eq!(create(&mut out, 0, 0), 0);
        assert_eq!(out, OTHER_CONTEXT);
        assert_eq!(create(&mut out, 1, 0), Status::ERROR_UNKNOWN.0);
    }

    let compilers = slot!(CUDART_INTERFACE, 12, fn() -> u32);
    let ignore = slot!(CUDART_INTERFACE, 7, fn(usize));
    // SAFETY: no pointers.
    unsafe {
        ignore(1);
        assert_eq!(compilers(), 0);
    }
}

#[test]
fn storage_follows_the_current_context() {
    let put = slot!(
        CONTEXT_LOCAL_STORAGE,
        0,
        fn(*mut c_void, *mut c_void, *mut c_void, Option<Destructor>) -> u32
    );
    let delete = slot!(
        CONTEXT_LOCAL_STORAGE,
        1,
        fn(*mut c_void, *mut c_void) -> u32
    );
    let get = slot!(
        CONTEXT_LOCAL_STORAGE,
        2,
        fn(*mut *mut c_void, *mut c_void, *mut c_void) -> u32
    );
    let current = ptr::null_mut();
    let also_current = usize::MAX as *mut c_void;
    let stranger = 0xff as *mut c_void;
    let (key, value) = (0x10 as *mut c_void, 0x20 as *mut c_void);
    let mut out = ptr::null_mut();
    // SAFETY: writable pointers, no destructor.
    unsafe {
        assert_eq!(get(&mut out, current, key), Status::ERROR_INVALID_CONTEXT.0);
        assert_eq!(
            put(stranger, key, value, None),
            Status::ERROR_INVALID_CONTEXT.0
        );
        CURRENT.set(OTHER_CONTEXT);
        assert_eq!(get(&mut out, current, key), Status::ERROR_INVALID_HANDLE.0);
        assert_eq!(put(current, key, value, None), 0);
        assert_eq!(get(&mut out, also_current, key), 0);
        assert_eq!(out, value);
        assert_eq!(
            get(ptr::null_mut(), current, key),
            Status::ERROR_INVALID_VALUE.0
        );
        assert_eq!(delete(OTHER_CONTEXT, key), 0);
        assert_eq!(delete(OTHER_CONTEXT, key), Status::ERROR_INVALID_HANDLE.0);
        assert_eq!(put(OTHER_CONTEXT, key, value, None), 0);
    }
    contexts().context_destroyed(OTHER_CONTEXT);
    // SAFETY: writable.
    let gone = unsafe { get(&mut out, current, key) };
    assert_eq!(gone, Status::ERROR_INVALID_HANDLE.0);
}

#[test]
fn tool_flags_are_there_and_zero() {
    for (get, least) in [
        (
            slot!(
                TOOLS_RUNTIME_CALLBACK_HOOKS,
                2,
                fn(*mut *mut c_void, *mut usize)
            ),
            523,
        ),
        (
            slot!(
                TOOLS_RUNTIME_CALLBACK_HOOKS,
                6,
                fn(*mut *mut c_void, *mut usize)
            ),
            14,
        ),
    ] {
        let (mut flags, mut count) = (ptr::null_mut(), 0);
        // SAFETY: writable, then null.
        unsafe {
            get(&mut flags, &mut count);
            get(ptr::null_mut(), ptr::null_mut());
        }
        assert!(count >= least);
        // SAFETY: `count` words are there, and nobody writes them.
        let flags = unsafe { std::slice::from_raw_parts(flags.cast::<u32>(), count) };
        assert!(flags.iter().all(|flag| *flag == 0));
    }
}

#[test]
fn the_integrity_check_hashes_what_cudart_was_given() {
    let check = slot!(INTEGRITY_CHECK, 1, fn(u32, u64, *mut [u64; 2]) -> u32);
    let facts = integrity::Facts {
        driver_version: 13000,
        process: std::process::id(),
        // SAFETY: has no preconditions.
        thread: unsafe { libc::pthread_self() } as u32,
        cudart_table: slots(CUDART_INTERFACE).addr(),
        integrity_table: slots(INTEGRITY_CHECK).addr(),
        function: check as usize,
    };
    for version in [13000, 13001, 13002] {
        let mut answer = [0; 2];
        // SAFETY: writable.
        assert_eq!(unsafe { check(version, 99, &mut answer) }, 0);
        let devices = Fake::devices().unwrap();
        assert_eq!(answer, integrity::answer(version, 99, &facts, &devices));
    }
    // SAFETY: null is allowed.
    let refused = unsafe { check(13000, 0, ptr::null_mut()) };
    assert_eq!(refused, Status::ERROR_INVALID_VALUE.0);
}

#[test]
fn contexts_pass_the_checks() {
    let check = slot!(
        CONTEXT_CHECKS,
        2,
        fn(*mut c_void, *mut u32, *mut *const c_void) -> u32
    );
    let mut result = 9;
    // SAFETY: writable, or null and not used.
    unsafe {
        assert_eq!(check(CONTEXT, &mut result, ptr::null_mut()), 0);
        assert_eq!(result, 0);
        let stranger = 0xff as *mut c_void;
        let refused = check(stranger, &mut result, ptr::null_mut());
        assert_eq!(refused, Status::ERROR_INVALID_CONTEXT.0);
    }
    let no_check = slot!(CONTEXT_CHECKS, 3, fn() -> u32);
    // SAFETY: no arguments.
    assert_eq!(unsafe { no_check() }, 0);
}

#[test]
fn attributes_come_from_the_backend() {
    let attribute = slot!(
        DEVICE_EXTENDED_RT,
        5,
        fn(i32, u32, i32, *mut [usize; 2]) -> u32
    );
    let flag = slot!(DEVICE_EXTENDED_RT, 13, fn(*mut u8, i32) -> u32);
    let (mut value, mut byte) = ([0; 2], 9);
    // SAFETY: writable.
    unsafe {
        assert_eq!(attribute(0, 41, 0, &mut value), 0);
        assert_eq!(value, [42, 0]);
        assert_eq!(flag(&mut byte, 0), 0);
        assert_eq!(byte, 0);
        assert_eq!(flag(&mut byte, 1), Status::ERROR_INVALID_DEVICE.0);
    }
}
