//! What the protocol's own code costs, apart from any transport.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use rgpu_proto::frame::{Flags, HEADER_LEN, Header};
use rgpu_proto::handle::Id;
use rgpu_proto::msg::launch::Launch;
use rgpu_proto::opcode::Opcode;
use rgpu_proto::wire::{self, Encode};

fn launch() -> Launch {
    Launch {
        function: Id::new(20),
        kernel: Id::NULL,
        grid: [1, 1, 1],
        block: [32, 1, 1],
        shared: 0,
        stream: Id::NULL,
        cooperative: false,
    }
}

fn header(len: u32) -> Header {
    let op = const { Opcode::of("cuLaunchKernel") };
    Header {
        len,
        op,
        flags: Flags::default(),
        seq: 1,
        re: 0,
        ctx: 1,
        lane: 1,
    }
}

fn benches(criterion: &mut Criterion) {
    let mut out = Vec::with_capacity(256);
    criterion.bench_function("encode a launch", |bencher| {
        bencher.iter(|| {
            out.clear();
            out.extend_from_slice(&header(45).to_bytes());
            black_box(launch()).encode(&mut out);
            black_box(&out);
        });
    });
    let body = wire::to_bytes(&launch());
    let bytes: [u8; HEADER_LEN] = header(body.len() as u32).to_bytes();
    criterion.bench_function("check a header and decode a launch", |bencher| {
        bencher.iter(|| {
            let header = Header::from_bytes(black_box(&bytes));
            (
                header.is_ok(),
                wire::from_bytes::<Launch>(black_box(&body)).is_ok(),
            )
        });
    });
}

criterion_group!(group, benches);
criterion_main!(group);
