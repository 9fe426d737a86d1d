//! PTX text.

use rgpu_ptx::Module;
use rgpu_ptx::validate::validate;

/// Longer texts only make a run slow.
const LONGEST: usize = 64 << 10;

/// Parses a module and every body of it; a place that an error names lies in the text.
pub fn ptx_parse(data: &[u8]) {
    let Ok(module) = Module::parse_bytes(&data[..data.len().min(LONGEST)]) else {
        return;
    };
    for function in &module.functions {
        if function.body.is_none() {
            continue;
        }
        let Ok(body) = module.parse_body(function) else {
            continue;
        };
        // Whether it is valid is for the validator to say; that it says something is the promise.
        let _ = validate(&module, function, &body);
    }
    for kernel in module.kernels() {
        assert!(
            module.kernel(&kernel.name).is_some(),
            "{} is not found",
            kernel.name
        );
    }
}
