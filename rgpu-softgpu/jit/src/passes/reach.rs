//! Finds the functions that a kernel may run, parses their bodies, and notes what each one mentions.

use std::collections::{BTreeSet, HashMap, HashSet};

use rgpu_ptx::Module;
use rgpu_ptx::ast::{
    Body, CallTarget, FuncId, FunctionKind, Param, RelocTarget, StatementKind, Symbol,
};
use rgpu_ptx::instr_table::Opcode;

use super::visit;
use crate::emit::call::ends_thread;
use crate::error::Error;

/// One function to compile.
#[derive(Debug)]
pub(crate) struct Function {
    pub(crate) id: FuncId,
    pub(crate) name: String,
    pub(crate) is_kernel: bool,
    pub(crate) params: Vec<Param>,
    pub(crate) returns: Vec<Param>,
    pub(crate) body: Body,
    /// Functions it calls by name, aliases followed, externals left out.
    pub(crate) callees: Vec<FuncId>,
    /// It calls through a register.
    pub(crate) calls_indirectly: bool,
    /// It holds an `exit`, or calls what ends the thread, which in a function must also end the callers.
    pub(crate) exits: bool,
    /// Every symbol it mentions.
    pub(crate) symbols: HashSet<Symbol>,
    /// Parameters and `.param` variables whose address it takes.
    pub(crate) escaping: HashSet<Symbol>,
}

/// The kernel (first) and all functions it may reach.
#[derive(Debug)]
pub(crate) struct Reached {
    pub(crate) functions: Vec<Function>,
    /// Functions whose address may be in a register: what a call through one may reach.
    pub(crate) address_taken: Vec<FuncId>,
    index: HashMap<FuncId, usize>,
}

impl Reached {
    /// Position of a function in `functions`.
    pub(crate) fn index_of(&self, id: FuncId) -> Option<usize> {
        self.index.get(&id).copied()
    }
}

/// Follows `.alias` to the function that has a body. Stops after as many steps as there are functions.
pub(crate) fn resolve_alias(module: &Module, mut id: FuncId) -> FuncId {
    for _ in 0..module.functions.len() {
        match module.functions[id.index()].alias_of {
            Some(next) => id = next,
            None => break,
        }
    }
    id
}

/// Functions that initialisers of module variables point to.
fn in_initialisers(module: &Module) -> impl Iterator<Item = FuncId> + '_ {
    let relocs = module
        .variables
        .iter()
        .filter_map(|variable| variable.init.as_ref());
    relocs
        .flat_map(|init| &init.relocs)
        .filter_map(|reloc| match reloc.target {
            RelocTarget::Function(id) => Some(id),
            RelocTarget::Variable(_) => None,
        })
}

/// Collects what `kernel` may run.
pub(crate) fn run(module: &Module, kernel: FuncId) -> Result<Reached, Error> {
    let mut reached = Reached {
        functions: Vec::new(),
        address_taken: Vec::new(),
        index: HashMap::new(),
    };
    let mut queue = vec![kernel];
    let mut taken = BTreeSet::new();
    let mut indirect = false;
    while let Some(id) = queue.pop() {
        if reached.index.contains_key(&id) {
            continue;
        }
        let function = load(module, id)?;
        queue.extend(&function.callees);
        for symbol in &function.symbols {
            if let Symbol::Function(id) = symbol {
                taken.insert(resolve_alias(module, *id));
            }
        }
        indirect |= function.calls_indirectly;
        reached.index.insert(id, reached.functions.len());
        reached.functions.push(function);
        if queue.is_empty() && indirect {
            taken.extend(in_initialisers(module).map(|id| resolve_alias(module, id)));
            queue.extend(
                taken.iter().copied().filter(|id| {
                    is_device_function(module, *id) && !reached.index.contains_key(id)
                }),
            );
        }
    }
    if indirect {
        let compiled = taken
            .into_iter()
            .filter(|id| reached.index.contains_key(id));
        reached.address_taken = compiled.collect();
    }
    Ok(reached)
}

fn is_device_function(module: &Module, id: FuncId) -> bool {
    let function = &module.functions[id.index()];
    function.kind == FunctionKind::Func && function.body.is_some()
}

fn load(module: &Module, id: FuncId) -> Result<Function, Error> {
    let function = &module.functions[id.index()];
    let body = crate::module::body(module, id)?;
    let mut symbols = HashSet::new();
    let mut escaping = HashSet::new();
    let mut callees = BTreeSet::new();
    let (mut calls_indirectly, mut exits) = (false, false);
    for statement in &body.statements {
        visit::symbols(statement, &mut |symbol, address| {
            symbols.insert(symbol);
            if address {
                escaping.insert(symbol);
            }
        });
        match &statement.kind {
            StatementKind::Call(call) => match &call.target {
                CallTarget::Direct(callee) => {
                    let callee = resolve_alias(module, *callee);
                    if is_device_function(module, callee) {
                        callees.insert(callee);
                    }
                    let callee = &module.functions[callee.index()];
                    exits |= callee.body.is_none() && ends_thread(&callee.name);
                }
                CallTarget::Indirect { .. } => calls_indirectly = true,
                CallTarget::OneOf { targets, .. } => {
                    calls_indirectly = true;
                    symbols.extend(targets.iter().copied().map(Symbol::Function));
                }
            },
            StatementKind::Instr(instr) => {
                exits |= instr.op == Opcode::Exit;
            }
            _ => {}
        }
    }
    Ok(Function {
        id,
        name: function.name.clone(),
        is_kernel: function.kind == FunctionKind::Entry,
        params: function.params.clone(),
        returns: function.returns.clone(),
        body,
        callees: callees.into_iter().collect(),
        calls_indirectly,
        exits,
        symbols,
        escaping,
    })
}
