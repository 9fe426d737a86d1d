//! Small helpers over the function builder that every instruction family uses.

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{Endianness, InstBuilder, MemFlagsData, Type, Value, types};
use cranelift_frontend::FunctionBuilder;

/// Flags of an access whose address has been checked, or whose fault the executor catches.
pub(crate) fn checked() -> MemFlagsData {
    MemFlagsData::new().with_notrap().with_aligned()
}

/// Flags of a load whose bytes never change while the kernel runs.
pub(crate) fn constant() -> MemFlagsData {
    checked().with_readonly().with_can_move()
}

/// Integer constant, cut to the width of `ty`; in each lane of a vector.
pub(crate) fn iconst(b: &mut FunctionBuilder<'_>, ty: Type, value: i64) -> Value {
    if ty.is_vector() {
        let lane = iconst(b, ty.lane_type(), value);
        return b.ins().splat(ty, lane);
    }
    if ty == types::I128 {
        let low = b.ins().iconst(types::I64, value);
        let high = b.ins().iconst(types::I64, value >> 63);
        return b.ins().iconcat(low, high);
    }
    let value = match ty.bits() {
        64.. => value,
        bits => value & ((1 << bits) - 1),
    };
    b.ins().iconst(ty, value)
}

/// Float constant of `ty` (F32 or F64); in each lane of a vector.
pub(crate) fn fconst(b: &mut FunctionBuilder<'_>, ty: Type, value: f64) -> Value {
    if ty.is_vector() {
        let lane = fconst(b, ty.lane_type(), value);
        return b.ins().splat(ty, lane);
    }
    if ty == types::F64 {
        b.ins().f64const(value)
    } else {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "callers pass values exact in f32"
        )]
        let single = value as f32;
        b.ins().f32const(single)
    }
}

/// The integer type as wide as `ty`.
pub(crate) fn int_of(ty: Type) -> Type {
    match ty {
        types::F32 => types::I32,
        types::F64 => types::I64,
        types::F32X4 => types::I32X4,
        other => other,
    }
}

/// `value` seen as a vector type of the same width.
pub(crate) fn recast(b: &mut FunctionBuilder<'_>, value: Value, ty: Type) -> Value {
    if b.func.dfg.value_type(value) == ty {
        return value;
    }
    let flags = MemFlagsData::new().with_endianness(Endianness::Little);
    b.ins().bitcast(ty, flags, value)
}

/// `x` where the condition holds, else `y`: a predicate for single values, a mask for vectors.
pub(crate) fn choose(b: &mut FunctionBuilder<'_>, cond: Value, x: Value, y: Value) -> Value {
    let ty = b.func.dfg.value_type(x);
    if !ty.is_vector() {
        return b.ins().select(cond, x, y);
    }
    let mask = recast(b, cond, ty);
    b.ins().bitselect(mask, x, y)
}

/// The predicate's, or the mask's, opposite.
pub(crate) fn negate(b: &mut FunctionBuilder<'_>, predicate: Value) -> Value {
    if b.func.dfg.value_type(predicate).is_vector() {
        b.ins().bnot(predicate)
    } else {
        b.ins().bxor_imm_u(predicate, 1)
    }
}

/// `value` seen as `ty`: same bits where the widths agree, else cut or zero-extended.
pub(crate) fn reshape(b: &mut FunctionBuilder<'_>, value: Value, ty: Type) -> Value {
    let from = b.func.dfg.value_type(value);
    if from == ty {
        return value;
    }
    if ty.is_vector() {
        return recast(b, value, ty);
    }
    let value = bits(b, value);
    let resized = resize(b, value, int_of(ty), false);
    if ty.is_float() {
        b.ins().bitcast(ty, MemFlagsData::new(), resized)
    } else {
        resized
    }
}

/// The bits of a float as an integer; integers pass through.
pub(crate) fn bits(b: &mut FunctionBuilder<'_>, value: Value) -> Value {
    let ty = b.func.dfg.value_type(value);
    if ty.is_float() {
        b.ins().bitcast(int_of(ty), MemFlagsData::new(), value)
    } else if ty.is_vector() {
        recast(b, value, int_of(ty))
    } else {
        value
    }
}

/// An integer value cut or extended to `ty`.
pub(crate) fn resize(b: &mut FunctionBuilder<'_>, value: Value, ty: Type, signed: bool) -> Value {
    let from = b.func.dfg.value_type(value);
    if from == ty {
        value
    } else if from.bits() > ty.bits() {
        b.ins().ireduce(ty, value)
    } else if signed {
        b.ins().sextend(ty, value)
    } else {
        b.ins().uextend(ty, value)
    }
}

/// `value` as 64 unsigned bits.
pub(crate) fn wide(b: &mut FunctionBuilder<'_>, value: Value) -> Value {
    resize(b, value, types::I64, false)
}

/// `value AND mask`.
pub(crate) fn mask(b: &mut FunctionBuilder<'_>, value: Value, mask: i64) -> Value {
    let ty = b.func.dfg.value_type(value);
    let mask = iconst(b, ty, mask);
    b.ins().band(value, mask)
}

/// `value << count`, the count below the width.
pub(crate) fn shl(b: &mut FunctionBuilder<'_>, value: Value, count: i64) -> Value {
    b.ins().ishl_imm_u(value, count)
}

/// `value >> count`, zeros shifted in, the count below the width.
pub(crate) fn shr(b: &mut FunctionBuilder<'_>, value: Value, count: i64) -> Value {
    b.ins().ushr_imm_u(value, count)
}

/// Compares with a constant.
pub(crate) fn icmp_const(
    b: &mut FunctionBuilder<'_>,
    cond: IntCC,
    value: Value,
    constant: i64,
) -> Value {
    let ty = b.func.dfg.value_type(value);
    let constant = iconst(b, ty, constant);
    b.ins().icmp(cond, value, constant)
}
