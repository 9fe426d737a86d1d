//! `multimem`: one access to all replicas of a multicast object. The device has no multicast objects
//! (`CU_DEVICE_ATTRIBUTE_MULTICAST_SUPPORTED` is 0), and one of a single device would hold a single replica: the memory
//! at the address itself. So reducing over the replicas is a load, storing to all of them a store, and reducing into
//! each of them one atomic update.

use rgpu_ptx::ast::{Instr, Modifiers};
use rgpu_ptx::instr_table::Opcode;
use rgpu_ptx::types::MemSem;

use super::{Emitter, atomics, memory};
use crate::error::{Emit, refuse};

/// Emits an instruction of this family.
pub(crate) fn emit(e: &mut Emitter<'_, '_>, instr: &Instr) -> Emit {
    let (op, atom) = match instr.op {
        Opcode::MultimemLdReduce => (Opcode::Ld, None),
        Opcode::MultimemSt => (Opcode::St, None),
        Opcode::MultimemRed => (Opcode::Red, instr.mods.atom),
        _ => return refuse("not a multicast access"),
    };
    let plain = Instr {
        op,
        mods: Modifiers {
            atom,
            acc_f32: false,
            sem: Some(instr.mods.sem.unwrap_or(MemSem::Relaxed)),
            ..instr.mods.clone()
        },
        operands: instr.operands.clone(),
    };
    match op {
        Opcode::Red => atomics::emit(e, &plain),
        _ => memory::emit(e, &plain),
    }
}
