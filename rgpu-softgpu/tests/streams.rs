//! The order of streams, events, callbacks.

mod support;

use std::ffi::c_void;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicU32, Ordering};

use rgpu_softgpu::entry::*;
use support::*;

const NON_BLOCKING: u32 = 1;
const PER_THREAD: usize = 2;

#[test]
fn the_legacy_stream_waits_for_blocking_streams_only() {
    let _context = Context::new();
    let (blocking, free) = (stream(0), stream(NON_BLOCKING));
    let data = zeros(4);
    let spin = Spin::start(module(), blocking);
    ok!(cuMemsetD32Async(data, 1, 1, null_mut()));
    ok!(cuMemsetD32Async(data, 2, 1, free));
    ok!(cuStreamSynchronize(free));
    assert_eq!(cu!(cuStreamQuery(blocking)), NOT_READY);
    assert_eq!(cu!(cuStreamQuery(null_mut())), NOT_READY);
    spin.stop();
    ok!(cuStreamSynchronize(null_mut()));
    ok!(cuStreamQuery(blocking));
    // The legacy stream's set came after the free stream's.
    assert_eq!(words(data, 1), [1]);
}

#[test]
fn each_thread_has_a_default_stream_of_its_own() {
    let context = Context::new();
    let own = std::ptr::without_provenance_mut(PER_THREAD);
    let spin = Spin::start(module(), own);
    let (mut here, mut there) = (0, 0);
    ok!(cuStreamGetId(own, &mut here));
    let handle = context.0.addr();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let own = std::ptr::without_provenance_mut(PER_THREAD);
            ok!(cuCtxSetCurrent(std::ptr::without_provenance_mut(handle)));
            ok!(cuStreamGetId(own, &mut there));
            ok!(cuStreamSynchronize(own));
        });
    });
    assert_ne!(here, there);
    assert_eq!(cu!(cuStreamQuery(own)), NOT_READY);
    spin.stop();
    ok!(cuStreamSynchronize(own));
}

#[test]
fn a_wait_is_for_what_was_recorded_when_it_was_asked_for() {
    let _context = Context::new();
    let (first, second, third) = (stream(1), stream(1), stream(1));
    let event = event(0);
    ok!(cuEventQuery(event));
    let module = module();
    let spin = Spin::start(module, first);
    ok!(cuEventRecord(event, first));
    ok!(cuStreamWaitEvent(second, event, 0));
    assert_eq!(cu!(cuEventQuery(event)), NOT_READY);
    // Recorded again elsewhere: done at once, but `second` still waits for `first`.
    ok!(cuEventRecord(event, third));
    ok!(cuEventSynchronize(event));
    assert_eq!(cu!(cuStreamQuery(second)), NOT_READY);
    ok!(cuEventDestroy_v2(event));
    assert_eq!(cu!(cuEventQuery(event)), INVALID_HANDLE);
    spin.stop();
    ok!(cuStreamSynchronize(second));
}

#[test]
fn events_measure_time() {
    let _context = Context::new();
    let (start, end, silent) = (event(0), event(0), event(2));
    let mut elapsed = -1.0;
    assert_eq!(
        cu!(cuEventElapsedTime(&mut elapsed, start, end)),
        INVALID_HANDLE
    );
    let stream = stream(0);
    ok!(cuEventRecord(start, stream));
    let spin = Spin::start(module(), stream);
    ok!(cuEventRecord(end, stream));
    assert_eq!(cu!(cuEventElapsedTime(&mut elapsed, start, end)), NOT_READY);
    let before = std::time::Instant::now();
    while before.elapsed().as_millis() < 5 {
        std::hint::spin_loop();
    }
    spin.stop();
    ok!(cuEventSynchronize(end));
    ok!(cuEventElapsedTime(&mut elapsed, start, end));
    assert!(elapsed >= 5.0, "{elapsed}");
    ok!(cuEventRecord(silent, stream));
    ok!(cuEventSynchronize(silent));
    assert_eq!(
        cu!(cuEventElapsedTime(&mut elapsed, start, silent)),
        INVALID_HANDLE
    );
}

unsafe extern "C" fn note(data: *mut c_void) {
    let mut address = 0;
    // SAFETY: the driver refuses the call.
    let refused = unsafe { cuMemAlloc_v2(&mut address, 16) };
    // SAFETY: the test passes a pointer to an atomic that outlives the stream.
    unsafe { &*data.cast::<AtomicU32>() }.store(refused, Ordering::SeqCst);
}

unsafe extern "C" fn note_status(_: Handle, status: u32, data: *mut c_void) {
    // SAFETY: the test passes a pointer to an atomic that outlives the stream.
    unsafe { &*data.cast::<AtomicU32>() }.store(status + 1, Ordering::SeqCst);
}

/// A callback as the driver takes it.
fn erased<F: Copy>(function: F) -> Option<unsafe extern "C" fn()> {
    assert_eq!(size_of::<F>(), size_of::<unsafe extern "C" fn()>());
    // SAFETY: a function pointer, by the assertion and the callers; the driver casts it back.
    Some(unsafe { std::mem::transmute_copy(&function) })
}

#[test]
fn callbacks_run_in_their_place_and_may_not_call_us() {
    let _context = Context::new();
    let stream = stream(0);
    let (noted, status) = (AtomicU32::new(0), AtomicU32::new(0));
    let spin = Spin::start(module(), stream);
    let host = erased(note as unsafe extern "C" fn(*mut c_void));
    ok!(cuLaunchHostFunc(
        stream,
        host,
        (&raw const noted).cast_mut().cast()
    ));
    let callback = erased(note_status as unsafe extern "C" fn(Handle, u32, *mut c_void));
    let data = (&raw const status).cast_mut().cast();
    ok!(cuStreamAddCallback(stream, callback, data, 0));
    assert_eq!(noted.load(Ordering::SeqCst), 0);
    spin.stop();
    ok!(cuStreamSynchronize(stream));
    assert_eq!(noted.load(Ordering::SeqCst), NOT_PERMITTED);
    assert_eq!(status.load(Ordering::SeqCst), 1);
}

#[test]
fn a_poisoned_context_tells_callbacks_and_runs_no_host_functions() {
    let _context = Context::new();
    let stream = stream(0);
    let (noted, status) = (AtomicU32::new(0), AtomicU32::new(0));
    let module = module();
    let spin = Spin::start(module, stream);
    assert_eq!(
        launch(function(module, "wild"), 1, 1, stream, &mut []),
        SUCCESS
    );
    let host = erased(note as unsafe extern "C" fn(*mut c_void));
    ok!(cuLaunchHostFunc(
        stream,
        host,
        (&raw const noted).cast_mut().cast()
    ));
    let callback = erased(note_status as unsafe extern "C" fn(Handle, u32, *mut c_void));
    let data = (&raw const status).cast_mut().cast();
    ok!(cuStreamAddCallback(stream, callback, data, 0));
    spin.stop();
    assert_eq!(cu!(cuStreamSynchronize(stream)), ILLEGAL_ADDRESS);
    assert_eq!(noted.load(Ordering::SeqCst), 0);
    assert_eq!(status.load(Ordering::SeqCst), ILLEGAL_ADDRESS + 1);
}

#[test]
fn pageable_memory_may_be_reused_after_an_asynchronous_copy() {
    let _context = Context::new();
    let stream = stream(0);
    let device = zeros(16);
    let spin = Spin::start(module(), stream);
    let mut from = [1u32, 2, 3, 4];
    ok!(cuMemcpyHtoDAsync_v2(
        device,
        from.as_ptr().cast(),
        16,
        stream
    ));
    from.fill(9);
    spin.stop();
    let mut to = [0u32; 4];
    ok!(cuMemcpyDtoHAsync_v2(
        to.as_mut_ptr().cast(),
        device,
        16,
        stream
    ));
    // To pageable memory the call waits.
    assert_eq!(to, [1, 2, 3, 4]);
    assert_eq!(from, [9; 4]);
}

#[test]
fn what_is_in_a_destroyed_stream_still_runs() {
    let _context = Context::new();
    let stream = stream(NON_BLOCKING);
    let data = zeros(4);
    let spin = Spin::start(module(), stream);
    ok!(cuMemsetD32Async(data, 3, 1, stream));
    ok!(cuStreamDestroy_v2(stream));
    assert_eq!(cu!(cuStreamQuery(stream)), INVALID_HANDLE);
    spin.stop();
    ok!(cuCtxSynchronize());
    assert_eq!(words(data, 1), [3]);
}
