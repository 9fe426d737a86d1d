//! The driver of this process: its devices, their memory, and every table of handles.
//!
//! States: not initialised, ready, and (in the child of a fork) gone for good. A child inherits handles and
//! memory but none of the threads that do the work, so as with NVIDIA's driver it may not go on.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use rgpu_proto::handle;
use rgpu_softgpu_exec::exec::{Device as Executor, Options, Pool as Engine};
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
use crate::work::spawn_quiet;

/// A device and everything there is one of on each.
#[derive(Debug)]
pub(crate) struct Gpu {
    pub(crate) device: Device,
    pub(crate) memory: DeviceMemory,
    /// The device as the executor sees it: memory, heap, output.
    pub(crate) executor: Arc<Executor>,
    pub(crate) primary: Primary,
    pub(crate) pools: Pools,
    engine: OnceLock<Result<Engine>>,
}

/// Everything there is one of.
#[derive(Debug)]
pub(crate) struct Driver {
    /// The devices by ordinal.
    pub(crate) gpus: Vec<Gpu>,
    /// The memory of all devices, to look up and to reach; who allocates asks the device.
    pub(crate) memory: DeviceMemory,
    pub(crate) owners: Owners,
    pub(crate) virtual_memory: VirtualMemory,
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

/// The device of an ordinal.
pub(crate) fn gpu(ordinal: i32) -> Result<&'static Gpu> {
    get()?.gpu(ordinal)
}

impl Driver {
    fn new() -> Result<Self> {
        let devices = Device::from_environment()?;
        if devices.is_empty() {
            return Err(Status::ERROR_NO_DEVICE);
        }
        let sizes: Vec<u64> = devices.iter().map(Device::memory_size).collect();
        let memories = DeviceMemory::of_devices(&sizes).map_err(|error| {
            tracing::error!(%error, "the devices' addresses could not be reserved");
            Status::ERROR_OUT_OF_MEMORY
        })?;
        // SAFETY: the handler only stores to an atomic, which is safe in the child of a fork.
        if unsafe { libc::pthread_atfork(None, None, Some(in_child_of_fork)) } != 0 {
            return Err(Status::ERROR_OUT_OF_MEMORY);
        }
        let contexts = Table::new();
        let pools = Table::new();
        let memory = memories[0].clone();
        let gpu = |(device, memory): (Device, DeviceMemory)| Gpu {
            device,
            executor: Executor::new(memory.clone(), Output::default()),
            primary: Primary::new(&contexts, memory.device()),
            pools: Pools::new(&pools, memory.device()),
            engine: OnceLock::new(),
            memory,
        };
        Ok(Self {
            gpus: devices.into_iter().zip(memories).map(gpu).collect(),
            memory,
            owners: Owners::default(),
            virtual_memory: VirtualMemory::default(),
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

    /// The device of an ordinal.
    pub(crate) fn gpu(&self, ordinal: i32) -> Result<&Gpu> {
        let found = usize::try_from(ordinal)
            .ok()
            .and_then(|at| self.gpus.get(at));
        found.ok_or(Status::ERROR_INVALID_DEVICE)
    }
}

impl Gpu {
    /// Its ordinal.
    pub(crate) fn ordinal(&self) -> i32 {
        self.memory.device() as i32
    }

    /// What runs its kernels: the threads start with the first launch.
    pub(crate) fn engine(&self) -> Result<&Engine> {
        let start = || {
            let device = self.executor.clone();
            // From a thread that takes no signals, because its threads inherit that.
            let started = spawn_quiet("rgpu-start", move || {
                Engine::new(device, Options::from_env())
            });
            let engine = started.and_then(|thread| {
                let failed = |_| Err(std::io::Error::other("the starting thread panicked"));
                thread.join().unwrap_or_else(failed)
            });
            engine.map_err(|error| {
                tracing::error!(%error, "no threads to run kernels on");
                Status::ERROR_OPERATING_SYSTEM
            })
        };
        let engine = self.engine.get_or_init(start);
        engine.as_ref().map_err(|status| *status)
    }
}
