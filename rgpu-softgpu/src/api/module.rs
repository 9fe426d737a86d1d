//! Modules.

use std::ffi::{c_char, c_void};
use std::path::Path;
use std::sync::Arc;

use super::{put, put_if_wanted, text};
use crate::module::{Image, JitLog, Module, OptionArrays};
use crate::status::{Result, require};
use crate::{context, driver, module};

type Handle = *mut c_void;

/// `CU_MODULE_LAZY_LOADING`.
const LAZY: u32 = 2;

/// # Safety
/// `image` is null or a module image; the log's buffers are valid.
unsafe fn load(module: *mut Handle, image: *const c_void, log: JitLog) -> Result {
    let context = context::current()?;
    require(!module.is_null() && !image.is_null())?;
    // SAFETY: the caller's promise.
    let image = unsafe { Image::at(image) };
    let loaded = image.and_then(|image| Module::load(&context, Arc::new(image)));
    // SAFETY: the caller's promise.
    unsafe { put(module, log.finish(loaded)?.handle()) }
}

pub(crate) unsafe fn cuModuleLoad(module: *mut Handle, fname: *const c_char) -> Result {
    let context = context::current()?;
    require(!module.is_null())?;
    // SAFETY: the contract of this function.
    let path = Path::new(unsafe { text(fname) }?);
    let image = Image::in_file(path);
    let loaded = image.and_then(|image| Module::load(&context, Arc::new(image)));
    let loaded = JitLog::none().finish(loaded)?;
    // SAFETY: the contract of this function.
    unsafe { put(module, loaded.handle()) }
}

pub(crate) unsafe fn cuModuleLoadData(module: *mut Handle, image: *const c_void) -> Result {
    // SAFETY: the contract of this function.
    unsafe { load(module, image, JitLog::none()) }
}

pub(crate) unsafe fn cuModuleLoadDataEx(
    module: *mut Handle,
    image: *const c_void,
    num_options: u32,
    options: *mut u32,
    option_values: *mut c_void,
) -> Result {
    let arrays = OptionArrays {
        count: num_options,
        options,
        values: option_values.cast(),
    };
    // SAFETY: the contract of this function.
    unsafe { load(module, image, JitLog::read(arrays)?) }
}

pub(crate) unsafe fn cuModuleLoadFatBinary(
    module: *mut Handle,
    fat_cubin: *const c_void,
) -> Result {
    // SAFETY: the contract of this function.
    unsafe { load(module, fat_cubin, JitLog::none()) }
}

pub(crate) unsafe fn cuModuleUnload(hmod: Handle) -> Result {
    module::unload(hmod)
}

/// The module of a handle.
fn find(hmod: Handle) -> Result<Arc<Module>> {
    let driver = driver::get()?;
    context::current()?;
    driver.modules.get(hmod)
}

pub(crate) unsafe fn cuModuleGetFunction(
    hfunc: *mut Handle,
    hmod: Handle,
    name: *const c_char,
) -> Result {
    let module = find(hmod)?;
    require(!hfunc.is_null())?;
    // SAFETY: the contract of this function.
    unsafe { put(hfunc, module.function(text(name)?, None)?) }
}

pub(crate) unsafe fn cuModuleGetFunctionCount(count: *mut u32, mod_: Handle) -> Result {
    let kernels = find(mod_)?.image().kernels().len();
    // SAFETY: the contract of this function.
    unsafe { put(count, kernels as u32) }
}

pub(crate) unsafe fn cuModuleEnumerateFunctions(
    functions: *mut Handle,
    num_functions: u32,
    mod_: Handle,
) -> Result {
    let module = find(mod_)?;
    require(!functions.is_null())?;
    let kernels = module.image().kernels().iter().take(num_functions as usize);
    for (index, kernel) in kernels.enumerate() {
        let handle = module.function(kernel.name(), None)?;
        // SAFETY: the contract of this function: room for `num_functions`.
        unsafe { put(functions.add(index), handle) }?;
    }
    Ok(())
}

pub(crate) unsafe fn cuModuleGetGlobal_v2(
    dptr: *mut u64,
    bytes: *mut usize,
    hmod: Handle,
    name: *const c_char,
) -> Result {
    let module = find(hmod)?;
    // SAFETY: the contract of this function.
    unsafe {
        let (address, size) = module.global(text(name)?)?;
        put_if_wanted(dptr, address);
        put_if_wanted(bytes, size as usize);
    }
    Ok(())
}

/// Kernels are compiled when they are first launched.
pub(crate) unsafe fn cuModuleGetLoadingMode(mode: *mut u32) -> Result {
    driver::get()?;
    // SAFETY: the contract of this function.
    unsafe { put(mode, LAZY) }
}
