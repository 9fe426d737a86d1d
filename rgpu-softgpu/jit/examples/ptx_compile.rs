//! Compiles every kernel of the PTX files given and prints what failed and why.

use std::cell::Cell;
use std::error::Error;
use std::time::Instant;

use rgpu_softgpu_jit::{ModuleMemory, Program};

/// Hands out addresses and stores nothing.
struct Nowhere(Cell<u64>);

impl ModuleMemory for Nowhere {
    fn alloc(&self, size: u64, align: u64, _is_const: bool) -> Result<u64, String> {
        let address = self.0.get().next_multiple_of(align);
        self.0.set(address + size);
        Ok(address)
    }

    fn write(&self, _address: u64, _bytes: &[u8]) -> Result<(), String> {
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let (mut compiled, mut total) = (0, 0);
    for path in std::env::args().skip(1) {
        let text = std::fs::read_to_string(&path)?;
        let memory = Nowhere(Cell::new(rgpu_softgpu_exec::abi::DEVICE_WINDOW_BASE));
        let program = match Program::load(&text, &memory) {
            Ok(program) => program,
            Err(error) => {
                println!("{path}: {error}");
                continue;
            }
        };
        for kernel in program.kernels() {
            total += 1;
            let start = Instant::now();
            match program.compile(&kernel.name) {
                Ok(code) => {
                    compiled += 1;
                    let meets = if code.entry.threads_meet() {
                        "meets"
                    } else {
                        "plain"
                    };
                    println!("{path}: {} {meets} {:?}", kernel.name, start.elapsed());
                }
                Err(error) => println!("{path}: {error}"),
            }
        }
    }
    println!("{compiled} of {total} kernels");
    Ok(())
}
