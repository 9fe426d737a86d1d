//! Operands: special values, all bit patterns alike, and numbers close to each other, where results cancel.

/// How many elements a random test has.
pub(crate) const COUNT: usize = 2048;

/// A small generator of numbers (splitmix64).
pub(crate) struct Random(u64);

impl Random {
    /// Another stream for each `stream`, and for each `RGPU_SEED`.
    pub(crate) fn new(stream: u64) -> Self {
        let seed = std::env::var("RGPU_SEED")
            .map_or(0, |text| text.parse().expect("RGPU_SEED is a number"));
        Self(stream.wrapping_mul(0x1000_0000_01b3) ^ seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// Below `limit`.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(limit)) >> 64) as u64
    }
}

/// Bits and stored significand bits of a float type.
pub(crate) fn shape(ty: &str) -> (u32, u32) {
    match ty {
        "f16" => (16, 10),
        "bf16" => (16, 7),
        "f32" => (32, 23),
        _ => (64, 52),
    }
}

/// One float of a type.
pub(crate) fn float(ty: &str, random: &mut Random) -> u64 {
    let (bits, mantissa) = shape(ty);
    let ones = u64::MAX >> (64 - bits);
    let exponent_ones = (1 << (bits - 1 - mantissa)) - 1;
    let sign = random.below(2) << (bits - 1);
    let fraction = random.next() & ((1 << mantissa) - 1);
    // Few significant bits make exact results and ties likely.
    let sparse = fraction & fraction.rotate_left(7) & random.next();
    let bias = exponent_ones >> 1;
    match random.below(8) {
        0 => {
            let specials = [
                0,
                1,
                (1 << mantissa) - 1,
                1 << mantissa,
                bias << mantissa,
                (exponent_ones << mantissa) - 1,
                exponent_ones << mantissa,
                exponent_ones << mantissa | 1 << (mantissa - 1),
            ];
            sign | specials[random.below(8) as usize]
        }
        1 => sign | fraction,
        2 | 3 => sign | (bias - 3 + random.below(7)) << mantissa | fraction,
        4 | 5 => sign | (bias - 3 + random.below(7)) << mantissa | sparse,
        _ => random.next() & ones,
    }
}

/// Many floats.
pub(crate) fn floats(ty: &str, count: usize, stream: u64) -> Vec<u64> {
    let mut random = Random::new(stream);
    (0..count).map(|_| float(ty, &mut random)).collect()
}

/// Partners for `others` in sums: often as large, or larger by the width of a significand.
pub(crate) fn near(ty: &str, others: &[u64], stream: u64) -> Vec<u64> {
    let (bits, mantissa) = shape(ty);
    let mut random = Random::new(stream);
    let one = |other: &u64| {
        let shift = (random.below(u64::from(2 * mantissa + 8)) as i64 - i64::from(mantissa) - 4)
            << mantissa;
        let moved = other.wrapping_add_signed(shift) ^ random.below(4);
        match random.below(4) {
            0 => float(ty, &mut random),
            1 => (other ^ 1 << (bits - 1)) ^ random.below(2),
            _ => moved ^ random.below(2) << (bits - 1),
        }
    };
    let ones = u64::MAX >> (64 - bits);
    others.iter().map(one).map(|value| value & ones).collect()
}

/// Integers of every length, and the ends of the ranges.
pub(crate) fn integers(bits: u32, count: usize, stream: u64) -> Vec<u64> {
    let mut random = Random::new(stream);
    let ones = u64::MAX >> (64 - bits);
    let one = |_| {
        let length = random.below(u64::from(bits)) as u32;
        let value = random.next() >> (63 - length);
        let ends = [0, 1, ones, ones >> 1, (ones >> 1) + 1, (ones >> 1) + 2];
        match random.below(4) {
            0 => ends[random.below(6) as usize],
            1 => !value & ones,
            _ => value & ones,
        }
    };
    (0..count).map(one).collect()
}

/// All patterns of 16 bits.
pub(crate) fn all_halves() -> Vec<u64> {
    (0..1 << 16).collect()
}
