//! A program that calls cuBLAS, cuBLASLt or cuDNN, which it opens by name.
//!
//! `library-probe MODE`; prints a line for each thing it has done, and ends with the error's number, if any. The numbers
//! it computes with are small integers, so that results are exact whatever the order of the sums.
//!
//! | mode | does |
//! |---|---|
//! | `blas` | products with scalars in host and in device memory, a result in host memory, a batch by pointers |
//! | `blas-error` | a product that the library refuses, then calls that have answers |
//! | `lt` | a product with bias and ReLU, by the first algorithm of the heuristics |
//! | `dnn` | a convolution by the function of that name |
//! | `dnn-graph` | the same as an operation graph |
//! | `dnn-fused` | the same with a sum, a bias and ReLU behind it |

mod calls;
#[path = "library_probe/dnn.rs"]
mod dnn;
#[path = "library_probe/lt.rs"]
mod lt;

use std::ffi::c_void;
use std::process::ExitCode;

use calls::{Failed, Library, cu, null};

fn main() -> ExitCode {
    let mode = std::env::args().nth(1).unwrap_or_default();
    calls::ended(run(&mode))
}

fn run(mode: &str) -> Result<(), Failed> {
    let device = Device::open()?;
    match mode {
        "blas" => blas(&device),
        "blas-error" => blas_error(&device),
        "lt" => lt::product(&device),
        "dnn" => dnn::convolution(&device),
        "dnn-graph" => dnn::graph(&device),
        "dnn-fused" => dnn::fused(&device),
        other => panic!("no mode `{other}`"),
    }
}

/// A context and a stream.
struct Device {
    cuda: Library,
    stream: *mut c_void,
}

impl Device {
    fn open() -> Result<Self, Failed> {
        let cuda = Library::open("libcuda.so.1");
        let (mut context, mut stream) = (null(), null());
        cu!(cuda, "cuInit", 0 => u32)?;
        cu!(cuda, "cuDevicePrimaryCtxRetain", &raw mut context => *mut *mut c_void, 0 => i32)?;
        cu!(cuda, "cuCtxSetCurrent", context => *mut c_void)?;
        cu!(cuda, "cuStreamCreate", &raw mut stream => *mut *mut c_void, 0 => u32)?;
        Ok(Self { cuda, stream })
    }

    /// Device memory that holds the values.
    fn array<T: Copy>(&self, values: &[T]) -> Result<u64, Failed> {
        let (mut address, bytes) = (0_u64, size_of_val(values));
        cu!(self.cuda, "cuMemAlloc_v2", &raw mut address => *mut u64, bytes => usize)?;
        cu!(self.cuda, "cuMemcpyHtoD_v2", address => u64, values.as_ptr().cast() => *const c_void, bytes => usize)?;
        Ok(address)
    }

    /// What device memory holds, after the work in the stream.
    fn get(&self, address: u64, len: usize) -> Result<Vec<f32>, Failed> {
        let mut values = vec![0_f32; len];
        cu!(self.cuda, "cuStreamSynchronize", self.stream => *mut c_void)?;
        cu!(self.cuda, "cuMemcpyDtoH_v2", values.as_mut_ptr().cast() => *mut c_void, address => u64, len * 4 => usize)?;
        Ok(values)
    }
}

/// Prints whether the values are as they must be.
fn judge(what: &str, got: &[f32], want: &[f32]) -> Result<(), Failed> {
    if got == want {
        println!("{what} right");
        return Ok(());
    }
    println!("{what} wrong: {got:?}, not {want:?}");
    Err(Failed(255))
}

/// Small integers of both signs.
fn numbers(len: usize, seed: usize) -> Vec<f32> {
    (0..len)
        .map(|i| ((i * 7 + seed * 5) % 11) as f32 - 5.0)
        .collect()
}

const M: usize = 5;
const N: usize = 4;
const K: usize = 6;

/// `alpha * a * b + beta * c`, columns one after the other.
fn product(alpha: f32, a: &[f32], b: &[f32], beta: f32, c: &[f32]) -> Vec<f32> {
    let element = |at: usize| {
        let (i, j) = (at % M, at / M);
        let sum: f32 = (0..K).map(|k| a[i + k * M] * b[k + j * K]).sum();
        alpha * sum + beta * c[at]
    };
    (0..M * N).map(element).collect()
}

struct Blas {
    library: Library,
    handle: *mut c_void,
}

impl Blas {
    fn open(device: &Device) -> Result<Self, Failed> {
        let library = Library::open("libcublas.so.12");
        let mut handle = null();
        cu!(library, "cublasCreate_v2", &raw mut handle => *mut *mut c_void)?;
        cu!(library, "cublasSetStream_v2", handle => *mut c_void, device.stream => *mut c_void)?;
        Ok(Self { library, handle })
    }

    /// `c = alpha * a * b + beta * c`; `lda` is as long as a column of `a`, or wrong.
    fn sgemm(&self, lda: i32, alpha: u64, a: u64, b: u64, beta: u64, c: u64) -> Result<(), Failed> {
        cu!(self.library, "cublasSgemm_v2", self.handle => *mut c_void, 0 => u32, 0 => u32,
            M as i32 => i32, N as i32 => i32, K as i32 => i32, alpha => u64, a => u64, lda => i32,
            b => u64, K as i32 => i32, beta => u64, c => u64, M as i32 => i32)
    }

    fn pointer_mode(&self, on_device: bool) -> Result<(), Failed> {
        cu!(self.library, "cublasSetPointerMode_v2", self.handle => *mut c_void, u32::from(on_device) => u32)
    }

    fn version(&self) -> Result<(), Failed> {
        let mut version = 0;
        cu!(self.library, "cublasGetVersion_v2", self.handle => *mut c_void, &raw mut version => *mut i32)?;
        println!("version {}", version / 10000);
        Ok(())
    }

    fn close(self) -> Result<(), Failed> {
        cu!(self.library, "cublasDestroy_v2", self.handle => *mut c_void)
    }
}

fn blas(device: &Device) -> Result<(), Failed> {
    let blas = Blas::open(device)?;
    let mut stream = null();
    cu!(blas.library, "cublasGetStream_v2", blas.handle => *mut c_void, &raw mut stream => *mut *mut c_void)?;
    println!("stream {}", stream == device.stream);

    let (a, b, c) = (numbers(M * K, 1), numbers(K * N, 2), numbers(M * N, 3));
    let (da, db, dc) = (device.array(&a)?, device.array(&b)?, device.array(&c)?);
    let host = |value: &f32| std::ptr::from_ref(value) as u64;
    // The scalars are read by the call: they may change after it.
    let (mut alpha, mut beta) = (2.0_f32, -1.0_f32);
    blas.sgemm(M as i32, host(&alpha), da, db, host(&beta), dc)?;
    (alpha, beta) = (0.0, 0.0);
    let want = product(2.0, &a, &b, -1.0, &c);
    judge("host scalars", &device.get(dc, M * N)?, &want)?;

    let (on_alpha, on_beta) = (device.array(&[alpha + 3.0])?, device.array(&[beta + 1.0])?);
    blas.pointer_mode(true)?;
    blas.sgemm(M as i32, on_alpha, da, db, on_beta, dc)?;
    let want = product(3.0, &a, &b, 1.0, &want);
    judge("device scalars", &device.get(dc, M * N)?, &want)?;
    let mut mode = 0;
    cu!(blas.library, "cublasGetPointerMode_v2", blas.handle => *mut c_void, &raw mut mode => *mut u32)?;
    println!("pointer mode {mode}");

    blas.pointer_mode(false)?;
    let mut dot = 0_f32;
    cu!(blas.library, "cublasSdot_v2", blas.handle => *mut c_void, K as i32 => i32, da => u64, 1 => i32,
        db => u64, 2 => i32, &raw mut dot => *mut f32)?;
    let want: f32 = (0..K).map(|i| a[i] * b[2 * i]).sum();
    judge("host result", &[dot], &[want])?;

    // Two products whose matrices are named by pointers in device memory.
    let second = device.array(&numbers(M * N, 4))?;
    let pointers = [[da, da], [db, db], [dc, second]];
    let [pa, pb, pc] = pointers.map(|pair| device.array(&pair));
    let (one, zero) = (1.0_f32, 0.0_f32);
    cu!(blas.library, "cublasSgemmBatched", blas.handle => *mut c_void, 0 => u32, 0 => u32,
        M as i32 => i32, N as i32 => i32, K as i32 => i32, host(&one) => u64, pa? => u64, M as i32 => i32,
        pb? => u64, K as i32 => i32, host(&zero) => u64, pc? => u64, M as i32 => i32, 2 => i32)?;
    let want = product(1.0, &a, &b, 0.0, &c);
    judge("batch, first", &device.get(dc, M * N)?, &want)?;
    judge("batch, second", &device.get(second, M * N)?, &want)?;
    blas.close()
}

/// Errors show as the manual's codes: at the call, or where it was not waited for, at the next answer.
fn blas_error(device: &Device) -> Result<(), Failed> {
    let blas = Blas::open(device)?;
    let (a, b, c) = (numbers(M * K, 1), numbers(K * N, 2), numbers(M * N, 3));
    let (da, db, dc) = (device.array(&a)?, device.array(&b)?, device.array(&c)?);
    let (one, zero) = (1.0_f32, 0.0_f32);
    let host = |value: &f32| std::ptr::from_ref(value) as u64;
    // The leading dimension is shorter than a column.
    let refused = blas.sgemm(M as i32 - 1, host(&one), da, db, host(&zero), dc);
    let told = refused.and_then(|()| blas.version());
    println!("refused {}", told.is_err_and(|Failed(code)| code == 7));
    judge("unchanged", &device.get(dc, M * N)?, &c)?;
    // It was told once.
    blas.version()?;
    blas.sgemm(M as i32, host(&one), da, db, host(&zero), dc)?;
    judge(
        "next",
        &device.get(dc, M * N)?,
        &product(1.0, &a, &b, 0.0, &c),
    )?;
    cu!(blas.library, "cublasDestroy_v2", blas.handle => *mut c_void)?;
    // CUBLAS_STATUS_NOT_INITIALIZED, at once.
    blas.pointer_mode(true)
}
