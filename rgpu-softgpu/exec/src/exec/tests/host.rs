//! Printing, assertions, the heap, host memory.

use std::ffi::CStr;
use std::sync::Mutex;

use super::*;
use crate::abi::LOCAL_WINDOW_BASE;
use crate::output::{Channel, Sink};

/// What was written, for tests to read. The device is one for all tests, so they take turns.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<(Channel, String)>>>);

impl Sink for Written {
    fn write(&mut self, channel: Channel, bytes: &[u8]) {
        self.0
            .lock()
            .unwrap()
            .push((channel, String::from_utf8_lossy(bytes).into_owned()));
    }
}

fn printed(
    entry: KernelFn,
    threads_meet: bool,
    grid: u32,
    block: u32,
) -> (Result<(), LaunchError>, Vec<(Channel, String)>) {
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap();
    let (written, strings) = (Written::default(), Strings::new());
    device().output().set_sink(Box::new(written.clone()));
    let result = run(&pool(1), kernel(entry, threads_meet), grid, block, &strings);
    assert!(
        written.0.lock().unwrap().is_empty(),
        "nothing is written before a synchronisation"
    );
    device().output().flush();
    device().output().set_sink(Box::new(output::Stdio));
    let texts = std::mem::take(&mut *written.0.lock().unwrap());
    (result, texts)
}

use crate::output;

/// Strings in device memory, as a module's are.
struct Strings {
    base: u64,
}

impl Strings {
    const TEXTS: [&CStr; 6] = [
        c"block %d thread %d: %s %.2f %c|%5lld\n",
        c"name",
        c"x > 0",
        c"kernel.cu",
        c"void k(int)",
        c"plain\n",
    ];

    fn new() -> Self {
        let base = device().memory().allocate(4096).unwrap();
        for (index, text) in Self::TEXTS.iter().enumerate() {
            let bytes = text.to_bytes_with_nul();
            // SAFETY: a readable string.
            unsafe {
                device().memory().copy_in(
                    base + index as u64 * 128,
                    bytes.as_ptr(),
                    bytes.len() as u64,
                )
            }
            .unwrap();
        }
        Self { base }
    }

    fn at(&self, index: u64) -> u64 {
        self.base + index * 128
    }
}

impl Drop for Strings {
    fn drop(&mut self) {
        device().memory().release(self.base).unwrap();
    }
}

unsafe extern "C" fn print(ctx: Ctx) {
    let strings = argument::<Strings>(ctx);
    let context = context(ctx);
    // SAFETY: local memory has 64 bytes, aligned.
    unsafe {
        let arguments = context.local;
        arguments.cast::<u32>().write(context.ctaid[0]);
        arguments.cast::<u32>().add(1).write(context.tid[0]);
        arguments.cast::<u64>().add(1).write(strings.at(1));
        arguments.cast::<f64>().add(2).write(1.5);
        arguments.cast::<u32>().add(6).write(u32::from(b'z'));
        arguments.cast::<i64>().add(4).write(-7);
    }
    let count = call!(vprintf: fn(Ctx, u64, u64) -> u32; ctx, strings.at(0), LOCAL_WINDOW_BASE);
    assert_eq!(count, 6);
    assert_eq!(
        call!(vprintf: fn(Ctx, u64, u64) -> u32; ctx, 0, 0) as i32,
        -1
    );
}

#[test]
fn printf_in_order() {
    for threads_meet in [false, true] {
        let (result, texts) = printed(print, threads_meet, 2, 2);
        result.unwrap();
        let expected = "block 0 thread 0: name 1.50 z|   -7\nblock 0 thread 1: name 1.50 z|   -7\n\
                        block 1 thread 0: name 1.50 z|   -7\nblock 1 thread 1: name 1.50 z|   -7\n";
        assert_eq!(texts, [(Channel::Out, expected.to_owned())]);
    }
}

/// Fails the assertions of odd threads.
unsafe extern "C" fn assert_even(ctx: Ctx) {
    let strings = argument::<Strings>(ctx);
    if context(ctx).tid[0] % 2 == 1 {
        call!(assertfail: fn(Ctx, u64, u64, u32, u64, u64); ctx, strings.at(2), strings.at(3), 12, strings.at(4), 1);
    }
}

#[test]
fn all_assertions_that_fail_are_printed_and_end_the_launch() {
    unsafe extern "C" fn entry(ctx: Ctx) {
        let strings = argument::<Strings>(ctx);
        call!(vprintf: fn(Ctx, u64, u64) -> u32; ctx, strings.at(5), 0);
        // SAFETY: our own argument.
        unsafe { assert_even(ctx) };
    }
    for threads_meet in [false, true] {
        let (result, texts) = printed(entry, threads_meet, 1, 6);
        let fault = fault(result);
        assert_eq!((fault.trap, fault.thread), (Trap::Assert, [1, 0, 0]));
        let of = |wanted| {
            let texts = texts.iter().filter(|(channel, _)| *channel == wanted);
            texts.map(|(_, text)| text.as_str()).collect::<String>()
        };
        assert_eq!(of(Channel::Out), "plain\n".repeat(6));
        let lines = [1, 3, 5].map(|thread| {
            format!(
                "kernel.cu:12: void k(int): block: [0,0,0], thread: [{thread},0,0] Assertion `x > 0` failed.\n"
            )
        });
        assert_eq!(of(Channel::Err), lines.concat());
    }
}

#[test]
fn assertions_fill_no_more_than_their_buffer() {
    // Blocks of 1024 threads, half of which fail. Two run at once on a multiprocessor; of a large grid more are taken
    // at a time, whose lines of more than 80 bytes do not fit.
    let (_, few) = printed(assert_even, false, 8, 1024);
    let (_, many) = printed(assert_even, false, 1024, 1024);
    let failed = |texts: &[(Channel, String)]| -> String {
        let texts = texts.iter().filter(|(channel, _)| *channel == Channel::Err);
        texts.map(|(_, text)| text.as_str()).collect()
    };
    assert_eq!(failed(&few).lines().count(), 2 * 512);
    assert!(((1 << 20) - 100..=1 << 20).contains(&failed(&many).len()));
}

/// A thread whose assertion failed does not hold up others that end; one that does not end is stopped.
#[test]
fn a_failed_assertion_ends_threads_that_wait() {
    unsafe extern "C" fn entry(ctx: Ctx) {
        let strings = argument::<Strings>(ctx);
        if context(ctx).tid[0] == 0 {
            call!(assertfail: fn(Ctx, u64, u64, u32, u64, u64); ctx, strings.at(2), strings.at(3), 12, strings.at(4), 1);
            return;
        }
        loop {
            call!(yield_: fn(Ctx); ctx);
        }
    }
    let (result, _) = printed(entry, true, 2, 64);
    assert_eq!(fault(result).trap, Trap::Assert);
}

#[test]
fn strings_at_the_end_of_memory() {
    unsafe extern "C" fn entry(ctx: Ctx) {
        let address = argument::<AtomicU64>(ctx).load(Ordering::Relaxed);
        argument::<AtomicU64>(ctx).store(
            u64::from(call!(vprintf: fn(Ctx, u64, u64) -> u32; ctx, address, 0)),
            Ordering::Relaxed,
        );
    }
    let memory = device().memory();
    // The unit after it is ours and empty.
    let base = memory.reserve(4 << 20, 0, 0).unwrap();
    let physical = memory.create_physical(2 << 20).unwrap();
    memory.map(base, 2 << 20, &physical, 0).unwrap();
    memory
        .set_access(base, 2 << 20, crate::memory::Access::ReadWrite)
        .unwrap();
    // No NUL before the end of the allocation: no string.
    memory.fill(base, b"x", 2 << 20).unwrap();
    let word = AtomicU64::new(base + (2 << 20) - 7);
    run(&pool(1), kernel(entry, false), 1, 1, &word).unwrap();
    assert_eq!(word.load(Ordering::Relaxed) as i32, -1);
    memory.fill(base + (2 << 20) - 7, &[0], 7).unwrap();
    word.store(base + (2 << 20) - 1, Ordering::Relaxed);
    run(&pool(1), kernel(entry, false), 1, 1, &word).unwrap();
    assert_eq!(word.load(Ordering::Relaxed), 0);
    memory.unmap(base, 2 << 20).unwrap();
    memory.unreserve(base, 4 << 20).unwrap();
}

#[test]
fn the_heap_serves_all_threads() {
    unsafe extern "C" fn entry(ctx: Ctx) {
        let sum = argument::<AtomicU64>(ctx);
        let index = context(ctx).ctaid[0] * 32 + context(ctx).tid[0];
        let address = call!(malloc: fn(Ctx, u64) -> u64; ctx, 24);
        assert_ne!(address, 0);
        // SAFETY: 24 bytes of the heap.
        unsafe {
            let host: *mut u64 = std::ptr::with_exposed_provenance_mut(
                address.wrapping_add(context(ctx).global_delta) as usize,
            );
            host.write_volatile(u64::from(index));
            sync(ctx);
            sum.fetch_add(host.read_volatile(), Ordering::Relaxed);
        }
        call!(free: fn(Ctx, u64); ctx, address);
        call!(free: fn(Ctx, u64); ctx, 0);
        assert_eq!(call!(malloc: fn(Ctx, u64) -> u64; ctx, 1 << 40), 0);
    }
    let sum = AtomicU64::new(0);
    run(&pool(2), kernel(entry, true), 10, 32, &sum).unwrap();
    assert_eq!(sum.into_inner(), 319 * 320 / 2);

    unsafe extern "C" fn wrong(ctx: Ctx) {
        call!(free: fn(Ctx, u64); ctx, 0x1000);
    }
    let fault = fault(run(
        &pool(1),
        kernel(wrong, false),
        1,
        1,
        &AtomicU64::new(0),
    ));
    assert_eq!(
        (fault.trap, fault.address),
        (Trap::IllegalAddress, Some(0x1000))
    );
}

#[test]
fn registered_host_memory_is_accessible_while_registered() {
    unsafe extern "C" fn entry(ctx: Ctx) {
        let address =
            argument::<AtomicU64>(ctx).load(Ordering::Relaxed) + 4 * u64::from(context(ctx).tid[0]);
        let host = call!(translate: fn(Ctx, u64, u32, u32) -> *mut u8; ctx, address, 4, 1);
        // SAFETY: translated.
        unsafe { host.cast::<u32>().write_volatile(context(ctx).tid[0]) };
    }
    let registry = device().memory().host();
    let pointer = registry.allocate(256, 0).unwrap();
    let word = AtomicU64::new(pointer.expose_provenance() as u64);
    run(&pool(1), kernel(entry, false), 1, 64, &word).unwrap();
    // SAFETY: 256 bytes, and no kernel runs.
    let values = unsafe { std::slice::from_raw_parts(pointer.cast::<u32>(), 64) };
    assert!(
        values
            .iter()
            .enumerate()
            .all(|(index, value)| *value == index as u32)
    );
    assert_eq!(
        fault(run(&pool(1), kernel(entry, false), 1, 65, &word)).thread,
        [64, 0, 0]
    );
    // SAFETY: not used any more.
    unsafe { registry.free(word.load(Ordering::Relaxed)) }.unwrap();
    assert_eq!(
        fault(run(&pool(1), kernel(entry, false), 1, 1, &word)).trap,
        Trap::IllegalAddress
    );
}

#[test]
fn clocks_go_forward() {
    unsafe extern "C" fn entry(ctx: Ctx) {
        let before = call!(clock64: fn(Ctx) -> u64; ctx);
        let time = call!(globaltimer: fn(Ctx) -> u64; ctx);
        call!(nanosleep: fn(Ctx, u32); ctx, 50_000);
        assert!(call!(clock64: fn(Ctx) -> u64; ctx) >= before + 50_000);
        assert!(call!(globaltimer: fn(Ctx) -> u64; ctx) > time);
    }
    for threads_meet in [false, true] {
        run(
            &pool(1),
            kernel(entry, threads_meet),
            1,
            1,
            &AtomicU64::new(0),
        )
        .unwrap();
    }
}
