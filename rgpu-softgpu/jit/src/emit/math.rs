//! Reciprocals, roots and transcendental functions, `copysign`, `testp`.

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, Value, types};
use rgpu_ptx::ast::Instr;
use rgpu_ptx::instr_table::Opcode;
use rgpu_ptx::types::{ScalarType, TestpOp};

use super::lanes::rounding;
use super::util::{bits, iconst, int_of};
use super::{Emitter, arith, float, operand, type_of};
use crate::error::{Emit, refuse};
use crate::passes::reg_types::machine_type;

/// Emits an instruction of this family.
pub(crate) fn emit(e: &mut Emitter<'_, '_>, instr: &Instr) -> Emit {
    match instr.op {
        Opcode::Copysign => copysign(e, instr),
        Opcode::Testp => testp(e, instr),
        Opcode::Rcp if !coarse_double(instr) => arith::reciprocal(e, instr),
        Opcode::Sqrt => arith::root(e, instr),
        _ => approximate(e, instr),
    }
}

/// `.approx.ftz.f64` looks at the upper half of its operand only.
fn coarse_double(instr: &Instr) -> bool {
    instr.mods.approx && instr.ty() == Some(ScalarType::F64)
}

/// Host functions of the approximate instructions.
fn row(op: Opcode, ty: ScalarType, ftz: bool) -> Option<&'static str> {
    use ScalarType::{Bf16, Bf16x2, F16, F16x2, F32, F64};
    Some(match (op, ty) {
        (Opcode::Rcp, F64) => "rcp_approx_ftz_f64",
        (Opcode::Rsqrt, F64) if ftz => "rsqrt_approx_ftz_f64",
        (Opcode::Rsqrt, F64) => "rsqrt_approx_f64",
        (Opcode::Rsqrt, F32) => "rsqrt_approx_f32",
        (Opcode::Sin, F32) => "sin_approx_f32",
        (Opcode::Cos, F32) => "cos_approx_f32",
        (Opcode::Lg2, F32) => "lg2_approx_f32",
        (Opcode::Ex2, F32) => "ex2_approx_f32",
        (Opcode::Ex2, F16) => "ex2_approx_f16",
        (Opcode::Ex2, Bf16) => "ex2_approx_ftz_bf16",
        (Opcode::Ex2, F16x2) => "ex2_approx_f16x2",
        (Opcode::Ex2, Bf16x2) => "ex2_approx_ftz_bf16x2",
        (Opcode::Tanh, F32) => "tanh_approx_f32",
        (Opcode::Tanh, F16) => "tanh_approx_f16",
        (Opcode::Tanh, Bf16) => "tanh_approx_bf16",
        (Opcode::Tanh, F16x2) => "tanh_approx_f16x2",
        (Opcode::Tanh, Bf16x2) => "tanh_approx_bf16x2",
        _ => return None,
    })
}

fn approximate(e: &mut Emitter<'_, '_>, instr: &Instr) -> Emit {
    let ty = type_of(instr, 0)?;
    rounding(&instr.mods)?;
    let Some(name) = row(instr.op, ty, instr.mods.ftz) else {
        return refuse("this form is not supported");
    };
    let value = e.read(operand(instr, 1)?, ty)?;
    let flush = instr.mods.ftz && ty == ScalarType::F32;
    let machine = machine_type(ty);
    let value = match (flush, machine) {
        (true, _) => float::flush(&mut e.b, value),
        // Halves travel in 32 bits.
        (false, types::I16) => e.b.ins().uextend(types::I32, value),
        (false, _) => value,
    };
    let result = e.libcall_value(name, &[value])?;
    let result = match (flush, machine) {
        (true, _) => float::flush(&mut e.b, result),
        (false, types::I16) => e.b.ins().ireduce(types::I16, result),
        (false, _) => result,
    };
    e.write(operand(instr, 0)?, result, ty)
}

/// The sign of the first source on the magnitude of the second.
fn copysign(e: &mut Emitter<'_, '_>, instr: &Instr) -> Emit {
    let ty = type_of(instr, 0)?;
    let sign = e.read(operand(instr, 1)?, ty)?;
    let magnitude = e.read(operand(instr, 2)?, ty)?;
    let result = e.b.ins().fcopysign(magnitude, sign);
    e.write(operand(instr, 0)?, result, ty)
}

fn testp(e: &mut Emitter<'_, '_>, instr: &Instr) -> Emit {
    let ty = type_of(instr, 0)?;
    let Some(property) = instr.mods.testp else {
        return refuse("no property");
    };
    let value = e.read(operand(instr, 1)?, ty)?;
    let answer = has_property(e, value, property);
    e.write(operand(instr, 0)?, answer, ScalarType::Pred)
}

/// Tests the magnitude as an integer: classes of floats are ranges of it.
fn has_property(e: &mut Emitter<'_, '_>, value: Value, property: TestpOp) -> Value {
    let b = &mut e.b;
    let int = int_of(b.func.dfg.value_type(value));
    let (infinity, normal) = if int == types::I64 {
        (0x7ff0_0000_0000_0000_i64, 0x0010_0000_0000_0000)
    } else {
        (0x7f80_0000, 0x0080_0000)
    };
    let raw = bits(b, value);
    let clear = iconst(
        b,
        int,
        if int == types::I64 {
            i64::MAX
        } else {
            0x7fff_ffff
        },
    );
    let magnitude = b.ins().band(raw, clear);
    let infinity = iconst(b, int, infinity);
    let normal = iconst(b, int, normal);
    let one = iconst(b, int, 1);
    match property {
        TestpOp::Finite => b.ins().icmp(IntCC::UnsignedLessThan, magnitude, infinity),
        TestpOp::Infinite => b.ins().icmp(IntCC::Equal, magnitude, infinity),
        TestpOp::Number => b
            .ins()
            .icmp(IntCC::UnsignedLessThanOrEqual, magnitude, infinity),
        TestpOp::NotANumber => b
            .ins()
            .icmp(IntCC::UnsignedGreaterThan, magnitude, infinity),
        TestpOp::Normal => {
            let from_normal = b.ins().isub(magnitude, normal);
            let range = b.ins().isub(infinity, normal);
            b.ins().icmp(IntCC::UnsignedLessThan, from_normal, range)
        }
        TestpOp::Subnormal => {
            let from_one = b.ins().isub(magnitude, one);
            let range = b.ins().isub(normal, one);
            b.ins().icmp(IntCC::UnsignedLessThan, from_one, range)
        }
    }
}
