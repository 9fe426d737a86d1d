//! What float instructions must give, by `rustc_apfloat`.

use rustc_apfloat::ieee::{BFloat, Double, Half, IeeeFloat, Semantics, Single};
use rustc_apfloat::{Float, FloatConvert, Round};

use crate::kernel::Form;

/// A rounding's modifier and what the library calls it.
pub(crate) const ROUNDINGS: [(&str, Round); 4] = [
    (".rn", Round::NearestTiesToEven),
    (".rz", Round::TowardZero),
    (".rm", Round::TowardNegative),
    (".rp", Round::TowardPositive),
];

/// What may follow the rounding.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ends {
    pub(crate) ftz: bool,
    pub(crate) sat: bool,
    pub(crate) relu: bool,
}

impl Ends {
    pub(crate) const PLAIN: Self = Self {
        ftz: false,
        sat: false,
        relu: false,
    };

    /// `.ftz` and `.sat` in all ways.
    pub(crate) fn all() -> [Self; 4] {
        [(false, false), (true, false), (false, true), (true, true)].map(|(ftz, sat)| Self {
            ftz,
            sat,
            relu: false,
        })
    }

    pub(crate) fn text(self) -> String {
        let part = |on, text| if on { text } else { "" };
        format!(
            "{}{}{}",
            part(self.ftz, ".ftz"),
            part(self.sat, ".sat"),
            part(self.relu, ".relu")
        )
    }

    pub(crate) fn flush<F: Float>(self, value: F) -> F {
        if self.ftz && value.is_denormal() {
            F::ZERO.copy_sign(value)
        } else {
            value
        }
    }

    /// What becomes of a rounded result.
    pub(crate) fn finish<F: Float>(self, value: F) -> F {
        let value = self.flush(value);
        let one = F::from_u128(1).value;
        if self.relu && !value.is_nan() && (value.is_negative() || value.is_zero()) {
            return F::ZERO;
        }
        if !self.sat {
            return value;
        }
        if value.is_nan() || value.is_negative() || value.is_zero() {
            F::ZERO
        } else if value > one {
            one
        } else {
            value
        }
    }
}

/// A float from its bits.
pub(crate) fn from<F: Float>(bits: u64) -> F {
    F::from_bits(u128::from(bits))
}

/// The bits of a float.
pub(crate) fn bits<F: Float>(value: F) -> u64 {
    value.to_bits() as u64
}

/// A function on bits: operands flushed, the result finished.
pub(crate) fn on_bits<F: Float>(ends: Ends, f: impl Fn(&[F]) -> F) -> impl Fn(&[u64]) -> u64 {
    move |values| {
        let values: Vec<F> = values
            .iter()
            .map(|value| ends.flush(from(*value)))
            .collect();
        bits(ends.finish(f(&values)))
    }
}

/// The square root, rounded once: an integer root of 55 bits or more, with a last bit for what it leaves over.
pub(crate) fn sqrt<F: Float + FloatConvert<Double>>(value: F, round: Round) -> F {
    if value.is_nan() || value.is_zero() {
        return value;
    }
    if value.is_negative() {
        return F::NAN;
    }
    if value.is_infinite() {
        return value;
    }
    let wide: Double = value.convert(&mut false).value;
    let raw = wide.to_bits() as u64;
    let (exponent, fraction) = ((raw >> 52) as i32, raw & ((1 << 52) - 1));
    let (significand, power) = match exponent {
        0 => (fraction, -1074),
        _ => (fraction | 1 << 52, exponent - 1075),
    };
    let mut shift = significand.leading_zeros().cast_signed() + 46;
    if (power - shift) % 2 != 0 {
        shift += 1;
    }
    let scaled = u128::from(significand) << shift;
    let root = scaled.isqrt();
    let jammed = root << 1 | u128::from(root * root != scaled);
    F::from_u128_r(jammed, round)
        .value
        .scalbn((power - shift) / 2 - 1)
}

/// One format to another.
pub(crate) fn convert<F: Float + FloatConvert<T>, T: Float>(value: F, round: Round) -> T {
    value.convert_r(round, &mut false).value
}

/// The bits of a `.f32` whose last 13 are not used.
pub(crate) enum Tf32S {}

impl Semantics for Tf32S {
    const BITS: usize = 19;
    const EXP_BITS: usize = 8;
}

/// `.tf32`
pub(crate) type Tf32 = IeeeFloat<Tf32S>;

/// Calls a generic function for the type that a name stands for.
macro_rules! for_float {
    ($ty:expr, $f:ident ( $($arg:expr),* )) => {
        match $ty {
            "f16" => $f::<Half>($($arg),*),
            "bf16" => $f::<BFloat>($($arg),*),
            "f32" => $f::<Single>($($arg),*),
            "f64" => $f::<Double>($($arg),*),
            other => panic!("{other} is no float"),
        }
    };
}
pub(crate) use for_float;

/// `value` as an exact double: every narrower float is one.
pub(crate) fn double(ty: &str, value: u64) -> f64 {
    fn widen<F: Float + FloatConvert<Double>>(value: u64) -> f64 {
        let wide: Double = convert(from::<F>(value), Round::NearestTiesToEven);
        f64::from_bits(bits(wide))
    }
    for_float!(ty, widen(value))
}

/// Bits of an integer type.
pub(crate) fn width(ty: &str) -> u32 {
    ty[1..].parse().unwrap()
}

/// What bits mean as a type.
pub(crate) fn number(bits: u64, ty: &str) -> i128 {
    let unused = 128 - width(ty);
    let top = i128::from(bits) << unused;
    if ty.starts_with('s') {
        top >> unused
    } else {
        i128::from(bits)
    }
}

/// The bits of a number, cut to a type.
pub(crate) fn raw(number: i128, ty: &str) -> u64 {
    number as u64 & u64::MAX >> (64 - width(ty))
}

/// `add`, `sub` and `mul` of a float type; `text` completes the instruction.
pub(crate) fn sums_and_products<'a, F: Float + 'static>(
    text: impl Fn(&str) -> String,
    ty: &'static str,
    sums: &'a [(&'static str, &'a [u64])],
    products: &'a [(&'static str, &'a [u64])],
    ends: Ends,
    round: Round,
) -> [Form<'a>; 3] {
    let form = |op: &str, sources, result: fn(F, F, Round) -> F| {
        let reference = on_bits(ends, move |v: &[F]| result(v[0], v[1], round));
        Form::exact(text(op), ty, sources, reference)
    };
    [
        form("add", sums, |x, y, round| x.add_r(y, round).value),
        form("sub", sums, |x, y, round| x.sub_r(y, round).value),
        form("mul", products, |x, y, round| x.mul_r(y, round).value),
    ]
}
