//! The small languages of the instruction table: modifier classes, type sets, operand rules.

use crate::{
    ast::{Instr, Operand},
    instr_table::Opcode,
    types::{AtomOp, CacheHint, Rounding, ScalarType, TypeKind},
};

/// A kind of modifier: which field of [`Modifiers`](crate::ast::Modifiers) a token sets. The row of
/// an opcode lists those it may carry, so that one token (`and`, `cta`, `rn`) means one thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ModClass {
    Rounding,
    Approx,
    Full,
    Ftz,
    Noftz,
    Sat,
    Satfinite,
    Relu,
    Oob,
    Nan,
    XorSign,
    Abs,
    Cc,
    ShiftAmt,
    Cmp,
    BoolOp,
    Space,
    /// The second space of `cp.async`.
    Space2,
    To,
    Sem,
    Mmio,
    Scope,
    Cache,
    Nc,
    Hints,
    Level,
    Vec,
    Mul,
    ShiftDir,
    ShiftMode,
    Prmt,
    Atom,
    /// `.acc::f32`: sums of halves are kept in single precision (`multimem.ld_reduce`).
    AccF32,
    Shfl,
    Vote,
    MatchMode,
    BarRed,
    Testp,
    Video,
    /// `.po`: one is added (`vmad`).
    Po,
    VideoScale,
    Sync,
    Aligned,
    Uniform,
    Noinc,
    NoComplete,
    Parity,
    Proxy,
}

/// A set of scalar types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TypeSet(u64);

impl TypeSet {
    /// The set of these types.
    pub const fn of(types: &[ScalarType]) -> Self {
        let mut bits = 0;
        let mut i = 0;
        while i < types.len() {
            bits |= 1 << types[i] as u64;
            i += 1;
        }
        Self(bits)
    }

    /// Both sets together.
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Membership.
    pub const fn contains(self, ty: ScalarType) -> bool {
        self.0 & (1 << ty as u64) != 0
    }

    /// The members.
    pub fn iter(self) -> impl Iterator<Item = ScalarType> {
        ScalarType::ALL
            .iter()
            .copied()
            .filter(move |&t| self.contains(t))
    }
}

/// Named sets, as the table uses them.
pub(crate) mod sets {
    use super::{ScalarType, TypeSet};

    /// Types, then named sets to add.
    macro_rules! set {
        ($($name:ident = $($ty:ident)* $(+ $other:ident)*;)+) => {
            $(pub(crate) const $name: TypeSet = TypeSet::of(&[$(ScalarType::$ty),*])$(.or($other))*;)+
        };
    }

    set! {
        INT32 = U32 S32;
        INT32_64 = U32 S32 U64 S64;
        INT16_64 = U16 S16 U32 S32 U64 S64;
        SINT16_64 = S16 S32 S64;
        UINT32 = U32;
        UINT32_64 = U32 U64;
        UINT64 = U64;
        F32 = F32;
        F32_64 = F32 F64;
        HALF = F16 Bf16;
        HALVES = F16 F16x2 Bf16 Bf16x2;
        MAD = F32 F64 + INT16_64;
        FLOATS = F32 F64 F32x2 + HALVES;
        SIGNABLE = F32 F64 + SINT16_64 + HALVES;
        ORDERED = U16x2 S16x2 F32 F64 + INT16_64 + HALVES;
        ARITH = U16x2 S16x2 + INT16_64 + FLOATS;
        BITS32 = B32;
        BITS64 = B64;
        BITS32_64 = B32 B64;
        BITS16_64 = B16 B32 B64;
        LOGIC = Pred + BITS16_64;
        PRED_B32 = Pred B32;
        PRED_U32 = Pred U32;
        COMPARABLE = + BITS16_64 + INT16_64 + F32_64 + HALVES;
        SET_SRC = + BITS16_64 + INT16_64 + F32_64 + HALVES;
        SET_DST = U16 S16 U32 S32 F32 + HALVES;
        SELECTABLE = F32 F64 + BITS16_64 + INT16_64;
        SLCT_KEY = S32 F32;
        MEMORY = B8 B128 U8 S8 F32 F64 F16 Bf16 F16x2 Bf16x2 + BITS16_64 + INT16_64;
        ANY = Pred + MEMORY;
        ATOM = B128 U32 S32 U64 S64 F32 F64 + BITS16_64 + HALVES;
        MULTIMEM = B32 B64 U32 S32 U64 S64 F32 F64 + HALVES;
        CVT = U8 S8 F32 F64 F16 Bf16 F16x2 Bf16x2 Tf32 E4m3x2 E5m2x2 E2m3x2 E3m2x2 E2m1x2 Ue8m0x2 + INT16_64;
        PACK_DST = U2 S2 U4 S4 U8 S8 U16 S16;
    }
}

/// What may stand at one place of an instruction. `D` is a destination, `S` a source; a digit names
/// the written type that gives the operand's own; `Opt` places may be left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// A register of the first type.
    D0,
    /// The same, or twice as wide with `.wide`.
    DWide,
    /// A register that may be wider than the first type (`cvt`).
    DWide0,
    /// A 32-bit register.
    DU32,
    DPred,
    /// A predicate, a `p|q` pair of them, or `_`.
    DPredPair,
    /// A register of the first type, `d|p`.
    D0Pair,
    DU32Pair,
    /// A register or vector of `mov`.
    DMov,
    /// A register or, with `.vN`, a vector; registers may be wider than the type.
    DVec0,
    /// The same, or `_`.
    DVec0Sink,
    OptD0Sink,
    /// A 32-bit register, whole or in part.
    DPart,
    /// Register, immediate or special register of the first type.
    S0,
    OptS0,
    S1,
    OptS1,
    /// Of the last written type: the narrower one in mixed precision.
    SLast,
    SWide,
    /// A register that may be wider than the second type (`cvt`).
    SWide1,
    SU32,
    OptSU32,
    /// The random bits of `cvt.rs`.
    OptRandom,
    OptSF32,
    /// Bytes to copy, or the predicate to copy none (`cp.async`).
    OptSrcSize,
    /// A predicate, perhaps negated.
    SPred,
    OptPred,
    /// An address-sized value of the first type, or a symbol.
    SAddr0,
    /// An address-sized value, 32 or 64 bits.
    SPtr,
    /// An integer source of any width (`mbarrier` state or parity).
    SAny,
    /// Anything `mov` can read.
    SMov,
    SVec0,
    SPart,
    /// The same, perhaps negated (`vmad`).
    SPartNeg,
    /// An integer constant.
    ImmInt,
    OptImmInt,
    /// `[…]`
    Addr,
    /// The 64-bit policy that `.L2::cache_hint` adds.
    OptPolicy,
}

impl Rule {
    /// Whether the operand is there, given the modifiers.
    pub fn presence(self, instr: &Instr) -> Presence {
        let m = &instr.mods;
        let when = |condition| {
            if condition {
                Presence::Needed
            } else {
                Presence::Absent
            }
        };
        match (self, instr.op) {
            (Self::OptPolicy, _) => when(m.hints.contains(&CacheHint::L2CacheHint)),
            (Self::OptPred, _) => when(m.bool_op.is_some()),
            (Self::OptSU32, Opcode::Shfl | Opcode::Vote) => when(m.sync),
            (Self::OptSU32, Opcode::CvtPack) => when(m.types.len() == 3),
            // A third source is combined with, or keeps the rest of a partly written register.
            (Self::OptSU32, op) if op.is_scalar_video() => {
                let partly = matches!(instr.operands.first(), Some(Operand::Part { .. }));
                when(partly || m.video.is_some())
            }
            (Self::OptS0, Opcode::Atom) => when(m.atom == Some(AtomOp::Cas)),
            // A third operand of `min` and `max`.
            (Self::OptS0, Opcode::Min | Opcode::Max) => match m.types.first() {
                Some(ScalarType::F32) if !m.abs => Presence::Free,
                Some(ScalarType::F32) => when(!m.xorsign),
                _ => Presence::Absent,
            },
            // Two floats packed into one register; `.rs` adds random bits.
            (Self::OptS1, _) => when(m.types.len() == 2 && packs_two(m.types[0], m.types[1])),
            (Self::OptRandom, _) => when(m.rounding == Some(Rounding::Rs)),
            (
                Self::OptD0Sink
                | Self::OptS0
                | Self::OptSU32
                | Self::OptSF32
                | Self::OptImmInt
                | Self::OptSrcSize,
                _,
            ) => Presence::Free,
            _ => Presence::Needed,
        }
    }
}

/// Does `cvt` to `to` read two values of type `from`?
fn packs_two(to: ScalarType, from: ScalarType) -> bool {
    to.kind() == TypeKind::Packed && from == ScalarType::F32
}

/// Whether an operand stands at a place of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    Needed,
    Absent,
    /// May be left out; those further left come first.
    Free,
}
