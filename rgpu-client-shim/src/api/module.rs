//! Modules: loading images, finding functions and variables.

use std::ffi::c_char;
use std::sync::Arc;
use std::time::Instant;

use rgpu_fatbin::raw::{self, RawImage};
use rgpu_fatbin::{Capability, Error, Fatbin, Sass};
use rgpu_proto::handle::{Function, Module};
use rgpu_proto::hello::ATTRIBUTE_PTX_ONLY;
use rgpu_proto::limits::{INLINE_MODULE, MAX_MODULE};
use rgpu_proto::msg::module::{
    GetFunction, Global, KernelInfo, Load, LoadAs, LoadState, Loaded, ModuleGlobal, ModuleUnload,
    Upload,
};
use rgpu_proto::opcode::Opcode;
use rgpu_proto::wire;

use super::*;
use crate::client::get as client;
use crate::jit_options::JitOptions;
use crate::session::{Answer, Origin};
use crate::shadow::memory::Global as KnownGlobal;
use crate::shadow::modules::{Function as KnownFunction, Image, LoadedAs};
use crate::stats::STATS;

/// The bytes to send for an image: only what the device could use.
///
/// # Safety
/// `image` is a module image as `cuModuleLoadData` takes it.
unsafe fn image_bytes(client: &'static Client, image: *const c_void) -> Result<Vec<u8>> {
    if image.is_null() {
        return Err(INVALID);
    }
    // SAFETY: the caller's promise.
    let image = unsafe { raw::image(image) }.map_err(|error| image_status(&error))?;
    let bytes = match image {
        RawImage::Fatbin { main, prelinked } => usable(client, main, &prelinked)?,
        RawImage::Elf(bytes) | RawImage::Ptx(bytes) => bytes.to_vec(),
    };
    match bytes.len() as u64 {
        0..=MAX_MODULE => Ok(bytes),
        _ => Err(Status::ERROR_OUT_OF_MEMORY),
    }
}

/// The usable images of a fat binary. Where a program linked from parts has none for the device, the server's driver
/// links the PTX of its parts.
fn usable(client: &'static Client, main: &[u8], parts: &[&[u8]]) -> Result<Vec<u8>> {
    let failed = |error: Error| image_status(&error);
    let device = client.device(0)?;
    let (major, minor) = device.capability();
    let capability = Capability::new(major as u32, minor as u32);
    let sass = match device.attribute(ATTRIBUTE_PTX_ONLY) {
        Ok(1) => Sass::Rejected,
        _ => Sass::Accepted,
    };
    let trimmed = Fatbin::parse(main).map_err(failed)?.trim(capability, sass);
    if parts.is_empty() || !matches!(trimmed, Err(Error::NoImage(_))) {
        return trimmed.map_err(failed);
    }
    let mut texts = Vec::new();
    for part in parts {
        // A linker takes no PTX for later devices, whatever else runs on this one.
        let part = Fatbin::parse(part).map_err(failed)?;
        for entry in part.select_all_ptx(capability) {
            texts.push(entry.ptx().map_err(failed)?);
        }
    }
    if texts.is_empty() {
        return Err(Status::ERROR_NO_BINARY_FOR_GPU);
    }
    Ok(link_texts(client, &texts)?.into())
}

const fn image_status(error: &Error) -> Status {
    match error {
        Error::NoImage(_) => Status::ERROR_NO_BINARY_FOR_GPU,
        _ => Status::ERROR_INVALID_IMAGE,
    }
}

/// Loads an image as a module or a library; its id and kernels. One that this process has loaded before is posted.
///
/// # Safety
/// `image` is a module image as `cuModuleLoadData` takes it, and the options are those of a call that has not
/// returned.
pub(super) unsafe fn load(
    client: &'static Client,
    load_as: LoadAs,
    image: *const c_void,
    options: &JitOptions,
) -> Result<(u32, Arc<[KernelInfo]>)> {
    let started = Instant::now();
    // SAFETY: the caller's promise.
    let bytes = unsafe { image_bytes(client, image)? };
    let id = client.mint();
    let load = Load {
        load_as,
        id,
        hash: *blake3::hash(&bytes).as_bytes(),
        size: bytes.len() as u64,
        inline: bytes.len() <= INLINE_MODULE,
        options: options.numbers().to_vec(),
    };
    let loaded_as = LoadedAs::of(&load);
    let known = client.modules.hold().snapshot(&loaded_as);
    let loaded = match known {
        Some(kernels) => post(client, &load, &bytes).map(|()| Offered {
            status: Status::SUCCESS,
            log: String::new(),
            kernels,
        }),
        None => offer(client, load, &bytes),
    };
    STATS.module_load.add_time(started.elapsed());
    STATS.modules.add(1);
    let loaded = loaded?;
    // SAFETY: the caller's promise.
    unsafe { options.report("", &loaded.log) };
    if !loaded.log.is_empty() {
        crate::log::debug(format_args!("{}", loaded.log.trim_end()));
    }
    client.session.judge(loaded.status)?;
    // What the compiler said would be said again.
    if loaded.log.is_empty() {
        let mut modules = client.modules.hold();
        modules.keep_snapshot(loaded_as, &loaded.kernels);
    }
    Ok((id, loaded.kernels))
}

/// What became of a load.
struct Offered {
    status: Status,
    log: String,
    kernels: Arc<[KernelInfo]>,
}

/// Loads an image of which everything is known.
fn post(client: &'static Client, load: &Load, bytes: &[u8]) -> Result {
    let inline: &[u8] = if load.inline { bytes } else { &[] };
    let body = wire::to_bytes(load);
    client
        .session
        .post_bytes(Opcode::MODULE_LOAD, Origin::here(), &[&body, inline])?;
    STATS.module_bytes.add(inline.len() as u64);
    Ok(())
}

/// One round trip where the image is small or known, two where it has to be sent.
fn offer(client: &'static Client, load: Load, bytes: &[u8]) -> Result<Offered> {
    let inline: &[u8] = if load.inline { bytes } else { &[] };
    let body = wire::to_bytes(&load);
    let here = Origin::here();
    let answer = client
        .session
        .ask_fully(Opcode::MODULE_LOAD, here, &[&body, inline])?;
    STATS.module_bytes.add(inline.len() as u64);
    let loaded = read_loaded(client, Opcode::MODULE_LOAD, &answer)?;
    if loaded.state == LoadState::Loaded {
        return Ok(offered(&answer, loaded));
    }
    STATS.module_bytes.add(bytes.len() as u64);
    let answer = client
        .session
        .upload(Opcode::MODULE_UPLOAD, &Upload { load }, bytes)?;
    let loaded = read_loaded(client, Opcode::MODULE_UPLOAD, &answer)?;
    Ok(offered(&answer, loaded))
}

fn offered(answer: &Answer, loaded: Loaded) -> Offered {
    Offered {
        status: answer.status,
        log: loaded.log,
        kernels: loaded.kernels.into(),
    }
}

/// An answer that failed before anything was loaded has no body.
fn read_loaded(client: &'static Client, op: Opcode, answer: &Answer) -> Result<Loaded> {
    if answer.body.is_empty() {
        let nothing = Loaded {
            state: LoadState::Loaded,
            kernels: Vec::new(),
            log: String::new(),
        };
        return answer.status.ok().map(|()| nothing.clone()).or(Ok(nothing));
    }
    wire::from_bytes(&answer.body).map_err(|error| client.session.broken(op, &error))
}

/// Keeps what a load has brought.
pub(super) fn keep(client: &'static Client, context: u32, kernels: &[KernelInfo]) -> Result<Image> {
    Image::new(context, kernels).ok_or_else(|| {
        let error = wire::DecodeError::Invalid {
            what: "kernel",
            value: kernels.len() as u64,
        };
        client.session.broken(Opcode::MODULE_LOAD, &error)
    })
}

/// # Safety
/// As [`load`].
unsafe fn load_module(
    module: *mut *mut c_void,
    image: *const c_void,
    options: &JitOptions,
) -> Result {
    let client = client()?;
    let context = client.working_context()?;
    if module.is_null() {
        return Err(INVALID);
    }
    // SAFETY: the caller's promise.
    let (id, kernels) = unsafe { load(client, LoadAs::Module, image, options)? };
    let image = keep(client, context, &kernels)?;
    client.modules.hold().modules.insert(id, image);
    // SAFETY: the application's pointer.
    unsafe { put(module, Id::<Module>::new(id).to_c()) }
}

pub(crate) unsafe fn cuModuleLoadData(module: *mut *mut c_void, image: *const c_void) -> Result {
    // SAFETY: the application's image.
    unsafe { load_module(module, image, &JitOptions::default()) }
}

pub(crate) unsafe fn cuModuleLoadDataEx(
    module: *mut *mut c_void,
    image: *const c_void,
    num_options: u32,
    options: *mut u32,
    option_values: *mut c_void,
) -> Result {
    // SAFETY: the application's arrays.
    let options = unsafe { JitOptions::read(num_options, options, option_values)? };
    // SAFETY: the application's image.
    unsafe { load_module(module, image, &options) }
}

pub(crate) unsafe fn cuModuleLoadFatBinary(
    module: *mut *mut c_void,
    fat_cubin: *const c_void,
) -> Result {
    // SAFETY: the application's image.
    unsafe { cuModuleLoadData(module, fat_cubin) }
}

pub(crate) unsafe fn cuModuleLoad(module: *mut *mut c_void, fname: *const c_char) -> Result {
    // SAFETY: the application's text.
    let image = read_file(unsafe { text(fname)? })?;
    // SAFETY: the file's bytes end with a NUL, and stay until the call is over.
    unsafe { cuModuleLoadData(module, image.as_ptr().cast()) }
}

/// A file with an image, checked to be as long as its own headers say, and a NUL after it.
pub(super) fn read_file(name: &std::ffi::CStr) -> Result<Vec<u8>> {
    use rgpu_fatbin::{ImageKind, cubin_size, sniff};
    use std::os::unix::ffi::OsStrExt;
    let path = std::path::Path::new(std::ffi::OsStr::from_bytes(name.to_bytes()));
    let mut bytes = std::fs::read(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Status::ERROR_FILE_NOT_FOUND,
        _ => Status::ERROR_OPERATING_SYSTEM,
    })?;
    let complete = match sniff(&bytes) {
        Some(ImageKind::Fatbin) => Fatbin::parse(&bytes).is_ok(),
        Some(ImageKind::Elf) => cubin_size(&bytes).is_ok_and(|size| size <= bytes.len()),
        Some(ImageKind::Ptx) => true,
        // A wrapper holds pointers, which mean nothing in a file.
        Some(ImageKind::Wrapper) | None => false,
    };
    bytes.push(0);
    if complete {
        Ok(bytes)
    } else {
        Err(Status::ERROR_INVALID_IMAGE)
    }
}

pub(crate) unsafe fn cuModuleUnload(hmod: *mut c_void) -> Result {
    let client = client()?;
    client.working_context()?;
    let id = handle::<Module>(client, hmod)?;
    if !client.modules.hold().unload_module(id) {
        return Err(Status::ERROR_INVALID_HANDLE);
    }
    client.changed();
    client.memory.hold().forget_globals(id);
    let op = const { Opcode::of("cuModuleUnload") };
    client.session.post(op, &ModuleUnload { id: Id::new(id) })
}

/// The function at a position of a module's kernels: its handle, made at first use.
fn function_at(client: &'static Client, module: u32, at: usize) -> Result<u32> {
    let mut modules = client.modules.hold();
    let image = modules
        .modules
        .get_mut(&module)
        .ok_or(Status::ERROR_INVALID_HANDLE)?;
    if let Some(id) = image.handles.get(&at) {
        return Ok(*id);
    }
    let (kernel, context) = (Arc::clone(&image.kernels[at]), image.context);
    let id = client.mint();
    image.handles.insert(at, id);
    let name = kernel.name.to_string_lossy().into_owned();
    modules.functions.insert(
        id,
        KnownFunction {
            kernel,
            module,
            of_kernel: 0,
            context,
        },
    );
    let body = GetFunction {
        id: Id::new(id),
        module: Id::new(module),
        name,
    };
    client
        .session
        .post(const { Opcode::of("cuModuleGetFunction") }, &body)?;
    Ok(id)
}

pub(crate) unsafe fn cuModuleGetFunction(
    hfunc: *mut *mut c_void,
    hmod: *mut c_void,
    name: *const c_char,
) -> Result {
    let client = client()?;
    client.working_context()?;
    let module = handle::<Module>(client, hmod)?;
    // SAFETY: the application's text.
    let name = unsafe { text(name)? };
    if hfunc.is_null() {
        return Err(INVALID);
    }
    let at = {
        let modules = client.modules.hold();
        let image = modules
            .modules
            .get(&module)
            .ok_or(Status::ERROR_INVALID_HANDLE)?;
        image.find(name).ok_or(Status::ERROR_NOT_FOUND)?
    };
    let id = function_at(client, module, at)?;
    // SAFETY: the application's pointer.
    unsafe { put(hfunc, Id::<Function>::new(id).to_c()) }
}

pub(crate) unsafe fn cuModuleGetFunctionCount(count: *mut u32, module: *mut c_void) -> Result {
    let client = client()?;
    let id = handle::<Module>(client, module)?;
    let known = client
        .modules
        .hold()
        .modules
        .get(&id)
        .map(|image| image.kernels.len());
    // SAFETY: the application's pointer.
    unsafe { put(count, known.ok_or(Status::ERROR_INVALID_HANDLE)? as u32) }
}

pub(crate) unsafe fn cuModuleEnumerateFunctions(
    functions: *mut *mut c_void,
    num_functions: u32,
    module: *mut c_void,
) -> Result {
    let client = client()?;
    let id = handle::<Module>(client, module)?;
    let known = client
        .modules
        .hold()
        .modules
        .get(&id)
        .map(|image| image.kernels.len());
    let known = known.ok_or(Status::ERROR_INVALID_HANDLE)?;
    if functions.is_null() {
        return Err(INVALID);
    }
    for at in 0..known.min(num_functions as usize) {
        let function = function_at(client, id, at)?;
        // SAFETY: the application's array has `num_functions` items.
        unsafe { put(functions.add(at), Id::<Function>::new(function).to_c())? };
    }
    Ok(())
}

/// Stores a variable's place. It is asked for once, by `op` and `body`, and kept: copies to it are checked against it.
///
/// # Safety
/// The pointers are the application's.
pub(super) unsafe fn put_global(
    client: &'static Client,
    (op, body): (Opcode, Vec<u8>),
    (owner, name): (u32, String),
    dptr: *mut u64,
    bytes: *mut usize,
) -> Result {
    let context = crate::thread::current_context();
    let known = client.memory.hold().global_named(owner, context, &name);
    let (address, size) = match known {
        Some(known) => known,
        None => {
            let answer = client.session.ask(op, Origin::here(), &[&body])?;
            let global: Global =
                wire::from_bytes(&answer).map_err(|error| client.session.broken(op, &error))?;
            let (address, size) = (global.address, global.size);
            let kept = KnownGlobal {
                name,
                size,
                owner,
                context,
            };
            client.memory.hold().add_global(address, kept);
            (address, size)
        }
    };
    // SAFETY: the caller's promise; each may be left out.
    unsafe {
        put_opt(dptr, address);
        put_opt(bytes, size as usize);
    }
    Ok(())
}

pub(crate) unsafe fn cuModuleGetGlobal_v2(
    dptr: *mut u64,
    bytes: *mut usize,
    hmod: *mut c_void,
    name: *const c_char,
) -> Result {
    let client = client()?;
    client.working_context()?;
    let module = handle::<Module>(client, hmod)?;
    // SAFETY: the application's text.
    let name = unsafe { text(name)? }.to_string_lossy().into_owned();
    if dptr.is_null() && bytes.is_null() {
        return Err(INVALID);
    }
    let body = wire::to_bytes(&ModuleGlobal {
        module: Id::new(module),
        name: name.clone(),
    });
    let ask = (const { Opcode::of("cuModuleGetGlobal_v2") }, body);
    // SAFETY: the application's pointers.
    unsafe { put_global(client, ask, (module, name), dptr, bytes) }
}

pub(crate) unsafe fn cuModuleGetLoadingMode(mode: *mut u32) -> Result {
    /// `CU_MODULE_LAZY_LOADING`: the server's driver compiles a kernel when it is first needed.
    const LAZY: u32 = 2;
    // SAFETY: the application's pointer.
    unsafe { put(mode, LAZY) }
}
