//! Comparisons, minimum and maximum of floats whose operands are often equal, neighbours, zeros or NaN.

use std::cmp::Ordering;

use rustc_apfloat::Float;
use rustc_apfloat::ieee::{BFloat, Double, Half, Single};

use crate::kernel::{Form, check};
use crate::reference::{Ends, from, on_bits};
use crate::samples::{COUNT, floats, near};

/// What `.ftz` goes with.
fn flushes(ty: &str) -> Vec<Ends> {
    let all = [false, true].map(|ftz| Ends { ftz, ..Ends::PLAIN });
    match ty {
        "f16" | "f32" => all.to_vec(),
        _ => all[..1].to_vec(),
    }
}

fn holds(name: &str, order: Option<Ordering>) -> bool {
    use Ordering::{Equal, Greater, Less};
    let Some(order) = order else {
        return name.ends_with('u') || name == "nan";
    };
    match name.trim_end_matches('u') {
        "eq" => order == Equal,
        "ne" => order != Equal,
        "lt" => order == Less,
        "le" => order != Greater,
        "gt" => order == Greater,
        "ge" => order != Less,
        other => other == "num",
    }
}

fn comparisons<F: Float + 'static>(ty: &'static str) {
    const NAMES: [&str; 14] = [
        "eq", "ne", "lt", "le", "gt", "ge", "equ", "neu", "ltu", "leu", "gtu", "geu", "num", "nan",
    ];
    let x = floats(ty, COUNT, 100);
    let y = near(ty, &x, 101);
    let two = [(ty, &*x), (ty, &*y)];
    let mut forms = Vec::new();
    for name in NAMES {
        for ends in flushes(ty) {
            let reference = move |v: &[u64]| {
                let [x, y] = [v[0], v[1]].map(|bits| ends.flush(from::<F>(bits)));
                if holds(name, x.partial_cmp(&y)) {
                    0xffff_ffff
                } else {
                    0
                }
            };
            let text = format!("set.{name}{}.u32.{ty}", ends.text());
            forms.push(Form::exact(text, "u32", &two, reference));
        }
    }
    check(&forms);
}

/// The smaller or the larger; -0 lies below +0, and a NaN loses unless `nan`.
fn pick<F: Float>(x: F, y: F, larger: bool, nan: bool) -> F {
    match x.partial_cmp(&y) {
        None if nan || x.is_nan() && y.is_nan() => F::NAN,
        None => {
            if x.is_nan() {
                y
            } else {
                x
            }
        }
        Some(Ordering::Equal) if x.is_negative() != y.is_negative() => {
            if x.is_negative() == larger { y } else { x }
        }
        Some(order) => {
            if (order == Ordering::Greater) == larger {
                x
            } else {
                y
            }
        }
    }
}

fn extremes<F: Float + 'static>(ty: &'static str) {
    let x = floats(ty, COUNT, 102);
    let y = near(ty, &x, 103);
    let two = [(ty, &*x), (ty, &*y)];
    let mut forms = Vec::new();
    for ends in flushes(ty) {
        for (op, larger) in [("min", false), ("max", true)] {
            for (end, nan) in [("", false), (".NaN", true)] {
                if nan && ty == "f64" {
                    continue;
                }
                let reference = on_bits(ends, move |v: &[F]| pick(v[0], v[1], larger, nan));
                let text = format!("{op}{}{end}.{ty}", ends.text());
                forms.push(Form::exact(text, ty, &two, reference));
            }
        }
    }
    check(&forms);
}

#[test]
fn halves() {
    comparisons::<Half>("f16");
    comparisons::<BFloat>("bf16");
    extremes::<Half>("f16");
    extremes::<BFloat>("bf16");
}

#[test]
fn singles_and_doubles() {
    comparisons::<Single>("f32");
    comparisons::<Double>("f64");
    extremes::<Single>("f32");
    extremes::<Double>("f64");
}
