//! Faults of compiled code become faults of its thread, and a thread that never ends can be stopped.
//!
//! While a device thread runs, its operating system thread says so in [`RUNNING`]. The signal handler then makes
//! the coroutine return with what happened; a signal that comes from anywhere else goes to whoever handled it
//! before us. [`interrupt`] sends [`STOP`], which makes the coroutine return if its grid is stopped and the thread is
//! in compiled code; anywhere else it does nothing, and has to be sent again.

use std::cell::{Cell, RefCell};
use std::mem::MaybeUninit;
use std::ops::Range;
use std::sync::Once;

use corosensei::CoroutineResult;
use corosensei::trap::{CoroutineTrapHandler, TrapHandlerRegs};

use super::Grid;
use super::thread::{DeviceCoroutine, Exit, Request};

/// What the machine said of a fault.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SignalFault {
    pub(crate) signal: libc::c_int,
    /// The address that was accessed, if the machine knows it.
    pub(crate) address: Option<usize>,
    /// The address that was executed.
    pub(crate) pc: usize,
    /// The access hit the stack's guard.
    pub(crate) in_guard: bool,
}

#[derive(Clone)]
struct Running {
    handler: CoroutineTrapHandler<Exit>,
    guard: Range<usize>,
    grid: *const Grid,
}

thread_local! {
    static RUNNING: Cell<Option<&'static Running>> = const { Cell::new(None) };
    static SIGNAL_STACK: RefCell<Option<SignalStack>> = const { RefCell::new(None) };
}

/// Stops a device thread. By default it does nothing, so that one too many harms nobody (docs/adr/0016).
const STOP: libc::c_int = libc::SIGURG;

const SIGNALS: [libc::c_int; 5] = [
    libc::SIGSEGV,
    libc::SIGBUS,
    libc::SIGFPE,
    libc::SIGILL,
    STOP,
];

/// Who handled the signals before us, in the order of [`SIGNALS`].
static mut PREVIOUS: [MaybeUninit<libc::sigaction>; 5] = [MaybeUninit::uninit(); 5];

/// Makes this operating system thread fit to run device threads.
pub(crate) fn prepare_thread() {
    static INSTALL: Once = Once::new();
    INSTALL.call_once(install);
    SIGNAL_STACK.with_borrow_mut(|stack| {
        if stack.is_none() {
            allow_signals();
            *stack = Some(SignalStack::new());
        }
    });
}

/// Keeps the program's signals away from this operating system thread, which is none of the program's: its handlers
/// expect their own threads, and a device thread's stack is small. Faults and `STOP` still come.
pub fn keep_off_this_thread() {
    let mut signals = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: `sigfillset` initialises the set; the rest only reads it.
    unsafe {
        libc::sigfillset(signals.as_mut_ptr());
        for fault in SIGNALS {
            libc::sigdelset(signals.as_mut_ptr(), fault);
        }
        libc::pthread_sigmask(libc::SIG_SETMASK, signals.as_ptr(), std::ptr::null_mut());
    }
}

/// Runs a device thread until it asks for something, ends or faults.
pub(crate) fn resume(
    coroutine: &mut DeviceCoroutine,
    guard: Range<usize>,
    grid: &Grid,
    input: u64,
) -> CoroutineResult<Request, Exit> {
    let running = Running {
        handler: coroutine.trap_handler(),
        guard,
        grid,
    };
    // SAFETY: the reference is taken out again before `running` dies, below or in the handler; only this operating
    // system thread reads it.
    let shared = unsafe { &*std::ptr::from_ref(&running) };
    RUNNING.set(Some(shared));
    let result = coroutine.resume(input);
    RUNNING.set(None);
    result
}

/// Sends [`STOP`] to an operating system thread.
///
/// # Safety
/// The thread has not ended.
pub(crate) unsafe fn interrupt(thread: libc::pthread_t) {
    // SAFETY: by contract.
    unsafe { libc::pthread_kill(thread, STOP) };
}

/// A fault while its signal is blocked would end the process; without [`STOP`] an endless kernel could not be ended.
fn allow_signals() {
    let mut faults = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: `sigemptyset` initialises the set; the rest only reads it.
    unsafe {
        libc::sigemptyset(faults.as_mut_ptr());
        for fault in SIGNALS {
            libc::sigaddset(faults.as_mut_ptr(), fault);
        }
        libc::pthread_sigmask(libc::SIG_UNBLOCK, faults.as_ptr(), std::ptr::null_mut());
    }
}

fn install() {
    for (index, signal) in SIGNALS.into_iter().enumerate() {
        // SAFETY: all zeros is a valid `sigaction`; the handler has the signature that SA_SIGINFO asks for;
        // `PREVIOUS` is written here only, once, before the handler that reads it can run.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = on_signal as *const () as usize;
            action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
            if signal == STOP {
                // It may come while a library call waits in the operating system.
                action.sa_flags |= libc::SA_RESTART;
            }
            libc::sigemptyset(&mut action.sa_mask);
            let previous = (&raw mut PREVIOUS).cast::<libc::sigaction>().add(index);
            libc::sigaction(signal, std::ptr::null(), previous);
            if libc::sigaction(signal, &action, std::ptr::null_mut()) != 0 {
                tracing::error!(
                    signal,
                    "no handler could be installed; a kernel's fault would end the process"
                );
            }
        }
    }
}

/// The handler. Async-signal-safe: reads a thread-local and writes to the faulting coroutine's stack.
///
/// # Safety
/// Called by the operating system only.
unsafe extern "C" fn on_signal(
    signal: libc::c_int,
    info: *mut libc::siginfo_t,
    context: *mut libc::c_void,
) {
    // SAFETY: with SA_SIGINFO the third argument is the interrupted context.
    let registers = unsafe { &mut *context.cast::<libc::ucontext_t>() };
    if signal == STOP {
        // SAFETY: the arguments are passed on as they came.
        unsafe { on_stop(registers, info, context) };
        return;
    }
    if let Some(running) = RUNNING.get()
        && running
            .handler
            .stack_ptr_in_bounds(stack_pointer(registers))
    {
        RUNNING.set(None);
        // SAFETY: with SA_SIGINFO the second argument is valid; `si_addr` is set for the signals of faults.
        let (code, address) = unsafe { ((*info).si_code, (*info).si_addr().expose_provenance()) };
        // A general protection fault comes without an address.
        let address = (code != libc::SI_KERNEL).then_some(address);
        let in_guard = address.is_some_and(|address| running.guard.contains(&address));
        let fault = SignalFault {
            signal,
            address,
            pc: program_counter(registers),
            in_guard,
        };
        // SAFETY: the stack pointer lies in the coroutine, and the registers are set as told. The coroutine runs
        // compiled code and library calls, which share with others only what they access by raw pointers,
        // and hold no lock when they touch what a kernel's pointer names.
        let new = unsafe {
            running
                .handler
                .setup_trap_handler(move || Exit::Signal(fault))
        };
        set_registers(registers, &new);
        return;
    }
    // SAFETY: the arguments are passed on as they came.
    unsafe { pass_on(signal, info, context) };
}

/// Ends the device thread that runs here, if its grid is stopped and the signal found it in compiled code, where it
/// holds nothing that others need.
///
/// # Safety
/// The arguments of a signal handler; `registers` are those of `context`.
unsafe fn on_stop(
    registers: &mut libc::ucontext_t,
    info: *mut libc::siginfo_t,
    context: *mut libc::c_void,
) {
    if let Some(running) = RUNNING.get()
        && running
            .handler
            .stack_ptr_in_bounds(stack_pointer(registers))
    {
        // SAFETY: the grid outlives the coroutine's turn, which has not ended.
        let grid = unsafe { &*running.grid };
        if grid.stopped() && grid.kernel.code.contains(program_counter(registers)) {
            RUNNING.set(None);
            // SAFETY: as for faults; compiled code can be left at any instruction, since nobody goes on with it.
            let new = unsafe { running.handler.setup_trap_handler(|| Exit::Stopped) };
            set_registers(registers, &new);
            return;
        }
    }
    // SAFETY: as they came. It may be the program's own signal.
    unsafe { pass_on(STOP, info, context) };
}

/// Hands a signal to whoever handled it before us.
///
/// # Safety
/// The arguments of a signal handler.
unsafe fn pass_on(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let index = SIGNALS.iter().position(|&ours| ours == signal).unwrap_or(0);
    // SAFETY: written by `install` before the handler could run, and never again.
    let previous = unsafe {
        (&raw const PREVIOUS)
            .cast::<libc::sigaction>()
            .add(index)
            .read()
    };
    match previous.sa_sigaction {
        libc::SIG_DFL | libc::SIG_IGN if signal == STOP => {}
        libc::SIG_DFL | libc::SIG_IGN => {
            // The instruction runs again when we return, and faults with the default effect. Signals that were
            // sent do not come again, so they are raised.
            // SAFETY: restoring the default is always valid; `info` as above.
            unsafe {
                libc::signal(signal, libc::SIG_DFL);
                if (*info).si_code <= 0 {
                    libc::raise(signal);
                }
            }
        }
        handler if previous.sa_flags & libc::SA_SIGINFO != 0 => {
            type Handler =
                unsafe extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void);
            // SAFETY: SA_SIGINFO says that it has this signature.
            let handler = unsafe { std::mem::transmute::<usize, Handler>(handler) };
            // SAFETY: as the operating system would have called it.
            unsafe { handler(signal, info, context) };
        }
        handler => {
            // SAFETY: without SA_SIGINFO it has this signature.
            let handler =
                unsafe { std::mem::transmute::<usize, unsafe extern "C" fn(libc::c_int)>(handler) };
            // SAFETY: as the operating system would have called it.
            unsafe { handler(signal) };
        }
    }
}

#[cfg(target_arch = "x86_64")]
fn stack_pointer(context: &libc::ucontext_t) -> usize {
    context.uc_mcontext.gregs[libc::REG_RSP as usize] as usize
}

#[cfg(target_arch = "x86_64")]
fn program_counter(context: &libc::ucontext_t) -> usize {
    context.uc_mcontext.gregs[libc::REG_RIP as usize] as usize
}

#[cfg(target_arch = "x86_64")]
fn set_registers(context: &mut libc::ucontext_t, new: &TrapHandlerRegs) {
    let registers = &mut context.uc_mcontext.gregs;
    registers[libc::REG_RIP as usize] = new.rip as i64;
    registers[libc::REG_RSP as usize] = new.rsp as i64;
    registers[libc::REG_RBP as usize] = new.rbp as i64;
    registers[libc::REG_RDI as usize] = new.rdi as i64;
    registers[libc::REG_RSI as usize] = new.rsi as i64;
}

#[cfg(target_arch = "aarch64")]
fn stack_pointer(context: &libc::ucontext_t) -> usize {
    context.uc_mcontext.sp as usize
}

#[cfg(target_arch = "aarch64")]
fn program_counter(context: &libc::ucontext_t) -> usize {
    context.uc_mcontext.pc as usize
}

#[cfg(target_arch = "aarch64")]
fn set_registers(context: &mut libc::ucontext_t, new: &TrapHandlerRegs) {
    let registers = &mut context.uc_mcontext;
    registers.pc = new.pc;
    registers.sp = new.sp;
    registers.regs[0] = new.x0;
    registers.regs[1] = new.x1;
    registers.regs[29] = new.x29;
    registers.regs[30] = new.lr;
}

/// A stack for signal handlers, where the thread has none: a device thread's own may be exhausted.
#[derive(Debug)]
struct SignalStack {
    /// Ours, to be taken back; null if the thread had one already.
    base: *mut libc::c_void,
}

/// Room for wide vector registers and for the handlers that we pass signals on to.
const SIGNAL_STACK_SIZE: usize = 64 << 10;

impl SignalStack {
    fn new() -> Self {
        let mut current = MaybeUninit::<libc::stack_t>::zeroed();
        // SAFETY: only asks; all zeros is a valid `stack_t`.
        let current = unsafe {
            libc::sigaltstack(std::ptr::null(), current.as_mut_ptr());
            current.assume_init()
        };
        if current.ss_flags & libc::SS_DISABLE == 0 && current.ss_size >= SIGNAL_STACK_SIZE / 4 {
            return Self {
                base: std::ptr::null_mut(),
            };
        }
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a fresh mapping, given to the kernel as this thread's signal stack until `drop`.
        unsafe {
            let base = libc::mmap(
                std::ptr::null_mut(),
                SIGNAL_STACK_SIZE,
                protection,
                flags,
                -1,
                0,
            );
            if base == libc::MAP_FAILED {
                return Self {
                    base: std::ptr::null_mut(),
                };
            }
            let stack = libc::stack_t {
                ss_sp: base,
                ss_flags: 0,
                ss_size: SIGNAL_STACK_SIZE,
            };
            libc::sigaltstack(&stack, std::ptr::null_mut());
            Self { base }
        }
    }
}

impl Drop for SignalStack {
    fn drop(&mut self) {
        if self.base.is_null() {
            return;
        }
        let none = libc::stack_t {
            ss_sp: std::ptr::null_mut(),
            ss_flags: libc::SS_DISABLE,
            ss_size: 0,
        };
        // SAFETY: the mapping of `new`; the kernel is told to forget it first.
        unsafe {
            libc::sigaltstack(&none, std::ptr::null_mut());
            libc::munmap(self.base, SIGNAL_STACK_SIZE);
        }
    }
}
