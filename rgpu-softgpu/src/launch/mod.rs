//! Launches: what is checked at the call, and what then runs in the stream.

pub(crate) mod occupancy;
mod params;

use std::sync::Arc;

use rgpu_softgpu_exec::exec::{DEFAULT_STACK, Launch, LaunchError, WORKSPACE};
use rgpu_softgpu_exec::memory::DeviceMemory;

use crate::device::limits;
use crate::module::{Function, Resolved};
use crate::status::{Result, Status, of_memory, of_trap, require};
use crate::stream::Stream;

pub(crate) use params::Arguments;

/// Bytes of stack that compiled code takes where a GPU takes one: registers are saved on it too.
const HOST_STACK: u64 = 4;

/// How many threads run what.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) grid: [u32; 3],
    pub(crate) block: [u32; 3],
    pub(crate) dynamic_shared: u32,
    /// Whether all blocks must be able to meet.
    pub(crate) cooperative: bool,
    /// Another priority than the stream's.
    pub(crate) priority: Option<i32>,
}

impl Shape {
    /// Threads of a block; fails if any dimension is not possible on the device.
    fn check(&self) -> Result<u32> {
        let fits = |sizes: [u32; 3], limits: [u32; 3]| {
            let mut pairs = sizes.into_iter().zip(limits);
            pairs.all(|(size, limit)| (1..=limit).contains(&size))
        };
        require(fits(self.grid, limits::GRID) && fits(self.block, limits::BLOCK))?;
        let threads: u32 = self.block.iter().product();
        require(threads <= limits::THREADS_PER_BLOCK)?;
        Ok(threads)
    }

    fn blocks(&self) -> u64 {
        self.grid.iter().map(|&size| u64::from(size)).product()
    }
}

/// Launches a kernel.
pub(crate) fn launch(
    kernel: &Resolved,
    shape: Shape,
    arguments: Arguments,
    stream: &Arc<Stream>,
) -> Result {
    let function: &Function = &kernel.function;
    if function.context_id() != stream.context().id() {
        return Err(Status::ERROR_INVALID_HANDLE);
    }
    let threads = shape.check().map_err(|_| kernel.bad_shape)?;
    let signature = function.signature();
    if signature
        .required()
        .is_some_and(|required| required != shape.block)
    {
        return Err(Status::ERROR_INVALID_VALUE);
    }
    // More than `.maxntid` says is a mistake of the caller, not of resources.
    require(threads <= signature.max_threads())?;
    let gpu = stream.context().gpu()?;
    let most_shared = function.max_dynamic_shared(function.code()?.static_shared);
    require(shape.dynamic_shared <= most_shared)?;
    if shape.cooperative {
        let blocks = occupancy::blocks(function, threads, shape.dynamic_shared.into())?;
        let most = u64::from(blocks) * u64::from(gpu.device.multiprocessors());
        if shape.blocks() > most {
            return Err(Status::ERROR_COOPERATIVE_LAUNCH_TOO_LARGE);
        }
    }
    let engine = gpu.engine()?;
    let priority = shape.priority.unwrap_or_else(|| stream.priority());
    if let Some(stack) = stream.context().limits().own_stack() {
        engine.grow_stacks((stack * HOST_STACK).max(DEFAULT_STACK as u64) as usize);
    }
    let arguments = arguments.gather(signature)?;
    let code = function.code_for(&arguments)?;
    let cancel = stream.context().cancel_token();
    let workspace = shape
        .cooperative
        .then(|| Workspace::new(&gpu.memory))
        .transpose()?;
    stream.enqueue(move || {
        let launch = Launch {
            kernel: (*code).clone(),
            grid: shape.grid,
            block: shape.block,
            dynamic_shared: shape.dynamic_shared,
            params: &arguments,
            cancel: cancel.clone(),
        };
        let workspace = workspace.as_ref().map_or(0, |workspace| workspace.address);
        let outcome = engine.launch_with(&launch, workspace, priority);
        outcome.map_err(|error| match error {
            LaunchError::Fault(fault) => {
                tracing::error!("{fault}");
                of_trap(fault.trap)
            }
            LaunchError::Invalid(why) => {
                tracing::error!(why, "a launch passed our checks but not the executor's");
                Status::ERROR_UNKNOWN
            }
        })
    });
    Ok(())
}

/// Memory through which the blocks of a cooperative grid meet.
struct Workspace {
    memory: &'static DeviceMemory,
    address: u64,
}

impl Workspace {
    fn new(memory: &'static DeviceMemory) -> Result<Self> {
        let allocated = memory.allocate(WORKSPACE);
        let workspace = Self {
            memory,
            address: allocated.map_err(|_| Status::ERROR_LAUNCH_OUT_OF_RESOURCES)?,
        };
        let zeroed = memory.fill(workspace.address, &[0], WORKSPACE);
        zeroed.map_err(of_memory)?;
        Ok(workspace)
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        if let Err(error) = self.memory.release(self.address) {
            tracing::error!(%error, "the memory of a cooperative launch could not be freed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(grid: [u32; 3], block: [u32; 3]) -> Shape {
        Shape {
            grid,
            block,
            dynamic_shared: 0,
            cooperative: false,
            priority: None,
        }
    }

    #[test]
    fn shapes_beyond_the_device_are_invalid() {
        assert_eq!(
            shape([i32::MAX as u32, 65_535, 65_535], [1024, 1, 1]).check(),
            Ok(1024)
        );
        assert_eq!(shape([1; 3], [8, 8, 16]).check(), Ok(1024));
        for (grid, block) in [
            ([0, 1, 1], [1, 1, 1]),
            ([1, 1, 1], [1, 0, 1]),
            ([1, 65_536, 1], [1, 1, 1]),
            ([1, 1, 1], [1025, 1, 1]),
            ([1, 1, 1], [1, 1, 65]),
            ([1, 1, 1], [32, 33, 1]),
        ] {
            let refused = shape(grid, block).check();
            assert_eq!(
                refused,
                Err(Status::ERROR_INVALID_VALUE),
                "{grid:?} {block:?}"
            );
        }
    }
}
