//! A way into the host's `translate` that preserves all registers, so that compiled code pays nothing for a
//! call it seldom makes. It is made once per process.
//!
//! `translate_preserving(ctx, address, width, last, write, result)` translates `address`, makes sure that the
//! byte at `last` is accessible too, and writes the host address to `result`.

use std::sync::{Arc, OnceLock};

use cranelift_codegen::ir::{AbiParam, InstBuilder, Signature, types};
use cranelift_codegen::isa::{CallConv, OwnedTargetIsa};
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};
use cranelift_jit::{JITBuilder, JITModule};
use cranelift_module::{FuncId, Linkage, Module as _, ModuleError, default_libcall_names};

use crate::cache::Cache;
use crate::compile::Machine;
use crate::emit::util::checked;
use crate::error::Error;
use crate::object::{self, Linked, Object, Outside};

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

/// Declares it.
pub(crate) fn declare(jit: &mut JITModule) -> Result<FuncId, Box<ModuleError>> {
    Ok(jit.declare_function(NAME, Linkage::Import, &signature())?)
}

/// Its address.
pub(crate) fn address(machine: &Machine, cache: Option<&Cache>) -> Result<*const u8, Error> {
    // Stays mapped as long as the process.
    static CODE: OnceLock<Result<Linked, String>> = OnceLock::new();
    let code = CODE.get_or_init(|| {
        let key = machine.key(&[NAME.as_bytes()]);
        let found = cache.and_then(|cache| cache.load::<Object>(&key));
        if let Some(Ok(linked)) = found.map(|object| link(&object, machine)) {
            return Ok(linked);
        }
        let object = compile(&machine.isa).map_err(|error| error.to_string())?;
        if let Some(cache) = cache {
            cache.store(&key, &object);
        }
        link(&object, machine)
    });
    match code {
        Ok(linked) => Ok(linked.entry()),
        Err(message) => Err(Error::Codegen {
            kernel: NAME.to_owned(),
            message: message.clone(),
        }),
    }
}

fn link(object: &Object, machine: &Machine) -> Result<Linked, String> {
    let outside = Outside {
        variables: &[],
        trampoline: None,
    };
    object.link(&machine.isa, outside)
}

fn compile(isa: &OwnedTargetIsa) -> Result<Object, Box<dyn std::error::Error>> {
    let builder = JITBuilder::with_isa(Arc::clone(isa), default_libcall_names());
    let mut jit = JITModule::new(builder);
    let mut host = jit.make_signature();
    host.params
        .extend([types::I64, types::I64, types::I32, types::I32].map(AbiParam::new));
    host.returns.push(AbiParam::new(types::I64));
    let host = jit.declare_function(HOST, Linkage::Import, &host)?;

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
    Ok(Object {
        functions: vec![object::compile(&mut context, &jit)?],
        table: None,
    })
}
