//! Sums, products and extremes over dimensions.

use rayon::prelude::*;

use super::tensor::{Layout, Real, Tensor, Type};
use super::walk::{Loops, Shared, walk};
use super::{Error, Result};

/// Results above which each is computed on its own, rather than all of them in parts of the input.
const MANY: usize = 1 << 16;
/// Parts of the input. As it does not depend on the machine, results do not either.
const PARTS: usize = 16;

/// How elements are joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reduction {
    /// Their sum.
    Add,
    /// Their product.
    Mul,
    /// The smallest.
    Min,
    /// The largest.
    Max,
    /// The largest absolute value.
    Amax,
    /// Their mean.
    Avg,
    /// The sum of absolute values.
    Norm1,
    /// The root of the sum of squares.
    Norm2,
    /// The product of those that are not zero.
    MulNoZeros,
}

/// Folds two tensors of `dims` (values, strides) into `kept`, which has one where a dimension is folded. `step` gets the
/// sum so far, the index among the results, and an element of each tensor.
pub fn fold<T: Real>(
    dims: &[usize],
    [a, b]: [(&[T], &[usize]); 2],
    kept: &[usize],
    start: f64,
    step: impl Fn(f64, usize, T, T) -> f64 + Sync,
    join: impl Fn(f64, f64) -> f64 + Sync,
) -> Result<Vec<f64>> {
    let results = Layout::packed(Type::F64, kept);
    let to = results.broadcast(dims)?;
    let count = results.elements();
    let mut sums = vec![start; count];
    if dims.contains(&0) {
        return Ok(sums);
    }
    let run = |sums: &mut [f64],
               at: usize,
               [ia, ib, to]: [usize; 3],
               len: usize,
               [sa, sb, st]: [usize; 3]| {
        if st == 0 {
            let mut sum = sums[to - at];
            for i in 0..len {
                sum = step(sum, to, a.0[ia + i * sa], b.0[ib + i * sb]);
            }
            sums[to - at] = sum;
            return;
        }
        for i in 0..len {
            let sum = &mut sums[to - at + i * st];
            *sum = step(*sum, to + i * st, a.0[ia + i * sa], b.0[ib + i * sb]);
        }
    };
    if count > MANY {
        let folded: Vec<usize> = dims
            .iter()
            .zip(kept)
            .map(|(&dim, &kept)| if kept == 1 { dim } else { 1 })
            .collect();
        let inner = Loops::new(&folded, [a.1, b.1, &to], 0);
        let shared = Shared::new(&mut sums);
        walk(
            kept,
            [&results.strides[..], a.1, b.1],
            |[to, ia, ib], len, [st, sa, sb]| {
                for i in 0..len {
                    let result = to + i * st;
                    let (len, [ja, jb, _]) = inner.inner();
                    for row in 0..inner.rows() {
                        let [ka, kb, _] = inner.start(row);
                        let start = [ia + i * sa + ka, ib + i * sb + kb, result];
                        // SAFETY: every result is computed once.
                        run(
                            unsafe { shared.part(result, 1) },
                            result,
                            start,
                            len,
                            [ja, jb, 0],
                        );
                    }
                }
            },
        );
        return Ok(sums);
    }
    let loops = Loops::new(dims, [a.1, b.1, &to], 0);
    let (len, steps) = loops.inner();
    let (rows, cut) = match loops.rows() {
        // One long run is cut.
        rows if rows < PARTS => (rows, PARTS),
        rows => (rows, 1),
    };
    let pieces = rows * cut;
    let parts: Vec<Vec<f64>> = (0..PARTS.min(pieces))
        .into_par_iter()
        .map(|part| {
            let mut sums = vec![start; count];
            for piece in pieces * part / PARTS.min(pieces)..pieces * (part + 1) / PARTS.min(pieces)
            {
                let (first, end) = (len * (piece % cut) / cut, len * (piece % cut + 1) / cut);
                let mut start = loops.start(piece / cut);
                (0..3).for_each(|tensor| start[tensor] += first * steps[tensor]);
                run(&mut sums, 0, start, end - first, steps);
            }
            sums
        })
        .collect();
    for part in parts {
        for (sum, own) in sums.iter_mut().zip(part) {
            *sum = join(*sum, own);
        }
    }
    Ok(sums)
}

/// `y = alpha * reduction(x) + beta * y`; `y` has one element along dimensions that are reduced.
pub fn reduce<T: Real>(
    reduction: Reduction,
    (alpha, beta): (f64, f64),
    x: &Tensor,
    y: &Tensor,
) -> Result {
    use Reduction::{Add, Amax, Avg, Max, Min, Mul, MulNoZeros, Norm1, Norm2};
    let dims = &x.layout.dims;
    let kept = &y.layout.dims;
    if kept.len() != dims.len() {
        return Err(Error::Shape);
    }
    let values = x.read::<T>();
    let both = [(&*values, &*x.layout.strides); 2];
    let plain = |sum: f64, x: f64| sum + x;
    let sums = match reduction {
        Add | Avg => fold(dims, both, kept, 0.0, |sum, _, x, _| sum + x.get(), plain),
        Mul => fold(
            dims,
            both,
            kept,
            1.0,
            |sum, _, x, _| sum * x.get(),
            |a, b| a * b,
        ),
        Min => fold(
            dims,
            both,
            kept,
            f64::INFINITY,
            |sum, _, x, _| lesser(sum, x.get()),
            lesser,
        ),
        Max => fold(
            dims,
            both,
            kept,
            f64::NEG_INFINITY,
            |sum, _, x, _| greater(sum, x.get()),
            greater,
        ),
        Amax => fold(
            dims,
            both,
            kept,
            0.0,
            |sum, _, x, _| greater(sum, x.get().abs()),
            greater,
        ),
        Norm1 => fold(
            dims,
            both,
            kept,
            0.0,
            |sum, _, x, _| sum + x.get().abs(),
            plain,
        ),
        Norm2 => fold(
            dims,
            both,
            kept,
            0.0,
            |sum, _, x, _| sum + x.get() * x.get(),
            plain,
        ),
        MulNoZeros => {
            let factor = |x: f64| if x == 0.0 { 1.0 } else { x };
            fold(
                dims,
                both,
                kept,
                1.0,
                move |sum, _, x, _| sum * factor(x.get()),
                |a, b| a * b,
            )
        }
    }?;
    let each = dims.iter().product::<usize>() as f64 / y.layout.elements().max(1) as f64;
    scatter::<T>(&sums, (alpha, beta), y, &[x], |sum| match reduction {
        Avg => sum / each,
        Norm2 => sum.sqrt(),
        _ => sum,
    });
    Ok(())
}

/// The lesser; not-a-number if one of them is.
pub fn lesser(a: f64, b: f64) -> f64 {
    if a < b || a.is_nan() { a } else { b }
}

/// The greater; not-a-number if one of them is.
pub fn greater(a: f64, b: f64) -> f64 {
    if a > b || a.is_nan() { a } else { b }
}

/// `y = alpha * f(results) + beta * y`, the results being in the order of `y`'s dimensions.
pub fn scatter<T: Real>(
    results: &[f64],
    (alpha, beta): (f64, f64),
    y: &Tensor,
    inputs: &[&Tensor],
    f: impl Fn(f64) -> f64 + Sync,
) {
    let packed = Layout::packed(Type::F64, &y.layout.dims);
    let mut output = y.output::<T>(alpha, beta, inputs);
    let values = Shared::new(output.values());
    walk(
        &y.layout.dims,
        [&y.layout.strides, &packed.strides],
        |[to, from], len, [st, sf]| {
            for at in 0..len {
                // SAFETY: inside of the output's extent, and every element once.
                unsafe { values.set(to + at * st, T::of(f(results[from + at * sf]))) };
            }
        },
    );
    output.finish();
}
