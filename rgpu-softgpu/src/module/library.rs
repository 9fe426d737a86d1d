//! Libraries: modules without a context, and their kernels.

use std::collections::HashMap;
use std::ffi::c_void;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rgpu_proto::handle::{self, Id};

use super::{Image, Module, Settings, Signature};
use crate::context::Context;
use crate::driver::{self, Driver};
use crate::status::{INVALID_DEVICE_FUNCTION, Result, Status};

/// A library.
#[derive(Debug)]
pub(crate) struct Library {
    handle: Id<handle::Library>,
    image: Arc<Image>,
    /// Its module in each context that needed one, by the context's id.
    modules: Mutex<HashMap<u64, Arc<Module>>>,
    /// Its kernels, in the order of the text.
    kernels: Vec<(Arc<Signature>, usize)>,
}

/// A kernel of a library.
#[derive(Debug)]
pub(crate) struct Kernel {
    library: Id<handle::Library>,
    signature: Arc<Signature>,
    /// What the program has set for each device.
    settings: Vec<Arc<Settings>>,
    /// NVIDIA's runtime loaded it.
    of_runtime: bool,
    /// Handle of its function in each context, by the context's id.
    functions: Mutex<HashMap<u64, usize>>,
}

impl Library {
    /// Enters a library made of `image`, which NVIDIA's runtime or another program loads.
    pub(crate) fn load(image: Arc<Image>, of_runtime: bool) -> Result<*mut c_void> {
        let driver = driver::get()?;
        let handle = driver.libraries.mint();
        let enter = |signature: &Arc<Signature>| {
            let kernel = Kernel {
                library: handle,
                signature: signature.clone(),
                settings: driver.gpus.iter().map(|_| Arc::default()).collect(),
                of_runtime,
                functions: Mutex::default(),
            };
            (
                signature.clone(),
                driver.kernels.add(Arc::new(kernel)).addr(),
            )
        };
        let library = Self {
            handle,
            kernels: image.kernels().iter().map(enter).collect(),
            image,
            modules: Mutex::default(),
        };
        driver.libraries.insert(handle, Arc::new(library));
        Ok(handle.to_c())
    }

    /// Unloads a library from every context.
    pub(crate) fn unload(handle: *mut c_void) -> Result {
        let driver = driver::get()?;
        let library = driver.libraries.remove(handle)?;
        let of_library = |kernel: &Kernel| kernel.library == library.handle;
        driver.kernels.remove_where(of_library);
        let modules = std::mem::take(&mut *library.modules());
        for module in modules.into_values() {
            if driver.modules.remove(module.handle()).is_ok() {
                module.context().drain();
                module.unload(driver);
            }
        }
        Ok(())
    }

    /// The module in `context`, loaded now if it was not yet.
    pub(crate) fn module(&self, context: &Arc<Context>) -> Result<Arc<Module>> {
        let mut modules = self.modules();
        if let Some(module) = modules.get(&context.id()) {
            return Ok(module.clone());
        }
        let module = Module::load(context, self.image.clone()).map_err(|refusal| {
            tracing::error!(code = refusal.status.0, "{}", refusal.message);
            refusal.status
        })?;
        modules.insert(context.id(), module.clone());
        Ok(module)
    }

    /// Handles of all kernels.
    pub(crate) fn kernels(&self) -> impl ExactSizeIterator<Item = *mut c_void> + '_ {
        let handles = self.kernels.iter();
        handles.map(|(_, handle)| std::ptr::without_provenance_mut(*handle))
    }

    /// Handle of the kernel of this name.
    pub(crate) fn kernel(&self, name: &str) -> Result<*mut c_void> {
        let found = self
            .kernels
            .iter()
            .find(|(kernel, _)| kernel.name() == name);
        let (_, handle) = found.ok_or(Status::ERROR_NOT_FOUND)?;
        Ok(std::ptr::without_provenance_mut(*handle))
    }

    /// Forgets the module of a context that is gone, which has been unloaded with it.
    pub(crate) fn forget_context(&self, context: u64) {
        self.modules().remove(&context);
    }

    fn modules(&self) -> MutexGuard<'_, HashMap<u64, Arc<Module>>> {
        self.modules.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kernel {
    /// The kernel of a handle. The runtime passes any function that it does not know as a kernel: then the value is
    /// the address of host code.
    pub(crate) fn find(driver: &Driver, handle: *mut c_void) -> Result<Arc<Self>> {
        driver.kernels.get(handle).map_err(|status| {
            let user_space = (1 << 16..1 << 47).contains(&handle.addr());
            if user_space {
                INVALID_DEVICE_FUNCTION
            } else {
                status
            }
        })
    }

    /// Handle of the library it is of.
    pub(crate) fn library(&self) -> *mut c_void {
        self.library.to_c()
    }

    pub(crate) fn signature(&self) -> &Signature {
        &self.signature
    }

    /// Whether NVIDIA's runtime loaded it.
    pub(crate) fn is_of_runtime(&self) -> bool {
        self.of_runtime
    }

    /// Handle of its function in `context`, made now if it was not yet.
    pub(crate) fn function(&self, context: &Arc<Context>) -> Result<*mut c_void> {
        let mut functions = self.functions();
        if let Some(&handle) = functions.get(&context.id()) {
            return Ok(std::ptr::without_provenance_mut(handle));
        }
        let driver: &Driver = driver::get()?;
        let library = driver.libraries.get(self.library.to_c())?;
        let module = library.module(context)?;
        let settings = self.settings.get(context.ordinal() as usize);
        let handle = module.function(self.signature.name(), settings.cloned())?;
        functions.insert(context.id(), handle.addr());
        Ok(handle)
    }

    /// Forgets the function of a context that is gone.
    pub(crate) fn forget_context(&self, context: u64) {
        self.functions().remove(&context);
    }

    fn functions(&self) -> MutexGuard<'_, HashMap<u64, usize>> {
        self.functions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
