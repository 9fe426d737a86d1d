//! Finds accesses that need no check, because what lies around all that they can reach is never accessible.
//!
//! The device window and every block's shared memory have guards on both sides, wider than a 32-bit index can leap over
//! (`WINDOW_GUARD`, `SHARED_GUARD`). An access at a kernel's pointer parameter plus a bounded distance so lands in the
//! window, or in its guards, whatever the distance is; if it lands where nothing is allocated, the machine faults. All
//! that has to hold is that the parameter points into the window, and is aligned, which is checked once for a launch.
//! A kernel that is launched with other pointers (to host memory, for instance) is compiled once more, without trust.
//!
//! The analysis knows no control flow: a register's fact holds for everything that is ever written to it.

use std::collections::{BTreeMap, HashSet};

use rgpu_ptx::Module;
use rgpu_ptx::ast::{AddrBase, Instr, Operand, Reg, Statement, StatementKind, Symbol, VarId};
use rgpu_ptx::instr_table::Opcode;
use rgpu_ptx::types::{MulMode, ScalarType, StateSpace};
use rgpu_softgpu_exec::abi::WINDOW_GUARD;

use super::groups::{self, Memory};
use super::live::BitSet;
use super::reach::Function;
use super::shared::SharedLayout;
use super::visit;

/// Numbers beyond this are not followed.
const FAR: i128 = 1 << 62;
/// Rounds in which a register's range may still grow; a loop's counter would grow for ever.
const PATIENCE: u32 = 4;
/// Largest offset that an access to shared memory may add itself: the guards are that much wider than 32 bits need.
const SHARED_OFFSET_LIMIT: i64 = 1 << 24;

/// What may be taken for granted of a launch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Trust {
    /// Pointer parameters point into device memory, and are aligned to what is accessed through them.
    Parameters,
    /// Nothing.
    Nothing,
}

/// What the pass found.
#[derive(Debug, Clone, Default)]
pub(crate) struct Bounds {
    /// Statements whose access needs no check.
    pub(crate) unchecked: HashSet<usize>,
    /// Parameters that must point into the device window, by their offset, and how they must be aligned.
    pub(crate) assumed: BTreeMap<u32, u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Base {
    /// The value of the 64-bit kernel parameter at this offset.
    Param(u32),
    /// The address of a variable in device memory.
    Variable(VarId),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Range {
    low: i128,
    high: i128,
}

impl Range {
    fn new(low: i128, high: i128) -> Self {
        Self { low, high }
    }

    fn of(ty: ScalarType) -> Option<Self> {
        let bits = ty.bits();
        if bits > 32 || ty.is_float() {
            return None;
        }
        Some(if ty.is_signed() {
            Self::new(-(1 << (bits - 1)), (1 << (bits - 1)) - 1)
        } else {
            Self::new(0, (1 << bits) - 1)
        })
    }

    fn holds(self, other: Self) -> bool {
        self.low <= other.low && other.high <= self.high
    }

    fn hull(self, other: Self) -> Self {
        Self::new(self.low.min(other.low), self.high.max(other.high))
    }

    fn plus(self, other: Self) -> Self {
        Self::new(self.low + other.low, self.high + other.high)
    }

    fn negated(self) -> Self {
        Self::new(-self.high, -self.low)
    }

    fn times(self, other: Self) -> Option<Self> {
        let ends = [
            self.low.checked_mul(other.low)?,
            self.low.checked_mul(other.high)?,
            self.high.checked_mul(other.low)?,
            self.high.checked_mul(other.high)?,
        ];
        Some(Self::new(*ends.iter().min()?, *ends.iter().max()?))
    }
}

/// What a register holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Value {
    /// A number in a range.
    Number(Range),
    /// An address so far from a base.
    From(Base, Range),
    Any,
}

impl Value {
    /// As a result of a type: what does not fit is not followed.
    fn fit(self, ty: ScalarType) -> Self {
        let limit = if ty.bits() == 64 {
            Range::new(-FAR, FAR)
        } else {
            // The same number for signed and unsigned readers.
            Range::new(0, i128::from(i32::MAX))
        };
        match self {
            Self::Number(range) if limit.holds(range) => self,
            Self::From(_, range) if ty.bits() == 64 && limit.holds(range) => self,
            _ => Self::Any,
        }
    }

    fn join(self, other: Self) -> Self {
        match (self, other) {
            (Self::Number(a), Self::Number(b)) => Self::Number(a.hull(b)),
            (Self::From(a, x), Self::From(b, y)) if a == b => Self::From(a, x.hull(y)),
            _ => Self::Any,
        }
    }

    fn plus(self, other: Self) -> Self {
        match (self, other) {
            (Self::Number(a), Self::Number(b)) => Self::Number(a.plus(b)),
            (Self::From(base, a), Self::Number(b)) | (Self::Number(b), Self::From(base, a)) => {
                Self::From(base, a.plus(b))
            }
            _ => Self::Any,
        }
    }

    fn minus(self, other: Self) -> Self {
        match other {
            Self::Number(range) => self.plus(Self::Number(range.negated())),
            _ => Self::Any,
        }
    }

    fn times(self, other: Self) -> Self {
        match (self, other) {
            (Self::Number(a), Self::Number(b)) => a.times(b).map_or(Self::Any, Self::Number),
            _ => Self::Any,
        }
    }

    /// Read as a narrower type, and extended.
    fn widened(self, from: ScalarType) -> Self {
        let Some(all) = Range::of(from) else {
            return self;
        };
        match self {
            Self::Number(range) if all.holds(range) => self,
            _ => Self::Number(all),
        }
    }
}

/// What a register holds, and how many low bits of it (or of its distance from the base) are zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Fact {
    value: Value,
    zeros: u32,
}

const UNKNOWN: Fact = Fact {
    value: Value::Any,
    zeros: 0,
};

fn number(value: i64) -> Fact {
    let value128 = i128::from(value);
    Fact {
        value: Value::Number(Range::new(value128, value128)),
        zeros: value.trailing_zeros(),
    }
}

struct Analysis<'a> {
    module: &'a Module,
    function: &'a Function,
    shared: &'a SharedLayout,
    /// By register; `None` where nothing was written yet.
    facts: Vec<Option<Fact>>,
    trust: Trust,
}

/// Analyses a kernel. `unset` are its registers that may be read before they are set.
pub(crate) fn run(
    module: &Module,
    function: &Function,
    shared: &SharedLayout,
    unset: &BitSet,
    trust: Trust,
) -> Bounds {
    let regs = function.body.regs.len();
    let mut analysis = Analysis {
        module,
        function,
        shared,
        facts: (0..regs)
            .map(|reg| unset.contains(reg).then_some(UNKNOWN))
            .collect(),
        trust,
    };
    let mut round = 0;
    while analysis.pass(round) {
        round += 1;
    }
    analysis.bounds()
}

impl Analysis<'_> {
    /// Learns from every statement once; true if something was new.
    fn pass(&mut self, round: u32) -> bool {
        let mut changed = false;
        let function = self.function;
        for statement in &function.body.statements {
            let mut learned = Vec::new();
            self.learn(statement, &mut |reg, fact| learned.push((reg, fact)));
            for (reg, fact) in learned {
                let Some(new) = fact else { continue };
                let slot = &mut self.facts[reg.index()];
                let joined = match *slot {
                    None => new,
                    Some(old) => {
                        let value = old.value.join(new.value);
                        let grows = value != old.value && round >= PATIENCE;
                        Fact {
                            value: if grows { Value::Any } else { value },
                            zeros: old.zeros.min(new.zeros),
                        }
                    }
                };
                if *slot != Some(joined) {
                    *slot = Some(joined);
                    changed = true;
                }
            }
        }
        changed
    }

    /// What a statement writes; `None` for what depends on a register without a fact yet.
    fn learn(&self, statement: &Statement, f: &mut dyn FnMut(Reg, Option<Fact>)) {
        if let StatementKind::Instr(instr) = &statement.kind {
            match instr.operands.first() {
                Some(Operand::Reg(target)) => return f(*target, self.result(instr)),
                Some(Operand::Vec(targets)) => {
                    for (lane, target) in (0_u32..).zip(targets) {
                        if let Operand::Reg(reg) = target {
                            f(*reg, Some(self.loaded(instr, lane).unwrap_or(UNKNOWN)));
                        }
                    }
                    return;
                }
                _ => {}
            }
        }
        visit::defs(statement, &mut |reg| f(reg, Some(UNKNOWN)));
    }

    fn operand(&self, instr: &Instr, n: usize) -> Option<Fact> {
        Some(match instr.operands.get(n) {
            Some(Operand::Reg(reg)) => return self.facts[reg.index()],
            Some(Operand::Imm(rgpu_ptx::ast::Imm::Int(value))) => number(*value),
            Some(Operand::Symbol { symbol, offset }) => self.symbol(*symbol, *offset),
            _ => UNKNOWN,
        })
    }

    fn symbol(&self, symbol: Symbol, offset: i64) -> Fact {
        let fixed = match symbol {
            Symbol::Variable(id) => match self.module.variables[id.index()].space {
                StateSpace::Global | StateSpace::Const => {
                    let distance = number(offset);
                    let Value::Number(range) = distance.value else {
                        return UNKNOWN;
                    };
                    return Fact {
                        value: Value::From(Base::Variable(id), range),
                        zeros: distance.zeros,
                    };
                }
                _ => self.shared.variable(id),
            },
            Symbol::Local(id) => self.shared.local(self.function.id, id),
            _ => None,
        };
        let at = fixed.and_then(|at| i64::try_from(at).ok()?.checked_add(offset));
        at.map_or(UNKNOWN, number)
    }

    fn result(&self, instr: &Instr) -> Option<Fact> {
        let Some(ty) = instr.mods.types.first().copied() else {
            return Some(UNKNOWN);
        };
        let source = |n| self.operand(instr, n);
        Some(match instr.op {
            Opcode::Ld => self.loaded(instr, 0).unwrap_or(UNKNOWN),
            Opcode::Mov => fit(source(1)?, ty),
            Opcode::Cvta => match instr.mods.space {
                Some(StateSpace::Global | StateSpace::Const) => fit(source(1)?, ty),
                _ => UNKNOWN,
            },
            Opcode::Add if !instr.mods.cc && !instr.mods.sat => sum(source(1)?, source(2)?, ty),
            Opcode::Sub if !instr.mods.cc && !instr.mods.sat => {
                let (a, b) = (source(1)?, source(2)?);
                fit(
                    Fact {
                        value: a.value.minus(b.value),
                        zeros: a.zeros.min(b.zeros),
                    },
                    ty,
                )
            }
            Opcode::Mul => product(instr, ty, source(1)?, source(2)?),
            Opcode::Mad if !instr.mods.cc && !instr.mods.sat => {
                let wide = result_type(instr, ty);
                let product = product(instr, ty, source(1)?, source(2)?);
                sum(product, source(3)?, wide)
            }
            Opcode::Shl => shifted(instr, ty, source(1)?),
            Opcode::And => masked(source(1)?, source(2)?, ty),
            Opcode::Or | Opcode::Xor => Fact {
                value: Value::Any,
                zeros: source(1)?.zeros.min(source(2)?.zeros),
            },
            Opcode::Cvt => converted(instr, ty, source(1)?),
            Opcode::Selp => {
                let (a, b) = (source(1)?, source(2)?);
                fit(
                    Fact {
                        value: a.value.join(b.value),
                        zeros: a.zeros.min(b.zeros),
                    },
                    ty,
                )
            }
            _ => UNKNOWN,
        })
    }

    /// A parameter, where one is loaded.
    fn loaded(&self, instr: &Instr, lane: u32) -> Option<Fact> {
        let ty = instr.mods.types.first()?;
        if instr.op != Opcode::Ld || ty.size() != 8 || ty.is_float() {
            return None;
        }
        let Some(Operand::Addr(address)) = instr.operands.get(1) else {
            return None;
        };
        let AddrBase::Symbol(Symbol::Param(n)) = address.base else {
            return None;
        };
        if self.trust == Trust::Nothing {
            return None;
        }
        let param = self.function.params.get(n as usize)?;
        let offset = param.offset.checked_add_signed(address.offset)? + u64::from(8 * lane);
        let base = Base::Param(u32::try_from(offset).ok()?);
        Some(Fact {
            value: Value::From(base, Range::new(0, 0)),
            zeros: u64::BITS,
        })
    }

    /// Which accesses need no check.
    fn bounds(&self) -> Bounds {
        let mut bounds = Bounds::default();
        for (index, statement) in self.function.body.statements.iter().enumerate() {
            let Some((memory, reg, access)) = groups::access(index, statement) else {
                continue;
            };
            let Some(fact) = self.facts[reg.index()] else {
                continue;
            };
            let aligned = |zeros: u32| zeros >= access.width.trailing_zeros();
            let within = fact.zeros.min(access.offset.trailing_zeros());
            if !aligned(within) {
                continue;
            }
            match memory {
                Memory::Generic => {
                    let Value::From(base, range) = fact.value else {
                        continue;
                    };
                    let offset = i128::from(access.offset);
                    let first = range.low + offset;
                    let end = range.high + offset + i128::from(access.width);
                    let guard = i128::from(WINDOW_GUARD);
                    if first < -guard || end > guard {
                        continue;
                    }
                    match base {
                        Base::Param(at) => {
                            let align = bounds.assumed.entry(at).or_insert(1);
                            *align = access.width.max(*align);
                        }
                        Base::Variable(id) => {
                            let align = self.module.variables[id.index()].align;
                            if !align.is_multiple_of(access.width) {
                                continue;
                            }
                        }
                    }
                }
                Memory::Shared => {
                    let narrow = self.function.body.reg_type(reg).size() == 4;
                    let near = access.offset.abs() < SHARED_OFFSET_LIMIT;
                    let all = Range::new(0, i128::from(i32::MAX));
                    let known = matches!(fact.value, Value::Number(range) if all.holds(range));
                    if !near || !(narrow || known) {
                        continue;
                    }
                }
                Memory::Local => continue,
            }
            bounds.unchecked.insert(index);
        }
        bounds
    }
}

fn fit(fact: Fact, ty: ScalarType) -> Fact {
    Fact {
        value: fact.value.fit(ty),
        ..fact
    }
}

fn sum(a: Fact, b: Fact, ty: ScalarType) -> Fact {
    let value = a.value.plus(b.value);
    let zeros = a.zeros.min(b.zeros);
    fit(Fact { value, zeros }, ty)
}

/// The type of the result of `mul` and `mad`.
fn result_type(instr: &Instr, ty: ScalarType) -> ScalarType {
    match (instr.mods.mul, ty.bits()) {
        (Some(MulMode::Wide), 32) => ScalarType::S64,
        (Some(MulMode::Wide), _) => ScalarType::S32,
        _ => ty,
    }
}

fn product(instr: &Instr, ty: ScalarType, a: Fact, b: Fact) -> Fact {
    let wide = instr.mods.mul == Some(MulMode::Wide);
    if ty.is_float() || instr.mods.mul == Some(MulMode::Hi) {
        return UNKNOWN;
    }
    let read = |fact: Fact| {
        if wide {
            fact.value.widened(ty)
        } else {
            fact.value
        }
    };
    let fact = Fact {
        value: read(a).times(read(b)),
        zeros: (a.zeros + b.zeros).min(u64::BITS),
    };
    fit(fact, result_type(instr, ty))
}

fn shifted(instr: &Instr, ty: ScalarType, source: Fact) -> Fact {
    let Some(Operand::Imm(rgpu_ptx::ast::Imm::Int(by))) = instr.operands.get(2) else {
        return UNKNOWN;
    };
    let Some(by) = u32::try_from(*by).ok().filter(|by| *by < ty.bits()) else {
        return UNKNOWN;
    };
    let factor = Value::Number(Range::new(1 << by, 1 << by));
    let fact = Fact {
        value: source.value.times(factor),
        zeros: (source.zeros + by).min(u64::BITS),
    };
    fit(fact, ty)
}

/// `and`: with a mask that is no negative number, the result lies below it.
fn masked(a: Fact, b: Fact, ty: ScalarType) -> Fact {
    let ceiling = |fact: Fact| match fact.value {
        Value::Number(range) if range.low >= 0 => Some(range.high),
        _ => None,
    };
    let high = [ceiling(a), ceiling(b)].into_iter().flatten().min();
    let fact = Fact {
        value: high.map_or(Value::Any, |high| Value::Number(Range::new(0, high))),
        zeros: a.zeros.max(b.zeros),
    };
    fit(fact, ty)
}

fn converted(instr: &Instr, ty: ScalarType, source: Fact) -> Fact {
    let Some(from) = instr.mods.types.get(1).copied() else {
        return UNKNOWN;
    };
    if ty.is_float() || from.is_float() || instr.mods.sat {
        return UNKNOWN;
    }
    let value = if ty.bits() > from.bits() {
        source.value.widened(from)
    } else {
        source.value
    };
    let zeros = source.zeros;
    fit(Fact { value, zeros }, ty)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::passes::live::Live;
    use crate::passes::{reach, shared};

    /// How many accesses of a kernel need no check, and what is assumed of its parameters.
    fn analyse(body: &str) -> (usize, Vec<(u32, u32)>) {
        let text = format!(
            ".version 8.0\n.target sm_90\n.address_size 64\n.shared .align 4 .b8 tile[4096];\n\
             .visible .entry k(.param .u64 a, .param .u32 n, .param .u64 b) {{\n\
             .reg .pred %p<4>; .reg .b32 %r<8>; .reg .b64 %rd<8>;\n\
             ld.param.u64 %rd1, [a]; ld.param.u32 %r1, [n]; ld.param.u64 %rd2, [b];\n\
             cvta.to.global.u64 %rd3, %rd2;\n{body}\nret;\n}}\n"
        );
        let module = Module::parse(text.as_str()).unwrap();
        let reached = reach::run(&module, module.function_id("k").unwrap()).unwrap();
        let layout = shared::run(&module, &reached);
        let kernel = &reached.functions[0];
        let unset = Live::new(&kernel.body).at_entry();
        let bounds = run(&module, kernel, &layout, &unset, Trust::Parameters);
        let none = run(&module, kernel, &layout, &unset, Trust::Nothing);
        assert!(none.assumed.is_empty());
        (bounds.unchecked.len(), bounds.assumed.into_iter().collect())
    }

    #[test]
    fn an_index_of_32_bits_cannot_leave_the_guards() {
        let indexed =
            "mul.wide.s32 %rd4, %r1, 4; add.s64 %rd5, %rd3, %rd4; ld.global.f32 %r2, [%rd5+8];";
        assert_eq!(analyse(indexed), (1, vec![(16, 4)]));
        let shifted = "cvt.u64.u32 %rd4, %r1; shl.b64 %rd4, %rd4, 3; add.s64 %rd5, %rd4, %rd1;\n\
                       st.global.u64 [%rd5], %rd4;";
        // The shift reads and writes one register, so nothing is known of it but its zeros.
        assert_eq!(analyse(shifted), (0, vec![]));
        let apart = "cvt.u64.u32 %rd4, %r1; shl.b64 %rd6, %rd4, 3; add.s64 %rd5, %rd6, %rd1;\n\
                     st.global.u64 [%rd5], %rd4;";
        assert_eq!(analyse(apart), (1, vec![(0, 8)]));
    }

    #[test]
    fn what_may_be_far_or_misaligned_is_checked() {
        let wide =
            "mul.wide.u32 %rd4, %r1, %r1; add.s64 %rd5, %rd3, %rd4; ld.global.u8 %r2, [%rd5];";
        assert_eq!(analyse(wide).0, 0);
        let odd = "mul.wide.s32 %rd4, %r1, 2; add.s64 %rd5, %rd3, %rd4; ld.global.u32 %r2, [%rd5];";
        assert_eq!(analyse(odd).0, 0);
        let offset = "ld.global.u32 %r2, [%rd3+2];";
        assert_eq!(analyse(offset).0, 0);
        let walking = "L: ld.global.u32 %r2, [%rd3]; add.s64 %rd3, %rd3, 4; setp.eq.u32 %p1, %r2, 0;\n@%p1 bra L;";
        assert_eq!(analyse(walking).0, 0);
        let loaded = "ld.global.u64 %rd4, [%rd3]; ld.global.u32 %r2, [%rd4];";
        assert_eq!(analyse(loaded), (1, vec![(16, 8)]));
        let unset = "setp.eq.u32 %p1, %r1, 0; @%p1 mov.u64 %rd6, %rd3; ld.global.u32 %r2, [%rd6];";
        assert_eq!(analyse(unset).0, 0);
    }

    #[test]
    fn shared_memory_needs_its_alignment_only() {
        let aligned = "mov.u32 %r3, tile; shl.b32 %r4, %r1, 2; add.s32 %r5, %r3, %r4; ld.shared.u32 %r2, [%r5+4];";
        assert_eq!(analyse(aligned).0, 1);
        let bytes = "mov.u32 %r3, tile; add.s32 %r5, %r3, %r1; ld.shared.u32 %r2, [%r5]; ld.shared.u8 %r2, [%r5];";
        assert_eq!(analyse(bytes).0, 1);
        let far = "ld.shared.u8 %r2, [%r1+16777216];";
        assert_eq!(analyse(far).0, 0);
    }
}
