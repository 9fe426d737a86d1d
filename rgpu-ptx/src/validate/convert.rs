//! `cvt`: which types convert to which, and what may be written with them.

use super::{Check, mods::only};
use crate::{
    ast::Instr,
    types::{
        Rounding::{self, Rm, Rmi, Rn, Rna, Rni, Rp, Rpi, Rs, Rz, Rzi},
        ScalarType::{self, Bf16, Bf16x2, F16, F16x2, F32, F64, Tf32, Ue8m0x2},
        TypeKind,
    },
};

pub(super) fn check(instr: &Instr) -> Check {
    let (Some(&to), Some(&from)) = (instr.mods.types.first(), instr.mods.types.get(1)) else {
        return Ok(());
    };
    let scalar = |ty: ScalarType| ty.is_integer() || matches!(ty, F16 | Bf16 | F32 | F64);
    let fits = match to {
        Tf32 => from == F32,
        F16x2 => from == F32 || (small(from) && from != Ue8m0x2),
        Bf16x2 => matches!(from, F32 | Ue8m0x2),
        Ue8m0x2 => matches!(from, F32 | Bf16x2),
        _ if small(to) => matches!(from, F32 | F16x2 | Bf16x2),
        _ => scalar(to) && scalar(from),
    };
    if !fits {
        return Err(format!("there is no conversion from .{from} to .{to}"));
    }
    rounding(to, from, instr.mods.rounding)?;
    bounds(instr, to, from)
}

/// Pairs of floats of 8 bits or fewer.
fn small(ty: ScalarType) -> bool {
    ty.kind() == TypeKind::Packed && ty.lane().is_none()
}

/// `.rni` and its like give integral values, `.rn` and its like fit a value into fewer bits; a
/// conversion that loses nothing takes neither.
fn rounding(to: ScalarType, from: ScalarType, rounding: Option<Rounding>) -> Check {
    let integral = matches!(rounding, Some(Rni | Rzi | Rmi | Rpi));
    let fitting = matches!(rounding, Some(Rn | Rz | Rm | Rp));
    let narrows = match to {
        Tf32 => Some(matches!(rounding, Some(Rn | Rz | Rna))),
        Ue8m0x2 => Some(matches!(rounding, Some(Rz | Rp))),
        _ if small(to) || small(from) => Some(rounding == Some(Rn)),
        F16x2 | Bf16x2 => Some(matches!(rounding, Some(Rn | Rz | Rs))),
        _ => None,
    };
    match (to.is_integer(), from.is_integer()) {
        _ if narrows.is_some() => only(
            narrows == Some(true),
            "this conversion needs a rounding such as `.rn`",
        ),
        (true, true) => only(
            rounding.is_none(),
            "conversions between integers do not round",
        ),
        (true, false) => only(integral, "this conversion needs a rounding such as `.rzi`"),
        (false, true) => only(fitting, "this conversion needs a rounding such as `.rn`"),
        (false, false) if to == from => only(
            rounding.is_none() || integral,
            "only `.rni` and its like make sense here",
        ),
        // `.f16` and `.bf16` are equally wide and hold different values.
        (false, false) if to.bits() == from.bits() => only(
            rounding.is_none() || fitting,
            "this conversion takes `.rn` and its like only",
        ),
        // The wider types hold every `.bf16`, yet a rounding may be written.
        (false, false) if from == Bf16 => only(
            rounding.is_none() || fitting,
            "this conversion takes `.rn` and its like only",
        ),
        (false, false) if to.bits() < from.bits() => {
            only(fitting, "this conversion needs a rounding such as `.rn`")
        }
        (false, false) => only(rounding.is_none(), "a widening conversion does not round"),
    }
}

/// `.ftz`, `.sat`, `.relu` and `.satfinite`.
fn bounds(instr: &Instr, to: ScalarType, from: ScalarType) -> Check {
    let m = &instr.mods;
    let whole = small(to) || small(from) || matches!(to, Tf32 | F16x2 | Bf16x2);
    only(
        !m.ftz || !whole && (to == F32 || from == F32),
        "`.ftz` is for conversions from or to .f32",
    )?;
    only(
        !m.sat || !whole && can_saturate(to, from),
        "`.sat` has nothing to do here",
    )?;
    // Only what cuts a single, or takes fewer bits, is bounded so.
    let half = matches!(to, F16 | Bf16) && from == F32 && matches!(m.rounding, Some(Rn | Rz));
    let relu = half || whole && m.rounding != Some(Rna);
    only(!m.relu || relu, "`.relu` does not go with this conversion")?;
    only(
        !m.satfinite || half || whole && !small(from),
        "`.satfinite` does not go with this conversion",
    )?;
    only(
        m.satfinite || !small(to) || to == Ue8m0x2,
        "this conversion needs `.satfinite`",
    )
}

/// Are there values of `from` that `to` does not hold, or does it hold more than 0 to 1?
fn can_saturate(to: ScalarType, from: ScalarType) -> bool {
    if !to.is_integer() || !from.is_integer() {
        return to != Bf16 && from != Bf16;
    }
    match (to.is_signed(), from.is_signed()) {
        (false, true) => true,
        (true, false) => to.bits() <= from.bits(),
        _ => to.bits() < from.bits(),
    }
}
