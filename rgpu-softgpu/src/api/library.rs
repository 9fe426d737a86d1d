//! Libraries and their kernels.

use std::ffi::{c_char, c_void};
use std::path::Path;
use std::sync::Arc;

use rgpu_driver_abi::runtime;

use super::{put, put_if_wanted, text};
use crate::context;
use crate::driver::{self, Driver};
use crate::module::{Function, Image, JitLog, Kernel, Library, OptionArrays};
use crate::status::{Result, require};

type Handle = *mut c_void;

/// Largest `CUfunc_cache`.
const CACHE_CONFIGS: u32 = 3;

pub(crate) unsafe fn cuLibraryLoadData(
    library: *mut Handle,
    code: *const c_void,
    jit_options: *mut u32,
    jit_options_values: *mut c_void,
    num_jit_options: u32,
    library_options: *mut u32,
    _: *mut c_void,
    num_library_options: u32,
) -> Result {
    driver::get()?;
    require(!library.is_null() && !code.is_null())?;
    let arrays = OptionArrays {
        count: num_jit_options,
        options: jit_options,
        values: jit_options_values.cast(),
    };
    // The library options say where host code keeps its tables and that the image stays in place. We keep what we need
    // of it, so they only tell who the caller is.
    // SAFETY: the contract of this function.
    unsafe {
        let log = JitLog::read(arrays)?;
        let image = log.finish(Image::at(code))?;
        let of_runtime = runtime::loads_library(library_options, num_library_options);
        put(library, Library::load(Arc::new(image), of_runtime)?)
    }
}

pub(crate) unsafe fn cuLibraryLoadFromFile(
    library: *mut Handle,
    file_name: *const c_char,
    jit_options: *mut u32,
    jit_options_values: *mut c_void,
    num_jit_options: u32,
    library_options: *mut u32,
    _: *mut c_void,
    num_library_options: u32,
) -> Result {
    driver::get()?;
    require(!library.is_null())?;
    let arrays = OptionArrays {
        count: num_jit_options,
        options: jit_options,
        values: jit_options_values.cast(),
    };
    // SAFETY: the contract of this function.
    unsafe {
        let log = JitLog::read(arrays)?;
        let image = log.finish(Image::in_file(Path::new(text(file_name)?)))?;
        let of_runtime = runtime::loads_library(library_options, num_library_options);
        put(library, Library::load(Arc::new(image), of_runtime)?)
    }
}

pub(crate) unsafe fn cuLibraryUnload(library: Handle) -> Result {
    Library::unload(library)
}

fn find(library: Handle) -> Result<(&'static Driver, Arc<Library>)> {
    let driver = driver::get()?;
    Ok((driver, driver.libraries.get(library)?))
}

pub(crate) unsafe fn cuLibraryGetKernel(
    p_kernel: *mut Handle,
    library: Handle,
    name: *const c_char,
) -> Result {
    let (_, library) = find(library)?;
    require(!p_kernel.is_null())?;
    // SAFETY: the contract of this function.
    unsafe { put(p_kernel, library.kernel(text(name)?)?) }
}

pub(crate) unsafe fn cuLibraryGetKernelCount(count: *mut u32, lib: Handle) -> Result {
    let kernels = find(lib)?.1.kernels().len();
    // SAFETY: the contract of this function.
    unsafe { put(count, kernels as u32) }
}

pub(crate) unsafe fn cuLibraryEnumerateKernels(
    kernels: *mut Handle,
    num_kernels: u32,
    lib: Handle,
) -> Result {
    let (_, library) = find(lib)?;
    require(!kernels.is_null())?;
    for (index, handle) in library.kernels().take(num_kernels as usize).enumerate() {
        // SAFETY: the contract of this function: room for `num_kernels`.
        unsafe { put(kernels.add(index), handle) }?;
    }
    Ok(())
}

pub(crate) unsafe fn cuLibraryGetModule(p_mod: *mut Handle, library: Handle) -> Result {
    let (_, library) = find(library)?;
    let module = library.module(&context::current()?)?;
    // SAFETY: the contract of this function.
    unsafe { put(p_mod, module.handle()) }
}

pub(crate) unsafe fn cuLibraryGetGlobal(
    dptr: *mut u64,
    bytes: *mut usize,
    library: Handle,
    name: *const c_char,
) -> Result {
    let (_, library) = find(library)?;
    let module = library.module(&context::current()?)?;
    // SAFETY: the contract of this function.
    unsafe {
        let (address, size) = module.global(text(name)?)?;
        put_if_wanted(dptr, address);
        put_if_wanted(bytes, size as usize);
    }
    Ok(())
}

fn find_kernel(kernel: Handle) -> Result<Arc<Kernel>> {
    Kernel::find(driver::get()?, kernel)
}

/// The function of a kernel in the current context.
fn function(kernel: Handle, dev: i32) -> Result<Arc<Function>> {
    let found = find_kernel(kernel)?;
    driver::gpu(dev)?;
    let handle = found.function(&context::current()?)?;
    driver::get()?.functions.get(handle)
}

pub(crate) unsafe fn cuKernelGetFunction(p_func: *mut Handle, kernel: Handle) -> Result {
    let handle = find_kernel(kernel)?.function(&context::current()?)?;
    // SAFETY: the contract of this function.
    unsafe { put(p_func, handle) }
}

pub(crate) unsafe fn cuKernelGetLibrary(p_lib: *mut Handle, kernel: Handle) -> Result {
    let handle = find_kernel(kernel)?.library();
    // SAFETY: the contract of this function.
    unsafe { put(p_lib, handle) }
}

/// The name stays valid as long as the library.
pub(crate) unsafe fn cuKernelGetName(name: *mut c_void, hfunc: Handle) -> Result {
    let kernel = find_kernel(hfunc)?;
    // SAFETY: the contract of this function.
    unsafe { put(name.cast(), kernel.signature().c_name().as_ptr()) }
}

pub(crate) unsafe fn cuKernelGetParamInfo(
    kernel: Handle,
    param_index: usize,
    param_offset: *mut usize,
    param_size: *mut usize,
) -> Result {
    let (offset, size) = find_kernel(kernel)?.signature().param(param_index)?;
    // SAFETY: the contract of this function.
    unsafe {
        put_if_wanted(param_size, size as usize);
        put(param_offset, offset as usize)
    }
}

pub(crate) unsafe fn cuKernelGetAttribute(
    pi: *mut i32,
    attrib: u32,
    kernel: Handle,
    dev: i32,
) -> Result {
    let value = function(kernel, dev)?.attribute(attrib)?;
    // SAFETY: the contract of this function.
    unsafe { put(pi, value) }
}

pub(crate) unsafe fn cuKernelSetAttribute(
    attrib: u32,
    val: i32,
    kernel: Handle,
    dev: i32,
) -> Result {
    function(kernel, dev)?.set_attribute(attrib, val)
}

pub(crate) unsafe fn cuKernelSetCacheConfig(kernel: Handle, config: u32, dev: i32) -> Result {
    find_kernel(kernel)?;
    driver::gpu(dev)?;
    require(config <= CACHE_CONFIGS)
}
