//! Kernel launches and functions.

use rgpu_proto::handle::{Function, Kernel as KernelKind, Module};
use rgpu_proto::msg::launch::{Launch, LaunchEx};
use rgpu_proto::opcode::Opcode;
use rgpu_proto::wire::Encode;

use super::launch_plan::{Plan, target, with_plan};
use super::mapped::launch_with_host_memory;
use super::*;
use crate::client::get as client;
use crate::session::Origin;
use crate::shadow::devices::LaunchLimits;
use crate::shadow::modules::Kernel;

const LAUNCH: Opcode = Opcode::of("cuLaunchKernel");
const LAUNCH_EX: Opcode = Opcode::of("cuLaunchKernelEx");

/// How a launch is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Layout {
    grid: [u32; 3],
    block: [u32; 3],
    shared: u32,
    cooperative: bool,
    /// Another than the stream's.
    priority: Option<i32>,
}

/// Refuses a launch that no device of this kind could carry out; a bad shape with `bad_shape`.
fn check(layout: &Layout, kernel: &Kernel, limits: &LaunchLimits, bad_shape: Status) -> Result {
    let inside = |size: [u32; 3], most: [u32; 3]| {
        size.iter()
            .zip(most)
            .all(|(size, most)| (1..=most).contains(size))
    };
    let threads = layout
        .block
        .iter()
        .map(|side| u64::from(*side))
        .product::<u64>();
    if !inside(layout.grid, limits.grid)
        || !inside(layout.block, limits.block)
        || threads > u64::from(limits.threads)
    {
        return Err(bad_shape);
    }
    if threads > kernel.max_threads.max(0) as u64 {
        // A block beyond `__launch_bounds__` is the caller's mistake; one for which the registers do not suffice asks
        // for too much.
        let registers = kernel.registers.max(0) as u64 * threads;
        return Err(if registers > u64::from(limits.registers) {
            Status::ERROR_LAUNCH_OUT_OF_RESOURCES
        } else {
            INVALID
        });
    }
    let usual = limits.shared.saturating_sub(kernel.shared as u32);
    let most = usual.max(kernel.max_dynamic_shared() as u32);
    let total = u64::from(layout.shared) + kernel.shared as u64;
    if layout.shared > most || total > u64::from(limits.shared_optin) {
        return Err(INVALID);
    }
    if layout.cooperative && !limits.cooperative {
        return Err(Status::ERROR_NOT_SUPPORTED);
    }
    Ok(())
}

/// Blocks that wait for each other must all run at once.
fn check_resident(
    client: &'static Client,
    f: *mut c_void,
    layout: &Layout,
    limits: &LaunchLimits,
) -> Result {
    let threads = layout.block.iter().product::<u32>() as i32;
    let mut fit = 0;
    // SAFETY: `fit` is live.
    unsafe { max_active_blocks(client, &raw mut fit, f, threads, layout.shared as usize, 0)? };
    let fit = fit.max(0) as u64 * u64::from(limits.multiprocessors);
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

/// Writes the parameters to the zeroes of `packed`, as the kernel wants them.
///
/// # Safety
/// `params` and `extra` are what the application passed to a launch of `kernel`.
unsafe fn pack(
    kernel: &Kernel,
    params: *mut c_void,
    extra: *mut c_void,
    packed: &mut [u8],
) -> Result {
    if !params.is_null() && !extra.is_null() {
        return Err(INVALID);
    }
    if kernel.params.is_empty() {
        return Ok(());
    }
    debug_assert_eq!(packed.len(), kernel.params_size);
    if params.is_null() {
        // SAFETY: the caller's promise.
        return unsafe { copy_extra(extra, packed) };
    }
    for (at, (offset, size)) in kernel.params.iter().enumerate() {
        // SAFETY: the application passed a pointer for each parameter.
        let value = unsafe { params.cast::<*const u8>().add(at).read_unaligned() };
        if value.is_null() {
            return Err(INVALID);
        }
        // SAFETY: the pointer is to a parameter of this size; `packed` ends after the last parameter. Most parameters
        // are addresses or words, for which a call of memcpy would cost more than the copy.
        unsafe {
            let place = packed.as_mut_ptr().add(*offset);
            match size {
                8 => place
                    .cast::<[u8; 8]>()
                    .write(value.cast::<[u8; 8]>().read()),
                4 => place
                    .cast::<[u8; 4]>()
                    .write(value.cast::<[u8; 4]>().read()),
                _ => std::ptr::copy_nonoverlapping(value, place, *size),
            }
        }
    }
    Ok(())
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
    with_plan(client, f, h_stream, |plan, body| {
        let (known, bad_shape) = (&plan.target.known, plan.target.bad_shape);
        check(&layout, known, plan.limits, bad_shape)?;
        if layout.cooperative {
            check_resident(client, f, &layout, plan.limits)?;
        }
        if plan.layout != Some(layout) {
            lay_out(client, plan, layout);
        }
        let (head, known) = (&plan.head, &plan.target.known);
        let (op, origin) = (plan.op, Origin::within(plan.context));
        let len = head.len() + known.params_size;
        let fill = |out: &mut [u8]| {
            let (front, packed) = out.split_at_mut(head.len());
            front.copy_from_slice(head);
            // SAFETY: the caller's promise.
            unsafe { pack(known, params, extra, packed) }
        };
        if client.page_locked.is_empty() {
            return client.session.post_in_place(op, origin, len, fill);
        }
        body.resize(len, 0);
        fill(body)?;
        launch_with_host_memory(client, plan.stream, body, head.len(), |body| {
            client.session.post_bytes(op, origin, &[body])
        })
    })
}

/// Encodes what comes before the parameters of a launch.
fn lay_out(client: &'static Client, plan: &mut Plan, layout: Layout) {
    let launch = Launch {
        function: Id::<Function>::new(plan.target.function),
        kernel: Id::<KernelKind>::new(plan.target.kernel),
        grid: layout.grid,
        block: layout.block,
        shared: layout.shared,
        stream: Id::new(plan.stream),
        cooperative: layout.cooperative,
    };
    plan.head.clear();
    match layout.priority {
        None => {
            plan.op = LAUNCH;
            launch.encode(&mut plan.head);
        }
        Some(priority) => {
            plan.op = LAUNCH_EX;
            let priority = client.clamp_priority(priority);
            LaunchEx { launch, priority }.encode(&mut plan.head);
        }
    }
    plan.layout = Some(layout);
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
        priority: None,
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
        priority: None,
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
    /// Adds what this attribute asks for; an error where there is no such thing.
    fn apply(&self, wishes: &mut Wishes) -> Result {
        match self.id {
            // COOPERATIVE
            2 => wishes.cooperative = self.value[0] != 0,
            // CLUSTER_DIMENSION: a cluster of one block is none.
            4 if self.value[..3] == [1, 1, 1] || self.value[..3] == [0, 0, 0] => {}
            4 => return Err(Status::ERROR_NOT_SUPPORTED),
            // PROGRAMMATIC_STREAM_SERIALIZATION lets a launch overlap the one before; that it need not.
            6 => {}
            // PRIORITY
            8 => wishes.priority = Some(self.value[0] as i32),
            // IGNORE, ACCESS_POLICY_WINDOW, SYNCHRONIZATION_POLICY, CLUSTER_SCHEDULING_POLICY_PREFERENCE,
            // MEM_SYNC_DOMAIN_MAP, MEM_SYNC_DOMAIN, PREFERRED_SHARED_MEMORY_CARVEOUT: hints.
            0 | 1 | 3 | 5 | 9 | 10 | 14 => {}
            _ => return Err(Status::ERROR_NOT_SUPPORTED),
        }
        Ok(())
    }
}

/// What the attributes of a launch ask for.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Wishes {
    cooperative: bool,
    /// Another priority than the stream's.
    priority: Option<i32>,
}

/// What a launch configuration says of blocks and clusters.
pub(super) struct BlockAndCluster {
    pub(super) threads: u64,
    pub(super) shared: usize,
    /// Blocks of a cluster, if it says so.
    pub(super) cluster: Option<u64>,
}

/// Reads a `CUlaunchConfig` for questions of occupancy.
///
/// # Safety
/// `config` is null or points to one.
pub(super) unsafe fn block_and_cluster(config: *const c_void) -> Result<BlockAndCluster> {
    /// `CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION`.
    const CLUSTER_DIMENSION: u32 = 4;
    let product = |sizes: &[u32]| sizes.iter().map(|&size| u64::from(size)).product();
    // SAFETY: the caller's promise; the layouts agree.
    let config: Config = unsafe { get(config)? };
    let mut cluster = None;
    for at in 0..config.count as usize {
        // SAFETY: the application's array of attributes; the layouts agree.
        let attribute: Attribute = unsafe { get(config.attributes.wrapping_add(at).cast())? };
        if attribute.id == CLUSTER_DIMENSION {
            cluster = Some(product(&attribute.value[..3]));
        }
    }
    Ok(BlockAndCluster {
        threads: product(&config.block),
        shared: config.shared as usize,
        cluster,
    })
}

pub(crate) unsafe fn cuLaunchKernelEx(
    config: *const c_void,
    f: *mut c_void,
    kernel_params: *mut c_void,
    extra: *mut c_void,
) -> Result {
    // SAFETY: the application's structure; the layouts agree.
    let config: Config = unsafe { get(config)? };
    let mut wishes = Wishes::default();
    for at in 0..config.count as usize {
        // SAFETY: the application's array of attributes; the layouts agree.
        let attribute: Attribute = unsafe { get(config.attributes.wrapping_add(at).cast())? };
        attribute.apply(&mut wishes)?;
    }
    let layout = Layout {
        grid: config.grid,
        block: config.block,
        shared: config.shared,
        cooperative: wishes.cooperative,
        priority: wishes.priority,
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
    let known = target(client()?, hfunc)?.known;
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
    let known = target(client()?, func)?.known;
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

#[cfg(test)]
mod tests {
    use rgpu_proto::hello::Device;
    use rgpu_proto::msg::module::KernelInfo;

    use std::sync::Arc;

    use super::*;
    use crate::api::launch_plan::INVALID_CONFIGURATION;
    use crate::shadow::devices::DeviceShadow;
    use crate::shadow::modules::Image;

    fn kernel() -> Arc<Kernel> {
        let info = KernelInfo {
            name: "k".into(),
            params: vec![(0, 8), (8, 4), (16, 8)],
            // At most 256 threads of 200 registers, 1 KiB of static shared memory.
            attributes: vec![(0, 256), (1, 1024), (4, 200), (8, 47 << 10)],
        };
        Arc::clone(&Image::new(1, &[info]).unwrap().kernels[0])
    }

    fn limits() -> LaunchLimits {
        let device = Device {
            name: String::new(),
            uuid: [0; 16],
            total_memory: 1,
            pci_bus_id: String::new(),
            attributes: vec![(95, 1), (97, 99 << 10), (16, 4)],
        };
        DeviceShadow::new(&device, 1).limits
    }

    fn layout(grid: [u32; 3], block: [u32; 3], shared: u32) -> Layout {
        Layout {
            grid,
            block,
            shared,
            cooperative: false,
            priority: None,
        }
    }

    #[test]
    fn attributes_are_wishes_or_refused() {
        let applied = |id, first| {
            let (mut wishes, mut value) = (Wishes::default(), [0; 16]);
            value[0] = first;
            let attribute = Attribute {
                id,
                padding: 0,
                value,
            };
            attribute.apply(&mut wishes).map(|()| wishes)
        };
        let none = Wishes::default();
        // Numbers of CUlaunchAttributeID.
        assert_eq!(applied(0, 1), Ok(none));
        let cooperative = Wishes {
            cooperative: true,
            ..none
        };
        assert_eq!(applied(2, 1), Ok(cooperative));
        let urgent = Wishes {
            priority: Some(-5),
            ..none
        };
        assert_eq!(applied(8, -5_i32 as u32), Ok(urgent));
        assert_eq!(applied(4, 2), Err(Status::ERROR_NOT_SUPPORTED));
        assert_eq!(applied(4711, 0), Err(Status::ERROR_NOT_SUPPORTED));
    }

    #[test]
    fn impossible_launches_are_refused_with_their_code() {
        let (kernel, limits) = (kernel(), limits());
        let try_launch = |layout: Layout| check(&layout, &kernel, &limits, INVALID_CONFIGURATION);
        assert_eq!(try_launch(layout([1, 1, 1], [256, 1, 1], 47 << 10)), Ok(()));
        for (grid, block) in [
            ([0, 1, 1], [1, 1, 1]),
            ([1, 1, 1], [0, 1, 1]),
            ([1, 65_536, 1], [1, 1, 1]),
            ([1, 1, 1], [1, 1, 65]),
            ([1, 1, 1], [32, 32, 2]),
        ] {
            assert_eq!(
                try_launch(layout(grid, block, 0)),
                Err(INVALID_CONFIGURATION)
            );
        }
        assert_eq!(try_launch(layout([1, 1, 1], [257, 1, 1], 0)), Err(INVALID));
        assert_eq!(
            try_launch(layout([1, 1, 1], [512, 1, 1], 0)),
            Err(Status::ERROR_LAUNCH_OUT_OF_RESOURCES)
        );
        assert_eq!(
            try_launch(layout([1, 1, 1], [1, 1, 1], 48 << 10)),
            Err(INVALID)
        );
        let together = Layout {
            cooperative: true,
            ..layout([1, 1, 1], [1, 1, 1], 0)
        };
        assert_eq!(try_launch(together), Ok(()));
        let alone = LaunchLimits {
            cooperative: false,
            ..limits
        };
        let refused = check(&together, &kernel, &alone, INVALID);
        assert_eq!(refused, Err(Status::ERROR_NOT_SUPPORTED));
    }

    #[test]
    fn parameters_are_packed_from_pointers_or_a_buffer() {
        let kernel = kernel();
        let (mut a, mut b, mut c) = (1_u64, 2_u32, 3_u64);
        let mut pointers = [
            (&raw mut a).cast(),
            (&raw mut b).cast(),
            (&raw mut c).cast::<c_void>(),
        ];
        let expected = [
            &[1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0][..],
            &[3, 0, 0, 0, 0, 0, 0, 0],
        ]
        .concat();
        let mut packed = [0; 24];
        let null = std::ptr::null_mut();
        // SAFETY: there is a pointer for each parameter.
        unsafe { pack(&kernel, pointers.as_mut_ptr().cast(), null, &mut packed).unwrap() };
        assert_eq!(packed, *expected);

        let mut size = 24_usize;
        let buffer = expected.clone();
        let mut extra = [1, buffer.as_ptr() as usize, 2, &raw mut size as usize, 0];
        let mut packed = [0; 24];
        // SAFETY: the list names a buffer and its size, and ends.
        unsafe { pack(&kernel, null, extra.as_mut_ptr().cast(), &mut packed).unwrap() };
        assert_eq!(packed, *expected);
    }

    #[test]
    fn parameters_that_are_missing_are_refused() {
        let kernel = kernel();
        let null: *mut c_void = std::ptr::null_mut();
        let mut size = 8_usize;
        let buffer = [0_u8; 8];
        let mut short = [1, buffer.as_ptr() as usize, 2, &raw mut size as usize, 0];
        let mut odd = [7_usize, 7, 0];
        let mut pointers = [null; 3];
        for (params, extra) in [
            (null, null),
            (null, short.as_mut_ptr().cast()),
            (null, odd.as_mut_ptr().cast()),
            (pointers.as_mut_ptr().cast(), null),
            (pointers.as_mut_ptr().cast(), short.as_mut_ptr().cast()),
        ] {
            // SAFETY: pointers and lists are complete, if wrong.
            let refused = unsafe { pack(&kernel, params, extra, &mut [0; 24]) };
            assert_eq!(refused, Err(INVALID));
        }
    }
}
