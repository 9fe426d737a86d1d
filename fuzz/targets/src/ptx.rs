//! PTX text.

#[cfg(feature = "compiler")]
use std::cell::Cell;

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

/// Compiles every kernel that is valid: the compiler may refuse one, and never panics.
#[cfg(feature = "compiler")]
pub fn ptx_compile(data: &[u8]) {
    use rgpu_softgpu_exec::abi::DEVICE_WINDOW_BASE;
    use rgpu_softgpu_jit::Program;

    let text = String::from_utf8_lossy(&data[..data.len().min(LONGEST)]);
    let memory = Nowhere(Cell::new(DEVICE_WINDOW_BASE));
    let Ok(program) = Program::load(&text, &memory) else {
        return;
    };
    for kernel in program.kernels() {
        // Whether it compiles is for the compiler to say.
        let _ = program.compile(&kernel.name);
    }
}

/// Device memory that hands out addresses and stores nothing.
#[cfg(feature = "compiler")]
struct Nowhere(Cell<u64>);

#[cfg(feature = "compiler")]
impl rgpu_softgpu_jit::ModuleMemory for Nowhere {
    fn alloc(&self, size: u64, align: u64, _is_const: bool) -> Result<u64, String> {
        let address = self.0.get().next_multiple_of(align);
        let end = address.checked_add(size).filter(|end| *end < 1 << 46);
        self.0.set(end.ok_or("no memory")?);
        Ok(address)
    }

    fn write(&self, _address: u64, _bytes: &[u8]) -> Result<(), String> {
        Ok(())
    }
}
