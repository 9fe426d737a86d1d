//! Accesses that go wrong: each kind, in each way in which a kernel may run. The context gets the documented error and
//! keeps it, a new context works, and the log names kernel, block and thread.

mod support;

use std::process::{Command, Stdio};
use std::ptr::null_mut;

use rgpu_softgpu::entry::*;
use support::*;

const MISALIGNED_ADDRESS: u32 = 716;
/// Large enough for memory of its own, which is unmapped when it is freed.
const LARGE: usize = 64 << 20;
/// The thread that goes astray, and its block.
const ASTRAY: (u32, u32) = (1, 37);

/// Ways to run, by what stands before the access: rows of threads, single threads, threads that stop and go on, threads
/// with stacks of their own.
const WAYS: [(&str, &str); 4] = [
    ("row", ""),
    (
        "thread",
        "mov.u32 %r5, 0; TURN: add.u32 %r5, %r5, 1; setp.lt.u32 %p2, %r5, 3; @%p2 bra TURN;",
    ),
    ("turns", "bar.sync 0;"),
    ("stack", "call.uni meet;"),
];

/// What a pointer parameter is.
#[derive(Clone, Copy, PartialEq)]
enum Pointer {
    Memory,
    Odd,
    Freed,
    Host,
    Null,
}

/// Name, access, pointer, error. `%rd1` is the pointer, `%rd3` the pointer plus an index in words, `%r6` an index in
/// words of shared memory, `%rd5` the same of local memory.
const ACCESSES: [(&str, &str, Pointer, u32); 14] = [
    (
        "null",
        "st.global.u32 [%rd3], 1;",
        Pointer::Null,
        ILLEGAL_ADDRESS,
    ),
    (
        "absolute",
        "ld.global.u32 %r7, [64];",
        Pointer::Memory,
        ILLEGAL_ADDRESS,
    ),
    (
        "beyond",
        "st.global.u32 [%rd3+1073741824], 1;",
        Pointer::Memory,
        ILLEGAL_ADDRESS,
    ),
    (
        "before",
        "ld.global.u32 %r7, [%rd3-1073741824];",
        Pointer::Memory,
        ILLEGAL_ADDRESS,
    ),
    (
        "loaded",
        "ld.global.u64 %rd6, [%rd1]; st.global.u32 [%rd6], 1;",
        Pointer::Memory,
        ILLEGAL_ADDRESS,
    ),
    (
        "freed",
        "ld.global.u32 %r7, [%rd3];",
        Pointer::Freed,
        ILLEGAL_ADDRESS,
    ),
    (
        "host",
        "st.global.u32 [%rd3], 1;",
        Pointer::Host,
        ILLEGAL_ADDRESS,
    ),
    (
        "generic",
        "st.u32 [%rd3+1073741824], 1;",
        Pointer::Memory,
        ILLEGAL_ADDRESS,
    ),
    (
        "misaligned",
        "ld.global.u32 %r7, [%rd3+2];",
        Pointer::Memory,
        MISALIGNED_ADDRESS,
    ),
    (
        "odd",
        "atom.global.add.u32 %r7, [%rd3], 1;",
        Pointer::Odd,
        MISALIGNED_ADDRESS,
    ),
    (
        "shared",
        "st.shared.u32 [%r6+65536], 1;",
        Pointer::Memory,
        ILLEGAL_ADDRESS,
    ),
    (
        "shared_misaligned",
        "ld.shared.u32 %r7, [%r6+1];",
        Pointer::Memory,
        MISALIGNED_ADDRESS,
    ),
    (
        "local",
        "st.local.u32 [%rd5+1048576], 1;",
        Pointer::Memory,
        ILLEGAL_ADDRESS,
    ),
    (
        "local_misaligned",
        "ld.local.u32 %r7, [%rd5+1];",
        Pointer::Memory,
        MISALIGNED_ADDRESS,
    ),
];

fn kernel(way: &str, name: &str) -> String {
    format!("{way}_{name}")
}

fn text() -> String {
    let mut text = String::from(
        ".version 8.0\n.target sm_75\n.address_size 64\n.shared .align 4 .b8 tile[256];\n\
         .func meet() { bar.sync 0; ret; }\n",
    );
    for (way, before) in WAYS {
        for (name, access, ..) in ACCESSES {
            let (block, thread) = ASTRAY;
            text.push_str(&format!(
                ".visible .entry {}(.param .u64 pointer) {{\n\
                 .reg .pred %p<4>; .reg .b32 %r<8>; .reg .b64 %rd<8>; .local .align 4 .b8 own[256];\n\
                 ld.param.u64 %rd1, [pointer]; mov.u32 %r1, %tid.x; mov.u32 %r2, %ctaid.x;\n\
                 mul.wide.u32 %rd2, %r1, 4; add.s64 %rd3, %rd1, %rd2;\n\
                 mov.u64 %rd4, own; add.s64 %rd5, %rd4, %rd2;\n\
                 mov.u32 %r3, tile; shl.b32 %r4, %r1, 2; add.u32 %r6, %r3, %r4;\n\
                 {before}\n\
                 setp.ne.u32 %p1, %r1, {thread}; setp.ne.or.u32 %p3, %r2, {block}, %p1;\n\
                 @%p3 bra DONE;\n{access}\nDONE: ret;\n}}\n",
                kernel(way, name)
            ));
        }
    }
    text
}

fn load() -> Handle {
    let text = std::ffi::CString::new(text()).unwrap();
    let mut module = null_mut();
    ok!(cuModuleLoadData(&mut module, text.as_ptr().cast()));
    module
}

/// The parameter; host memory must outlive the launch.
fn pointer(kind: Pointer, host: &mut [u32]) -> u64 {
    match kind {
        Pointer::Memory => zeros(LARGE),
        Pointer::Odd => zeros(LARGE) + 2,
        Pointer::Freed => {
            let address = zeros(LARGE);
            ok!(cuMemFree_v2(address));
            address
        }
        Pointer::Host => host.as_mut_ptr().expose_provenance() as u64,
        Pointer::Null => 0,
    }
}

/// Launches one of the kernels in a new context; the error of the wait for it.
fn fault(way: &str, name: &str, kind: Pointer) -> u32 {
    let _context = Context::new();
    let function = function(load(), &kernel(way, name));
    let mut host = vec![0u32; 64];
    let parameter = pointer(kind, &mut host);
    let mut arguments = [(&raw const parameter).cast()];
    assert_eq!(launch(function, 2, 64, null_mut(), &mut arguments), SUCCESS);
    let error = cu!(cuCtxSynchronize());
    assert_eq!(cu!(cuCtxSynchronize()), error, "{way} {name}: not sticky");
    let mut address = 0;
    assert_eq!(
        cu!(cuMemAlloc_v2(&mut address, 4)),
        error,
        "{way} {name}: not sticky"
    );
    assert!(
        host.iter().all(|&word| word == 0),
        "{way} {name}: host memory was written"
    );
    error
}

#[test]
fn every_kind_in_every_way() {
    for (way, _) in WAYS {
        for (name, _, kind, want) in ACCESSES {
            assert_eq!(fault(way, name, kind), want, "{way} {name}");
        }
    }
    let _context = Context::new();
    let data = zeros(4);
    assert_eq!(
        add(function(module(), "add"), data, 3, 1, null_mut()),
        SUCCESS
    );
    assert_eq!(words(data, 1), [3]);
}

/// A variable of the environment that makes a process of this test run one kernel only.
const CHILD: &str = "RGPU_TEST_SAFETY";

#[test]
fn the_log_names_the_thread() {
    if let Ok(way) = std::env::var(CHILD) {
        fault(&way, "beyond", Pointer::Memory);
        fault(&way, "shared_misaligned", Pointer::Memory);
        return;
    }
    let (block, thread) = ASTRAY;
    for (way, _) in WAYS {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "the_log_names_the_thread", "--nocapture"])
            .env(CHILD, way)
            .env("RGPU_LOG", "error")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(output.status.success());
        let log = String::from_utf8_lossy(&output.stderr);
        let place = format!("block [{block},0,0], thread [{thread},0,0]");
        for (name, what) in [
            ("beyond", "access outside any allocation at 0x"),
            ("shared_misaligned", "misaligned access"),
        ] {
            let line = format!("kernel {}, {place}: {what}", kernel(way, name));
            assert!(log.contains(&line), "no `{line}` in\n{log}");
        }
    }
}
