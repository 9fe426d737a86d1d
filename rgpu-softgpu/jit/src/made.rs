//! Device functions that were compiled for a kernel, for the next kernel of the module that reaches them. Kernels that
//! call through pointers reach every function whose address is taken anywhere: NCCL's, hundreds each, all the same.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use rgpu_ptx::ast::{FuncId, LocalId, Symbol, VarId};

use crate::object::{Piece, Target};
use crate::passes::Plan;

/// Everything beside a function's own text and the program's variables that its code depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Surroundings {
    /// Where shared memory holds the module's variables that it mentions, and its own.
    variables: BTreeMap<VarId, u64>,
    locals: Vec<Option<u64>>,
    /// Whether threads have local memory.
    has_local: bool,
    /// Which of its callees may end the thread.
    exits: Vec<bool>,
    /// Where its threads yield.
    yields: BTreeSet<usize>,
}

impl Surroundings {
    fn of(plan: &Plan, at: usize) -> Self {
        let function = &plan.reached.functions[at];
        let variables = function.symbols.iter().filter_map(|symbol| match symbol {
            Symbol::Variable(id) => Some((*id, plan.shared.variable(*id)?)),
            _ => None,
        });
        let locals = (0..).map(LocalId).zip(&function.body.vars);
        let exits = |id: &FuncId| plan.reached.index_of(*id).is_none_or(|at| plan.exits[at]);
        Self {
            variables: variables.collect(),
            locals: locals
                .map(|(id, _)| plan.shared.local(function.id, id))
                .collect(),
            has_local: plan.frames.local_size != 0,
            exits: function.callees.iter().map(exits).collect(),
            yields: plan.meeting.yields[at].clone(),
        }
    }
}

/// Code of a function for each of the surroundings that it was met in.
type Versions = Vec<(Surroundings, Arc<Piece>)>;

/// The functions of one program.
#[derive(Debug, Default)]
pub(crate) struct Made(Mutex<HashMap<FuncId, Versions>>);

impl Made {
    /// The code of function `at` of a plan, if another kernel's will do.
    pub(crate) fn find(&self, plan: &Plan, at: usize) -> Option<Piece> {
        let id = plan.reached.functions[at].id;
        let surroundings = Surroundings::of(plan, at);
        let piece = {
            let made = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let (_, piece) = made.get(&id)?.iter().find(|(s, _)| *s == surroundings)?;
            Arc::clone(piece)
        };
        let position = |id| {
            let at = plan.reached.index_of(FuncId(id))?;
            u32::try_from(at).ok()
        };
        renumbered(&piece, position)
    }

    /// Keeps the code of function `at` of a plan.
    pub(crate) fn keep(&self, plan: &Plan, at: usize, piece: &Piece) {
        let id_at = |position: u32| Some(plan.reached.functions.get(position as usize)?.id.0);
        let Some(piece) = renumbered(piece, id_at) else {
            return;
        };
        let id = plan.reached.functions[at].id;
        let surroundings = Surroundings::of(plan, at);
        let mut made = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let list = made.entry(id).or_default();
        if list.iter().all(|(s, _)| *s != surroundings) {
            list.push((surroundings, Arc::new(piece)));
        }
    }
}

/// Gives the functions that a piece refers to other numbers: positions in a plan, or ids in the module.
fn renumbered(piece: &Piece, number: impl Fn(u32) -> Option<u32>) -> Option<Piece> {
    let mut piece = piece.clone();
    for reloc in &mut piece.relocs {
        if let Target::Function(of) = &mut reloc.target {
            *of = number(*of)?;
        }
    }
    Some(piece)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compile::{self, Machine};
    use crate::passes::bounds::Trust;

    /// `f` calls `h`; only `second` has another shared variable before that of `f`, `third` is as `first`.
    const TEXT: &str = "\
.version 8.0\n.target sm_80\n.address_size 64\n\
.shared .align 4 .b32 other;\n.shared .align 4 .b32 own;\n\
.func h() { .reg .b32 %r<3>; st.shared.b32 [own], %r1; ret; }\n\
.func f() { .reg .b32 %r<3>; ld.shared.b32 %r1, [own]; call h; ret; }\n\
.func g() { .reg .b32 %r<3>; st.shared.b32 [other], %r1; ret; }\n\
.visible .entry first() { call f; ret; }\n\
.visible .entry second() { call g; call f; ret; }\n\
.visible .entry third() { call f; ret; }\n";

    #[test]
    fn what_fits_is_used_again_and_what_does_not_is_not() {
        let module = rgpu_ptx::Module::parse(TEXT).unwrap();
        let isa = &Machine::get().unwrap().isa;
        let placed = vec![None; module.variables.len()];
        let made = Made::default();
        let compile = |name: &str| {
            let id = module.function_id(name).unwrap();
            compile::kernel(&module, &placed, isa, id, Trust::Nothing, &made).unwrap()
        };
        let held = |name: &str| {
            let id = module.function_id(name).unwrap();
            made.0.lock().unwrap().get(&id).map_or(0, Vec::len)
        };
        let first = compile("first");
        assert_eq!([held("f"), held("h"), held("g")], [1, 1, 0]);
        assert_eq!(held("first"), 0);
        let third = compile("third");
        assert_eq!([held("f"), held("h"), held("g")], [1, 1, 0]);
        assert_eq!(first, third);
        let second = compile("second");
        assert_eq!([held("f"), held("h"), held("g")], [2, 2, 1]);
        let alone = Made::default();
        let id = module.function_id("second").unwrap();
        let anew = compile::kernel(&module, &placed, isa, id, Trust::Nothing, &alone).unwrap();
        assert_eq!(second, anew);
    }

    #[test]
    fn references_follow_the_order_of_the_kernel() {
        // `shared` calls `leaf`; in `b` both have other positions than in `a`.
        let text = "\
.version 8.0\n.target sm_80\n.address_size 64\n\
.func leaf() { ret; }\n.func shared() { call leaf; ret; }\n.func more() { ret; }\n\
.visible .entry a() { call shared; ret; }\n\
.visible .entry b() { call more; call shared; call leaf; ret; }\n";
        let module = rgpu_ptx::Module::parse(text).unwrap();
        let isa = &Machine::get().unwrap().isa;
        let made = Made::default();
        let compile = |name: &str, made: &Made| {
            let id = module.function_id(name).unwrap();
            compile::kernel(&module, &[], isa, id, Trust::Nothing, made).unwrap()
        };
        compile("a", &made);
        assert_eq!(compile("b", &made), compile("b", &Made::default()));
    }
}
