//! `.f32` and `.f64` arithmetic in all roundings, with `.ftz` and `.sat`.

use rustc_apfloat::Float;
use rustc_apfloat::ieee::{BFloat, Double, Half, Single};
use rustc_apfloat::{FloatConvert, Round};

use crate::kernel::{Form, check};
use crate::reference::{Ends, ROUNDINGS, convert, from, on_bits, sqrt, sums_and_products};
use crate::samples::{COUNT, floats, near};

fn ends(ty: &str) -> Vec<Ends> {
    match ty {
        "f32" => Ends::all().to_vec(),
        _ => vec![Ends::PLAIN],
    }
}

fn sums<F: Float + 'static>(ty: &'static str) {
    let x = floats(ty, COUNT, 1);
    let y = near(ty, &x, 2);
    let z = floats(ty, COUNT, 3);
    let (sums, products) = ([(ty, &*x), (ty, &*y)], [(ty, &*x), (ty, &*z)]);
    let mut forms = Vec::new();
    for (rounding, round) in ROUNDINGS {
        for ends in ends(ty) {
            let text = |op: &str| format!("{op}{rounding}{}.{ty}", ends.text());
            forms.extend(sums_and_products::<F>(
                text, ty, &sums, &products, ends, round,
            ));
        }
    }
    check(&forms);
}

fn fused<F: Float + 'static>(ty: &'static str) {
    let (x, y) = (floats(ty, COUNT, 4), floats(ty, COUNT, 5));
    let product = |(x, y): (&u64, &u64)| (from::<F>(*x) * from::<F>(*y)).value.to_bits() as u64;
    let products: Vec<u64> = x.iter().zip(&y).map(product).collect();
    let z = near(ty, &products, 6);
    let sources = [(ty, &*x), (ty, &*y), (ty, &*z)];
    let mut forms = Vec::new();
    for (rounding, round) in ROUNDINGS {
        for ends in ends(ty) {
            let reference = on_bits(ends, move |v: &[F]| v[0].mul_add_r(v[1], v[2], round).value);
            forms.push(Form::exact(
                format!("fma{rounding}{}.{ty}", ends.text()),
                ty,
                &sources,
                reference,
            ));
        }
    }
    check(&forms);
}

fn quotients_and_roots<F: Float + FloatConvert<Double> + 'static>(ty: &'static str) {
    let (x, y) = (floats(ty, COUNT, 7), floats(ty, COUNT, 8));
    let (one, two) = ([(ty, &*x)], [(ty, &*x), (ty, &*y)]);
    let mut forms = Vec::new();
    for (rounding, round) in ROUNDINGS {
        for ends in ends(ty).into_iter().filter(|ends| !ends.sat) {
            let text = |op: &str| format!("{op}{rounding}{}.{ty}", ends.text());
            let unit = F::from_u128(1).value;
            forms.push(Form::exact(
                text("div"),
                ty,
                &two,
                on_bits(ends, move |v: &[F]| v[0].div_r(v[1], round).value),
            ));
            forms.push(Form::exact(
                text("rcp"),
                ty,
                &one,
                on_bits(ends, move |v: &[F]| unit.div_r(v[0], round).value),
            ));
            forms.push(Form::exact(
                text("sqrt"),
                ty,
                &one,
                on_bits(ends, move |v: &[F]| sqrt(v[0], round)),
            ));
        }
    }
    check(&forms);
}

/// Halves with a single.
fn mixed<H: Float + FloatConvert<Single> + 'static>(half: &'static str) {
    let (x, y) = (floats(half, COUNT, 9), floats(half, COUNT, 10));
    let wide = |value: u64| convert::<H, Single>(from(value), Round::NearestTiesToEven);
    let singles: Vec<u64> = x.iter().map(|x| wide(*x).to_bits() as u64).collect();
    let sum = near("f32", &singles, 11);
    let products: Vec<u64> = x
        .iter()
        .zip(&y)
        .map(|(x, y)| (wide(*x) * wide(*y)).value.to_bits() as u64)
        .collect();
    let addend = near("f32", &products, 12);
    let two = [(half, &*x), ("f32", &*sum)];
    let three = [(half, &*x), (half, &*y), ("f32", &*addend)];
    let mut forms = Vec::new();
    for (rounding, round) in ROUNDINGS {
        for ends in Ends::all().into_iter().filter(|ends| !ends.ftz) {
            let text = |op: &str| format!("{op}{rounding}{}.f32.{half}", ends.text());
            let finish = move |value: Single| ends.finish(value).to_bits() as u64;
            forms.push(Form::exact(text("add"), "f32", &two, move |v| {
                finish(wide(v[0]).add_r(from(v[1]), round).value)
            }));
            forms.push(Form::exact(text("sub"), "f32", &two, move |v| {
                finish(wide(v[0]).sub_r(from(v[1]), round).value)
            }));
            forms.push(Form::exact(text("fma"), "f32", &three, move |v| {
                finish(wide(v[0]).mul_add_r(wide(v[1]), from(v[2]), round).value)
            }));
        }
    }
    check(&forms);
}

#[test]
fn singles() {
    sums::<Single>("f32");
    fused::<Single>("f32");
    quotients_and_roots::<Single>("f32");
}

#[test]
fn doubles() {
    sums::<Double>("f64");
    fused::<Double>("f64");
    quotients_and_roots::<Double>("f64");
}

#[test]
fn halves_with_singles() {
    mixed::<Half>("f16");
    mixed::<BFloat>("bf16");
}
