//! The driver of this process: one device, its memory, and every table of handles.
//!
//! States: not initialised, ready, and (in the child of a fork) gone for good. A child inherits handles and
//! memory but none of the threads that do the work, so as with NVIDIA's driver it may not go on.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use rgpu_proto::handle;
use rgpu_softgpu_exec::exec::Device as Executor;
use rgpu_softgpu_exec::memory::DeviceMemory;
use rgpu_softgpu_exec::output::Output;

use crate::context::{Context, Primary};
use crate::device::Device;
use crate::event::Event;
use crate::handles::Table;
use crate::memory::{Owners, Pool, Pools, VirtualMemory};
use crate::module::{Function, Kernel, Library, Linker, Module};
use crate::status::{Result, Status};
use crate::stream::Stream;

/// Everything there is one of.
#[derive(Debug)]
pub(crate) struct Driver {
    pub(crate) device: Device,
    pub(crate) memory: DeviceMemory,
    /// The device as the executor sees it: memory, heap, output.
    pub(crate) executor: Arc<Executor>,
    pub(crate) owners: Owners,
    pub(crate) virtual_memory: VirtualMemory,
    pub(crate) primary: Primary,
    pub(crate) default_pools: Pools,
    pub(crate) contexts: Table<handle::Context, Context>,
    pub(crate) streams: Table<handle::Stream, Stream>,
    pub(crate) events: Table<handle::Event, Event>,
    pub(crate) modules: Table<handle::Module, Module>,
    pub(crate) functions: Table<handle::Function, Function>,
    pub(crate) libraries: Table<handle::Library, Library>,
    pub(crate) kernels: Table<handle::Kernel, Kernel>,
    pub(crate) linkers: Table<handle::Link, Linker>,
    pub(crate) pools: Table<handle::Pool, Pool>,
}

static DRIVER: OnceLock<Result<Driver>> = OnceLock::new();
static FORKED: AtomicBool = AtomicBool::new(false);

/// Makes the driver, once; later calls give the first one's result.
pub(crate) fn initialise() -> Result {
    if FORKED.load(Ordering::Relaxed) {
        return Err(Status::ERROR_NOT_INITIALIZED);
    }
    match DRIVER.get_or_init(Driver::new) {
        Ok(_) => Ok(()),
        Err(status) => Err(*status),
    }
}

/// The driver, for every call but those that work before `cuInit`.
pub(crate) fn get() -> Result<&'static Driver> {
    match DRIVER.get() {
        Some(Ok(driver)) if !FORKED.load(Ordering::Relaxed) => Ok(driver),
        _ => Err(Status::ERROR_NOT_INITIALIZED),
    }
}

extern "C" fn in_child_of_fork() {
    FORKED.store(true, Ordering::Relaxed);
}

impl Driver {
    fn new() -> Result<Self> {
        let device = Device::from_environment()?;
        let memory = DeviceMemory::new(device.memory_size()).map_err(|error| {
            tracing::error!(%error, "the device's addresses could not be reserved");
            Status::ERROR_OUT_OF_MEMORY
        })?;
        // SAFETY: the handler only stores to an atomic, which is safe in the child of a fork.
        if unsafe { libc::pthread_atfork(None, None, Some(in_child_of_fork)) } != 0 {
            return Err(Status::ERROR_OUT_OF_MEMORY);
        }
        let contexts = Table::new();
        let primary = Primary::new(&contexts);
        let pools = Table::new();
        let default_pools = Pools::new(&pools);
        Ok(Self {
            device,
            executor: Executor::new(memory.clone(), Output::default()),
            memory,
            owners: Owners::default(),
            virtual_memory: VirtualMemory::default(),
            primary,
            default_pools,
            contexts,
            streams: Table::new(),
            events: Table::new(),
            modules: Table::new(),
            functions: Table::new(),
            libraries: Table::new(),
            kernels: Table::new(),
            linkers: Table::new(),
            pools,
        })
    }
}
