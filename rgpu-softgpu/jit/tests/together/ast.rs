//! What random kernels are made of.

/// Registers of 32 bits, of 64, and floats.
pub(crate) const WORDS: usize = 6;
pub(crate) const LONGS: usize = 3;
pub(crate) const FLOATS: usize = 3;
/// Longs that grow with `%tid.x`: the first takes too many steps to be computed again.
pub(crate) const RAMPS: usize = 2;
/// Words of the input, a power of two.
pub(crate) const INPUTS: usize = 256;
/// Words that each thread writes: all its registers.
pub(crate) const OUTPUTS: usize = WORDS + 2 * LONGS + FLOATS;
/// Words that threads add to, a power of two.
pub(crate) const COUNTERS: usize = 16;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Special {
    TidX,
    TidY,
    NtidX,
    CtaidX,
    LaneId,
    WarpId,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Operand {
    Word(usize),
    Immediate(u32),
    Special(Special),
    /// The number of rounds that the innermost loops have made, by depth.
    Counter(usize),
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Cond {
    /// As in PTX, of unsigned numbers.
    pub(crate) op: &'static str,
    pub(crate) left: Operand,
    pub(crate) right: Operand,
}

#[derive(Debug, Clone)]
pub(crate) enum Statement {
    Add(usize, Operand, Operand),
    Sub(usize, Operand, Operand),
    Mul(usize, Operand, Operand),
    Xor(usize, Operand, Operand),
    MaxSigned(usize, Operand, Operand),
    Shl(usize, Operand, u32),
    Select(usize, Cond, Operand, Operand),
    /// The product of a word and a number, in 64 bits, unsigned or signed.
    Wide(usize, Operand, i32, bool),
    /// A word in 64 bits.
    Widen(usize, Operand, bool),
    /// A number added to a long.
    Move(usize, usize, i64),
    /// Bits of a long from a shift on.
    Narrow(usize, usize, u32),
    Convert(usize, Operand),
    /// `f[d] = f[a] * f[b] + f[c]`
    Fma(usize, usize, usize, usize),
    MinFloat(usize, usize, usize),
    /// The bits of a float.
    Bits(usize, usize),
    /// A word of the input, at an index that is cut.
    Load(usize, Operand),
    /// Adds to a counter, at an index that is cut.
    Count(Operand, Operand),
    /// Gets what the thread so many further in the block has; two barriers.
    Exchange(usize, Operand, u32),
    If(Cond, Vec<Self>, Vec<Self>),
    /// One statement, guarded.
    Guarded(Cond, Box<Self>),
    /// Rounds while the counter of this depth is below a limit, plus at most 3.
    Loop(usize, Operand, Vec<Self>),
    /// Writes its registers and ends.
    Leave(Cond),
}

#[derive(Debug, Clone)]
pub(crate) struct Kernel {
    /// What is added to `%tid.x` and `%ctaid.x` to make the longs behind [`LONGS`], which are only read. Their sums may wrap.
    pub(crate) ramps: [u32; RAMPS],
    pub(crate) body: Vec<Statement>,
}
