//! Prints what running kernels costs on this machine, in processor time of the launching thread: a launch, a thread,
//! a turn of a thread that meets others.

use std::sync::Arc;
use std::time::Duration;

use rgpu_softgpu_exec::abi::{Code, Entry, Kernel, KernelFn, ThreadContext};
use rgpu_softgpu_exec::exec::{CancelToken, Device, Launch, Options, Pool};
use rgpu_softgpu_exec::libcalls;
use rgpu_softgpu_exec::memory::DeviceMemory;
use rgpu_softgpu_exec::output::Output;

type Ctx = *mut ThreadContext;

#[derive(Debug)]
struct Static;

impl Code for Static {
    fn contains(&self, _: usize) -> bool {
        false
    }
}

/// Turns of each thread in the kernels that meet.
const TURNS: u32 = 1000;

unsafe extern "C" fn empty(_: Ctx) {}

unsafe extern "C" fn barriers(ctx: Ctx) {
    let address = address("bar_sync");
    // SAFETY: the row's signature.
    let sync = unsafe { std::mem::transmute::<*const u8, extern "C" fn(Ctx, u32, u32)>(address) };
    for _ in 0..TURNS {
        sync(ctx, 0, 0);
    }
}

unsafe extern "C" fn shuffles(ctx: Ctx) {
    type Shuffle = extern "C" fn(Ctx, u32, u32, u32, u32, u32) -> u64;
    let address = address("shfl_sync");
    // SAFETY: the row's signature.
    let shuffle = unsafe { std::mem::transmute::<*const u8, Shuffle>(address) };
    let mut value = 1;
    for _ in 0..TURNS {
        value += shuffle(ctx, libcalls::shfl::BFLY, value, 1, 31, u32::MAX) as u32;
    }
    std::hint::black_box(value);
}

unsafe extern "C" fn yields(ctx: Ctx) {
    let address = address("yield_");
    // SAFETY: the row's signature.
    let yield_now = unsafe { std::mem::transmute::<*const u8, extern "C" fn(Ctx)>(address) };
    for _ in 0..TURNS {
        yield_now(ctx);
    }
}

fn cpu_time() -> Duration {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: writes to `time` only.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

fn address(name: &str) -> *const u8 {
    libcalls::find(name).map_or(std::ptr::null(), libcalls::LibCall::address)
}

fn time(
    pool: &Pool,
    entry: KernelFn,
    threads_meet: bool,
    grid: u32,
    block: u32,
    launches: u32,
) -> Duration {
    let kernel = Kernel {
        name: "cost".to_owned(),
        entry: if threads_meet {
            Entry::Stack(entry)
        } else {
            Entry::Thread(entry)
        },
        code: Arc::new(Static),
        assumed: Vec::new(),
        static_shared: 0,
        local_size: 0,
        params_size: 0,
    };
    let (grid, block) = ([grid, 1, 1], [block, 1, 1]);
    let launch = Launch {
        kernel,
        grid,
        block,
        dynamic_shared: 0,
        params: &[],
        cancel: CancelToken::new(),
    };
    // Once to fill the caches.
    for count in [launches.div_ceil(10), launches] {
        let start = cpu_time();
        for _ in 0..count {
            pool.launch(&launch).expect("the kernel is fine");
        }
        if count == launches {
            return (cpu_time() - start) / launches;
        }
    }
    Duration::ZERO
}

fn main() {
    let device = Device::new(
        DeviceMemory::new(1 << 30).expect("a device window"),
        Output::default(),
    );
    let options = Options::from_env();
    let pool = Pool::new(device.clone(), options).expect("threads");
    let one = Pool::new(
        device,
        Options {
            threads: 1,
            ..options
        },
    )
    .expect("threads");
    println!("{} threads", options.threads);
    println!(
        "launch, 1 block of 1 thread, plain: {:?}",
        time(&pool, empty, false, 1, 1, 10_000)
    );
    println!(
        "launch, 1 block of 1 thread, meeting: {:?}",
        time(&pool, empty, true, 1, 1, 10_000)
    );
    println!(
        "launch, 4 blocks of 256 threads, plain: {:?}",
        time(&pool, empty, false, 4, 256, 10_000)
    );
    println!(
        "launch, 4 blocks of 256 threads, meeting: {:?}",
        time(&pool, empty, true, 4, 256, 1000)
    );
    let per_thread = time(&one, empty, false, 1000, 1024, 10) / (1000 * 1024);
    println!("thread, plain: {per_thread:?}");
    let per_thread = time(&one, empty, true, 100, 1024, 10) / (100 * 1024);
    println!("thread, meeting: {per_thread:?}");
    for (name, entry) in [
        ("barrier", barriers as KernelFn),
        ("shuffle", shuffles),
        ("yield", yields),
    ] {
        for block in [32, 256, 1024] {
            let turn = time(&one, entry, true, 1, block, 10) / (TURNS * block);
            println!("{name}, turn of one thread of {block}: {turn:?}");
        }
    }
}
