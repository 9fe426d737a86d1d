//! Runs kernels one statement at a time, for all threads of a block that are there.

use crate::ast::{
    COUNTERS, Cond, FLOATS, INPUTS, Kernel, LONGS, OUTPUTS, Operand, RAMPS, Special, Statement,
    WORDS,
};

#[derive(Clone)]
struct Thread {
    words: [u32; WORDS],
    longs: [u64; LONGS + RAMPS],
    floats: [f32; FLOATS],
    counters: [u32; 8],
    tid: [u32; 3],
    number: u32,
    ended: bool,
}

struct Block<'a> {
    threads: Vec<Thread>,
    size: [u32; 3],
    ctaid: u32,
    input: &'a [u32],
    counts: &'a mut [u32],
}

/// What all threads write, and the counters.
pub(crate) fn run(kernel: &Kernel, size: [u32; 3], grid: u32, input: &[u32]) -> [Vec<u32>; 2] {
    let mut counts = vec![0; COUNTERS];
    let mut out = Vec::new();
    let threads = size.iter().product::<u32>();
    for ctaid in 0..grid {
        let threads = (0..threads).map(|number| Thread {
            words: std::array::from_fn(|n| number + n as u32),
            longs: std::array::from_fn(|n| match n.checked_sub(LONGS) {
                None => n as u64,
                Some(ramp) => {
                    let start = kernel.ramps[ramp].wrapping_add(ctaid);
                    u64::from((number % size[0]).wrapping_add(start))
                }
            }),
            floats: [1.0; FLOATS],
            counters: [0; 8],
            tid: [
                number % size[0],
                number / size[0] % size[1],
                number / size[0] / size[1],
            ],
            number,
            ended: false,
        });
        let mut block = Block {
            threads: threads.collect(),
            size,
            ctaid,
            input,
            counts: &mut counts,
        };
        let all = vec![true; block.threads.len()];
        block.list(&kernel.body, &all);
        for thread in &block.threads {
            let before = out.len();
            out.extend(thread.words);
            let longs = thread.longs[..LONGS].iter();
            out.extend(longs.flat_map(|long| [*long as u32, (long >> 32) as u32]));
            out.extend(thread.floats.iter().map(|float| float.to_bits()));
            assert_eq!(out.len() - before, OUTPUTS);
        }
    }
    [out, counts]
}

impl Block<'_> {
    fn value(&self, thread: &Thread, operand: Operand) -> u32 {
        match operand {
            Operand::Word(n) => thread.words[n],
            Operand::Immediate(value) => value,
            Operand::Counter(n) => thread.counters[n],
            Operand::Special(special) => match special {
                Special::TidX => thread.tid[0],
                Special::TidY => thread.tid[1],
                Special::NtidX => self.size[0],
                Special::CtaidX => self.ctaid,
                Special::LaneId => thread.number % 32,
                Special::WarpId => thread.number / 32,
            },
        }
    }

    fn holds(&self, thread: &Thread, cond: &Cond) -> bool {
        let (left, right) = (
            self.value(thread, cond.left),
            self.value(thread, cond.right),
        );
        match cond.op {
            "eq" => left == right,
            "ne" => left != right,
            "lt" => left < right,
            "le" => left <= right,
            "gt" => left > right,
            _ => left >= right,
        }
    }

    fn list(&mut self, statements: &[Statement], active: &[bool]) {
        for statement in statements {
            self.one(statement, active);
        }
    }

    /// Those of `active` for which a condition holds.
    fn those(&self, active: &[bool], cond: &dyn Fn(&Self, &Thread) -> bool) -> Vec<bool> {
        let threads = self.threads.iter().zip(active);
        threads
            .map(|(thread, active)| *active && !thread.ended && cond(self, thread))
            .collect()
    }

    fn one(&mut self, statement: &Statement, active: &[bool]) {
        match statement {
            Statement::If(cond, yes, no) => {
                let first = self.those(active, &|block, thread| block.holds(thread, cond));
                let second = self.those(active, &|block, thread| !block.holds(thread, cond));
                self.list(yes, &first);
                self.list(no, &second);
            }
            Statement::Guarded(cond, statement) => self.guarded(cond, statement, active),
            Statement::Loop(depth, limit, body) => {
                self.each(active, |_, thread| thread.counters[*depth] = 0);
                loop {
                    let again = self.those(active, &|block, thread| {
                        thread.counters[*depth] < block.value(thread, *limit) & 3
                    });
                    if !again.contains(&true) {
                        return;
                    }
                    self.list(body, &again);
                    self.each(&again, |_, thread| thread.counters[*depth] += 1);
                }
            }
            Statement::Exchange(d, a, distance) => {
                let all: Vec<u32> = self.threads.iter().map(|t| self.value(t, *a)).collect();
                self.each(active, |_, thread| {
                    let from = thread.number.wrapping_add(*distance) as usize % all.len();
                    thread.words[*d] = all[from];
                });
            }
            Statement::Leave(cond) => {
                let leaving = self.those(active, &|block, thread| block.holds(thread, cond));
                self.each(&leaving, |_, thread| thread.ended = true);
            }
            Statement::Count(a, b) => {
                let adding = self.those(active, &|_, _| true);
                for (thread, _) in self.threads.iter().zip(adding).filter(|(_, adds)| *adds) {
                    let at = self.value(thread, *a) as usize % COUNTERS;
                    let count = self.value(thread, *b);
                    self.counts[at] = self.counts[at].wrapping_add(count);
                }
            }
            _ => self.each(active, |block, thread| block.plain(statement, thread)),
        }
    }

    /// The condition is looked at behind all but the last instruction of the statement, which writes no register that it
    /// reads.
    fn guarded(&mut self, cond: &Cond, statement: &Statement, active: &[bool]) {
        let doing = self.those(active, &|block, thread| block.holds(thread, cond));
        self.one(statement, &doing);
    }

    fn each(&mut self, active: &[bool], mut f: impl FnMut(&Self, &mut Thread)) {
        for (index, active) in active.iter().enumerate() {
            let mut thread = self.threads[index].clone();
            if *active && !thread.ended {
                f(self, &mut thread);
                self.threads[index] = thread;
            }
        }
    }

    fn plain(&self, statement: &Statement, t: &mut Thread) {
        use Statement::*;
        let value = |t: &Thread, operand: &Operand| self.value(t, *operand);
        let wide = |value: u32, signed: bool| {
            if signed {
                i64::from(value.cast_signed()).cast_unsigned()
            } else {
                u64::from(value)
            }
        };
        match statement {
            Add(d, a, b) => t.words[*d] = value(t, a).wrapping_add(value(t, b)),
            Sub(d, a, b) => t.words[*d] = value(t, a).wrapping_sub(value(t, b)),
            Mul(d, a, b) => t.words[*d] = value(t, a).wrapping_mul(value(t, b)),
            Xor(d, a, b) => t.words[*d] = value(t, a) ^ value(t, b),
            MaxSigned(d, a, b) => {
                let [a, b] = [a, b].map(|operand| value(t, operand).cast_signed());
                t.words[*d] = a.max(b).cast_unsigned();
            }
            Shl(d, a, count) => t.words[*d] = value(t, a) << count,
            Select(d, cond, a, b) => {
                let chosen = if self.holds(t, cond) { a } else { b };
                t.words[*d] = value(t, chosen);
            }
            Wide(d, a, factor, signed) => {
                let factor = if *signed { *factor } else { factor.abs() };
                let factor = i64::from(factor).cast_unsigned();
                t.longs[*d] = wide(value(t, a), *signed).wrapping_mul(factor);
            }
            Widen(d, a, signed) => t.longs[*d] = wide(value(t, a), *signed),
            Move(d, a, distance) => t.longs[*d] = t.longs[*a].wrapping_add_signed(*distance),
            Narrow(d, a, shift) => t.words[*d] = (t.longs[*a] >> shift) as u32,
            Convert(d, a) => t.floats[*d] = value(t, a) as f32,
            Fma(d, a, b, c) => t.floats[*d] = t.floats[*a].mul_add(t.floats[*b], t.floats[*c]),
            MinFloat(d, a, b) => t.floats[*d] = t.floats[*a].min(t.floats[*b]),
            Bits(d, a) => t.words[*d] = t.floats[*a].to_bits(),
            Load(d, a) => t.words[*d] = self.input[value(t, a) as usize % INPUTS],
            _ => unreachable!("handled by `one`"),
        }
    }
}
