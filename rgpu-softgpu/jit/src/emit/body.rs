//! Walks a body: the entry block, the statements with their guards, the way out.

use std::collections::HashMap;
use std::mem::offset_of;

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, StackSlotData, StackSlotKind, Type, Value, types};
use cranelift_frontend::FunctionBuilder;
use cranelift_jit::JITModule;
use rgpu_ptx::ast::{Guard, LocalId, Statement, StatementKind};
use rgpu_ptx::types::StateSpace;
use rgpu_softgpu_exec::abi::{Meet, ThreadContext, Trap};

use super::memory::{slot_flags, top_offset};
use super::util::{checked, constant, iconst};
use super::{Emitter, Thread, Unit, call, control, turns, wide};
use crate::error::{Emit, Error, Refusal, refuse, refused_at};
use crate::passes::reg_types::machine_type;

/// Largest `.param` variable of a call, and largest sum of them: they live on the host stack.
const SLOT_LIMIT: u64 = 64 << 10;

/// Emits the function at position `at` of the plan into `b`. Gives the sites at which a resumable kernel stops.
pub(crate) fn emit(
    mut b: FunctionBuilder<'_>,
    unit: &Unit<'_>,
    jit: &mut JITModule,
    at: usize,
) -> Result<Vec<Meet>, Error> {
    let function = &unit.plan.reached.functions[at];
    let entry = b.create_block();
    b.append_block_params_for_function_params(entry);
    b.switch_to_block(entry);
    let params = b.block_params(entry).to_vec();
    let resumable = function.is_kernel && unit.plan.resume.is_some();
    let context = if resumable {
        turns::first_context(&mut b, params[0])
    } else {
        params[0]
    };
    let thread = thread(&mut b, context);
    let regs = unit.plan.reg_types[at]
        .iter()
        .map(|ty| b.declare_var(*ty))
        .collect();
    let labels = function
        .body
        .labels
        .iter()
        .map(|_| b.create_block())
        .collect();
    let carry = b.declare_var(types::I8);
    let mut emitter = Emitter {
        b,
        unit,
        jit,
        at,
        regs,
        labels,
        thread,
        turns: None,
        wide: None,
        carry,
        places: params[1..].to_vec(),
        slots: HashMap::new(),
        faults: HashMap::new(),
        checked_groups: HashMap::new(),
        translated: None,
        statement: 0,
        imports: HashMap::new(),
        callees: HashMap::new(),
    };
    let kernel = &unit.plan.reached.functions[0].name;
    let place = |refusal: Refusal, span| {
        refused_at(&unit.module.text, span, kernel, &function.name, refusal)
    };
    let whole = unit.module.functions[function.id.index()].span;
    if let Some(plan) = unit.plan.wide.as_ref().filter(|_| function.is_kernel) {
        wide::emit(&mut emitter, plan)
            .map_err(|(refusal, at)| place(refusal, function.body.statements[at].span))?;
        return finish(emitter).map_err(|refusal| place(refusal, whole));
    }
    if resumable {
        emitter.enter_turns(params[0]);
    }
    emitter.enter().map_err(|refusal| place(refusal, whole))?;
    for (index, statement) in function.body.statements.iter().enumerate() {
        emitter.statement = index;
        emitter
            .emit_statement(statement)
            .map_err(|refusal| place(refusal, statement.span))?;
    }
    if !emitter.is_closed() {
        control::leave(&mut emitter, false).map_err(|refusal| place(refusal, whole))?;
    }
    finish(emitter).map_err(|refusal| place(refusal, whole))
}

fn finish(mut emitter: Emitter<'_, '_>) -> Emit<Vec<Meet>> {
    let sites = emitter.finish_turns();
    emitter.finish_faults()?;
    emitter.b.seal_all_blocks();
    let config = cranelift_module::Module::isa(emitter.jit).frontend_config();
    emitter.b.finalize(config);
    Ok(sites)
}

/// Loads what every access needs from the context.
fn thread(b: &mut FunctionBuilder<'_>, ctx: Value) -> Thread {
    let mut field = |ty: Type, offset: usize| {
        let offset = i32::try_from(offset).unwrap_or(i32::MAX);
        b.ins().load(ty, constant(), ctx, offset)
    };
    let shared = field(types::I64, offset_of!(ThreadContext, shared));
    let shared_size = field(types::I64, offset_of!(ThreadContext, shared_size));
    let local = field(types::I64, offset_of!(ThreadContext, local));
    let local_size = field(types::I64, offset_of!(ThreadContext, local_size));
    let global_delta = field(types::I64, offset_of!(ThreadContext, global_delta));
    let params = field(types::I64, offset_of!(ThreadContext, params));
    let params_size = field(types::I64, offset_of!(ThreadContext, params_size));
    let frame = iconst(b, types::I64, 0);
    Thread {
        ctx,
        block_ctx: ctx,
        shared,
        shared_size,
        local,
        local_size,
        frame,
        global_delta,
        params,
        params_size,
    }
}

impl Emitter<'_, '_> {
    /// Sets up the frame, the slots of calls and the register parameters.
    fn enter(&mut self) -> Emit {
        self.enter_frame()?;
        let function = self.function();
        let mut total = 0_u64;
        for (index, variable) in (0_u32..).zip(&function.body.vars) {
            let id = LocalId(index);
            if variable.space != StateSpace::Param || self.frame().locals.contains_key(&id) {
                continue;
            }
            total = total.saturating_add(variable.size.next_multiple_of(16));
            if total > SLOT_LIMIT {
                return refuse("call parameters too large");
            }
            let size = u32::try_from(variable.size.max(1)).unwrap_or(u32::MAX);
            let align = u8::try_from(variable.align.max(1).ilog2().min(4)).unwrap_or(0);
            let slot = StackSlotData::new(StackSlotKind::ExplicitSlot, size, align);
            let slot = self.b.create_sized_stack_slot(slot);
            self.slots.insert(id, slot);
        }
        for (index, reg) in function.body.param_regs.iter().enumerate() {
            let Some(reg) = reg else { continue };
            if function.is_kernel {
                return refuse("a kernel has no register parameters");
            }
            let ty = machine_type(function.params[index].ty);
            let value = self.b.ins().load(ty, slot_flags(), self.places[index], 0);
            self.write_reg(*reg, value, function.params[index].ty.is_signed());
        }
        let first = self.b.create_block();
        self.b.ins().jump(first, &[]);
        self.b.switch_to_block(first);
        Ok(())
    }

    /// Takes this function's part of local memory and copies into it what must have an address.
    fn enter_frame(&mut self) -> Emit {
        let frame = self.frame();
        if self.unit.plan.frames.local_size == 0 {
            return Ok(());
        }
        let ctx = self.thread.ctx;
        if self.function().is_kernel {
            let top = iconst(&mut self.b, types::I64, frame.size.cast_signed());
            self.b.ins().store(checked(), top, ctx, top_offset());
            return Ok(());
        }
        if frame.size == 0 && !frame.dynamic {
            return Ok(());
        }
        let base = self.b.ins().load(types::I64, checked(), ctx, top_offset());
        self.thread.frame = base;
        let top = self.b.ins().iadd_imm_u(base, frame.size.cast_signed());
        let fits = self
            .b
            .ins()
            .icmp(IntCC::UnsignedLessThanOrEqual, top, self.thread.local_size);
        let (good, bad) = (self.b.create_block(), self.b.create_block());
        self.b.set_cold_block(bad);
        self.b.ins().brif(fits, good, &[], bad, &[]);
        self.b.switch_to_block(bad);
        self.emit_trap(Trap::StackOverflow)?;
        self.b.switch_to_block(good);
        self.b.ins().store(checked(), top, ctx, top_offset());
        for (param, offset) in &frame.params {
            let from = self.places[*param as usize];
            let to = self.b.ins().iadd(self.thread.local, base);
            let to = self.b.ins().iadd_imm_u(to, offset.cast_signed());
            let size = self.function().params[*param as usize].size;
            call::copy_bytes(self, to, from, size);
        }
        Ok(())
    }

    /// True if nothing can be added to the current block.
    pub(crate) fn is_closed(&self) -> bool {
        let last = self
            .b
            .current_block()
            .and_then(|block| self.b.func.layout.last_inst(block));
        last.is_some_and(|inst| self.b.func.dfg.insts[inst].opcode().is_terminator())
    }

    pub(crate) fn emit_statement(&mut self, statement: &Statement) -> Emit {
        if let StatementKind::Label(label) = &statement.kind {
            let block = self.labels[label.index()];
            if !self.is_closed() {
                self.b.ins().jump(block, &[]);
            }
            self.b.switch_to_block(block);
            return Ok(());
        }
        if self.is_closed() || matches!(statement.kind, StatementKind::Pragma(_)) {
            return Ok(());
        }
        if self.unit.plan.meeting.yields[self.at].contains(&self.statement) {
            self.libcall("yield_", &[self.thread.ctx])?;
        }
        match (&statement.kind, statement.guard) {
            (StatementKind::Branch { target, .. }, guard) => control::branch(self, *target, guard),
            (_, None) => self.unguarded(statement),
            (_, Some(guard)) => self.guarded(statement, guard),
        }
    }

    fn guarded(&mut self, statement: &Statement, guard: Guard) -> Emit {
        let (body, next) = (self.b.create_block(), self.b.create_block());
        control::fork(self, guard, body, next);
        self.b.switch_to_block(body);
        self.unguarded(statement)?;
        if !self.is_closed() {
            self.b.ins().jump(next, &[]);
        }
        self.b.switch_to_block(next);
        Ok(())
    }

    fn unguarded(&mut self, statement: &Statement) -> Emit {
        match &statement.kind {
            StatementKind::Instr(instr) => self.instr(instr),
            StatementKind::BranchIndexed { index, targets, .. } => {
                control::branch_indexed(self, index, targets)
            }
            StatementKind::Call(call) => call::emit(self, call),
            StatementKind::Unsupported(_) => refuse("instruction not supported"),
            StatementKind::Branch { .. } | StatementKind::Label(_) | StatementKind::Pragma(_) => {
                Ok(())
            }
        }
    }
}
