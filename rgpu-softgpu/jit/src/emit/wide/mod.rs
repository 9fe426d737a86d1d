//! A kernel that runs a block per call: region after region, and in each a loop over the groups of threads that run
//! together. A group whose threads part goes on thread by thread until the region's end.

mod frame;
mod instr;
mod part;
mod values;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::mem::offset_of;

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{Block, InstBuilder, Value, types};
use cranelift_frontend::Variable;
use rgpu_ptx::ast::{Reg, StatementKind};
use rgpu_softgpu_exec::abi::ThreadContext;

use super::Emitter;
use super::control;
use super::util::{checked, icmp_const, iconst};
use crate::error::{Emit, Refusal, refuse};
use crate::passes::flow::place_of;
use crate::passes::regions::{End, Region};
use crate::passes::shape::Shape;
use crate::passes::visit;
use crate::passes::wide::{LANES, PARTS, Wide};
use values::Unit;

/// The loops while they are emitted.
#[derive(Debug)]
pub(crate) struct WideLoop {
    /// Where the ways through the region end.
    pub(crate) end: Block,
    /// Whether what is emitted runs for a group of threads, or for one.
    together: bool,
    /// For which of the group.
    unit: Unit,
    /// The context names the group's first thread, wherever control comes from to what is emitted next.
    told: bool,
    /// `%tid` of the group's first thread.
    index: [Variable; 3],
    /// `%tid.x` of the thread that runs alone.
    own_x: Variable,
    /// Number in its group of the thread that runs alone.
    lane: Variable,
    /// The group's frames.
    frame: Variable,
    /// A progression has wrapped somewhere: no threads run together any more.
    wrapped: Variable,
    vectors: HashMap<Reg, [Variable; PARTS]>,
    lanes: HashMap<Reg, [Variable; LANES]>,
    /// Results of the statement that is emitted.
    pending: Vec<(Reg, Unit, Value)>,
    /// Registers that are the same in the whole block, as they were where the region began, and where threads parted.
    at_start: HashMap<Reg, Variable>,
    at_parting: HashMap<Reg, Variable>,
    /// Where the threads of a group part: numbers in `sites`, and how many threads there are.
    site: Variable,
    count: Variable,
    sites: Vec<usize>,
    parted: Block,
    /// Where regions begin and cuts are.
    points: BTreeMap<usize, Block>,
    exit: Block,
}

/// What must be known of a region besides its statements.
struct Facts {
    written: BTreeSet<Reg>,
    used: BTreeSet<Reg>,
    /// Written registers that are the same in the whole block.
    uniform: Vec<Reg>,
}

/// Emits the kernel; the entry block is open.
pub(crate) fn emit(e: &mut Emitter<'_, '_>, wide: &Wide) -> Result<(), (Refusal, usize)> {
    start(e, wide);
    for region in &wide.regions.regions {
        emit_region(e, wide, region).map_err(|refusal| (refusal, e.statement))?;
    }
    emit_cuts(e, wide).map_err(|refusal| (refusal, e.statement))
}

fn start(e: &mut Emitter<'_, '_>, wide: &Wide) {
    let exit = e.b.create_block();
    let mut points = BTreeMap::new();
    let regions = wide.regions.regions.iter().map(|region| region.start);
    for at in regions
        .chain(wide.regions.barriers.iter().copied())
        .chain(wide.regions.branches.iter().copied())
    {
        points.entry(at).or_insert_with(|| e.b.create_block());
    }
    let mut word = || e.b.declare_var(types::I32);
    let (index, own_x, lane) = ([word(), word(), word()], word(), word());
    let (site, count) = (word(), word());
    let frame = e.b.declare_var(types::I64);
    let wrapped = e.b.declare_var(types::I8);
    let none = iconst(&mut e.b, types::I8, 0);
    e.b.def_var(wrapped, none);
    let first = points[&0];
    e.b.ins().jump(first, &[]);
    e.b.switch_to_block(exit);
    e.b.ins().return_(&[]);
    e.wide = Some(WideLoop {
        end: exit,
        together: false,
        unit: Unit::First,
        told: false,
        index,
        own_x,
        lane,
        frame,
        wrapped,
        vectors: HashMap::new(),
        lanes: HashMap::new(),
        pending: Vec::new(),
        at_start: HashMap::new(),
        at_parting: HashMap::new(),
        site,
        count,
        sites: Vec::new(),
        parted: exit,
        points,
        exit,
    });
    if wide.together {
        e.declare_together(wide);
    }
}

/// What happens at each cut: all threads of the block have come there.
fn emit_cuts(e: &mut Emitter<'_, '_>, wide: &Wide) -> Emit {
    let body = &e.function().body;
    for &at in &wide.regions.barriers {
        let [point, next] = [at, at + 1].map(|at| e.point(at));
        e.b.switch_to_block(point);
        e.b.ins().jump(next, &[]);
    }
    for &at in &wide.regions.branches {
        let statement = &body.statements[at];
        let target = match &statement.kind {
            StatementKind::Branch { target, .. } => e.point(place_of(body, *target)),
            _ => e.wide_loop()?.exit,
        };
        let Some(guard) = statement.guard else {
            return refuse("a branch that decides nothing");
        };
        let [point, next] = [at, at + 1].map(|at| e.point(at));
        e.b.switch_to_block(point);
        control::fork(e, guard, target, next);
    }
    Ok(())
}

fn facts(e: &Emitter<'_, '_>, wide: &Wide, region: &Region) -> Facts {
    let body = &e.function().body;
    let (mut written, mut used) = (BTreeSet::new(), BTreeSet::new());
    for &at in &region.statements {
        let statement = &body.statements[at];
        visit::defs(statement, &mut |reg| {
            written.insert(reg);
        });
        visit::uses(statement, &mut |reg| {
            used.insert(reg);
        });
        if let Some(ends) = wide.ends.get(&at) {
            visit::uses(&body.statements[ends.statement], &mut |reg| {
                used.insert(reg);
            });
        }
    }
    let uniform = written
        .iter()
        .copied()
        .filter(|reg| wide.shapes[reg.index()] == Shape::Uniform)
        .collect();
    Facts {
        written,
        used,
        uniform,
    }
}

fn emit_region(e: &mut Emitter<'_, '_>, wide: &Wide, region: &Region) -> Emit {
    let facts = facts(e, wide, region);
    let [head, tail, next, over, end_alone, parted] = [(); 6].map(|()| e.b.create_block());
    let point = e.point(region.start);
    let state = e.wide_loop_mut()?;
    state.sites.clear();
    state.parted = parted;
    let (index, frame, wrapped) = (state.index, state.frame, state.wrapped);

    e.b.switch_to_block(point);
    e.keep_uniform(&facts, wide.live_at(region.start), true)?;
    for variable in index {
        let zero = iconst(&mut e.b, types::I32, 0);
        e.b.def_var(variable, zero);
    }
    let frames = e.block_field(types::I64, offset_of!(ThreadContext, frames));
    e.b.def_var(frame, frames);
    e.tell_index(1);
    e.tell_index(2);
    e.b.ins().jump(head, &[]);

    e.b.switch_to_block(head);
    let x = e.b.use_var(index[0]);
    let width = e.block_field(types::I32, offset_of!(ThreadContext, ntid));
    let rest = e.b.ins().isub(width, x);
    let lanes = iconst(&mut e.b, types::I32, LANES as i64);
    let some = e.b.create_block();
    let group = if wide.together {
        let mut fits = e.b.ins().icmp(IntCC::SignedGreaterThanOrEqual, rest, lanes);
        if !wide.widening.is_empty() {
            let wrapped = e.b.use_var(wrapped);
            fits = e.b.ins().band_not(fits, wrapped);
        }
        let group = e.b.create_block();
        e.b.ins().brif(fits, group, &[], some, &[]);
        e.b.set_cold_block(tail);
        e.b.set_cold_block(parted);
        Some(group)
    } else {
        e.b.ins().jump(some, &[]);
        None
    };
    e.b.switch_to_block(some);
    let more = icmp_const(&mut e.b, IntCC::SignedGreaterThan, rest, 0);
    e.b.ins().brif(more, tail, &[], over, &[]);

    e.b.switch_to_block(tail);
    e.take_uniform(&facts, true)?;
    let count = e.b.ins().umin(rest, lanes);
    e.part(&facts, wide, region.start, count)?;

    if let Some(group) = group {
        let end = e.b.create_block();
        e.b.switch_to_block(group);
        e.take_uniform(&facts, true)?;
        e.emit_together(wide, region, &facts, end)?;
        e.b.switch_to_block(end);
        e.save_together(wide, &facts, end_of(region))?;
        e.b.ins().jump(next, &[]);
    }

    e.b.switch_to_block(next);
    let after = match region.end {
        End::At(at) => e.point(at),
        End::Exit => e.wide_loop()?.exit,
    };
    e.next_group(wide, head)?;
    e.b.switch_to_block(over);
    e.next_row(head, after)?;

    e.emit_alone(wide, region, &facts, end_alone, next)
}

/// The statement that a region ends before, if any.
fn end_of(region: &Region) -> Option<usize> {
    match region.end {
        End::At(at) => Some(at),
        End::Exit => None,
    }
}

impl Emitter<'_, '_> {
    fn wide_loop(&self) -> Emit<&WideLoop> {
        self.wide
            .as_ref()
            .map_or_else(|| refuse("not a kernel that runs blocks"), Ok)
    }

    fn wide_loop_mut(&mut self) -> Emit<&mut WideLoop> {
        self.wide
            .as_mut()
            .map_or_else(|| refuse("not a kernel that runs blocks"), Ok)
    }

    /// Where a region or a cut begins; the kernel's end behind the last statement.
    fn point(&self, at: usize) -> Block {
        let Some(wide) = &self.wide else {
            return self.labels[0];
        };
        wide.points.get(&at).copied().unwrap_or(wide.exit)
    }

    /// Writes an axis of `%tid` to the context: reports of faults name the thread by it.
    fn tell_index(&mut self, axis: usize) {
        if let Some(index) = self.wide_index(axis) {
            self.tell(axis, index);
        }
    }

    fn tell(&mut self, axis: usize, index: Value) {
        let at = offset_of!(ThreadContext, tid) + 4 * axis;
        let at = i32::try_from(at).unwrap_or(i32::MAX);
        self.b.ins().store(checked(), index, self.thread.ctx, at);
    }

    /// An axis of `%tid` of the thread for which code is emitted.
    pub(crate) fn wide_index(&mut self, axis: usize) -> Option<Value> {
        let wide = self.wide.as_ref()?;
        if axis != 0 {
            return Some(self.b.use_var(wide.index[axis]));
        }
        if !wide.together {
            return Some(self.b.use_var(wide.own_x));
        }
        let unit = wide.unit;
        let first = self.b.use_var(wide.index[0]);
        Some(match unit {
            Unit::Lane(lane) if lane != 0 => self.b.ins().iadd_imm_u(first, lane as i64),
            _ => first,
        })
    }

    /// The thread of a group, other than the first, for which code is emitted.
    pub(crate) fn lane_together(&self) -> usize {
        match &self.wide {
            Some(WideLoop {
                together: true,
                unit: Unit::Lane(lane),
                ..
            }) => *lane,
            _ => 0,
        }
    }

    /// Tells which thread of a group runs, before a library function that may report it.
    pub(crate) fn tell_lane(&mut self, lane: usize) {
        if let Some(wide) = &self.wide
            && lane != 0
        {
            let first = self.b.use_var(wide.index[0]);
            let own = self.b.ins().iadd_imm_u(first, lane as i64);
            self.tell(0, own);
        }
    }

    /// The opposite of [`Self::tell_lane`].
    pub(crate) fn tell_index_of_first(&mut self) {
        if let Some(wide) = &self.wide {
            let first = self.b.use_var(wide.index[0]);
            self.tell(0, first);
        }
    }

    /// Goes on to the next group of the row.
    fn next_group(&mut self, wide: &Wide, head: Block) -> Emit {
        let state = self.wide_loop()?;
        let (x, frame) = (state.index[0], state.frame);
        let value = self.b.use_var(x);
        let value = self.b.ins().iadd_imm_u(value, LANES as i64);
        self.b.def_var(x, value);
        let at = self.b.use_var(frame);
        let size = i64::from(wide.frame_size) * LANES as i64;
        let at = self.b.ins().iadd_imm_u(at, size);
        self.b.def_var(frame, at);
        self.b.ins().jump(head, &[]);
        Ok(())
    }

    /// Goes on to the next row of the block, or leaves the region.
    fn next_row(&mut self, head: Block, after: Block) -> Emit {
        let index = self.wide_loop()?.index;
        let zero = iconst(&mut self.b, types::I32, 0);
        self.b.def_var(index[0], zero);
        for axis in [1, 2] {
            let value = self.b.use_var(index[axis]);
            let value = self.b.ins().iadd_imm_u(value, 1);
            let size = self.block_field(types::I32, offset_of!(ThreadContext, ntid) + 4 * axis);
            let more = self.b.ins().icmp(IntCC::UnsignedLessThan, value, size);
            let [again, over] = [(); 2].map(|()| self.b.create_block());
            self.b.ins().brif(more, again, &[], over, &[]);
            self.b.switch_to_block(again);
            self.b.def_var(index[axis], value);
            self.tell(axis, value);
            self.b.ins().jump(head, &[]);
            self.b.switch_to_block(over);
            self.b.def_var(index[axis], zero);
            self.tell(axis, zero);
        }
        self.b.ins().jump(after, &[]);
        Ok(())
    }

    /// Remembers the uniform registers that the region changes: each of its groups, or threads, starts from them.
    fn keep_uniform(&mut self, facts: &Facts, live: &[Reg], at_start: bool) -> Emit {
        for reg in facts.uniform.iter().filter(|reg| live.contains(reg)) {
            let value = self.b.use_var(self.regs[reg.index()]);
            let kept = self.kept_variable(*reg, at_start)?;
            self.b.def_var(kept, value);
        }
        Ok(())
    }

    /// The opposite of [`Self::keep_uniform`].
    fn take_uniform(&mut self, facts: &Facts, at_start: bool) -> Emit {
        let state = self.wide_loop()?;
        let kept = if at_start {
            &state.at_start
        } else {
            &state.at_parting
        };
        let kept: Vec<(Reg, Variable)> = facts
            .uniform
            .iter()
            .filter_map(|reg| Some((*reg, *kept.get(reg)?)))
            .collect();
        for (reg, variable) in kept {
            let value = self.b.use_var(variable);
            self.b.def_var(self.regs[reg.index()], value);
        }
        Ok(())
    }

    fn kept_variable(&mut self, reg: Reg, at_start: bool) -> Emit<Variable> {
        let ty = self.unit.plan.reg_types[self.at][reg.index()];
        let fresh = self.b.declare_var(ty);
        let state = self.wide_loop_mut()?;
        let kept = if at_start {
            &mut state.at_start
        } else {
            &mut state.at_parting
        };
        Ok(*kept.entry(reg).or_insert(fresh))
    }

    /// Blocks for the labels of a region; all that lead out of it lead to its end.
    fn enter_region(&mut self, region: &Region, end: Block, together: bool) -> Emit {
        let inside: BTreeSet<usize> = region.statements.iter().copied().collect();
        let body = &self.function().body;
        self.labels = body
            .labels
            .iter()
            .map(|label| {
                if inside.contains(&(label.statement as usize)) {
                    self.b.create_block()
                } else {
                    end
                }
            })
            .collect();
        let state = self.wide_loop_mut()?;
        state.end = end;
        state.together = together;
        state.unit = Unit::First;
        Ok(())
    }

    /// Leaves the region behind a statement, if what follows does not belong to it.
    fn leave_region(&mut self, region: &Region, at: usize) -> Emit {
        let follows = region.statements.binary_search(&(at + 1)).is_ok();
        if !follows && !self.is_closed() {
            let end = self.wide_loop()?.end;
            self.b.ins().jump(end, &[]);
        }
        Ok(())
    }

    /// The group's frames.
    fn frame_pointer(&mut self) -> Emit<Value> {
        let frame = self.wide_loop()?.frame;
        Ok(self.b.use_var(frame))
    }
}
