//! `cvt` between floats, and between floats and integers.

use rustc_apfloat::ieee::{BFloat, Double, Half, Single};
use rustc_apfloat::{Float, FloatConvert, Round};

use crate::kernel::{Form, check};
use crate::reference::{
    Ends, ROUNDINGS, Tf32, bits, convert, double, for_float, from, number, raw, width,
};
use crate::samples::{COUNT, Random, all_halves, floats, integers, shape};

const FLOATS: [&str; 4] = ["f16", "bf16", "f32", "f64"];
const INTEGERS: [&str; 8] = ["u8", "s8", "u16", "s16", "u32", "s32", "u64", "s64"];

/// All halves, or many wider floats; most of those within the range of halves, and a step or so from what halves hold.
fn sources(ty: &str, stream: u64) -> Vec<u64> {
    if shape(ty).0 == 16 {
        return all_halves();
    }
    let (_, mantissa) = shape(ty);
    let mut random = Random::new(stream);
    let mut list = floats(ty, COUNT, stream + 1);
    for half in 0..COUNT {
        let half = (half as u64).wrapping_mul(40_503) & 0xffff;
        let wide = if half & 1 == 0 {
            widened::<Half>(ty, half)
        } else {
            widened::<BFloat>(ty, half)
        };
        let places = mantissa - 7 - 3 * (random.below(2) as u32);
        let tie = random.below(4) << (places - 1);
        list.push(
            wide.wrapping_add(tie)
                .wrapping_add(random.below(3))
                .wrapping_sub(1),
        );
    }
    list
}

fn widened<H: Float + FloatConvert<Single> + FloatConvert<Double>>(ty: &str, half: u64) -> u64 {
    let nearest = Round::NearestTiesToEven;
    match ty {
        "f32" => bits(convert::<H, Single>(from(half), nearest)),
        _ => bits(convert::<H, Double>(from(half), nearest)),
    }
}

fn can_saturate(to: &str, source: &str) -> bool {
    to != "bf16" && source != "bf16"
}

/// From one format to all.
fn between<F>(source: &'static str)
where
    F: Float
        + FloatConvert<Half>
        + FloatConvert<BFloat>
        + FloatConvert<Single>
        + FloatConvert<Double>
        + 'static,
{
    let x = sources(source, 40);
    let one = [(source, &*x)];
    let mut forms = Vec::new();
    for to in FLOATS {
        let plain = to == source
            || shape(to).1 >= shape(source).1 && to != "bf16" && shape(to).0 > shape(source).0;
        let roundings = if plain {
            vec![("", Round::NearestTiesToEven)]
        } else {
            ROUNDINGS.to_vec()
        };
        for (rounding, round) in roundings {
            for ends in Ends::all() {
                if ends.ftz && !matches!("f32", x if x == to || x == source)
                    || ends.sat && !can_saturate(to, source)
                {
                    continue;
                }
                let reference = move |v: &[u64]| {
                    let mut value: F = from(v[0]);
                    if source == "f32" {
                        value = ends.flush(value);
                    }
                    let only_singles = Ends {
                        ftz: ends.ftz && to == "f32",
                        ..ends
                    };
                    for_float!(to, narrow(value, round, only_singles))
                };
                forms.push(Form::exact(
                    format!("cvt{rounding}{}.{to}.{source}", ends.text()),
                    to,
                    &one,
                    reference,
                ));
            }
        }
        if source == "f32" && shape(to).0 == 16 {
            bounded::<F>(to, &one, &mut forms);
        }
    }
    for (rounding, round) in integral_roundings() {
        let reference = move |v: &[u64]| bits(from::<F>(v[0]).round_to_integral(round).value);
        forms.push(Form::exact(
            format!("cvt{rounding}.{source}.{source}"),
            source,
            &one,
            reference,
        ));
    }
    check(&forms);
}

fn narrow<T: Float>(value: impl FloatConvert<T>, round: Round, ends: Ends) -> u64 {
    bits(ends.finish(convert::<_, T>(value, round)))
}

/// `.relu` and `.satfinite` to halves.
fn bounded<'a, F>(to: &'static str, one: &'a [(&'static str, &'a [u64])], forms: &mut Vec<Form<'a>>)
where
    F: Float
        + FloatConvert<Half>
        + FloatConvert<BFloat>
        + FloatConvert<Single>
        + FloatConvert<Double>
        + 'static,
{
    for (rounding, round) in &ROUNDINGS[..2] {
        for (relu, finite) in [(true, false), (false, true), (true, true)] {
            let part = |on: bool, text| if on { text } else { "" };
            let text = format!(
                "cvt{rounding}{}{}.{to}.f32",
                part(relu, ".relu"),
                part(finite, ".satfinite")
            );
            let ends = Ends {
                relu,
                ..Ends::PLAIN
            };
            let reference =
                move |v: &[u64]| for_float!(to, limited(from::<F>(v[0]), *round, ends, finite));
            forms.push(Form::exact(text, to, one, reference));
        }
    }
}

fn limited<T: Float>(value: impl FloatConvert<T>, round: Round, ends: Ends, finite: bool) -> u64 {
    let result: T = convert(value, round);
    let result = if finite && result.is_infinite() {
        T::largest().copy_sign(result)
    } else {
        result
    };
    bits(ends.finish(result))
}

fn integral_roundings() -> [(&'static str, Round); 4] {
    [
        (".rni", ROUNDINGS[0].1),
        (".rzi", ROUNDINGS[1].1),
        (".rmi", ROUNDINGS[2].1),
        (".rpi", ROUNDINGS[3].1),
    ]
}

type Integral = fn(f64) -> f64;

/// What the standard library calls them.
fn integral_functions() -> [(&'static str, Integral); 4] {
    [
        (".rni", f64::round_ties_even),
        (".rzi", f64::trunc),
        (".rmi", f64::floor),
        (".rpi", f64::ceil),
    ]
}

fn limits(ty: &str) -> (i128, i128) {
    let width = width(ty);
    if ty.starts_with('s') {
        (-(1 << (width - 1)), (1 << (width - 1)) - 1)
    } else {
        (0, (1 << width) - 1)
    }
}

/// Registers that go with both types: `.bf16` wants none that are wider than an 8-bit integer.
fn fits(integer: &str, float: &str) -> bool {
    width(integer) > 8 || float != "bf16"
}

fn to_integers<F: Float + 'static>(source: &'static str) {
    let x = integer_edges::<F>(source);
    let one = [(source, &*x)];
    let mut forms = Vec::new();
    for to in INTEGERS.into_iter().filter(|to| fits(to, source)) {
        for (rounding, integral) in integral_functions() {
            for ftz in [false, true] {
                if ftz && source != "f32" {
                    continue;
                }
                let ends = Ends { ftz, ..Ends::PLAIN };
                let reference = move |v: &[u64]| {
                    let value = double(source, v[0]);
                    if value.is_nan() {
                        let top = source == "f64" || width(to) == 64;
                        return if top { 1 << (width(to) - 1) } else { 0 };
                    }
                    let flushed = ftz && value.abs() < f64::from(f32::MIN_POSITIVE);
                    let whole = integral(if flushed { 0.0 } else { value });
                    let (low, high) = limits(to);
                    // The cast saturates.
                    raw((whole as i128).clamp(low, high), to)
                };
                forms.push(Form::exact(
                    format!("cvt{rounding}{}.{to}.{source}", ends.text()),
                    to,
                    &one,
                    reference,
                ));
            }
        }
    }
    check(&forms);
}

/// All halves; else also numbers beside integers of every length.
fn integer_edges<F: Float>(ty: &str) -> Vec<u64> {
    let mut list = sources(ty, 50);
    if shape(ty).0 > 16 {
        let near = |value: &u64| {
            let float = F::from_i128(i128::from(value.cast_signed())).value;
            bits(float).wrapping_add(value >> 62).wrapping_sub(1)
        };
        list.extend(integers(64, COUNT, 52).iter().map(near));
        let ones = u64::MAX >> (64 - shape(ty).0);
        list.iter_mut().for_each(|value| *value &= ones);
    }
    list
}

fn from_integers<F: Float + 'static>(to: &'static str) {
    let columns: Vec<Vec<u64>> = INTEGERS
        .iter()
        .map(|ty| integers(width(ty), COUNT, 60))
        .collect();
    let sources: Vec<[(&str, &[u64]); 1]> = INTEGERS
        .iter()
        .zip(&columns)
        .map(|(ty, column)| [(*ty, &**column)])
        .collect();
    let mut forms = Vec::new();
    for (source, one) in INTEGERS
        .into_iter()
        .zip(&sources)
        .filter(|(ty, _)| fits(ty, to))
    {
        for (rounding, round) in ROUNDINGS {
            for sat in [false, true] {
                if sat && to == "bf16" {
                    continue;
                }
                let ends = Ends { sat, ..Ends::PLAIN };
                let reference = move |v: &[u64]| {
                    bits(ends.finish(F::from_i128_r(number(v[0], source), round).value))
                };
                forms.push(Form::exact(
                    format!("cvt{rounding}{}.{to}.{source}", ends.text()),
                    to,
                    one,
                    reference,
                ));
            }
        }
    }
    check(&forms);
}

#[test]
fn halves_to_floats() {
    between::<Half>("f16");
    between::<BFloat>("bf16");
}

#[test]
fn singles_and_doubles_to_floats() {
    between::<Single>("f32");
    between::<Double>("f64");
}

#[test]
fn floats_to_integers() {
    to_integers::<Half>("f16");
    to_integers::<BFloat>("bf16");
    to_integers::<Single>("f32");
    to_integers::<Double>("f64");
}

#[test]
fn integers_to_floats() {
    from_integers::<Half>("f16");
    from_integers::<BFloat>("bf16");
    from_integers::<Single>("f32");
    from_integers::<Double>("f64");
}

#[test]
fn singles_to_tf32() {
    let x = sources("f32", 70);
    let one = [("f32", &*x)];
    let away = (".rna", Round::NearestTiesToAway);
    let mut forms = Vec::new();
    for (rounding, round) in [ROUNDINGS[0], ROUNDINGS[1], away] {
        for (relu, finite) in [(false, false), (true, false), (false, true), (true, true)] {
            if relu && rounding == ".rna" {
                continue;
            }
            let part = |on: bool, text| if on { text } else { "" };
            let text = format!(
                "cvt{rounding}{}{}.tf32.f32",
                part(relu, ".relu"),
                part(finite, ".satfinite")
            );
            let ends = Ends {
                relu,
                ..Ends::PLAIN
            };
            let reference =
                move |v: &[u64]| limited::<Tf32>(from::<Single>(v[0]), round, ends, finite) << 13;
            forms.push(Form::exact(text, "tf32", &one, reference));
        }
    }
    check(&forms);
}

#[test]
fn random_rounding_of_halves() {
    // What is dropped, plus the random bits, carries or not: in the range of normal halves.
    let mut random = Random::new(80);
    let x: Vec<u64> = (0..COUNT)
        .map(|_| random.below(2) << 31 | (115 + random.below(25)) << 23 | random.below(1 << 23))
        .collect();
    let y = x.iter().rev().copied().collect::<Vec<_>>();
    let bits_of: Vec<u64> = (0..COUNT).map(|_| random.next() & 0xffff_ffff).collect();
    let three = [("f32", &*x), ("f32", &*y), ("b32", &*bits_of)];
    let one = |value: u64, random: u64, dropped: u32, to: &str| {
        let ones = (1 << dropped) - 1;
        let cut = (value + (random & ones)) & !ones;
        let round = Round::TowardZero;
        match to {
            "f16x2" => bits(convert::<Single, Half>(from(cut), round)),
            _ => bits(convert::<Single, BFloat>(from(cut), round)),
        }
    };
    let forms: Vec<Form<'_>> = [("f16x2", 13), ("bf16x2", 16)]
        .into_iter()
        .map(|(to, dropped)| {
            Form::exact(format!("cvt.rs.{to}.f32"), "b32", &three, move |v| {
                one(v[0], v[2] >> 16, dropped, to) << 16 | one(v[1], v[2] & 0xffff, dropped, to)
            })
        })
        .collect();
    check(&forms);
}
