//! Launches, functions, occupancy.

use std::ffi::c_void;

use cudarc::driver::sys::{CUlaunchAttribute, CUlaunchConfig};

use super::{put, put_if_wanted, read};
use crate::launch::{self, Arguments, Shape, occupancy};
use crate::module::{resolve_function, resolve_to_launch};
use crate::status::{Result, Status, require};
use crate::{event, stream};

type Handle = *mut c_void;

/// Largest `CUfunc_cache`.
const CACHE_CONFIGS: u32 = 3;
/// Largest `CUsharedconfig`.
const SHARED_CONFIGS: u32 = 2;
/// `CU_FUNCTION_LOADING_STATE_LOADED`.
const LOADED: u32 = 1;
/// `CU_OCCUPANCY_DISABLE_CACHING_OVERRIDE`.
const DISABLE_CACHING_OVERRIDE: u32 = 1;

pub(crate) unsafe fn cuLaunchKernel(
    f: Handle,
    grid_dim_x: u32,
    grid_dim_y: u32,
    grid_dim_z: u32,
    block_dim_x: u32,
    block_dim_y: u32,
    block_dim_z: u32,
    shared_mem_bytes: u32,
    h_stream: Handle,
    kernel_params: *mut c_void,
    extra: *mut c_void,
) -> Result {
    let kernel = resolve_to_launch(f)?;
    let stream = stream::resolve(h_stream)?;
    let shape = Shape {
        grid: [grid_dim_x, grid_dim_y, grid_dim_z],
        block: [block_dim_x, block_dim_y, block_dim_z],
        dynamic_shared: shared_mem_bytes,
        cooperative: false,
        priority: None,
    };
    // SAFETY: the contract of this function.
    let arguments = unsafe { Arguments::new(kernel_params, extra) };
    launch::launch(&kernel, shape, arguments, &stream)
}

pub(crate) unsafe fn cuLaunchCooperativeKernel(
    f: Handle,
    grid_dim_x: u32,
    grid_dim_y: u32,
    grid_dim_z: u32,
    block_dim_x: u32,
    block_dim_y: u32,
    block_dim_z: u32,
    shared_mem_bytes: u32,
    h_stream: Handle,
    kernel_params: *mut c_void,
) -> Result {
    let kernel = resolve_to_launch(f)?;
    let stream = stream::resolve(h_stream)?;
    let shape = Shape {
        grid: [grid_dim_x, grid_dim_y, grid_dim_z],
        block: [block_dim_x, block_dim_y, block_dim_z],
        dynamic_shared: shared_mem_bytes,
        cooperative: true,
        priority: None,
    };
    // SAFETY: the contract of this function.
    let arguments = unsafe { Arguments::new(kernel_params, std::ptr::null_mut()) };
    launch::launch(&kernel, shape, arguments, &stream)
}

/// `CUlaunchAttributeID`, those that mean something here.
mod launch_attribute {
    pub(super) const COOPERATIVE: u32 = 2;
    pub(super) const CLUSTER_DIMENSION: u32 = 4;
    pub(super) const PROGRAMMATIC_EVENT: u32 = 7;
    pub(super) const PRIORITY: u32 = 8;
    pub(super) const LAUNCH_COMPLETION_EVENT: u32 = 12;
    pub(super) const DEVICE_UPDATABLE_KERNEL_NODE: u32 = 13;
    /// The last of CUDA 13.0.
    pub(super) const LAST: u32 = 16;
}

/// What the attributes of a launch ask for.
#[derive(Default)]
struct Wishes {
    cooperative: bool,
    priority: Option<i32>,
    /// Blocks of a cluster.
    cluster: Option<u64>,
    /// Events to record behind the launch. They may be recorded earlier, but never must.
    events: Vec<Handle>,
}

/// # Safety
/// `attributes` is null or has `count` elements.
unsafe fn read_attributes(attributes: *const CUlaunchAttribute, count: u32) -> Result<Wishes> {
    let mut wishes = Wishes::default();
    require(count == 0 || !attributes.is_null())?;
    for index in 0..count as usize {
        // SAFETY: the caller's promise; the value is read as what the id says it holds.
        unsafe {
            let attribute = attributes.add(index);
            let value = &raw const (*attribute).value;
            match read((&raw const (*attribute).id).cast::<u32>())? {
                launch_attribute::COOPERATIVE => {
                    wishes.cooperative = read(value.cast::<i32>())? != 0;
                }
                launch_attribute::CLUSTER_DIMENSION => {
                    let dimension: [u32; 3] = read(value.cast())?;
                    let blocks = dimension.iter().map(|&size| u64::from(size)).product();
                    wishes.cluster = Some(blocks);
                }
                launch_attribute::PRIORITY => {
                    wishes.priority = Some(read(value.cast::<i32>())?);
                }
                launch_attribute::PROGRAMMATIC_EVENT
                | launch_attribute::LAUNCH_COMPLETION_EVENT => {
                    wishes.events.push(read(value.cast::<Handle>())?);
                }
                launch_attribute::DEVICE_UPDATABLE_KERNEL_NODE => {
                    return Err(Status::ERROR_NOT_SUPPORTED);
                }
                // The rest are hints, or promise more overlap than there must be.
                known => require(known <= launch_attribute::LAST)?,
            }
        }
    }
    Ok(wishes)
}

pub(crate) unsafe fn cuLaunchKernelEx(
    config: *const c_void,
    f: Handle,
    kernel_params: *mut c_void,
    extra: *mut c_void,
) -> Result {
    let kernel = resolve_to_launch(f)?;
    // SAFETY: the contract of this function. No field of the structure itself is an enumeration.
    let config = unsafe { read(config.cast::<CUlaunchConfig>()) }?;
    let stream = stream::resolve(config.hStream.cast())?;
    // SAFETY: the contract of this function.
    let wishes = unsafe { read_attributes(config.attrs, config.numAttrs) }?;
    if wishes.cluster.is_some_and(|blocks| blocks > 1) {
        return Err(Status::ERROR_NOT_SUPPORTED);
    }
    let shape = Shape {
        grid: [config.gridDimX, config.gridDimY, config.gridDimZ],
        block: [config.blockDimX, config.blockDimY, config.blockDimZ],
        dynamic_shared: config.sharedMemBytes,
        cooperative: wishes.cooperative,
        priority: wishes.priority.map(stream::clamp_priority),
    };
    let events = wishes.events.into_iter().map(event::resolve);
    let events = events.collect::<Result<Vec<_>>>()?;
    // SAFETY: the contract of this function.
    let arguments = unsafe { Arguments::new(kernel_params, extra) };
    launch::launch(&kernel, shape, arguments, &stream)?;
    events.iter().try_for_each(|event| event.record(&stream))
}

pub(crate) unsafe fn cuFuncGetAttribute(pi: *mut i32, attrib: u32, hfunc: Handle) -> Result {
    let value = resolve_function(hfunc)?.attribute(attrib)?;
    // SAFETY: the contract of this function.
    unsafe { put(pi, value) }
}

pub(crate) unsafe fn cuFuncSetAttribute(hfunc: Handle, attrib: u32, value: i32) -> Result {
    resolve_function(hfunc)?.set_attribute(attrib, value)
}

pub(crate) unsafe fn cuFuncSetCacheConfig(hfunc: Handle, config: u32) -> Result {
    resolve_function(hfunc)?;
    require(config <= CACHE_CONFIGS)
}

pub(crate) unsafe fn cuFuncSetSharedMemConfig(hfunc: Handle, config: u32) -> Result {
    resolve_function(hfunc)?;
    require(config <= SHARED_CONFIGS)
}

pub(crate) unsafe fn cuFuncGetModule(hmod: *mut Handle, hfunc: Handle) -> Result {
    let handle = resolve_function(hfunc)?.module().handle();
    // SAFETY: the contract of this function.
    unsafe { put(hmod, handle) }
}

/// The name stays valid as long as the module.
pub(crate) unsafe fn cuFuncGetName(name: *mut c_void, hfunc: Handle) -> Result {
    let function = resolve_function(hfunc)?;
    // SAFETY: the contract of this function.
    unsafe { put(name.cast(), function.signature().c_name().as_ptr()) }
}

pub(crate) unsafe fn cuFuncGetParamInfo(
    func: Handle,
    param_index: usize,
    param_offset: *mut usize,
    param_size: *mut usize,
) -> Result {
    let (offset, size) = resolve_function(func)?.signature().param(param_index)?;
    // SAFETY: the contract of this function.
    unsafe {
        put_if_wanted(param_size, size as usize);
        put(param_offset, offset as usize)
    }
}

pub(crate) unsafe fn cuFuncIsLoaded(state: *mut u32, function: Handle) -> Result {
    resolve_function(function)?;
    // SAFETY: the contract of this function.
    unsafe { put(state, LOADED) }
}

pub(crate) unsafe fn cuFuncLoad(function: Handle) -> Result {
    resolve_function(function)?.code().map(drop)
}

/// A count or size that the program gives as `int`.
fn positive(value: i32) -> Result<u32> {
    require(value > 0)?;
    Ok(value.unsigned_abs())
}

pub(crate) unsafe fn cuOccupancyMaxActiveBlocksPerMultiprocessor(
    num_blocks: *mut i32,
    func: Handle,
    block_size: i32,
    dynamic_smem_size: usize,
) -> Result {
    let function = resolve_function(func)?;
    let blocks = occupancy::blocks(&function, positive(block_size)?, dynamic_smem_size as u64)?;
    // SAFETY: the contract of this function.
    unsafe { put(num_blocks, blocks as i32) }
}

pub(crate) unsafe fn cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(
    num_blocks: *mut i32,
    func: Handle,
    block_size: i32,
    dynamic_smem_size: usize,
    flags: u32,
) -> Result {
    require(flags & !DISABLE_CACHING_OVERRIDE == 0)?;
    // SAFETY: the contract of this function.
    unsafe {
        cuOccupancyMaxActiveBlocksPerMultiprocessor(num_blocks, func, block_size, dynamic_smem_size)
    }
}

pub(crate) unsafe fn cuOccupancyAvailableDynamicSMemPerBlock(
    dynamic_smem_size: *mut usize,
    func: Handle,
    num_blocks: i32,
    block_size: i32,
) -> Result {
    let function = resolve_function(func)?;
    let (blocks, threads) = (positive(num_blocks)?, positive(block_size)?);
    let room = occupancy::available_dynamic(&function, blocks, threads)?;
    // SAFETY: the contract of this function.
    unsafe { put(dynamic_smem_size, room as usize) }
}

pub(crate) unsafe fn cuOccupancyMaxPotentialBlockSize(
    min_grid_size: *mut i32,
    block_size: *mut i32,
    func: Handle,
    block_size_to_dynamic_smem_size: Option<unsafe extern "C" fn()>,
    dynamic_smem_size: usize,
    block_size_limit: i32,
) -> Result {
    let function = resolve_function(func)?;
    require(!min_grid_size.is_null() && !block_size.is_null() && block_size_limit >= 0)?;
    // SAFETY: the contract of this function: it is a CUoccupancyB2DSize.
    let sizes = unsafe {
        std::mem::transmute::<
            Option<unsafe extern "C" fn()>,
            Option<unsafe extern "C" fn(i32) -> usize>,
        >(block_size_to_dynamic_smem_size)
    };
    let dynamic = |threads: u32| match sizes {
        // SAFETY: the program's own function, with a block size as it expects.
        Some(size) => unsafe { size(threads as i32) as u64 },
        None => dynamic_smem_size as u64,
    };
    let limit = block_size_limit.unsigned_abs();
    let (threads, blocks) = occupancy::best_block(&function, limit, dynamic)?;
    let multiprocessors = function.context().gpu()?.device.multiprocessors();
    // SAFETY: the contract of this function.
    unsafe {
        put(min_grid_size, blocks.saturating_mul(multiprocessors) as i32)?;
        put(block_size, threads as i32)
    }
}

pub(crate) unsafe fn cuOccupancyMaxPotentialBlockSizeWithFlags(
    min_grid_size: *mut i32,
    block_size: *mut i32,
    func: Handle,
    block_size_to_dynamic_smem_size: Option<unsafe extern "C" fn()>,
    dynamic_smem_size: usize,
    block_size_limit: i32,
    flags: u32,
) -> Result {
    require(flags & !DISABLE_CACHING_OVERRIDE == 0)?;
    // SAFETY: the contract of this function.
    unsafe {
        cuOccupancyMaxPotentialBlockSize(
            min_grid_size,
            block_size,
            func,
            block_size_to_dynamic_smem_size,
            dynamic_smem_size,
            block_size_limit,
        )
    }
}

/// `CUDA_ERROR_INVALID_CLUSTER_SIZE`.
const INVALID_CLUSTER_SIZE: Status = Status(912);

/// Clusters of one block are all that there are.
pub(crate) unsafe fn cuOccupancyMaxActiveClusters(
    num_clusters: *mut i32,
    func: Handle,
    config: *const c_void,
) -> Result {
    let function = resolve_function(func)?;
    // SAFETY: the contract of this function. No field of the structure itself is an enumeration.
    let config = unsafe { read(config.cast::<CUlaunchConfig>()) }?;
    // SAFETY: the contract of this function.
    let wishes = unsafe { read_attributes(config.attrs, config.numAttrs) }?;
    if wishes.cluster != Some(1) {
        return Err(INVALID_CLUSTER_SIZE);
    }
    let threads = [config.blockDimX, config.blockDimY, config.blockDimZ];
    let threads = threads.into_iter().try_fold(1u32, u32::checked_mul);
    let threads = threads.ok_or(Status::ERROR_INVALID_VALUE)?;
    let blocks = occupancy::blocks(&function, threads, config.sharedMemBytes.into())?;
    let multiprocessors = function.context().gpu()?.device.multiprocessors();
    // SAFETY: the contract of this function.
    unsafe { put(num_clusters, blocks.saturating_mul(multiprocessors) as i32) }
}

pub(crate) unsafe fn cuOccupancyMaxPotentialClusterSize(
    cluster_size: *mut i32,
    func: Handle,
    config: *const c_void,
) -> Result {
    resolve_function(func)?;
    require(!config.is_null())?;
    // SAFETY: the contract of this function.
    unsafe { put(cluster_size, 1) }
}
