//! As much of the CUDA driver API as the measurements call, from whatever `libcuda.so.1` the process finds.

use std::ffi::{CStr, CString, c_void};
use std::ptr;

use anyhow::{Context as _, anyhow};
use libloading::os::unix::{Library, Symbol};

/// An empty kernel with eight parameters.
const EMPTY: &CStr = c"
.version 7.5
.target sm_75
.address_size 64
.visible .entry empty(.param .u64 a, .param .u64 b, .param .u64 c, .param .u64 d,
                      .param .u32 e, .param .u32 f, .param .f32 g, .param .f32 h)
{
    ret;
}
";

/// A loaded driver with a context current, and a kernel that does nothing.
#[derive(Debug)]
pub struct Cuda {
    library: Library,
    empty: Function,
}

/// A module that stays loaded.
#[derive(Debug, Clone, Copy)]
pub struct Module(*mut c_void);

/// A kernel of such a module.
#[derive(Debug, Clone, Copy)]
pub struct Function(*mut c_void);

type Status = u32;

type Launch = unsafe extern "C" fn(
    *mut c_void,
    u32,
    u32,
    u32,
    u32,
    u32,
    u32,
    u32,
    *mut c_void,
    *mut *mut c_void,
    *mut *mut c_void,
) -> Status;

/// # Safety
/// The function is one of a loaded module, and `params` points to what it takes.
unsafe fn issue(
    launch: Launch,
    function: Function,
    [gx, gy, gz]: [u32; 3],
    [bx, by, bz]: [u32; 3],
    params: &mut [*mut c_void],
) -> anyhow::Result<()> {
    let (stream, extra) = (ptr::null_mut(), ptr::null_mut());
    let params = params.as_mut_ptr();
    // SAFETY: the caller's promise.
    let status = unsafe { launch(function.0, gx, gy, gz, bx, by, bz, 0, stream, params, extra) };
    anyhow::ensure!(
        status == 0,
        "cuLaunchKernel failed with CUDA error {status}"
    );
    Ok(())
}

/// Calls a driver function by name with the argument types given.
macro_rules! call {
    ($library:expr, $name:literal ($($arg:expr => $type:ty),* $(,)?)) => {{
        type Entry = unsafe extern "C" fn($($type),*) -> Status;
        // SAFETY: the signature is that of the driver API's function of this name.
        let entry = unsafe { $library.get::<Entry>($name.as_bytes()) };
        let entry = entry.with_context(|| format!("no {}", $name))?;
        // SAFETY: the arguments are valid for the function; pointers are to live values.
        match unsafe { entry($($arg),*) } {
            0 => Ok(()),
            error => Err(anyhow!("{} failed with CUDA error {error}", $name)),
        }
    }};
}

impl Cuda {
    /// Initialises the driver, makes a context and loads the kernel.
    ///
    /// # Errors
    /// No driver, or no device behind it.
    pub fn open() -> anyhow::Result<Self> {
        // SAFETY: loading a CUDA driver has no preconditions.
        let library = unsafe { Library::new("libcuda.so.1") }.context("no libcuda.so.1")?;
        let (mut device, mut context) = (0, ptr::null_mut());
        call!(library, "cuInit"(0 => u32))?;
        call!(library, "cuDeviceGet"(&raw mut device => *mut i32, 0 => i32))?;
        call!(library, "cuDevicePrimaryCtxRetain"(&raw mut context => *mut *mut c_void, device => i32))?;
        call!(library, "cuCtxSetCurrent"(context => *mut c_void))?;
        let mut cuda = Self {
            library,
            empty: Function(ptr::null_mut()),
        };
        cuda.empty = cuda.function(cuda.load(EMPTY)?, "empty")?;
        Ok(cuda)
    }

    /// Loads a PTX text. The module stays loaded.
    ///
    /// # Errors
    /// The text is refused.
    pub fn load(&self, ptx: &CStr) -> anyhow::Result<Module> {
        let mut module = ptr::null_mut();
        call!(self.library, "cuModuleLoadData"(
            &raw mut module => *mut *mut c_void, ptx.as_ptr().cast() => *const c_void))?;
        Ok(Module(module))
    }

    /// The kernel `name` of a module.
    ///
    /// # Errors
    /// There is none.
    pub fn function(&self, module: Module, name: &str) -> anyhow::Result<Function> {
        let (mut function, name) = (ptr::null_mut(), CString::new(name)?);
        call!(self.library, "cuModuleGetFunction"(
            &raw mut function => *mut *mut c_void, module.0 => *mut c_void, name.as_ptr().cast() => *const c_void))?;
        Ok(Function(function))
    }

    /// Has a kernel ready to run.
    ///
    /// # Errors
    /// It cannot be compiled.
    pub fn compile(&self, function: Function) -> anyhow::Result<()> {
        call!(self.library, "cuFuncLoad"(function.0 => *mut c_void))
    }

    /// Issues `count` launches of the empty kernel. The function is looked up once, as a linked program does.
    ///
    /// # Errors
    /// A launch fails.
    pub fn launch(&self, count: usize) -> anyhow::Result<()> {
        let launch = self.launcher()?;
        let (mut wide, mut narrow) = ([1_u64; 4], [1_u32; 4]);
        let wide = wide
            .iter_mut()
            .map(|value| ptr::from_mut(value).cast::<c_void>());
        let narrow = narrow.iter_mut().map(|value| ptr::from_mut(value).cast());
        let mut params: Vec<*mut c_void> = wide.chain(narrow).collect();
        for _ in 0..count {
            // SAFETY: the kernel takes eight parameters of these sizes, and they are live.
            unsafe { issue(*launch, self.empty, [1; 3], [32, 1, 1], &mut params) }?;
        }
        Ok(())
    }

    /// Issues a launch.
    ///
    /// # Errors
    /// It fails.
    ///
    /// # Safety
    /// `params` points to as many live values as the kernel has parameters, each of its parameter's size.
    pub unsafe fn start(
        &self,
        function: Function,
        grid: [u32; 3],
        block: [u32; 3],
        params: &mut [*mut c_void],
    ) -> anyhow::Result<()> {
        // SAFETY: the caller's promise.
        unsafe { issue(*self.launcher()?, function, grid, block, params) }
    }

    fn launcher(&self) -> anyhow::Result<Symbol<Launch>> {
        // SAFETY: the signature is that of cuLaunchKernel.
        Ok(unsafe { self.library.get(b"cuLaunchKernel") }?)
    }

    /// Waits for all that was issued.
    ///
    /// # Errors
    /// The wait, or what it waited for, fails.
    pub fn synchronize(&self) -> anyhow::Result<()> {
        call!(self.library, "cuCtxSynchronize"())
    }

    /// Device memory of `bytes` bytes.
    ///
    /// # Errors
    /// Not so much is left.
    pub fn allocate(&self, bytes: usize) -> anyhow::Result<u64> {
        let mut address = 0;
        call!(self.library, "cuMemAlloc_v2"(&raw mut address => *mut u64, bytes => usize))?;
        Ok(address)
    }

    /// Gives device memory back.
    ///
    /// # Errors
    /// It was not allocated.
    pub fn free(&self, address: u64) -> anyhow::Result<()> {
        call!(self.library, "cuMemFree_v2"(address => u64))
    }

    /// Host to device.
    ///
    /// # Errors
    /// The copy fails.
    pub fn copy_in(&self, to: u64, from: &[u8]) -> anyhow::Result<()> {
        call!(self.library, "cuMemcpyHtoD_v2"(
            to => u64, from.as_ptr().cast() => *const c_void, from.len() => usize))
    }

    /// Device to host.
    ///
    /// # Errors
    /// The copy fails.
    pub fn copy_out(&self, to: &mut [u8], from: u64) -> anyhow::Result<()> {
        call!(self.library, "cuMemcpyDtoH_v2"(
            to.as_mut_ptr().cast() => *mut c_void, from => u64, to.len() => usize))
    }
}
