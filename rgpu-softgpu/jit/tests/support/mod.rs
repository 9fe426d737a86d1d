//! A device for tests: memory, and launches of compiled kernels.

use std::sync::{Arc, Mutex, OnceLock};

use rgpu_softgpu_exec::exec::{CancelToken, Device, Launch, LaunchError, Options, Pool, WORKSPACE};
use rgpu_softgpu_exec::memory::DeviceMemory;
use rgpu_softgpu_exec::output::{Channel, Output, Sink};
use rgpu_softgpu_jit::{ModuleMemory, Program};

/// Bytes of the test device.
const CAPACITY: u64 = 256 << 20;

/// How a kernel is launched.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shape {
    pub(crate) grid: [u32; 3],
    pub(crate) block: [u32; 3],
    pub(crate) shared: u32,
    pub(crate) cooperative: bool,
}

/// The one device of this process.
pub(crate) struct TestDevice {
    pool: Pool,
    printed: Arc<Mutex<Vec<u8>>>,
    /// Launches that print take turns.
    turn: Mutex<()>,
}

/// Keeps what kernels print.
struct Keep(Arc<Mutex<Vec<u8>>>);

impl Sink for Keep {
    fn write(&mut self, _channel: Channel, bytes: &[u8]) {
        self.0.lock().unwrap().extend_from_slice(bytes);
    }
}

impl TestDevice {
    /// The device.
    pub(crate) fn get() -> &'static Self {
        static DEVICE: OnceLock<TestDevice> = OnceLock::new();
        DEVICE.get_or_init(|| {
            let printed = Arc::new(Mutex::new(Vec::new()));
            let output = Output::new(Box::new(Keep(Arc::clone(&printed))));
            let device = Device::new(DeviceMemory::new(CAPACITY).unwrap(), output);
            let pool = Pool::new(device, Options::from_env()).unwrap();
            Self {
                pool,
                printed,
                turn: Mutex::new(()),
            }
        })
    }

    fn memory(&self) -> &DeviceMemory {
        self.pool.device().memory()
    }

    /// A buffer of these bytes.
    pub(crate) fn upload(&self, bytes: &[u8]) -> u64 {
        let address = self.memory().allocate(bytes.len().max(1) as u64).unwrap();
        // SAFETY: `bytes` is a valid slice.
        unsafe {
            self.memory()
                .copy_in(address, bytes.as_ptr(), bytes.len() as u64)
        }
        .unwrap();
        address
    }

    /// The bytes of a buffer.
    pub(crate) fn download(&self, address: u64, size: usize) -> Vec<u8> {
        let mut bytes = vec![0; size];
        // SAFETY: `bytes` is a valid slice.
        unsafe {
            self.memory()
                .copy_out(bytes.as_mut_ptr(), address, size as u64)
        }
        .unwrap();
        bytes
    }

    /// Frees a buffer.
    pub(crate) fn free(&self, address: u64) {
        self.memory().release(address).unwrap();
    }

    /// Runs a kernel; gives what it printed too.
    pub(crate) fn launch(
        &self,
        program: &Program,
        kernel: &str,
        shape: &Shape,
        params: &[u8],
        trusting: bool,
    ) -> (Result<(), LaunchError>, String) {
        let compiled = if trusting {
            program.compile_for(kernel, params)
        } else {
            program.compile_checked(kernel)
        };
        let compiled = compiled.unwrap();
        let _turn = self
            .turn
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let launch = Launch {
            kernel: (*compiled).clone(),
            grid: shape.grid,
            block: shape.block,
            dynamic_shared: shape.shared,
            params,
            cancel: CancelToken::new(),
        };
        let result = if shape.cooperative {
            let workspace = self.upload(&[0; WORKSPACE as usize]);
            let result = self.pool.launch_with(&launch, workspace, 0);
            self.free(workspace);
            result
        } else {
            self.pool.launch(&launch)
        };
        self.pool.device().output().flush();
        let printed = std::mem::take(&mut *self.printed.lock().unwrap());
        (result, String::from_utf8_lossy(&printed).into_owned())
    }
}

impl ModuleMemory for &TestDevice {
    fn alloc(&self, size: u64, _align: u64, _is_const: bool) -> Result<u64, String> {
        let address = self
            .memory()
            .allocate(size)
            .map_err(|error| error.to_string())?;
        let zeros = vec![0; usize::try_from(size).unwrap()];
        // SAFETY: `zeros` is a valid slice.
        unsafe { self.memory().copy_in(address, zeros.as_ptr(), size) }
            .map_err(|error| error.to_string())?;
        Ok(address)
    }

    fn write(&self, address: u64, bytes: &[u8]) -> Result<(), String> {
        // SAFETY: `bytes` is a valid slice.
        unsafe {
            self.memory()
                .copy_in(address, bytes.as_ptr(), bytes.len() as u64)
        }
        .map_err(|error| error.to_string())
    }
}
