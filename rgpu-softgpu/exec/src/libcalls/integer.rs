//! Integer instructions that are not worth compiling inline.

use super::vmad::{NEGATE_ADDEND, NEGATE_PRODUCT, PLUS_ONE, SATURATE, SHIFT_7, SHIFT_15, SIGNED};

/// `fns`: where the n-th set bit is, from `base` upwards (`offset` > 0) or downwards (< 0).
pub(super) extern "C" fn fns_b32(mask: u32, base: u32, offset: u32) -> u32 {
    const NONE: u32 = u32::MAX;
    let offset = offset as i32;
    if base > 31 {
        return NONE;
    }
    let is_set = |bit: &u32| mask >> bit & 1 == 1;
    let found = match offset {
        0 => Some(base).filter(is_set),
        1.. => (base..32).filter(is_set).nth(offset as usize - 1),
        _ => (0..=base)
            .rev()
            .filter(is_set)
            .nth(offset.unsigned_abs() as usize - 1),
    };
    found.unwrap_or(NONE)
}

/// `vmad`: `x` and `y` are extended from what the instruction selects, `z` from 32 bits; all travel as 64.
pub(super) extern "C" fn vmad(x: u64, y: u64, z: u64, how: u32) -> u32 {
    let has = |flag| how & flag != 0;
    let [x, y, z] = [x, y, z].map(|value| i128::from(value.cast_signed()));
    let product = if has(NEGATE_PRODUCT) { -(x * y) } else { x * y };
    let addend = if has(NEGATE_ADDEND) { -z } else { z };
    let sum = product + addend + i128::from(has(PLUS_ONE));
    let shift = 7 * u32::from(has(SHIFT_7)) + 15 * u32::from(has(SHIFT_15));
    let scaled = sum >> shift;
    let result = match (has(SATURATE), has(SIGNED)) {
        (false, _) => scaled,
        (true, true) => scaled.clamp(i32::MIN.into(), i32::MAX.into()),
        (true, false) => scaled.clamp(0, u32::MAX.into()),
    };
    result as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_nth_set_bit() {
        let mask = 0b1011_0100;
        assert_eq!(fns_b32(mask, 0, 1), 2);
        assert_eq!(fns_b32(mask, 2, 1), 2);
        assert_eq!(fns_b32(mask, 3, 2), 5);
        assert_eq!(fns_b32(mask, 0, 4), 7);
        assert_eq!(fns_b32(mask, 0, 5), u32::MAX);
        assert_eq!(fns_b32(mask, 6, -1i32 as u32), 5);
        assert_eq!(fns_b32(mask, 31, -4i32 as u32), 2);
        assert_eq!(fns_b32(mask, 4, 0), 4);
        assert_eq!(fns_b32(mask, 3, 0), u32::MAX);
        assert_eq!(fns_b32(mask, 40, 1), u32::MAX);
        assert_eq!(fns_b32(mask, 0, i32::MIN as u32), u32::MAX);
    }
}
