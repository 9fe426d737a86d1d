//! Kernel launches.

use crate::handle::{Function, Id, Kernel, Stream};
use crate::message;

message! {
    /// `cuLaunchKernel` and its kin. Posted. The packed parameters are the rest of the body.
    pub struct Launch {
        /// The function, or null where `kernel` is given.
        function: Id<Function>,
        /// A kernel launched without naming its function (a `CUkernel` cast to `CUfunction`).
        kernel: Id<Kernel>,
        /// Blocks.
        grid: [u32; 3],
        /// Threads of a block.
        block: [u32; 3],
        /// Bytes of dynamic shared memory.
        shared: u32,
        /// In which stream.
        stream: Id<Stream>,
        /// Blocks may wait for each other.
        cooperative: bool,
    }

    /// `cuLaunchKernelEx` with a priority of its own. Posted. The packed parameters are the rest of the body.
    pub struct LaunchEx {
        /// The launch.
        launch: Launch,
        /// `CU_LAUNCH_ATTRIBUTE_PRIORITY`.
        priority: i32,
    }
}
