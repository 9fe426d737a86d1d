//! Several devices in one process: who they are, whose memory is whose, and access to a peer's.

mod support;

use std::ptr::null_mut;
use std::sync::Once;

use rgpu_softgpu::entry::*;
use support::*;

const INVALID_DEVICE: u32 = 101;
const PEER_ACCESS_UNSUPPORTED: u32 = 217;
const PEER_ACCESS_ALREADY_ENABLED: u32 = 704;
const PEER_ACCESS_NOT_ENABLED: u32 = 705;
const CONTEXT_ATTRIBUTE: u32 = 1;
const ORDINAL_ATTRIBUTE: u32 = 9;

/// Four devices of 256 MiB.
fn start() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: every test begins with this, so no other thread reads the environment yet.
        unsafe {
            std::env::set_var("RGPU_SOFT_DEVICES", "4");
            std::env::set_var("RGPU_SOFT_MEMORY", "256M");
        }
        ok!(cuInit(0));
    });
}

/// A context on a device, current on this thread.
fn context_on(device: i32) -> Context {
    let mut handle = null_mut();
    ok!(cuCtxCreate_v2(&mut handle, 0, device));
    Context(handle)
}

fn ordinal_of(address: u64) -> i32 {
    let mut ordinal = -1;
    let out = (&raw mut ordinal).cast();
    ok!(cuPointerGetAttribute(out, ORDINAL_ATTRIBUTE, address));
    ordinal
}

#[test]
fn every_device_is_itself() {
    start();
    let mut count = 0;
    ok!(cuDeviceGetCount(&mut count));
    assert_eq!(count, 4);
    let mut seen = Vec::new();
    for device in 0..4 {
        let (mut uuid, mut bus) = ([0u8; 16], [0u8; 16]);
        ok!(cuDeviceGetUuid_v2(uuid.as_mut_ptr().cast(), device));
        ok!(cuDeviceGetPCIBusId(bus.as_mut_ptr().cast(), 16, device));
        let mut found = -1;
        ok!(cuDeviceGetByPCIBusId(&mut found, bus.as_ptr().cast()));
        assert_eq!(found, device);
        let mut total = 0;
        ok!(cuDeviceTotalMem_v2(&mut total, device));
        assert_eq!(total, 256 << 20);
        assert!(!seen.contains(&(uuid, bus)));
        seen.push((uuid, bus));
    }
    let mut device = 0;
    assert_eq!(cu!(cuDeviceGet(&mut device, 4)), INVALID_DEVICE);
    assert_eq!(cu!(cuDeviceGet(&mut device, -1)), INVALID_DEVICE);
}

#[test]
fn contexts_allocate_on_their_own_device() {
    start();
    let first = context_on(0);
    let used = || {
        let (mut free, mut total) = (0, 0);
        ok!(cuMemGetInfo_v2(&mut free, &mut total));
        total - free
    };
    // The device is this test's own: no other allocates so much.
    let second = context_on(3);
    let before = used();
    let block = zeros(100 << 20);
    assert_eq!(used() - before, 100 << 20);
    assert_eq!(ordinal_of(block), 3);
    let mut owner: Handle = null_mut();
    let out = (&raw mut owner).cast();
    ok!(cuPointerGetAttribute(out, CONTEXT_ATTRIBUTE, block));
    assert_eq!(owner, second.0);
    let mut too_much = 0;
    assert_eq!(cu!(cuMemAlloc_v2(&mut too_much, 200 << 20)), OUT_OF_MEMORY);
    ok!(cuCtxSetCurrent(first.0));
    ok!(cuMemAlloc_v2(&mut too_much, 200 << 20));
    assert_eq!(ordinal_of(too_much), 0);
    let mut device = -1;
    ok!(cuCtxGetDevice_v2(&mut device, second.0));
    assert_eq!(device, 3);
    ok!(cuMemFree_v2(too_much));
    ok!(cuCtxSetCurrent(second.0));
    ok!(cuMemFree_v2(block));
}

#[test]
fn peers_answer_as_documented() {
    start();
    let (mut yes, mut value) = (-1, -1);
    ok!(cuDeviceCanAccessPeer(&mut yes, 0, 1));
    assert_eq!(yes, 1);
    ok!(cuDeviceCanAccessPeer(&mut yes, 2, 2));
    assert_eq!(yes, 0);
    assert_eq!(cu!(cuDeviceCanAccessPeer(&mut yes, 0, 4)), INVALID_DEVICE);
    for (attribute, want) in [(1, 0), (2, 1), (3, 1), (4, 0), (5, 0)] {
        ok!(cuDeviceGetP2PAttribute(&mut value, attribute, 1, 2));
        assert_eq!(value, want, "{attribute}");
    }
    assert_eq!(
        cu!(cuDeviceGetP2PAttribute(&mut value, 2, 1, 1)),
        INVALID_DEVICE
    );
    assert_eq!(
        cu!(cuDeviceGetP2PAttribute(&mut value, 6, 0, 1)),
        INVALID_VALUE
    );
    let (one, two, other) = (context_on(1), context_on(2), context_on(1));
    ok!(cuCtxSetCurrent(one.0));
    assert_eq!(cu!(cuCtxEnablePeerAccess(two.0, 1)), INVALID_VALUE);
    assert_eq!(cu!(cuCtxEnablePeerAccess(one.0, 0)), INVALID_CONTEXT);
    assert_eq!(cu!(cuCtxEnablePeerAccess(null_mut(), 0)), INVALID_CONTEXT);
    assert_eq!(
        cu!(cuCtxEnablePeerAccess(other.0, 0)),
        PEER_ACCESS_UNSUPPORTED
    );
    assert_eq!(cu!(cuCtxDisablePeerAccess(two.0)), PEER_ACCESS_NOT_ENABLED);
    ok!(cuCtxEnablePeerAccess(two.0, 0));
    assert_eq!(
        cu!(cuCtxEnablePeerAccess(two.0, 0)),
        PEER_ACCESS_ALREADY_ENABLED
    );
    ok!(cuCtxDisablePeerAccess(two.0));
    assert_eq!(cu!(cuCtxDisablePeerAccess(two.0)), PEER_ACCESS_NOT_ENABLED);
}

#[test]
fn a_kernel_reaches_a_peer_only_where_it_may() {
    start();
    let theirs = context_on(1);
    let block = zeros(400);
    ok!(cuCtxSynchronize());
    let ours = context_on(0);
    ok!(cuCtxEnablePeerAccess(theirs.0, 0));
    let adds = function(module(), "add");
    assert_eq!(add(adds, block, 5, 100, null_mut()), SUCCESS);
    ok!(cuCtxSynchronize());
    assert_eq!(words(block, 100), [5; 100]);
    // What is allocated later is seen too.
    ok!(cuCtxSetCurrent(theirs.0));
    let later = zeros(8 << 20);
    ok!(cuCtxSynchronize());
    ok!(cuCtxSetCurrent(ours.0));
    assert_eq!(add(adds, later, 3, 100, null_mut()), SUCCESS);
    ok!(cuCtxSynchronize());
    assert_eq!(words(later, 100), [3; 100]);
    // Copies need no access.
    ok!(cuCtxDisablePeerAccess(theirs.0));
    let here = zeros(400);
    ok!(cuMemcpyPeer(here, ours.0, block, theirs.0, 400));
    assert_eq!(words(here, 100), [5; 100]);
    assert_eq!(add(adds, block, 1, 100, null_mut()), SUCCESS);
    assert_eq!(cu!(cuCtxSynchronize()), ILLEGAL_ADDRESS);
    // The error is the accessing context's.
    ok!(cuCtxSetCurrent(theirs.0));
    ok!(cuCtxSynchronize());
    assert_eq!(words(block, 100), [5; 100]);
}

#[test]
fn a_peer_copy_waits_for_both_contexts() {
    start();
    let (from, to, current) = (context_on(1), context_on(2), context_on(0));
    ok!(cuCtxSetCurrent(from.0));
    let source = zeros(400);
    let (theirs, quiet) = (stream(1), stream(1));
    ok!(cuCtxSynchronize());
    // A flag that the host sets itself: no work of the context would get past the copy.
    let mut flag: Handle = null_mut();
    ok!(cuMemHostAlloc((&raw mut flag).cast(), 4, 0));
    let mut arguments = [(&raw const flag).cast()];
    let spins = function(module(), "spin");
    assert_eq!(launch(spins, 1, 1, theirs, &mut arguments), SUCCESS);
    ok!(cuMemsetD32Async(source, 7, 100, theirs));
    ok!(cuCtxSetCurrent(to.0));
    let target = zeros(400);
    ok!(cuCtxSynchronize());
    let elsewhere = stream(1);
    ok!(cuCtxSetCurrent(current.0));
    ok!(cuMemcpyPeer(target, to.0, source, from.0, 400));
    // What comes later in either context waits for the copy.
    ok!(cuCtxSetCurrent(to.0));
    ok!(cuMemsetD32Async(target, 1, 1, elsewhere));
    assert_eq!(cu!(cuStreamQuery(elsewhere)), NOT_READY);
    ok!(cuCtxSetCurrent(from.0));
    assert_eq!(cu!(cuStreamQuery(quiet)), NOT_READY);
    // SAFETY: the allocation has four bytes, which the kernel reads as volatile.
    unsafe { flag.cast::<u32>().write_volatile(1) };
    ok!(cuStreamSynchronize(theirs));
    ok!(cuCtxSetCurrent(to.0));
    ok!(cuCtxSynchronize());
    let got = words(target, 100);
    assert_eq!((got[0], got[1], got[99]), (1, 7, 7));
}

#[test]
fn streams_wait_across_devices() {
    start();
    let first = context_on(0);
    let spin = {
        let spinning = stream(1);
        let spin = Spin::start(module(), spinning);
        (spin, spinning)
    };
    let mark = event(0);
    ok!(cuEventRecord(mark, spin.1));
    let second = context_on(1);
    let waiting = stream(1);
    ok!(cuStreamWaitEvent(waiting, mark, 0));
    assert_eq!(cu!(cuStreamQuery(waiting)), NOT_READY);
    // An event is recorded in its own context only.
    assert_eq!(cu!(cuEventRecord(mark, waiting)), INVALID_HANDLE);
    let mut device = -1;
    ok!(cuStreamGetDevice(waiting, &mut device));
    assert_eq!(device, 1);
    ok!(cuCtxSetCurrent(first.0));
    spin.0.stop();
    ok!(cuCtxSetCurrent(second.0));
    ok!(cuStreamSynchronize(waiting));
}
