//! Makes kernels. Barriers stand only where all threads of a block come.

use crate::ast::{Cond, FLOATS, Kernel, LONGS, Operand, RAMPS, Special, Statement, WORDS};

/// Marsaglia's xorshift64*.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self((seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn word(&mut self) -> u32 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32) as u32
    }

    fn below(&mut self, limit: usize) -> usize {
        self.word() as usize % limit
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
}

struct Generator {
    random: Random,
    /// Depth of loops.
    depth: usize,
}

const COMPARISONS: [&str; 6] = ["eq", "ne", "lt", "le", "gt", "ge"];

pub(crate) fn kernel(seed: u64) -> Kernel {
    let mut generator = Generator {
        random: Random::new(seed + 1000),
        depth: 0,
    };
    // Early ends come behind the last barrier.
    let length = 4 + generator.random.below(10);
    let mut body = generator.list(length, true, 2);
    if generator.random.chance(40) {
        body.push(Statement::Leave(generator.cond(false)));
        body.extend(generator.list(4, false, 1));
    }
    let ramps = [(); 2].map(|()| generator.number());
    Kernel { ramps, body }
}

impl Generator {
    fn list(&mut self, length: usize, together: bool, nesting: usize) -> Vec<Statement> {
        (0..length)
            .map(|_| self.statement(together, nesting))
            .collect()
    }

    fn uniform(&mut self) -> Operand {
        match self.random.below(if self.depth > 0 { 4 } else { 3 }) {
            0 => Operand::Immediate(self.number()),
            1 => Operand::Special(Special::CtaidX),
            2 => Operand::Special(Special::NtidX),
            _ => Operand::Counter(self.random.below(self.depth)),
        }
    }

    fn number(&mut self) -> u32 {
        match self.random.below(8) {
            0 => u32::MAX - self.random.word() % 40,
            1 => self.random.word(),
            2 => i32::MAX.cast_unsigned() - 3 + self.random.word() % 8,
            _ => self.random.word() % 40,
        }
    }

    fn operand(&mut self) -> Operand {
        match self.random.below(12) {
            0..5 => Operand::Word(self.random.below(WORDS)),
            5 => Operand::Special(Special::TidY),
            6 => Operand::Special(Special::LaneId),
            7 => Operand::Special(Special::WarpId),
            8..10 => Operand::Special(Special::TidX),
            _ => self.uniform(),
        }
    }

    fn cond(&mut self, uniform: bool) -> Cond {
        let op = COMPARISONS[self.random.below(COMPARISONS.len())];
        let [left, right] = [(); 2].map(|()| {
            if uniform {
                self.uniform()
            } else {
                self.operand()
            }
        });
        Cond { op, left, right }
    }

    fn statement(&mut self, together: bool, nesting: usize) -> Statement {
        if nesting > 0 && self.random.chance(30) {
            return self.nested(together, nesting - 1);
        }
        if together && self.random.chance(20) {
            let distance = 1 + self.random.word() % 9;
            let word = self.random.below(WORDS);
            return Statement::Exchange(word, self.operand(), distance);
        }
        if self.random.chance(12) {
            let cond = self.cond(false);
            return Statement::Guarded(cond, Box::new(self.plain()));
        }
        self.plain()
    }

    fn nested(&mut self, together: bool, nesting: usize) -> Statement {
        let together = together && self.random.chance(50);
        let length = 1 + self.random.below(4);
        if self.random.chance(50) {
            let cond = self.cond(together);
            let yes = self.list(length, together, nesting);
            let no = if self.random.chance(50) {
                self.list(length, together, nesting)
            } else {
                Vec::new()
            };
            return Statement::If(cond, yes, no);
        }
        let limit = if together {
            self.uniform()
        } else {
            self.operand()
        };
        let counter = self.depth;
        self.depth += 1;
        let body = self.list(length, together, nesting);
        self.depth -= 1;
        Statement::Loop(counter, limit, body)
    }

    fn plain(&mut self) -> Statement {
        use Statement::*;
        let [d, e] = [(); 2].map(|()| self.random.below(WORDS));
        let (a, b) = (self.operand(), self.operand());
        let [f, g, h, i] = [(); 4].map(|()| self.random.below(FLOATS));
        let l = self.random.below(LONGS);
        let m = self.random.below(LONGS + RAMPS);
        let signed = self.random.chance(50);
        match self.random.below(18) {
            0 | 1 => Add(d, a, b),
            2 => Sub(d, a, b),
            3 => Mul(d, a, b),
            4 => Xor(d, a, b),
            5 => MaxSigned(d, a, b),
            6 => Shl(d, a, self.random.word() % 12),
            7 => Select(d, self.cond(false), a, b),
            8 => Wide(l, a, (self.random.word() % 64).cast_signed() - 8, signed),
            9 => Widen(l, a, signed),
            10 => Move(l, m, i64::from(self.number()) - 20),
            11 => Narrow(e, m, self.random.word() % 33),
            12 => Convert(f, a),
            13 => Fma(f, g, h, i),
            14 => MinFloat(f, g, h),
            15 => Bits(d, f),
            16 => Load(d, a),
            _ => Count(a, b),
        }
    }
}
