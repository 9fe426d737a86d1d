//! A parsed module: its symbols, and where each body lies.

use std::{collections::HashMap, sync::Arc};

use crate::ast::{FuncId, Function, FunctionKind, VarId, Variable};

/// A PTX module. Bodies stay text until asked for.
#[derive(Clone, Debug)]
pub struct Module {
    /// The whole text; spans point into it.
    pub text: Arc<str>,
    /// `.version`, e.g. `(8, 5)`.
    pub version: (u16, u16),
    /// `.target`, e.g. `sm_90a`.
    pub target: String,
    /// 32 or 64.
    pub address_size: u8,
    pub variables: Vec<Variable>,
    pub functions: Vec<Function>,
    pub(crate) function_names: HashMap<String, FuncId>,
    pub(crate) variable_names: HashMap<String, VarId>,
}

impl Module {
    /// The function or kernel of this name.
    pub fn function(&self, name: &str) -> Option<&Function> {
        self.function_id(name).map(|id| &self.functions[id.index()])
    }

    /// Its id.
    pub fn function_id(&self, name: &str) -> Option<FuncId> {
        self.function_names.get(name).copied()
    }

    /// The kernel of this name.
    pub fn kernel(&self, name: &str) -> Option<&Function> {
        self.function(name)
            .filter(|f| f.kind == FunctionKind::Entry)
    }

    /// Every kernel.
    pub fn kernels(&self) -> impl Iterator<Item = &Function> {
        self.functions
            .iter()
            .filter(|f| f.kind == FunctionKind::Entry)
    }

    /// The module-scope variable of this name.
    pub fn variable(&self, name: &str) -> Option<&Variable> {
        self.variable_names
            .get(name)
            .map(|id| &self.variables[id.index()])
    }
}
