//! Places a module's variables in device memory and fills them.

use rgpu_ptx::Module;
use rgpu_ptx::ast::{FuncId, Linkage, Reloc, RelocTarget, Variable};
use rgpu_ptx::types::StateSpace;
use rgpu_softgpu_exec::abi::SHARED_WINDOW_BASE;

use crate::error::Error;
use crate::passes::reach::resolve_alias;
use crate::{FUNCTION_STRIDE, FUNCTION_WINDOW_BASE};

/// Where a module's variables live; the driver's front gives it.
pub trait ModuleMemory {
    /// Takes `size` bytes of zeros, aligned to `align`; gives their device address.
    fn alloc(&self, size: u64, align: u64, is_const: bool) -> Result<u64, String>;
    /// Writes initial contents to memory that `alloc` gave.
    fn write(&self, address: u64, bytes: &[u8]) -> Result<(), String>;
}

/// A variable of a module in device memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Global {
    /// Its name in PTX.
    pub name: String,
    /// Its device address.
    pub address: u64,
    /// Bytes.
    pub size: u64,
    /// In `.const` rather than `.global`.
    pub is_const: bool,
}

/// Largest variable; a larger one cannot fit in any device.
const SIZE_LIMIT: u64 = 1 << 38;

fn lives_in_device_memory(variable: &Variable) -> bool {
    matches!(variable.space, StateSpace::Global | StateSpace::Const)
        && variable.linkage != Linkage::Extern
}

/// Allocates and initialises. The result holds an address for each variable that lives in device memory.
pub(crate) fn load(module: &Module, memory: &dyn ModuleMemory) -> Result<Vec<Option<u64>>, Error> {
    let failed = |variable: &Variable, message| Error::Memory {
        symbol: variable.name.clone(),
        message,
    };
    let mut addresses = Vec::with_capacity(module.variables.len());
    for variable in &module.variables {
        if !lives_in_device_memory(variable) {
            addresses.push(None);
            continue;
        }
        if variable.size > SIZE_LIMIT {
            return Err(Error::TooLarge {
                what: variable.name.clone(),
                bytes: variable.size,
                limit: SIZE_LIMIT,
            });
        }
        let is_const = variable.space == StateSpace::Const;
        let align = u64::from(variable.align.max(1));
        let address = memory
            .alloc(variable.size.max(1), align, is_const)
            .map_err(|message| failed(variable, message))?;
        addresses.push(Some(address));
    }
    for (variable, address) in module.variables.iter().zip(&addresses) {
        let (Some(init), Some(address)) = (&variable.init, address) else {
            continue;
        };
        let mut bytes = init.bytes.clone();
        for reloc in &init.relocs {
            relocate(module, &addresses, variable, reloc, &mut bytes)?;
        }
        if !bytes.is_empty() {
            memory
                .write(*address, &bytes)
                .map_err(|message| failed(variable, message))?;
        }
    }
    Ok(addresses)
}

/// Writes the address that a relocation names into the initial bytes, which grow to hold it.
fn relocate(
    module: &Module,
    addresses: &[Option<u64>],
    variable: &Variable,
    reloc: &Reloc,
    bytes: &mut Vec<u8>,
) -> Result<(), Error> {
    let base = match reloc.target {
        RelocTarget::Function(id) => function_address(module, id),
        RelocTarget::Variable(id) => {
            let target = &module.variables[id.index()];
            match addresses[id.index()] {
                Some(address) => address,
                None if target.space == StateSpace::Shared && reloc.generic => SHARED_WINDOW_BASE,
                None => {
                    return Err(Error::Unresolved {
                        symbol: target.name.clone(),
                    });
                }
            }
        }
    };
    let value = base.wrapping_add_signed(reloc.addend) >> (reloc.shift & 63);
    let width = usize::from(reloc.width.min(8));
    let too_large = || Error::TooLarge {
        what: format!("initialiser of {}", variable.name),
        bytes: reloc.offset,
        limit: variable.size,
    };
    let start = usize::try_from(reloc.offset).map_err(|_| too_large())?;
    let end = start
        .checked_add(width)
        .filter(|end| *end as u64 <= variable.size);
    let end = end.ok_or_else(too_large)?;
    if bytes.len() < end {
        bytes.resize(end, 0);
    }
    bytes[start..end].copy_from_slice(&value.to_le_bytes()[..width]);
    Ok(())
}

/// What stands for a function's address.
fn function_address(module: &Module, id: FuncId) -> u64 {
    FUNCTION_WINDOW_BASE + u64::from(resolve_alias(module, id).0) * FUNCTION_STRIDE
}
