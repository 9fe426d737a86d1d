//! Conversions between formats.

use super::soft::{BF16, E4M3, E5M2, F16, F32, F64, Format, Mode, Number};

pub(super) fn half_to_f32(format: &Format, half: u32) -> f32 {
    f32::from_bits(F32.pack(format.unpack(u64::from(half & 0xffff)), Mode::Rn) as u32)
}

pub(super) fn half_from_f32(format: &Format, value: f32) -> u32 {
    format.pack(F32.unpack(u64::from(value.to_bits())), Mode::Rn) as u32
}

/// The bits of every type that a row takes or gives.
trait Word: Copy {
    fn number(self, format: &Format) -> Number;
    fn from_word(bits: u64) -> Self;
}

impl Word for u32 {
    fn number(self, format: &Format) -> Number {
        format.unpack(u64::from(self))
    }

    fn from_word(bits: u64) -> Self {
        bits as Self
    }
}

impl Word for f32 {
    fn number(self, format: &Format) -> Number {
        self.to_bits().number(format)
    }

    fn from_word(bits: u64) -> Self {
        Self::from_bits(bits as u32)
    }
}

impl Word for f64 {
    fn number(self, format: &Format) -> Number {
        format.unpack(self.to_bits())
    }

    fn from_word(bits: u64) -> Self {
        Self::from_bits(bits)
    }
}

macro_rules! integer_to_float {
    ($($row:ident = $to:ident $ret:ty, $sign:ident, $mode:ident;)*) => {$(
        pub(super) extern "C" fn $row(value: u64) -> $ret {
            <$ret>::from_word($to.pack($sign(value), Mode::$mode))
        }
    )*};
}

fn signed(value: u64) -> Number {
    let value = value as i64;
    Number::integer(value < 0, value.unsigned_abs())
}

fn unsigned(value: u64) -> Number {
    Number::integer(false, value)
}

integer_to_float! {
    cvt_rn_f16_s64 = F16 u32, signed, Rn;
    cvt_rz_f16_s64 = F16 u32, signed, Rz;
    cvt_rm_f16_s64 = F16 u32, signed, Rm;
    cvt_rp_f16_s64 = F16 u32, signed, Rp;
    cvt_rn_f16_u64 = F16 u32, unsigned, Rn;
    cvt_rz_f16_u64 = F16 u32, unsigned, Rz;
    cvt_rm_f16_u64 = F16 u32, unsigned, Rm;
    cvt_rp_f16_u64 = F16 u32, unsigned, Rp;
    cvt_rn_bf16_s64 = BF16 u32, signed, Rn;
    cvt_rz_bf16_s64 = BF16 u32, signed, Rz;
    cvt_rm_bf16_s64 = BF16 u32, signed, Rm;
    cvt_rp_bf16_s64 = BF16 u32, signed, Rp;
    cvt_rn_bf16_u64 = BF16 u32, unsigned, Rn;
    cvt_rz_bf16_u64 = BF16 u32, unsigned, Rz;
    cvt_rm_bf16_u64 = BF16 u32, unsigned, Rm;
    cvt_rp_bf16_u64 = BF16 u32, unsigned, Rp;
    cvt_rn_f32_s64 = F32 f32, signed, Rn;
    cvt_rz_f32_s64 = F32 f32, signed, Rz;
    cvt_rm_f32_s64 = F32 f32, signed, Rm;
    cvt_rp_f32_s64 = F32 f32, signed, Rp;
    cvt_rn_f32_u64 = F32 f32, unsigned, Rn;
    cvt_rz_f32_u64 = F32 f32, unsigned, Rz;
    cvt_rm_f32_u64 = F32 f32, unsigned, Rm;
    cvt_rp_f32_u64 = F32 f32, unsigned, Rp;
    cvt_rn_f64_s64 = F64 f64, signed, Rn;
    cvt_rz_f64_s64 = F64 f64, signed, Rz;
    cvt_rm_f64_s64 = F64 f64, signed, Rm;
    cvt_rp_f64_s64 = F64 f64, signed, Rp;
    cvt_rn_f64_u64 = F64 f64, unsigned, Rn;
    cvt_rz_f64_u64 = F64 f64, unsigned, Rz;
    cvt_rm_f64_u64 = F64 f64, unsigned, Rm;
    cvt_rp_f64_u64 = F64 f64, unsigned, Rp;
}
/// `.rs`: random bits are added to the `dropped` last ones of a single, and a carry out of what `format` drops
/// rounds away from zero. What no longer fits is infinity.
fn at_random(value: f32, random: u32, dropped: u32, format: &Format) -> u32 {
    if !value.is_finite() {
        return half_from_f32(format, value);
    }
    let ones = (1 << dropped) - 1;
    let cut = f32::from_bits((value.to_bits() + (random & ones)) & !ones);
    let nearest = half_from_f32(format, cut);
    if half_to_f32(format, nearest).is_infinite() {
        return nearest;
    }
    format.pack(cut.number(&F32), Mode::Rz) as u32
}

pub(super) extern "C" fn cvt_rs_f16_f32(value: f32, random: u32) -> u32 {
    at_random(value, random, 13, &F16)
}

pub(super) extern "C" fn cvt_rs_bf16_f32(value: f32, random: u32) -> u32 {
    at_random(value, random, 16, &BF16)
}

/// To 8 bits; what is too large becomes the largest finite number, also infinity.
fn satfinite(format: &Format, value: f32) -> u32 {
    if value.is_nan() {
        return format.pack(Number::Nan, Mode::Rn) as u32;
    }
    let sign = if value.is_sign_negative() { 0x80 } else { 0 };
    let magnitude = value.abs().min(f32::MAX);
    let bits = format.pack(F32.unpack(u64::from(magnitude.to_bits())), Mode::Rn);
    bits.min(format.largest()) as u32 | sign
}

pub(super) extern "C" fn cvt_rn_satfinite_e4m3_f32(value: f32) -> u32 {
    satfinite(&E4M3, value)
}

pub(super) extern "C" fn cvt_rn_satfinite_e5m2_f32(value: f32) -> u32 {
    satfinite(&E5M2, value)
}

pub(super) extern "C" fn cvt_rn_f16_e4m3(value: u32) -> u32 {
    F16.pack((value & 0xff).number(&E4M3), Mode::Rn) as u32
}

pub(super) extern "C" fn cvt_rn_f16_e5m2(value: u32) -> u32 {
    F16.pack((value & 0xff).number(&E5M2), Mode::Rn) as u32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn half(value: f64, mode: Mode) -> u32 {
        F16.pack(value.number(&F64), mode) as u32
    }

    fn single(value: f64, mode: Mode) -> f32 {
        f32::from_word(F32.pack(value.number(&F64), mode))
    }

    fn double(half: u32) -> f64 {
        f64::from_word(F64.pack(half.number(&F16), Mode::Rn))
    }

    #[test]
    fn every_half_survives_the_way_there_and_back() {
        for bits in 0..=0xffffu32 {
            for format in [F16, BF16] {
                let single = half_to_f32(&format, bits);
                let back = half_from_f32(&format, single);
                assert_eq!(back, if single.is_nan() { 0x7fff } else { bits });
            }
            let wide = double(bits);
            let back = half(wide, Mode::Rz);
            assert_eq!(back, if wide.is_nan() { 0x7fff } else { bits });
            let single = half_to_f32(&BF16, bits);
            assert!(single.to_bits() == bits << 16 || single.is_nan());
        }
    }

    /// All halves in order, as an independent way to round: by search.
    fn by_search(value: f64, mode: Mode) -> u32 {
        let sign = if value.is_sign_negative() { 0x8000 } else { 0 };
        let magnitude = value.abs();
        let below = (0..0x7c00u32)
            .rev()
            .find(|&bits| double(bits) <= magnitude)
            .unwrap();
        let above = below + 1;
        // What the next one would be, were the exponent unbounded.
        let (low, high) = (
            double(below),
            if above == 0x7c00 {
                65536.0
            } else {
                double(above)
            },
        );
        let middle = (low + high) / 2.0;
        let up = match mode {
            _ if magnitude == low => false,
            Mode::Rz => false,
            Mode::Rm => sign != 0,
            Mode::Rp => sign == 0,
            Mode::Rn => magnitude > middle || magnitude == middle && below & 1 == 1,
        };
        sign | if up { above } else { below }
    }

    proptest! {
        #[test]
        fn halves_are_rounded_as_a_search_says(exponent in -30i32..18, fraction in 1.0f64..2.0, negative: bool, coarse: bool) {
            let fraction = if coarse { (fraction * 2048.0).floor() / 2048.0 } else { fraction };
            let value = fraction * 2f64.powi(exponent) * if negative { -1.0 } else { 1.0 };
            prop_assert_eq!(half(value, Mode::Rn), by_search(value, Mode::Rn));
            prop_assert_eq!(half(value, Mode::Rz), by_search(value, Mode::Rz));
            prop_assert_eq!(half(value, Mode::Rm), by_search(value, Mode::Rm));
            prop_assert_eq!(half(value, Mode::Rp), by_search(value, Mode::Rp));
        }

        #[test]
        fn nearest_is_what_the_language_does(bits: u64, integer: u64, shift in 0u32..64) {
            let double = f64::from_bits(bits);
            prop_assume!(!double.is_nan());
            let demoted = F32.pack(F64.unpack(bits), Mode::Rn) as u32;
            prop_assert_eq!(demoted, (double as f32).to_bits());
            let integer = integer >> shift;
            prop_assert_eq!(cvt_rn_f32_u64(integer), integer as f32);
            prop_assert_eq!(cvt_rn_f64_u64(integer), integer as f64);
            prop_assert_eq!(cvt_rn_f32_s64(!integer), !integer as i64 as f32);
            prop_assert_eq!(cvt_rn_f64_s64(!integer), !integer as i64 as f64);
        }

        #[test]
        fn directed_conversions_enclose(bits: u64, integer: i64) {
            let double = f64::from_bits(bits);
            prop_assume!(!double.is_nan());
            let (down, up) = (single(double, Mode::Rm), single(double, Mode::Rp));
            prop_assert!(f64::from(down) <= double && double <= f64::from(up));
            prop_assert!(down == up || down.next_up() == up);
            prop_assert_eq!(single(double, Mode::Rz), if double > 0.0 { down } else { up });
            let (down, up) = (cvt_rm_f64_s64(integer as u64), cvt_rp_f64_s64(integer as u64));
            prop_assert!(down as i128 <= i128::from(integer) && i128::from(integer) <= up as i128);
            prop_assert!(down == up || down.next_up() == up);
        }
    }

    #[test]
    fn large_integers_to_small_floats() {
        assert_eq!(cvt_rn_f16_u64(65519), 0x7bff);
        assert_eq!(cvt_rn_f16_u64(65520), 0x7c00);
        assert_eq!(cvt_rz_f16_u64(u64::MAX), 0x7bff);
        assert_eq!(cvt_rp_f16_s64(-70000i64 as u64), 0xfbff);
        assert_eq!(cvt_rm_f16_s64(-70000i64 as u64), 0xfc00);
        assert_eq!(cvt_rn_bf16_s64(i64::MIN as u64), 0xdf00);
        assert_eq!(cvt_rn_f16_u64(0), 0);
    }

    #[test]
    fn bytes() {
        assert_eq!(cvt_rn_satfinite_e4m3_f32(448.0), 0x7e);
        assert_eq!(cvt_rn_satfinite_e4m3_f32(1e9), 0x7e);
        assert_eq!(cvt_rn_satfinite_e4m3_f32(f32::NEG_INFINITY), 0xfe);
        assert_eq!(cvt_rn_satfinite_e4m3_f32(f32::NAN), 0x7f);
        assert_eq!(cvt_rn_satfinite_e4m3_f32(-0.0), 0x80);
        assert_eq!(cvt_rn_satfinite_e5m2_f32(1e9), 0x7b);
        assert_eq!(cvt_rn_satfinite_e4m3_f32(2f32.powi(-9)), 1);
        for bits in 0..=255 {
            let back = cvt_rn_satfinite_e4m3_f32(half_to_f32(&F16, cvt_rn_f16_e4m3(bits)));
            assert_eq!(back, if bits & 0x7f == 0x7f { 0x7f } else { bits });
            let half = cvt_rn_f16_e5m2(bits);
            assert!(half == bits << 8 || half == 0x7fff && bits & 0x7f > 0x7c);
        }
    }
}
