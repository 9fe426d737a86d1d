//! Arithmetic in the rounding mode that the name says.

use super::soft::{self, F64, Mode, Number};

/// The tests compare singles with the processor too.
trait Float: Copy {
    fn number(self) -> Number;
    fn rounded(number: Number, mode: Mode) -> Self;
}

impl Float for f64 {
    fn number(self) -> Number {
        F64.unpack(self.to_bits())
    }

    fn rounded(number: Number, mode: Mode) -> Self {
        Self::from_bits(F64.pack(number, mode))
    }
}

fn mul<T: Float>(a: T, b: T, mode: Mode) -> T {
    T::rounded(soft::mul(a.number(), b.number()), mode)
}

fn div<T: Float>(a: T, b: T, mode: Mode) -> T {
    T::rounded(soft::div(a.number(), b.number()), mode)
}

fn fma<T: Float>(a: T, b: T, c: T, mode: Mode) -> T {
    T::rounded(soft::fma(a.number(), b.number(), c.number(), mode), mode)
}

fn sqrt<T: Float>(a: T, mode: Mode) -> T {
    T::rounded(soft::sqrt(a.number()), mode)
}

fn rcp<T: Float>(a: T, mode: Mode) -> T {
    T::rounded(soft::div(Number::integer(false, 1), a.number()), mode)
}

macro_rules! rows {
    ($($row:ident = $op:ident($($arg:ident),*) $mode:ident $ty:ty;)*) => {$(
        pub(super) extern "C" fn $row($($arg: $ty),*) -> $ty {
            $op($($arg,)* Mode::$mode)
        }
    )*};
}

rows! {
    mul_rz_f64 = mul(a, b) Rz f64;
    mul_rm_f64 = mul(a, b) Rm f64;
    mul_rp_f64 = mul(a, b) Rp f64;
    div_rz_f64 = div(a, b) Rz f64;
    div_rm_f64 = div(a, b) Rm f64;
    div_rp_f64 = div(a, b) Rp f64;
    fma_rz_f64 = fma(a, b, c) Rz f64;
    fma_rm_f64 = fma(a, b, c) Rm f64;
    fma_rp_f64 = fma(a, b, c) Rp f64;
    sqrt_rz_f64 = sqrt(a) Rz f64;
    sqrt_rm_f64 = sqrt(a) Rm f64;
    sqrt_rp_f64 = sqrt(a) Rp f64;
    rcp_rz_f64 = rcp(a) Rz f64;
    rcp_rm_f64 = rcp(a) Rm f64;
    rcp_rp_f64 = rcp(a) Rp f64;
}

/// PTX's one NaN for every NaN.
pub(super) fn quiet_f32(value: f32) -> f32 {
    if value.is_nan() {
        f32::from_bits(0x7fff_ffff)
    } else {
        value
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::LIBCALLS;
    use super::super::soft::F32;
    use super::*;

    impl Float for f32 {
        fn number(self) -> Number {
            F32.unpack(u64::from(self.to_bits()))
        }

        fn rounded(number: Number, mode: Mode) -> Self {
            Self::from_bits(F32.pack(number, mode) as u32)
        }
    }

    fn add<T: Float>(a: T, b: T, mode: Mode) -> T {
        T::rounded(soft::add(a.number(), b.number(), mode), mode)
    }

    /// Evaluates in the processor's own rounding mode: the reference.
    #[cfg(target_arch = "x86_64")]
    mod hardware {
        use std::arch::asm;

        use super::Mode;

        const NEAREST: u32 = 0x1f80;

        fn control(mode: Mode) -> u32 {
            NEAREST
                | match mode {
                    Mode::Rn => 0,
                    Mode::Rm => 0x2000,
                    Mode::Rp => 0x4000,
                    Mode::Rz => 0x6000,
                }
        }

        macro_rules! binary {
            ($name:ident $instruction:literal $ty:ty) => {
                pub(super) fn $name(mut a: $ty, b: $ty, mode: Mode) -> $ty {
                    let (wanted, normal) = (control(mode), NEAREST);
                    // SAFETY: the mode is back to normal at the end; nothing in between depends on it but the
                    // instruction.
                    unsafe {
                        asm!(
                            "ldmxcsr [{wanted}]", concat!($instruction, " {a}, {b}"), "ldmxcsr [{normal}]",
                            wanted = in(reg) &wanted, normal = in(reg) &normal,
                            a = inout(xmm_reg) a, b = in(xmm_reg) b, options(nostack),
                        );
                    }
                    a
                }
            };
        }

        binary!(add_f32 "addss" f32);
        binary!(mul_f32 "mulss" f32);
        binary!(div_f32 "divss" f32);
        binary!(sqrt_f32 "sqrtss" f32);
        binary!(add_f64 "addsd" f64);
        binary!(mul_f64 "mulsd" f64);
        binary!(div_f64 "divsd" f64);
        binary!(sqrt_f64 "sqrtsd" f64);

        macro_rules! ternary {
            ($name:ident $instruction:literal $ty:ty) => {
                pub(super) fn $name(mut a: $ty, b: $ty, c: $ty, mode: Mode) -> Option<$ty> {
                    if !std::arch::is_x86_feature_detected!("fma") {
                        return None;
                    }
                    let (wanted, normal) = (control(mode), NEAREST);
                    // SAFETY: the processor has the instruction; for the rest see `binary`.
                    unsafe {
                        asm!(
                            "ldmxcsr [{wanted}]", concat!($instruction, " {a}, {b}, {c}"), "ldmxcsr [{normal}]",
                            wanted = in(reg) &wanted, normal = in(reg) &normal,
                            a = inout(xmm_reg) a, b = in(xmm_reg) b, c = in(xmm_reg) c, options(nostack),
                        );
                    }
                    Some(a)
                }
            };
        }

        ternary!(fma_f32 "vfmadd213ss" f32);
        ternary!(fma_f64 "vfmadd213sd" f64);
    }

    #[cfg(target_arch = "x86_64")]
    const MODES: [Mode; 4] = [Mode::Rn, Mode::Rz, Mode::Rm, Mode::Rp];

    #[cfg(target_arch = "x86_64")]
    #[track_caller]
    fn same_f32(ours: f32, theirs: f32) {
        assert!(
            ours.to_bits() == theirs.to_bits() || ours.is_nan() && theirs.is_nan(),
            "{ours:e} {theirs:e}"
        );
    }

    #[track_caller]
    fn same_f64(ours: f64, theirs: f64) {
        assert!(
            ours.to_bits() == theirs.to_bits() || ours.is_nan() && theirs.is_nan(),
            "{ours:e} {theirs:e}"
        );
    }

    #[cfg(target_arch = "x86_64")]
    fn compare_f32(a: f32, b: f32, c: f32) {
        for mode in MODES {
            same_f32(add(a, b, mode), hardware::add_f32(a, b, mode));
            same_f32(mul(a, b, mode), hardware::mul_f32(a, b, mode));
            same_f32(div(a, b, mode), hardware::div_f32(a, b, mode));
            same_f32(sqrt(a, mode), hardware::sqrt_f32(0.0, a, mode));
            same_f32(rcp(a, mode), hardware::div_f32(1.0, a, mode));
            if let Some(theirs) = hardware::fma_f32(a, b, c, mode) {
                same_f32(fma(a, b, c, mode), theirs);
            }
        }
    }

    #[cfg(target_arch = "x86_64")]
    fn compare_f64(a: f64, b: f64, c: f64) {
        for mode in MODES {
            same_f64(add(a, b, mode), hardware::add_f64(a, b, mode));
            same_f64(mul(a, b, mode), hardware::mul_f64(a, b, mode));
            same_f64(div(a, b, mode), hardware::div_f64(a, b, mode));
            same_f64(sqrt(a, mode), hardware::sqrt_f64(0.0, a, mode));
            same_f64(rcp(a, mode), hardware::div_f64(1.0, a, mode));
            if let Some(theirs) = hardware::fma_f64(a, b, c, mode) {
                same_f64(fma(a, b, c, mode), theirs);
            }
        }
    }

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn corner_values_agree_with_the_processor() {
        let corners = [
            0.0,
            1.0,
            3.0,
            f32::MIN_POSITIVE,
            f32::from_bits(1),
            f32::MAX,
            f32::INFINITY,
            f32::NAN,
            1.5e-45,
            0.1,
        ];
        let corners = corners.map(|value| [value, -value]).concat();
        for &a in &corners {
            for &b in &corners {
                for &c in &corners {
                    compare_f32(a, b, c);
                }
            }
        }
        let corners = [
            0.0,
            1.0,
            3.0,
            f64::MIN_POSITIVE,
            f64::from_bits(1),
            f64::MAX,
            f64::INFINITY,
            f64::NAN,
            1e-310,
            0.1,
            2e-162,
        ];
        let corners = corners.map(|value| [value, -value]).concat();
        for &a in &corners {
            for &b in &corners {
                for &c in &corners {
                    compare_f64(a, b, c);
                }
            }
        }
    }

    /// Any bits; and numbers near each other, where sums cancel.
    fn bits() -> impl Strategy<Value = (u64, u64, u64)> {
        let near = (any::<u64>(), -60i64..60, -60i64..60, any::<[u64; 2]>()).prop_map(
            |(a, db, dc, low)| {
                let step = |delta: i64, low: u64| {
                    let exponent = ((a >> 52 & 0x7ff) as i64 + delta).clamp(0, 0x7fe) as u64;
                    low & !(0x7ff << 52) | exponent << 52
                };
                (a, step(db, low[0]), step(dc, low[1]))
            },
        );
        prop_oneof![any::<(u64, u64, u64)>(), near]
    }

    proptest! {
        #[test]
        fn nearest_is_what_the_language_does((a, b, c) in bits()) {
            let (a, b, c) = (f64::from_bits(a), f64::from_bits(b), f64::from_bits(c));
            same_f64(add(a, b, Mode::Rn), a + b);
            same_f64(mul(a, b, Mode::Rn), a * b);
            same_f64(div(a, b, Mode::Rn), a / b);
            same_f64(sqrt(a, Mode::Rn), a.sqrt());
            same_f64(fma(a, b, c, Mode::Rn), a.mul_add(b, c));
        }
    }

    #[cfg(target_arch = "x86_64")]
    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn random_doubles_agree_with_the_processor((a, b, c) in bits()) {
            let (a, b, c) = (f64::from_bits(a), f64::from_bits(b), f64::from_bits(c));
            compare_f64(a, b, c);
            // The third where it matters most: close to the product.
            compare_f64(a, b, -(a * b));
        }

        #[test]
        fn random_singles_agree_with_the_processor(a: u32, b: u32, c: u32, near in -40i32..40) {
            let (a, b, c) = (f32::from_bits(a), f32::from_bits(b), f32::from_bits(c));
            compare_f32(a, b, c);
            compare_f32(a, a * 2f32.powi(near), -(a * b));
        }
    }

    #[test]
    fn the_rows_are_what_they_are_called() {
        let mut found = 0;
        for row in LIBCALLS {
            let ends = ["_rz_f64", "_rm_f64", "_rp_f64"];
            let Some(mode) = ends.iter().position(|end| row.name.ends_with(end)) else {
                continue;
            };
            if row.params.len() != 2 {
                continue;
            }
            // SAFETY: two f64 in, one out, as the row says.
            let function: extern "C" fn(f64, f64) -> f64 =
                unsafe { std::mem::transmute(row.address()) };
            let (third, tenth) = (1.0f64 / 3.0, 0.1f64);
            let got = function(third, tenth);
            let mode = [Mode::Rz, Mode::Rm, Mode::Rp][mode];
            let expected = match &row.name[..3] {
                "mul" => mul(third, tenth, mode),
                "div" => div(third, tenth, mode),
                other => panic!("{other}"),
            };
            assert_eq!(got.to_bits(), expected.to_bits(), "{}", row.name);
            found += 1;
        }
        assert_eq!(found, 6);
    }
}
