//! Which processor a thread runs on. A scheduler likes to wake a thread on the processor of the one that wakes it, and may
//! leave it there for milliseconds beside idle ones.

use std::mem::MaybeUninit;

/// The processor that runs the calling thread, if the system tells.
pub(crate) fn current() -> Option<usize> {
    // SAFETY: it takes nothing.
    let cpu = unsafe { libc::sched_getcpu() };
    usize::try_from(cpu).ok()
}

/// Moves the calling thread away from a processor, if it runs there and may run elsewhere. It may come back later.
pub(crate) fn leave(cpu: Option<usize>) {
    let most = usize::try_from(libc::CPU_SETSIZE).unwrap_or(0);
    let Some(cpu) = cpu.filter(|cpu| *cpu < most && current() == Some(*cpu)) else {
        return;
    };
    let size = size_of::<libc::cpu_set_t>();
    let mut allowed = MaybeUninit::<libc::cpu_set_t>::zeroed();
    // SAFETY: the set is live and `size` bytes long; 0 is the calling thread.
    if unsafe { libc::sched_getaffinity(0, size, allowed.as_mut_ptr()) } != 0 {
        return;
    }
    // SAFETY: zeros are a set, and the call has filled it.
    let allowed = unsafe { allowed.assume_init() };
    let mut others = allowed;
    // SAFETY: `cpu` is one that the system has named; the sets are live. If the first call fails, as it does where there
    // is no other processor, nothing has changed.
    unsafe {
        libc::CPU_CLR(cpu, &mut others);
        if libc::sched_setaffinity(0, size, &raw const others) == 0 {
            libc::sched_setaffinity(0, size, &raw const allowed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_leaves_its_processor_may_still_run_on_all() {
        let processors = || std::thread::available_parallelism().unwrap();
        let before = processors();
        leave(None);
        leave(current());
        assert_eq!(processors(), before);
    }
}
