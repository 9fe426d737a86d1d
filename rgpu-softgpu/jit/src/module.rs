//! The module as the passes see it: bodies parsed and validated when asked for.

use rgpu_ptx::Module;
use rgpu_ptx::ast::{Body, FuncId};

use crate::error::Error;

/// The validated body of a function.
pub(crate) fn body(module: &Module, id: FuncId) -> Result<Body, Error> {
    let function = &module.functions[id.index()];
    if function.body.is_none() {
        return Err(Error::Unresolved {
            symbol: function.name.clone(),
        });
    }
    let body = function.parse_body(module)?;
    rgpu_ptx::validate::validate(module, function, &body)?;
    Ok(body)
}
