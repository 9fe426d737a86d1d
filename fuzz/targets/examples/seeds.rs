//! Writes the seeds of `fuzz/corpus` that are messages of ours: one of each kind, as a correct peer sends it.

use std::fs;
use std::path::{Path, PathBuf};

use rgpu_fatbin::{Builder, Flags as ImageFlags, Kind};
use rgpu_proto::frame::{Flags, Header};
use rgpu_proto::handle::Id;
use rgpu_proto::hello::{
    self, ClientHello, ClientInfo, Device, HelloKind, Intent, Inventory, Refusal, RefusalCode,
    ServerHello,
};
use rgpu_proto::msg::launch::Launch;
use rgpu_proto::msg::memory::{Back, CopyIn, Element, Extent, Fill, PhysicalMap, Pitched};
use rgpu_proto::msg::module::{GetFunction, KernelInfo, Load, LoadAs, LoadState, Loaded, Upload};
use rgpu_proto::msg::stream::{EventCreate, HostFunc, StreamCreate};
use rgpu_proto::msg::{Credit, Goodbye, Output, ReplyHead, WindowAt};
use rgpu_proto::opcode::Opcode;
use rgpu_proto::wire::{Encode, to_bytes};

fn main() -> std::io::Result<()> {
    frames()?;
    greetings()?;
    bodies()?;
    steps()?;
    for (name, text) in [
        ("tcp", "tcp://gpu1:7461"),
        ("v6", "tcp://[::1]:0"),
        ("unix", "unix:///run/rgpu.sock"),
    ] {
        write("url", name, text.as_bytes())?;
    }
    write("fatbin", "two_texts", &container())?;
    write("ptx_parse", "kernel", PTX.as_bytes())?;
    write("function_yaml", "plain", PLAIN.as_bytes())?;
    write("function_yaml", "oscar", OSCAR.as_bytes())
}

fn write(target: &str, name: &str, bytes: &[u8]) -> std::io::Result<()> {
    let folder: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../corpus")
        .join(target);
    fs::create_dir_all(&folder)?;
    fs::write(folder.join(name), bytes)
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

fn frames() -> std::io::Result<()> {
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
    write("frame_decode", "session", &session.concat())?;
    write(
        "frame_decode",
        "ping",
        &frame(1, Opcode::PING, Flags::WAIT, 0, &[]),
    )
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

fn greetings() -> std::io::Result<()> {
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
    write(
        "hello",
        "client",
        &hello::to_bytes(HelloKind::Client, &client),
    )?;
    write(
        "hello",
        "server",
        &hello::to_bytes(HelloKind::Server, &server),
    )?;
    write(
        "hello",
        "refusal",
        &hello::to_bytes(HelloKind::Refusal, &refusal),
    )?;
    write(
        "hello",
        "inventory",
        &hello::to_bytes(HelloKind::Inventory, &inventory),
    )
}

fn body(name: &str, op: Opcode, from_server: bool, bytes: &[u8]) -> std::io::Result<()> {
    let [low, high] = op.0.to_le_bytes();
    let head = [low, high, u8::from(from_server)];
    write("call_body", name, &[&head, bytes].concat())
}

fn call(name: &str, op: Opcode, message: &impl Encode) -> std::io::Result<()> {
    body(name, op, false, &to_bytes(message))
}

fn bodies() -> std::io::Result<()> {
    let place = PhysicalMap {
        address: 1 << 44,
        size: 2 << 20,
        offset: 0,
        id: Id::new(20),
    };
    let fill = Fill {
        dst: 1 << 44,
        pitch: 0,
        value: 255,
        element: Element::Byte,
        width: 100,
        height: 1,
        stream: Id::NULL,
    };
    call("copy_in", Opcode::COPY_IN, &copy_in(3))?;
    call("fill", Opcode::FILL, &fill)?;
    call(
        "back",
        Opcode::MEMORY_BACK,
        &Back {
            address: 1 << 44,
            size: 2 << 20,
        },
    )?;
    call("load", Opcode::MODULE_LOAD, &load(false))?;
    call(
        "upload",
        Opcode::MODULE_UPLOAD,
        &Upload { load: load(false) },
    )?;
    call("map", Opcode::of("cuMemMap"), &place)?;
    call("launch", Opcode::of("cuLaunchKernel"), &launch())?;
    call(
        "stream",
        Opcode::of("cuStreamCreateWithPriority"),
        &StreamCreate {
            id: Id::new(16),
            flags: 1,
            priority: 0,
        },
    )?;
    call(
        "event",
        Opcode::of("cuEventCreate"),
        &EventCreate {
            id: Id::new(21),
            flags: 2,
        },
    )?;
    call(
        "host_func",
        Opcode::of("cuLaunchHostFunc"),
        &HostFunc {
            token: 1,
            stream: Id::new(16),
            on_error: false,
        },
    )?;
    let function = GetFunction {
        id: Id::new(18),
        module: Id::new(17),
        name: "scale".into(),
    };
    call("function", Opcode::of("cuModuleGetFunction"), &function)?;
    call(
        "wait_event",
        Opcode::of("cuStreamWaitEvent"),
        &((16_u32, 21_u32), 0_u32),
    )?;
    answers()
}

fn answers() -> std::io::Result<()> {
    let head = ReplyHead {
        status: 0,
        deferred: 700,
        deferred_op: 0x0a04,
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
    let window = WindowAt {
        base: 1 << 44,
        size: 1 << 34,
    };
    body("reply", Opcode::PING, true, &to_bytes(&head))?;
    body(
        "credit",
        Opcode::CREDIT,
        true,
        &to_bytes(&Credit { bytes: 1 << 20 }),
    )?;
    body(
        "output",
        Opcode::OUTPUT,
        true,
        &to_bytes(&Output {
            fd: 1,
            bytes: b"hello\n".to_vec(),
        }),
    )?;
    body(
        "loaded",
        Opcode::MODULE_LOAD,
        true,
        &to_bytes(&(head.clone(), loaded)),
    )?;
    body("window", Opcode::WINDOW, true, &to_bytes(&(head, window)))
}

/// Steps of `session_ops`: operation, flags, length, skew, re, answers.
fn steps() -> std::io::Result<()> {
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
    write("session_ops", "good", &good.concat())?;
    write("session_ops", "bad", &bad.concat())
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
