//! One message of each kind, as a correct peer of protocol version 1 sends it, and other small valid inputs.
//!
//! They are seeds of `fuzz/corpus` and golden bytes at once: a test holds the files to what the code encodes.

use rgpu_fatbin::{Builder, Flags as ImageFlags, Kind};
use rgpu_proto::frame::{Flags, Header};
use rgpu_proto::hello::{
    self, ClientHello, ClientInfo, Device, HelloKind, Intent, Inventory, Refusal, RefusalCode,
    ServerHello,
};
use rgpu_proto::msg::Goodbye;
use rgpu_proto::opcode::Opcode;
use rgpu_proto::wire::{Encode, to_bytes};

mod calls;

use calls::{bodies, copy_in, launch};

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
        ("rdma", "rdma://gpu1:7461"),
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
