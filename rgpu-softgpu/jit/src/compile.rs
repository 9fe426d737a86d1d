//! From a plan to machine code: declares the functions, has their bodies emitted, links.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};

use cranelift_codegen::Context;
use cranelift_codegen::ir::{AbiParam, Function as ClifFunction, Signature, UserFuncName, types};
use cranelift_codegen::isa::OwnedTargetIsa;
use cranelift_codegen::settings::{self, Configurable};
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};
use cranelift_jit::{JITBuilder, JITModule};
use cranelift_module::{DataDescription, DataId, Linkage, Module as _, default_libcall_names};
use rgpu_ptx::Module;
use rgpu_ptx::ast::{FuncId, Function};
use rgpu_softgpu_exec::abi::{Assumed, Code, Entry, Kernel, KernelFn, Meet, Resumable, TurnFn};
use rgpu_softgpu_exec::libcalls::LIBCALLS;

use crate::dump::Dump;
use crate::emit::call::{TABLE_ENTRY, signature, signature_id, table_position};
use crate::emit::{Unit, body};
use crate::error::{Error, Refusal, refused_at};
use crate::passes::bounds::Trust;
use crate::passes::{self, Plan};
use crate::trampoline;

/// Most that a kernel may ask of shared or local memory, static and per thread.
const MEMORY_LIMIT: u64 = 1 << 30;

/// The machine of this process, with all instructions it has.
pub(crate) fn native_isa() -> Result<OwnedTargetIsa, Error> {
    let failed = |message: String| Error::Codegen {
        kernel: "(any)".to_owned(),
        message,
    };
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
        flags
            .set(name, value)
            .map_err(|error| failed(error.to_string()))?;
    }
    let builder = cranelift_native::builder().map_err(|message| failed(message.to_owned()))?;
    builder
        .finish(settings::Flags::new(flags))
        .map_err(|error| failed(error.to_string()))
}

/// Machine code, unmapped when nothing refers to it any more.
struct Mapped {
    module: Mutex<Option<JITModule>>,
    /// Where the functions lie.
    functions: Box<[Range<usize>]>,
}

impl fmt::Debug for Mapped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mapped")
    }
}

impl Code for Mapped {
    fn contains(&self, address: usize) -> bool {
        self.functions.iter().any(|code| code.contains(&address))
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        let module = self.module.get_mut().ok().and_then(Option::take);
        if let Some(module) = module {
            // SAFETY: the entry point is valid only while this value lives (contract of `Kernel::code`), so
            // nothing runs in or points into this code any more.
            unsafe { module.free_memory() };
        }
    }
}

/// Compiles a kernel and all that it may call.
pub(crate) fn kernel(
    module: &Module,
    addresses: &[Option<u64>],
    isa: &OwnedTargetIsa,
    id: FuncId,
    trust: Trust,
) -> Result<Kernel, Error> {
    let name = &module.functions[id.index()].name;
    let mut dump = Dump::new(name);
    dump.ptx(|| {
        module.functions[id.index()]
            .span
            .text(&module.text)
            .to_owned()
    });
    refuse_clusters(module, &module.functions[id.index()])?;
    // The code generator asserts what it expects. A module that defies it must not end the process.
    let compiled = catch_unwind(AssertUnwindSafe(|| {
        let plan = passes::run(module, id, trust, &mut dump)?;
        Compilation::new(module, addresses, isa, &plan)?.run(&mut dump)
    }));
    compiled.unwrap_or_else(|panic| {
        let words = panic.downcast_ref::<String>().cloned();
        let words = words.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        let message = words.unwrap_or_else(|| "internal error".to_owned());
        Err(Error::Codegen {
            kernel: name.clone(),
            message,
        })
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
    unit: Unit<'a>,
    jit: JITModule,
    /// Bytes of the functions compiled so far.
    sizes: Vec<(cranelift_module::FuncId, usize)>,
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
    ) -> Result<Self, Error> {
        let mut builder = JITBuilder::with_isa(Arc::clone(isa), default_libcall_names());
        builder.symbols(LIBCALLS.iter().map(|row| (row.name, row.address())));
        builder.symbol(trampoline::NAME, trampoline::address(isa)?);
        let mut jit = JITModule::new(builder);
        let kernel = plan.reached.functions[0].name.as_str();
        let trampoline = trampoline::declare(&mut jit).map_err(|error| Error::Codegen {
            kernel: kernel.to_owned(),
            message: error.to_string(),
        })?;
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
            unit,
            jit,
            sizes: Vec::new(),
            kernel,
            sites: Vec::new(),
        };
        compilation.declare()?;
        Ok(compilation)
    }

    fn failed(&self, error: impl fmt::Display) -> Error {
        Error::Codegen {
            kernel: self.kernel.to_owned(),
            message: error.to_string(),
        }
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
            let name = format!("function{at}");
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
                .declare_data("function_table", Linkage::Local, false, false);
            self.unit.table = Some(declared.map_err(|error| self.failed(error))?);
        }
        Ok(())
    }

    fn run(mut self, dump: &mut Dump) -> Result<Kernel, Error> {
        let mut frontend = FunctionBuilderContext::new();
        let mut context = self.jit.make_context();
        for at in 0..self.plan.reached.functions.len() {
            self.define(at, &mut context, &mut frontend, dump)?;
        }
        if let Some(table) = self.unit.table {
            self.define_table(table)?;
        }
        let finished = self.jit.finalize_definitions();
        finished.map_err(|error| self.failed(error))?;
        self.finish()
    }

    fn define(
        &mut self,
        at: usize,
        context: &mut Context,
        frontend: &mut FunctionBuilderContext,
        dump: &mut Dump,
    ) -> Result<(), Error> {
        let function = &self.plan.reached.functions[at];
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
        let id = self.unit.functions[&function.id];
        let defined = self.jit.define_function(id, context);
        defined.map_err(|error| self.failed(format!("{error:?}")))?;
        let size = context
            .compiled_code()
            .map_or(0, |code| code.code_info().total_size);
        self.sizes.push((id, size as usize));
        if let Some(text) = context.compiled_code().and_then(|code| code.vcode.as_ref()) {
            dump.asm(&function.name, text);
        }
        Ok(())
    }

    fn define_table(&mut self, table: DataId) -> Result<(), Error> {
        let size = self.unit.module.functions.len() as u64 * TABLE_ENTRY;
        let size = usize::try_from(size).map_err(|error| self.failed(error))?;
        let mut bytes = vec![0; size];
        let mut entries = Vec::new();
        for id in &self.plan.reached.address_taken {
            let function = &self.unit.module.functions[id.index()];
            let position = usize::try_from(table_position(*id)).unwrap_or(usize::MAX);
            let signature = signature_id(&function.params, &function.returns);
            bytes[position + 8..position + 16].copy_from_slice(&signature.to_le_bytes());
            entries.push((position, self.unit.functions[id]));
        }
        let mut data = DataDescription::new();
        data.set_align(16);
        data.define(bytes.into_boxed_slice());
        for (position, id) in entries {
            let function = self.jit.declare_func_in_data(id, &mut data);
            data.write_function_addr(u32::try_from(position).unwrap_or(u32::MAX), function);
        }
        let defined = self.jit.define_data(table, &data);
        defined.map_err(|error| self.failed(error))
    }

    fn entry(&self, address: *const u8) -> Entry {
        if let Some(resume) = &self.plan.resume {
            // SAFETY: the function at `address` was just compiled with the signature of `TurnFn`: one pointer, a 32-bit
            // result, the C calling convention.
            let entry = unsafe { std::mem::transmute::<*const u8, TurnFn>(address) };
            let resumable = Resumable {
                frame_size: resume.frame_size,
                sites: self.sites.clone(),
            };
            return Entry::Turns(entry, Arc::new(resumable));
        }
        // SAFETY: as above, with the signature of `KernelFn`: one pointer and no result.
        let entry = unsafe { std::mem::transmute::<*const u8, KernelFn>(address) };
        if self.plan.meeting.threads_meet {
            Entry::Stack(entry)
        } else if self.plan.runs_rows {
            Entry::Row(entry)
        } else {
            Entry::Thread(entry)
        }
    }

    /// Where the compiled functions lie.
    fn functions(&self) -> Box<[Range<usize>]> {
        let place = |&(id, size): &(cranelift_module::FuncId, usize)| {
            let start = self.jit.get_finalized_function(id).addr();
            start..start + size
        };
        self.sizes.iter().map(place).collect()
    }

    fn assumed(&self) -> Vec<Assumed> {
        let assumed = &self.plan.bounds.assumed;
        let assumed = assumed.iter().map(|(offset, align)| Assumed {
            offset: *offset,
            align: *align,
        });
        assumed.collect()
    }

    fn finish(self) -> Result<Kernel, Error> {
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
        let address = self
            .jit
            .get_finalized_function(self.unit.functions[&first.id]);
        let entry = self.entry(address);
        let assumed = self.assumed();
        Ok(Kernel {
            name: self.kernel.to_owned(),
            entry,
            code: Arc::new(Mapped {
                functions: self.functions(),
                module: Mutex::new(Some(self.jit)),
            }),
            assumed,
            static_shared,
            local_size,
            params_size,
        })
    }
}
