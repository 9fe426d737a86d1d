use proptest::prelude::*;
use rgpu_softgpu_math::nn::conv::{Convolution, backward_data, backward_filter, forward};
use rgpu_softgpu_math::nn::tensor::Type;

use crate::support::{ORDERS, Order, Own, by_type, indices, layout, numbers};

#[derive(Debug, Clone)]
struct Case {
    conv: Convolution,
    x: Vec<usize>,
    w: Vec<usize>,
    y: Vec<usize>,
    kind: Type,
    orders: [Order; 3],
    blend: (f64, f64),
    seed: u64,
}

fn case() -> impl Strategy<Value = Case> {
    let dimension = (1..10usize, 1..4usize, 0..3usize, 1..4usize, 1..3usize);
    let order = proptest::sample::select(&ORDERS[..]);
    (
        (1..3usize, 1..4usize, 1..8usize, 1..20usize),
        prop::collection::vec(dimension, 1..4),
        any::<bool>(),
        proptest::sample::select(&[Type::F32, Type::F64, Type::F16, Type::Bf16][..]),
        [order.clone(), order.clone(), order],
        proptest::sample::select(&[(1.0, 0.0), (0.5, 2.0), (-2.0, 0.0)][..]),
        any::<u64>(),
    )
        .prop_map(
            |((batch, groups, inputs, outputs), dims, mirrored, kind, orders, blend, seed)| {
                let pick =
                    |which: fn(&(usize, usize, usize, usize, usize)) -> usize| -> Vec<usize> {
                        dims.iter().map(which).collect()
                    };
                let pad = pick(|dim| dim.2);
                let conv = Convolution {
                    post: pad.clone(),
                    pad,
                    stride: pick(|dim| dim.3),
                    dilation: pick(|dim| dim.4),
                    mirrored,
                };
                let x = [vec![batch, groups * inputs], pick(|dim| dim.0 + 4)].concat();
                let w = [vec![groups * outputs, inputs], pick(|dim| dim.1)].concat();
                let y = conv.output(&x, &w).expect("the filter fits");
                Case {
                    conv,
                    x,
                    w,
                    y,
                    kind,
                    orders,
                    blend,
                    seed,
                }
            },
        )
}

/// Every product of the convolution: where in x, w and y, and how many.
fn products(case: &Case, mut each: impl FnMut(&[usize], &[usize], &[usize])) {
    let Case { conv, x, w, y, .. } = case;
    let (outputs, inputs) = (w[0] / (x[1] / w[1]), w[1]);
    for at_y in indices(y) {
        for at_w in indices(&w[1..]) {
            let group = at_y[1] / outputs;
            let mut at_x = vec![at_y[0], group * inputs + at_w[0]];
            for dim in 0..conv.pad.len() {
                let tap = at_w[dim + 1];
                let padded = at_y[dim + 2] * conv.stride[dim] + tap * conv.dilation[dim];
                at_x.push(padded.wrapping_sub(conv.pad[dim]));
            }
            if at_x.iter().zip(x).any(|(at, size)| at >= size) {
                continue;
            }
            let mut filter = vec![at_y[1], at_w[0]];
            for dim in 0..conv.pad.len() {
                let tap = at_w[dim + 1];
                filter.push(if conv.mirrored {
                    w[dim + 2] - 1 - tap
                } else {
                    tap
                });
            }
            each(&at_x, &filter, &at_y);
        }
    }
}

fn flat(index: &[usize], dims: &[usize]) -> usize {
    index
        .iter()
        .zip(dims)
        .fold(0, |sum, (at, dim)| sum * dim + at)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn all_three_directions(case in case()) {
        let mut next = numbers(case.seed);
        let [x, w, y] = [(&case.x, 0), (&case.w, 1), (&case.y, 2)]
            .map(|(dims, at)| Own::new(layout(case.kind, dims, case.orders[at]), &mut next));
        let (alpha, beta) = case.blend;
        let start = |own: &Own| -> Vec<f64> { own.values().iter().map(|value| beta * value).collect() };
        let (mut ey, mut ex, mut ew) = (start(&y), start(&x), start(&w));
        products(&case, |at_x, at_w, at_y| {
            let [fx, fw, fy] = [(at_x, &case.x), (at_w, &case.w), (at_y, &case.y)].map(|(at, dims)| flat(at, dims));
            ey[fy] += alpha * x.get(at_x) * w.get(at_w);
            ex[fx] += alpha * y.get(at_y) * w.get(at_w);
            ew[fw] += alpha * y.get(at_y) * x.get(at_x);
        });
        let copy = |own: &Own, poison: bool| {
            let mut values = own.values().into_iter();
            Own::new(own.tensor.layout.clone(), || {
                let value = values.next().expect("as many");
                if poison { f64::NAN } else { value }
            })
        };
        // Where beta is zero, what was there is not read.
        let [ry, rx, rw] = [&y, &x, &w].map(|own| copy(own, beta == 0.0));
        by_type!(case.kind, forward(&case.conv, case.blend, &x.tensor, &w.tensor, &ry.tensor)).unwrap();
        by_type!(case.kind, backward_data(&case.conv, case.blend, &w.tensor, &y.tensor, &rx.tensor)).unwrap();
        by_type!(case.kind, backward_filter(&case.conv, case.blend, &x.tensor, &y.tensor, &rw.tensor)).unwrap();
        ry.assert(&ey, case.w[1..].iter().product());
        rx.assert(&ex, case.w[2..].iter().product::<usize>() * case.w[0]);
        rw.assert(&ew, case.y[2..].iter().product::<usize>() * case.y[0]);
    }
}
