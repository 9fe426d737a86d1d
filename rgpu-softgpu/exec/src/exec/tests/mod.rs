//! Grids of hand-written kernels: Rust functions that call the library functions as compiled code does.

mod faults;
mod host;
mod meeting;
mod progress;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use super::*;
use crate::abi::{Code, Entry, KernelFn, ThreadContext, Trap};
use crate::libcalls;

type Ctx = *mut ThreadContext;

/// The process's one device; there can be no second window.
fn device() -> &'static Arc<Device> {
    static DEVICE: OnceLock<Arc<Device>> = OnceLock::new();
    DEVICE.get_or_init(|| Device::new(DeviceMemory::new(1 << 30).unwrap(), Output::default()))
}

fn pool(threads: u32) -> Pool {
    Pool::new(
        device().clone(),
        Options {
            threads,
            stack: 256 << 10,
        },
    )
    .unwrap()
}

#[derive(Debug)]
struct Static;

impl Code for Static {
    fn contains(&self, _: usize) -> bool {
        false
    }
}

fn kernel(entry: KernelFn, threads_meet: bool) -> Kernel {
    Kernel {
        name: "test".to_owned(),
        entry: if threads_meet {
            Entry::Stack(entry)
        } else {
            Entry::Thread(entry)
        },
        code: Arc::new(Static),
        assumed: Vec::new(),
        static_shared: 4096,
        local_size: 64,
        params_size: 8,
    }
}

/// Runs `entry`, whose only parameter is the address of `argument`.
fn run<T: Sync>(
    pool: &Pool,
    kernel: Kernel,
    grid: u32,
    block: u32,
    argument: &T,
) -> Result<(), LaunchError> {
    let address = (std::ptr::from_ref(argument).expose_provenance() as u64).to_ne_bytes();
    pool.launch(&Launch {
        kernel,
        grid: [grid, 1, 1],
        block: [block, 1, 1],
        dynamic_shared: 0,
        params: &address,
        cancel: CancelToken::new(),
    })
}

fn fault(result: Result<(), LaunchError>) -> Fault {
    match result {
        Err(LaunchError::Fault(fault)) => fault,
        other => panic!("expected a fault, got {other:?}"),
    }
}

/// The kernel's parameter.
fn argument<'a, T: Sync>(ctx: Ctx) -> &'a T {
    // SAFETY: `run` has put the address of a `T` there that outlives the launch.
    unsafe {
        let address = (*ctx).params.cast::<u64>().read();
        &*std::ptr::with_exposed_provenance(address as usize)
    }
}

fn context<'a>(ctx: Ctx) -> &'a ThreadContext {
    // SAFETY: the argument of a running kernel.
    unsafe { &*ctx }
}

/// A word of the block's shared memory.
fn shared<'a>(ctx: Ctx, index: u32) -> &'a AtomicU64 {
    // SAFETY: the tests use the first 4096 bytes, which every kernel here has.
    unsafe { &*context(ctx).shared.cast::<AtomicU64>().add(index as usize) }
}

/// Calls a library function of the table, as compiled code does: by address and signature.
macro_rules! call {
    ($name:ident: fn($($ty:ty),*) $(-> $ret:ty)?; $($arg:expr),*) => {{
        let address = libcalls::find(stringify!($name)).unwrap().address();
        // SAFETY: the signature is the row's; the context is that of the running kernel.
        unsafe {
            let function: extern "C" fn($($ty),*) $(-> $ret)? = std::mem::transmute(address);
            function($($arg),*)
        }
    }};
}
use call;

fn sync(ctx: Ctx) {
    call!(bar_sync: fn(Ctx, u32, u32); ctx, 0, 0);
}

fn yield_now(ctx: Ctx) {
    call!(yield_: fn(Ctx); ctx);
}

#[test]
fn every_thread_of_every_block_runs_once() {
    static SEEN: [AtomicU64; 6 * 30] = [const { AtomicU64::new(0) }; 180];
    unsafe extern "C" fn entry(ctx: Ctx) {
        let ThreadContext {
            tid: t,
            ntid: n,
            ctaid: c,
            nctaid: m,
            laneid,
            warpid,
            ..
        } = *context(ctx);
        let thread = t[0] + n[0] * (t[1] + n[1] * t[2]);
        assert_eq!((laneid, warpid), (thread % 32, thread / 32));
        let block = c[0] + m[0] * (c[1] + m[1] * c[2]);
        SEEN[(block * 30 + thread) as usize].fetch_add(1, Ordering::Relaxed);
    }
    for (round, threads_meet) in [false, true].into_iter().enumerate() {
        let launch = Launch {
            kernel: kernel(entry, threads_meet),
            grid: [3, 1, 2],
            block: [2, 3, 5],
            dynamic_shared: 0,
            params: &[0; 8],
            cancel: CancelToken::new(),
        };
        pool(3).launch(&launch).unwrap();
        assert!(
            SEEN.iter()
                .all(|count| count.load(Ordering::Relaxed) == round as u64 + 1)
        );
    }
}

#[test]
fn many_launches_in_a_row() {
    unsafe extern "C" fn entry(ctx: Ctx) {
        argument::<AtomicU64>(ctx).fetch_add(1, Ordering::Relaxed);
    }
    let (pool, count) = (pool(2), AtomicU64::new(0));
    for threads_meet in [false, true] {
        for _ in 0..5000 {
            run(&pool, kernel(entry, threads_meet), 1, 1, &count).unwrap();
        }
    }
    assert_eq!(count.into_inner(), 10_000);
}

#[test]
fn impossible_launches_are_refused() {
    unsafe extern "C" fn entry(_: Ctx) {}
    let pool = pool(1);
    let launch = |grid, block, params: &[u8]| {
        let kernel = kernel(entry, false);
        let cancel = CancelToken::new();
        pool.launch(&Launch {
            kernel,
            grid,
            block,
            dynamic_shared: 0,
            params,
            cancel,
        })
    };
    assert!(launch([1, 1, 1], [1024, 1, 1], &[0; 8]).is_ok());
    assert!(matches!(
        launch([0, 1, 1], [1, 1, 1], &[0; 8]),
        Err(LaunchError::Invalid(_))
    ));
    assert!(matches!(
        launch([1, 1, 1], [1, 0, 1], &[0; 8]),
        Err(LaunchError::Invalid(_))
    ));
    assert!(matches!(
        launch([1, 1, 1], [32, 33, 1], &[0; 8]),
        Err(LaunchError::Invalid(_))
    ));
    assert!(matches!(
        launch([1, 1, 1], [u32::MAX, u32::MAX, u32::MAX], &[0; 8]),
        Err(LaunchError::Invalid(_))
    ));
    assert!(matches!(
        launch([1, 65536, 1], [1, 1, 1], &[0; 8]),
        Err(LaunchError::Invalid(_))
    ));
    assert!(matches!(
        launch([1, 1, 1], [1, 1, 1], &[0; 7]),
        Err(LaunchError::Invalid(_))
    ));
}

#[test]
fn dynamic_shared_memory_follows_the_static() {
    unsafe extern "C" fn entry(ctx: Ctx) {
        let context = context(ctx);
        assert_eq!(
            (context.shared_size, context.dynamic_shared_size),
            (112 + 1000, 1000)
        );
        assert!(context.shared.addr().is_multiple_of(16));
        // SAFETY: the last byte.
        unsafe { context.shared.add(1111).write_volatile(1) };
    }
    let kernel = Kernel {
        assumed: Vec::new(),
        static_shared: 100,
        params_size: 0,
        ..kernel(entry, false)
    };
    let cancel = CancelToken::new();
    let launch = Launch {
        kernel,
        grid: [4, 1, 1],
        block: [2, 1, 1],
        dynamic_shared: 1000,
        params: &[],
        cancel,
    };
    pool(2).launch(&launch).unwrap();
}
