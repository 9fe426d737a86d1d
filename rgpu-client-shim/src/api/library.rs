//! Libraries and their kernels.

use std::ffi::c_char;
use std::sync::Arc;

use rgpu_driver_abi::runtime;
use rgpu_proto::handle::{Kernel as KernelKind, Library, Module};
use rgpu_proto::msg::module::{
    GetKernel, KernelFunction, LibraryGlobal, LibraryModule, LibraryUnload, LoadAs,
};
use rgpu_proto::opcode::Opcode;
use rgpu_proto::wire;

use super::launch::param_info;
use super::module::{keep, load, put_global, read_file};
use super::*;
use crate::client::get as client;
use crate::jit_options::JitOptions;
use crate::shadow::modules::{Function as KnownFunction, Image, Kernel, LibraryKernel};

#[expect(clippy::too_many_arguments, reason = "the C API has them")]
pub(crate) unsafe fn cuLibraryLoadData(
    library: *mut *mut c_void,
    code: *const c_void,
    jit_options: *mut u32,
    jit_options_values: *mut c_void,
    num_jit_options: u32,
    library_options: *mut u32,
    _library_option_values: *mut c_void,
    num_library_options: u32,
) -> Result {
    let client = client()?;
    client.session.usable()?;
    if library.is_null() {
        return Err(INVALID);
    }
    // The library options (a promise that `code` stays, a wish for a host function table) say who the caller is.
    // SAFETY: the application's arrays and image.
    let (id, kernels) = unsafe {
        let options = JitOptions::read(num_jit_options, jit_options, jit_options_values)?;
        load(client, LoadAs::Library, code, &options)?
    };
    let mut image = keep(client, 0, &kernels)?;
    // SAFETY: the application's array.
    image.of_runtime = unsafe { runtime::loads_library(library_options, num_library_options) };
    client.modules.hold().libraries.insert(id, image);
    // SAFETY: the application's pointer.
    unsafe { put(library, Id::<Library>::new(id).to_c()) }
}

#[expect(clippy::too_many_arguments, reason = "the C API has them")]
pub(crate) unsafe fn cuLibraryLoadFromFile(
    library: *mut *mut c_void,
    file_name: *const c_char,
    jit_options: *mut u32,
    jit_options_values: *mut c_void,
    num_jit_options: u32,
    library_options: *mut u32,
    library_option_values: *mut c_void,
    num_library_options: u32,
) -> Result {
    // SAFETY: the application's text.
    let image = read_file(unsafe { text(file_name)? })?;
    // SAFETY: the file's bytes end with a NUL, and stay until the call is over; the rest is the application's.
    unsafe {
        cuLibraryLoadData(
            library,
            image.as_ptr().cast(),
            jit_options,
            jit_options_values,
            num_jit_options,
            library_options,
            library_option_values,
            num_library_options,
        )
    }
}

pub(crate) unsafe fn cuLibraryUnload(library: *mut c_void) -> Result {
    let client = client()?;
    client.session.usable()?;
    let id = handle::<Library>(client, library)?;
    if !client.modules.hold().unload_library(id) {
        return Err(Status::ERROR_INVALID_HANDLE);
    }
    client.changed();
    client.memory.hold().forget_globals(id);
    let op = const { Opcode::of("cuLibraryUnload") };
    client.session.post(op, &LibraryUnload { id: Id::new(id) })
}

/// The library behind a handle, for a look.
fn with_library<T>(
    library: *mut c_void,
    look: impl FnOnce(&'static Client, u32, &Image) -> Result<T>,
) -> Result<T> {
    let client = client()?;
    let id = handle::<Library>(client, library)?;
    let modules = client.modules.hold();
    let image = modules
        .libraries
        .get(&id)
        .ok_or(Status::ERROR_INVALID_HANDLE)?;
    look(client, id, image)
}

/// The kernel at a position of a library: its handle, made at first use.
fn kernel_at(client: &'static Client, library: u32, at: usize) -> Result<u32> {
    let mut modules = client.modules.hold();
    let image = modules
        .libraries
        .get_mut(&library)
        .ok_or(Status::ERROR_INVALID_HANDLE)?;
    if let Some(id) = image.handles.get(&at) {
        return Ok(*id);
    }
    let kernel = Arc::clone(&image.kernels[at]);
    let of_runtime = image.of_runtime;
    let id = client.mint();
    image.handles.insert(at, id);
    let name = kernel.name.to_string_lossy().into_owned();
    let functions = std::collections::HashMap::new();
    modules.kernels.insert(
        id,
        LibraryKernel {
            kernel,
            library,
            of_runtime,
            functions,
        },
    );
    let body = GetKernel {
        id: Id::new(id),
        library: Id::new(library),
        name,
    };
    client
        .session
        .post(const { Opcode::of("cuLibraryGetKernel") }, &body)?;
    Ok(id)
}

pub(crate) unsafe fn cuLibraryGetKernel(
    p_kernel: *mut *mut c_void,
    library: *mut c_void,
    name: *const c_char,
) -> Result {
    // SAFETY: the application's text.
    let name = unsafe { text(name)? };
    if p_kernel.is_null() {
        return Err(INVALID);
    }
    let (client, id, at) = with_library(library, |client, id, image| {
        Ok((client, id, image.find(name).ok_or(Status::ERROR_NOT_FOUND)?))
    })?;
    let kernel = kernel_at(client, id, at)?;
    // SAFETY: the application's pointer.
    unsafe { put(p_kernel, Id::<KernelKind>::new(kernel).to_c()) }
}

pub(crate) unsafe fn cuLibraryGetKernelCount(count: *mut u32, lib: *mut c_void) -> Result {
    let known = with_library(lib, |_, _, image| Ok(image.kernels.len()))?;
    // SAFETY: the application's pointer.
    unsafe { put(count, known as u32) }
}

pub(crate) unsafe fn cuLibraryEnumerateKernels(
    kernels: *mut *mut c_void,
    num_kernels: u32,
    lib: *mut c_void,
) -> Result {
    let (client, id, known) = with_library(lib, |client, id, image| {
        Ok((client, id, image.kernels.len()))
    })?;
    if kernels.is_null() {
        return Err(INVALID);
    }
    for at in 0..known.min(num_kernels as usize) {
        let kernel = kernel_at(client, id, at)?;
        // SAFETY: the application's array has `num_kernels` items.
        unsafe { put(kernels.add(at), Id::<KernelKind>::new(kernel).to_c())? };
    }
    Ok(())
}

/// The module of a library in the current context: its handle, made at first use.
pub(super) fn library_module(client: &'static Client, library: u32) -> Result<u32> {
    let context = client.working_context()?;
    let mut modules = client.modules.hold();
    let image = modules
        .libraries
        .get_mut(&library)
        .ok_or(Status::ERROR_INVALID_HANDLE)?;
    if let Some(module) = image.as_module.get(&context) {
        return Ok(*module);
    }
    let module = client.mint();
    image.as_module.insert(context, module);
    let twin = image.in_context(context);
    modules.modules.insert(module, twin);
    let body = LibraryModule {
        id: Id::new(module),
        library: Id::new(library),
    };
    client
        .session
        .post(const { Opcode::of("cuLibraryGetModule") }, &body)?;
    Ok(module)
}

pub(crate) unsafe fn cuLibraryGetModule(p_mod: *mut *mut c_void, library: *mut c_void) -> Result {
    let client = client()?;
    let id = handle::<Library>(client, library)?;
    if p_mod.is_null() {
        return Err(INVALID);
    }
    let module = library_module(client, id)?;
    // SAFETY: the application's pointer.
    unsafe { put(p_mod, Id::<Module>::new(module).to_c()) }
}

pub(crate) unsafe fn cuLibraryGetGlobal(
    dptr: *mut u64,
    bytes: *mut usize,
    library: *mut c_void,
    name: *const c_char,
) -> Result {
    let client = client()?;
    let id = handle::<Library>(client, library)?;
    client.working_context()?;
    // SAFETY: the application's text.
    let name = unsafe { text(name)? }.to_string_lossy().into_owned();
    if dptr.is_null() && bytes.is_null() {
        return Err(INVALID);
    }
    let body = wire::to_bytes(&LibraryGlobal {
        library: Id::new(id),
        name: name.clone(),
    });
    let ask = (const { Opcode::of("cuLibraryGetGlobal") }, body);
    // SAFETY: the application's pointers.
    unsafe { put_global(client, ask, (id, name), dptr, bytes) }
}

/// The kernel behind a handle, for a look.
fn known_kernel(kernel: *mut c_void) -> Result<(u32, Arc<Kernel>)> {
    let client = client()?;
    let id = super::kernel(client, kernel)?;
    let modules = client.modules.hold();
    let known = modules
        .kernels
        .get(&id)
        .ok_or(Status::ERROR_INVALID_HANDLE)?;
    Ok((known.library, Arc::clone(&known.kernel)))
}

/// The function of a kernel in the current context: its handle, made at first use.
pub(super) fn kernel_function(client: &'static Client, kernel: u32) -> Result<u32> {
    let context = client.working_context()?;
    let mut modules = client.modules.hold();
    let known = modules
        .kernels
        .get_mut(&kernel)
        .ok_or(Status::ERROR_INVALID_HANDLE)?;
    if let Some(function) = known.functions.get(&context) {
        return Ok(*function);
    }
    let function = client.mint();
    known.functions.insert(context, function);
    let twin = KnownFunction {
        kernel: Arc::clone(&known.kernel),
        module: 0,
        of_kernel: kernel,
        context,
    };
    modules.functions.insert(function, twin);
    let body = KernelFunction {
        id: Id::new(function),
        kernel: Id::new(kernel),
    };
    client
        .session
        .post(const { Opcode::of("cuKernelGetFunction") }, &body)?;
    Ok(function)
}

pub(crate) unsafe fn cuKernelGetFunction(p_func: *mut *mut c_void, kernel: *mut c_void) -> Result {
    let client = client()?;
    let id = super::kernel(client, kernel)?;
    if p_func.is_null() {
        return Err(INVALID);
    }
    let function = kernel_function(client, id)?;
    // SAFETY: the application's pointer.
    unsafe { put(p_func, Id::<Function>::new(function).to_c()) }
}

pub(crate) unsafe fn cuKernelGetLibrary(p_lib: *mut *mut c_void, kernel: *mut c_void) -> Result {
    let (library, _) = known_kernel(kernel)?;
    // SAFETY: the application's pointer.
    unsafe { put(p_lib, Id::<Library>::new(library).to_c()) }
}

pub(crate) unsafe fn cuKernelGetName(name: *mut c_void, hfunc: *mut c_void) -> Result {
    let (_, known) = known_kernel(hfunc)?;
    // SAFETY: the application's pointer; the name lives as long as the kernel is loaded.
    unsafe { put(name.cast(), known.name.as_ptr()) }
}

pub(crate) unsafe fn cuKernelGetParamInfo(
    kernel: *mut c_void,
    param_index: usize,
    param_offset: *mut usize,
    param_size: *mut usize,
) -> Result {
    let (_, known) = known_kernel(kernel)?;
    // SAFETY: the application's pointers.
    unsafe { param_info(&known, param_index, param_offset, param_size) }
}
