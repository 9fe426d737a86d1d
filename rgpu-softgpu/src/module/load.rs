//! A module in a context: its variables have addresses there.

use std::collections::HashMap;
use std::ffi::c_void;
use std::sync::{Arc, Mutex, PoisonError};

use rgpu_proto::handle::{self, Id};
use rgpu_softgpu_exec::abi;
use rgpu_softgpu_exec::memory::DeviceMemory;
use rgpu_softgpu_jit::{Cache, Error, ModuleMemory, Needs, Program};

use super::image::Refusal;
use super::{Function, Image, Settings};
use crate::context::Context;
use crate::driver::{self, Driver};
use crate::memory::Owner;
use crate::status::{Result, Status, of_memory};

/// A module.
#[derive(Debug)]
pub(crate) struct Module {
    handle: Id<handle::Module>,
    context: Arc<Context>,
    image: Arc<Image>,
    program: Program,
    variables: Vec<u64>,
    /// Handles of the functions that were asked for, by name.
    functions: Mutex<HashMap<String, usize>>,
}

/// Gives the variables of a module their memory.
struct Variables<'a> {
    driver: &'a Driver,
    memory: &'a DeviceMemory,
    context: u64,
    taken: Mutex<Vec<u64>>,
}

impl ModuleMemory for Variables<'_> {
    fn alloc(&self, size: u64, align: u64, _: bool) -> std::result::Result<u64, String> {
        // Every allocation is aligned to 512; more is rare enough to pay for with space.
        let spare = if align > 512 { align } else { 0 };
        let memory = self.memory;
        let size = size.checked_add(spare).ok_or("too large")?;
        let base = memory.allocate(size).map_err(|error| error.to_string())?;
        self.taken
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(base);
        let owner = Owner {
            may_be_freed: false,
            ..Owner::of(self.context)
        };
        self.driver.owners.add(base, owner);
        memory
            .fill(base, &[0], size)
            .map_err(|error| error.to_string())?;
        Ok(base.next_multiple_of(align.max(1)))
    }

    fn write(&self, address: u64, bytes: &[u8]) -> std::result::Result<(), String> {
        let memory = self.memory;
        // SAFETY: `bytes` is a slice.
        let written = unsafe { memory.copy_in(address, bytes.as_ptr(), bytes.len() as u64) };
        written.map_err(|error| error.to_string())
    }
}

/// The code for what the compiler says, with its words.
fn refusal(error: &Error) -> Refusal {
    let status = match error {
        Error::Parse(error) => return Refusal::from(error.clone()),
        Error::NoSuchKernel(_) => Status::ERROR_NOT_FOUND,
        Error::Unresolved { .. } => Status::ERROR_INVALID_PTX,
        Error::Refused { .. } | Error::Codegen { .. } => Status::ERROR_NOT_SUPPORTED,
        Error::Memory { .. } | Error::TooLarge { .. } => Status::ERROR_OUT_OF_MEMORY,
    };
    Refusal::new(status, error.to_string())
}

impl Module {
    /// Loads an image into `context`.
    pub(crate) fn load(
        context: &Arc<Context>,
        image: Arc<Image>,
    ) -> std::result::Result<Arc<Self>, Refusal> {
        let not_ready = |status| Refusal::new(status, "not initialised");
        let driver = driver::get().map_err(not_ready)?;
        let memory = Variables {
            driver,
            memory: &context.gpu().map_err(not_ready)?.memory,
            context: context.id(),
            taken: Mutex::default(),
        };
        let program = Program::new(Arc::clone(image.ptx()), &memory);
        let variables = memory
            .taken
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        let program = program.map_err(|error| {
            free(driver, &variables);
            refusal(&error)
        })?;
        let program = program.cached_in(Cache::of_user());
        let handle = driver.modules.mint();
        let module = Arc::new(Self {
            handle,
            context: context.clone(),
            image,
            program,
            variables,
            functions: Mutex::default(),
        });
        driver.modules.insert(handle, module.clone());
        Ok(module)
    }

    pub(crate) fn handle(&self) -> *mut c_void {
        self.handle.to_c()
    }

    pub(crate) fn context(&self) -> &Context {
        &self.context
    }

    pub(crate) fn context_id(&self) -> u64 {
        self.context.id()
    }

    pub(crate) fn image(&self) -> &Image {
        &self.image
    }

    /// Bytes of all constants.
    pub(crate) fn constant_size(&self) -> u64 {
        let constants = self.program.globals().filter(|global| global.is_const);
        constants.map(|global| global.size).sum()
    }

    /// Address and size of a variable.
    pub(crate) fn global(&self, name: &str) -> Result<(u64, u64)> {
        self.program.global(name).ok_or(Status::ERROR_NOT_FOUND)
    }

    /// What a kernel takes of a multiprocessor; compiles nothing.
    pub(super) fn needs(&self, name: &str) -> Result<Needs> {
        self.program
            .needs(name)
            .map_err(|error| report(name, &error))
    }

    /// Compiled code of a kernel.
    pub(super) fn compile(&self, name: &str) -> Result<Arc<abi::Kernel>> {
        self.program
            .compile(name)
            .map_err(|error| report(name, &error))
    }

    /// The same, right for these parameters.
    pub(super) fn compile_for(&self, name: &str, params: &[u8]) -> Result<Arc<abi::Kernel>> {
        self.program
            .compile_for(name, params)
            .map_err(|error| report(name, &error))
    }

    /// The handle of a kernel's function, always the same. `settings` are its own unless it is shared.
    pub(crate) fn function(
        self: &Arc<Self>,
        name: &str,
        settings: Option<Arc<Settings>>,
    ) -> Result<*mut c_void> {
        let signature = self.image.kernel(name)?;
        let driver = driver::get()?;
        let mut functions = self
            .functions
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(&handle) = functions.get(name) {
            return Ok(std::ptr::without_provenance_mut(handle));
        }
        let handle = driver.functions.add(Arc::new(Function::new(
            self.context.clone(),
            self.clone(),
            signature.clone(),
            settings.unwrap_or_default(),
        )));
        functions.insert(name.to_owned(), handle.addr());
        Ok(handle)
    }

    /// Frees the variables and forgets the functions. The module must have left the table.
    pub(crate) fn unload(&self, driver: &Driver) {
        let ours = |function: &Function| function.module().handle() == self.handle();
        driver.functions.remove_where(ours);
        free(driver, &self.variables);
    }
}

/// Unloads the module of a handle, after all work of its context.
pub(crate) fn unload(handle: *mut c_void) -> Result {
    let driver = driver::get()?;
    crate::context::current()?;
    let module = driver.modules.remove(handle)?;
    let sound = module.context.synchronise();
    module.unload(driver);
    sound
}

fn free(driver: &Driver, variables: &[u64]) {
    for &base in variables {
        driver.owners.remove(base);
        if let Err(status) = driver.memory.release(base).map_err(of_memory) {
            tracing::error!(base, code = status.0, "a variable could not be freed");
        }
    }
}

/// Says why a kernel cannot be compiled.
fn report(kernel: &str, error: &Error) -> Status {
    let refusal = refusal(error);
    tracing::error!(kernel, "cannot be compiled: {}", refusal.message);
    refusal.status
}
