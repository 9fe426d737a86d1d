//! The approximate functions within the error bounds of the PTX manual (the "Floating Point Instructions" and "Half
//! Precision Floating Point Instructions" sections), over all binades.

use crate::kernel::{Form, check};
use crate::reference::double;
use crate::samples::{COUNT, Random, all_halves, floats};

/// What the manual promises.
#[derive(Clone, Copy, Debug)]
enum Bound {
    /// Units in the last place.
    Ulp(f64),
    Relative(f64),
    Absolute(f64),
    /// Absolute for operands between a half and two, else relative.
    Logarithm(f64),
    /// Absolute, the second beyond two pi.
    Angle(f64, f64),
}

/// Distance of neighbours at `x` in a float type.
fn ulp(ty: &str, x: f64) -> f64 {
    let (mantissa, smallest) = match ty {
        "f16" => (10, -14),
        "bf16" => (7, -126),
        "f32" => (23, -126),
        _ => (52, -1022),
    };
    let exponent = ((x.to_bits() >> 52 & 0x7ff) as i32 - 1023).max(smallest);
    2f64.powi(exponent - mantissa)
}

/// Largest finite value and smallest normal one.
fn range(ty: &str) -> (f64, f64) {
    match ty {
        "f16" => (65504.0, 2f64.powi(-14)),
        "bf16" => (f64::from(f32::from_bits(0x7f7f_0000)), 2f64.powi(-126)),
        _ => (f64::from(f32::MAX), f64::from(f32::MIN_POSITIVE)),
    }
}

fn allowed(ty: &str, bound: Bound, x: f64, want: f64) -> f64 {
    match bound {
        Bound::Ulp(count) => count * ulp(ty, want),
        // Below the normal numbers no format can keep a relative error.
        Bound::Relative(error) => (error * want.abs()).max(ulp(ty, want)),
        Bound::Absolute(error) => error.max(ulp(ty, want)),
        Bound::Logarithm(error) if x > 0.5 && x < 2.0 => error,
        Bound::Logarithm(error) => error * want.abs(),
        Bound::Angle(near, far) => {
            if x.abs() <= std::f64::consts::TAU {
                near
            } else {
                far
            }
        }
    }
}

fn judge(
    ty: &'static str,
    f: fn(f64) -> f64,
    bound: Bound,
    ftz: bool,
    bits: u64,
    got: u64,
) -> Result<(), String> {
    let (largest, smallest) = range(ty);
    let flush = |v: f64| {
        if ftz && v.abs() < smallest {
            0f64.copysign(v)
        } else {
            v
        }
    };
    let x = flush(double(ty, bits));
    let (want, got) = (f(x), double(ty, got));
    let error = || Err(format!("expected about {want:e}, got {got:e}"));
    if want.is_nan() {
        return if got.is_nan() { Ok(()) } else { error() };
    }
    if got.is_nan() {
        return error();
    }
    let slack = allowed(ty, bound, x, want);
    // Zeros have signs, and infinities are not near anything.
    if want.is_infinite() || want == 0.0 {
        let same = want == got && want.is_sign_negative() == got.is_sign_negative();
        return if same { Ok(()) } else { error() };
    }
    if got.is_infinite() {
        let beyond =
            want.abs() + slack > largest && want.is_sign_negative() == got.is_sign_negative();
        return if beyond { Ok(()) } else { error() };
    }
    if ftz && got == 0.0 {
        return if want.abs() - slack < smallest {
            Ok(())
        } else {
            error()
        };
    }
    if ftz && got.abs() < smallest || (got - want).abs() > slack {
        return error();
    }
    Ok(())
}

fn form<'a>(
    text: &str,
    ty: &'static str,
    sources: &'a [(&'static str, &'a [u64])],
    f: fn(f64) -> f64,
    bound: Bound,
) -> Form<'a> {
    let ftz = text.contains(".ftz");
    Form {
        text: text.to_owned(),
        result: ty,
        sources,
        judge: Box::new(move |v, got| judge(ty, f, bound, ftz, v[0], got)),
    }
}

/// Every exponent with random significands, both signs; and special values.
fn binades() -> Vec<u64> {
    let mut random = Random::new(90);
    let mut list = floats("f32", COUNT / 4, 91);
    for exponent in 0..=255 {
        for _ in 0..24 {
            list.push(random.below(2) << 31 | exponent << 23 | random.below(1 << 23));
        }
    }
    list
}

/// Angles up to 100 pi.
fn angles() -> Vec<u64> {
    let mut random = Random::new(92);
    let mut list = Vec::with_capacity(2 * COUNT);
    for limit in [std::f64::consts::TAU, 50.0 * std::f64::consts::TAU] {
        for _ in 0..COUNT {
            let part = random.next() as f64 / u64::MAX as f64;
            list.push(u64::from(
                (((2.0 * part - 1.0) * limit * 0.999_999) as f32).to_bits(),
            ));
        }
    }
    list
}

/// Exponents of powers of two, over the whole range of results.
fn exponents() -> Vec<u64> {
    let mut random = Random::new(93);
    let mut list = binades();
    for _ in 0..COUNT {
        let part = random.next() as f64 / u64::MAX as f64;
        list.push(u64::from(((part * 290.0 - 155.0) as f32).to_bits()));
    }
    list
}

#[test]
fn singles() {
    let x = binades();
    let (angles, exponents) = (angles(), exponents());
    let (all, angle, power) = ([("f32", &*x)], [("f32", &*angles)], [("f32", &*exponents)]);
    let mut forms = Vec::new();
    for ftz in ["", ".ftz"] {
        let text = |op: &str| format!("{op}.approx{ftz}.f32");
        forms.push(form(
            &text("rcp"),
            "f32",
            &all,
            |x| 1.0 / x,
            Bound::Ulp(1.0),
        ));
        forms.push(form(
            &text("sqrt"),
            "f32",
            &all,
            f64::sqrt,
            Bound::Relative(2f64.powi(-23)),
        ));
        forms.push(form(
            &text("rsqrt"),
            "f32",
            &all,
            |x| 1.0 / x.sqrt(),
            Bound::Relative(2f64.powf(-22.9)),
        ));
        forms.push(form(
            &text("lg2"),
            "f32",
            &all,
            logarithm,
            Bound::Logarithm(2f64.powi(-22)),
        ));
        forms.push(form(
            &text("ex2"),
            "f32",
            &power,
            f64::exp2,
            Bound::Ulp(2.5),
        ));
        let angle_bound = Bound::Angle(2f64.powf(-20.5), 2f64.powf(-14.7));
        forms.push(form(&text("sin"), "f32", &angle, f64::sin, angle_bound));
        forms.push(form(&text("cos"), "f32", &angle, f64::cos, angle_bound));
    }
    forms.push(form(
        "tanh.approx.f32",
        "f32",
        &all,
        f64::tanh,
        Bound::Relative(2f64.powi(-11)),
    ));
    check(&forms);
}

/// Both zeros give minus infinity.
fn logarithm(x: f64) -> f64 {
    if x == 0.0 {
        f64::NEG_INFINITY
    } else {
        x.log2()
    }
}

#[test]
fn quotients() {
    // The bound of `.approx` holds for divisors between 2^-126 and 2^126; above, it gives zero, and NaN for infinity.
    let x = floats("f32", COUNT, 94);
    let mut random = Random::new(95);
    let y: Vec<u64> = x
        .iter()
        .map(|_| random.below(2) << 31 | (1 + random.below(254)) << 23 | random.below(1 << 23))
        .collect();
    let two = [("f32", &*x), ("f32", &*y)];
    let mut forms = Vec::new();
    for (end, ftz) in [
        ("approx", false),
        ("approx.ftz", true),
        ("full", false),
        ("full.ftz", true),
    ] {
        let smallest = f64::from(f32::MIN_POSITIVE);
        forms.push(Form {
            text: format!("div.{end}.f32"),
            result: "f32",
            sources: &two,
            judge: Box::new(move |v, got| {
                let flush = |v: f64| {
                    if ftz && v.abs() < smallest {
                        0f64.copysign(v)
                    } else {
                        v
                    }
                };
                let [x, y] = [v[0], v[1]].map(|bits| flush(double("f32", bits)));
                let beyond = end.starts_with("approx") && y.abs() > 2f64.powi(126);
                let want = if beyond { x * 0f64.copysign(y) } else { x / y };
                let got = double("f32", got);
                let near = (got - want).abs() <= 2.0 * ulp("f32", want);
                let flushed = ftz && got == 0.0 && want.abs() < smallest * 1.000_001;
                let large = got.is_infinite() && want.abs() > f64::from(f32::MAX);
                let same = got == want || got.is_nan() && want.is_nan();
                if near || flushed || large || same {
                    Ok(())
                } else {
                    Err(format!("expected about {want:e}"))
                }
            }),
        });
    }
    check(&forms);
}

#[test]
fn halves() {
    let x = all_halves();
    let (single, brief) = ([("f16", &*x)], [("bf16", &*x)]);
    check(&[
        form(
            "ex2.approx.f16",
            "f16",
            &single,
            f64::exp2,
            Bound::Relative(2f64.powf(-9.9)),
        ),
        form(
            "ex2.approx.ftz.bf16",
            "bf16",
            &brief,
            f64::exp2,
            Bound::Relative(2f64.powi(-7)),
        ),
        form(
            "tanh.approx.f16",
            "f16",
            &single,
            f64::tanh,
            Bound::Absolute(2f64.powf(-10.987)),
        ),
        form(
            "tanh.approx.bf16",
            "bf16",
            &brief,
            f64::tanh,
            Bound::Absolute(2f64.powi(-8)),
        ),
    ]);
}

/// The manual states no bound for the gross forms of doubles; 20 bits of significand in, and 20 out, can keep 2^-19.
/// For `rsqrt.approx.f64`, the CUDA programming guide promises 1 ulp.
#[test]
fn doubles() {
    let x = floats("f64", 2 * COUNT, 96);
    let one = [("f64", &*x)];
    let gross = |f: fn(f64) -> f64| {
        move |v: &[u64], got: u64| {
            let x = f64::from_bits(v[0]);
            let flush = |v: f64| {
                if v.abs() < f64::MIN_POSITIVE {
                    0f64.copysign(v)
                } else {
                    v
                }
            };
            let (want, got) = (flush(f(flush(x))), f64::from_bits(got));
            if want.is_nan() {
                let canonical = got.to_bits() == 0x7fff_ffff_0000_0000;
                return if canonical {
                    Ok(())
                } else {
                    Err("expected the canonical NaN".to_owned())
                };
            }
            let near = (got - want).abs() <= want.abs() * 2f64.powi(-19);
            let same = got == want && got.is_sign_negative() == want.is_sign_negative();
            let flushed = got == 0.0 && want.abs() < 1.000_01 * f64::MIN_POSITIVE;
            let short = got.to_bits() & 0xffff_ffff == 0;
            if short && (near && want != 0.0 || same || flushed) {
                Ok(())
            } else {
                Err(format!("expected about {want:e}"))
            }
        }
    };
    let fine = |v: &[u64], got: u64| {
        let (x, got) = (f64::from_bits(v[0]), f64::from_bits(got));
        let want = 1.0 / x.sqrt();
        let same = got == want || got.is_nan() && want.is_nan();
        // How far got^2 x lies from 1, with the rounding errors of both products.
        let square = got * got;
        let rest = got.mul_add(got, -square);
        let error = (square.mul_add(x, -1.0) + rest * x) / 2.0;
        let near = (error * got).abs() <= ulp("f64", got);
        if same || near {
            Ok(())
        } else {
            Err(format!("expected about {want:e}"))
        }
    };
    let make = |text: &str, judge| Form {
        text: text.to_owned(),
        result: "f64",
        sources: &one,
        judge,
    };
    check(&[
        make("rcp.approx.ftz.f64", Box::new(gross(|x| 1.0 / x))),
        make("rsqrt.approx.ftz.f64", Box::new(gross(|x| 1.0 / x.sqrt()))),
        make("rsqrt.approx.f64", Box::new(fine)),
    ]);
}
