//! A resumable kernel: a loop over the threads that have their turn. Each goes on where it has stopped, and stops where
//! the others call the library function at which threads meet. What lives across a stop is in the thread's frame.

use std::mem::offset_of;

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{
    Block, BlockArg, BlockCall, InstBuilder, JumpTableData, Value, ValueDef, types,
};
use cranelift_frontend::FunctionBuilder;
use rgpu_ptx::ast::Reg;
use rgpu_softgpu_exec::abi::{
    CONTEXT_STRIDE, FRAME_ARGUMENTS, FRAME_RESULT, Meet, SITE_EXITED, SITES_DIFFER, ThreadContext,
    Turns,
};
use rgpu_softgpu_exec::libcalls;

use super::util::{checked, constant, iconst};
use super::{Emitter, machine};
use crate::error::{Emit, refuse};
use crate::passes::reg_types::machine_type;
use crate::passes::resume::Resume;
use rgpu_ptx::types::ScalarType;

/// The loop while it is emitted.
#[derive(Debug)]
pub(crate) struct TurnLoop {
    /// Ends a turn; its parameter is the site.
    next: Block,
    /// Goes on where the thread has stopped.
    dispatch: Block,
    /// Where threads begin.
    first: Block,
    /// Address of the thread's frame.
    frame: Value,
    /// Address of the thread's site.
    site: Value,
    /// Number of the site at which the thread has stopped.
    stopped_at: Value,
    /// What threads do at each site, and where they go on.
    sites: Vec<(Meet, Block)>,
}

fn offset(at: usize) -> i32 {
    i32::try_from(at).unwrap_or(i32::MAX)
}

fn field(b: &mut FunctionBuilder<'_>, turns: Value, at: usize) -> Value {
    b.ins().load(types::I64, constant(), turns, offset(at))
}

/// The context of the block's first thread.
pub(crate) fn first_context(b: &mut FunctionBuilder<'_>, turns: Value) -> Value {
    field(b, turns, offset_of!(Turns, contexts))
}

/// Address of element `index` of an array.
fn element(b: &mut FunctionBuilder<'_>, base: Value, index: Value, size: usize) -> Value {
    let size = i64::try_from(size).unwrap_or(i64::MAX);
    let distance = b.ins().imul_imm_s(index, size);
    b.ins().iadd(base, distance)
}

impl Emitter<'_, '_> {
    fn resume(&self) -> Option<&Resume> {
        self.unit.plan.resume.as_ref()
    }

    /// Starts the loop; what is emitted next runs when a thread begins.
    pub(crate) fn enter_turns(&mut self, turns: Value) {
        let frame_size = self.resume().map_or(0, |resume| resume.frame_size);
        let unset = self
            .resume()
            .map_or_else(Vec::new, |resume| resume.unset.clone());
        let b = &mut self.b;
        let contexts = self.thread.ctx;
        let [list, count, frames, sites] = [
            offset_of!(Turns, list),
            offset_of!(Turns, count),
            offset_of!(Turns, frames),
            offset_of!(Turns, sites),
        ]
        .map(|at| field(b, turns, at));
        let [head, lane, next, done, dispatch, first] = [(); 6].map(|()| b.create_block());

        // How many have had their turn, and what the sites of all have in common: the bits set in one, and in each.
        let [turn, any, all] =
            [types::I64, types::I32, types::I32].map(|ty| b.append_block_param(head, ty));
        let start = [(types::I64, 0), (types::I32, 0), (types::I32, -1)]
            .map(|(ty, value)| BlockArg::Value(iconst(b, ty, value)));
        b.ins().jump(head, &start);

        b.switch_to_block(head);
        let more = b.ins().icmp(IntCC::UnsignedLessThan, turn, count);
        b.ins().brif(more, lane, &[], done, &[]);

        b.switch_to_block(done);
        let same = b.ins().icmp(IntCC::Equal, any, all);
        let differ = iconst(b, types::I32, i64::from(SITES_DIFFER));
        let result = b.ins().select(same, any, differ);
        b.ins().return_(&[result]);

        b.switch_to_block(next);
        let site = b.append_block_param(next, types::I32);
        let after = [
            b.ins().iadd_imm_u(turn, 1),
            b.ins().bor(any, site),
            b.ins().band(all, site),
        ];
        b.ins().jump(head, &after.map(BlockArg::Value));

        b.switch_to_block(lane);
        let number = element(b, list, turn, 2);
        let number = b.ins().uload16(types::I64, constant(), number, 0);
        b.ins()
            .store(checked(), number, turns, offset(offset_of!(Turns, current)));
        self.thread.ctx = element(b, contexts, number, CONTEXT_STRIDE);
        let local = offset(offset_of!(ThreadContext, local));
        self.thread.local = b.ins().load(types::I64, constant(), self.thread.ctx, local);
        let frame = element(b, frames, number, frame_size as usize);
        let site = element(b, sites, number, 4);
        let stopped_at = b.ins().load(types::I32, checked(), site, 0);
        b.ins().jump(dispatch, &[]);

        b.switch_to_block(first);
        self.turns = Some(TurnLoop {
            next,
            dispatch,
            first,
            frame,
            site,
            stopped_at,
            sites: Vec::new(),
        });
        // Else what the thread before left in them would be seen.
        for reg in unset {
            let value = self.constant(0, self.function().body.reg_type(reg));
            self.write_reg(reg, value, false);
        }
        let zero = self.constant(0, ScalarType::Pred);
        self.b.def_var(self.carry, zero);
    }

    /// Ends the turn of a thread at a site.
    fn end_turn(&mut self, site: u32) {
        let Some(turns) = &self.turns else { return };
        let (next, at) = (turns.next, turns.site);
        let site = iconst(&mut self.b, types::I32, i64::from(site));
        self.b.ins().store(checked(), site, at, 0);
        self.b.ins().jump(next, &[BlockArg::Value(site)]);
    }

    /// Ends the thread.
    pub(crate) fn end_thread(&mut self) {
        self.end_turn(SITE_EXITED);
    }

    /// Stops the thread in place of a call of `libcall`, and goes on with its result.
    pub(crate) fn stop(
        &mut self,
        meet: Meet,
        libcall: &'static str,
        args: &[Value],
    ) -> Emit<Option<Value>> {
        let (Some(turns), Some(resume)) = (&self.turns, self.resume()) else {
            return refuse("only resumable kernels stop");
        };
        let Some(saved) = resume.saved.get(&self.statement).cloned() else {
            return refuse(format!("{libcall} where no stop was planned"));
        };
        let (frame, carry) = (turns.frame, resume.carry.contains(&self.statement));
        let site = turns.sites.len() + 1;
        let whole_block = meet == Meet::BarSync && args.iter().all(|arg| self.is_zero(*arg));
        for (word, arg) in args.iter().enumerate() {
            self.b
                .ins()
                .store(checked(), *arg, frame, offset(FRAME_ARGUMENTS + 8 * word));
        }
        self.save(&saved, carry);
        self.end_turn(u32::try_from(site).unwrap_or(SITES_DIFFER));

        let block = self.b.create_block();
        let meet = if whole_block { Meet::BarSyncAll } else { meet };
        if let Some(turns) = &mut self.turns {
            turns.sites.push((meet, block));
        }
        self.b.switch_to_block(block);
        self.restore(&saved, carry);
        let result = libcalls::find(libcall).and_then(|row| row.ret);
        Ok(result.map(|ty| {
            self.b
                .ins()
                .load(machine(ty), constant(), frame, offset(FRAME_RESULT))
        }))
    }

    fn is_zero(&self, value: Value) -> bool {
        let dfg = &self.b.func.dfg;
        let ValueDef::Result(inst, _) = dfg.value_def(value) else {
            return false;
        };
        matches!(
            dfg.insts[inst],
            cranelift_codegen::ir::InstructionData::UnaryImm { imm, .. } if imm.bits() == 0
        )
    }

    /// Where the frame holds a register.
    fn slot(&self, reg: Reg) -> Option<(Value, i32)> {
        let slot = self.resume()?.slots.get(&reg)?;
        Some((self.turns.as_ref()?.frame, *slot))
    }

    /// Writes a register that was just set to the frame, if this is where that happens.
    pub(crate) fn keep(&mut self, reg: Reg, value: Value) {
        let once = self
            .resume()
            .is_some_and(|resume| resume.written_once.contains(&reg));
        if let Some((frame, slot)) = self.slot(reg).filter(|_| once) {
            self.b.ins().store(checked(), value, frame, slot);
        }
    }

    fn save(&mut self, saved: &[Reg], carry: bool) {
        for reg in saved {
            let once = self
                .resume()
                .is_some_and(|resume| resume.written_once.contains(reg));
            if let Some((frame, slot)) = self.slot(*reg).filter(|_| !once) {
                let value = self.reg(*reg);
                self.b.ins().store(checked(), value, frame, slot);
            }
        }
        if carry && let Some((frame, slot)) = self.carry_slot() {
            let value = self.b.use_var(self.carry);
            self.b.ins().store(checked(), value, frame, slot);
        }
    }

    /// Frames change between turns only, so that loads from them may move.
    fn restore(&mut self, saved: &[Reg], carry: bool) {
        for reg in saved {
            if let Some((frame, slot)) = self.slot(*reg) {
                let ty = self.unit.plan.reg_types[self.at][reg.index()];
                let value = self.b.ins().load(ty, constant(), frame, slot);
                self.b.def_var(self.regs[reg.index()], value);
            }
        }
        if carry && let Some((frame, slot)) = self.carry_slot() {
            let flag = machine_type(ScalarType::Pred);
            let value = self.b.ins().load(flag, constant(), frame, slot);
            self.b.def_var(self.carry, value);
        }
    }

    fn carry_slot(&self) -> Option<(Value, i32)> {
        Some((self.turns.as_ref()?.frame, self.resume()?.carry_slot()))
    }

    /// Sends threads to where they go on, and gives what they do at each site.
    pub(crate) fn finish_turns(&mut self) -> Vec<Meet> {
        let Some(turns) = self.turns.take() else {
            return Vec::new();
        };
        self.b.switch_to_block(turns.dispatch);
        let pool = &mut self.b.func.dfg.value_lists;
        let calls: Vec<BlockCall> = std::iter::once(turns.first)
            .chain(turns.sites.iter().map(|(_, block)| *block))
            .map(|block| BlockCall::new(block, [], pool))
            .collect();
        let unknown = self.b.create_block();
        let pool = &mut self.b.func.dfg.value_lists;
        let default = BlockCall::new(unknown, [], pool);
        let table = self
            .b
            .create_jump_table(JumpTableData::new(default, &calls));
        self.b.ins().br_table(turns.stopped_at, table);
        self.b.switch_to_block(unknown);
        self.unreachable();
        turns.sites.into_iter().map(|(meet, _)| meet).collect()
    }
}
