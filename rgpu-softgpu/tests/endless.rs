//! Kernels that never end by themselves can be stopped: by destroying their context, by a fault beside them, by the end of
//! the process. None of the loops looks at memory, so none of them lets the scheduler in.

mod support;

use std::ffi::{CString, c_void};
use std::process::{Command, Stdio};
use std::ptr::null_mut;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use rgpu_softgpu::entry::*;
use support::*;

/// The kernels store 1 at their pointer, so that the test knows they run. `bare` is the shortest loop there is.
/// `calls` has its loop in a function. `after_barrier` and `in_a_call` stop at a barrier first: the one keeps its state in a
/// frame, the other on a stack. `some` loops in one thread of the block only. `clock` is mostly inside a library call.
const PTX: &str = r"
.version 8.0
.target sm_75
.address_size 64

.visible .entry bare(.param .u64 started)
{
    .reg .b64 %rd<2>;
    ld.param.u64 %rd1, [started];
    st.volatile.global.u32 [%rd1], 1;
AGAIN:
    bra.uni AGAIN;
}

.func loops(.param .b64 given)
{
    .reg .pred %p<2>;
    .reg .b64 %rd<3>;
    ld.param.u64 %rd1, [given];
AGAIN:
    add.u64 %rd1, %rd1, 2;
    setp.ne.u64 %p1, %rd1, 1;
    @%p1 bra AGAIN;
    ret;
}

.visible .entry calls(.param .u64 started)
{
    .reg .b64 %rd<2>;
    ld.param.u64 %rd1, [started];
    st.volatile.global.u32 [%rd1], 1;
    { .param .b64 a;
    st.param.b64 [a], %rd1;
    call.uni loops, (a); }
    ret;
}

.visible .entry after_barrier(.param .u64 started)
{
    .reg .pred %p<2>;
    .reg .b32 %r<2>;
    .reg .b64 %rd<2>;
    ld.param.u64 %rd1, [started];
    mov.u32 %r1, %tid.x;
    bar.sync 0;
    st.volatile.global.u32 [%rd1], 1;
AGAIN:
    add.u32 %r1, %r1, 1;
    bra.uni AGAIN;
}

.func meets(.param .b64 given)
{
    bar.sync 0;
    ret;
}

.visible .entry in_a_call(.param .u64 started)
{
    .reg .b64 %rd<2>;
    ld.param.u64 %rd1, [started];
    { .param .b64 a;
    st.param.b64 [a], %rd1;
    call.uni meets, (a); }
    st.volatile.global.u32 [%rd1], 1;
AGAIN:
    bra.uni AGAIN;
}

.visible .entry some(.param .u64 started)
{
    .reg .pred %p<2>;
    .reg .b32 %r<2>;
    .reg .b64 %rd<2>;
    ld.param.u64 %rd1, [started];
    mov.u32 %r1, %tid.x;
    setp.ne.u32 %p1, %r1, 7;
    @%p1 bra WAIT;
    st.volatile.global.u32 [%rd1], 1;
AGAIN:
    bra.uni AGAIN;
WAIT:
    bar.sync 0;
    ret;
}

.visible .entry clock(.param .u64 started)
{
    .reg .b64 %rd<3>;
    ld.param.u64 %rd1, [started];
    st.volatile.global.u32 [%rd1], 1;
AGAIN:
    mov.u64 %rd2, %clock64;
    bra.uni AGAIN;
}

.visible .entry fault(.param .u64 unused)
{
    st.global.u32 [16], 1;
    ret;
}

// Block 0 never ends; block 1 faults once it sees that block 0 runs.
.visible .entry beside(.param .u64 started)
{
    .reg .pred %p<3>;
    .reg .b32 %r<3>;
    .reg .b64 %rd<2>;
    ld.param.u64 %rd1, [started];
    mov.u32 %r1, %ctaid.x;
    setp.ne.u32 %p1, %r1, 0;
    @%p1 bra OTHER;
    st.volatile.global.u32 [%rd1], 1;
AGAIN:
    bra.uni AGAIN;
OTHER:
    ld.volatile.global.u32 %r2, [%rd1];
    setp.eq.u32 %p2, %r2, 0;
    @%p2 bra OTHER;
    st.global.u32 [16], 1;
    ret;
}
";

/// Long enough for any machine; a kernel that is not stopped never comes back.
const PATIENCE: Duration = Duration::from_secs(60);

fn load() -> Handle {
    let text = CString::new(PTX).unwrap();
    let mut module = null_mut();
    ok!(cuModuleLoadData(&mut module, text.as_ptr().cast()));
    module
}

/// Memory of the host that kernels may write, zero.
fn flag() -> *const u32 {
    let mut flag: Handle = null_mut();
    ok!(cuMemHostAlloc((&raw mut flag).cast(), 64, 0));
    // SAFETY: 64 bytes, just allocated.
    unsafe { flag.cast::<u32>().write_volatile(0) };
    flag.cast()
}

fn start(kernel: &str, blocks: u32, threads: u32, cooperative: bool, stream: Handle) {
    let started = flag();
    let function = function(load(), kernel);
    let address = started as u64;
    let mut params: [*const c_void; 1] = [(&raw const address).cast()];
    let code = if cooperative {
        cu!(cuLaunchCooperativeKernel(
            function,
            blocks,
            1,
            1,
            threads,
            1,
            1,
            0,
            stream,
            params.as_mut_ptr().cast()
        ))
    } else {
        launch(function, blocks, threads, stream, &mut params)
    };
    assert_eq!(code, SUCCESS, "{kernel}");
    // SAFETY: the memory lives until its context ends.
    while unsafe { started.read_volatile() } == 0 {
        std::thread::yield_now();
    }
}

/// Does something that must come to an end.
fn must_end(what: &str, work: impl FnOnce() + Send + 'static) {
    let (done, wait) = channel();
    let worker = std::thread::spawn(move || {
        work();
        done.send(()).unwrap();
    });
    match wait.recv_timeout(PATIENCE) {
        Err(RecvTimeoutError::Timeout) => panic!("{what} does not end"),
        _ => worker.join().unwrap(),
    }
}

#[test]
fn destroying_the_context_stops_them() {
    let kernels = [
        "bare",
        "calls",
        "after_barrier",
        "in_a_call",
        "some",
        "clock",
    ];
    for (blocks, threads, cooperative) in [(1, 32, false), (40, 64, false), (2, 32, true)] {
        std::thread::scope(|scope| {
            for kernel in kernels {
                scope.spawn(move || {
                    must_end(kernel, move || {
                        let context = Context::new();
                        start(kernel, blocks, threads, cooperative, null_mut());
                        drop(context);
                    });
                });
            }
        });
    }
    // The threads that ran them still run kernels.
    let _context = Context::new();
    let data = zeros(4000);
    let add_function = function(module(), "add");
    assert_eq!(add(add_function, data, 3, 1000, null_mut()), SUCCESS);
    assert_eq!(words(data, 1000), [3; 1000]);
}

#[test]
fn a_fault_of_another_block_stops_them() {
    must_end("beside", || {
        let context = Context::new();
        start("beside", 2, 1, true, null_mut());
        assert_eq!(cu!(cuCtxSynchronize()), ILLEGAL_ADDRESS);
        drop(context);
    });
}

#[test]
fn a_fault_of_another_kernel_of_the_context_stops_them() {
    must_end("bare", || {
        let context = Context::new();
        start("bare", 4, 32, false, stream(1));
        let unused = 0_u64;
        let wild = function(load(), "fault");
        let params = &mut [(&raw const unused).cast()];
        assert_eq!(launch(wild, 1, 1, stream(1), params), SUCCESS);
        assert_eq!(cu!(cuCtxSynchronize()), ILLEGAL_ADDRESS);
        drop(context);
    });
}

/// Waits for a word that nobody writes.
fn wait_for_ever(stream: Handle) {
    ok!(cuStreamWaitValue32_v2(stream, zeros(4), 1, 1));
}

#[test]
fn a_stream_that_waits_for_a_word_ends_with_its_context() {
    must_end("destroyed", || {
        let context = Context::new();
        wait_for_ever(null_mut());
        drop(context);
    });
    must_end("poisoned", || {
        let context = Context::new();
        wait_for_ever(stream(1));
        let unused = 0_u64;
        let wild = function(load(), "fault");
        let params = &mut [(&raw const unused).cast()];
        assert_eq!(launch(wild, 1, 1, stream(1), params), SUCCESS);
        assert_eq!(cu!(cuCtxSynchronize()), ILLEGAL_ADDRESS);
        drop(context);
    });
}

#[test]
fn other_contexts_go_on() {
    must_end("bare", || {
        let sound = Context::new();
        let endless = Context::new();
        start("bare", 1, 32, false, null_mut());
        drop(endless);
        ok!(cuCtxSetCurrent(sound.0));
        let data = zeros(4);
        assert_eq!(
            add(function(module(), "add"), data, 3, 1, null_mut()),
            SUCCESS
        );
        assert_eq!(words(data, 1), [3]);
    });
}

/// A variable of the environment that makes a process of this test the one that ends with a kernel running.
const CHILD: &str = "RGPU_TEST_ENDLESS";

#[test]
fn the_end_of_the_process_stops_them() {
    match std::env::var(CHILD).as_deref() {
        Ok("return") => {
            let context = Context::new();
            start("bare", 8, 32, false, null_mut());
            std::mem::forget(context);
            return;
        }
        Ok(_) => {
            std::mem::forget(Context::new());
            start("bare", 8, 32, false, null_mut());
            wait_for_ever(stream(1));
            std::process::exit(7);
        }
        Err(_) => {}
    }
    let name = "the_end_of_the_process_stops_them";
    for (way, code) in [("return", 0), ("exit", 7)] {
        must_end(way, move || {
            let status = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", name])
                .env(CHILD, way)
                .stdout(Stdio::null())
                .status()
                .unwrap();
            assert_eq!(status.code(), Some(code), "{way}");
        });
    }
}
