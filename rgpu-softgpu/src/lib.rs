//! The software GPU: a drop-in `libcuda.so.1` that runs PTX on the CPU.
//!
//! [`entry`] exports the C functions, one per row of `rgpu_proto::spec`; each only translates. What they do:
//!
//! | module | holds |
//! |---|---|
//! | `api` | one function per row, by family: C arguments in, one call of the logic below, C results out |
//! | `driver` | the one driver of the process: devices, memory, tables of handles; fork |
//! | `device` | what a device says of itself |
//! | `context` | contexts, the stack of each thread, limits, sticky errors |
//! | `work` | what runs when: a graph of tickets, carried out by threads made on demand |
//! | `stream`, `event` | CUDA's ordering rules on top of `work` |
//! | `memory` | allocations and their owners, copies, sets, pools, virtual memory |
//! | `module` | images, modules, libraries, kernels, functions |
//! | `launch` | checks of a launch, its parameters, occupancy |
//!
//! Settings, from the environment: `RGPU_SOFT_DEVICES` says how many devices there are, `RGPU_SOFT_MEMORY` caps the
//! memory of each, `CUDA_VISIBLE_DEVICES` hides some, `RGPU_SOFT_HOST_ACCESS=0` keeps the host from its
//! memory, `RGPU_LOG` turns on logging to stderr.

mod api;
mod context;
mod device;
mod driver;
pub mod entry;
mod event;
mod handles;
mod launch;
mod log;
mod memory;
mod module;
mod status;
mod stream;
mod work;
