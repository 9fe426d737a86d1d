//! Modifiers that a row allows one by one, and that PTX does not have together or for a type. `ptxas` is the oracle.

use super::Check;
use crate::{
    ast::{Instr, Modifiers},
    instr_table::Opcode,
    types::{
        AtomOp, BoolOp, CacheHint, CacheLevel, CacheOp, CmpOp, MemSem, MulMode, ProxyKind,
        Rounding, ScalarType, Scope, StateSpace, TypeKind, VecWidth, VideoOp,
    },
};

/// Everything that this file knows.
pub(super) fn check(instr: &Instr) -> Check {
    let m = &instr.mods;
    let refused = [
        (
            !space_fits(instr),
            "this state space does not go with this instruction",
        ),
        (
            !ordering_fits(instr),
            "this memory ordering or scope does not go with this instruction",
        ),
        (
            !cache_fits(instr),
            "this cache operator does not go with this instruction",
        ),
        (
            !hints_fit(instr),
            "this cache hint does not go with this instruction",
        ),
        (
            !vector_fits(instr),
            "this vector does not go with this type",
        ),
        (
            m.ftz && !flushes(instr),
            "`.ftz` does not apply to this type",
        ),
        (
            !arithmetic_fits(instr),
            "these modifiers do not go together for this type",
        ),
    ];
    match refused.into_iter().find(|(refused, _)| *refused) {
        Some((_, message)) => Err(message.to_owned()),
        None => Ok(()),
    }
}

fn first(m: &Modifiers) -> ScalarType {
    m.types.first().copied().unwrap_or(ScalarType::B32)
}

fn is_bfloat(ty: ScalarType) -> bool {
    matches!(ty, ScalarType::Bf16 | ScalarType::Bf16x2)
}

fn space_fits(instr: &Instr) -> bool {
    use Opcode as Op;
    use StateSpace::{Global, Local, Shared, SharedCluster};
    let Some(space) = instr.mods.space else {
        return true;
    };
    match instr.op {
        Op::Ldu | Op::Discard | Op::Applypriority => space == Global,
        Op::Mapa | Op::Getctarank => space == SharedCluster,
        Op::Prefetch => matches!(space, Global | Local),
        Op::MbarrierInit
        | Op::MbarrierInval
        | Op::MbarrierTestWait
        | Op::MbarrierTryWait
        | Op::CpAsyncMbarrierArrive => space == Shared,
        Op::MbarrierExpectTx
        | Op::MbarrierCompleteTx
        | Op::MbarrierArrive
        | Op::MbarrierArriveExpectTx
        | Op::MbarrierArriveDrop
        | Op::MbarrierArriveDropExpectTx => {
            space == Shared || (space == SharedCluster && !instr.mods.no_complete)
        }
        Op::FenceProxy => {
            instr.mods.proxy == Some(ProxyKind::Async)
                && matches!(space, Global | Shared | SharedCluster)
        }
        _ => true,
    }
}

fn ordering_fits(instr: &Instr) -> bool {
    use MemSem::{AcqRel, Acquire, Relaxed, Release, Sc};
    use Opcode as Op;
    let (sem, scope) = (instr.mods.sem, instr.mods.scope);
    let near = matches!(scope, None | Some(Scope::Cta | Scope::Cluster));
    match instr.op {
        Op::Ld | Op::St if instr.mods.mmio => (sem, scope) == (Some(Relaxed), Some(Scope::Sys)),
        Op::Red => matches!(sem, None | Some(Relaxed | Release)),
        Op::MbarrierTestWait | Op::MbarrierTryWait => {
            matches!(sem, None | Some(Acquire | Relaxed))
                && near
                && sem.is_some() == scope.is_some()
        }
        Op::MbarrierExpectTx | Op::MbarrierCompleteTx => {
            matches!(sem, None | Some(Relaxed)) && near && sem.is_some() == scope.is_some()
        }
        Op::MbarrierArrive
        | Op::MbarrierArriveExpectTx
        | Op::MbarrierArriveDrop
        | Op::MbarrierArriveDropExpectTx => {
            matches!(sem, None | Some(Release | Relaxed))
                && near
                && sem.is_some() == scope.is_some()
        }
        Op::BarrierClusterArrive => matches!(sem, None | Some(Release | Relaxed)),
        Op::BarrierClusterWait => matches!(sem, None | Some(Acquire)),
        Op::Membar => scope != Some(Scope::Cluster),
        Op::Fence => matches!(sem, None | Some(Sc | AcqRel | Acquire | Release)),
        Op::FenceMbarrierInit => (sem, scope) == (Some(Release), Some(Scope::Cluster)),
        _ => true,
    }
}

fn cache_fits(instr: &Instr) -> bool {
    use CacheOp::{Ca, Cg, Cs, Cv, Lu, Wb, Wt};
    let m = &instr.mods;
    let operator = match (instr.op, m.cache) {
        (_, None) => true,
        (Opcode::Ld, Some(cache)) if m.nc => matches!(cache, Ca | Cg | Cs),
        (Opcode::Ld, Some(cache)) => matches!(cache, Ca | Cg | Cs | Lu | Cv),
        (Opcode::St, Some(cache)) => matches!(cache, Wb | Cg | Cs | Wt),
        (_, Some(cache)) => matches!(cache, Ca | Cg),
    };
    operator && (!m.nc || m.space == Some(StateSpace::Global))
}

fn hints_fit(instr: &Instr) -> bool {
    use CacheHint::{
        L2CacheHint, L2EvictFirst, L2EvictLast, L2EvictNormal, L2EvictUnchanged, L2Prefetch64,
        L2Prefetch128, L2Prefetch256,
    };
    let m = &instr.mods;
    let evicts_l2 = |hint| {
        matches!(
            hint,
            L2EvictFirst | L2EvictLast | L2EvictNormal | L2EvictUnchanged
        )
    };
    let prefetches = |hint| matches!(hint, L2Prefetch64 | L2Prefetch128 | L2Prefetch256);
    let wide = m
        .vec
        .is_some_and(|vec| vec.lanes() as u32 * first(m).bits() == 256);
    let fits = |hint: CacheHint| match instr.op {
        Opcode::Ld => wide || !evicts_l2(hint),
        Opcode::St => (wide || !evicts_l2(hint)) && !prefetches(hint),
        Opcode::Atom | Opcode::Red => hint == L2CacheHint,
        Opcode::CpAsync => hint == L2CacheHint || prefetches(hint),
        Opcode::Prefetch => {
            matches!(hint, L2EvictLast | L2EvictNormal)
                && m.level.is_none()
                && m.space == Some(StateSpace::Global)
        }
        Opcode::Applypriority => hint == L2EvictNormal,
        Opcode::CreatePolicyFractional => evicts_l2(hint),
        _ => true,
    };
    let level = match instr.op {
        Opcode::Prefetch => m.level.is_some() || !m.hints.is_empty(),
        Opcode::Prefetchu => m.level == Some(CacheLevel::L1),
        Opcode::Discard => m.level == Some(CacheLevel::L2),
        _ => true,
    };
    level && m.hints.iter().all(|&hint| fits(hint))
}

fn vector_fits(instr: &Instr) -> bool {
    let m = &instr.mods;
    let ty = first(m);
    match instr.op {
        // Halves are loaded, stored and moved as bits.
        Opcode::Ld | Opcode::Ldu | Opcode::St | Opcode::Mov if ty.is_half() => false,
        Opcode::Mov if ty.bits() == 8 => false,
        Opcode::Mov | Opcode::Ldu => m.vec.is_none_or(|vec| {
            vec != VecWidth::V8 && ty.bits() > 1 && vec.lanes() as u32 * ty.bits() <= 128
        }),
        Opcode::Ld | Opcode::St => m.vec.is_none_or(|vec| match (ty, vec) {
            (ScalarType::B128, _) => false,
            (_, VecWidth::V8) => ty.bits() == 32,
            _ => true,
        }),
        Opcode::Atom | Opcode::Red => {
            let extremum = matches!(m.atom, Some(AtomOp::Min | AtomOp::Max));
            let width = match m.vec {
                None => !(ty.is_half() && extremum),
                Some(VecWidth::V8) => matches!(ty, ScalarType::F16 | ScalarType::Bf16),
                Some(_) => true,
            };
            width && (m.noftz == ty.is_half() || (ty.is_half() && m.atom == Some(AtomOp::Exch)))
        }
        _ => true,
    }
}

/// Whether denormals may be flushed.
fn flushes(instr: &Instr) -> bool {
    use Opcode as Op;
    let m = &instr.mods;
    let ty = first(m);
    match instr.op {
        Op::Rcp | Op::Rsqrt => ty == ScalarType::F32 || m.approx,
        Op::Ex2 => ty == ScalarType::F32 || is_bfloat(ty),
        // `.ftz` applies to what is compared, of `slct` to the key.
        Op::Set | Op::Slct => m.types.get(1).is_some_and(|&ty| {
            ty == ScalarType::F32 || (instr.op == Op::Set && ty.is_half() && !is_bfloat(ty))
        }),
        Op::Div | Op::Sqrt => ty == ScalarType::F32,
        Op::Cvt => true,
        _ => matches!(
            ty,
            ScalarType::F32 | ScalarType::F32x2 | ScalarType::F16 | ScalarType::F16x2
        ),
    }
}

fn arithmetic_fits(instr: &Instr) -> bool {
    use Opcode as Op;
    let m = &instr.mods;
    let ty = first(m);
    let rounds = !ty.is_half() || matches!(m.rounding, None | Some(Rounding::Rn));
    let saturates = !m.sat || !(is_bfloat(ty) || ty == ScalarType::F32x2);
    match instr.op {
        Op::Add => rounds && saturates && !(m.sat && m.cc),
        Op::Sub => {
            let exists = !matches!(ty, ScalarType::S16x2 | ScalarType::U16x2);
            exists && rounds && saturates && !(m.sat && m.cc)
        }
        Op::Mul => rounds && saturates,
        Op::Fma => {
            let relu = ty.is_half() && !m.sat;
            let oob = ty.is_half() && !m.ftz;
            // The manual has `.rn` only, ptxas the others too.
            (rounds || is_bfloat(ty)) && saturates && (!m.relu || relu) && (!m.oob || oob)
        }
        Op::Mad24 => !m.sat || (m.mul == Some(MulMode::Hi) && ty == ScalarType::S32),
        Op::Div | Op::Rcp | Op::Sqrt => division(instr),
        Op::Ex2 => !is_bfloat(ty) || m.ftz,
        Op::Min | Op::Max => extremum(m),
        Op::Lop3 => m.bool_op != Some(BoolOp::Xor),
        Op::CvtPack => m.types.get(1) == Some(&ScalarType::S32),
        Op::Redux => ty == ScalarType::F32 || !(m.abs || m.nan),
        Op::Vset | Op::Vset2 | Op::Vset4 => {
            let unsigned = m.types.iter().all(|ty| ty.kind() == TypeKind::Unsigned);
            let by_sign = matches!(m.cmp, Some(CmpOp::Lo | CmpOp::Ls | CmpOp::Hi | CmpOp::Hs));
            (unsigned || !by_sign) && video(instr)
        }
        _ => video(instr),
    }
}

/// One way to round, for types that have it.
fn division(instr: &Instr) -> bool {
    let m = &instr.mods;
    let ty = first(m);
    let ways = [m.rounding.is_some(), m.approx, m.full];
    let plain = matches!(
        m.rounding,
        None | Some(Rounding::Rn | Rounding::Rz | Rounding::Rm | Rounding::Rp)
    );
    let approximate = ty != ScalarType::F64 || (instr.op == Opcode::Rcp && m.ftz);
    let whole = ty.is_integer();
    ways.into_iter().filter(|way| *way).count() <= 1
        && plain
        && (approximate || !(m.approx || m.full))
        && (instr.op != Opcode::Rcp || ty != ScalarType::F64 || m.approx == m.ftz)
        && !(whole && ways.contains(&true))
}

fn extremum(m: &Modifiers) -> bool {
    let ty = first(m);
    let float = ty == ScalarType::F32 || ty.is_half();
    let relu = matches!(ty, ScalarType::S32 | ScalarType::S16x2);
    // `.abs` alone is for three operands.
    let magnitudes = m.abs == m.xorsign || (m.abs && ty == ScalarType::F32);
    magnitudes && (float || !(m.nan || m.xorsign)) && (relu || !m.relu)
}

/// The four- and two-lane forms know `.add` as the second operation only, and do not saturate with it.
fn video(instr: &Instr) -> bool {
    let several = (Opcode::Vadd2..=Opcode::Vset4).contains(&instr.op);
    let m = &instr.mods;
    !several || matches!((m.video, m.sat), (None, _) | (Some(VideoOp::Add), false))
}
