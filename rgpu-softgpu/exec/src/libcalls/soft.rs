//! Binary floating point of any width in integers: exact, in every rounding mode, whatever the host's own does.
//!
//! A finite number is `significand * 2^exponent`, exactly. Where an operation cannot be exact (quotient, root,
//! operands far apart) it keeps at least 60 bits and *jams*: ors a 1 into the last bit for what is lost, so that
//! rounding to 53 bits or fewer still sees on which side of every boundary the number lies.

use std::cmp::Ordering;

/// How to round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// To nearest, ties to even.
    Rn,
    /// Toward zero.
    Rz,
    /// Down.
    Rm,
    /// Up.
    Rp,
}

/// A binary format.
#[derive(Debug, Clone, Copy)]
pub(super) struct Format {
    /// Stored bits of the significand.
    mantissa: u32,
    exponent: u32,
    /// The first magnitude that is not a finite number.
    limit: u64,
    /// Whether `limit` is infinity; else it is NaN.
    infinities: bool,
    /// PTX's NaN.
    nan: u64,
}

/// IEEE binary16.
pub(super) const F16: Format = Format {
    mantissa: 10,
    exponent: 5,
    limit: 0x7c00,
    infinities: true,
    nan: 0x7fff,
};
/// The upper half of a binary32.
pub(super) const BF16: Format = Format {
    mantissa: 7,
    exponent: 8,
    limit: 0x7f80,
    infinities: true,
    nan: 0x7fff,
};
/// IEEE binary32.
pub(super) const F32: Format = Format {
    mantissa: 23,
    exponent: 8,
    limit: 0x7f80_0000,
    infinities: true,
    nan: 0x7fff_ffff,
};
/// IEEE binary64.
pub(super) const F64: Format = Format {
    mantissa: 52,
    exponent: 11,
    limit: 0x7ff << 52,
    infinities: true,
    nan: 0xfff8 << 48,
};
/// 8 bits without infinities (OCP).
pub(super) const E4M3: Format = Format {
    mantissa: 3,
    exponent: 4,
    limit: 0x7f,
    infinities: false,
    nan: 0x7f,
};
/// 8 bits with infinities (OCP).
pub(super) const E5M2: Format = Format {
    mantissa: 2,
    exponent: 5,
    limit: 0x7c,
    infinities: true,
    nan: 0x7f,
};

/// A finite number other than zero.
#[derive(Debug, Clone, Copy)]
pub(super) struct Exact {
    negative: bool,
    significand: u128,
    exponent: i32,
}

/// Any number.
#[derive(Debug, Clone, Copy)]
pub(super) enum Number {
    Nan,
    Infinity { negative: bool },
    Zero { negative: bool },
    Finite(Exact),
}

use Number::{Finite, Infinity, Nan, Zero};

impl Format {
    /// Exponent of the last bit of subnormal numbers.
    fn lowest(&self) -> i32 {
        2 - (1 << (self.exponent - 1)) - self.mantissa as i32
    }

    fn sign(&self) -> u64 {
        1 << (self.mantissa + self.exponent)
    }

    /// The largest finite magnitude.
    pub(super) fn largest(&self) -> u64 {
        self.limit - 1
    }

    /// What `bits` stands for.
    pub(super) fn unpack(&self, bits: u64) -> Number {
        let negative = bits & self.sign() != 0;
        let magnitude = bits & (self.sign() - 1);
        match magnitude.cmp(&self.limit) {
            Ordering::Greater => return Nan,
            Ordering::Equal if self.infinities => return Infinity { negative },
            Ordering::Equal => return Nan,
            Ordering::Less if magnitude == 0 => return Zero { negative },
            Ordering::Less => {}
        }
        let hidden = 1u64 << self.mantissa;
        let (biased, fraction) = (
            (magnitude >> self.mantissa) as i32,
            magnitude & (hidden - 1),
        );
        let (significand, steps) = if biased == 0 {
            (fraction, 0)
        } else {
            (fraction | hidden, biased - 1)
        };
        Finite(Exact {
            negative,
            significand: u128::from(significand),
            exponent: self.lowest() + steps,
        })
    }

    /// The bits of a number, rounded.
    pub(super) fn pack(&self, number: Number, mode: Mode) -> u64 {
        let signed = |negative: bool, magnitude: u64| {
            if negative {
                magnitude | self.sign()
            } else {
                magnitude
            }
        };
        match number {
            Nan => self.nan,
            Infinity { negative } if self.infinities => signed(negative, self.limit),
            Infinity { .. } => self.nan,
            Zero { negative } => signed(negative, 0),
            Finite(exact) => signed(exact.negative, self.round(exact, mode)),
        }
    }

    /// The magnitude of a finite number, rounded.
    fn round(&self, exact: Exact, mode: Mode) -> u64 {
        let length = 128 - exact.significand.leading_zeros() as i32;
        let top = exact.exponent + length - 1;
        // Exponent of the result's last bit.
        let last = (top - self.mantissa as i32).max(self.lowest());
        let drop = last - exact.exponent;
        let kept = if drop <= 0 {
            exact.significand << -drop
        } else {
            let (kept, rest) = split(exact.significand, drop as u32);
            let up = match mode {
                Mode::Rn => rest == Ordering::Greater || rest == Ordering::Equal && kept & 1 == 1,
                Mode::Rz => false,
                Mode::Rm => exact.negative,
                Mode::Rp => !exact.negative,
            };
            let exactly = drop < 128 && exact.significand.trailing_zeros() >= drop as u32;
            kept + u128::from(up && !exactly)
        };
        // A carry out of the significand steps into the exponent, as it should.
        let steps = (last - self.lowest()) as u64;
        let magnitude = (steps << self.mantissa) + kept as u64;
        if steps >= 1 << self.exponent || magnitude >= self.limit {
            self.overflow(exact.negative, mode)
        } else {
            magnitude
        }
    }

    fn overflow(&self, negative: bool, mode: Mode) -> u64 {
        let inward = match mode {
            Mode::Rn => false,
            Mode::Rz => true,
            Mode::Rm => !negative,
            Mode::Rp => negative,
        };
        if inward { self.largest() } else { self.limit }
    }
}

/// `value >> bits`, and how the bits shifted out compare with one half.
fn split(value: u128, bits: u32) -> (u128, Ordering) {
    match bits {
        0..128 => {
            let rest = value & ((1 << bits) - 1);
            (value >> bits, rest.cmp(&(1 << (bits - 1))))
        }
        128 => (0, value.cmp(&(1 << 127))),
        _ => (0, Ordering::Less),
    }
}

/// `value >> bits`, jammed.
fn jam(value: u128, bits: u32) -> u128 {
    match bits {
        0 => value,
        1..128 => value >> bits | u128::from(value & ((1 << bits) - 1) != 0),
        _ => u128::from(value != 0),
    }
}

impl Exact {
    fn new(negative: bool, significand: u128, exponent: i32) -> Self {
        Self {
            negative,
            significand,
            exponent,
        }
    }

    /// With the leading bit at `bit`.
    fn leading_at(self, bit: u32) -> Self {
        let shift = bit as i32 - (127 - self.significand.leading_zeros() as i32);
        let significand = if shift >= 0 {
            self.significand << shift
        } else {
            jam(self.significand, shift.unsigned_abs())
        };
        Self {
            significand,
            exponent: self.exponent - shift,
            ..self
        }
    }
}

impl Number {
    /// An integer.
    pub(super) fn integer(negative: bool, magnitude: u64) -> Self {
        if magnitude == 0 {
            return Zero { negative: false };
        }
        Finite(Exact::new(negative, u128::from(magnitude), 0))
    }

    fn is_negative(self) -> bool {
        match self {
            Nan => false,
            Infinity { negative } | Zero { negative } => negative,
            Finite(exact) => exact.negative,
        }
    }
}

/// `a + b`. The mode decides the sign of an exact zero.
pub(super) fn add(a: Number, b: Number, mode: Mode) -> Number {
    match (a, b) {
        (Nan, _) | (_, Nan) => Nan,
        (Infinity { negative: a }, Infinity { negative: b }) if a != b => Nan,
        (Infinity { .. }, _) => a,
        (_, Infinity { .. }) => b,
        (Zero { negative: a }, Zero { negative: b }) if a == b => Zero { negative: a },
        (Zero { .. }, Zero { .. }) => Zero {
            negative: mode == Mode::Rm,
        },
        (Zero { .. }, _) => b,
        (_, Zero { .. }) => a,
        (Finite(a), Finite(b)) => add_finite(a, b, mode),
    }
}

fn add_finite(a: Exact, b: Exact, mode: Mode) -> Number {
    // The leading bit at 125: the sum has room, and at least 19 zero bits follow any product of two f64.
    let (a, b) = (a.leading_at(125), b.leading_at(125));
    let (high, low) = if (a.exponent, a.significand) >= (b.exponent, b.significand) {
        (a, b)
    } else {
        (b, a)
    };
    let aligned = jam(low.significand, high.exponent.abs_diff(low.exponent));
    let significand = if high.negative == low.negative {
        high.significand + aligned
    } else {
        high.significand - aligned
    };
    if significand == 0 {
        return Zero {
            negative: mode == Mode::Rm,
        };
    }
    Finite(Exact {
        significand,
        ..high
    })
}

/// `a * b`; exact for significands of up to 64 bits.
pub(super) fn mul(a: Number, b: Number) -> Number {
    let negative = a.is_negative() != b.is_negative();
    match (a, b) {
        (Nan, _) | (_, Nan) | (Infinity { .. }, Zero { .. }) | (Zero { .. }, Infinity { .. }) => {
            Nan
        }
        (Infinity { .. }, _) | (_, Infinity { .. }) => Infinity { negative },
        (Zero { .. }, _) | (_, Zero { .. }) => Zero { negative },
        (Finite(a), Finite(b)) => Finite(Exact::new(
            negative,
            a.significand * b.significand,
            a.exponent + b.exponent,
        )),
    }
}

/// `a * b + c`, rounded once.
pub(super) fn fma(a: Number, b: Number, c: Number, mode: Mode) -> Number {
    add(mul(a, b), c, mode)
}

/// `a / b`.
pub(super) fn div(a: Number, b: Number) -> Number {
    let negative = a.is_negative() != b.is_negative();
    match (a, b) {
        (Nan, _) | (_, Nan) | (Infinity { .. }, Infinity { .. }) | (Zero { .. }, Zero { .. }) => {
            Nan
        }
        (Infinity { .. }, _) | (_, Zero { .. }) => Infinity { negative },
        (Zero { .. }, _) | (_, Infinity { .. }) => Zero { negative },
        (Finite(a), Finite(b)) => {
            // 128 bits by at most 53: a quotient of 75 or more.
            let a = a.leading_at(127);
            let quotient = a.significand / b.significand;
            let rest = a.significand % b.significand != 0;
            Finite(Exact::new(
                negative,
                quotient | u128::from(rest),
                a.exponent - b.exponent,
            ))
        }
    }
}

/// The square root.
pub(super) fn sqrt(a: Number) -> Number {
    match a {
        Zero { .. } | Nan => a,
        _ if a.is_negative() => Nan,
        Infinity { .. } => a,
        Finite(exact) => {
            // An even exponent, and 127 or 128 bits: a root of 64.
            let high = exact.leading_at(127);
            let even = if high.exponent % 2 == 0 {
                high
            } else {
                exact.leading_at(126)
            };
            let root = even.significand.isqrt();
            let rest = root * root != even.significand;
            // Two more bits make room for the jam.
            Finite(Exact::new(
                false,
                root << 2 | u128::from(rest),
                even.exponent / 2 - 2,
            ))
        }
    }
}
