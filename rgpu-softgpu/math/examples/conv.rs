//! Times convolutions, and forwards also as products of plain matrices by the `gemm` crate, of which the first is a copy of
//! what every position sees, made block by block: `cargo run --release -p rgpu-softgpu-math --example conv`.

use std::time::Instant;

use rayon::prelude::*;
use rgpu_softgpu_math::cpu;
use rgpu_softgpu_math::gemm::{Matrix, Shape, Threads, gemm};
use rgpu_softgpu_math::nn::conv::{Convolution, backward_data, backward_filter, forward};
use rgpu_softgpu_math::nn::tensor::{Layout, Tensor, Type};

/// What is convolved.
#[derive(Clone, Copy)]
struct Case {
    batch: usize,
    inputs: usize,
    outputs: usize,
    /// Height and width of the input.
    size: [usize; 2],
    taps: usize,
    stride: usize,
}

/// The layers of `examples/echo-view`, then some of ResNet-50.
const CASES: [(usize, usize, usize, [usize; 2], usize, usize); 12] = [
    (8, 1, 16, [240, 320], 3, 1),
    (8, 16, 32, [120, 160], 3, 1),
    (8, 32, 64, [60, 80], 3, 1),
    (8, 64, 128, [30, 40], 3, 1),
    (4, 3, 64, [224, 224], 7, 2),
    (4, 64, 64, [56, 56], 3, 1),
    (4, 128, 128, [28, 28], 3, 1),
    (4, 256, 256, [14, 14], 3, 1),
    (4, 512, 512, [7, 7], 3, 1),
    (4, 64, 256, [56, 56], 1, 1),
    (4, 1024, 256, [14, 14], 1, 1),
    (4, 256, 512, [56, 56], 1, 2),
];

impl Case {
    fn pad(self) -> usize {
        self.taps / 2
    }

    fn out(self) -> [usize; 2] {
        self.size
            .map(|size| (size + 2 * self.pad() - self.taps) / self.stride + 1)
    }

    /// Where a position's tap looks, if that is inside.
    fn sees(self, [y, x]: [usize; 2], [ky, kx]: [usize; 2]) -> Option<[usize; 2]> {
        let at = |at: usize, tap: usize, size: usize| {
            let at = (at * self.stride + tap).checked_sub(self.pad())?;
            (at < size).then_some(at)
        };
        Some([at(y, ky, self.size[0])?, at(x, kx, self.size[1])?])
    }
}

/// The same by copies and `gemm`: what a block of positions sees is copied into a matrix that stays in the cache, or what a
/// whole image sees into one.
fn lowered(case: Case, last: bool, whole: bool, input: &[f32], filter: &[f32], output: &mut [f32]) {
    let [height, width] = case.out();
    let (positions, depth) = (height * width, case.taps * case.taps * case.inputs);
    let block = match whole {
        true => positions,
        false => (65_536 / depth).clamp(48, 1024),
    };
    let blocks = positions.div_ceil(block);
    let image = case.size[0] * case.size[1];
    let plain = case.taps == 1 && case.stride == 1;
    let target = output.as_mut_ptr().expose_provenance();
    let weights = Matrix::rows(filter.as_ptr().cast_mut(), depth);
    (0..case.batch * blocks)
        .into_par_iter()
        .for_each_init(Vec::new, |copy, task| {
            let (sample, from) = (task / blocks, task % blocks * block);
            let count = block.min(positions - from);
            let input = &input[sample * image * case.inputs..][..image * case.inputs];
            let start = std::ptr::with_exposed_provenance_mut::<f32>(target);
            let start = start.wrapping_add(sample * positions * case.outputs);
            let taps = || (0..case.taps * case.taps).map(|tap| [tap / case.taps, tap % case.taps]);
            copy.clear();
            // SAFETY: matrices in the slices, as large as the shapes say; every block has positions of its own.
            unsafe {
                if last {
                    for number in from..from + count {
                        let position = [number / width, number % width];
                        for tap in taps().filter(|_| !plain) {
                            match case.sees(position, tap) {
                                Some([y, x]) => {
                                    let at = (y * case.size[1] + x) * case.inputs;
                                    copy.extend_from_slice(&input[at..at + case.inputs]);
                                }
                                None => copy.resize(copy.len() + case.inputs, 0.0),
                            }
                        }
                    }
                    let seen = match plain {
                        true => input[from * case.inputs..].as_ptr().cast_mut(),
                        false => copy.as_mut_ptr(),
                    };
                    let shape = Shape {
                        m: count,
                        n: case.outputs,
                        k: depth,
                    };
                    let c = Matrix::rows(start.wrapping_add(from * case.outputs), case.outputs);
                    let seen = Matrix::rows(seen, depth);
                    gemm(shape, 1.0, seen, weights.transposed(), 0.0, c, Threads::One);
                } else {
                    for channel in (0..case.inputs).filter(|_| !plain) {
                        for tap in taps() {
                            copy.extend((from..from + count).map(|number| {
                                let seen = case.sees([number / width, number % width], tap);
                                seen.map_or(0.0, |[y, x]| {
                                    input[channel * image + y * case.size[1] + x]
                                })
                            }));
                        }
                    }
                    let seen = match plain {
                        true => Matrix::rows(input[from..].as_ptr().cast_mut(), image),
                        false => Matrix::rows(copy.as_mut_ptr(), count),
                    };
                    let shape = Shape {
                        m: case.outputs,
                        n: count,
                        k: depth,
                    };
                    let c = Matrix::rows(start.wrapping_add(from), positions);
                    gemm(shape, 1.0, weights, seen, 0.0, c, Threads::One);
                }
            }
        });
}

fn main() {
    println!(
        "batch, channels, filters, height, width, taps, stride | layout | forward, by copies and gemm (blocks or whole images, whichever is faster), its time in ours | by data, by filter; GFLOP/s"
    );
    for (batch, inputs, outputs, size, taps, stride) in CASES {
        let case = Case {
            batch,
            inputs,
            outputs,
            size,
            taps,
            stride,
        };
        for last in [true, false] {
            time(case, last);
        }
    }
}

fn time(case: Case, last: bool) {
    let Case {
        batch,
        inputs,
        outputs,
        size,
        taps,
        stride,
    } = case;
    let order = if last {
        Layout::channels_last
    } else {
        Layout::packed
    };
    let out = case.out();
    let layouts = [
        order(Type::F32, &[batch, inputs, size[0], size[1]]),
        order(Type::F32, &[outputs, inputs, taps, taps]),
        order(Type::F32, &[batch, outputs, out[0], out[1]]),
    ];
    let numbers = |len: usize| (0..len).map(|at| (at % 17) as f32 / 16.0 - 0.5);
    let mut memory = layouts
        .clone()
        .map(|layout| numbers(layout.extent()).collect::<Vec<_>>());
    let (input, filter) = (memory[0].clone(), memory[1].clone());
    let mut other = vec![0.0f32; layouts[2].extent()];
    let pointers = memory.each_mut().map(|memory| memory.as_mut_ptr());
    let [x, w, y] = std::array::from_fn(|at| {
        // SAFETY: memory of that size, kept until the end.
        unsafe { Tensor::trusted(layouts[at].clone(), pointers[at].cast()) }
    });
    let conv = Convolution {
        pad: vec![case.pad(); 2],
        post: vec![case.pad(); 2],
        stride: vec![stride; 2],
        dilation: vec![1; 2],
        mirrored: false,
    };
    let flop = 2.0 * (batch * inputs * outputs * out[0] * out[1] * taps * taps) as f64;
    let once = |work: &mut (dyn FnMut() + Send)| {
        let start = Instant::now();
        cpu::compute(work);
        start.elapsed().as_secs_f64()
    };
    // In turns, so that what else the machine does meets both.
    let (mut ours, mut theirs) = (f64::INFINITY, f64::INFINITY);
    for _ in 0..7 {
        ours = ours.min(once(&mut || {
            forward::<f32>(&conv, (1.0, 0.0), &x, &w, &y).expect("fits");
        }));
        for whole in [false, true] {
            theirs = theirs.min(once(&mut || {
                lowered(case, last, whole, &input, &filter, &mut other);
            }));
        }
    }
    let worst = y
        .read::<f32>()
        .iter()
        .zip(&other)
        .map(|(one, other)| (one - other).abs())
        .fold(0.0, f32::max);
    assert!(worst < 1e-2, "they differ by {worst}");
    let best =
        |work: &mut (dyn FnMut() + Send)| (0..5).map(|_| once(work)).fold(f64::INFINITY, f64::min);
    let data = best(&mut || backward_data::<f32>(&conv, (1.0, 0.0), &w, &y, &x).expect("fits"));
    let filter = best(&mut || backward_filter::<f32>(&conv, (1.0, 0.0), &x, &y, &w).expect("fits"));
    let rate = |seconds: f64| flop / seconds / 1e9;
    let layout = if last { "NHWC" } else { "NCHW" };
    println!(
        "{batch} {inputs} {outputs} {} {} {taps} {stride} | {layout} | {:.1} {:.1} {:.2} | {:.1} {:.1}",
        size[0],
        size[1],
        rate(ours),
        rate(theirs),
        theirs / ours,
        rate(data),
        rate(filter)
    );
}
