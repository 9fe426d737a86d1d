//! Integer arithmetic. Operands are read in the instruction's type; narrow types are computed in their own
//! width, so results wrap as on a GPU. Division never traps: by zero it gives all ones, a remainder by zero
//! gives the dividend, the most negative number by -1 gives itself.

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, Value, types};
use cranelift_frontend::FunctionBuilder;
use rgpu_ptx::ast::Instr;
use rgpu_ptx::instr_table::Opcode;
use rgpu_ptx::types::{MulMode, ScalarType};

use super::operand::constant;
use super::util::{choose, icmp_const, iconst, mask, resize, shl};
use super::{Emitter, lanes, operand, type_of};
use crate::error::{Emit, refuse};
use crate::passes::reg_types::machine_type;

/// Emits an instruction of this family.
pub(crate) fn emit(e: &mut Emitter<'_, '_>, instr: &Instr) -> Emit {
    match instr.op {
        Opcode::Add | Opcode::Sub | Opcode::Addc | Opcode::Subc => add_sub(e, instr),
        Opcode::Mul | Opcode::Mad | Opcode::Madc => mul_mad(e, instr),
        Opcode::Mul24 | Opcode::Mad24 => mul24(e, instr),
        Opcode::Sad => sad(e, instr),
        Opcode::Div | Opcode::Rem => div_rem(e, instr),
        Opcode::Abs => lanewise(e, instr, 1, &|b, ty, v| abs(b, ty, v[0])),
        Opcode::Neg => lanewise(e, instr, 1, &|b, _, v| b.ins().ineg(v[0])),
        Opcode::Min | Opcode::Max => extremum(e, instr),
        Opcode::Dp4a | Opcode::Dp2a => dot(e, instr),
        _ => refuse("not an integer instruction"),
    }
}

fn lanewise(
    e: &mut Emitter<'_, '_>,
    instr: &Instr,
    count: usize,
    f: &dyn Fn(&mut FunctionBuilder<'_>, ScalarType, &[Value]) -> Value,
) -> Emit {
    let ty = type_of(instr, 0)?;
    let mut args = Vec::with_capacity(count);
    for n in 1..=count {
        args.push(e.read(operand(instr, n)?, ty)?);
    }
    let result = lanes::map(&mut e.b, ty, &args, f);
    e.write(operand(instr, 0)?, result, ty)
}

/// `|value|`; the most negative number stays.
fn abs(b: &mut FunctionBuilder<'_>, ty: ScalarType, value: Value) -> Value {
    if !ty.is_signed() {
        return value;
    }
    let negative = icmp_const(b, IntCC::SignedLessThan, value, 0);
    let minus = b.ins().ineg(value);
    b.ins().select(negative, minus, value)
}

fn add_sub(e: &mut Emitter<'_, '_>, instr: &Instr) -> Emit {
    let subtract = matches!(instr.op, Opcode::Sub | Opcode::Subc);
    let carry_in = matches!(instr.op, Opcode::Addc | Opcode::Subc);
    if instr.mods.cc || carry_in {
        let ty = type_of(instr, 0)?;
        let x = e.read(operand(instr, 1)?, ty)?;
        let y = e.read(operand(instr, 2)?, ty)?;
        let result = with_carry(e, x, y, subtract, carry_in, instr.mods.cc);
        return e.write(operand(instr, 0)?, result, ty);
    }
    let saturate = instr.mods.sat;
    lanewise(e, instr, 2, &|b, ty, v| {
        if saturate {
            return saturating(b, ty, v[0], v[1], subtract);
        }
        if subtract {
            b.ins().isub(v[0], v[1])
        } else {
            b.ins().iadd(v[0], v[1])
        }
    })
}

/// `.sat` of a 32-bit (or narrower) sum: computed in 64 bits and clamped.
fn saturating(
    b: &mut FunctionBuilder<'_>,
    ty: ScalarType,
    x: Value,
    y: Value,
    subtract: bool,
) -> Value {
    let (x, y) = (
        resize(b, x, types::I64, ty.is_signed()),
        resize(b, y, types::I64, ty.is_signed()),
    );
    let sum = if subtract {
        b.ins().isub(x, y)
    } else {
        b.ins().iadd(x, y)
    };
    clamp(b, sum, ty)
}

/// Clamps a signed 64-bit value to an integer type of at most 32 bits.
pub(crate) fn clamp(b: &mut FunctionBuilder<'_>, value: Value, ty: ScalarType) -> Value {
    let bits = ty.bits();
    let (low, high) = if ty.is_signed() {
        (-(1_i64 << (bits - 1)), (1_i64 << (bits - 1)) - 1)
    } else {
        (0, (1_i64 << bits) - 1)
    };
    let low = iconst(b, types::I64, low);
    let high = iconst(b, types::I64, high);
    let value = b.ins().smax(value, low);
    let value = b.ins().smin(value, high);
    b.ins().ireduce(machine_type(ty), value)
}

/// Adds or subtracts with the carry flag. PTX's carry after a subtraction is the borrow.
fn with_carry(
    e: &mut Emitter<'_, '_>,
    x: Value,
    y: Value,
    subtract: bool,
    carry_in: bool,
    carry_out: bool,
) -> Value {
    let b = &mut e.b;
    let ty = b.func.dfg.value_type(x);
    let step = |b: &mut FunctionBuilder<'_>, x, y| {
        if subtract {
            let result = b.ins().isub(x, y);
            (result, b.ins().icmp(IntCC::UnsignedLessThan, x, y))
        } else {
            let result = b.ins().iadd(x, y);
            (result, b.ins().icmp(IntCC::UnsignedLessThan, result, x))
        }
    };
    let (mut result, mut carry) = step(b, x, y);
    if carry_in {
        let flag = b.use_var(e.carry);
        let flag = resize(b, flag, ty, false);
        let (with_flag, second) = step(b, result, flag);
        result = with_flag;
        carry = b.ins().bor(carry, second);
    }
    if carry_out {
        b.def_var(e.carry, carry);
    }
    result
}

/// The part of a product that the instruction keeps.
pub(crate) fn product(
    b: &mut FunctionBuilder<'_>,
    ty: ScalarType,
    x: Value,
    y: Value,
    mode: MulMode,
) -> Value {
    let machine = b.func.dfg.value_type(x);
    let signed = ty.is_signed();
    match mode {
        MulMode::Lo => b.ins().imul(x, y),
        MulMode::Hi if machine == types::I64 && signed => b.ins().smulhi(x, y),
        MulMode::Hi if machine == types::I64 => b.ins().umulhi(x, y),
        MulMode::Hi | MulMode::Wide => {
            let wide = machine.double_width().unwrap_or(types::I64);
            let (xw, yw) = (resize(b, x, wide, signed), resize(b, y, wide, signed));
            let full = b.ins().imul(xw, yw);
            if mode == MulMode::Wide {
                return full;
            }
            let high = b.ins().ushr_imm_u(full, i64::from(machine.bits()));
            b.ins().ireduce(machine, high)
        }
    }
}

fn mul_mad(e: &mut Emitter<'_, '_>, instr: &Instr) -> Emit {
    let ty = type_of(instr, 0)?;
    let mode = instr.mods.mul.unwrap_or(MulMode::Lo);
    let result_ty = match mode {
        MulMode::Wide => match ty.widened() {
            Some(wide) => wide,
            None => return refuse("this type has no wider one"),
        },
        _ => ty,
    };
    let x = e.read(operand(instr, 1)?, ty)?;
    let y = e.read(operand(instr, 2)?, ty)?;
    let product = product(&mut e.b, ty, x, y, mode);
    if instr.op == Opcode::Mul {
        return e.write(operand(instr, 0)?, product, result_ty);
    }
    let z = e.read(operand(instr, 3)?, result_ty)?;
    let carry_in = instr.op == Opcode::Madc;
    let result = if instr.mods.sat {
        saturating(&mut e.b, result_ty, product, z, false)
    } else if instr.mods.cc || carry_in {
        with_carry(e, product, z, false, carry_in, instr.mods.cc)
    } else {
        e.b.ins().iadd(product, z)
    };
    e.write(operand(instr, 0)?, result, result_ty)
}

/// Products of the low 24 bits: 48 bits, of which `.lo` keeps 0..32 and `.hi` 16..48.
fn mul24(e: &mut Emitter<'_, '_>, instr: &Instr) -> Emit {
    let ty = type_of(instr, 0)?;
    let mut factors = [None; 2];
    for (n, factor) in factors.iter_mut().enumerate() {
        let value = e.read(operand(instr, n + 1)?, ty)?;
        let value = resize(&mut e.b, value, types::I64, false);
        let top = shl(&mut e.b, value, 40);
        *factor = Some(if ty.is_signed() {
            e.b.ins().sshr_imm_u(top, 40)
        } else {
            e.b.ins().ushr_imm_u(top, 40)
        });
    }
    let [Some(x), Some(y)] = factors else {
        return refuse("operands are missing");
    };
    let full = e.b.ins().imul(x, y);
    let kept = match instr.mods.mul {
        Some(MulMode::Hi) => e.b.ins().sshr_imm_u(full, 16),
        _ => full,
    };
    let product = e.b.ins().ireduce(types::I32, kept);
    if instr.op == Opcode::Mul24 {
        return e.write(operand(instr, 0)?, product, ty);
    }
    let z = e.read(operand(instr, 3)?, ty)?;
    let result = if instr.mods.sat {
        saturating(&mut e.b, ty, product, z, false)
    } else {
        e.b.ins().iadd(product, z)
    };
    e.write(operand(instr, 0)?, result, ty)
}

/// `|x - y| + z`.
fn sad(e: &mut Emitter<'_, '_>, instr: &Instr) -> Emit {
    lanewise(e, instr, 3, &|b, ty, v| {
        let less = if ty.is_signed() {
            IntCC::SignedLessThan
        } else {
            IntCC::UnsignedLessThan
        };
        let below = b.ins().icmp(less, v[0], v[1]);
        let (forth, back) = (b.ins().isub(v[0], v[1]), b.ins().isub(v[1], v[0]));
        let difference = b.ins().select(below, back, forth);
        b.ins().iadd(v[2], difference)
    })
}

fn div_rem(e: &mut Emitter<'_, '_>, instr: &Instr) -> Emit {
    let ty = type_of(instr, 0)?;
    let signed = ty.is_signed();
    let remainder = instr.op == Opcode::Rem;
    let x = e.read(operand(instr, 1)?, ty)?;
    let y = e.read(operand(instr, 2)?, ty)?;
    let known = constant(operand(instr, 2)?).filter(|divisor| *divisor != 0 && *divisor != -1);
    // Narrow division runs in 32 bits.
    let machine = machine_type(ty);
    let wide = if machine.bits() < 32 {
        types::I32
    } else {
        machine
    };
    let b = &mut e.b;
    let (x, y) = (resize(b, x, wide, signed), resize(b, y, wide, signed));
    let result = if known.is_some() {
        divide(b, x, y, signed, remainder)
    } else {
        guarded_divide(b, x, y, signed, remainder)
    };
    let result = resize(b, result, machine, false);
    e.write(operand(instr, 0)?, result, ty)
}

fn divide(b: &mut FunctionBuilder<'_>, x: Value, y: Value, signed: bool, remainder: bool) -> Value {
    match (signed, remainder) {
        (true, false) => b.ins().sdiv(x, y),
        (true, true) => b.ins().srem(x, y),
        (false, false) => b.ins().udiv(x, y),
        (false, true) => b.ins().urem(x, y),
    }
}

/// Divides by 1 instead of the divisors that trap on the host, then puts the right result in place.
fn guarded_divide(
    b: &mut FunctionBuilder<'_>,
    x: Value,
    y: Value,
    signed: bool,
    remainder: bool,
) -> Value {
    let ty = b.func.dfg.value_type(x);
    let one = iconst(b, ty, 1);
    let by_zero = icmp_const(b, IntCC::Equal, y, 0);
    let mut divisor = b.ins().select(by_zero, one, y);
    let by_minus_one = icmp_const(b, IntCC::Equal, y, -1);
    if signed {
        divisor = b.ins().select(by_minus_one, one, divisor);
    }
    let mut result = divide(b, x, divisor, signed, remainder);
    if signed && !remainder {
        let minus = b.ins().ineg(x);
        result = b.ins().select(by_minus_one, minus, result);
    }
    let at_zero = if remainder { x } else { iconst(b, ty, -1) };
    b.ins().select(by_zero, at_zero, result)
}

fn extremum(e: &mut Emitter<'_, '_>, instr: &Instr) -> Emit {
    let max = instr.op == Opcode::Max;
    let relu = instr.mods.relu;
    lanewise(e, instr, 2, &|b, ty, v| {
        let cond = match (max, ty.is_signed()) {
            (true, true) => IntCC::SignedGreaterThan,
            (true, false) => IntCC::UnsignedGreaterThan,
            (false, true) => IntCC::SignedLessThan,
            (false, false) => IntCC::UnsignedLessThan,
        };
        let first = b.ins().icmp(cond, v[0], v[1]);
        let result = choose(b, first, v[0], v[1]);
        if !relu {
            return result;
        }
        let negative = icmp_const(b, IntCC::SignedLessThan, result, 0);
        let zero = iconst(b, b.func.dfg.value_type(result), 0);
        choose(b, negative, zero, result)
    })
}

/// `dp4a` and `dp2a`: sums of products of bytes, or of halves with bytes.
fn dot(e: &mut Emitter<'_, '_>, instr: &Instr) -> Emit {
    let (x_signed, y_signed) = (
        type_of(instr, 0)?.is_signed(),
        type_of(instr, 1)?.is_signed(),
    );
    let x = e.read_u32(operand(instr, 1)?)?;
    let y = e.read_u32(operand(instr, 2)?)?;
    let mut sum = e.read_u32(operand(instr, 3)?)?;
    let b = &mut e.b;
    let pairs = if instr.op == Opcode::Dp4a { 4 } else { 2 };
    let x_bits = 32 / pairs;
    let y_start = if instr.mods.mul == Some(MulMode::Hi) {
        16
    } else {
        0
    };
    for at in 0..pairs {
        let left = field(b, x, at * x_bits, x_bits, x_signed);
        let right = field(b, y, y_start + at * 8, 8, y_signed);
        let product = b.ins().imul(left, right);
        sum = b.ins().iadd(sum, product);
    }
    e.write(operand(instr, 0)?, sum, ScalarType::U32)
}

/// `bits` bits of a 32-bit value from bit `at`, extended to 32 bits.
pub(crate) fn field(
    b: &mut FunctionBuilder<'_>,
    value: Value,
    at: i64,
    bits: i64,
    signed: bool,
) -> Value {
    if signed {
        let top = b.ins().ishl_imm_u(value, 32 - bits - at);
        return b.ins().sshr_imm_u(top, 32 - bits);
    }
    let low = if at == 0 {
        value
    } else {
        b.ins().ushr_imm_u(value, at)
    };
    mask(b, low, (1 << bits) - 1)
}
