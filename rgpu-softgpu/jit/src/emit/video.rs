//! Video instructions: operations on bytes and halves picked from 32-bit registers, with a second operation
//! on the result. All values are computed in 64 bits, where nothing overflows.

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, Value, types};
use cranelift_frontend::FunctionBuilder;
use rgpu_ptx::ast::{Instr, Operand, Part};
use rgpu_ptx::instr_table::Opcode;
use rgpu_ptx::types::{CmpOp, ScalarType, ShiftMode, VideoOp, VideoScale};
use rgpu_softgpu_exec::libcalls::vmad;

use super::compare::int_condition;
use super::util::{icmp_const, iconst, mask, resize};
use super::{Emitter, operand, type_of};
use crate::error::{Emit, refuse};

/// What a lane computes.
#[derive(Debug, Clone, Copy)]
enum Lane {
    Add,
    Sub,
    AbsDiff,
    Min,
    Max,
    Average,
    Shl(ShiftMode),
    Shr(ShiftMode),
    Set(IntCC),
}

/// An instruction taken apart.
#[derive(Debug, Clone, Copy)]
struct Video {
    lane: Lane,
    /// Lanes of a register: 1, 2 or 4.
    lanes: u8,
    result: ScalarType,
    first: ScalarType,
    second: ScalarType,
    saturate: bool,
}

impl Video {
    fn width(&self) -> u32 {
        32 / u32::from(self.lanes)
    }
}

fn take_apart(instr: &Instr) -> Emit<Video> {
    use Opcode::*;
    let lanes = match instr.op {
        Vadd | Vsub | Vabsdiff | Vmin | Vmax | Vshl | Vshr | Vset => 1,
        Vadd2 | Vsub2 | Vavrg2 | Vabsdiff2 | Vmin2 | Vmax2 | Vset2 => 2,
        _ => 4,
    };
    let types = &instr.mods.types;
    let (result, first, second) = match (types.len(), instr.op) {
        (2, Vset | Vset2 | Vset4) => (ScalarType::U32, types[0], types[1]),
        (3, _) => (types[0], types[1], types[2]),
        _ => return refuse("wrong number of types"),
    };
    let shift = instr.mods.shift_mode.unwrap_or(ShiftMode::Clamp);
    let lane = match instr.op {
        Vadd | Vadd2 | Vadd4 => Lane::Add,
        Vsub | Vsub2 | Vsub4 => Lane::Sub,
        Vabsdiff | Vabsdiff2 | Vabsdiff4 => Lane::AbsDiff,
        Vmin | Vmin2 | Vmin4 => Lane::Min,
        Vmax | Vmax2 | Vmax4 => Lane::Max,
        Vavrg2 | Vavrg4 => Lane::Average,
        Vshl => Lane::Shl(shift),
        Vshr => Lane::Shr(shift),
        // Lanes are extended to 64 bits by their own types, so a signed comparison is right for all.
        _ => match instr.mods.cmp.and_then(|op| int_condition(plain(op), true)) {
            Some(cond) => Lane::Set(cond),
            None => return refuse("no such comparison"),
        },
    };
    Ok(Video {
        lane,
        lanes,
        result,
        first,
        second,
        saturate: instr.mods.sat,
    })
}

/// The comparison without its unsigned spelling.
fn plain(op: CmpOp) -> CmpOp {
    match op {
        CmpOp::Lo => CmpOp::Lt,
        CmpOp::Ls => CmpOp::Le,
        CmpOp::Hi => CmpOp::Gt,
        CmpOp::Hs => CmpOp::Ge,
        other => other,
    }
}

/// Emits an instruction of this family.
pub(crate) fn emit(e: &mut Emitter<'_, '_>, instr: &Instr) -> Emit {
    if instr.op == Opcode::Vmad {
        return multiply_add(e, instr);
    }
    let video = take_apart(instr)?;
    if video.lanes == 1 {
        scalar(e, instr, video)
    } else {
        packed(e, instr, video)
    }
}

/// `bits` bits from bit `at` of a 64-bit value, extended by `ty`.
fn extend(b: &mut FunctionBuilder<'_>, value: Value, at: u32, bits: u32, ty: ScalarType) -> Value {
    let top = b.ins().ishl_imm_u(value, i64::from(64 - bits - at));
    let down = i64::from(64 - bits);
    if ty.is_signed() {
        b.ins().sshr_imm_u(top, down)
    } else {
        b.ins().ushr_imm_u(top, down)
    }
}

fn register(e: &mut Emitter<'_, '_>, operand: &Operand) -> Emit<Value> {
    let value = match operand {
        Operand::Part { reg, .. } => e.read_u32(&Operand::Reg(*reg))?,
        other => e.read_u32(other)?,
    };
    Ok(resize(&mut e.b, value, types::I64, false))
}

/// Position and width of what a part selector names; the whole register without one.
fn selected(operand: &Operand) -> (u32, u32) {
    match operand {
        Operand::Part { part, .. } if part.len > 0 => {
            let bits = if part.half { 16 } else { 8 };
            (u32::from(part.lanes[0]) * bits % 32, bits)
        }
        _ => (0, 32),
    }
}

fn scalar(e: &mut Emitter<'_, '_>, instr: &Instr, video: Video) -> Emit {
    let mut sources = [None; 2];
    for (n, ty) in [video.first, video.second].into_iter().enumerate() {
        let source = operand(instr, n + 1)?;
        let (at, bits) = selected(source);
        let value = register(e, source)?;
        sources[n] = Some(extend(&mut e.b, value, at, bits, ty));
    }
    let [Some(x), Some(y)] = sources else {
        return refuse("operands are missing");
    };
    let target = operand(instr, 0)?;
    let (at, bits) = selected(target);
    let mut value = compute(&mut e.b, video.lane, x, y);
    if video.saturate {
        value = clamp(&mut e.b, value, bits, video.result);
    }
    let third = match instr.operands.get(3) {
        Some(third) => Some(register(e, third)?),
        None => None,
    };
    let b = &mut e.b;
    let result = match (third, instr.mods.video) {
        (Some(third), Some(op)) => {
            let value = extend(b, value, 0, 32, video.result);
            let third = extend(b, third, 0, 32, video.result);
            second_operation(b, op, value, third)
        }
        (Some(third), None) => {
            let ones = iconst(b, types::I64, ((1_i64 << bits) - 1) << at);
            let moved = b.ins().ishl_imm_u(value, i64::from(at));
            b.ins().bitselect(ones, moved, third)
        }
        (None, _) => value,
    };
    let result = b.ins().ireduce(types::I32, result);
    write(e, target, result)
}

/// `vmad`: the host has the 128 bits that the product and the sum may need.
fn multiply_add(e: &mut Emitter<'_, '_>, instr: &Instr) -> Emit {
    let negated = |n: usize| matches!(instr.operands.get(n), Some(Operand::Part { part, .. }) if part.negated);
    let (product, third) = (negated(1) ^ negated(2), negated(3));
    let factors = [type_of(instr, 1)?, type_of(instr, 2)?];
    let signed = product || third || factors.iter().any(|ty| ty.is_signed());
    let addend = if signed {
        ScalarType::S32
    } else {
        ScalarType::U32
    };
    let mut args = Vec::with_capacity(4);
    for (n, ty) in [factors[0], factors[1], addend].into_iter().enumerate() {
        let source = operand(instr, n + 1)?;
        let (at, bits) = selected(source);
        let value = register(e, source)?;
        args.push(extend(&mut e.b, value, at, bits, ty));
    }
    let m = &instr.mods;
    let flags = [
        (product, vmad::NEGATE_PRODUCT),
        (third, vmad::NEGATE_ADDEND),
        (m.plus_one, vmad::PLUS_ONE),
        (signed, vmad::SIGNED),
        (m.sat, vmad::SATURATE),
        (m.scale == Some(VideoScale::Shr7), vmad::SHIFT_7),
        (m.scale == Some(VideoScale::Shr15), vmad::SHIFT_15),
    ];
    let how: u32 = flags.iter().map(|(on, flag)| u32::from(*on) * flag).sum();
    args.push(iconst(&mut e.b, types::I32, i64::from(how)));
    let result = e.libcall_value("vmad", &args)?;
    write(e, operand(instr, 0)?, result)
}

fn write(e: &mut Emitter<'_, '_>, target: &Operand, value: Value) -> Emit {
    match target {
        Operand::Part { reg, .. } => e.write(&Operand::Reg(*reg), value, ScalarType::U32),
        other => e.write(other, value, ScalarType::U32),
    }
}

fn second_operation(b: &mut FunctionBuilder<'_>, op: VideoOp, x: Value, y: Value) -> Value {
    match op {
        VideoOp::Add => b.ins().iadd(x, y),
        VideoOp::Min => b.ins().smin(x, y),
        VideoOp::Max => b.ins().smax(x, y),
    }
}

fn compute(b: &mut FunctionBuilder<'_>, lane: Lane, x: Value, y: Value) -> Value {
    match lane {
        Lane::Add => b.ins().iadd(x, y),
        Lane::Sub => b.ins().isub(x, y),
        Lane::AbsDiff => {
            let (forth, back) = (b.ins().isub(x, y), b.ins().isub(y, x));
            b.ins().smax(forth, back)
        }
        Lane::Min => b.ins().smin(x, y),
        Lane::Max => b.ins().smax(x, y),
        Lane::Average => {
            let sum = b.ins().iadd(x, y);
            let up = icmp_const(b, IntCC::SignedGreaterThanOrEqual, sum, 0);
            let up = b.ins().uextend(types::I64, up);
            let sum = b.ins().iadd(sum, up);
            b.ins().sshr_imm_u(sum, 1)
        }
        Lane::Shl(mode) => {
            let count = shift_count(b, mode, y);
            let shifted = b.ins().ishl(x, count);
            // What leaves 64 bits stays out of every range that it may be clamped to.
            let back = b.ins().sshr(shifted, count);
            let kept = b.ins().icmp(IntCC::Equal, back, x);
            let sign = b.ins().sshr_imm_u(x, 63);
            let most = iconst(b, types::I64, i64::MAX);
            let beyond = b.ins().bxor(sign, most);
            let low = mask(b, shifted, 0xffff_ffff);
            let high = mask(b, beyond, !0xffff_ffff);
            let limit = b.ins().bor(high, low);
            b.ins().select(kept, shifted, limit)
        }
        Lane::Shr(mode) => {
            let count = shift_count(b, mode, y);
            b.ins().sshr(x, count)
        }
        Lane::Set(cond) => {
            let holds = b.ins().icmp(cond, x, y);
            b.ins().uextend(types::I64, holds)
        }
    }
}

fn shift_count(b: &mut FunctionBuilder<'_>, mode: ShiftMode, count: Value) -> Value {
    match mode {
        ShiftMode::Wrap => mask(b, count, 31),
        ShiftMode::Clamp => {
            let most = iconst(b, types::I64, 32);
            b.ins().umin(count, most)
        }
    }
}

/// Clamps to `bits` bits of the signedness of `ty`.
fn clamp(b: &mut FunctionBuilder<'_>, value: Value, bits: u32, ty: ScalarType) -> Value {
    let (low, high) = if ty.is_signed() {
        (-(1_i64 << (bits - 1)), (1_i64 << (bits - 1)) - 1)
    } else {
        (0, (1_i64 << bits) - 1)
    };
    let (low, high) = (iconst(b, types::I64, low), iconst(b, types::I64, high));
    let value = b.ins().smax(value, low);
    b.ins().smin(value, high)
}

/// Which of the eight lanes of both registers each lane of a source is, least significant first.
fn selection(part: Option<Part>, second: bool, lanes: u8) -> Vec<u8> {
    let base = if second { lanes } else { 0 };
    match part {
        Some(part) if part.len == lanes => part.lanes[..usize::from(lanes)]
            .iter()
            .rev()
            .copied()
            .collect(),
        _ => (0..lanes).map(|lane| base + lane).collect(),
    }
}

fn part(operand: &Operand) -> Option<Part> {
    match operand {
        Operand::Part { part, .. } => Some(*part),
        _ => None,
    }
}

fn packed(e: &mut Emitter<'_, '_>, instr: &Instr, video: Video) -> Emit {
    let (target, first, second) = (operand(instr, 0)?, operand(instr, 1)?, operand(instr, 2)?);
    let x = register(e, first)?;
    let y = register(e, second)?;
    let third = register(e, operand(instr, 3)?)?;
    let width = video.width();
    let written: Vec<u8> = match part(target) {
        Some(part) => part.lanes[..usize::from(part.len.min(4))].to_vec(),
        None => (0..video.lanes).collect(),
    };
    let b = &mut e.b;
    let above = b.ins().ishl_imm_u(y, 32);
    let both = b.ins().bor(x, above);
    let from_first = selection(part(first), false, video.lanes);
    let from_second = selection(part(second), true, video.lanes);
    let mut result = third;
    for lane in 0..video.lanes {
        if !written.contains(&lane) {
            continue;
        }
        let at = |list: &[u8]| u32::from(list[usize::from(lane)]) * width % 64;
        let left = extend(b, both, at(&from_first), width, video.first);
        let right = extend(b, both, at(&from_second), width, video.second);
        let mut value = compute(b, video.lane, left, right);
        if video.saturate {
            value = clamp(b, value, width, video.result);
        }
        result = if instr.mods.video == Some(VideoOp::Add) {
            let value = extend(b, value, 0, width, video.result);
            b.ins().iadd(result, value)
        } else {
            let place = u32::from(lane) * width;
            let ones = iconst(b, types::I64, ((1_i64 << width) - 1) << place);
            let moved = b.ins().ishl_imm_u(value, i64::from(place));
            b.ins().bitselect(ones, moved, result)
        };
    }
    let result = e.b.ins().ireduce(types::I32, result);
    write(e, target, result)
}
