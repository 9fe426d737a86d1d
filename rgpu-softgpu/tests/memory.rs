//! Allocations, copies, sets, pointers, pools, virtual memory.

mod support;

use std::ffi::c_void;
use std::ptr::null_mut;

use cudarc::driver::sys;
use rgpu_softgpu::entry::*;
use support::*;

#[test]
fn copies_stay_inside_allocations() {
    let _context = Context::new();
    let device = zeros(1000);
    let from: Vec<u8> = (0..=255).cycle().take(2000).collect();
    let mut to = vec![0u8; 2000];
    ok!(cuMemcpyHtoD_v2(device, from.as_ptr().cast(), 1000));
    ok!(cuMemcpyDtoH_v2(to.as_mut_ptr().cast(), device + 10, 990));
    assert_eq!(to[..990], from[10..1000]);
    assert_eq!(
        cu!(cuMemcpyHtoD_v2(device, from.as_ptr().cast(), 1001)),
        INVALID_VALUE
    );
    assert_eq!(
        cu!(cuMemcpyDtoH_v2(to.as_mut_ptr().cast(), device + 990, 11)),
        INVALID_VALUE
    );
    assert_eq!(
        cu!(cuMemcpyHtoD_v2(0x10, from.as_ptr().cast(), 1)),
        INVALID_VALUE
    );
    assert_eq!(cu!(cuMemsetD8_v2(device + 999, 1, 2)), INVALID_VALUE);
    assert_eq!(
        cu!(cuMemsetD32_v2(device + 2, 1, 1)),
        INVALID_VALUE,
        "not aligned"
    );
    // Any pair of pointers works with the unified copy.
    ok!(cuMemcpy(to.as_ptr() as u64, from.as_ptr() as u64, 2000));
    assert_eq!(to, from);
    ok!(cuMemFree_v2(device));
    assert_eq!(cu!(cuMemFree_v2(device)), INVALID_VALUE);
    ok!(cuMemFree_v2(0));
}

#[test]
fn a_box_is_cut_out_of_an_image() {
    let _context = Context::new();
    let (mut device, mut pitch) = (0, 0);
    ok!(cuMemAllocPitch_v2(&mut device, &mut pitch, 100, 20, 4));
    assert_eq!(pitch, 512);
    ok!(cuMemsetD2D8_v2(device, pitch, 7, 100, 20));
    let image: Vec<u8> = (0..200).collect();
    // Zeros are no memory type, so the rest is filled in before it is taken for a structure.
    let mut copy = std::mem::MaybeUninit::<sys::CUDA_MEMCPY2D>::zeroed();
    let raw = copy.as_mut_ptr();
    // SAFETY: fields of a local; after both writes zeros are valid for the integers and pointers that are left.
    let mut copy = unsafe {
        (&raw mut (*raw).srcMemoryType).write(sys::CUmemorytype::CU_MEMORYTYPE_HOST);
        (&raw mut (*raw).dstMemoryType).write(sys::CUmemorytype::CU_MEMORYTYPE_DEVICE);
        copy.assume_init()
    };
    copy.srcHost = image.as_ptr().cast();
    copy.srcPitch = 20;
    copy.srcXInBytes = 5;
    copy.srcY = 2;
    copy.dstDevice = device;
    copy.dstPitch = pitch;
    copy.dstXInBytes = 50;
    copy.dstY = 3;
    copy.WidthInBytes = 10;
    copy.Height = 4;
    ok!(cuMemcpy2D_v2((&raw const copy).cast()));
    let mut row = [0u8; 100];
    ok!(cuMemcpyDtoH_v2(
        row.as_mut_ptr().cast(),
        device + 4 * pitch as u64,
        100
    ));
    let expected: Vec<u8> = (65..75).collect();
    assert_eq!(row[50..60], expected);
    assert!(row[..50].iter().chain(&row[60..]).all(|&byte| byte == 7));
    copy.dstY = 17;
    assert_eq!(cu!(cuMemcpy2D_v2((&raw const copy).cast())), INVALID_VALUE);
    copy.dstY = 3;
    copy.WidthInBytes = 16;
    assert_eq!(
        cu!(cuMemcpy2D_v2((&raw const copy).cast())),
        INVALID_VALUE,
        "wider than its row"
    );
}

#[test]
fn pointers_know_what_they_are() {
    let context = Context::new();
    let device = zeros(4096);
    let mut kind = 0u32;
    ok!(cuPointerGetAttribute(
        (&raw mut kind).cast(),
        2,
        device + 100
    ));
    assert_eq!(kind, 2);
    let mut owner: Handle = null_mut();
    ok!(cuPointerGetAttribute((&raw mut owner).cast(), 1, device));
    assert_eq!(owner, context.0);
    let mut pinned: *mut u8 = null_mut();
    ok!(cuMemHostAlloc((&raw mut pinned).cast(), 100, 0));
    ok!(cuPointerGetAttribute(
        (&raw mut kind).cast(),
        2,
        pinned as u64
    ));
    assert_eq!(kind, 1);
    let local = 5u32;
    let unknown = (&raw const local) as u64;
    assert_eq!(
        cu!(cuPointerGetAttribute((&raw mut kind).cast(), 2, unknown)),
        INVALID_VALUE
    );
    let mut ordinal = 0i32;
    let mut attributes = [2u32, 9];
    let mut data: [*mut c_void; 2] = [(&raw mut kind).cast(), (&raw mut ordinal).cast()];
    ok!(cuPointerGetAttributes(
        2,
        attributes.as_mut_ptr(),
        data.as_mut_ptr().cast(),
        unknown
    ));
    assert_eq!((kind, ordinal), (0, -2));
    let (mut base, mut size) = (0, 0);
    ok!(cuMemGetAddressRange_v2(&mut base, &mut size, device + 4095));
    assert_eq!((base, size), (device, 4096));
    ok!(cuMemFreeHost(pinned.cast()));
    assert_eq!(cu!(cuMemFreeHost(pinned.cast())), INVALID_VALUE);
}

#[test]
fn registered_memory_is_the_devices_too() {
    let _context = Context::new();
    let mut memory = vec![1u32; 4096];
    let pointer: *mut c_void = memory.as_mut_ptr().cast();
    ok!(cuMemHostRegister_v2(pointer, 4096 * 4, 0));
    assert_eq!(cu!(cuMemHostRegister_v2(pointer, 4096 * 4, 0)), 712);
    let mut device = 0;
    ok!(cuMemHostGetDevicePointer_v2(&mut device, pointer, 0));
    assert_eq!(
        add(function(module(), "add"), device, 4, 4096, null_mut()),
        SUCCESS
    );
    ok!(cuCtxSynchronize());
    assert!(memory.iter().all(|&word| word == 5));
    ok!(cuMemHostUnregister(pointer));
    assert_eq!(cu!(cuMemHostUnregister(pointer)), 713);
}

/// Properties of device memory.
fn properties() -> sys::CUmemAllocationProp {
    // SAFETY: all zeros are valid for the integers and pointers; the enumerations are replaced.
    let mut properties: sys::CUmemAllocationProp = unsafe { std::mem::zeroed() };
    properties.type_ = sys::CUmemAllocationType::CU_MEM_ALLOCATION_TYPE_PINNED;
    properties.location.type_ = sys::CUmemLocationType::CU_MEM_LOCATION_TYPE_DEVICE;
    properties
}

#[test]
fn a_large_window_is_mapped_in_pieces() {
    const WINDOW: usize = 64 << 30;
    const PIECE: usize = 2 << 20;
    let _context = Context::new();
    let properties = properties();
    let properties: *const c_void = (&raw const properties).cast();
    let mut granularity = 0;
    ok!(cuMemGetAllocationGranularity(
        &mut granularity,
        properties,
        0
    ));
    assert_eq!(granularity, PIECE);
    let mut window = 0;
    ok!(cuMemAddressReserve(&mut window, WINDOW, 0, 0, 0));
    let access = sys::CUmemAccessDesc {
        location: sys::CUmemLocation {
            type_: sys::CUmemLocationType::CU_MEM_LOCATION_TYPE_DEVICE,
            id: 0,
        },
        flags: sys::CUmemAccess_flags::CU_MEM_ACCESS_FLAGS_PROT_READWRITE,
    };
    let places = [window, window + PIECE as u64, window + (40 << 30)];
    let mut handles = Vec::new();
    for place in places {
        let mut handle = 0;
        ok!(cuMemCreate(&mut handle, PIECE, properties, 0));
        ok!(cuMemMap(place, PIECE, 0, handle, 0));
        assert_eq!(
            cu!(cuMemsetD8_v2(place, 1, 1)),
            INVALID_VALUE,
            "no access yet"
        );
        ok!(cuMemSetAccess(place, PIECE, (&raw const access).cast(), 1));
        ok!(cuMemsetD8_v2(place, 1, PIECE));
        handles.push(handle);
    }
    // Across two mappings side by side, and not beyond them.
    ok!(cuMemsetD32_v2(window + PIECE as u64 - 8, 9, 4));
    assert_eq!(words(window + PIECE as u64 - 8, 4), [9; 4]);
    assert_eq!(
        cu!(cuMemsetD8_v2(window + PIECE as u64, 1, PIECE + 1)),
        INVALID_VALUE
    );
    assert_eq!(
        cu!(cuMemMap(places[0], PIECE, 0, handles[1], 0)),
        INVALID_VALUE
    );
    assert_eq!(
        cu!(cuMemAddressFree(window, WINDOW)),
        INVALID_VALUE,
        "mappings are in it"
    );
    for (place, handle) in places.into_iter().zip(handles) {
        ok!(cuMemUnmap(place, PIECE));
        ok!(cuMemRelease(handle));
        assert_eq!(cu!(cuMemRelease(handle)), INVALID_VALUE);
    }
    ok!(cuMemAddressFree(window, WINDOW));
}

#[test]
fn the_host_may_be_given_access_to_mapped_memory() {
    const SIZE: usize = 4 << 20;
    let _context = Context::new();
    let properties = properties();
    let (mut window, mut handle) = (0, 0);
    ok!(cuMemAddressReserve(&mut window, SIZE, 0, 0, 0));
    ok!(cuMemCreate(
        &mut handle,
        SIZE,
        (&raw const properties).cast(),
        0
    ));
    ok!(cuMemMap(window, SIZE, 0, handle, 0));
    let access = |type_, flags| sys::CUmemAccessDesc {
        location: sys::CUmemLocation { type_, id: 0 },
        flags,
    };
    let both = [
        access(
            sys::CUmemLocationType::CU_MEM_LOCATION_TYPE_DEVICE,
            sys::CUmemAccess_flags::CU_MEM_ACCESS_FLAGS_PROT_READWRITE,
        ),
        access(
            sys::CUmemLocationType::CU_MEM_LOCATION_TYPE_HOST,
            sys::CUmemAccess_flags::CU_MEM_ACCESS_FLAGS_PROT_READWRITE,
        ),
    ];
    ok!(cuMemSetAccess(
        window,
        SIZE,
        both.as_ptr().cast(),
        both.len()
    ));
    ok!(cuMemsetD32_v2(window, 7, SIZE / 4));
    ok!(cuCtxSynchronize());
    // SAFETY: the mapping is accessible to the host now, and nothing else uses it.
    let seen = unsafe { std::slice::from_raw_parts_mut(window as usize as *mut u32, SIZE / 4) };
    assert!(seen.iter().all(|&word| word == 7));
    seen[SIZE / 8] = 9;
    assert_eq!(words(window + SIZE as u64 / 2, 1), [9]);
    ok!(cuMemUnmap(window, SIZE));
    // A second mapping at the address is as inaccessible as the first was.
    ok!(cuMemMap(window, SIZE, 0, handle, 0));
    let mut page = [0_u8];
    let at = |address: u64| libc::iovec {
        iov_base: address as usize as *mut c_void,
        iov_len: 1,
    };
    let (local, remote) = (at(page.as_mut_ptr() as u64), at(window));
    // SAFETY: both vectors are live; the kernel checks the addresses.
    let read = unsafe {
        libc::process_vm_readv(libc::getpid(), &raw const local, 1, &raw const remote, 1, 0)
    };
    assert_eq!(read, -1, "no access");
    ok!(cuMemUnmap(window, SIZE));
    ok!(cuMemRelease(handle));
    ok!(cuMemAddressFree(window, SIZE));
}

#[test]
fn pools_count_what_is_used() {
    let _context = Context::new();
    let mut pool = null_mut();
    // SAFETY: all zeros are valid for the integers and pointers; the enumerations are replaced.
    let mut wanted: sys::CUmemPoolProps = unsafe { std::mem::zeroed() };
    wanted.allocType = sys::CUmemAllocationType::CU_MEM_ALLOCATION_TYPE_PINNED;
    wanted.location.type_ = sys::CUmemLocationType::CU_MEM_LOCATION_TYPE_DEVICE;
    ok!(cuMemPoolCreate(&mut pool, (&raw const wanted).cast()));
    let used = || {
        let mut values = [0u64; 2];
        for (value, attribute) in values.iter_mut().zip([7, 8]) {
            ok!(cuMemPoolGetAttribute(
                pool,
                attribute,
                (&raw mut *value).cast()
            ));
        }
        values
    };
    let stream = stream(0);
    let mut address = 0;
    ok!(cuMemAllocFromPoolAsync(&mut address, 5000, pool, stream));
    ok!(cuMemsetD8Async(address, 1, 5000, stream));
    assert_eq!(used(), [5000, 5000]);
    let spin = Spin::start(module(), stream);
    ok!(cuMemFreeAsync(address, stream));
    assert_eq!(used(), [5000, 5000], "the stream has not got there");
    assert_eq!(cu!(cuMemFreeAsync(address, stream)), INVALID_VALUE);
    spin.stop();
    ok!(cuStreamSynchronize(stream));
    assert_eq!(used(), [0, 5000]);
    let mut zero = 0u64;
    ok!(cuMemPoolSetAttribute(pool, 8, (&raw mut zero).cast()));
    assert_eq!(used(), [0, 0]);
    ok!(cuMemPoolDestroy(pool));
    assert_eq!(cu!(cuMemPoolTrimTo(pool, 0)), INVALID_VALUE);
}

const REUSE_OPPORTUNISTIC: u32 = 2;
const RELEASE_THRESHOLD: u32 = 4;
const RESERVED: u32 = 5;
const RESERVED_HIGH: u32 = 6;
const USED: u32 = 7;

/// A pool of device 0 that holds at most `most` bytes, 0 for no limit.
fn pool(most: usize) -> Handle {
    let mut props = std::mem::MaybeUninit::<sys::CUmemPoolProps>::zeroed();
    let raw = props.as_mut_ptr();
    // SAFETY: fields of a local, written as the integers that they are in C.
    unsafe {
        (&raw mut (*raw).allocType).cast::<u32>().write(1);
        (&raw mut (*raw).location.type_).cast::<u32>().write(1);
        (&raw mut (*raw).maxSize).write(most);
    }
    let mut pool = null_mut();
    ok!(cuMemPoolCreate(&mut pool, raw.cast_const().cast()));
    pool
}

fn pool_value(pool: Handle, attribute: u32) -> u64 {
    let mut value = 0u64;
    let out = (&raw mut value).cast();
    ok!(cuMemPoolGetAttribute(pool, attribute, out));
    value
}

fn set_pool(pool: Handle, attribute: u32, mut value: u64) -> u32 {
    cu!(cuMemPoolSetAttribute(
        pool,
        attribute,
        (&raw mut value).cast()
    ))
}

fn from_pool(pool: Handle, size: usize, stream: Handle) -> u64 {
    let mut address = 0;
    ok!(cuMemAllocFromPoolAsync(&mut address, size, pool, stream));
    address
}

#[test]
fn a_pool_keeps_up_to_its_threshold() {
    const SIZE: usize = 4 << 20;
    let _context = Context::new();
    let (pool, stream) = (pool(0), stream(1));
    let (first, second) = (from_pool(pool, SIZE, stream), from_pool(pool, SIZE, stream));
    assert_eq!(pool_value(pool, USED), 2 * SIZE as u64);
    assert!(pool_value(pool, RESERVED) >= 2 * SIZE as u64);
    assert_eq!(set_pool(pool, RELEASE_THRESHOLD, SIZE as u64), SUCCESS);
    ok!(cuMemFreeAsync(first, stream));
    ok!(cuMemFreeAsync(second, stream));
    ok!(cuStreamSynchronize(stream));
    assert_eq!(pool_value(pool, USED), 0);
    assert_eq!(pool_value(pool, RESERVED), SIZE as u64);
    assert_eq!(pool_value(pool, RESERVED_HIGH), 2 * SIZE as u64);
    // What is kept is used again, by any stream.
    let again = from_pool(pool, SIZE - 100, null_mut());
    assert!(again == first || again == second);
    assert_eq!(pool_value(pool, RESERVED), SIZE as u64);
    ok!(cuMemFreeAsync(again, null_mut()));
    ok!(cuStreamSynchronize(null_mut()));
    ok!(cuMemPoolTrimTo(pool, 1));
    assert_eq!(pool_value(pool, RESERVED), SIZE as u64, "never below");
    ok!(cuMemPoolTrimTo(pool, 0));
    assert_eq!(pool_value(pool, RESERVED), 0);
    assert_eq!(set_pool(pool, RESERVED_HIGH, 1), INVALID_VALUE);
    assert_eq!(set_pool(pool, RESERVED_HIGH, 0), SUCCESS);
    assert_eq!(pool_value(pool, RESERVED_HIGH), 0);
    ok!(cuMemPoolDestroy(pool));
    assert_eq!(cu!(cuMemPoolDestroy(pool)), INVALID_VALUE);
}

#[test]
fn a_stream_reuses_what_it_has_freed() {
    const SIZE: usize = 4 << 20;
    let _context = Context::new();
    let pool = pool(2 * SIZE);
    let (spinning, other) = (stream(1), stream(1));
    let spin = Spin::start(module(), spinning);
    let mut address = from_pool(pool, SIZE, spinning);
    // Nothing is done in the stream yet, and all of it takes the memory of one.
    for _ in 0..50 {
        ok!(cuMemFreeAsync(address, spinning));
        address = from_pool(pool, SIZE, spinning);
    }
    assert_eq!(pool_value(pool, RESERVED), SIZE as u64);
    ok!(cuMemFreeAsync(address, spinning));
    // Another stream has no part in that.
    let theirs = from_pool(pool, SIZE, other);
    assert_ne!(theirs, address);
    assert_eq!(pool_value(pool, RESERVED), 2 * SIZE as u64);
    spin.stop();
    ok!(cuStreamSynchronize(spinning));
    assert_eq!(pool_value(pool, RESERVED), SIZE as u64);
    // No more than the pool may hold.
    let most = from_pool(pool, SIZE, other);
    let mut none = 0;
    let full = cu!(cuMemAllocFromPoolAsync(&mut none, SIZE, pool, other));
    assert_eq!(full, OUT_OF_MEMORY);
    ok!(cuMemFreeAsync(most, other));
    ok!(cuMemFreeAsync(theirs, other));
    ok!(cuMemPoolDestroy(pool));
}

#[test]
fn memory_that_a_pool_keeps_can_be_had() {
    let _context = Context::new();
    let pool = pool(0);
    let (mut free, mut total) = (0, 0);
    ok!(cuMemGetInfo_v2(&mut free, &mut total));
    assert_eq!(set_pool(pool, RELEASE_THRESHOLD, u64::MAX), SUCCESS);
    let most = (total / 4 * 3) >> 21 << 21;
    let kept = from_pool(pool, most, null_mut());
    ok!(cuMemFreeAsync(kept, null_mut()));
    ok!(cuCtxSynchronize());
    assert_eq!(pool_value(pool, RESERVED), most as u64);
    let mut plain = 0;
    ok!(cuMemAlloc_v2(&mut plain, most));
    assert_eq!(pool_value(pool, RESERVED), 0);
    ok!(cuMemFree_v2(plain));
    ok!(cuMemPoolDestroy(pool));
}

#[test]
fn reuse_flags_are_remembered() {
    let _context = Context::new();
    let pool = pool(0);
    let mut flag = 0u32;
    let out = (&raw mut flag).cast();
    ok!(cuMemPoolGetAttribute(pool, REUSE_OPPORTUNISTIC, out));
    assert_eq!(flag, 1, "default enabled");
    ok!(cuMemPoolDestroy(pool));
}
