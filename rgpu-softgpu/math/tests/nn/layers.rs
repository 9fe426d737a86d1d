use proptest::prelude::*;
use rgpu_softgpu_math::nn::lrn::{self, Lrn};
use rgpu_softgpu_math::nn::norm::{self, After, Backward, Training};
use rgpu_softgpu_math::nn::pointwise::{self, Activation};
use rgpu_softgpu_math::nn::pool::{self, Mode, Pooling};
use rgpu_softgpu_math::nn::reduce::{Reduction, reduce};
use rgpu_softgpu_math::nn::tensor::{Layout, Type};
use rgpu_softgpu_math::nn::{dropout, softmax};

use crate::support::{ORDERS, Order, Own, by_type, indices, layout, numbers};

fn kind() -> impl Strategy<Value = Type> {
    proptest::sample::select(&[Type::F32, Type::F64, Type::F16][..])
}

fn order() -> impl Strategy<Value = Order> {
    proptest::sample::select(&ORDERS[..])
}

fn dims() -> impl Strategy<Value = Vec<usize>> {
    (
        1..4usize,
        1..20usize,
        prop::collection::vec(1..9usize, 2..4),
    )
        .prop_map(|(batch, channels, space)| [vec![batch, channels], space].concat())
}

/// The numeric gradient of `f` at `values`, weighted by `weights`.
fn gradient(values: &[f64], weights: &[f64], f: impl Fn(&[f64]) -> Vec<f64>) -> Vec<f64> {
    let step = 1e-6;
    let shifted = |at: usize, by: f64| {
        let mut values = values.to_vec();
        values[at] += by;
        f(&values)
    };
    (0..values.len())
        .map(|at| {
            let (up, down) = (shifted(at, step), shifted(at, -step));
            let slopes = up
                .iter()
                .zip(&down)
                .map(|(up, down)| (up - down) / (2.0 * step));
            slopes
                .zip(weights)
                .map(|(slope, weight)| slope * weight)
                .sum()
        })
        .collect()
}

fn close(own: &Own, expected: &[f64], bound: f64) {
    for (at, (value, expected)) in own.values().iter().zip(expected).enumerate() {
        assert!(
            (value - expected).abs() <= bound * (1.0 + expected.abs()),
            "element {at}: {value}, not {expected}"
        );
    }
}

fn small(kind: Type, dims: &[usize], seed: u64) -> Own {
    Own::new(Layout::packed(kind, dims), numbers(seed))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn pooling(
        dims in dims(), kind in kind(), orders in [order(), order()], seed in any::<u64>(),
        mode in proptest::sample::select(&[Mode::Max, Mode::AverageAll, Mode::AverageInside][..]),
        sizes in [1..4usize, 1..4usize, 1..4usize], steps in [1..4usize, 1..4usize, 1..4usize],
        pads in [0..2usize, 0..2usize, 0..2usize],
    ) {
        let rank = dims.len() - 2;
        let window: Vec<usize> = (0..rank).map(|at| sizes[at].min(dims[at + 2])).collect();
        let pad: Vec<usize> = (0..rank).map(|at| pads[at].min(window[at] - 1)).collect();
        let pooling = Pooling { mode, window: window.clone(), pad: pad.clone(), stride: steps[..rank].to_vec(), nan: false };
        let out = pooling.output(&dims).unwrap();
        let x = Own::new(layout(kind, &dims, orders[0]), numbers(seed));
        let y = Own::new(layout(kind, &out, orders[1]), || f64::NAN);
        by_type!(kind, pool::forward(&pooling, (1.0, 0.0), &x.tensor, &y.tensor)).unwrap();
        let dy = Own::new(layout(kind, &out, orders[1]), numbers(seed ^ 77));
        let dx = Own::new(layout(kind, &dims, orders[0]), || f64::NAN);
        by_type!(kind, pool::backward(&pooling, (1.0, 0.0), &dy.tensor, &x.tensor, &dx.tensor)).unwrap();
        let mut expected = Vec::new();
        let mut back = vec![0.0; x.values().len()];
        let flat = |index: &[usize]| index.iter().zip(&dims).fold(0, |sum, (at, dim)| sum * dim + at);
        for at in indices(&out) {
            let mut seen: Vec<Vec<usize>> = Vec::new();
            for tap in indices(&window) {
                let place: Vec<usize> = (0..rank)
                    .map(|dim| (at[dim + 2] * steps[dim] + tap[dim]).wrapping_sub(pad[dim]))
                    .collect();
                if place.iter().zip(&dims[2..]).all(|(at, dim)| at < dim) {
                    seen.push([&at[..2], &place].concat());
                }
            }
            let all = window.iter().product::<usize>();
            let sum: f64 = seen.iter().map(|at| x.get(at)).sum();
            let most = seen.iter().map(|at| x.get(at)).fold(f64::NEG_INFINITY, f64::max);
            expected.push(match mode {
                Mode::Max => most,
                Mode::AverageAll => sum / all as f64,
                Mode::AverageInside => sum / seen.len() as f64,
            });
            match mode {
                Mode::Max => {
                    let first = seen.iter().find(|place| x.get(place) == most).expect("one is the largest");
                    back[flat(first)] += dy.get(&at);
                }
                Mode::AverageAll => seen.iter().for_each(|place| back[flat(place)] += dy.get(&at) / all as f64),
                Mode::AverageInside => {
                    seen.iter().for_each(|place| back[flat(place)] += dy.get(&at) / seen.len() as f64);
                }
            }
        }
        y.assert(&expected, 27);
        dx.assert(&back, 27);
    }

    #[test]
    fn batch_normalisation(
        dims in dims(), orders in [order(), order()], each in any::<bool>(), relu in any::<bool>(), seed in any::<u64>(),
    ) {
        let mut kept: Vec<usize> = dims.iter().map(|_| 1).collect();
        kept[1] = dims[1];
        if each {
            kept = dims.clone();
            kept[0] = 1;
        }
        let mut next = numbers(seed);
        let x = Own::new(layout(Type::F32, &dims, orders[0]), &mut next);
        let z = Own::new(layout(Type::F32, &dims, orders[1]), &mut next);
        let y = Own::new(layout(Type::F32, &dims, orders[1]), || f64::NAN);
        let [scale, bias, mean, variance] = [(); 4].map(|()| Own::new(Layout::packed(Type::F32, &kept), &mut next));
        let [saved_mean, saved_inverse] = [(); 2].map(|()| Own::new(Layout::packed(Type::F32, &kept), || f64::NAN));
        let (old_mean, old_variance) = (mean.values(), variance.values());
        let after = After { add: Some(z.tensor.clone()), relu };
        let training = Training {
            scale: scale.tensor.clone(),
            bias: bias.tensor.clone(),
            running: Some((mean.tensor.clone(), variance.tensor.clone(), 0.25)),
            saved: Some((saved_mean.tensor.clone(), saved_inverse.tensor.clone())),
            epsilon: 1e-3,
        };
        norm::training::<f32>((1.0, 0.0), &x.tensor, &y.tensor, &training, &after).unwrap();
        let class = |index: &[usize]| {
            index.iter().zip(&kept).fold(0, |sum, (at, dim)| sum * dim + if *dim == 1 { 0 } else { *at })
        };
        let count: usize = kept.iter().product();
        let all = indices(&dims);
        let m = (all.len() / count) as f64;
        let mut means = vec![0.0; count];
        all.iter().for_each(|at| means[class(at)] += x.get(at) / m);
        let mut variances = vec![0.0; count];
        all.iter().for_each(|at| variances[class(at)] += (x.get(at) - means[class(at)]).powi(2) / m);
        let (factors, terms) = (scale.values(), bias.values());
        let expected: Vec<f64> = all.iter().map(|at| {
            let p = class(at);
            let value = (x.get(at) - means[p]) / (variances[p] + 1e-3).sqrt() * factors[p] + terms[p] + z.get(at);
            if relu { value.max(0.0) } else { value }
        }).collect();
        close(&y, &expected, 2e-5);
        let unbiased = if m > 1.0 { m / (m - 1.0) } else { 1.0 };
        let blended: Vec<f64> = old_mean.iter().zip(&means).map(|(old, new)| 0.75 * old + 0.25 * new).collect();
        close(&mean, &blended, 1e-5);
        let blended: Vec<f64> =
            old_variance.iter().zip(&variances).map(|(old, new)| 0.75 * old + 0.25 * unbiased * new).collect();
        close(&variance, &blended, 1e-5);
        let inverse: Vec<f64> = variances.iter().map(|variance| 1.0 / (variance + 1e-3).sqrt()).collect();
        close(&saved_inverse, &inverse, 1e-5);

        let fixed = Own::new(Layout::packed(Type::F32, &kept), || 0.5);
        norm::inference::<f32>(
            (1.0, 0.0), &x.tensor, &y.tensor,
            [&scale.tensor, &bias.tensor, &saved_mean.tensor, &fixed.tensor], 0.5, &After::default(),
        ).unwrap();
        let expected: Vec<f64> =
            all.iter().map(|at| (x.get(at) - means[class(at)]) * factors[class(at)] + terms[class(at)]).collect();
        close(&y, &expected, 2e-5);
    }

    #[test]
    fn batch_normalisation_backward(seed in any::<u64>(), saves in any::<bool>()) {
        let (dims, kept) = ([2usize, 2, 2, 2], [1usize, 2, 1, 1]);
        let mut next = numbers(seed);
        let x = Own::new(layout(Type::F64, &dims, Order::Last), &mut next);
        let dy = Own::new(layout(Type::F64, &dims, Order::First), &mut next);
        let [dx, y] = [(); 2].map(|()| Own::new(layout(Type::F64, &dims, Order::Last), || f64::NAN));
        let [scale, bias] = [(); 2].map(|()| Own::new(Layout::packed(Type::F64, &kept), &mut next));
        let [dscale, dbias, mean, inverse] =
            [(); 4].map(|()| Own::new(Layout::packed(Type::F64, &kept), || f64::NAN));
        let training = Training {
            scale: scale.tensor.clone(),
            bias: bias.tensor.clone(),
            running: None,
            saved: Some((mean.tensor.clone(), inverse.tensor.clone())),
            epsilon: 0.1,
        };
        norm::training::<f64>((1.0, 0.0), &x.tensor, &y.tensor, &training, &After::default()).unwrap();
        let all = Backward {
            x: x.tensor.clone(),
            dy: dy.tensor.clone(),
            relu: None,
            dx: dx.tensor.clone(),
            dz: None,
            scale: scale.tensor.clone(),
            dscale: dscale.tensor.clone(),
            dbias: dbias.tensor.clone(),
            saved: saves.then(|| (mean.tensor.clone(), inverse.tensor.clone())),
            epsilon: 0.1,
        };
        norm::backward::<f64>((1.0, 0.0), (1.0, 0.0), &all).unwrap();
        let forward = |x: &[f64], scale: &[f64], bias: &[f64]| -> Vec<f64> {
            let of = |channel: usize| (0..16).filter(move |at| at / 4 % 2 == channel);
            let mean = [0, 1].map(|channel| of(channel).map(|at| x[at]).sum::<f64>() / 8.0);
            let variance = [0, 1].map(|c| of(c).map(|at| (x[at] - mean[c]).powi(2)).sum::<f64>() / 8.0);
            (0..16).map(|at| {
                let c = at / 4 % 2;
                (x[at] - mean[c]) / (variance[c] + 0.1).sqrt() * scale[c] + bias[c]
            }).collect()
        };
        let (vx, vs, vb, weights) = (x.values(), scale.values(), bias.values(), dy.values());
        close(&dx, &gradient(&vx, &weights, |x| forward(x, &vs, &vb)), 1e-7);
        close(&dscale, &gradient(&vs, &weights, |scale| forward(&vx, scale, &vb)), 1e-7);
        close(&dbias, &gradient(&vb, &weights, |bias| forward(&vx, &vs, bias)), 1e-7);
    }

    #[test]
    fn softmax_both_ways(dims in dims(), order in order(), log in any::<bool>(), whole in any::<bool>(), seed in any::<u64>()) {
        let x = Own::new(layout(Type::F32, &dims, order), numbers(seed));
        let y = Own::new(layout(Type::F32, &dims, Order::Last), || f64::NAN);
        softmax::forward::<f32>(log, whole, (1.0, 0.0), &x.tensor, &y.tensor).unwrap();
        let key = |index: &[usize]| -> Vec<usize> {
            if whole { vec![index[0]] } else { [&index[..1], &index[2..]].concat() }
        };
        let all = indices(&dims);
        let mut sums = std::collections::HashMap::new();
        all.iter().for_each(|at| *sums.entry(key(at)).or_insert(0.0) += x.get(at).exp());
        let expected: Vec<f64> = all.iter().map(|at| {
            let share = x.get(at).exp() / sums[&key(at)];
            if log { share.ln() } else { share }
        }).collect();
        close(&y, &expected, 1e-5);

        let values = small(Type::F64, &[2, 3, 1, 2], seed);
        let (y, dx) = (small(Type::F64, &[2, 3, 1, 2], 1), small(Type::F64, &[2, 3, 1, 2], 1));
        let dy = Own::new(layout(Type::F64, &[2, 3, 1, 2], order), numbers(seed ^ 5));
        softmax::forward::<f64>(log, whole, (1.0, 0.0), &values.tensor, &y.tensor).unwrap();
        softmax::backward::<f64>(log, whole, (1.0, 0.0), &y.tensor, &dy.tensor, &dx.tensor).unwrap();
        let share = |x: &[f64]| -> Vec<f64> {
            (0..12).map(|at| {
                let with = |other: &usize| other / 6 == at / 6 && (whole || other % 2 == at % 2);
                let sum: f64 = (0..12).filter(with).map(|at| x[at].exp()).sum();
                let share = x[at].exp() / sum;
                if log { share.ln() } else { share }
            }).collect()
        };
        close(&dx, &gradient(&values.values(), &dy.values(), share), 1e-7);
    }

    #[test]
    fn reductions(dims in dims(), order in order(), mask in any::<[bool; 5]>(), kind in kind(), seed in any::<u64>()) {
        use Reduction::{Add, Amax, Avg, Max, Min, Mul, MulNoZeros, Norm1, Norm2};
        let x = Own::new(layout(kind, &dims, order), numbers(seed));
        let kept: Vec<usize> = dims.iter().zip(mask).map(|(&dim, keeps)| if keeps { dim } else { 1 }).collect();
        for reduction in [Add, Mul, Min, Max, Amax, Avg, Norm1, Norm2, MulNoZeros] {
            let y = Own::new(layout(kind, &kept, Order::First), || f64::NAN);
            by_type!(kind, reduce(reduction, (1.0, 0.0), &x.tensor, &y.tensor)).unwrap();
            let mut groups = vec![Vec::new(); kept.iter().product()];
            for at in indices(&dims) {
                let place = at.iter().zip(&kept).fold(0, |sum, (at, dim)| sum * dim + if *dim == 1 { 0 } else { *at });
                groups[place].push(x.get(&at));
            }
            let expected: Vec<f64> = groups.iter().map(|group| match reduction {
                Add => group.iter().sum(),
                Mul => group.iter().product(),
                Min => group.iter().copied().fold(f64::INFINITY, f64::min),
                Max => group.iter().copied().fold(f64::NEG_INFINITY, f64::max),
                Amax => group.iter().map(|x| x.abs()).fold(0.0, f64::max),
                Avg => group.iter().sum::<f64>() / group.len() as f64,
                Norm1 => group.iter().map(|x| x.abs()).sum(),
                Norm2 => group.iter().map(|x| x * x).sum::<f64>().sqrt(),
                MulNoZeros => group.iter().filter(|x| **x != 0.0).product(),
            }).collect();
            y.assert(&expected, dims.iter().product());
        }
    }

    #[test]
    fn activations(order in order(), seed in any::<u64>()) {
        let dims = [1usize, 3, 2, 2];
        let x = Own::new(layout(Type::F64, &dims, order), numbers(seed));
        let dy = Own::new(layout(Type::F64, &dims, Order::First), numbers(seed ^ 9));
        let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
        let all: [(Activation, &dyn Fn(f64) -> f64); 7] = [
            (Activation::Sigmoid, &sigmoid),
            (Activation::Relu { nan: true }, &|x| x.max(0.0)),
            (Activation::Tanh, &f64::tanh),
            (Activation::Clipped { limit: 0.5, nan: true }, &|x| x.clamp(0.0, 0.5)),
            (Activation::Elu { alpha: 0.7 }, &|x| if x > 0.0 { x } else { 0.7 * (x.exp() - 1.0) }),
            (Activation::Identity, &|x| x),
            (Activation::Swish { beta: 1.5 }, &|x| x * sigmoid(1.5 * x)),
        ];
        for (activation, f) in all {
            let y = Own::new(layout(Type::F64, &dims, order), || f64::NAN);
            let dx = Own::new(layout(Type::F64, &dims, order), || f64::NAN);
            pointwise::activate::<f64>(activation, (1.0, 0.0), &x.tensor, &y.tensor).unwrap();
            let each = |x: &[f64]| -> Vec<f64> { x.iter().map(|&x| f(x)).collect() };
            close(&y, &each(&x.values()), 1e-12);
            pointwise::activate_backward::<f64>(
                activation, (1.0, 0.0), Some(&y.tensor), &dy.tensor, Some(&x.tensor), &dx.tensor,
            ).unwrap();
            close(&dx, &gradient(&x.values(), &dy.values(), each), 1e-6);
        }
    }

    #[test]
    fn response_normalisation(width in 1..6usize, seed in any::<u64>()) {
        let dims = [1usize, 6, 1, 2];
        let lrn = Lrn { width, alpha: 0.8, beta: 0.75, k: 1.5 };
        let x = small(Type::F64, &dims, seed);
        let dy = small(Type::F64, &dims, seed ^ 3);
        let (y, dx) = (small(Type::F64, &dims, 1), small(Type::F64, &dims, 1));
        lrn::forward::<f64>(&lrn, (1.0, 0.0), &x.tensor, &y.tensor).unwrap();
        let f = |x: &[f64]| -> Vec<f64> {
            (0..12isize).map(|at| {
                let channel = at / 2;
                let behind = (width as isize - 1) / 2;
                let window = (channel - behind..channel - behind + width as isize).filter(|at| (0..6).contains(at));
                let squares: f64 = window.map(|other| x[(other * 2 + at % 2) as usize].powi(2)).sum();
                x[at as usize] / (1.5 + 0.8 / width as f64 * squares).powf(0.75)
            }).collect()
        };
        close(&y, &f(&x.values()), 1e-12);
        lrn::backward::<f64>(&lrn, (1.0, 0.0), [&y.tensor, &dy.tensor, &x.tensor], &dx.tensor).unwrap();
        close(&dx, &gradient(&x.values(), &dy.values(), f), 1e-6);
    }
}

#[test]
fn dropout_keeps_what_it_says_and_is_a_function_of_its_seed() {
    let dims = [4usize, 8, 32, 32];
    let x = Own::new(layout(Type::F32, &dims, Order::First), || 1.0);
    let run = |seed: u64, drawn: u64| {
        let y = Own::new(layout(Type::F32, &dims, Order::Last), || f64::NAN);
        let mut kept = vec![9; x.values().len()];
        dropout::forward::<f32>(0.25, (seed, drawn), &x.tensor, &y.tensor, &mut kept).unwrap();
        let values = y.values();
        for (value, keeps) in values.iter().zip(&kept) {
            let expected = if *keeps == 1 {
                f64::from(1.0f32 / 0.75)
            } else {
                0.0
            };
            assert_eq!(*value, expected);
        }
        let dx = Own::new(layout(Type::F32, &dims, Order::First), || f64::NAN);
        dropout::backward::<f32>(0.25, &x.tensor, &dx.tensor, &kept).unwrap();
        assert_eq!(dx.values(), values);
        values
    };
    let first = run(7, 0);
    // Of 32768, a quarter is dropped; six deviations are 470.
    let dropped = first.iter().filter(|value| **value == 0.0).count();
    assert!(dropped.abs_diff(8192) < 470, "{dropped}");
    assert_eq!(first, run(7, 0));
    assert_ne!(first, run(8, 0));
    assert_ne!(first, run(7, 32768));
}

#[test]
fn tensors_with_one_element_along_a_dimension_are_repeated() {
    let a = Own::new(Layout::packed(Type::F32, &[2, 3, 1, 2]), numbers(1));
    let b = Own::new(Layout::packed(Type::F32, &[1, 3, 1, 1]), numbers(2));
    let y = Own::new(layout(Type::F32, &[2, 3, 4, 2], Order::Last), || 1.0);
    pointwise::binary::<f32>((2.0, 1.0), [&a.tensor, &b.tensor], &y.tensor, |a, b| a * b).unwrap();
    let expected: Vec<f64> = indices(&[2, 3, 4, 2])
        .iter()
        .map(|at| 1.0 + 2.0 * a.get(&[at[0], at[1], 0, at[3]]) * b.get(&[0, at[1], 0, 0]))
        .collect();
    y.assert(&expected, 1);
}
