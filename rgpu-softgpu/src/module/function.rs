//! A kernel that can be launched: what is known of it, and what the program has set.

use std::ffi::{CString, c_void};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use rgpu_ptx::ast;
use rgpu_softgpu_exec::abi;
use rgpu_softgpu_jit::Needs;

use super::{Kernel, Module};
use crate::context::{self, Context};
use crate::device::{CAPABILITY, limits};
use crate::driver;
use crate::status::{INVALID_CONFIGURATION, Result, Status, require};

/// What a kernel's text says before it is compiled.
#[derive(Debug)]
pub(crate) struct Signature {
    name: String,
    /// The same for C; a name in PTX has no NUL.
    c_name: CString,
    /// Offset and size of each parameter.
    params: Vec<(u64, u64)>,
    params_size: u64,
    /// `.maxntid`, or what it implies.
    max_threads: u32,
    /// `.reqntid`.
    required: Option<[u32; 3]>,
    /// The registers that each thread may have.
    max_registers: u32,
    /// The number in `.target`.
    arch: u32,
}

/// Registers of a thread, at most.
const MOST_REGISTERS: u32 = 255;
/// Registers that hold no value of the program: the stack pointer, and what the machine needs for itself.
const OWN_REGISTERS: u32 = 6;

impl Signature {
    pub(super) fn of(kernel: &ast::Function, arch: u32) -> Self {
        let directives = &kernel.directives;
        let bound = directives.reqntid.or(directives.maxntid);
        let bound = bound.map(|[x, y, z]| x.saturating_mul(y).saturating_mul(z));
        let most = limits::THREADS_PER_BLOCK;
        let threads = bound.map_or(most, |bound| bound.clamp(1, most));
        Self {
            name: kernel.name.clone(),
            c_name: CString::new(kernel.name.as_str()).unwrap_or_default(),
            params: kernel
                .params
                .iter()
                .map(|param| (param.offset, param.size))
                .collect(),
            params_size: kernel.params_size(),
            max_threads: threads,
            required: directives.reqntid,
            max_registers: most_registers(
                directives.maxnreg,
                threads,
                directives.minnctapersm.unwrap_or(1),
            ),
            arch,
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn c_name(&self) -> &CString {
        &self.c_name
    }

    /// Offset and size of each parameter.
    pub(crate) fn params(&self) -> &[(u64, u64)] {
        &self.params
    }

    /// Offset and size of a parameter.
    pub(crate) fn param(&self, index: usize) -> Result<(u64, u64)> {
        let found = self.params.get(index).copied();
        found.ok_or(Status::ERROR_INVALID_VALUE)
    }

    pub(crate) fn params_size(&self) -> u64 {
        self.params_size
    }

    pub(crate) fn max_threads(&self) -> u32 {
        self.max_threads
    }

    pub(crate) fn required(&self) -> Option<[u32; 3]> {
        self.required
    }

    /// Registers of a thread that keeps so many words at once.
    pub(crate) fn registers(&self, live_words: u32) -> u32 {
        live_words
            .saturating_add(OWN_REGISTERS)
            .min(self.max_registers)
    }
}

/// The most registers of a thread with which as many threads fit as the kernel's directives say: blocks of
/// `.maxntid`, or the largest blocks there are, `.minnctapersm` at a time; and no more than `.maxnreg`.
fn most_registers(maxnreg: Option<u32>, threads: u32, min_blocks: u32) -> u32 {
    let warps = threads
        .div_ceil(limits::WARP)
        .saturating_mul(min_blocks.max(1));
    // A warp's registers are handed out 256 at a time: 8 for each thread.
    let fit = limits::REGISTERS_PER_SM / limits::WARP / warps / 8 * 8;
    let most = fit.clamp(16, MOST_REGISTERS);
    maxnreg.map_or(most, |own| own.clamp(1, most))
}

/// What the program may set; a kernel of a library and its functions share it.
#[derive(Debug)]
pub(crate) struct Settings {
    /// Most dynamic shared memory; negative while it is not set.
    max_dynamic_shared: AtomicI32,
    carveout: AtomicI32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_dynamic_shared: AtomicI32::new(-1),
            carveout: AtomicI32::new(-1),
        }
    }
}

/// A kernel in a context.
#[derive(Debug)]
pub(crate) struct Function {
    context: Arc<Context>,
    module: Arc<Module>,
    signature: Arc<Signature>,
    settings: Arc<Settings>,
}

mod attribute {
    pub(super) const MAX_THREADS_PER_BLOCK: u32 = 0;
    pub(super) const SHARED_SIZE: u32 = 1;
    pub(super) const CONST_SIZE: u32 = 2;
    pub(super) const LOCAL_SIZE: u32 = 3;
    pub(super) const REGISTERS: u32 = 4;
    pub(super) const PTX_VERSION: u32 = 5;
    pub(super) const BINARY_VERSION: u32 = 6;
    pub(super) const CACHE_MODE_CA: u32 = 7;
    pub(super) const MAX_DYNAMIC_SHARED: u32 = 8;
    pub(super) const CARVEOUT: u32 = 9;
    pub(super) const FIRST_OF_CLUSTER: u32 = 10;
    pub(super) const LAST_OF_CLUSTER: u32 = 15;
}

/// What a handle of something to launch turned out to be.
#[derive(Debug)]
pub(crate) struct Resolved {
    pub(crate) function: Arc<Function>,
    /// The code for a launch that the device cannot do. The runtime launches kernels, and documents another
    /// code than the driver does for functions.
    pub(crate) bad_shape: Status,
}

/// The function behind a `CUfunction`, or behind a `CUkernel` in its place, as CUDA allows.
pub(crate) fn resolve(handle: *mut c_void) -> Result<Arc<Function>> {
    resolve_to_launch(handle).map(|resolved| resolved.function)
}

/// As [`resolve`], for a launch.
pub(crate) fn resolve_to_launch(handle: *mut c_void) -> Result<Resolved> {
    let driver = driver::get()?;
    let context = context::current()?;
    if let Ok(function) = driver.functions.get(handle) {
        function.context.check()?;
        return Ok(Resolved {
            function,
            bad_shape: Status::ERROR_INVALID_VALUE,
        });
    }
    let kernel = Kernel::find(driver, handle)?;
    Ok(Resolved {
        function: driver.functions.get(kernel.function(&context)?)?,
        bad_shape: if kernel.is_of_runtime() {
            INVALID_CONFIGURATION
        } else {
            Status::ERROR_INVALID_VALUE
        },
    })
}

fn small(size: u64) -> u32 {
    u32::try_from(size).unwrap_or(u32::MAX)
}

impl Function {
    pub(super) fn new(
        context: Arc<Context>,
        module: Arc<Module>,
        signature: Arc<Signature>,
        settings: Arc<Settings>,
    ) -> Self {
        Self {
            context,
            module,
            signature,
            settings,
        }
    }

    pub(crate) fn context(&self) -> &Context {
        &self.context
    }

    pub(crate) fn context_id(&self) -> u64 {
        self.context.id()
    }

    pub(crate) fn module(&self) -> &Arc<Module> {
        &self.module
    }

    pub(crate) fn signature(&self) -> &Signature {
        &self.signature
    }

    /// The code, compiled now if it was not yet.
    pub(crate) fn code(&self) -> Result<Arc<abi::Kernel>> {
        self.module.compile(self.signature.name())
    }

    /// The code that is right for these parameters.
    pub(crate) fn code_for(&self, params: &[u8]) -> Result<Arc<abi::Kernel>> {
        self.module.compile_for(self.signature.name(), params)
    }

    /// Bytes of static shared memory.
    pub(crate) fn static_shared(&self) -> Result<u32> {
        Ok(small(self.needs()?.static_shared))
    }

    /// Registers of a thread. Compiled code has the CPU's; this is what a GPU might need.
    pub(crate) fn registers(&self) -> Result<u32> {
        Ok(self.signature.registers(self.needs()?.live_words))
    }

    fn needs(&self) -> Result<Needs> {
        self.module.needs(self.signature.name())
    }

    /// Most dynamic shared memory that a launch may ask for.
    pub(crate) fn max_dynamic_shared(&self, static_shared: u32) -> u32 {
        let set = self.settings.max_dynamic_shared.load(Ordering::Relaxed);
        let default = limits::SHARED_PER_BLOCK.saturating_sub(static_shared);
        u32::try_from(set).unwrap_or(default)
    }

    /// A `CUfunction_attribute`.
    pub(crate) fn attribute(&self, wanted: u32) -> Result<i32> {
        let value = match wanted {
            attribute::MAX_THREADS_PER_BLOCK => self.signature.max_threads(),
            attribute::SHARED_SIZE => self.static_shared()?,
            attribute::CONST_SIZE => small(self.module.constant_size()),
            attribute::LOCAL_SIZE => small(self.needs()?.local_size),
            attribute::REGISTERS => self.registers()?,
            attribute::PTX_VERSION => self.signature.arch,
            attribute::BINARY_VERSION => u32::from(CAPABILITY.0 * 10 + CAPABILITY.1),
            attribute::CACHE_MODE_CA => 0,
            attribute::MAX_DYNAMIC_SHARED => self.max_dynamic_shared(self.static_shared()?),
            attribute::CARVEOUT => return Ok(self.settings.carveout.load(Ordering::Relaxed)),
            attribute::FIRST_OF_CLUSTER..=attribute::LAST_OF_CLUSTER => 0,
            _ => return Err(Status::ERROR_INVALID_VALUE),
        };
        Ok(i32::try_from(value).unwrap_or(i32::MAX))
    }

    /// Sets a `CUfunction_attribute`.
    pub(crate) fn set_attribute(&self, wanted: u32, value: i32) -> Result {
        match wanted {
            attribute::MAX_DYNAMIC_SHARED => {
                let room = limits::SHARED_PER_BLOCK_OPTIN.checked_sub(self.static_shared()?);
                let fits = u32::try_from(value).is_ok_and(|value| room >= Some(value));
                require(fits)?;
                self.settings
                    .max_dynamic_shared
                    .store(value, Ordering::Relaxed);
                Ok(())
            }
            attribute::CARVEOUT => {
                require((-1..=100).contains(&value))?;
                self.settings.carveout.store(value, Ordering::Relaxed);
                Ok(())
            }
            attribute::FIRST_OF_CLUSTER..=attribute::LAST_OF_CLUSTER => {
                Err(Status::ERROR_NOT_SUPPORTED)
            }
            _ => Err(Status::ERROR_INVALID_VALUE),
        }
    }
}
