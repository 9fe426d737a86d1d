//! What a faulty kernel becomes.

use super::*;
use crate::abi::{
    DEVICE_WINDOW_BASE, DEVICE_WINDOW_SIZE, LOCAL_WINDOW_BASE, PARAM_WINDOW_BASE,
    SHARED_WINDOW_BASE,
};

fn both(entry: KernelFn, grid: u32, block: u32, argument: &AtomicU64) -> Fault {
    let pool = pool(2);
    let plain = fault(run(&pool, kernel(entry, false), grid, block, argument));
    let meeting = fault(run(&pool, kernel(entry, true), grid, block, argument));
    assert_eq!(plain.trap, meeting.trap);
    assert_eq!(plain.address, meeting.address);
    // The pool is none the worse for it.
    unsafe extern "C" fn fine(_: Ctx) {}
    run(&pool, kernel(fine, true), 3, 64, argument).unwrap();
    meeting
}

fn translate(ctx: Ctx, address: u64, width: u32, write: u32) -> *mut u8 {
    call!(translate: fn(Ctx, u64, u32, u32) -> *mut u8; ctx, address, width, write)
}

/// Thread 5 of block 1 writes to the address in the argument, the way compiled code does.
unsafe extern "C" fn poke(ctx: Ctx) {
    if context(ctx).tid[0] == 5 && context(ctx).ctaid[0] == 1 {
        let address = argument::<AtomicU64>(ctx).load(Ordering::Relaxed);
        let host = if address.wrapping_sub(DEVICE_WINDOW_BASE) < DEVICE_WINDOW_SIZE {
            std::ptr::with_exposed_provenance_mut(
                address.wrapping_add(context(ctx).global_delta) as usize
            )
        } else {
            translate(ctx, address, 4, 1)
        };
        // SAFETY: not safe at all: the point of the test.
        unsafe { host.cast::<u32>().write_volatile(1) };
    }
}

#[test]
fn a_wild_write_says_where() {
    let wild = DEVICE_WINDOW_BASE + DEVICE_WINDOW_SIZE - 4096;
    let fault = both(poke, 2, 33, &AtomicU64::new(wild));
    assert_eq!(
        (fault.trap, fault.address),
        (Trap::IllegalAddress, Some(wild))
    );
    assert_eq!(
        (fault.block, fault.thread, &*fault.kernel),
        ([1, 0, 0], [5, 0, 0], "test")
    );
    let message = fault.to_string();
    assert_eq!(
        message,
        "kernel test, block [1,0,0], thread [5,0,0]: access outside any allocation at 0x20fffffff000"
    );
}

#[test]
fn freed_memory_is_wild() {
    let memory = device().memory();
    let address = memory.allocate(16 << 20).unwrap();
    run(
        &pool(1),
        kernel(poke, false),
        2,
        6,
        &AtomicU64::new(address),
    )
    .unwrap();
    memory.release(address).unwrap();
    assert_eq!(
        both(poke, 2, 6, &AtomicU64::new(address)).address,
        Some(address)
    );
}

#[test]
fn generic_addresses_are_checked() {
    for bad in [
        0,
        0x1234,
        u64::MAX - 3,
        SHARED_WINDOW_BASE + 4096,
        LOCAL_WINDOW_BASE + 64,
        PARAM_WINDOW_BASE,
        DEVICE_WINDOW_BASE + DEVICE_WINDOW_SIZE,
    ] {
        let fault = both(poke, 2, 6, &AtomicU64::new(bad));
        assert_eq!(
            (fault.trap, fault.address),
            (Trap::IllegalAddress, Some(bad)),
            "{bad:#x}"
        );
    }
    for good in [SHARED_WINDOW_BASE + 4092, LOCAL_WINDOW_BASE + 60] {
        run(&pool(1), kernel(poke, true), 2, 6, &AtomicU64::new(good)).unwrap();
    }
    let fault = both(poke, 2, 6, &AtomicU64::new(SHARED_WINDOW_BASE + 2));
    assert_eq!(
        (fault.trap, fault.address),
        (Trap::MisalignedAddress, Some(SHARED_WINDOW_BASE + 2))
    );
}

#[test]
fn offsets_in_small_spaces_are_checked() {
    unsafe extern "C" fn entry(ctx: Ctx) {
        let offset = argument::<AtomicU64>(ctx).load(Ordering::Relaxed);
        call!(translate_param: fn(Ctx, u64, u32, u32) -> *mut u8; ctx, 0, 8, 0);
        call!(translate_local: fn(Ctx, u64, u32, u32) -> *mut u8; ctx, 0, 4, 1);
        call!(translate_shared: fn(Ctx, u64, u32, u32) -> *mut u8; ctx, offset, 8, 1);
    }
    run(&pool(1), kernel(entry, false), 1, 1, &AtomicU64::new(4088)).unwrap();
    // The last one would be local memory, if it were added to the window's base.
    for bad in [4096, u64::MAX - 7, LOCAL_WINDOW_BASE - SHARED_WINDOW_BASE] {
        assert_eq!(
            both(entry, 1, 1, &AtomicU64::new(bad)).trap,
            Trap::IllegalAddress
        );
    }
    assert_eq!(
        both(entry, 1, 1, &AtomicU64::new(4)).trap,
        Trap::MisalignedAddress
    );
}

#[test]
fn recursion_without_end_exhausts_the_stack() {
    unsafe extern "C" fn entry(ctx: Ctx) {
        fn down(stop: &AtomicU64, depth: u64) -> u64 {
            let frame = std::hint::black_box([depth; 64]);
            if stop.load(Ordering::Relaxed) == depth {
                return 0;
            }
            down(stop, depth + 1) + std::hint::black_box(frame)[depth as usize % 64]
        }
        std::hint::black_box(down(argument(ctx), 0));
    }
    assert_eq!(
        both(entry, 2, 40, &AtomicU64::new(u64::MAX)).trap,
        Trap::StackOverflow
    );
}

#[test]
fn local_memory_can_be_used_up() {
    unsafe extern "C" fn entry(ctx: Ctx) {
        let first = call!(local_alloc: fn(Ctx, u64, u64) -> u64; ctx, 5, 1);
        let second = call!(local_alloc: fn(Ctx, u64, u64) -> u64; ctx, 16, 16);
        assert_eq!((first, second), (0, 16));
        let size = argument::<AtomicU64>(ctx).load(Ordering::Relaxed);
        call!(local_alloc: fn(Ctx, u64, u64) -> u64; ctx, size, 1);
    }
    run(&pool(1), kernel(entry, true), 1, 33, &AtomicU64::new(32)).unwrap();
    assert_eq!(
        both(entry, 1, 33, &AtomicU64::new(33)).trap,
        Trap::StackOverflow
    );
    assert_eq!(
        both(entry, 1, 33, &AtomicU64::new(u64::MAX)).trap,
        Trap::StackOverflow
    );
}

#[test]
fn calling_what_is_no_function() {
    unsafe extern "C" fn entry(ctx: Ctx) {
        let address = argument::<AtomicU64>(ctx).load(Ordering::Relaxed) as usize;
        // SAFETY: not safe at all: the point of the test.
        unsafe { std::mem::transmute::<usize, extern "C" fn()>(address)() };
    }
    assert_eq!(
        both(entry, 1, 1, &AtomicU64::new(0x4000)).trap,
        Trap::InvalidPc
    );
}

#[test]
#[cfg(target_arch = "x86_64")]
fn an_undefined_instruction() {
    unsafe extern "C" fn entry(_: Ctx) {
        // SAFETY: raises SIGILL, the point of the test.
        unsafe { std::arch::asm!("ud2") };
    }
    assert_eq!(
        both(entry, 1, 2, &AtomicU64::new(0)).trap,
        Trap::IllegalInstruction
    );
}

#[test]
fn a_trap_stops_the_whole_grid() {
    unsafe extern "C" fn entry(ctx: Ctx) {
        argument::<AtomicU64>(ctx).fetch_add(1, Ordering::Relaxed);
        if context(ctx).ctaid[0] == 0 {
            call!(trap: fn(Ctx, u32); ctx, Trap::Trap.code());
            unreachable!();
        }
        loop {
            yield_now(ctx);
        }
    }
    let started = AtomicU64::new(0);
    assert_eq!(both(entry, 500, 8, &started).trap, Trap::Trap);
    assert!(started.into_inner() < 2 * 500 * 8);
}

#[test]
fn waiting_for_what_cannot_come_is_a_fault() {
    unsafe extern "C" fn entry(ctx: Ctx) {
        let tid = context(ctx).tid[0];
        if tid == 3 {
            call!(bar_warp_sync: fn(Ctx, u32); ctx, u32::MAX);
        }
        sync(ctx);
    }
    let fault = fault(run(
        &pool(2),
        kernel(entry, true),
        3,
        64,
        &AtomicU64::new(0),
    ));
    assert_eq!((fault.trap, fault.thread), (Trap::Deadlock, [0, 0, 0]));
}

#[test]
fn a_barrier_that_does_not_exist() {
    unsafe extern "C" fn entry(ctx: Ctx) {
        call!(bar_sync: fn(Ctx, u32, u32); ctx, 16, 0);
    }
    assert_eq!(
        both(entry, 1, 2, &AtomicU64::new(0)).trap,
        Trap::IllegalInstruction
    );
}
