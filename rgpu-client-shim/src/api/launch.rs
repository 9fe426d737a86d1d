//! Kernel launches and functions.

use std::sync::Arc;

use rgpu_proto::handle::{Function, Kernel as KernelKind, Module};
use rgpu_proto::msg::launch::Launch;
use rgpu_proto::opcode::Opcode;
use rgpu_proto::wire;

use super::*;
use crate::client::get as client;
use crate::session::Origin;
use crate::shadow::devices::DeviceShadow;
use crate::shadow::modules::Kernel;

const LAUNCH: Opcode = Opcode::of("cuLaunchKernel");

/// How a launch is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Layout {
    grid: [u32; 3],
    block: [u32; 3],
    shared: u32,
    cooperative: bool,
}

// `CUdevice_attribute` numbers of the limits of a launch.
const MAX_THREADS: u32 = 1;
const MAX_BLOCK: [u32; 3] = [2, 3, 4];
const MAX_GRID: [u32; 3] = [5, 6, 7];
const MULTIPROCESSORS: u32 = 16;
const COOPERATIVE_LAUNCH: u32 = 95;
const MAX_SHARED: u32 = 8;
const MAX_SHARED_OPTIN: u32 = 97;

/// `cudaErrorInvalidConfiguration`. NVIDIA's runtime gives the driver's codes on unchanged and documents this one
/// for the kernels that it launches; for functions the driver documents `CUDA_ERROR_INVALID_VALUE`.
const INVALID_CONFIGURATION: Status = Status(9);

/// Refuses a launch that no device of this kind could carry out; a bad shape with `bad_shape`.
fn check(layout: &Layout, kernel: &Kernel, device: &DeviceShadow, bad_shape: Status) -> Result {
    let limit = |attribute, least: u32| device.attribute_or(attribute, least as i32) as u32;
    let inside = |size: [u32; 3], limits: [u32; 3]| {
        size.iter()
            .zip(limits)
            .all(|(size, attribute)| (1..=limit(attribute, 64)).contains(size))
    };
    let threads = layout
        .block
        .iter()
        .map(|side| u64::from(*side))
        .product::<u64>();
    if !inside(layout.grid, MAX_GRID)
        || !inside(layout.block, MAX_BLOCK)
        || threads > u64::from(limit(MAX_THREADS, 1024))
    {
        return Err(bad_shape);
    }
    if threads > kernel.max_threads.max(0) as u64 {
        return Err(Status::ERROR_LAUNCH_OUT_OF_RESOURCES);
    }
    let usual = limit(MAX_SHARED, 48 << 10).saturating_sub(kernel.shared as u32);
    let most = usual.max(kernel.max_dynamic_shared() as u32);
    let total = u64::from(layout.shared) + kernel.shared as u64;
    if layout.shared > most || total > u64::from(limit(MAX_SHARED_OPTIN, 48 << 10)) {
        return Err(INVALID);
    }
    if layout.cooperative && device.attribute_or(COOPERATIVE_LAUNCH, 0) == 0 {
        return Err(Status::ERROR_NOT_SUPPORTED);
    }
    Ok(())
}

/// Blocks that wait for each other must all run at once.
fn check_resident(
    client: &'static Client,
    f: *mut c_void,
    layout: &Layout,
    device: &DeviceShadow,
) -> Result {
    let threads = layout.block.iter().product::<u32>() as i32;
    let mut fit = 0;
    // SAFETY: `fit` is live.
    unsafe { max_active_blocks(client, &raw mut fit, f, threads, layout.shared as usize, 0)? };
    let fit = fit.max(0) as u64 * device.attribute_or(MULTIPROCESSORS, 1) as u64;
    let blocks = layout
        .grid
        .iter()
        .map(|side| u64::from(*side))
        .product::<u64>();
    if blocks > fit {
        return Err(Status::ERROR_COOPERATIVE_LAUNCH_TOO_LARGE);
    }
    Ok(())
}

/// Packs the parameters as the kernel wants them.
///
/// # Safety
/// `params` and `extra` are what the application passed to a launch of `kernel`.
unsafe fn pack(kernel: &Kernel, params: *mut c_void, extra: *mut c_void) -> Result<Vec<u8>> {
    if !params.is_null() && !extra.is_null() {
        return Err(INVALID);
    }
    let mut packed = vec![0; kernel.params_size];
    if kernel.params.is_empty() {
        return Ok(packed);
    }
    if params.is_null() {
        // SAFETY: the caller's promise.
        unsafe { copy_extra(extra, &mut packed)? };
        return Ok(packed);
    }
    for (at, (offset, size)) in kernel.params.iter().enumerate() {
        // SAFETY: the application passed a pointer for each parameter.
        let value = unsafe { params.cast::<*const u8>().add(at).read_unaligned() };
        if value.is_null() {
            return Err(INVALID);
        }
        // SAFETY: the pointer is to a parameter of this size; `packed` ends after the last parameter.
        unsafe { std::ptr::copy_nonoverlapping(value, packed.as_mut_ptr().add(*offset), *size) };
    }
    Ok(packed)
}

/// Reads a parameter buffer out of a launch's `extra` options.
///
/// # Safety
/// A non-null `extra` is a list of options as `cuLaunchKernel` takes it.
unsafe fn copy_extra(extra: *mut c_void, packed: &mut [u8]) -> Result {
    // `CU_LAUNCH_PARAM_END`, `_BUFFER_POINTER`, `_BUFFER_SIZE`.
    const END: usize = 0;
    const POINTER: usize = 1;
    const SIZE: usize = 2;
    if extra.is_null() {
        return Err(INVALID);
    }
    let (mut pointer, mut size) = (std::ptr::null::<u8>(), 0_usize);
    let mut next = extra.cast::<usize>();
    loop {
        // SAFETY: the list goes on until its end marker.
        let (option, value) = unsafe {
            match next.read_unaligned() {
                END => break,
                option => (option, next.add(1).read_unaligned()),
            }
        };
        match option {
            POINTER => pointer = value as *const u8,
            // SAFETY: the value of this option points to a size_t.
            SIZE => size = unsafe { get(value as *const c_void)? },
            _ => return Err(INVALID),
        }
        // SAFETY: as above.
        next = unsafe { next.add(2) };
    }
    if pointer.is_null() || size < packed.len() {
        return Err(INVALID);
    }
    // SAFETY: the application's buffer has `size` bytes.
    unsafe { std::ptr::copy_nonoverlapping(pointer, packed.as_mut_ptr(), packed.len()) };
    Ok(())
}

/// What a launch runs: the ids that name it, and what is known of it.
fn target(client: &'static Client, f: *mut c_void) -> Result<(u32, u32, Arc<Kernel>)> {
    match callable(client, f)? {
        Callable::Function(id) => {
            let modules = client.modules.hold();
            let function = modules
                .functions
                .get(&id)
                .ok_or(Status::ERROR_INVALID_HANDLE)?;
            Ok((id, 0, Arc::clone(&function.kernel)))
        }
        Callable::Kernel(id) => {
            let modules = client.modules.hold();
            let kernel = modules
                .kernels
                .get(&id)
                .ok_or(Status::ERROR_INVALID_HANDLE)?;
            Ok((0, id, Arc::clone(&kernel.kernel)))
        }
    }
}

/// # Safety
/// The pointers are what the application passed to a launch of `f`.
unsafe fn launch(
    f: *mut c_void,
    layout: Layout,
    h_stream: *mut c_void,
    params: *mut c_void,
    extra: *mut c_void,
) -> Result {
    let client = client()?;
    let context = client.working_context()?;
    let (function, kernel, known) = target(client, f)?;
    let stream = stream(client, h_stream)?;
    let device = client.device(client.contexts.hold().get(context)?.device as i32)?;
    let bad_shape = if kernel == 0 {
        INVALID
    } else {
        INVALID_CONFIGURATION
    };
    check(&layout, &known, device, bad_shape)?;
    if layout.cooperative {
        check_resident(client, f, &layout, device)?;
    }
    // SAFETY: the caller's promise.
    let params = unsafe { pack(&known, params, extra)? };
    let head = wire::to_bytes(&Launch {
        function: Id::<Function>::new(function),
        kernel: Id::<KernelKind>::new(kernel),
        grid: layout.grid,
        block: layout.block,
        shared: layout.shared,
        stream: Id::new(stream),
        cooperative: layout.cooperative,
    });
    client
        .session
        .post_bytes(LAUNCH, Origin::within(context), &[&head, &params])
}

#[expect(clippy::too_many_arguments, reason = "the C API has them")]
pub(crate) unsafe fn cuLaunchKernel(
    f: *mut c_void,
    grid_dim_x: u32,
    grid_dim_y: u32,
    grid_dim_z: u32,
    block_dim_x: u32,
    block_dim_y: u32,
    block_dim_z: u32,
    shared_mem_bytes: u32,
    h_stream: *mut c_void,
    kernel_params: *mut c_void,
    extra: *mut c_void,
) -> Result {
    let layout = Layout {
        grid: [grid_dim_x, grid_dim_y, grid_dim_z],
        block: [block_dim_x, block_dim_y, block_dim_z],
        shared: shared_mem_bytes,
        cooperative: false,
    };
    // SAFETY: the application's pointers.
    unsafe { launch(f, layout, h_stream, kernel_params, extra) }
}

#[expect(clippy::too_many_arguments, reason = "the C API has them")]
pub(crate) unsafe fn cuLaunchCooperativeKernel(
    f: *mut c_void,
    grid_dim_x: u32,
    grid_dim_y: u32,
    grid_dim_z: u32,
    block_dim_x: u32,
    block_dim_y: u32,
    block_dim_z: u32,
    shared_mem_bytes: u32,
    h_stream: *mut c_void,
    kernel_params: *mut c_void,
) -> Result {
    let layout = Layout {
        grid: [grid_dim_x, grid_dim_y, grid_dim_z],
        block: [block_dim_x, block_dim_y, block_dim_z],
        shared: shared_mem_bytes,
        cooperative: true,
    };
    // SAFETY: the application's pointers.
    unsafe { launch(f, layout, h_stream, kernel_params, std::ptr::null_mut()) }
}

/// `CUlaunchConfig`, with plain numbers.
#[repr(C)]
#[derive(Clone, Copy)]
struct Config {
    grid: [u32; 3],
    block: [u32; 3],
    shared: u32,
    stream: *mut c_void,
    attributes: *const Attribute,
    count: u32,
}

/// `CUlaunchAttribute`, with plain numbers.
#[repr(C)]
#[derive(Clone, Copy)]
struct Attribute {
    id: u32,
    padding: u32,
    value: [u32; 16],
}

const _: () = {
    use cudarc::driver::sys;
    assert!(size_of::<Config>() == size_of::<sys::CUlaunchConfig>());
    assert!(size_of::<Attribute>() == size_of::<sys::CUlaunchAttribute>());
};

impl Attribute {
    /// Whether the launch is cooperative after this attribute; an error where it asks for what there is not.
    fn apply(&self, cooperative: bool) -> Result<bool> {
        match self.id {
            // COOPERATIVE
            2 => Ok(self.value[0] != 0),
            // CLUSTER_DIMENSION: a cluster of one block is none.
            4 if self.value[..3] == [1, 1, 1] || self.value[..3] == [0, 0, 0] => Ok(cooperative),
            4 => Err(Status::ERROR_NOT_SUPPORTED),
            // PROGRAMMATIC_STREAM_SERIALIZATION lets a launch overlap the one before; that it need not.
            6 => Ok(cooperative),
            // IGNORE, ACCESS_POLICY_WINDOW, SYNCHRONIZATION_POLICY, CLUSTER_SCHEDULING_POLICY_PREFERENCE,
            // PRIORITY, MEM_SYNC_DOMAIN_MAP, MEM_SYNC_DOMAIN, PREFERRED_SHARED_MEMORY_CARVEOUT: hints.
            0 | 1 | 3 | 5 | 8 | 9 | 10 | 14 => Ok(cooperative),
            _ => Err(Status::ERROR_NOT_SUPPORTED),
        }
    }
}

pub(crate) unsafe fn cuLaunchKernelEx(
    config: *const c_void,
    f: *mut c_void,
    kernel_params: *mut c_void,
    extra: *mut c_void,
) -> Result {
    // SAFETY: the application's structure; the layouts agree.
    let config: Config = unsafe { get(config)? };
    let mut cooperative = false;
    for at in 0..config.count as usize {
        // SAFETY: the application's array of attributes; the layouts agree.
        let attribute: Attribute = unsafe { get(config.attributes.wrapping_add(at).cast())? };
        cooperative = attribute.apply(cooperative)?;
    }
    let layout = Layout {
        grid: config.grid,
        block: config.block,
        shared: config.shared,
        cooperative,
    };
    // SAFETY: the application's pointers.
    unsafe { launch(f, layout, config.stream, kernel_params, extra) }
}

pub(crate) unsafe fn cuFuncGetModule(hmod: *mut *mut c_void, hfunc: *mut c_void) -> Result {
    let client = client()?;
    let id = function(client, hfunc)?;
    let known = client.modules.hold().functions.get(&id).cloned();
    let known = known.ok_or(Status::ERROR_INVALID_HANDLE)?;
    let module = match known.of_kernel {
        0 => known.module,
        kernel => {
            let library = client
                .modules
                .hold()
                .kernels
                .get(&kernel)
                .map(|k| k.library);
            library_module(client, library.ok_or(Status::ERROR_INVALID_HANDLE)?)?
        }
    };
    // SAFETY: the application's pointer.
    unsafe { put(hmod, Id::<Module>::new(module).to_c()) }
}

pub(crate) unsafe fn cuFuncGetName(name: *mut c_void, hfunc: *mut c_void) -> Result {
    let (_, _, known) = target(client()?, hfunc)?;
    // SAFETY: the application's pointer; the name lives as long as the kernel is loaded.
    unsafe { put(name.cast(), known.name.as_ptr()) }
}

/// Offset and size of a parameter.
///
/// # Safety
/// The pointers are the application's.
pub(super) unsafe fn param_info(
    kernel: &Kernel,
    index: usize,
    offset: *mut usize,
    size: *mut usize,
) -> Result {
    let param = kernel.params.get(index).ok_or(INVALID)?;
    // SAFETY: the caller's promise; the size may be left out.
    unsafe {
        put(offset, param.0)?;
        put_opt(size, param.1);
    }
    Ok(())
}

pub(crate) unsafe fn cuFuncGetParamInfo(
    func: *mut c_void,
    param_index: usize,
    param_offset: *mut usize,
    param_size: *mut usize,
) -> Result {
    let (_, _, known) = target(client()?, func)?;
    // SAFETY: the application's pointers.
    unsafe { param_info(&known, param_index, param_offset, param_size) }
}

pub(crate) unsafe fn cuFuncIsLoaded(state: *mut u32, function: *mut c_void) -> Result {
    /// `CU_FUNCTION_LOADING_STATE_LOADED`.
    const LOADED: u32 = 1;
    target(client()?, function)?;
    // SAFETY: the application's pointer.
    unsafe { put(state, LOADED) }
}

pub(crate) unsafe fn cuFuncLoad(function: *mut c_void) -> Result {
    target(client()?, function).map(drop)
}

pub(crate) unsafe fn cuFuncSetSharedMemConfig(hfunc: *mut c_void, config: u32) -> Result {
    target(client()?, hfunc)?;
    // Devices since compute capability 5.0 have one bank size and ignore this.
    if config > 2 { Err(INVALID) } else { Ok(()) }
}
