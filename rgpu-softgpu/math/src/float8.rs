//! Floats of 8 bits: stored, never computed with.

use crate::element::Element;

/// 4 bits of exponent, 3 of fraction, no infinities; the largest is 448.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub struct E4M3(pub u8);

/// 5 bits of exponent, 2 of fraction, as the upper half of a `f16`; the largest is 57344.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub struct E5M2(pub u8);

/// The bits (without a sign) of a positive number in a format with `fraction` bits of fraction and this bias: rounded to
/// the nearest, ties to even, not above `most`.
fn encode(value: f32, fraction: i32, bias: i32, most: u8) -> u8 {
    // The exponent of the number, or of the smallest normal one.
    let exponent = ((value.to_bits() >> 23) as i32 - 127).max(1 - bias);
    // How many steps of the format's last bit it is; up to 2^(fraction + 1), so exact until it is rounded.
    let steps = f64::from(value) * f64::from(fraction - exponent).exp2();
    let steps = steps.round_ties_even() as i32;
    // The steps of a normal number include its leading one, which so adds 1 to the exponent.
    let bits = ((exponent + bias - 1) << fraction) + steps;
    bits.clamp(0, most.into()) as u8
}

fn decode(bits: u8, fraction: i32, bias: i32) -> f32 {
    let (exponent, steps) = (
        i32::from(bits) >> fraction,
        i32::from(bits) & ((1 << fraction) - 1),
    );
    let (exponent, steps) = match exponent {
        0 => (1, steps),
        _ => (exponent, steps + (1 << fraction)),
    };
    steps as f32 * ((exponent - bias - fraction) as f32).exp2()
}

impl Element<f32> for E4M3 {
    fn load(self) -> f32 {
        let magnitude = match self.0 & 0x7f {
            0x7f => f32::NAN,
            bits => decode(bits, 3, 7),
        };
        if self.0 & 0x80 == 0 {
            magnitude
        } else {
            -magnitude
        }
    }

    /// Beyond the largest: the largest, as `cvt.satfinite` has it.
    fn store(value: f32) -> Self {
        let sign = if value.is_sign_negative() { 0x80 } else { 0 };
        match value.is_nan() {
            true => Self(0x7f),
            false => Self(sign | encode(value.abs().min(1e6), 3, 7, 0x7e)),
        }
    }
}

impl Element<f32> for E5M2 {
    fn load(self) -> f32 {
        let magnitude = match self.0 & 0x7f {
            0x7c => f32::INFINITY,
            bits if bits > 0x7c => f32::NAN,
            bits => decode(bits, 2, 15),
        };
        if self.0 & 0x80 == 0 {
            magnitude
        } else {
            -magnitude
        }
    }

    /// Beyond the largest: the largest, as `cvt.satfinite` has it.
    fn store(value: f32) -> Self {
        let sign = if value.is_sign_negative() { 0x80 } else { 0 };
        match value.is_nan() {
            true => Self(0x7f),
            false => Self(sign | encode(value.abs().min(1e6), 2, 15, 0x7b)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::element::f16;

    #[test]
    fn e5m2_is_the_upper_half_of_a_half() {
        for bits in 0..=255u8 {
            let want = f16::from_bits(u16::from(bits) << 8).to_f32();
            let got = E5M2(bits).load();
            assert!(
                got == want || got.is_nan() && want.is_nan(),
                "{bits:#x}: {got}, not {want}"
            );
        }
    }

    #[test]
    fn known_values_of_e4m3() {
        for (bits, value) in [
            (0x00, 0.0),
            (0x01, 0.001953125),
            (0x08, 0.015625),
            (0x38, 1.0),
            (0x7e, 448.0),
            (0xb8, -1.0),
        ] {
            assert_eq!(E4M3(bits).load(), value);
            assert_eq!(E4M3::store(value), E4M3(bits));
        }
        assert!(E4M3(0x7f).load().is_nan());
    }

    #[test]
    fn every_number_is_the_nearest_to_itself_and_ties_go_to_even() {
        for bits in 0..0x7bu8 {
            let (low, high) = (E5M2(bits).load(), E5M2(bits + 1).load());
            assert_eq!(E5M2::store(low), E5M2(bits));
            let even = bits + bits % 2;
            assert_eq!(E5M2::store((low + high) / 2.0), E5M2(even));
        }
        for bits in 0..0x7eu8 {
            let (low, high) = (E4M3(bits).load(), E4M3(bits + 1).load());
            assert_eq!(E4M3::store(low), E4M3(bits));
            let even = bits + bits % 2;
            assert_eq!(E4M3::store((low + high) / 2.0), E4M3(even));
        }
    }

    #[test]
    fn beyond_the_largest_is_the_largest() {
        assert_eq!(E4M3::store(1e30), E4M3(0x7e));
        assert_eq!(E4M3::store(f32::NEG_INFINITY), E4M3(0xfe));
        assert_eq!(E5M2::store(1e30), E5M2(0x7b));
    }
}
