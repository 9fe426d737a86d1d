//! A parsed module: its symbols, and where each body lies.

use std::{collections::HashMap, sync::Arc};

use crate::{
    ast::{Body, FuncId, Function, FunctionKind, VarId, Variable},
    error::{Error, Span, place},
    parse,
};

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
    /// Reads a module. Bodies are only measured; their errors come when they are parsed.
    pub fn parse(text: impl Into<Arc<str>>) -> Result<Self, Error> {
        parse::parse_module(Self {
            text: text.into(),
            version: (0, 0),
            target: String::new(),
            address_size: 32,
            variables: Vec::new(),
            functions: Vec::new(),
            function_names: HashMap::new(),
            variable_names: HashMap::new(),
        })
    }

    /// Reads a module as a driver gets it: bytes that a NUL may end.
    pub fn parse_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let end = bytes.iter().position(|&b| b == 0).unwrap_or(bytes.len());
        // File names in `.file` may be in any encoding.
        Self::parse(String::from_utf8_lossy(&bytes[..end]).as_ref())
    }

    /// Parses the body of `function`, which must be one of this module's.
    pub fn parse_body(&self, function: &Function) -> Result<Body, Error> {
        parse::parse_body(self, function)
    }

    /// The number in `.target sm_80`, `sm_90a` or `sm_80, texmode_independent`.
    pub fn target_arch(&self) -> Option<u32> {
        let number = self.target.trim().strip_prefix("sm_")?;
        let digits = number.bytes().take_while(u8::is_ascii_digit).count();
        number[..digits].parse().ok()
    }

    /// Line and column of a place, from 1.
    pub fn line_column(&self, span: Span) -> (u32, u32) {
        place(&self.text, span)
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_have_numbers() {
        let of = |target: &str| {
            let module = Module::parse(format!(".version 8.0\n.target {target}\n")).unwrap();
            module.target_arch()
        };
        assert_eq!(of("sm_90a"), Some(90));
        assert_eq!(of("sm_52, texmode_independent"), Some(52));
        assert_eq!(of("compute_90"), None);
    }
}
