//! The threads that compute: one pool for each library, as many threads as there are cores.
//!
//! Work of a stream arrives on a thread of the driver, which waits while the pool computes: so however many streams a
//! program uses, no more threads compute than there are cores.

use std::sync::OnceLock;

use rayon::{ThreadPool, ThreadPoolBuilder};

/// How many threads compute: as many as there are cores, or as `RGPU_SOFT_THREADS` says.
pub fn threads() -> usize {
    let setting = std::env::var("RGPU_SOFT_THREADS").ok();
    let setting = setting.and_then(|text| text.parse().ok());
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    setting.filter(|&count| count > 0).unwrap_or_else(cores)
}

/// Runs `work` on a thread of the pool, where rayon's iterators use the others too; waits for it. Where no threads can
/// be made it runs on the calling one.
pub fn compute<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    static POOL: OnceLock<Option<ThreadPool>> = OnceLock::new();
    let pool = POOL.get_or_init(|| {
        let pool = ThreadPoolBuilder::new()
            .num_threads(threads())
            .thread_name(|index| format!("rgpu-math-{index}"))
            .start_handler(|_| block_signals())
            .build();
        pool.map_err(|error| tracing::error!(%error, "no threads to compute on"))
            .ok()
    });
    match pool {
        Some(pool) => pool.install(work),
        None => work(),
    }
}

/// Blocks all signals but those that a fault of this very thread raises: the rest are the program's.
fn block_signals() {
    const FAULTS: [libc::c_int; 5] = [
        libc::SIGSEGV,
        libc::SIGBUS,
        libc::SIGFPE,
        libc::SIGILL,
        libc::SIGTRAP,
    ];
    // SAFETY: a zeroed sigset_t is a valid target of sigfillset; all pointers are to locals.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&raw mut set);
        for signal in FAULTS {
            libc::sigdelset(&raw mut set, signal);
        }
        libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_runs_on_threads_of_the_pool() {
        let name = compute(|| std::thread::current().name().map(str::to_owned));
        assert!(name.is_some_and(|name| name.starts_with("rgpu-math-")));
        assert_eq!(compute(rayon::current_num_threads), threads());
    }
}
