//! Calls. Every device function takes the context and then one host address per parameter and return
//! place, and returns whether the thread has ended. Calls through a register look the function up in a
//! table and compare signatures, so that a wild pointer is a trap.

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{
    AbiParam, InstBuilder, Signature, StackSlotData, StackSlotKind, Value, types,
};
use cranelift_codegen::isa::TargetIsa;
use cranelift_module::Module as _;
use rgpu_ptx::ast::{Call, CallArg, CallTarget, FuncId, Param, Symbol};
use rgpu_ptx::types::ScalarType;
use rgpu_softgpu_exec::abi::Trap;

use super::Emitter;
use super::control::follow_exit;
use super::memory::slot_flags;
use super::place::Access;
use super::util::{checked, icmp_const, iconst};
use crate::error::{Emit, refuse};
use crate::passes::reach::resolve_alias;
use crate::passes::reg_types::machine_type;
use crate::{FUNCTION_STRIDE, FUNCTION_WINDOW_BASE};

/// Bytes of an entry of the function table: code address, signature.
pub(crate) const TABLE_ENTRY: u64 = 16;

/// The machine signature of a device function.
pub(crate) fn signature(isa: &dyn TargetIsa, places: usize) -> Signature {
    let mut signature = Signature::new(isa.default_call_conv());
    signature
        .params
        .extend((0..=places).map(|_| AbiParam::new(types::I64)));
    signature.returns.push(AbiParam::new(types::I32));
    signature
}

/// A number that equals only for functions with parameters of the same sizes (FNV-1a).
pub(crate) fn signature_id(params: &[Param], returns: &[Param]) -> u64 {
    let sizes = |list: &[Param]| list.iter().map(|param| param.size).collect::<Vec<_>>();
    let words = [vec![params.len() as u64], sizes(params), sizes(returns)].concat();
    words
        .iter()
        .flat_map(|word| word.to_le_bytes())
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        })
}

/// `call`.
pub(crate) fn emit(e: &mut Emitter<'_, '_>, call: &Call) -> Emit {
    let module = e.unit.module;
    match &call.target {
        CallTarget::Direct(id) => {
            let id = resolve_alias(module, *id);
            let function = &module.functions[id.index()];
            if function.body.is_none() {
                return external(e, &function.name, call);
            }
            let places = places(e, call, &function.params, &function.returns)?;
            let callee = e.callee(id)?;
            let mut args = vec![e.thread.ctx];
            args.extend(&places);
            let inst = e.b.ins().call(callee, &args);
            let status = e.b.inst_results(inst)[0];
            let may_exit = e
                .unit
                .plan
                .reached
                .index_of(id)
                .is_none_or(|at| e.unit.plan.exits[at]);
            finish(
                e,
                call,
                &function.returns,
                &places,
                may_exit.then_some(status),
            )
        }
        CallTarget::Indirect { callee, prototype } => {
            let prototype = &e.function().body.prototypes[prototype.index()];
            let callee = e.reg_wide(*callee);
            indirect(e, call, callee, &prototype.params, &prototype.returns)
        }
        CallTarget::OneOf { callee, targets } => {
            let Some(first) = targets.first() else {
                return refuse("call of nothing");
            };
            let first = &module.functions[first.index()];
            let callee = e.reg_wide(*callee);
            indirect(e, call, callee, &first.params, &first.returns)
        }
    }
}

fn indirect(
    e: &mut Emitter<'_, '_>,
    call: &Call,
    callee: Value,
    params: &[Param],
    returns: &[Param],
) -> Emit {
    let places = places(e, call, params, returns)?;
    let Some(table) = e.unit.table else {
        return refuse("call through a register without a table");
    };
    let bad = e.b.create_block();
    e.b.set_cold_block(bad);

    let offset =
        e.b.ins()
            .iadd_imm_s(callee, FUNCTION_WINDOW_BASE.cast_signed().wrapping_neg());
    let index =
        e.b.ins()
            .rotr_imm_u(offset, i64::from(FUNCTION_STRIDE.ilog2()));
    let count = e.unit.module.functions.len() as u64;
    let known = icmp_const(
        &mut e.b,
        IntCC::UnsignedLessThan,
        index,
        count.cast_signed(),
    );
    let lookup = e.b.create_block();
    e.b.ins().brif(known, lookup, &[], bad, &[]);

    e.b.switch_to_block(lookup);
    let table = e.jit.declare_data_in_func(table, e.b.func);
    let base = e.b.ins().symbol_value(types::I64, table);
    let entry = e.b.ins().imul_imm_u(index, TABLE_ENTRY.cast_signed());
    let entry = e.b.ins().iadd(base, entry);
    let code = e.b.ins().load(types::I64, checked(), entry, 0);
    let id = e.b.ins().load(types::I64, checked(), entry, 8);
    let wanted = iconst(
        &mut e.b,
        types::I64,
        signature_id(params, returns).cast_signed(),
    );
    let same = e.b.ins().icmp(IntCC::Equal, id, wanted);
    let go = e.b.create_block();
    e.b.ins().brif(same, go, &[], bad, &[]);

    e.b.switch_to_block(bad);
    e.emit_trap(Trap::InvalidPc)?;

    e.b.switch_to_block(go);
    let signature = signature(e.jit.isa(), places.len());
    let signature = e.b.import_signature(signature);
    let mut args = vec![e.thread.ctx];
    args.extend(&places);
    let inst = e.b.ins().call_indirect(signature, code, &args);
    let status = e.b.inst_results(inst)[0];
    finish(e, call, returns, &places, Some(status))
}

/// Follows an exit of the callee, then fetches results that go to registers.
fn finish(
    e: &mut Emitter<'_, '_>,
    call: &Call,
    returns: &[Param],
    places: &[Value],
    status: Option<Value>,
) -> Emit {
    if let Some(status) = status {
        follow_exit(e, status)?;
    }
    for (index, place) in call.returns.iter().enumerate() {
        if let CallArg::Reg(reg) = place {
            let ty = returns[index].ty;
            let from = places[call.args.len() + index];
            let value = e.b.ins().load(machine_type(ty), slot_flags(), from, 0);
            e.write_reg(*reg, value, ty.is_signed());
        }
    }
    Ok(())
}

/// Host addresses of all arguments and return places.
fn places(
    e: &mut Emitter<'_, '_>,
    call: &Call,
    params: &[Param],
    returns: &[Param],
) -> Emit<Vec<Value>> {
    if call.args.len() != params.len() || call.returns.len() != returns.len() {
        return refuse("the call does not fit the function's parameters");
    }
    let mut places = Vec::with_capacity(params.len() + returns.len());
    for (arg, param) in call.args.iter().zip(params) {
        places.push(argument(e, arg, param)?);
    }
    for (arg, param) in call.returns.iter().zip(returns) {
        let place = match arg {
            CallArg::Param(symbol) => param_place(e, *symbol, param.size)?,
            CallArg::Reg(_) | CallArg::Sink => scratch(e, param.size)?,
            CallArg::Imm(_) => return refuse("a constant cannot take a result"),
        };
        places.push(place);
    }
    Ok(places)
}

fn argument(e: &mut Emitter<'_, '_>, arg: &CallArg, param: &Param) -> Emit<Value> {
    let value = match arg {
        CallArg::Param(symbol) => return param_place(e, *symbol, param.size),
        CallArg::Reg(reg) => e.read(&rgpu_ptx::ast::Operand::Reg(*reg), param.ty)?,
        CallArg::Imm(imm) => e.constant(imm.bits_as(param.ty), param.ty),
        CallArg::Sink => return refuse("`_` is no argument"),
    };
    let place = scratch(e, param.size)?;
    e.b.ins().store(slot_flags(), value, place, 0);
    Ok(place)
}

/// Largest parameter passed in a register.
const SCRATCH_LIMIT: u64 = 16;

pub(crate) fn scratch(e: &mut Emitter<'_, '_>, size: u64) -> Emit<Value> {
    if size > SCRATCH_LIMIT {
        return refuse("this parameter cannot be passed in a register");
    }
    let slot = StackSlotData::new(StackSlotKind::ExplicitSlot, 16, 4);
    let slot = e.b.create_sized_stack_slot(slot);
    Ok(e.b.ins().stack_addr(types::I64, slot, 0))
}

/// Host address of a `.param` variable that holds at least `size` bytes.
fn param_place(e: &mut Emitter<'_, '_>, symbol: Symbol, size: u64) -> Emit<Value> {
    let function = e.function();
    let held = match symbol {
        Symbol::Local(id) => function.body.vars[id.index()].size,
        Symbol::Param(n) => function.params[n as usize].size,
        Symbol::Return(n) => function.returns[n as usize].size,
        _ => 0,
    };
    if held < size {
        return refuse("the argument is smaller than the parameter");
    }
    let address = rgpu_ptx::ast::Address {
        base: rgpu_ptx::ast::AddrBase::Symbol(symbol),
        offset: 0,
    };
    let (base, offset) = e.place(None, &address, Access::store(1))?;
    Ok(if offset == 0 {
        base
    } else {
        e.b.ins().iadd_imm_s(base, i64::from(offset))
    })
}

/// A function of the executor: its row among the library calls, its parameters and its result.
type SystemFunction = (&'static str, &'static [ScalarType], Option<ScalarType>);

/// Functions that every program may call without defining them (the CUDA C++ guide's system calls).
fn system_function(name: &str) -> Option<SystemFunction> {
    use ScalarType::{U32, U64};
    match name {
        "vprintf" => Some(("vprintf", &[U64, U64], Some(U32))),
        "malloc" => Some(("malloc", &[U64], Some(U64))),
        "free" => Some(("free", &[U64], None)),
        "__assertfail" => Some(("assertfail", &[U64, U64, U32, U64, U64], None)),
        _ => None,
    }
}

/// Whether a program may call a function of this name without defining it.
pub fn is_system_function(name: &str) -> bool {
    system_function(name).is_some()
}

/// Whether a function that the module does not define ends the thread that calls it. What a thread whose assertion
/// failed does to its launch is the executor's business; others go on, so that theirs are printed too.
pub(crate) fn ends_thread(name: &str) -> bool {
    name == "__assertfail"
}

/// Calls a function that the module does not define.
fn external(e: &mut Emitter<'_, '_>, name: &str, call: &Call) -> Emit {
    let Some((row, params, result)) = system_function(name) else {
        return refuse(format!("function {name} is not defined"));
    };
    if call.args.len() != params.len() || call.returns.len() > 1 {
        return refuse(format!(
            "{name} is called with the wrong number of parameters"
        ));
    }
    let mut args = vec![e.thread.ctx];
    for (arg, ty) in call.args.iter().zip(params) {
        args.push(argument_value(e, arg, *ty)?);
    }
    let value = e.libcall(row, &args)?;
    if ends_thread(name) {
        let always = e.b.ins().iconst(types::I32, 1);
        return follow_exit(e, always);
    }
    let (Some(place), Some(value), Some(ty)) = (call.returns.first(), value, result) else {
        return Ok(());
    };
    match place {
        CallArg::Param(symbol) => {
            let place = param_place(e, *symbol, u64::from(ty.size()))?;
            e.b.ins().store(slot_flags(), value, place, 0);
        }
        CallArg::Reg(reg) => e.write_reg(*reg, value, false),
        CallArg::Imm(_) | CallArg::Sink => {}
    }
    Ok(())
}

fn argument_value(e: &mut Emitter<'_, '_>, arg: &CallArg, ty: ScalarType) -> Emit<Value> {
    match arg {
        CallArg::Param(symbol) => {
            let place = param_place(e, *symbol, u64::from(ty.size()))?;
            Ok(e.b.ins().load(machine_type(ty), slot_flags(), place, 0))
        }
        CallArg::Reg(reg) => e.read(&rgpu_ptx::ast::Operand::Reg(*reg), ty),
        CallArg::Imm(imm) => Ok(e.constant(imm.bits_as(ty), ty)),
        CallArg::Sink => refuse("`_` is no argument"),
    }
}

/// Copies a parameter, whose size is known and small, word by word.
pub(crate) fn copy_bytes(e: &mut Emitter<'_, '_>, to: Value, from: Value, size: u64) {
    let mut at = 0;
    while at < size {
        let (ty, step) = match size - at {
            8.. => (types::I64, 8),
            4.. => (types::I32, 4),
            2.. => (types::I16, 2),
            _ => (types::I8, 1),
        };
        let offset = i32::try_from(at).unwrap_or(i32::MAX);
        let word = e.b.ins().load(ty, slot_flags(), from, offset);
        e.b.ins().store(slot_flags(), word, to, offset);
        at += step;
    }
}

/// The functions of a module that calls through pointers may reach, by position in the table.
pub(crate) fn table_position(id: FuncId) -> u64 {
    u64::from(id.0) * TABLE_ENTRY
}
