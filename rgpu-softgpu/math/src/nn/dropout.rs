//! Dropout: elements become zero by chance, the rest grows in compensation.
//!
//! Which ones is a function of the seed, of how many were drawn before, and of the element's place among its tensor's.

use super::tensor::{Layout, Real, Tensor, Type};
use super::walk::{Shared, walk};
use super::{Error, Result};

/// A number from the seed and a place in its sequence (the finaliser of SplitMix64, after Steele, Lea and Flood).
fn draw(seed: u64, place: u64) -> u64 {
    let mut state = seed.wrapping_add(place.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ (state >> 31)
}

/// Of 2^53 equally likely numbers, those below it drop.
fn limit(rate: f64) -> u64 {
    (rate.clamp(0.0, 1.0) * (1u64 << 53) as f64) as u64
}

/// By what elements that are kept grow.
fn growth(rate: f64) -> f64 {
    if rate < 1.0 { 1.0 / (1.0 - rate) } else { 0.0 }
}

/// By what one element after the other is multiplied. `drawn` were drawn from the seed before.
pub fn factors(rate: f64, (seed, drawn): (u64, u64)) -> impl FnMut() -> f64 {
    let (limit, growth, mut place) = (limit(rate), growth(rate), drawn);
    move || {
        let keeps = draw(seed, place) >> 11 >= limit;
        place = place.wrapping_add(1);
        if keeps { growth } else { 0.0 }
    }
}

/// `y = x / (1 - rate)` or zero, by chance; `kept` has a byte for each element, for the way back. `drawn` were drawn
/// from the seed before.
pub fn forward<T: Real>(
    rate: f64,
    (seed, drawn): (u64, u64),
    x: &Tensor,
    y: &Tensor,
    kept: &mut [u8],
) -> Result {
    let dims = &x.layout.dims;
    let packed = Layout::packed(Type::U8, dims);
    if *dims != y.layout.dims || kept.len() < packed.elements() {
        return Err(Error::Shape);
    }
    let limit = limit(rate);
    let marks = Shared::new(kept);
    walk(dims, [&packed.strides], |[first], len, [step]| {
        for at in (0..len).map(|at| first + at * step) {
            let keeps = draw(seed, drawn.wrapping_add(at as u64)) >> 11 >= limit;
            // SAFETY: a byte of each element's own.
            unsafe { marks.set(at, keeps.into()) };
        }
    });
    backward::<T>(rate, x, y, kept)
}

/// `dx = dy / (1 - rate)` where the element was kept, else zero.
pub fn backward<T: Real>(rate: f64, dy: &Tensor, dx: &Tensor, kept: &[u8]) -> Result {
    let dims = &dy.layout.dims;
    let packed = Layout::packed(Type::U8, dims);
    if *dims != dx.layout.dims || kept.len() < packed.elements() {
        return Err(Error::Shape);
    }
    let factor = T::of(growth(rate));
    let gradient = dy.read::<T>();
    let mut output = dx.output::<T>(1.0, 0.0, &[dy]);
    let values = Shared::new(output.values());
    let strides = [&dx.layout.strides, &dy.layout.strides, &packed.strides];
    walk(dims, strides, |[to, from, mark], len, [st, sf, sm]| {
        for at in 0..len {
            let value = match kept[mark + at * sm] {
                0 => T::zero(),
                _ => gradient[from + at * sf] * factor,
            };
            // SAFETY: inside of the output's extent, and every element once.
            unsafe { values.set(to + at * st, value) };
        }
    });
    output.finish();
    Ok(())
}
