//! Modifiers: those that must be there, and combinations that mean nothing.

use super::Check;
use crate::{
    ast::{Imm, Instr, Modifiers, Operand},
    instr_table::Opcode,
    rules::ModClass,
    types::{
        AtomOp, BarRedOp, CmpOp, MemSem, MulMode, Rounding, ScalarType, StateSpace, TypeKind,
        VecWidth, VoteMode,
    },
};

pub(super) fn check(instr: &Instr) -> Check {
    let row = instr.op.row();
    for &class in row.required {
        if !present(&instr.mods, class) {
            return Err(format!(
                "`{}` needs a modifier of class {class:?}",
                row.text
            ));
        }
    }
    match instr.op {
        Opcode::Mad if is_floating(first_type(instr)) => {
            product(instr)?;
            rounded(instr)?;
        }
        Opcode::Mul | Opcode::Mad => product(instr)?,
        Opcode::Mul24 | Opcode::Mad24 | Opcode::Madc => narrow_product(instr)?,
        Opcode::Dp2a if instr.mods.mul == Some(MulMode::Hi) => {}
        Opcode::Dp2a => only(
            instr.mods.mul == Some(MulMode::Lo),
            "`.lo` or `.hi` is wanted",
        )?,
        Opcode::Div | Opcode::Fma | Opcode::Rcp | Opcode::Sqrt => rounded(instr)?,
        Opcode::Set => {
            set_result(instr)?;
            comparison(instr, 1)?;
        }
        Opcode::Vmad => multiply_add(instr)?,
        Opcode::CvtPack => packing(instr)?,
        Opcode::Setp => comparison(instr, 0)?,
        Opcode::Vset | Opcode::Vset2 | Opcode::Vset4 => {
            use CmpOp::{Eq, Ge, Gt, Le, Lt, Ne};
            let plain = matches!(instr.mods.cmp, Some(Eq | Ne | Lt | Le | Gt | Ge));
            only(plain, "this comparison is for `set` and `setp`")?;
        }
        Opcode::Ld | Opcode::Ldu | Opcode::St => memory(instr)?,
        Opcode::Atom | Opcode::Red => atomic(instr)?,
        Opcode::MultimemLdReduce | Opcode::MultimemSt | Opcode::MultimemRed => {
            super::multimem::check(instr)?;
        }
        Opcode::Redux => reduction(instr)?,
        Opcode::Cvt => super::convert::check(instr)?,
        Opcode::Vote => vote(instr)?,
        Opcode::BarRed => barrier_reduction(instr)?,
        Opcode::Cvta | Opcode::Isspacep => addressable(instr)?,
        Opcode::CpAsync => copy(instr)?,
        _ => {}
    }
    arithmetic(instr)
}

pub(super) fn only(condition: bool, message: &str) -> Check {
    if condition {
        Ok(())
    } else {
        Err(message.to_owned())
    }
}

/// Is the modifier of a class that rows can require there?
fn present(m: &Modifiers, class: ModClass) -> bool {
    match class {
        ModClass::Approx => m.approx,
        ModClass::Sat => m.sat,
        ModClass::Sync => m.sync,
        ModClass::Aligned => m.aligned,
        ModClass::Cmp => m.cmp.is_some(),
        ModClass::Space => m.space.is_some(),
        ModClass::Space2 => m.space2.is_some(),
        ModClass::Sem => m.sem.is_some(),
        ModClass::Scope => m.scope.is_some(),
        ModClass::Cache => m.cache.is_some(),
        ModClass::Hints => !m.hints.is_empty(),
        ModClass::Level => m.level.is_some(),
        ModClass::Mul => m.mul.is_some(),
        ModClass::ShiftDir => m.shift_dir.is_some(),
        ModClass::ShiftMode => m.shift_mode.is_some(),
        ModClass::Atom => m.atom.is_some(),
        ModClass::Shfl => m.shfl.is_some(),
        ModClass::Vote => m.vote.is_some(),
        ModClass::MatchMode => m.match_mode.is_some(),
        ModClass::BarRed => m.bar_red.is_some(),
        ModClass::Testp => m.testp.is_some(),
        ModClass::Proxy => m.proxy.is_some(),
        // No row requires the others.
        _ => false,
    }
}

fn first_type(instr: &Instr) -> ScalarType {
    instr.ty().unwrap_or(ScalarType::B32)
}

fn is_floating(ty: ScalarType) -> bool {
    ty.is_float() || ty.lane().is_some_and(ScalarType::is_float)
}

/// Rounding, saturation and carry belong to some types only.
fn arithmetic(instr: &Instr) -> Check {
    use Opcode::{Add, Addc, Fma, Mad, Madc, Mul, Sub, Subc};
    let m = &instr.mods;
    let ty = first_type(instr);
    if !matches!(instr.op, Add | Addc | Sub | Subc | Mul | Mad | Madc | Fma) {
        return Ok(());
    }
    if m.types.len() == 2 {
        let mixed = ty == ScalarType::F32 && !m.ftz && !m.relu && !m.oob;
        only(mixed, "mixed precision gives .f32 without such modifiers")?;
    }
    if m.rounding.is_some() {
        only(is_floating(ty), "rounding is for floating point types")?;
        let plain = matches!(
            m.rounding,
            Some(Rounding::Rn | Rounding::Rz | Rounding::Rm | Rounding::Rp)
        );
        only(plain, "this rounding is for `cvt`")?;
    }
    if m.sat {
        let fits = (is_floating(ty) && ty != ScalarType::F64) || ty == ScalarType::S32;
        only(fits, "`.sat` does not apply to this type")?;
        let whole = !is_floating(ty);
        let hi = instr.op == Mad && m.mul == Some(MulMode::Hi);
        only(
            !whole || hi || !matches!(instr.op, Mul | Mad),
            "of integer products, `.sat` is for `mad.hi`",
        )?;
        only(!m.cc, "`.sat` and `.cc` exclude each other")?;
    }
    if m.cc {
        let whole = ty.is_integer() && matches!(ty.bits(), 32 | 64);
        only(
            whole && m.mul != Some(MulMode::Wide),
            "`.cc` is for 32 and 64-bit integers",
        )?;
    }
    Ok(())
}

fn product(instr: &Instr) -> Check {
    if instr.mods.mul == Some(MulMode::Wide) {
        only(
            first_type(instr).widened().is_some(),
            "`.wide` is for 16 and 32-bit integers",
        )?;
    }
    match (is_floating(first_type(instr)), instr.mods.mul) {
        (false, None) => Err("`.lo`, `.hi` or `.wide` is wanted for integers".to_owned()),
        (true, Some(_)) => Err("`.lo`, `.hi` and `.wide` are for integers".to_owned()),
        _ if matches!(first_type(instr).kind(), TypeKind::Packed)
            && !is_floating(first_type(instr)) =>
        {
            Err("packed integers cannot be multiplied".to_owned())
        }
        _ => Ok(()),
    }
}

fn narrow_product(instr: &Instr) -> Check {
    only(
        instr.mods.mul != Some(MulMode::Wide),
        "`.wide` does not exist for this instruction",
    )
}

/// Since PTX 1.4 these say how they round.
fn rounded(instr: &Instr) -> Check {
    let m = &instr.mods;
    let said = m.rounding.is_some() || m.approx || m.full;
    if is_floating(first_type(instr)) {
        return only(said, "a rounding or `.approx` is wanted");
    }
    only(!said, "integers are not rounded")
}

fn comparison(instr: &Instr, at: usize) -> Check {
    use CmpOp::*;
    let (Some(cmp), Some(&ty)) = (instr.mods.cmp, instr.mods.types.get(at)) else {
        return Ok(());
    };
    let fits = match cmp {
        Eq | Ne => true,
        Lt | Le | Gt | Ge => ty.kind() != TypeKind::Bits,
        Lo | Ls | Hi | Hs => ty.kind() == TypeKind::Unsigned,
        Equ | Neu | Ltu | Leu | Gtu | Geu | Num | Nan => is_floating(ty),
    };
    if fits {
        Ok(())
    } else {
        Err(format!("`.{cmp}` cannot compare .{ty}"))
    }
}

fn memory(instr: &Instr) -> Check {
    use MemSem::{Acquire, Relaxed, Release, Volatile, Weak};
    let m = &instr.mods;
    let store = instr.op == Opcode::St;
    if let Some(space) = m.space {
        use StateSpace::{Const, Global, Local, Param, Shared, SharedCluster};
        let fits = match space {
            Global | Local | Param | Shared | SharedCluster => true,
            Const => !store,
            _ => false,
        };
        only(fits, "this state space cannot be accessed here")?;
    }
    if let Some(sem) = m.sem {
        let fits = matches!(
            (sem, store),
            (Weak | Volatile | Relaxed, _) | (Acquire, false) | (Release, true)
        );
        only(fits, "this memory ordering does not fit here")?;
        let scoped = matches!(sem, Relaxed | Acquire | Release);
        only(
            scoped == m.scope.is_some(),
            "a scope goes with relaxed, acquire and release only",
        )?;
    } else {
        only(m.scope.is_none(), "a scope needs a memory ordering")?;
    }
    vector_size(instr)
}

/// 128 bits at most; 256 with the forms of PTX 8.8.
fn vector_size(instr: &Instr) -> Check {
    let lanes = instr.mods.vec.map_or(1, VecWidth::lanes) as u32;
    let bits = lanes * first_type(instr).bits();
    only(
        lanes == 1 || bits <= 256,
        "the vector is wider than 256 bits",
    )
}

fn atomic(instr: &Instr) -> Check {
    use AtomOp::{Add, And, Cas, Dec, Exch, Inc, Max, Min, Or, Xor};
    use ScalarType::{B16, B32, B64, B128, F32, F64, S32, S64, U32, U64};
    let m = &instr.mods;
    let ty = first_type(instr);
    let half = is_floating(ty) && !matches!(ty, F32 | F64);
    let Some(op) = m.atom else { return Ok(()) };
    let fits = match op {
        Add => matches!(ty, U32 | S32 | U64 | F32 | F64) || half,
        And | Or | Xor => matches!(ty, B32 | B64),
        Exch => matches!(ty, B32 | B64 | B128),
        Cas => matches!(ty, B16 | B32 | B64 | B128),
        Inc | Dec => ty == U32,
        Min | Max => matches!(ty, U32 | S32 | U64 | S64) || half,
    };
    if !fits {
        return Err(format!("atomic `.{op}` does not exist for .{ty}"));
    }
    only(
        instr.op == Opcode::Atom || !matches!(op, Exch | Cas),
        "`red` has no such operation",
    )?;
    if m.vec.is_some() {
        only(ty == F32 || half, "vectors of this type have no atomics")?;
        vector_size(instr)?;
    }
    let space = matches!(
        m.space,
        None | Some(StateSpace::Global | StateSpace::Shared | StateSpace::SharedCluster)
    );
    only(space, "atomics work on global and shared memory only")?;
    let sem = !matches!(m.sem, Some(MemSem::Weak | MemSem::Volatile | MemSem::Sc));
    only(sem, "this memory ordering does not fit an atomic")
}

fn reduction(instr: &Instr) -> Check {
    use AtomOp::{Add, And, Max, Min, Or, Xor};
    let ty = first_type(instr);
    let fits = match instr.mods.atom {
        Some(Add) => ty.is_integer(),
        Some(Min | Max) => ty.is_integer() || ty == ScalarType::F32,
        Some(And | Or | Xor) => ty == ScalarType::B32,
        _ => false,
    };
    only(fits, "this reduction does not exist for this type")
}

/// Halves give integers or their own type; 16-bit and packed results come from halves only.
fn set_result(instr: &Instr) -> Check {
    let (Some(&to), Some(&from)) = (instr.mods.types.first(), instr.mods.types.get(1)) else {
        return Ok(());
    };
    let half = |ty: ScalarType| is_floating(ty) && !matches!(ty, ScalarType::F32 | ScalarType::F64);
    let pair = from.kind() == TypeKind::Packed;
    let fits = match to {
        ScalarType::U16 | ScalarType::S16 => half(from) && !pair,
        ScalarType::U32 | ScalarType::S32 => true,
        ScalarType::F16 => !half(from) || to == from,
        // ptxas takes halves compared to a `.bf16` too.
        ScalarType::Bf16 => !half(from) || to == from || from == ScalarType::F16,
        ScalarType::F32 => !half(from),
        _ => to == from,
    };
    only(fits, "this result type does not go with the compared type")?;
    let flushes = !instr.mods.ftz || to != ScalarType::Bf16;
    only(flushes, "`.ftz` does not go with a .bf16 result")
}

/// The product or the last operand may be negated, not both, and neither with `.po`.
fn multiply_add(instr: &Instr) -> Check {
    let negated = |n: usize| matches!(instr.operands.get(n), Some(Operand::Part { part, .. }) if part.negated);
    let product = negated(1) ^ negated(2);
    only(
        !(product && negated(3)),
        "the product or the last operand can be negated, not both",
    )?;
    let any = negated(1) || negated(2) || negated(3);
    only(!(any && instr.mods.plus_one), "`.po` negates nothing")
}

/// `.u16`, `.s16`: two values; `.u8`, `.s8`: two values in front of a third operand's.
fn packing(instr: &Instr) -> Check {
    let wide = first_type(instr).bits() == 16;
    only(
        wide == (instr.mods.types.len() == 2),
        "`.b32` goes with 8-bit results only",
    )
}

fn vote(instr: &Instr) -> Check {
    let ballot = instr.mods.vote == Some(VoteMode::Ballot);
    let word = first_type(instr) == ScalarType::B32;
    only(
        ballot == word,
        "`.ballot` gives .b32, the other modes .pred",
    )
}

fn barrier_reduction(instr: &Instr) -> Check {
    let count = instr.mods.bar_red == Some(BarRedOp::Popc);
    let word = first_type(instr) == ScalarType::U32;
    only(count == word, "`.popc` gives .u32, `.and` and `.or` .pred")
}

fn addressable(instr: &Instr) -> Check {
    use StateSpace::{Const, Global, Local, Param, Shared, SharedCluster};
    let fits = matches!(
        instr.mods.space,
        Some(Const | Global | Local | Param | Shared | SharedCluster)
    );
    only(fits, "this state space has no generic addresses")
}

fn copy(instr: &Instr) -> Check {
    let m = &instr.mods;
    let fits = m.space == Some(StateSpace::Shared) && m.space2 == Some(StateSpace::Global);
    only(fits, "the copy goes from global to shared memory")?;
    match instr.operands.get(2) {
        None | Some(Operand::Imm(Imm::Int(4 | 8 | 16))) => Ok(()),
        _ => Err("the copy size must be 4, 8 or 16".to_owned()),
    }
}
