//! Arithmetic that integers and floats share: `add`, `sub`, `mul`, `mad`, `fma`, `div`, `abs`, `neg`,
//! `min`, `max`. Integers go to [`super::integer`], floats lane by lane to [`super::float`].

use cranelift_codegen::ir::condcodes::FloatCC;
use cranelift_codegen::ir::{InstBuilder, Value, types};
use cranelift_frontend::FunctionBuilder;
use rgpu_ptx::ast::Instr;
use rgpu_ptx::instr_table::Opcode;
use rgpu_ptx::types::{ScalarType, TypeKind};

use super::float::{self, Round};
use super::lanes::{float_op, half_format, rounding, sign_op};
use super::util::{bits, fconst, reshape};
use super::{Emitter, integer, operand, type_of};
use crate::error::{Emit, refuse};

/// True for scalar and packed floats.
pub(crate) fn is_float(ty: ScalarType) -> bool {
    match ty.kind() {
        TypeKind::Float => true,
        TypeKind::Packed => ty.lane().is_some_and(ScalarType::is_float),
        _ => false,
    }
}

/// Emits an instruction of this family.
pub(crate) fn emit(e: &mut Emitter<'_, '_>, instr: &Instr) -> Emit {
    if !is_float(type_of(instr, 0)?) {
        return integer::emit(e, instr);
    }
    if let Some(row) = exact_row(instr)? {
        return by_host(e, instr, row);
    }
    match instr.op {
        Opcode::Add => float_op(e, instr, 2, &|b, v, mode| float::add(b, v[0], v[1], mode)),
        Opcode::Sub => float_op(e, instr, 2, &|b, v, mode| float::sub(b, v[0], v[1], mode)),
        Opcode::Mul => float_op(e, instr, 2, &|b, v, mode| float::mul(b, v[0], v[1], mode)),
        Opcode::Mad | Opcode::Fma => fma(e, instr),
        Opcode::Div => div(e, instr),
        Opcode::Abs => sign_op(e, instr, true),
        Opcode::Neg => sign_op(e, instr, false),
        Opcode::Min | Opcode::Max => extremum(e, instr),
        _ => refuse("not an arithmetic instruction"),
    }
}

/// Host functions for doubles in directed roundings, where the error of the nearest result may itself not be
/// a double.
fn exact_row(instr: &Instr) -> Emit<Option<&'static str>> {
    if type_of(instr, 0)? != ScalarType::F64 {
        return Ok(None);
    }
    let mode = rounding(&instr.mods)?;
    let rows = match instr.op {
        Opcode::Mul => ["mul_rz_f64", "mul_rm_f64", "mul_rp_f64"],
        Opcode::Fma | Opcode::Mad => ["fma_rz_f64", "fma_rm_f64", "fma_rp_f64"],
        Opcode::Div => ["div_rz_f64", "div_rm_f64", "div_rp_f64"],
        Opcode::Rcp => ["rcp_rz_f64", "rcp_rm_f64", "rcp_rp_f64"],
        Opcode::Sqrt => ["sqrt_rz_f64", "sqrt_rm_f64", "sqrt_rp_f64"],
        _ => return Ok(None),
    };
    Ok(match mode {
        Round::Nearest => None,
        Round::Zero => Some(rows[0]),
        Round::Down => Some(rows[1]),
        Round::Up => Some(rows[2]),
    })
}

fn by_host(e: &mut Emitter<'_, '_>, instr: &Instr, row: &'static str) -> Emit {
    let mut args = Vec::with_capacity(3);
    for source in &instr.operands[1..] {
        args.push(e.read(source, ScalarType::F64)?);
    }
    let result = e.libcall_value(row, &args)?;
    e.write(operand(instr, 0)?, result, ScalarType::F64)
}

/// `rcp` with a rounding.
pub(crate) fn reciprocal(e: &mut Emitter<'_, '_>, instr: &Instr) -> Emit {
    if let Some(row) = exact_row(instr)? {
        return by_host(e, instr, row);
    }
    float_op(e, instr, 1, &|b, v, mode| {
        let one = fconst(b, b.func.dfg.value_type(v[0]), 1.0);
        float::div(b, one, v[0], mode)
    })
}

/// `sqrt`.
pub(crate) fn root(e: &mut Emitter<'_, '_>, instr: &Instr) -> Emit {
    if let Some(row) = exact_row(instr)? {
        return by_host(e, instr, row);
    }
    float_op(e, instr, 1, &|b, v, mode| float::sqrt(b, v[0], mode))
}

/// `.oob` looks for a NaN that only copies of tensors write; without them it changes nothing.
fn fma(e: &mut Emitter<'_, '_>, instr: &Instr) -> Emit {
    let ty = type_of(instr, 0)?;
    if half_format(ty).is_none() {
        return float_op(e, instr, 3, &|b, v, mode| {
            float::fma(b, v[0], v[1], v[2], mode)
        });
    }
    // Products of halves are exact in double precision; the sum is kept so that one rounding follows.
    float_op(e, instr, 3, &|b, v, mode| {
        let [x, y, z] = [v[0], v[1], v[2]].map(|value| b.ins().fpromote(types::F64, value));
        float::fma_to_odd(b, x, y, z, mode)
    })
}

fn div(e: &mut Emitter<'_, '_>, instr: &Instr) -> Emit {
    // Approximate division may be more exact than it has to be, but `.approx` knows no divisors above 2^126.
    let approximate = instr.mods.approx;
    float_op(e, instr, 2, &|b, v, mode| {
        let quotient = float::div(b, v[0], v[1], mode);
        if !approximate {
            return quotient;
        }
        let limit = fconst(b, types::F32, 2f64.powi(126));
        let magnitude = b.ins().fabs(v[1]);
        let beyond = b.ins().fcmp(FloatCC::GreaterThan, magnitude, limit);
        // Zero with the quotient's sign, or NaN for an infinity.
        let zero = fconst(b, types::F32, 0.0);
        let zero = b.ins().fcopysign(zero, v[1]);
        let product = b.ins().fmul(v[0], zero);
        b.ins().select(beyond, product, quotient)
    })
}

fn extremum(e: &mut Emitter<'_, '_>, instr: &Instr) -> Emit {
    let max = instr.op == Opcode::Max;
    let (nan, absolute) = (instr.mods.nan, instr.mods.abs);
    let sources = instr.operands.len().saturating_sub(1);
    operand(instr, 2)?;
    if instr.mods.xorsign {
        return float_op(e, instr, 2, &|b, v, _| xor_sign(b, v, max, nan));
    }
    float_op(e, instr, sources, &|b, v, _: Round| {
        let magnitude = |b: &mut FunctionBuilder<'_>, value| {
            if absolute { b.ins().fabs(value) } else { value }
        };
        let mut best = magnitude(b, v[0]);
        for value in &v[1..] {
            let value = magnitude(b, *value);
            best = float::extremum(b, best, value, max, nan);
        }
        best
    })
}

/// `.xorsign.abs`: the magnitude comes from the operands' magnitudes, the sign from both signs; a NaN has none.
fn xor_sign(b: &mut FunctionBuilder<'_>, v: &[Value], max: bool, nan: bool) -> Value {
    let ty = b.func.dfg.value_type(v[0]);
    let magnitudes = [v[0], v[1]].map(|value| b.ins().fabs(value));
    let magnitude = float::extremum(b, magnitudes[0], magnitudes[1], max, nan);
    let (x, y) = (bits(b, v[0]), bits(b, v[1]));
    let sign = b.ins().bxor(x, y);
    let sign = reshape(b, sign, ty);
    let signed = b.ins().fcopysign(magnitude, sign);
    let number = b.ins().fcmp(FloatCC::Ordered, magnitude, magnitude);
    b.ins().select(number, signed, magnitude)
}
