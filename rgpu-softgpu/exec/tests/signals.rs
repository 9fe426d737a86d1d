//! Faults that are not a kernel's go to whoever handled them before us. In a process of its own: handlers are
//! installed once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rgpu_softgpu_exec::abi::{Code, Entry, Kernel, ThreadContext, Trap};
use rgpu_softgpu_exec::exec::{CancelToken, Device, Launch, LaunchError, Options, Pool};
use rgpu_softgpu_exec::memory::DeviceMemory;
use rgpu_softgpu_exec::output::Output;

#[derive(Debug)]
struct Static;

impl Code for Static {
    fn contains(&self, _: usize) -> bool {
        false
    }
}

static HANDLED: AtomicUsize = AtomicUsize::new(0);

/// The program's own handler: makes the page accessible, as a garbage collector or a managed runtime would.
unsafe extern "C" fn program_handler(
    _: libc::c_int,
    info: *mut libc::siginfo_t,
    _: *mut libc::c_void,
) {
    HANDLED.fetch_add(1, Ordering::Relaxed);
    // SAFETY: a signal handler's argument; the page is the test's.
    unsafe {
        let page = (*info).si_addr().map_addr(|address| address & !4095);
        libc::mprotect(page, 4096, libc::PROT_READ | libc::PROT_WRITE);
    }
}

/// A page that the program's handler would make accessible.
fn guarded_page() -> *mut u8 {
    // SAFETY: a fresh mapping.
    unsafe {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        libc::mmap(std::ptr::null_mut(), 4096, libc::PROT_NONE, flags, -1, 0).cast()
    }
}

unsafe extern "C" fn wild(ctx: *mut ThreadContext) {
    // SAFETY: not safe at all: the point of the test. The parameter is the address of a guarded page.
    unsafe {
        let page = (*ctx).params.cast::<usize>().read();
        std::ptr::with_exposed_provenance_mut::<u8>(page).write_volatile(1);
    }
}

#[test]
fn only_faults_of_kernels_are_ours() {
    // SAFETY: installs the handler above, which has the signature that SA_SIGINFO asks for.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = program_handler as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO;
        assert_eq!(
            libc::sigaction(libc::SIGSEGV, &action, std::ptr::null_mut()),
            0
        );
    }
    let device = Device::new(DeviceMemory::new(1 << 20).unwrap(), Output::default());
    let pool = Pool::new(
        device,
        Options {
            threads: 2,
            stack: 64 << 10,
        },
    )
    .unwrap();
    let page = guarded_page();
    let launch = |threads_meet| {
        let kernel = Kernel {
            name: "wild".to_owned(),
            entry: if threads_meet {
                Entry::Stack(wild)
            } else {
                Entry::Thread(wild)
            },
            code: Arc::new(Static),
            assumed: Vec::new(),
            static_shared: 0,
            local_size: 0,
            params_size: 8,
        };
        let params = page.expose_provenance().to_ne_bytes();
        let (grid, block, cancel) = ([1; 3], [1; 3], CancelToken::new());
        pool.launch(&Launch {
            kernel,
            grid,
            block,
            dynamic_shared: 0,
            params: &params,
            cancel,
        })
    };
    for threads_meet in [false, true] {
        match launch(threads_meet) {
            Err(LaunchError::Fault(fault)) => assert_eq!(fault.trap, Trap::IllegalAddress),
            other => panic!("expected a fault, got {other:?}"),
        }
    }
    assert_eq!(HANDLED.load(Ordering::Relaxed), 0);

    // SAFETY: the program's handler makes it accessible.
    unsafe { page.write_volatile(1) };
    assert_eq!(HANDLED.load(Ordering::Relaxed), 1);
    assert!(launch(true).is_ok(), "the page is accessible now");
}
