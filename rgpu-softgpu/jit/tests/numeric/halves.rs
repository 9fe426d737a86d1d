//! `.f16` and `.bf16` arithmetic: all values of one operand, many of two and three.

use rustc_apfloat::Float;
use rustc_apfloat::ieee::{BFloat, Half};

use crate::kernel::{Form, check};
use crate::reference::{Ends, ROUNDINGS, bits, from, on_bits, sums_and_products};
use crate::samples::{Random, all_halves, near};

fn ends(ty: &str) -> Vec<Ends> {
    match ty {
        "f16" => Ends::all().to_vec(),
        _ => vec![Ends::PLAIN],
    }
}

/// Bits at random.
fn some(stream: u64) -> Vec<u64> {
    let mut random = Random::new(stream);
    (0..1 << 13).map(|_| random.next() & 0xffff).collect()
}

fn arithmetic<F: Float + 'static>(ty: &'static str) {
    let x = some(19);
    let (y, z) = (near(ty, &x, 20), some(21));
    let products: Vec<u64> = x
        .iter()
        .zip(&z)
        .map(|(x, z)| bits((from::<F>(*x) * from::<F>(*z)).value))
        .collect();
    let addend = near(ty, &products, 22);
    let (sums, two) = ([(ty, &*x), (ty, &*y)], [(ty, &*x), (ty, &*z)]);
    let three = [(ty, &*x), (ty, &*z), (ty, &*addend)];
    let nearest = ROUNDINGS[0].1;
    let mut forms = Vec::new();
    for ends in ends(ty) {
        let text = |op: &str| format!("{op}.rn{}.{ty}", ends.text());
        forms.extend(sums_and_products::<F>(text, ty, &sums, &two, ends, nearest));
    }
    let relu = Ends {
        relu: true,
        ..Ends::PLAIN
    };
    // ptxas takes the other roundings for `.bf16` only.
    let roundings = if ty == "bf16" {
        &ROUNDINGS[..]
    } else {
        &ROUNDINGS[..1]
    };
    for &(rounding, round) in roundings {
        for ends in ends(ty).into_iter().chain([relu]) {
            let reference = on_bits(ends, move |v: &[F]| v[0].mul_add_r(v[1], v[2], round).value);
            forms.push(Form::exact(
                format!("fma{rounding}{}.{ty}", ends.text()),
                ty,
                &three,
                reference,
            ));
        }
    }
    check(&forms);
}

fn signs<F: Float + 'static>(ty: &'static str) {
    let x = all_halves();
    let one = [(ty, &*x)];
    let mut forms = Vec::new();
    for ends in ends(ty).into_iter().filter(|ends| !ends.sat) {
        forms.push(Form::exact(
            format!("abs{}.{ty}", ends.text()),
            ty,
            &one,
            on_bits(ends, |v: &[F]| v[0].abs()),
        ));
        forms.push(Form::exact(
            format!("neg{}.{ty}", ends.text()),
            ty,
            &one,
            on_bits(ends, |v: &[F]| -v[0]),
        ));
    }
    check(&forms);
}

#[test]
fn f16() {
    arithmetic::<Half>("f16");
    signs::<Half>("f16");
}

#[test]
fn bf16() {
    arithmetic::<BFloat>("bf16");
    signs::<BFloat>("bf16");
}
