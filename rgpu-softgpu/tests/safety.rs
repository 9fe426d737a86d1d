//! Accesses that go wrong: each kind, in each way in which a kernel may run. The context gets the documented error and
//! keeps it, a new context works, and the log names kernel, block and thread.

mod support;

use std::process::{Command, Stdio};
use std::ptr::null_mut;

use cudarc::driver::sys;
use rgpu_softgpu::entry::*;
use support::*;

const MISALIGNED_ADDRESS: u32 = 716;
/// Large enough for memory of its own, which is unmapped when it is freed.
const LARGE: usize = 64 << 20;
/// Small enough to share 2 MiB with others, and some whole pages.
const SMALL: usize = 40 << 10;
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
    /// Between two others.
    FreedSmall,
    /// A mapping that may be read only.
    ReadOnly,
    /// A mapping that may not be accessed yet.
    Closed,
    Host,
    Null,
}

/// Name, access, pointer, error. `%rd1` is the pointer, `%rd3` the pointer plus an index in words, `%r6` an index in
/// words of shared memory, `%rd5` the same of local memory.
const ACCESSES: [(&str, &str, Pointer, u32); 18] = [
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
        "freed_small",
        "ld.global.u32 %r7, [%rd3];",
        Pointer::FreedSmall,
        ILLEGAL_ADDRESS,
    ),
    (
        "read_only",
        "st.global.u32 [%rd3], 1;",
        Pointer::ReadOnly,
        ILLEGAL_ADDRESS,
    ),
    (
        "read_only_atomic",
        "ld.global.u32 %r7, [%rd3]; red.global.add.u32 [%rd3], %r7;",
        Pointer::ReadOnly,
        ILLEGAL_ADDRESS,
    ),
    (
        "closed",
        "ld.global.u32 %r7, [%rd3];",
        Pointer::Closed,
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
    load_text(&text())
}

fn load_text(text: &str) -> Handle {
    let text = std::ffi::CString::new(text).unwrap();
    let mut module = null_mut();
    ok!(cuModuleLoadData(&mut module, text.as_ptr().cast()));
    module
}

/// 2 MiB that are mapped, and accessible as said.
fn mapping(access: Option<sys::CUmemAccess_flags>) -> u64 {
    const SIZE: usize = 2 << 20;
    // SAFETY: all zeros are valid for these structures of integers; the device is number 0.
    let (mut properties, mut description): (sys::CUmemAllocationProp, sys::CUmemAccessDesc) =
        unsafe { (std::mem::zeroed(), std::mem::zeroed()) };
    properties.type_ = sys::CUmemAllocationType::CU_MEM_ALLOCATION_TYPE_PINNED;
    properties.location.type_ = sys::CUmemLocationType::CU_MEM_LOCATION_TYPE_DEVICE;
    let (mut handle, mut address) = (0, 0);
    ok!(cuMemCreate(
        &mut handle,
        SIZE,
        (&raw const properties).cast(),
        0
    ));
    ok!(cuMemAddressReserve(&mut address, SIZE, 0, 0, 0));
    ok!(cuMemMap(address, SIZE, 0, handle, 0));
    if let Some(flags) = access {
        description.location = properties.location;
        description.flags = flags;
        ok!(cuMemSetAccess(
            address,
            SIZE,
            (&raw const description).cast(),
            1
        ));
    }
    address
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
        Pointer::FreedSmall => {
            let [_, address, _] = [0; 3].map(|_| zeros(SMALL));
            ok!(cuMemFree_v2(address));
            address
        }
        Pointer::ReadOnly => mapping(Some(sys::CUmemAccess_flags::CU_MEM_ACCESS_FLAGS_PROT_READ)),
        Pointer::Closed => mapping(None),
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
    let context = Context::new();
    let data = zeros(4);
    assert_eq!(
        add(function(module(), "add"), data, 3, 1, null_mut()),
        SUCCESS
    );
    assert_eq!(words(data, 1), [3]);
    drop(context);
}

/// What is not a fault: loads where only stores are forbidden, neighbours of freed memory, and memory that is in use
/// again.
#[test]
fn what_may_be_accessed_may_be_accessed() {
    let _context = Context::new();
    let read = sys::CUmemAccess_flags::CU_MEM_ACCESS_FLAGS_PROT_READ;
    let sum = function(load_text(SUM), "sum");
    let run = |pointer: u64, count: u32| {
        let result = zeros(4);
        let mut arguments = [
            (&raw const pointer).cast(),
            (&raw const count).cast(),
            (&raw const result).cast(),
        ];
        assert_eq!(launch(sum, 1, 1, null_mut(), &mut arguments), SUCCESS);
        ok!(cuCtxSynchronize());
        words(result, 1)[0]
    };
    assert_eq!(run(mapping(Some(read)), 1024), 0);
    let count = (SMALL / 4) as u32;
    let blocks: [u64; 3] = [0; 3].map(|_| zeros(SMALL));
    for block in blocks {
        ok!(cuMemsetD32_v2(block, 2, SMALL / 4));
    }
    ok!(cuMemFree_v2(blocks[1]));
    assert_eq!(run(blocks[0], count), 2 * count);
    assert_eq!(run(blocks[2], count), 2 * count);
    let again = zeros(SMALL);
    ok!(cuMemsetD32_v2(again, 3, SMALL / 4));
    assert_eq!(run(again, count), 3 * count);
}

/// The sum of `count` words.
const SUM: &str = r"
.version 8.0
.target sm_75
.address_size 64
.visible .entry sum(.param .u64 from, .param .u32 count, .param .u64 to)
{
    .reg .pred %p<2>; .reg .b32 %r<4>; .reg .b64 %rd<3>;
    ld.param.u64 %rd1, [from]; ld.param.u32 %r1, [count]; ld.param.u64 %rd2, [to];
    mov.u32 %r2, 0;
NEXT:
    ld.global.u32 %r3, [%rd1]; add.u32 %r2, %r2, %r3; add.u64 %rd1, %rd1, 4;
    sub.u32 %r1, %r1, 1; setp.ne.u32 %p1, %r1, 0; @%p1 bra NEXT;
    st.global.u32 [%rd2], %r2;
    ret;
}
";

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
