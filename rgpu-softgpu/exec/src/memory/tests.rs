//! Tests of device memory, each in a window of its own so that they can run side by side.

use super::*;

/// Windows apart from each other and from the real one.
fn devices(capacities: &[u64]) -> Vec<DeviceMemory> {
    static NEXT: AtomicU64 = AtomicU64::new(0x2800_0000_0000);
    let base = NEXT.fetch_add(1 << 34, Ordering::Relaxed);
    DeviceMemory::at(base, 1 << 33, capacities).unwrap()
}

fn memory(capacity: u64) -> DeviceMemory {
    devices(&[capacity]).pop().unwrap()
}

fn write(memory: &DeviceMemory, to: u64, bytes: &[u8]) -> Result<()> {
    // SAFETY: a slice is readable.
    unsafe { memory.copy_in(to, bytes.as_ptr(), bytes.len() as u64) }
}

fn read(memory: &DeviceMemory, from: u64, size: usize) -> Result<Vec<u8>> {
    let mut bytes = vec![0; size];
    // SAFETY: a vector is writable.
    unsafe { memory.copy_out(bytes.as_mut_ptr(), from, size as u64) }?;
    Ok(bytes)
}

#[test]
fn allocations_are_aligned_apart_and_readable() {
    let memory = memory(1 << 30);
    let small = memory.allocate(100).unwrap();
    let next = memory.allocate(700).unwrap();
    let large = memory.allocate(5 << 20).unwrap();
    assert!(small.is_multiple_of(512) && next >= small + 512 && large.is_multiple_of(UNIT));
    write(&memory, large + 17, b"hello").unwrap();
    memory.copy_within(small + 3, large + 17, 5).unwrap();
    assert_eq!(read(&memory, small + 3, 5).unwrap(), b"hello");
    assert_eq!(memory.find(large + (5 << 20) - 1).unwrap().base, large);
    assert!(memory.find(large + (5 << 20)).is_none());
    assert!(memory.find(small + 100).is_none());
}

#[test]
fn copies_stay_inside_one_allocation() {
    let memory = memory(1 << 30);
    let first = memory.allocate(512).unwrap();
    let second = memory.allocate(512).unwrap();
    assert_eq!(second, first + 512);
    assert!(matches!(
        read(&memory, first, 513),
        Err(MemoryError::NotAllocated)
    ));
    assert!(matches!(
        write(&memory, first - 1, b"xx"),
        Err(MemoryError::NotAllocated)
    ));
    assert!(matches!(
        memory.fill(second, &[1, 2], 257),
        Err(MemoryError::NotAllocated)
    ));
    assert!(matches!(
        memory.pin(u64::MAX - 3, 8, Access::Read),
        Err(MemoryError::NotAllocated)
    ));
    memory.fill(second, &[1, 2], 256).unwrap();
    assert_eq!(read(&memory, second + 510, 2).unwrap(), [1, 2]);
}

#[test]
fn the_cap_is_exact_and_freeing_gives_back() {
    let memory = memory(64 << 20);
    let most = memory.allocate((64 << 20) - 512).unwrap();
    assert!(matches!(
        memory.allocate(513),
        Err(MemoryError::OutOfMemory)
    ));
    let rest = memory.allocate(512).unwrap();
    assert!(matches!(memory.allocate(1), Err(MemoryError::OutOfMemory)));
    assert!(matches!(
        memory.create_physical(UNIT),
        Err(MemoryError::OutOfMemory)
    ));
    memory.release(most).unwrap();
    assert_eq!(memory.used(), 512);
    assert!(matches!(
        memory.release(most),
        Err(MemoryError::NotAllocated)
    ));
    assert!(matches!(
        memory.release(rest + 1),
        Err(MemoryError::NotAllocated)
    ));
    memory.release(rest).unwrap();
    assert_eq!(memory.used(), 0);
    assert!(matches!(memory.allocate(0), Err(MemoryError::Invalid(_))));
    assert!(matches!(
        memory.allocate(u64::MAX),
        Err(MemoryError::OutOfMemory)
    ));
}

#[test]
fn physical_memory_shows_at_two_addresses() {
    let memory = memory(64 << 20);
    let physical = memory.create_physical(2 * UNIT).unwrap();
    let base = memory.reserve(8 * UNIT, 0, 0).unwrap();
    memory.map(base, 2 * UNIT, &physical, 0).unwrap();
    memory.map(base + 4 * UNIT, 2 * UNIT, &physical, 0).unwrap();
    assert!(matches!(
        write(&memory, base, b"x"),
        Err(MemoryError::NoAccess)
    ));
    memory
        .set_access(base, 2 * UNIT, Access::ReadWrite)
        .unwrap();
    memory
        .set_access(base + 4 * UNIT, 2 * UNIT, Access::Read)
        .unwrap();
    write(&memory, base + UNIT, b"alias").unwrap();
    assert_eq!(read(&memory, base + 5 * UNIT, 5).unwrap(), b"alias");
    assert!(matches!(
        write(&memory, base + 4 * UNIT, b"x"),
        Err(MemoryError::NoAccess)
    ));

    assert!(matches!(
        memory.map(base, UNIT, &physical, 0),
        Err(MemoryError::InUse)
    ));
    assert!(matches!(
        memory.map(base + 8 * UNIT, UNIT, &physical, 0),
        Err(MemoryError::NotAllocated)
    ));
    assert!(matches!(
        memory.map(base + 2 * UNIT, 2 * UNIT, &physical, UNIT),
        Err(MemoryError::Invalid(_))
    ));
    assert!(matches!(
        memory.unmap(base, UNIT),
        Err(MemoryError::NotAllocated)
    ));
    assert!(matches!(
        memory.unreserve(base, 8 * UNIT),
        Err(MemoryError::InUse)
    ));
    assert!(matches!(
        memory.release(base),
        Err(MemoryError::NotAllocated)
    ));

    memory.unmap(base, 2 * UNIT).unwrap();
    memory.unmap(base + 4 * UNIT, 2 * UNIT).unwrap();
    memory.unreserve(base, 8 * UNIT).unwrap();
    assert_eq!(memory.used(), 2 * UNIT);
    drop(physical);
    assert_eq!(memory.used(), 0);
}

#[test]
fn copies_cross_mappings_side_by_side_but_no_gap() {
    let memory = memory(64 << 20);
    let base = memory.reserve(4 * UNIT, 0, 0).unwrap();
    for unit in [0, 1, 3] {
        let physical = memory.create_physical(UNIT).unwrap();
        memory.map(base + unit * UNIT, UNIT, &physical, 0).unwrap();
        memory
            .set_access(base + unit * UNIT, UNIT, Access::ReadWrite)
            .unwrap();
    }
    write(&memory, base + UNIT - 2, b"seam").unwrap();
    assert_eq!(read(&memory, base + UNIT - 2, 4).unwrap(), b"seam");
    assert!(matches!(
        write(&memory, base + 2 * UNIT - 2, b"hole"),
        Err(MemoryError::NotAllocated)
    ));
}

#[test]
fn hints_are_kept_when_free() {
    let memory = memory(64 << 20);
    let somewhere = memory.reserve(UNIT, 0, 0).unwrap();
    let hint = somewhere + 100 * UNIT;
    assert_eq!(memory.reserve(4 * UNIT, 0, hint).unwrap(), hint);
    assert_ne!(memory.reserve(UNIT, 0, hint).unwrap(), hint);
    let aligned = memory.reserve(UNIT, 1 << 30, 0).unwrap();
    assert!(aligned.is_multiple_of(1 << 30));
    assert_eq!(memory.find_reservation(hint + UNIT), Some((hint, 4 * UNIT)));
    assert!(matches!(
        memory.reserve(UNIT + 1, 0, 0),
        Err(MemoryError::Invalid(_))
    ));
    assert!(matches!(
        memory.unreserve(hint, UNIT),
        Err(MemoryError::NotAllocated)
    ));
}

#[test]
fn a_pin_outlives_the_allocation() {
    let memory = memory(64 << 20);
    let base = memory.allocate(4 << 20).unwrap();
    let pin = memory.pin(base, 4 << 20, Access::ReadWrite).unwrap();
    memory.release(base).unwrap();
    assert!(memory.find(base).is_none());
    assert_eq!(memory.used(), 4 << 20);
    // SAFETY: pinned.
    unsafe { pin.host().write_volatile(1) };
    drop(pin);
    assert_eq!(memory.used(), 0);
    assert_eq!(memory.allocate(4 << 20).unwrap(), base);
}

#[test]
fn the_window_cannot_be_reserved_twice() {
    let first = DeviceMemory::at(0x2700_0000_0000, 1 << 32, &[1 << 20]).unwrap();
    assert!(matches!(
        DeviceMemory::at(0x2700_0000_0000, 1 << 32, &[1 << 20]),
        Err(MemoryError::Os(_))
    ));
    drop(first);
    DeviceMemory::at(0x2700_0000_0000, 1 << 32, &[1 << 20]).unwrap();
}

#[test]
fn the_heap_frees_what_it_gave() {
    let memory = memory(64 << 20);
    let heap = Heap::new(memory.clone(), 1 << 20);
    assert_eq!(memory.used(), 0);
    heap.set_limit(2 << 20).unwrap();
    let first = heap.allocate(100).unwrap();
    assert!(first.is_multiple_of(16));
    assert!(heap.allocate(2 << 20).is_none());
    assert!(heap.set_limit(1).is_err());
    assert!(!heap.free(first + 16));
    assert!(heap.free(first));
    assert!(!heap.free(first));
    assert_eq!(heap.allocate(2 << 20), Some(first));
}

/// A byte as the device's kernels would find it: `None` where they would fault. The system call fails where the access
/// would.
fn kernel_reads(memory: &DeviceMemory, address: u64) -> Option<u8> {
    let from = libc::iovec {
        iov_base: std::ptr::with_exposed_provenance_mut(
            address.wrapping_add(memory.global_delta()) as usize,
        ),
        iov_len: 1,
    };
    let mut byte = 0_u8;
    let to = libc::iovec {
        iov_base: (&raw mut byte).cast(),
        iov_len: 1,
    };
    // SAFETY: `to` is a local; the kernel checks `from`.
    let got = unsafe { libc::process_vm_readv(libc::getpid(), &to, 1, &from, 1, 0) };
    (got == 1).then_some(byte)
}

#[test]
fn a_peer_sees_what_it_is_shown() {
    let devices = devices(&[64 << 20, 32 << 20]);
    let (first, second) = (&devices[0], &devices[1]);
    assert_eq!((first.capacity(), second.capacity()), (64 << 20, 32 << 20));
    let small = first.allocate(100).unwrap();
    let large = first.allocate(5 << 20).unwrap();
    write(second, small, b"s").unwrap();
    write(second, large + (4 << 20), b"l").unwrap();
    assert_eq!((first.used(), second.used()), ((5 << 20) + 512, 0));
    assert_eq!(second.find(large + 1).unwrap().device, 0);
    let seen = |address| kernel_reads(second, address);
    assert_eq!(kernel_reads(first, small), Some(b's'));
    assert_eq!((seen(small), seen(large + (4 << 20))), (None, None));
    assert_eq!(second.access(large), Some(Access::None));

    first.show(0, second).unwrap();
    first.show(0, second).unwrap();
    assert!(second.sees(0, first) && !first.sees(0, second));
    assert_eq!(
        (seen(small), seen(large + (4 << 20))),
        (Some(b's'), Some(b'l'))
    );
    assert_eq!(second.access(large), Some(Access::ReadWrite));
    let later = first.allocate(3 << 20).unwrap();
    write(first, later, b"n").unwrap();
    assert_eq!(seen(later), Some(b'n'));
    // Not in the other direction.
    let theirs = second.allocate(2 << 20).unwrap();
    assert_eq!(kernel_reads(first, theirs), None);

    first.release(large).unwrap();
    assert_eq!(seen(large), None);
    first.hide(0, second);
    assert_eq!((seen(small), seen(later)), (None, None));
    assert_eq!(kernel_reads(first, small), Some(b's'));
}

#[test]
fn a_pool_is_shown_by_itself() {
    let devices = devices(&[64 << 20, 64 << 20]);
    let (first, second) = (&devices[0], &devices[1]);
    let plain = first.allocate(100).unwrap();
    let pooled = first.allocate_in(7, 100).unwrap();
    first.show(7, second).unwrap();
    assert_eq!(kernel_reads(second, pooled), Some(0));
    assert_eq!(kernel_reads(second, plain), None);
    first.release(pooled).unwrap();
    assert_eq!(kernel_reads(second, pooled), None);
}

#[test]
fn a_mapping_has_an_access_for_each_device() {
    let devices = devices(&[64 << 20, 64 << 20]);
    let (first, second) = (&devices[0], &devices[1]);
    let physical = second.create_physical(UNIT).unwrap();
    let base = first.reserve(UNIT, 0, 0).unwrap();
    first.map(base, UNIT, &physical, 0).unwrap();
    assert_eq!((first.used(), second.used()), (0, UNIT));
    first.set_access(base, UNIT, Access::Read).unwrap();
    assert!(matches!(
        write(first, base, b"x"),
        Err(MemoryError::NoAccess)
    ));
    second.set_access(base, UNIT, Access::ReadWrite).unwrap();
    write(first, base, b"x").unwrap();
    assert_eq!(kernel_reads(first, base), Some(b'x'));
    assert_eq!(first.access(base), Some(Access::Read));
    assert_eq!(second.access(base), Some(Access::ReadWrite));
    first.set_access(base, UNIT, Access::None).unwrap();
    assert_eq!(kernel_reads(first, base), None);
    assert_eq!(kernel_reads(second, base), Some(b'x'));
    assert_eq!(first.find(base).unwrap().device, 1);
}

#[test]
fn retired_memory_is_no_allocation_but_comes_back() {
    let memory = memory(64 << 20);
    let base = memory.allocate_in(3, 4 << 20).unwrap();
    memory.resize(base, 100).unwrap();
    assert_eq!(memory.find(base).unwrap().size, 100);
    let id = memory.find(base).unwrap().id;
    write(&memory, base, b"kept").unwrap();
    assert!(memory.retire(base).unwrap());
    assert!(memory.find(base).is_none());
    assert!(matches!(
        read(&memory, base, 4),
        Err(MemoryError::NotAllocated)
    ));
    assert_eq!(memory.used(), 4 << 20);
    assert!(matches!(
        memory.release(base),
        Err(MemoryError::NotAllocated)
    ));
    memory.revive(base, 4 << 20).unwrap();
    assert_eq!(read(&memory, base, 4).unwrap(), b"kept");
    assert_ne!(memory.find(base).unwrap().id, id);
    assert!(memory.resize(base, (4 << 20) + 1).is_err());
    assert!(memory.retire(base).unwrap());
    memory.discard(base).unwrap();
    assert_eq!(memory.used(), 0);
    assert!(memory.discard(base).is_err());

    let base = memory.allocate_in(3, 100).unwrap();
    let pin = memory.pin(base, 100, Access::Read).unwrap();
    assert!(!memory.retire(base).unwrap());
    drop(pin);
    assert_eq!(memory.used(), 0);
}
