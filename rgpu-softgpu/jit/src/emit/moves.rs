//! `mov` with its vector forms, generic addresses, cluster addresses.

use cranelift_codegen::ir::{InstBuilder, Value, types};
use rgpu_ptx::ast::{Instr, Operand};
use rgpu_ptx::instr_table::Opcode;
use rgpu_ptx::types::{ScalarType, StateSpace};
use rgpu_softgpu_exec::abi::{
    DEVICE_WINDOW_BASE, DEVICE_WINDOW_SIZE, LOCAL_WINDOW_BASE, PARAM_WINDOW_BASE,
    SHARED_WINDOW_BASE, SMALL_WINDOW_SIZE,
};

use super::special::in_window;
use super::util::{bits, iconst, reshape, resize, shl, shr, wide};
use super::{Emitter, operand, type_of};
use crate::error::{Emit, refuse};
use crate::passes::reg_types::machine_type;

/// Emits an instruction of this family.
pub(crate) fn emit(e: &mut Emitter<'_, '_>, instr: &Instr) -> Emit {
    match instr.op {
        Opcode::Mov => mov(e, instr),
        Opcode::Cvta => cvta(e, instr),
        Opcode::Isspacep => isspacep(e, instr),
        Opcode::Mapa => {
            // A block is its own cluster, so its shared memory is where it is.
            let ty = type_of(instr, 0)?;
            let value = e.read(operand(instr, 1)?, ty)?;
            e.write(operand(instr, 0)?, value, ty)
        }
        _ => {
            let zero = iconst(&mut e.b, types::I32, 0);
            e.write(operand(instr, 0)?, zero, ScalarType::U32)
        }
    }
}

/// `createpolicy`: hints have no effect, the policy is any number.
pub(crate) fn policy(e: &mut Emitter<'_, '_>, instr: &Instr) -> Emit {
    let zero = iconst(&mut e.b, types::I64, 0);
    e.write(operand(instr, 0)?, zero, ScalarType::B64)
}

fn mov(e: &mut Emitter<'_, '_>, instr: &Instr) -> Emit {
    let ty = type_of(instr, 0)?;
    let (target, source) = (operand(instr, 0)?, operand(instr, 1)?);
    match (target, source) {
        (Operand::Vec(targets), Operand::Vec(sources)) if targets.len() == sources.len() => {
            let mut values = Vec::with_capacity(sources.len());
            for source in sources {
                values.push(e.read(source, ty)?);
            }
            for (target, value) in targets.iter().zip(values) {
                e.write(target, value, ty)?;
            }
            Ok(())
        }
        (Operand::Vec(targets), _) => {
            let value = e.read_bits(source, ty)?;
            unpack(e, value, ty, targets)
        }
        (_, Operand::Vec(sources)) => {
            let value = pack(e, ty, sources)?;
            e.write(target, value, ty)
        }
        _ => {
            let value = e.read(source, ty)?;
            e.write(target, value, ty)
        }
    }
}

/// The type of one of `count` equal parts of `ty`.
fn part_type(ty: ScalarType, count: usize) -> Emit<ScalarType> {
    let bits = ty.bits() / u32::try_from(count.max(1)).unwrap_or(u32::MAX);
    Ok(match bits {
        8 => ScalarType::B8,
        16 => ScalarType::B16,
        32 => ScalarType::B32,
        64 => ScalarType::B64,
        _ => return refuse("vector does not divide the type"),
    })
}

fn unpack(e: &mut Emitter<'_, '_>, value: Value, ty: ScalarType, targets: &[Operand]) -> Emit {
    let part = part_type(ty, targets.len())?;
    if ty == ScalarType::B128 {
        let (low, high) = e.b.ins().isplit(value);
        for (half, chunk) in [low, high]
            .into_iter()
            .zip(targets.chunks(targets.len() / 2))
        {
            for (at, target) in (0_i64..).zip(chunk) {
                let piece = slice(e, half, at, part);
                e.write(target, piece, part)?;
            }
        }
        return Ok(());
    }
    for (at, target) in (0_i64..).zip(targets) {
        let piece = slice(e, value, at, part);
        e.write(target, piece, part)?;
    }
    Ok(())
}

/// Part number `at` of an integer.
fn slice(e: &mut Emitter<'_, '_>, value: Value, at: i64, part: ScalarType) -> Value {
    let shift = at * i64::from(part.bits());
    let shifted = if shift == 0 {
        value
    } else {
        shr(&mut e.b, value, shift)
    };
    resize(&mut e.b, shifted, machine_type(part), false)
}

fn pack(e: &mut Emitter<'_, '_>, ty: ScalarType, sources: &[Operand]) -> Emit<Value> {
    let part = part_type(ty, sources.len())?;
    if ty == ScalarType::B128 {
        let (low, high) = sources.split_at(sources.len() / 2);
        let low = join(e, types::I64, part, low)?;
        let high = join(e, types::I64, part, high)?;
        return Ok(e.b.ins().iconcat(low, high));
    }
    join(e, machine_type(ty), part, sources)
}

fn join(
    e: &mut Emitter<'_, '_>,
    whole: cranelift_codegen::ir::Type,
    part: ScalarType,
    sources: &[Operand],
) -> Emit<Value> {
    let mut joined = None;
    for (at, source) in (0_i64..).zip(sources) {
        let value = e.read(source, part)?;
        let value = bits(&mut e.b, value);
        let value = reshape(&mut e.b, value, whole);
        let shift = at * i64::from(part.bits());
        let value = if shift == 0 {
            value
        } else {
            shl(&mut e.b, value, shift)
        };
        joined = Some(match joined {
            None => value,
            Some(before) => e.b.ins().bor(before, value),
        });
    }
    joined.map_or_else(|| refuse("empty vector"), Ok)
}

/// First generic address of a state space; device memory has one address for both.
fn window_base(space: StateSpace) -> Emit<u64> {
    match space {
        StateSpace::Global | StateSpace::Const => Ok(0),
        StateSpace::Shared | StateSpace::SharedCluster => Ok(SHARED_WINDOW_BASE),
        StateSpace::Local => Ok(LOCAL_WINDOW_BASE),
        StateSpace::Param => Ok(PARAM_WINDOW_BASE),
        other => refuse(format!("no generic addresses for .{other}")),
    }
}

fn cvta(e: &mut Emitter<'_, '_>, instr: &Instr) -> Emit {
    let ty = type_of(instr, 0)?;
    let Some(space) = instr.mods.space else {
        return refuse("no state space");
    };
    let source = operand(instr, 1)?;
    // In a function, a parameter's address lies in local memory.
    let space = match source {
        Operand::Symbol { symbol, .. } if space == StateSpace::Param => e.symbol_space(*symbol),
        _ if space == StateSpace::Param && !e.function().is_kernel => StateSpace::Local,
        _ => space,
    };
    let base = window_base(space)?;
    let value = e.read(source, ScalarType::U64)?;
    let moved = match base {
        0 => value,
        base if instr.mods.to => {
            e.b.ins()
                .iadd_imm_s(value, base.cast_signed().wrapping_neg())
        }
        base => e.b.ins().iadd_imm_s(value, base.cast_signed()),
    };
    let moved = reshape(&mut e.b, moved, machine_type(ty));
    e.write(operand(instr, 0)?, moved, ty)
}

fn isspacep(e: &mut Emitter<'_, '_>, instr: &Instr) -> Emit {
    let Some(space) = instr.mods.space else {
        return refuse("no state space");
    };
    let address = match operand(instr, 1)? {
        Operand::Reg(reg) => e.reg_wide(*reg),
        other => e.read(other, ScalarType::U64)?,
    };
    let address = wide(&mut e.b, address);
    let answer = match space {
        StateSpace::Global => {
            let device = in_window(e, address, DEVICE_WINDOW_BASE, DEVICE_WINDOW_SIZE);
            match in_constants(e, address) {
                Some(constant) => e.b.ins().band_not(device, constant),
                None => device,
            }
        }
        StateSpace::Const => match in_constants(e, address) {
            Some(constant) => constant,
            None => iconst(&mut e.b, types::I8, 0),
        },
        other => in_window(e, address, window_base(other)?, SMALL_WINDOW_SIZE),
    };
    e.write(operand(instr, 0)?, answer, ScalarType::Pred)
}

/// Whether an address lies in a constant of the module, all of which live in device memory; `None` without constants.
fn in_constants(e: &mut Emitter<'_, '_>, address: Value) -> Option<Value> {
    let (module, addresses) = (e.unit.module, e.unit.addresses);
    let mut found = None;
    for (variable, base) in module.variables.iter().zip(addresses) {
        if let (StateSpace::Const, Some(base)) = (variable.space, *base) {
            let here = in_window(e, address, base, variable.size.max(1));
            found = Some(found.map_or(here, |other| e.b.ins().bor(other, here)));
        }
    }
    found
}
