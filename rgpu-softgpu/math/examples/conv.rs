//! Times convolutions: `cargo run --release -p rgpu-softgpu-math --example conv`.

use std::time::Instant;

use rgpu_softgpu_math::cpu;
use rgpu_softgpu_math::nn::conv::{Convolution, backward_data, backward_filter, forward};
use rgpu_softgpu_math::nn::tensor::{Layout, Tensor, Type};

fn main() {
    let shapes = [
        (8, 1, 16, 240, 320, 3),
        (8, 16, 32, 120, 160, 3),
        (8, 32, 64, 60, 80, 3),
        (8, 64, 128, 30, 40, 3),
        (8, 64, 64, 60, 80, 1),
        (8, 256, 256, 14, 14, 3),
    ];
    println!(
        "batch channels filters height width taps | layout | forward, by data, by filter in GFLOP/s"
    );
    for (batch, inputs, outputs, height, width, taps) in shapes {
        for last in [true, false] {
            let order = if last {
                Layout::channels_last
            } else {
                Layout::packed
            };
            let layouts = [
                order(Type::F32, &[batch, inputs, height, width]),
                order(Type::F32, &[outputs, inputs, taps, taps]),
                order(Type::F32, &[batch, outputs, height, width]),
            ];
            let mut memory = layouts.clone().map(|layout| vec![0.5f32; layout.extent()]);
            let pointers = memory.each_mut().map(|memory| memory.as_mut_ptr());
            let [x, w, y] = std::array::from_fn(|at| {
                // SAFETY: memory of that size, kept until the end.
                unsafe { Tensor::trusted(layouts[at].clone(), pointers[at].cast()) }
            });
            let pad = taps / 2;
            let conv = Convolution {
                pad: vec![pad; 2],
                post: vec![pad; 2],
                stride: vec![1; 2],
                dilation: vec![1; 2],
                mirrored: false,
            };
            let flop = 2.0 * (batch * inputs * outputs * height * width * taps * taps) as f64;
            let best = |work: &(dyn Fn() + Sync)| {
                let once = || {
                    let start = Instant::now();
                    cpu::compute(work);
                    start.elapsed().as_secs_f64()
                };
                let best = (0..5).map(|_| once()).fold(f64::INFINITY, f64::min);
                flop / best / 1e9
            };
            let ahead = best(&|| forward::<f32>(&conv, (1.0, 0.0), &x, &w, &y).expect("fits"));
            let data = best(&|| backward_data::<f32>(&conv, (1.0, 0.0), &w, &y, &x).expect("fits"));
            let filter =
                best(&|| backward_filter::<f32>(&conv, (1.0, 0.0), &x, &y, &w).expect("fits"));
            let layout = if last { "NHWC" } else { "NCHW" };
            println!(
                "{batch} {inputs} {outputs} {height} {width} {taps} | {layout} | {ahead:.1} {data:.1} {filter:.1}"
            );
        }
    }
}
