//! A way into the host's `translate` that preserves all registers, so that compiled code pays nothing for a
//! call it seldom makes. It is compiled once per process.
//!
//! `translate_preserving(ctx, address, width, last, write, result)` translates `address`, makes sure that the
//! byte at `last` is accessible too, and writes the host address to `result`.

use std::sync::{Arc, OnceLock};

use cranelift_codegen::ir::{AbiParam, InstBuilder, Signature, types};
use cranelift_codegen::isa::{CallConv, OwnedTargetIsa};
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};
use cranelift_jit::{JITBuilder, JITModule};
use cranelift_module::{FuncId, Linkage, Module as _, ModuleError, default_libcall_names};
use rgpu_softgpu_exec::libcalls;

use crate::emit::util::checked;
use crate::error::Error;

/// Its name in a module.
pub(crate) const NAME: &str = "translate_preserving";
/// The host function behind it.
const HOST: &str = "translate";

fn signature() -> Signature {
    let mut signature = Signature::new(CallConv::PreserveAll);
    let params = [
        types::I64,
        types::I64,
        types::I32,
        types::I64,
        types::I32,
        types::I64,
    ];
    signature.params.extend(params.map(AbiParam::new));
    signature
}

/// Declares it in a module that gets its address from [`address`].
pub(crate) fn declare(jit: &mut JITModule) -> Result<FuncId, Box<ModuleError>> {
    Ok(jit.declare_function(NAME, Linkage::Import, &signature())?)
}

/// Code that stays mapped as long as the process.
struct Forever(usize);

/// Its address.
pub(crate) fn address(isa: &OwnedTargetIsa) -> Result<*const u8, Error> {
    static CODE: OnceLock<Result<Forever, String>> = OnceLock::new();
    let code = CODE.get_or_init(|| compile(isa).map_err(|error| error.to_string()));
    match code {
        Ok(Forever(address)) => Ok(std::ptr::with_exposed_provenance(*address)),
        Err(message) => Err(Error::Codegen {
            kernel: NAME.to_owned(),
            message: message.clone(),
        }),
    }
}

fn compile(isa: &OwnedTargetIsa) -> Result<Forever, Box<ModuleError>> {
    let mut builder = JITBuilder::with_isa(Arc::clone(isa), default_libcall_names());
    if let Some(row) = libcalls::find(HOST) {
        builder.symbol(HOST, row.address());
    }
    let mut jit = JITModule::new(builder);
    let mut host = jit.make_signature();
    host.params
        .extend([types::I64, types::I64, types::I32, types::I32].map(AbiParam::new));
    host.returns.push(AbiParam::new(types::I64));
    let host = jit.declare_function(HOST, Linkage::Import, &host)?;
    let id = jit.declare_function(NAME, Linkage::Local, &signature())?;

    let mut context = jit.make_context();
    context.func.signature = signature();
    let mut frontend = FunctionBuilderContext::new();
    let mut b = FunctionBuilder::new(&mut context.func, &mut frontend);
    let host = jit.declare_func_in_func(host, b.func);
    let block = b.create_block();
    b.append_block_params_for_function_params(block);
    b.switch_to_block(block);
    let params = b.block_params(block).to_vec();
    let [ctx, address, width, last, write, result] = params[..] else {
        unreachable!("the signature above has six parameters")
    };
    let translate = b.ins().call(host, &[ctx, address, width, write]);
    let translated = b.inst_results(translate)[0];
    let one = b.ins().iconst(types::I32, 1);
    b.ins().call(host, &[ctx, last, one, write]);
    b.ins().store(checked(), translated, result, 0);
    b.ins().return_(&[]);
    b.seal_all_blocks();
    b.finalize(jit.isa().frontend_config());
    jit.define_function(id, &mut context)?;
    jit.finalize_definitions()?;
    // The module is never freed: dropping it leaves its memory mapped.
    Ok(Forever(jit.get_finalized_function(id).expose_provenance()))
}
