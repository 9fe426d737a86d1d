//! Places the shared variables that a kernel and its functions use: static ones from offset 0 in the order
//! of their declaration, the dynamic array behind them.

use std::collections::{BTreeMap, BTreeSet};

use rgpu_ptx::Module;
use rgpu_ptx::ast::{FuncId, LocalId, Symbol, VarId, Variable};
use rgpu_ptx::types::StateSpace;

use super::reach::Reached;

/// Dynamic shared memory starts at a multiple of this, as the driver places it.
const DYNAMIC_ALIGN: u64 = 16;

/// Offsets of shared variables in a block's shared memory.
#[derive(Debug, Clone, Default)]
pub(crate) struct SharedLayout {
    module: BTreeMap<VarId, u64>,
    local: BTreeMap<(FuncId, LocalId), u64>,
    /// Bytes of static variables, and where the dynamic array starts.
    pub(crate) size: u64,
}

impl SharedLayout {
    /// Offset of a module variable.
    pub(crate) fn variable(&self, id: VarId) -> Option<u64> {
        self.module.get(&id).copied()
    }

    /// Offset of a variable of a function body.
    pub(crate) fn local(&self, function: FuncId, id: LocalId) -> Option<u64> {
        self.local.get(&(function, id)).copied()
    }

    fn place(&mut self, variable: &Variable) -> u64 {
        let offset = self.size.next_multiple_of(u64::from(variable.align.max(1)));
        self.size = offset.saturating_add(variable.size);
        offset
    }
}

fn is_shared(variable: &Variable) -> bool {
    matches!(
        variable.space,
        StateSpace::Shared | StateSpace::SharedCluster
    )
}

/// Lays out what `reached` uses.
pub(crate) fn run(module: &Module, reached: &Reached) -> SharedLayout {
    let mut layout = SharedLayout::default();
    let mut used = BTreeSet::new();
    for function in &reached.functions {
        for symbol in &function.symbols {
            if let Symbol::Variable(id) = symbol {
                used.insert(*id);
            }
        }
    }
    let mut dynamic = Vec::new();
    for id in used {
        let variable = &module.variables[id.index()];
        if !is_shared(variable) {
            continue;
        }
        if variable.is_unsized() {
            dynamic.push(id);
        } else {
            let offset = layout.place(variable);
            layout.module.insert(id, offset);
        }
    }
    let mut dynamic_locals = Vec::new();
    for function in &reached.functions {
        for (index, variable) in (0_u32..).zip(&function.body.vars) {
            if !is_shared(variable) {
                continue;
            }
            let key = (function.id, LocalId(index));
            if variable.is_unsized() {
                dynamic_locals.push((key, u64::from(variable.align)));
            } else {
                let offset = layout.place(variable);
                layout.local.insert(key, offset);
            }
        }
    }
    if !dynamic.is_empty() || !dynamic_locals.is_empty() {
        let align = dynamic
            .iter()
            .map(|id| u64::from(module.variables[id.index()].align))
            .chain(dynamic_locals.iter().map(|(_, align)| *align))
            .fold(DYNAMIC_ALIGN, u64::max);
        layout.size = layout.size.next_multiple_of(align);
        let start = layout.size;
        layout
            .module
            .extend(dynamic.into_iter().map(|id| (id, start)));
        layout
            .local
            .extend(dynamic_locals.into_iter().map(|(key, _)| (key, start)));
    }
    layout
}
