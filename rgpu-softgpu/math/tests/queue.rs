//! Work in streams of the software GPU's driver, loaded as programs load it.

use std::ffi::c_void;
use std::ptr::{null, null_mut};
use std::sync::mpsc::channel;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};
use rgpu_softgpu_math::queue::{Context, Error, Scalar, Span, Stream};

/// The driver, beside this test; its name for the loader is `libcuda.so.1`, so that it is found by that from now on.
fn driver() -> &'static Library {
    static DRIVER: OnceLock<Library> = OnceLock::new();
    DRIVER.get_or_init(|| {
        let test = std::env::current_exe().unwrap();
        let path = test.with_file_name("librgpu_softgpu.so");
        // SAFETY: its initialisers do nothing.
        unsafe { Library::open(Some(path), RTLD_NOW | RTLD_GLOBAL) }.unwrap()
    })
}

macro_rules! cu {
    ($name:ident($($argument:expr),*): ($($type:ty),*)) => {{
        // SAFETY: the type is that of the function, and the arguments are valid.
        let code = unsafe {
            let function = driver()
                .get::<unsafe extern "C" fn($($type),*) -> u32>(concat!(stringify!($name), "\0").as_bytes())
                .unwrap();
            function($($argument),*)
        };
        assert_eq!(code, 0, stringify!($name));
    }};
}

/// One test at a time, with a context that is current on its thread.
fn context() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    cu!(cuInit(0): (u32));
    let mut context = null_mut();
    cu!(cuDevicePrimaryCtxRetain(&mut context, 0): (*mut *mut c_void, i32));
    cu!(cuCtxSetCurrent(context): (*mut c_void));
    alone
}

fn allocate<T>(len: usize) -> *mut T {
    let mut address = 0u64;
    cu!(cuMemAlloc_v2(&mut address, len * size_of::<T>()): (*mut u64, usize));
    address as *mut T
}

fn free<T>(pointer: *mut T) {
    cu!(cuMemFree_v2(pointer.addr() as u64): (u64));
}

fn stream() -> Stream {
    let mut handle = null_mut();
    cu!(cuStreamCreate(&mut handle, 1): (*mut *mut c_void, u32));
    Stream(handle)
}

#[test]
fn work_runs_in_the_order_of_its_stream() {
    let _alone = context();
    for stream in [stream(), Stream(null_mut()), Stream(1 as _), Stream(2 as _)] {
        let (send, receive) = channel();
        let (open, gate) = channel::<()>();
        let first = send.clone();
        stream
            .enqueue("first", move |_| {
                gate.recv().unwrap();
                first.send(1).unwrap();
                Ok(())
            })
            .unwrap();
        stream
            .enqueue("second", move |_| {
                send.send(2).unwrap();
                Ok(())
            })
            .unwrap();
        assert!(receive.try_recv().is_err());
        open.send(()).unwrap();
        stream.synchronise().unwrap();
        assert_eq!(receive.iter().collect::<Vec<_>>(), [1, 2]);
    }
}

#[test]
fn work_sees_what_was_copied_before_it() {
    let _alone = context();
    let stream = stream();
    let pointer = allocate::<u32>(4);
    let span = Span::new(pointer, 4).unwrap();
    let from = [1u32, 2, 3, 4];
    cu!(cuMemcpyHtoDAsync_v2(pointer.addr() as u64, from.as_ptr().cast(), 16, stream.0):
        (u64, *const c_void, usize, *mut c_void));
    stream
        .enqueue("add", move |_| {
            // SAFETY: four words, which the driver has vouched for.
            unsafe { *span.pointer().add(3) += *span.pointer() };
            Ok(())
        })
        .unwrap();
    let mut to = [0u32; 4];
    cu!(cuMemcpyDtoHAsync_v2(to.as_mut_ptr().cast(), pointer.addr() as u64, 16, stream.0):
        (*mut c_void, u64, usize, *mut c_void));
    stream.synchronise().unwrap();
    assert_eq!(to, [1, 2, 3, 5]);
    free(pointer);
}

#[test]
fn a_scalar_on_the_device_is_read_when_the_work_runs() {
    let _alone = context();
    let stream = stream();
    let pointer = allocate::<u32>(1);
    let scalar = Scalar::Device(Span::new(pointer, 1).unwrap());
    cu!(cuMemsetD32Async(pointer.addr() as u64, 7, 1, stream.0): (u64, u32, usize, *mut c_void));
    let (send, receive) = channel();
    stream
        .enqueue("read", move |_| {
            send.send(scalar.get()).unwrap();
            Ok(())
        })
        .unwrap();
    stream.synchronise().unwrap();
    assert_eq!(receive.recv(), Ok(7));
    free(pointer);
}

#[test]
fn extents_end_where_allocations_end() {
    let _alone = context();
    let pointer = allocate::<u32>(64);
    assert!(Span::new(pointer, 64).is_ok());
    assert!(Span::new(pointer.wrapping_add(60), 4).is_ok());
    let pages = 1 << 30;
    assert!(matches!(
        Span::new(pointer, pages),
        Err(Error::Extent { .. })
    ));
    assert!(matches!(
        Span::new(pointer, usize::MAX),
        Err(Error::Extent { .. })
    ));
    let odd = pointer.wrapping_byte_add(2);
    assert!(matches!(Span::new(odd, 1), Err(Error::Alignment { .. })));
    free(pointer);
    assert!(matches!(Span::new(pointer, 1), Err(Error::Extent { .. })));
    assert!(matches!(
        Span::new(null::<u32>(), 1),
        Err(Error::Extent { .. })
    ));
    assert!(Span::new(null::<u32>(), 0).is_ok());
    let local = 0u32;
    assert!(matches!(
        Span::new(&raw const local, 1),
        Err(Error::Extent { .. })
    ));
}

#[test]
fn pointers_can_be_checked_when_the_work_runs() {
    let _alone = context();
    let stream = stream();
    let pointer = allocate::<u32>(4);
    let good = pointer.expose_provenance();
    let (send, receive) = channel();
    stream
        .enqueue("look", move |run| {
            let wild = 64 as *const u32;
            send.send((
                run.span(good as *const u32, 4).is_ok(),
                run.span(wild, 1).is_ok(),
            ))
            .unwrap();
            Ok(())
        })
        .unwrap();
    stream.synchronise().unwrap();
    assert_eq!(receive.recv(), Ok((true, false)));
    free(pointer);
}

#[test]
fn work_that_fails_holds_nothing_up() {
    let _alone = context();
    let stream = stream();
    stream.enqueue("fails", |_| Err(Error::NoDriver)).unwrap();
    stream.enqueue("panics", |_| panic!("on purpose")).unwrap();
    let (send, receive) = channel();
    stream
        .enqueue("goes on", move |_| {
            send.send(()).unwrap();
            Ok(())
        })
        .unwrap();
    stream.synchronise().unwrap();
    assert_eq!(receive.recv(), Ok(()));
}

#[test]
fn a_stream_that_is_none_is_refused() {
    let _alone = context();
    let none = Stream(0x7000 as _);
    assert!(matches!(
        none.enqueue("never", |_| Ok(())),
        Err(Error::Driver(_))
    ));
}

#[test]
fn without_a_context_nothing_can_be_put_into_a_stream() {
    let _alone = context();
    std::thread::spawn(|| assert_eq!(Context::current(), Err(Error::Driver(201))))
        .join()
        .unwrap();
}
