//! Emits Cranelift IR for function bodies. One instruction family per file; this one holds the state they
//! share and the match that hands each instruction to its family.

pub(crate) mod arith;
pub(crate) mod atomics;
pub(crate) mod barriers;
pub(crate) mod bits;
pub(crate) mod body;
pub(crate) mod call;
pub(crate) mod compare;
pub(crate) mod control;
pub(crate) mod convert;
pub(crate) mod copy;
pub(crate) mod float;
pub(crate) mod half;
pub(crate) mod integer;
pub(crate) mod lanes;
pub(crate) mod logic;
pub(crate) mod math;
pub(crate) mod memory;
pub(crate) mod moves;
pub(crate) mod multimem;
pub(crate) mod operand;
pub(crate) mod place;
pub(crate) mod special;
pub(crate) mod turns;
pub(crate) mod util;
pub(crate) mod video;
pub(crate) mod warp;
pub(crate) mod wide;

use std::collections::HashMap;

use cranelift_codegen::ir::{
    self, AbiParam, Block, FuncRef, InstBuilder, StackSlot, Type, Value, types,
};
use cranelift_frontend::{FunctionBuilder, Variable};
use cranelift_jit::JITModule;
use cranelift_module::{DataId, Linkage, Module as _};
use rgpu_ptx::Module;
use rgpu_ptx::ast::{FuncId, Instr, LocalId, Operand};
use rgpu_ptx::instr_table::Opcode;
use rgpu_ptx::types::ScalarType;
use rgpu_softgpu_exec::abi::{Meet, Trap};
use rgpu_softgpu_exec::libcalls::{self, Ty};

use crate::error::{Emit, refuse};
use crate::passes::Plan;
use crate::passes::frames::Frame;
use crate::passes::reach::Function;
use crate::trampoline;

/// What all functions of one compilation share.
pub(crate) struct Unit<'a> {
    pub(crate) module: &'a Module,
    pub(crate) plan: &'a Plan,
    /// Device address of each module variable that has one.
    pub(crate) addresses: &'a [Option<u64>],
    pub(crate) functions: HashMap<FuncId, cranelift_module::FuncId>,
    /// [`trampoline::NAME`].
    pub(crate) trampoline: cranelift_module::FuncId,
    /// Code address and signature of each function of the module, if calls go through pointers.
    pub(crate) table: Option<DataId>,
}

/// Values that hold for the whole run of a function, computed in its entry block.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Thread {
    pub(crate) ctx: Value,
    /// A context for what is the same in all threads of the block.
    pub(crate) block_ctx: Value,
    pub(crate) shared: Value,
    pub(crate) shared_size: Value,
    pub(crate) local: Value,
    pub(crate) local_size: Value,
    /// Offset of this function's frame in local memory.
    pub(crate) frame: Value,
    /// Host address minus device address.
    pub(crate) global_delta: Value,
    pub(crate) params: Value,
    pub(crate) params_size: Value,
}

/// Emits one function.
pub(crate) struct Emitter<'e, 'f> {
    pub(crate) b: FunctionBuilder<'f>,
    pub(crate) unit: &'e Unit<'e>,
    pub(crate) jit: &'e mut JITModule,
    /// Position in the plan's lists.
    pub(crate) at: usize,
    pub(crate) regs: Vec<Variable>,
    pub(crate) labels: Vec<Block>,
    pub(crate) thread: Thread,
    /// The loop over the threads that have their turn, in a resumable kernel.
    pub(crate) turns: Option<turns::TurnLoop>,
    /// The loops over the threads of a block, in a kernel that runs a block.
    pub(crate) wide: Option<wide::WideLoop>,
    /// `CC.CF`.
    pub(crate) carry: Variable,
    /// Host addresses of the parameters and return places (device functions).
    pub(crate) places: Vec<Value>,
    pub(crate) slots: HashMap<LocalId, StackSlot>,
    pub(crate) faults: HashMap<place::Fault, Block>,
    /// Host addresses where the ranges of checked groups start.
    pub(crate) checked_groups: HashMap<usize, Value>,
    /// Where translated addresses come back.
    pub(crate) translated: Option<StackSlot>,
    /// Index of the statement being emitted.
    pub(crate) statement: usize,
    imports: HashMap<&'static str, FuncRef>,
    callees: HashMap<FuncId, FuncRef>,
}

impl<'e, 'f> Emitter<'e, 'f> {
    /// The function being emitted.
    pub(crate) fn function(&self) -> &'e Function {
        &self.unit.plan.reached.functions[self.at]
    }

    /// Its frame.
    pub(crate) fn frame(&self) -> &'e Frame {
        &self.unit.plan.frames.frames[self.at]
    }

    /// Calls a host function by its row's name.
    pub(crate) fn libcall(&mut self, name: &'static str, args: &[Value]) -> Emit<Option<Value>> {
        if self.turns.is_some()
            && let Some(meet) = Meet::in_place_of(name)
        {
            return self.stop(meet, name, &args[1..]);
        }
        let function = self.import(name)?;
        let call = self.b.ins().call(function, args);
        Ok(self.b.inst_results(call).first().copied())
    }

    /// Calls a host function that has a result.
    pub(crate) fn libcall_value(&mut self, name: &'static str, args: &[Value]) -> Emit<Value> {
        match self.libcall(name, args)? {
            Some(value) => Ok(value),
            None => refuse(format!("host function {name} gives no result")),
        }
    }

    fn import(&mut self, name: &'static str) -> Emit<FuncRef> {
        if let Some(function) = self.imports.get(name) {
            return Ok(*function);
        }
        let Some(row) = libcalls::find(name) else {
            return refuse(format!("host function {name} is missing"));
        };
        let mut signature = self.jit.make_signature();
        signature
            .params
            .extend(row.params.iter().map(|ty| AbiParam::new(machine(*ty))));
        signature
            .returns
            .extend(row.ret.iter().map(|ty| AbiParam::new(machine(*ty))));
        let declared = self.jit.declare_function(name, Linkage::Import, &signature);
        let id = match declared {
            Ok(id) => id,
            Err(error) => return refuse(error.to_string()),
        };
        let function = self.jit.declare_func_in_func(id, self.b.func);
        self.imports.insert(name, function);
        Ok(function)
    }

    /// Reference to [`trampoline::NAME`].
    pub(crate) fn trampoline(&mut self) -> FuncRef {
        if let Some(function) = self.imports.get(trampoline::NAME) {
            return *function;
        }
        let function = self
            .jit
            .declare_func_in_func(self.unit.trampoline, self.b.func);
        self.imports.insert(trampoline::NAME, function);
        function
    }

    /// Reference to a device function of this compilation.
    pub(crate) fn callee(&mut self, id: FuncId) -> Emit<FuncRef> {
        if let Some(function) = self.callees.get(&id) {
            return Ok(*function);
        }
        let Some(declared) = self.unit.functions.get(&id) else {
            return refuse("call of a function that is not defined");
        };
        let function = self.jit.declare_func_in_func(*declared, self.b.func);
        self.callees.insert(id, function);
        Ok(function)
    }

    /// Ends the thread with a trap; the block is finished.
    pub(crate) fn emit_trap(&mut self, trap: Trap) -> Emit {
        let code = self.b.ins().iconst(types::I32, i64::from(trap.code()));
        self.libcall("trap", &[self.thread.ctx, code])?;
        self.unreachable();
        Ok(())
    }

    /// Finishes a block that control cannot leave.
    pub(crate) fn unreachable(&mut self) {
        self.b.ins().trap(ir::TrapCode::unwrap_user(1));
    }

    /// Hands an instruction to its family.
    pub(crate) fn instr(&mut self, instr: &Instr) -> Emit {
        use Opcode::*;
        match instr.op {
            Add | Sub | Mul | Mad | Fma | Div | Abs | Neg | Min | Max => arith::emit(self, instr),
            Addc | Subc | Madc | Mul24 | Mad24 | Sad | Rem | Dp4a | Dp2a => {
                integer::emit(self, instr)
            }
            Popc | Clz | Bfind | Fns | Brev | Bfe | Bfi | Bmsk | Szext | Prmt => {
                bits::emit(self, instr)
            }
            And | Or | Xor | Not | Cnot | Lop3 | Shl | Shr | Shf => logic::emit(self, instr),
            Rcp | Sqrt | Rsqrt | Sin | Cos | Lg2 | Ex2 | Tanh | Copysign | Testp => {
                math::emit(self, instr)
            }
            Set | Setp | Selp | Slct => compare::emit(self, instr),
            Cvt | CvtPack => convert::emit(self, instr),
            Mov | Cvta | Isspacep | Mapa | Getctarank => moves::emit(self, instr),
            Ld | Ldu | St | Alloca | Stacksave | Stackrestore => memory::emit(self, instr),
            Prefetch
            | Prefetchu
            | Discard
            | Applypriority
            | Pmevent
            | PmeventMask
            | SetmaxnregInc
            | SetmaxnregDec
            | GriddepcontrolWait
            | GriddepcontrolLaunchDependents => Ok(()),
            CreatePolicyFractional => moves::policy(self, instr),
            Atom | Red => atomics::emit(self, instr),
            MultimemLdReduce | MultimemSt | MultimemRed => multimem::emit(self, instr),
            CpAsync
            | CpAsyncCommitGroup
            | CpAsyncWaitGroup
            | CpAsyncWaitAll
            | CpAsyncMbarrierArrive => copy::emit(self, instr),
            Shfl | Vote | Match | Activemask | Redux | Elect => warp::emit(self, instr),
            BarSync
            | BarArrive
            | BarRed
            | BarWarpSync
            | BarrierClusterArrive
            | BarrierClusterWait
            | Membar
            | Fence
            | FenceProxy
            | FenceMbarrierInit
            | MbarrierInit
            | MbarrierInval
            | MbarrierExpectTx
            | MbarrierCompleteTx
            | MbarrierArrive
            | MbarrierArriveExpectTx
            | MbarrierArriveDrop
            | MbarrierArriveDropExpectTx
            | MbarrierTestWait
            | MbarrierTryWait
            | MbarrierPendingCount => barriers::emit(self, instr),
            Ret | Exit | Trap | Brkpt | Nanosleep => control::emit(self, instr),
            Vadd | Vsub | Vabsdiff | Vmin | Vmax | Vshl | Vshr | Vmad | Vset | Vadd2 | Vsub2
            | Vavrg2 | Vabsdiff2 | Vmin2 | Vmax2 | Vset2 | Vadd4 | Vsub4 | Vavrg4 | Vabsdiff4
            | Vmin4 | Vmax4 | Vset4 => video::emit(self, instr),
        }
    }
}

/// The machine type of a host function's argument or result.
fn machine(ty: Ty) -> Type {
    match ty {
        Ty::I32 => types::I32,
        Ty::I64 | Ty::Ptr => types::I64,
        Ty::F32 => types::F32,
        Ty::F64 => types::F64,
    }
}

/// Operand `n` of an instruction; validated instructions have it.
pub(crate) fn operand(instr: &Instr, n: usize) -> Emit<&Operand> {
    match instr.operands.get(n) {
        Some(operand) => Ok(operand),
        None => refuse(format!("operand {} is missing", n + 1)),
    }
}

/// Type `n` of an instruction.
pub(crate) fn type_of(instr: &Instr, n: usize) -> Emit<ScalarType> {
    match instr.mods.types.get(n) {
        Some(ty) => Ok(*ty),
        None => refuse("a type is missing"),
    }
}
