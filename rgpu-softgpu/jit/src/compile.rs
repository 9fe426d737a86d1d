//! From a plan to machine code: declares the functions, has their bodies emitted, links.

use std::collections::HashMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};

use cranelift_codegen::Context;
use cranelift_codegen::ir::{AbiParam, Function as ClifFunction, Signature, UserFuncName, types};
use cranelift_codegen::isa::OwnedTargetIsa;
use cranelift_codegen::settings::{self, Configurable};
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};
use cranelift_jit::{JITBuilder, JITModule};
use cranelift_module::{Linkage, Module as _, default_libcall_names};
use rgpu_ptx::Module;
use rgpu_ptx::ast::{FuncId, Function};
use rgpu_softgpu_exec::abi::{Assumed, Entry, Kernel, KernelFn, Meet, Resumable, Together, TurnFn};
use serde::{Deserialize, Serialize};

use crate::cache::Key;
use crate::dump::Dump;
use crate::emit::call::{TABLE_ENTRY, signature, signature_id, table_position};
use crate::emit::{Unit, body};
use crate::error::{Error, Refusal, refused_at};
use crate::made::Made;
use crate::object::{self, Kind, Object, Outside, Piece, Reloc, Target};
use crate::passes::bounds::Trust;
use crate::passes::wide::LANES;
use crate::passes::{self, Plan};
use crate::trampoline;

/// Threads that run together.
const LANES_U32: u32 = LANES as u32;
/// Most that a kernel may ask of shared or local memory, static and per thread.
const MEMORY_LIMIT: u64 = 1 << 30;

/// The machine of this process, with all instructions it has.
pub(crate) struct Machine {
    pub(crate) isa: OwnedTargetIsa,
    /// Everything beside PTX that compiled code depends on.
    id: String,
}

impl fmt::Debug for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Machine")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl Machine {
    /// The machine.
    pub(crate) fn get() -> Result<&'static Self, Error> {
        static MACHINE: OnceLock<Result<Machine, String>> = OnceLock::new();
        let machine = MACHINE.get_or_init(|| {
            let isa = native_isa()?;
            let id = [
                // Of the sources of this compiler: see build.rs.
                env!("COMPILER_HASH").to_owned(),
                cranelift_codegen::VERSION.to_owned(),
                isa.triple().to_string(),
                isa.flags().to_string(),
                isa.isa_flags()
                    .iter()
                    .map(ToString::to_string)
                    .collect::<Vec<_>>()
                    .join(" "),
            ];
            Ok(Self {
                isa,
                id: id.join("\n"),
            })
        });
        machine.as_ref().map_err(|message| failed("(any)", message))
    }

    /// The key of what this machine compiles from these parts.
    pub(crate) fn key(&self, parts: &[&[u8]]) -> Key {
        Key::of(&[&[self.id.as_bytes()], parts].concat())
    }
}

fn native_isa() -> Result<OwnedTargetIsa, String> {
    let mut flags = settings::builder();
    let options = [
        ("opt_level", "speed"),
        ("is_pic", "false"),
        ("use_colocated_libcalls", "false"),
        // A deep recursion must meet the stack's guard page, not jump over it.
        ("enable_probestack", "true"),
        ("probestack_strategy", "inline"),
        ("unwind_info", "false"),
        (
            "enable_verifier",
            if cfg!(debug_assertions) {
                "true"
            } else {
                "false"
            },
        ),
    ];
    for (name, value) in options {
        flags.set(name, value).map_err(|error| error.to_string())?;
    }
    let isa = cranelift_native::builder()?.finish(settings::Flags::new(flags));
    isa.map_err(|error| error.to_string())
}

/// What the executor must know of a kernel besides its code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Facts {
    entered: Entered,
    static_shared: u32,
    local_size: u32,
    params_size: u32,
    assumed: Vec<Assumed>,
}

/// [`Entry`] before it has an address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum Entered {
    Thread,
    Turns(Resumable),
    Stack,
    Block(Together),
}

impl Entered {
    /// # Safety
    /// At `address` is a function that was compiled to be entered in this way, and lives as long as the result.
    unsafe fn at(&self, address: *const u8) -> Entry {
        if let Self::Turns(resumable) = self {
            // SAFETY: compiled with the signature of `TurnFn`: one pointer, a 32-bit result, the C calling convention.
            let entry = unsafe { std::mem::transmute::<*const u8, TurnFn>(address) };
            return Entry::Turns(entry, Arc::new(resumable.clone()));
        }
        // SAFETY: as above, with the signature of `KernelFn`: one pointer and no result.
        let entry = unsafe { std::mem::transmute::<*const u8, KernelFn>(address) };
        match self {
            Self::Stack => Entry::Stack(entry),
            Self::Block(together) => Entry::Block(entry, *together),
            Self::Thread | Self::Turns(_) => Entry::Thread(entry),
        }
    }
}

/// A kernel before it has an address: what the cache keeps.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Compiled {
    facts: Facts,
    object: Object,
}

impl Compiled {
    /// The kernel called `name`, to run in this process.
    pub(crate) fn link(
        &self,
        name: &str,
        isa: &OwnedTargetIsa,
        outside: Outside<'_>,
    ) -> Result<Kernel, Error> {
        let linked = guarded(name, || {
            let linked = self.object.link(isa, outside);
            linked.map_err(|message| failed(name, message))
        })?;
        // SAFETY: code and facts come from one compilation, and the kernel keeps the code.
        let entry = unsafe { self.facts.entered.at(linked.entry()) };
        Ok(Kernel {
            name: name.to_owned(),
            entry,
            code: Arc::new(linked),
            assumed: self.facts.assumed.clone(),
            static_shared: self.facts.static_shared,
            local_size: self.facts.local_size,
            params_size: self.facts.params_size,
        })
    }
}

fn failed(kernel: &str, error: impl fmt::Display) -> Error {
    Error::Codegen {
        kernel: kernel.to_owned(),
        message: error.to_string(),
    }
}

/// The code generator asserts what it expects. A module that defies it must not end the process.
fn guarded<T>(kernel: &str, work: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let words = panic.downcast_ref::<String>().cloned();
        let words = words.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Err(failed(kernel, words.as_deref().unwrap_or("internal error")))
    })
}

/// Compiles a kernel and all that it may call, as far as it is not `made`. `placed` tells which variables have an
/// address.
pub(crate) fn kernel(
    module: &Module,
    placed: &[Option<u64>],
    isa: &OwnedTargetIsa,
    id: FuncId,
    trust: Trust,
    made: &Made,
) -> Result<Compiled, Error> {
    let function = &module.functions[id.index()];
    let mut dump = Dump::new(&function.name);
    dump.ptx(module, function);
    refuse_clusters(module, function)?;
    guarded(&function.name, || {
        let plan = passes::run(module, id, trust, &mut dump)?;
        Compilation::new(module, placed, isa, &plan, made)?.run(&mut dump)
    })
}

/// A cluster of one block is a block; larger ones share memory in ways that do not exist here.
fn refuse_clusters(module: &Module, kernel: &Function) -> Result<(), Error> {
    let Some(blocks) = kernel.directives.reqnctapercluster else {
        return Ok(());
    };
    if blocks.iter().all(|&count| count <= 1) {
        return Ok(());
    }
    let refusal = Refusal("clusters of more than one block are not supported".to_owned());
    Err(refused_at(
        &module.text,
        kernel.span,
        &kernel.name,
        &kernel.name,
        refusal,
    ))
}

struct Compilation<'a> {
    plan: &'a Plan,
    made: &'a Made,
    unit: Unit<'a>,
    /// Holds the declarations; nothing is defined in it.
    jit: JITModule,
    kernel: &'a str,
    /// Where the kernel stops, if it is resumable.
    sites: Vec<Meet>,
}

impl<'a> Compilation<'a> {
    fn new(
        module: &'a Module,
        addresses: &'a [Option<u64>],
        isa: &OwnedTargetIsa,
        plan: &'a Plan,
        made: &'a Made,
    ) -> Result<Self, Error> {
        let builder = JITBuilder::with_isa(Arc::clone(isa), default_libcall_names());
        let mut jit = JITModule::new(builder);
        let kernel = plan.reached.functions[0].name.as_str();
        let trampoline = trampoline::declare(&mut jit).map_err(|error| failed(kernel, error))?;
        let unit = Unit {
            module,
            plan,
            addresses,
            functions: HashMap::new(),
            trampoline,
            table: None,
        };
        let mut compilation = Self {
            plan,
            made,
            unit,
            jit,
            kernel,
            sites: Vec::new(),
        };
        compilation.declare()?;
        Ok(compilation)
    }

    fn failed(&self, error: impl fmt::Display) -> Error {
        failed(self.kernel, error)
    }

    fn signature_of(&self, at: usize) -> Signature {
        let function = &self.plan.reached.functions[at];
        if function.is_kernel {
            let mut kernel = self.jit.make_signature();
            kernel.params.push(AbiParam::new(types::I64));
            if self.plan.resume.is_some() {
                kernel.returns.push(AbiParam::new(types::I32));
            }
            return kernel;
        }
        signature(
            self.jit.isa(),
            function.params.len() + function.returns.len(),
        )
    }

    fn declare(&mut self) -> Result<(), Error> {
        for at in 0..self.plan.reached.functions.len() {
            let signature = self.signature_of(at);
            // Numbers keep names from meeting those of host functions.
            let name = object::function_name(at);
            let declared = self.jit.declare_function(&name, Linkage::Local, &signature);
            let id = declared.map_err(|error| self.failed(error))?;
            self.unit
                .functions
                .insert(self.plan.reached.functions[at].id, id);
        }
        if self
            .plan
            .reached
            .functions
            .iter()
            .any(|function| function.calls_indirectly)
        {
            let declared = self
                .jit
                .declare_data(object::TABLE, Linkage::Local, false, false);
            self.unit.table = Some(declared.map_err(|error| self.failed(error))?);
        }
        Ok(())
    }

    fn run(mut self, dump: &mut Dump) -> Result<Compiled, Error> {
        let mut frontend = FunctionBuilderContext::new();
        let mut context = self.jit.make_context();
        let count = self.plan.reached.functions.len();
        let mut functions = Vec::with_capacity(count);
        for at in 0..count {
            functions.push(self.define(at, &mut context, &mut frontend, dump)?);
        }
        let table = self.unit.table.map(|_| self.define_table()).transpose()?;
        Ok(Compiled {
            facts: self.facts()?,
            object: Object { functions, table },
        })
    }

    fn define(
        &mut self,
        at: usize,
        context: &mut Context,
        frontend: &mut FunctionBuilderContext,
        dump: &mut Dump,
    ) -> Result<Piece, Error> {
        let function = &self.plan.reached.functions[at];
        // The kernel itself is nobody else's; who wants to see the stages wants them to happen.
        let sharable = at != 0 && !Dump::is_on();
        if sharable && let Some(piece) = self.made.find(self.plan, at) {
            return Ok(piece);
        }
        self.jit.clear_context(context);
        let number = u32::try_from(at).unwrap_or(u32::MAX);
        context.func =
            ClifFunction::with_name_signature(UserFuncName::user(0, number), self.signature_of(at));
        context.set_disasm(dump.wants_asm());
        let builder = FunctionBuilder::new(&mut context.func, frontend);
        let sites = body::emit(builder, &self.unit, &mut self.jit, at)?;
        if at == 0 {
            self.sites = sites;
        }
        if dump.wants_clif() {
            dump.clif(&function.name, &context.func.display().to_string());
        }
        let piece = object::compile(context, &self.jit).map_err(|error| self.failed(error))?;
        if let Some(text) = context.compiled_code().and_then(|code| code.vcode.as_ref()) {
            dump.asm(&function.name, text);
        }
        if sharable {
            self.made.keep(self.plan, at, &piece);
        }
        Ok(piece)
    }

    fn define_table(&self) -> Result<Piece, Error> {
        let size = self.unit.module.functions.len() as u64 * TABLE_ENTRY;
        let size = usize::try_from(size).map_err(|error| self.failed(error))?;
        let mut bytes = vec![0; size];
        let mut relocs = Vec::new();
        for id in &self.plan.reached.address_taken {
            let function = &self.unit.module.functions[id.index()];
            let position = usize::try_from(table_position(*id)).unwrap_or(usize::MAX);
            let signature = signature_id(&function.params, &function.returns);
            bytes[position + 8..position + 16].copy_from_slice(&signature.to_le_bytes());
            let at = self.plan.reached.index_of(*id);
            let at = at.ok_or_else(|| self.failed("a function that is not compiled"))?;
            relocs.push(Reloc {
                offset: u32::try_from(position).unwrap_or(u32::MAX),
                kind: Kind::Abs8,
                target: Target::Function(u32::try_from(at).unwrap_or(u32::MAX)),
                addend: 0,
            });
        }
        Ok(Piece {
            align: 16,
            bytes,
            relocs,
            lanes: Vec::new(),
        })
    }

    fn entered(&self) -> Entered {
        if let Some(resume) = &self.plan.resume {
            return Entered::Turns(Resumable {
                frame_size: resume.frame_size,
                sites: self.sites.clone(),
            });
        }
        if let Some(wide) = &self.plan.wide {
            Entered::Block(Together {
                lanes: LANES_U32,
                frame_size: wide.frame_size,
            })
        } else if self.plan.meeting.threads_meet {
            Entered::Stack
        } else {
            Entered::Thread
        }
    }

    fn assumed(&self) -> Vec<Assumed> {
        let assumed = &self.plan.bounds.assumed;
        let assumed = assumed.iter().map(|(offset, align)| Assumed {
            offset: *offset,
            align: *align,
        });
        assumed.collect()
    }

    fn facts(&self) -> Result<Facts, Error> {
        let within = |what: &str, bytes: u64| {
            let too_large = || Error::TooLarge {
                what: format!("{what} of kernel {}", self.kernel),
                bytes,
                limit: MEMORY_LIMIT,
            };
            u32::try_from(bytes)
                .ok()
                .filter(|_| bytes <= MEMORY_LIMIT)
                .ok_or_else(too_large)
        };
        let static_shared = within("shared memory", self.plan.shared.size)?;
        let local_size = within("local memory", self.plan.frames.local_size)?;
        let first = &self.plan.reached.functions[0];
        let params_size = self.unit.module.functions[first.id.index()].params_size();
        let params_size = within("parameters", params_size)?;
        Ok(Facts {
            entered: self.entered(),
            assumed: self.assumed(),
            static_shared,
            local_size,
            params_size,
        })
    }
}
