//! One message of each kind, as a correct peer of protocol version 1 sends it, and other small valid inputs.
//!
//! They are seeds of `fuzz/corpus` and golden bytes at once: a test holds the files to what the code encodes.

use rgpu_fatbin::{Builder, Flags as ImageFlags, Kind};
use rgpu_proto::frame::{Flags, Header};
use rgpu_proto::handle::Id;
use rgpu_proto::hello::{
    self, ClientHello, ClientInfo, Device, HelloKind, Intent, Inventory, Refusal, RefusalCode,
    ServerHello,
};
use rgpu_proto::msg::launch::Launch;
use rgpu_proto::msg::link::{LinkAdd, LinkComplete, LinkCreate, LinkDestroy, LinkLog, Linked};
use rgpu_proto::msg::memory::{
    Back, CopyDevice, CopyIn, CopyOut, Element, Extent, Fill, PhysicalCreate, PhysicalMap,
    PhysicalRelease, Pitched, SetAccess, Unback, Unmap,
};
use rgpu_proto::msg::module::{
    GetFunction, GetKernel, Global, KernelFunction, KernelInfo, LibraryGlobal, LibraryModule,
    LibraryUnload, Load, LoadAs, LoadState, Loaded, ModuleGlobal, ModuleUnload, Upload,
};
use rgpu_proto::msg::stream::{
    EventCreate, EventRef, HostFunc, HostFuncDone, HostFuncDue, StreamCreate, StreamGet, StreamRef,
    StreamSet, StreamValue,
};
use rgpu_proto::msg::{
    ContextCreate, ContextRef, Credit, Goodbye, Output, ReplyHead, Window, WindowAt,
};
use rgpu_proto::opcode::Opcode;
use rgpu_proto::wire::{Encode, to_bytes};

/// An input: the target it is for, its file's name, its bytes.
pub type Seed = (&'static str, &'static str, Vec<u8>);

#[derive(Default)]
struct Seeds(Vec<Seed>);

impl Seeds {
    fn put(&mut self, target: &'static str, name: &'static str, bytes: &[u8]) {
        self.0.push((target, name, bytes.to_vec()));
    }
}

/// Every seed.
pub fn seeds() -> Vec<Seed> {
    let mut out = Seeds::default();
    frames(&mut out);
    greetings(&mut out);
    bodies(&mut out);
    steps(&mut out);
    for (name, text) in [
        ("tcp", "tcp://gpu1:7461"),
        ("v6", "tcp://[::1]:0"),
        ("unix", "unix:///run/rgpu.sock"),
    ] {
        out.put("url", name, text.as_bytes());
    }
    out.put("fatbin", "two_texts", &container());
    out.put("ptx_parse", "kernel", PTX.as_bytes());
    out.put("function_yaml", "plain", PLAIN.as_bytes());
    out.put("function_yaml", "oscar", OSCAR.as_bytes());
    out.0
}

fn frame(seq: u64, op: Opcode, flags: Flags, re: u64, body: &[u8]) -> Vec<u8> {
    let header = Header {
        len: body.len() as u32,
        op,
        flags,
        seq,
        re,
        ctx: 1,
        lane: 1,
    };
    [&header.to_bytes(), body].concat()
}

fn copy_in(width: u64) -> CopyIn {
    CopyIn {
        dst: Pitched::linear(0x1000_0000),
        extent: Extent::linear(width),
        stream: Id::new(16),
    }
}

fn load(inline: bool) -> Load {
    Load {
        load_as: LoadAs::Library,
        id: 17,
        hash: [7; 32],
        size: 5,
        inline,
        options: vec![(0, 32)],
    }
}

fn launch() -> Launch {
    Launch {
        function: Id::new(18),
        kernel: Id::NULL,
        grid: [2, 1, 1],
        block: [64, 1, 1],
        shared: 0,
        stream: Id::new(16),
        cooperative: false,
    }
}

fn frames(out: &mut Seeds) {
    let sync = Opcode::of("cuStreamSynchronize");
    let chunk = frame(2, Opcode::DATA, Flags::LAST, 1, &[9; 40]);
    let session = [
        frame(1, Opcode::COPY_IN, Flags::BULK, 0, &to_bytes(&copy_in(40))),
        chunk,
        frame(
            3,
            Opcode::of("cuLaunchKernel"),
            Flags::default(),
            0,
            &[to_bytes(&launch()), vec![1; 24]].concat(),
        ),
        frame(4, sync, Flags::WAIT, 0, &16_u32.to_le_bytes()),
        frame(
            5,
            Opcode::GOODBYE,
            Flags::default(),
            0,
            &to_bytes(&Goodbye {
                reason: "done".into(),
            }),
        ),
    ];
    out.put("frame_decode", "session", &session.concat());
    out.put(
        "frame_decode",
        "ping",
        &frame(1, Opcode::PING, Flags::WAIT, 0, &[]),
    );
}

fn device() -> Device {
    Device {
        name: "card".into(),
        uuid: [3; 16],
        total_memory: 1 << 30,
        pci_bus_id: "0000:01:00.0".into(),
        attributes: vec![(1, 1024), (10, 32)],
    }
}

fn greetings(out: &mut Seeds) {
    let client = ClientHello {
        min_version: 1,
        max_version: 1,
        features: 0,
        intent: Intent::Session,
        memory: 1 << 28,
        pid: 7,
        host: "laptop".into(),
        program: "saxpy".into(),
    };
    let server = ServerHello {
        version: 1,
        features: 0,
        session: 5,
        driver_version: 13000,
        devices: vec![device()],
        lease: 1 << 28,
        window_base: 1 << 44,
        window_size: 1 << 34,
        granularity: 2 << 20,
        stream_priorities: (0, -5),
        limits: vec![(0, 1024)],
        bulk_credit: 256 << 20,
    };
    let refusal = Refusal {
        code: RefusalCode::Memory,
        reason: "full".into(),
        min_version: 1,
        max_version: 1,
    };
    let user = ClientInfo {
        session: 5,
        pid: 7,
        worker_pid: 8,
        host: "laptop".into(),
        program: "saxpy".into(),
        device: 0,
        lease: 1 << 28,
        used: 0,
    };
    let inventory = Inventory {
        server: "0.1.0".into(),
        driver_version: 13000,
        devices: vec![device()],
        free: vec![1 << 29],
        clients: vec![user],
    };
    out.put(
        "hello",
        "client",
        &hello::to_bytes(HelloKind::Client, &client),
    );
    out.put(
        "hello",
        "server",
        &hello::to_bytes(HelloKind::Server, &server),
    );
    out.put(
        "hello",
        "refusal",
        &hello::to_bytes(HelloKind::Refusal, &refusal),
    );
    out.put(
        "hello",
        "inventory",
        &hello::to_bytes(HelloKind::Inventory, &inventory),
    );
    out.put(
        "hello",
        "patience",
        &hello::to_bytes(HelloKind::Patience, &()),
    );
}

fn body(out: &mut Seeds, name: &'static str, op: Opcode, from_server: bool, bytes: &[u8]) {
    let [low, high] = op.0.to_le_bytes();
    let head = [low, high, u8::from(from_server)];
    out.put("call_body", name, &[&head, bytes].concat());
}

fn call(out: &mut Seeds, name: &'static str, op: Opcode, message: &impl Encode) {
    body(out, name, op, false, &to_bytes(message));
}

fn bodies(out: &mut Seeds) {
    let of = Opcode::of;
    call(
        out,
        "window_reserved",
        Opcode::WINDOW,
        &Window { reserved: true },
    );
    call(out, "ping", Opcode::PING, &());
    call(out, "fence", Opcode::FENCE, &());
    call(
        out,
        "goodbye",
        Opcode::GOODBYE,
        &Goodbye {
            reason: "done".into(),
        },
    );
    let context = Id::new(30);
    call(
        out,
        "context",
        of("cuCtxCreate_v4"),
        &ContextCreate {
            id: context,
            device: 0,
            flags: 4,
        },
    );
    call(
        out,
        "context_destroy",
        of("cuCtxDestroy_v2"),
        &ContextRef { id: context },
    );
    call(
        out,
        "context_reset",
        of("cuDevicePrimaryCtxReset_v2"),
        &ContextRef { id: Id::new(1) },
    );
    call(out, "context_sync", of("cuCtxSynchronize"), &());
    call(out, "launch", of("cuLaunchKernel"), &launch());
    memory(out);
    physical(out);
    modules(out);
    links(out);
    streams(out);
    answers(out);
}

fn memory(out: &mut Seeds) {
    let (address, size, stream) = (1 << 44, 2 << 20, Id::new(16));
    let place = |address| Pitched {
        address,
        pitch: 512,
        slice: 8192,
    };
    let extent = || Extent {
        width: 100,
        height: 16,
        depth: 2,
    };
    let fill = Fill {
        dst: address,
        pitch: 0,
        value: 255,
        element: Element::Byte,
        width: 100,
        height: 1,
        stream,
    };
    call(out, "back", Opcode::MEMORY_BACK, &Back { address, size });
    call(
        out,
        "unback",
        Opcode::MEMORY_UNBACK,
        &Unback { address, size },
    );
    call(out, "copy_in", Opcode::COPY_IN, &copy_in(3));
    call(
        out,
        "copy_out",
        Opcode::COPY_OUT,
        &CopyOut {
            src: place(address),
            extent: extent(),
            stream,
        },
    );
    let copy = CopyDevice {
        dst: place(address),
        src: place(address + size),
        extent: extent(),
        stream,
    };
    call(out, "copy_device", Opcode::COPY_DEVICE, &copy);
    call(out, "fill", Opcode::FILL, &fill);
}

fn physical(out: &mut Seeds) {
    let (id, address, size) = (Id::new(20), 1 << 44, 2 << 20);
    let of = Opcode::of;
    call(
        out,
        "create",
        of("cuMemCreate"),
        &PhysicalCreate { id, size },
    );
    call(
        out,
        "map",
        of("cuMemMap"),
        &PhysicalMap {
            address,
            size,
            offset: 0,
            id,
        },
    );
    call(
        out,
        "access",
        of("cuMemSetAccess"),
        &SetAccess {
            address,
            size,
            flags: 3,
        },
    );
    call(out, "unmap", of("cuMemUnmap"), &Unmap { address, size });
    call(out, "release", of("cuMemRelease"), &PhysicalRelease { id });
}

fn modules(out: &mut Seeds) {
    let (module, library, kernel) = (Id::new(17), Id::new(18), Id::new(19));
    let name = || String::from("scale");
    let of = Opcode::of;
    call(out, "load", Opcode::MODULE_LOAD, &load(false));
    call(
        out,
        "upload",
        Opcode::MODULE_UPLOAD,
        &Upload { load: load(false) },
    );
    call(
        out,
        "function",
        of("cuModuleGetFunction"),
        &GetFunction {
            id: Id::new(22),
            module,
            name: name(),
        },
    );
    call(
        out,
        "module_global",
        of("cuModuleGetGlobal_v2"),
        &ModuleGlobal {
            module,
            name: name(),
        },
    );
    call(
        out,
        "module_unload",
        of("cuModuleUnload"),
        &ModuleUnload { id: module },
    );
    call(
        out,
        "kernel",
        of("cuLibraryGetKernel"),
        &GetKernel {
            id: kernel,
            library,
            name: name(),
        },
    );
    call(
        out,
        "library_module",
        of("cuLibraryGetModule"),
        &LibraryModule {
            id: Id::new(23),
            library,
        },
    );
    call(
        out,
        "library_global",
        of("cuLibraryGetGlobal"),
        &LibraryGlobal {
            library,
            name: name(),
        },
    );
    call(
        out,
        "library_unload",
        of("cuLibraryUnload"),
        &LibraryUnload { id: library },
    );
    call(
        out,
        "kernel_function",
        of("cuKernelGetFunction"),
        &KernelFunction {
            id: Id::new(24),
            kernel,
        },
    );
}

fn links(out: &mut Seeds) {
    let id = Id::new(25);
    let of = Opcode::of;
    let options = vec![(9, 90)];
    call(
        out,
        "link_create",
        of("cuLinkCreate_v2"),
        &LinkCreate {
            id,
            options: options.clone(),
        },
    );
    call(
        out,
        "link_add",
        of("cuLinkAddData_v2"),
        &LinkAdd {
            id,
            kind: 1,
            name: "caller.ptx".into(),
            size: 1 << 20,
            inline: false,
            options,
        },
    );
    call(
        out,
        "link_complete",
        of("cuLinkComplete"),
        &LinkComplete { id, from: 8 << 20 },
    );
    call(
        out,
        "link_destroy",
        of("cuLinkDestroy"),
        &LinkDestroy { id },
    );
}

fn streams(out: &mut Seeds) {
    let (stream, event) = (Id::new(16), Id::new(21));
    let of = Opcode::of;
    call(
        out,
        "stream",
        of("cuStreamCreateWithPriority"),
        &StreamCreate {
            id: stream,
            flags: 1,
            priority: -5,
        },
    );
    call(
        out,
        "stream_get",
        of("cuStreamGetAttribute"),
        &StreamGet {
            id: stream,
            attribute: 8,
        },
    );
    call(
        out,
        "stream_set",
        of("cuStreamSetAttribute"),
        &StreamSet {
            id: stream,
            attribute: 3,
            value: vec![4; 64],
        },
    );
    call(
        out,
        "stream_query",
        of("cuStreamQuery"),
        &StreamRef { id: stream },
    );
    call(
        out,
        "stream_sync",
        of("cuStreamSynchronize"),
        &StreamRef { id: stream },
    );
    call(
        out,
        "stream_destroy",
        of("cuStreamDestroy_v2"),
        &StreamRef { id: stream },
    );
    call(
        out,
        "event",
        of("cuEventCreate"),
        &EventCreate {
            id: event,
            flags: 2,
        },
    );
    call(
        out,
        "event_query",
        of("cuEventQuery"),
        &EventRef { id: event },
    );
    call(
        out,
        "event_sync",
        of("cuEventSynchronize"),
        &EventRef { id: event },
    );
    call(
        out,
        "event_destroy",
        of("cuEventDestroy_v2"),
        &EventRef { id: event },
    );
    // A derived row: stream, event, flags.
    call(
        out,
        "wait_event",
        of("cuStreamWaitEvent"),
        &((16_u32, 21_u32), 0_u32),
    );
    call(
        out,
        "host_func",
        of("cuLaunchHostFunc"),
        &HostFunc {
            token: 1,
            stream,
            on_error: false,
        },
    );
    call(
        out,
        "host_func_done",
        Opcode::HOST_FUNC_DONE,
        &HostFuncDone { token: 1 },
    );
}

fn answer(out: &mut Seeds, name: &'static str, op: Opcode, message: &impl Encode) {
    body(out, name, op, true, &to_bytes(message));
}

fn answers(out: &mut Seeds) {
    let head = || ReplyHead {
        status: 0,
        deferred: 700,
        deferred_op: Opcode::FILL.0,
    };
    let kernel = KernelInfo {
        name: "scale".into(),
        params: vec![(0, 8)],
        attributes: vec![(0, 1024)],
    };
    let loaded = Loaded {
        state: LoadState::Loaded,
        kernels: vec![kernel],
        log: "fine".into(),
    };
    let needed = Loaded {
        state: LoadState::Needed,
        kernels: vec![],
        log: String::new(),
    };
    let global = || Global {
        address: 1 << 44,
        size: 8,
    };
    let of = Opcode::of;
    answer(out, "reply", Opcode::PING, &head());
    let log = || LinkLog {
        info: String::new(),
        error: "undefined reference".into(),
    };
    answer(
        out,
        "stream_value",
        Opcode::of("cuStreamGetAttribute"),
        &(head(), StreamValue { value: vec![1; 64] }),
    );
    answer(
        out,
        "link_log",
        Opcode::of("cuLinkAddData_v2"),
        &(head(), log()),
    );
    answer(
        out,
        "linked",
        Opcode::of("cuLinkComplete"),
        &(
            head(),
            Linked {
                log: log(),
                size: 9 << 20,
            },
        ),
    );
    answer(out, "credit", Opcode::CREDIT, &Credit { bytes: 1 << 20 });
    answer(
        out,
        "output",
        Opcode::OUTPUT,
        &Output {
            fd: 1,
            bytes: b"hello\n".to_vec(),
        },
    );
    answer(
        out,
        "host_func_due",
        Opcode::HOST_FUNC_DUE,
        &HostFuncDue {
            token: 1,
            status: 0,
        },
    );
    answer(
        out,
        "goodbye_server",
        Opcode::GOODBYE,
        &Goodbye {
            reason: "protocol violation".into(),
        },
    );
    answer(out, "needed", Opcode::MODULE_LOAD, &(head(), needed));
    answer(out, "loaded", Opcode::MODULE_UPLOAD, &(head(), loaded));
    answer(
        out,
        "window",
        Opcode::WINDOW,
        &(
            head(),
            WindowAt {
                base: 1 << 44,
                size: 1 << 34,
            },
        ),
    );
    answer(
        out,
        "global",
        of("cuModuleGetGlobal_v2"),
        &(head(), global()),
    );
    answer(
        out,
        "global_library",
        of("cuLibraryGetGlobal"),
        &(head(), global()),
    );
}

/// Steps of `session_ops`: operation, flags, length, skew, re, answers.
fn steps(out: &mut Seeds) {
    let step = |op: u16, flags: u16, len: u32, skew: u8, re: u8, answers: u8| {
        let mut bytes = Vec::new();
        (op, (flags, len)).encode(&mut bytes);
        bytes.extend([skew, re, answers]);
        bytes
    };
    let (copy, data, ping) = (Opcode::COPY_IN.0, Opcode::DATA.0, Opcode::PING.0);
    let good = [
        step(copy, 2, 60, 0, 0, 0),
        step(data, 4, 1 << 20, 0, 1, 0),
        step(ping, 8, 0, 0, 1, 1),
    ];
    let bad = [
        step(ping, 8, 0, 0, 0, 0),
        step(ping, 8, 0, 255, 0, 0),
        step(data, 0, 1, 0, 2, 0),
        step(ping, 8, 0, 0, 9, 0),
    ];
    out.put("session_ops", "good", &good.concat());
    out.put("session_ops", "bad", &bad.concat());
}

fn container() -> Vec<u8> {
    let mut builder = Builder::new();
    builder.push_ptx(80, PTX.as_bytes());
    builder.push_ptx(90, PTX.as_bytes());
    builder.push_image(Kind::LTO_IR, 75, ImageFlags::ADDRESS_64, b"bitcode");
    builder.finish()
}

const PTX: &str = "\
.version 8.5
.target sm_90
.address_size 64
.global .align 4 .b8 table[8] = {1, 2, 3, 4};
.visible .entry scale(.param .u64 p, .param .u32 n)
{
  .reg .pred %q;
  .reg .b32 %r<5>;
  .reg .f32 %f<3>;
  .reg .b64 %d<4>;
  .shared .align 4 .b8 s[128];
  ld.param.u64 %d1, [p];
  ld.param.u32 %r1, [n];
  mov.u32 %r2, %tid.x;
  setp.ge.u32 %q, %r2, %r1;
  @%q bra DONE;
  cvta.to.global.u64 %d2, %d1;
  mul.wide.u32 %d3, %r2, 4;
  add.s64 %d2, %d2, %d3;
  ld.global.f32 %f1, [%d2+0];
  fma.rn.f32 %f2, %f1, 0f40000000, %f1;
  bar.sync 0;
  st.global.f32 [%d2], %f2;
DONE:
  ret;
}
";

const PLAIN: &str = "\
name: despeckle
script: run.sh
memory: 512Mi
cpu: '1.0'
gpu:
  memory: 256Mi
input:
- storage_provider: minio.default
  path: echo/in
  suffix: ['*.dcm']
output:
- storage_provider: minio.default
  path: echo/out
environment:
  variables:
    ITERATIONS: '20'
";

const OSCAR: &str = "\
functions:
  oscar:
  - cluster:
      name: count
      image: busybox
      script: |
        #!/bin/sh
        wc -c \"$INPUT_FILE_PATH\" > \"$TMP_OUTPUT_DIR/count\"
      input:
      - storage_provider: minio
        path: texts
      output:
      - storage_provider: minio
        path: counts
storage_providers:
  minio: {}
";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::{ANSWERS, CALLS};

    #[test]
    fn every_message_has_a_seed() {
        let seeds = seeds();
        for (sender, table) in [(0, CALLS), (1, ANSWERS)] {
            for (op, ..) in table {
                let [low, high] = op.0.to_le_bytes();
                let head = [low, high, sender];
                let found = seeds
                    .iter()
                    .any(|(target, _, bytes)| *target == "call_body" && bytes.starts_with(&head));
                assert!(found, "{op} has no seed");
            }
        }
    }

    /// The bytes of a version never change: a difference here is a new version of the protocol.
    #[test]
    fn the_code_still_makes_the_committed_bytes() {
        let corpus = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../corpus");
        for (target, name, bytes) in seeds() {
            let path = corpus.join(target).join(name);
            let committed =
                std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            assert_eq!(committed, bytes, "{}", path.display());
        }
    }
}
