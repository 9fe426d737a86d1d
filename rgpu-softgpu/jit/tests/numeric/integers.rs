//! Integer arithmetic, fields and shifts against plain 128-bit arithmetic.

use crate::kernel::{Form, check};
use crate::reference::{number, raw, width};
use crate::samples::{COUNT, integers};

const ALL: [&str; 6] = ["u16", "s16", "u32", "s32", "u64", "s64"];

fn clamped(number: i128, ty: &str) -> u64 {
    let width = width(ty);
    let (low, high) = if ty.starts_with('s') {
        (-(1 << (width - 1)), (1 << (width - 1)) - 1)
    } else {
        (0, (1 << width) - 1)
    };
    raw(number.clamp(low, high), ty)
}

/// A form whose result is that of an operation on numbers.
fn form<'a>(
    text: String,
    ty: &'static str,
    sources: &'a [(&'static str, &'a [u64])],
    f: impl Fn(&[i128]) -> i128 + 'a,
) -> Form<'a> {
    Form::exact(text, ty, sources, move |v| {
        let numbers: Vec<i128> = v
            .iter()
            .zip(sources)
            .map(|(bits, (ty, _))| number(*bits, ty))
            .collect();
        raw(f(&numbers), ty)
    })
}

#[test]
fn arithmetic() {
    for ty in ALL {
        let w = width(ty);
        let [x, y, z] = [1, 2, 3].map(|stream| integers(w, COUNT, stream));
        let (two, three) = ([(ty, &*x), (ty, &*y)], [(ty, &*x), (ty, &*y), (ty, &*z)]);
        let mut forms = vec![
            form(format!("add.{ty}"), ty, &two, |v| v[0] + v[1]),
            form(format!("sub.{ty}"), ty, &two, |v| v[0] - v[1]),
            form(format!("min.{ty}"), ty, &two, |v| v[0].min(v[1])),
            form(format!("max.{ty}"), ty, &two, |v| v[0].max(v[1])),
            form(format!("mul.lo.{ty}"), ty, &two, |v| {
                v[0].wrapping_mul(v[1])
            }),
            form(format!("mul.hi.{ty}"), ty, &two, move |v| {
                high(v[0], v[1], w)
            }),
            form(format!("mad.lo.{ty}"), ty, &three, |v| {
                v[0].wrapping_mul(v[1]).wrapping_add(v[2])
            }),
            form(format!("mad.hi.{ty}"), ty, &three, move |v| {
                high(v[0], v[1], w) + v[2]
            }),
            form(format!("sad.{ty}"), ty, &three, |v| {
                (v[0] - v[1]).abs() + v[2]
            }),
        ];
        if ty == "s32" {
            let saturated = |v: &[u64], f: fn(i128, i128) -> i128| {
                clamped(f(number(v[0], "s32"), number(v[1], "s32")), "s32")
            };
            forms.push(Form::exact("add.sat.s32", ty, &two, move |v| {
                saturated(v, |x, y| x + y)
            }));
            forms.push(Form::exact("sub.sat.s32", ty, &two, move |v| {
                saturated(v, |x, y| x - y)
            }));
            forms.push(Form::exact("mad.hi.sat.s32", ty, &three, |v| {
                let [x, y, z] = [v[0], v[1], v[2]].map(|bits| number(bits, "s32"));
                clamped(((x * y) >> 32) + z, "s32")
            }));
        }
        check(&forms);
    }
}

/// The upper half of a product; its 128 bits may be unsigned.
fn high(x: i128, y: i128, width: u32) -> i128 {
    if x < 0 || y < 0 {
        return (x * y) >> width;
    }
    ((x.unsigned_abs() * y.unsigned_abs()) >> width).cast_signed()
}

/// The manual leaves division by zero and the quotient that overflows open.
#[test]
fn division() {
    for ty in ALL {
        let w = width(ty);
        let x = integers(w, COUNT, 4);
        let defined = |(x, y): (&u64, u64)| {
            let overflows = number(*x, ty) == i128::MIN >> (128 - w) && number(y, ty) == -1;
            if y == 0 || overflows { 7 } else { y }
        };
        let y: Vec<u64> = x.iter().zip(integers(w, COUNT, 5)).map(defined).collect();
        let two = [(ty, &*x), (ty, &*y)];
        check(&[
            form(format!("div.{ty}"), ty, &two, |v| v[0] / v[1]),
            form(format!("rem.{ty}"), ty, &two, |v| v[0] % v[1]),
        ]);
    }
}

#[test]
fn wide_products() {
    for (ty, wide) in [
        ("u16", "u32"),
        ("s16", "s32"),
        ("u32", "u64"),
        ("s32", "s64"),
    ] {
        let [x, y] = [6, 7].map(|stream| integers(width(ty), COUNT, stream));
        let z = integers(width(wide), COUNT, 8);
        let (two, three) = ([(ty, &*x), (ty, &*y)], [(ty, &*x), (ty, &*y), (wide, &*z)]);
        check(&[
            form(format!("mul.wide.{ty}"), wide, &two, |v| v[0] * v[1]),
            form(format!("mad.wide.{ty}"), wide, &three, |v| {
                v[0] * v[1] + v[2]
            }),
        ]);
    }
}

#[test]
fn shifts() {
    for ty in ["b16", "b32", "b64", "s16", "s32", "s64"] {
        let w = width(ty);
        let x = integers(w, COUNT, 9);
        // Half of the counts lie around the width.
        let around = |count: u64| {
            if count & 1 == 0 {
                count
            } else {
                count % u64::from(2 * w)
            }
        };
        let counts: Vec<u64> = integers(32, COUNT, 10).into_iter().map(around).collect();
        let two = [(ty, &*x), ("u32", &*counts)];
        let mut forms = vec![form(format!("shr.{ty}"), ty, &two, move |v| {
            v[0] >> v[1].min(i128::from(w))
        })];
        if ty.starts_with('b') {
            forms.push(Form::exact(format!("shl.{ty}"), ty, &two, move |v| {
                raw(
                    (i128::from(v[0]) << v[1].min(u64::from(w))) & i128::from(u64::MAX),
                    ty,
                )
            }));
        }
        check(&forms);
    }
}

#[test]
fn fields() {
    for ty in ["u32", "s32", "u64", "s64"] {
        let w = width(ty);
        let x = integers(w, COUNT, 11);
        let place = |stream| {
            integers(32, COUNT, stream)
                .into_iter()
                .map(|v| if v & 3 == 0 { v } else { v % 70 })
                .collect::<Vec<u64>>()
        };
        let (position, length) = (place(12), place(13));
        let three = [(ty, &*x), ("u32", &*position), ("u32", &*length)];
        let signed = ty.starts_with('s');
        let extract = move |v: &[u64]| {
            let (position, length) = (v[1] as u32 & 255, v[2] as u32 & 255);
            if length == 0 {
                return 0;
            }
            // Bits above the value are copies of its sign, or zeros; 128 bits hold every field that is not empty.
            let above = number(v[0], ty) >> position.min(127);
            let unused = 128 - length.min(w);
            let field = above << unused;
            raw(
                if signed {
                    field >> unused
                } else {
                    (field.cast_unsigned() >> unused).cast_signed()
                },
                ty,
            )
        };
        check(&[Form::exact(format!("bfe.{ty}"), ty, &three, extract)]);
    }
}
