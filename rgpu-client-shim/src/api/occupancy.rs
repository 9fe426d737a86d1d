//! Occupancy.

use rgpu_proto::derived::client as derived;
use rgpu_proto::opcode::Opcode;

use super::*;
use crate::client::get as client;
use crate::session::Origin;
use crate::shadow::modules::words;

/// Programs look for the best block size one question at a time. The first is asked for every number of whole warps
/// as well, all at once, so that the others are answered from memory. `None` for calls that are not about this.
pub(crate) fn occupancy_of_all_blocks(
    client: &'static Client,
    op: Opcode,
    origin: Origin,
    body: &[u8],
) -> Option<Result<Vec<u8>>> {
    const ACTIVE: Opcode = Opcode::of("cuOccupancyMaxActiveBlocksPerMultiprocessor");
    const ACTIVE_WITH_FLAGS: Opcode =
        Opcode::of("cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags");
    if !matches!(op, ACTIVE | ACTIVE_WITH_FLAGS) {
        return None;
    }
    let [function, asked] = words(body);
    let most = client.modules.hold().max_threads(function)?;
    let device = client.devices.first()?;
    let warp = device.attribute_or(WARP, 32).max(1);
    let others = (1..=most / warp).map(|warps| warps * warp);
    let bodies: Vec<Vec<u8>> = std::iter::once(asked)
        .chain(others.map(|size| size as u32).filter(|size| *size != asked))
        .map(|size| {
            let mut body = body.to_vec();
            body[4..8].copy_from_slice(&size.to_le_bytes());
            body
        })
        .collect();
    Some(
        client
            .session
            .ask_all(op, origin, &bodies)
            .and_then(|answers| {
                let mut modules = client.modules.hold();
                for (body, answer) in bodies.iter().zip(&answers) {
                    if answer.status == Status::SUCCESS {
                        modules.observe(op, body, &answer.body);
                    }
                }
                drop(modules);
                let first = answers.into_iter().next().ok_or(Status::ERROR_UNKNOWN)?;
                client.session.judge(first.status).map(|()| first.body)
            }),
    )
}

/// `cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags`, through the derived row.
///
/// # Safety
/// `blocks` is writable.
pub(super) unsafe fn max_active_blocks(
    client: &'static Client,
    blocks: *mut i32,
    f: *mut c_void,
    threads: i32,
    shared: usize,
    flags: u32,
) -> Result {
    let f = resolve::<Function>(client, f)?;
    // SAFETY: the caller's promise.
    unsafe {
        derived::cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(
            &client, blocks, f, threads, shared, flags,
        )
    }
}

/// `CUoccupancyB2DSize`: dynamic shared memory of a block of so many threads.
type SharedOf = unsafe extern "C" fn(i32) -> usize;

// `CUdevice_attribute` and `CUfunction_attribute` numbers.
const WARP: u32 = 10;
const MAX_THREADS: u32 = 1;
const MULTIPROCESSORS: u32 = 16;
const FUNCTION_MAX_THREADS: u32 = 0;

/// The block size that keeps most threads of a multiprocessor busy; the larger one of equals.
fn best_block(
    sizes: impl Iterator<Item = i32>,
    mut active: impl FnMut(i32) -> Result<i32>,
) -> Result<(i32, i32)> {
    let mut best = (0, 0, 0);
    for size in sizes {
        let blocks = active(size)?;
        if blocks * size > best.0 {
            best = (blocks * size, size, blocks);
        }
    }
    Ok((best.1, best.2))
}

pub(crate) unsafe fn cuOccupancyMaxPotentialBlockSize(
    min_grid_size: *mut i32,
    block_size: *mut i32,
    func: *mut c_void,
    shared_of: Option<unsafe extern "C" fn()>,
    dynamic_smem_size: usize,
    block_size_limit: i32,
) -> Result {
    // SAFETY: the same contract.
    unsafe {
        cuOccupancyMaxPotentialBlockSizeWithFlags(
            min_grid_size,
            block_size,
            func,
            shared_of,
            dynamic_smem_size,
            block_size_limit,
            0,
        )
    }
}

pub(crate) unsafe fn cuOccupancyMaxPotentialBlockSizeWithFlags(
    min_grid_size: *mut i32,
    block_size: *mut i32,
    func: *mut c_void,
    shared_of: Option<unsafe extern "C" fn()>,
    dynamic_smem_size: usize,
    block_size_limit: i32,
    flags: u32,
) -> Result {
    let client = client()?;
    let context = client.working_context()?;
    if min_grid_size.is_null() || block_size.is_null() || flags > 1 {
        return Err(INVALID);
    }
    // SAFETY: the C type of this parameter is CUoccupancyB2DSize.
    let shared_of =
        shared_of.map(|f| unsafe { std::mem::transmute::<unsafe extern "C" fn(), SharedOf>(f) });
    let device = client.device(client.contexts.hold().get(context)?.device as i32)?;
    let func = resolve::<Function>(client, func)?;
    let mut most = 0;
    // SAFETY: `most` is live.
    unsafe { derived::cuFuncGetAttribute(&client, &raw mut most, FUNCTION_MAX_THREADS, func)? };
    most = most.min(device.attribute_or(MAX_THREADS, 1024));
    if block_size_limit > 0 {
        most = most.min(block_size_limit);
    }
    let warp = device.attribute_or(WARP, 32).max(1);
    // From the largest size down, in warps; a limit that is no whole warp counts as it is.
    let down = (1..).map(|step| (most - 1) / warp * warp + warp - step * warp);
    let sizes =
        std::iter::once(most).chain(down.take_while(|size| *size > 0).filter(|s| *s < most));
    let (size, blocks) = best_block(sizes, |threads| {
        // SAFETY: the application's function, called as it says.
        let shared = shared_of.map_or(dynamic_smem_size, |of| unsafe { of(threads) });
        let mut blocks = 0;
        // SAFETY: `blocks` is live.
        unsafe { max_active_blocks(client, &raw mut blocks, func, threads, shared, flags)? };
        Ok(blocks)
    })?;
    // SAFETY: the application's pointers, not null.
    unsafe {
        put(block_size, size)?;
        put(
            min_grid_size,
            blocks * device.attribute_or(MULTIPROCESSORS, 1),
        )
    }
}

/// `CUDA_ERROR_INVALID_CLUSTER_SIZE`.
const INVALID_CLUSTER_SIZE: Status = Status(912);
/// `CU_DEVICE_ATTRIBUTE_CLUSTER_LAUNCH`.
const CLUSTER_LAUNCH: u32 = 120;

pub(crate) unsafe fn cuOccupancyMaxActiveClusters(
    num_clusters: *mut i32,
    func: *mut c_void,
    config: *const c_void,
) -> Result {
    let client = client()?;
    let context = client.working_context()?;
    let device = client.device(client.contexts.hold().get(context)?.device as i32)?;
    if num_clusters.is_null() {
        return Err(INVALID);
    }
    // SAFETY: the application's structure.
    let wanted = unsafe { block_and_cluster(config)? };
    match wanted.cluster {
        Some(1) => {}
        // Larger clusters are not launched across the network.
        Some(2..) if device.attribute_or(CLUSTER_LAUNCH, 0) != 0 => {
            return Err(Status::ERROR_NOT_SUPPORTED);
        }
        _ => return Err(INVALID_CLUSTER_SIZE),
    }
    let threads = i32::try_from(wanted.threads).map_err(|_| INVALID)?;
    let mut blocks = 0;
    // SAFETY: `blocks` is live.
    unsafe { max_active_blocks(client, &raw mut blocks, func, threads, wanted.shared, 0)? };
    let multiprocessors = device.attribute_or(MULTIPROCESSORS, 1);
    // SAFETY: the application's pointer, not null.
    unsafe { put(num_clusters, blocks.saturating_mul(multiprocessors)) }
}

pub(crate) unsafe fn cuOccupancyMaxPotentialClusterSize(
    cluster_size: *mut i32,
    func: *mut c_void,
    config: *const c_void,
) -> Result {
    let client = client()?;
    client.working_context()?;
    resolve::<Function>(client, func)?;
    if config.is_null() {
        return Err(INVALID);
    }
    // SAFETY: the application's pointer.
    unsafe { put(cluster_size, 1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_busiest_and_then_largest_block_is_best() {
        let active = |size: i32| Ok(2048 / size);
        let sizes = [1024, 992, 512, 256];
        assert_eq!(best_block(sizes.into_iter(), active), Ok((1024, 2)));
        let limited = |size: i32| Ok(if size > 512 { 1 } else { 4 });
        assert_eq!(best_block(sizes.into_iter(), limited), Ok((512, 4)));
        let failing = |_| Err(Status::ERROR_UNKNOWN);
        assert_eq!(
            best_block(sizes.into_iter(), failing),
            Err(Status::ERROR_UNKNOWN)
        );
    }
}
