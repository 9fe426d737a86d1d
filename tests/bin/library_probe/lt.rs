//! cuBLASLt.

use std::ffi::c_void;

use super::{Device, K, M, N, judge, numbers, product as plain};
use crate::calls::{Failed, Library, cu, null};

/// `CUBLASLT_MATMUL_DESC_EPILOGUE`, `CUBLASLT_MATMUL_DESC_BIAS_POINTER`.
const EPILOGUE: u32 = 7;
const BIAS: u32 = 8;
/// `CUBLASLT_EPILOGUE_RELU_BIAS`.
const RELU_BIAS: u32 = 6;
/// `CUDA_R_32F`, `CUBLAS_COMPUTE_32F`.
const R_32F: u32 = 0;
const COMPUTE_32F: u32 = 68;

/// `cublasLtMatmulHeuristicResult_t`: an algorithm, its workspace, its state, waves, reserved words.
#[repr(C)]
#[derive(Clone, Copy)]
struct Found {
    algorithm: [u64; 8],
    workspace: usize,
    state: u32,
    waves: f32,
    reserved: [i32; 4],
}

/// A product, a number added to each of its rows, and what is below 0 cut off.
pub(crate) fn product(device: &Device) -> Result<(), Failed> {
    let lt = Library::open("libcublasLt.so.12");
    let (mut handle, mut desc, mut preference) = (null(), null(), null());
    cu!(lt, "cublasLtCreate", &raw mut handle => *mut *mut c_void)?;
    let (a, b, bias) = (numbers(M * K, 1), numbers(K * N, 2), numbers(M, 3));
    let (da, db, dc) = (
        device.array(&a)?,
        device.array(&b)?,
        device.array(&[0_f32; M * N])?,
    );
    let on_bias = device.array(&bias)?;

    cu!(lt, "cublasLtMatmulDescCreate", &raw mut desc => *mut *mut c_void, COMPUTE_32F => u32, R_32F => u32)?;
    cu!(lt, "cublasLtMatmulDescSetAttribute", desc => *mut c_void, EPILOGUE => u32,
        std::ptr::from_ref(&RELU_BIAS).cast() => *const c_void, 4 => usize)?;
    cu!(lt, "cublasLtMatmulDescSetAttribute", desc => *mut c_void, BIAS => u32,
        std::ptr::from_ref(&on_bias).cast() => *const c_void, 8 => usize)?;
    let layout = |rows: usize, columns: usize| {
        let mut layout = null();
        cu!(lt, "cublasLtMatrixLayoutCreate", &raw mut layout => *mut *mut c_void, R_32F => u32,
            rows as u64 => u64, columns as u64 => u64, rows as i64 => i64)?;
        Ok::<_, Failed>(layout)
    };
    let (la, lb, lc) = (layout(M, K)?, layout(K, N)?, layout(M, N)?);

    cu!(lt, "cublasLtMatmulPreferenceCreate", &raw mut preference => *mut *mut c_void)?;
    let mut found = [Found {
        algorithm: [0; 8],
        workspace: 0,
        state: 1,
        waves: 0.0,
        reserved: [0; 4],
    }; 2];
    let mut count = 0;
    cu!(lt, "cublasLtMatmulAlgoGetHeuristic", handle => *mut c_void, desc => *mut c_void, la => *mut c_void,
        lb => *mut c_void, lc => *mut c_void, lc => *mut c_void, preference => *mut c_void, 2 => i32,
        found.as_mut_ptr().cast() => *mut c_void, &raw mut count => *mut i32)?;
    println!("found {} state {}", count >= 1, found[0].state);

    let (two, zero) = (2.0_f32, 0.0_f32);
    cu!(lt, "cublasLtMatmul", handle => *mut c_void, desc => *mut c_void, &raw const two => *const f32, da => u64,
        la => *mut c_void, db => u64, lb => *mut c_void, &raw const zero => *const f32, dc => u64, lc => *mut c_void,
        dc => u64, lc => *mut c_void, found[0].algorithm.as_ptr() => *const u64, 0 => u64, 0 => usize,
        device.stream => *mut c_void)?;
    let sums = plain(2.0, &a, &b, 0.0, &[0.0; M * N]);
    let cut = |(at, sum): (usize, &f32)| (sum + bias[at % M]).max(0.0);
    let want: Vec<f32> = sums.iter().enumerate().map(cut).collect();
    judge("product", &device.get(dc, M * N)?, &want)?;

    for layout in [la, lb, lc] {
        cu!(lt, "cublasLtMatrixLayoutDestroy", layout => *mut c_void)?;
    }
    cu!(lt, "cublasLtMatmulPreferenceDestroy", preference => *mut c_void)?;
    cu!(lt, "cublasLtMatmulDescDestroy", desc => *mut c_void)?;
    cu!(lt, "cublasLtDestroy", handle => *mut c_void)
}
