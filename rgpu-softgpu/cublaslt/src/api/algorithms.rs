//! Algorithms: there is one, which does all that is done here.

use std::ffi::c_void;

use rgpu_softgpu_math::blas::status::{Result, Status, require};

use super::helper::check;
use super::put;
use crate::fields::{algorithm, matrix, preference, product};
use crate::plan::Plan;

/// Its id.
const ID: i32 = 0;

/// `cublasLtMatmulHeuristicResult_t`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
struct Heuristic {
    algorithm: [u64; 8],
    workspace: usize,
    state: u32,
    waves: f32,
    reserved: [i32; 4],
}

/// The algorithm as a program keeps it.
fn algorithm() -> Result<[u64; 8]> {
    let mut room = [0u64; 8];
    // SAFETY: the pointer is to a local of that size.
    unsafe { algorithm::LAYOUT.write(room.as_mut_ptr().cast(), size_of_val(&room))? };
    Ok(room)
}

fn heuristic() -> Result<Heuristic> {
    Ok(Heuristic {
        algorithm: algorithm()?,
        workspace: 0,
        state: 0,
        waves: 1.0,
        reserved: [0; 4],
    })
}

/// # Safety
/// The pointers are null or descriptors.
pub(super) unsafe fn plan(descriptor: *mut c_void, layouts: [*mut c_void; 4]) -> Result<Plan> {
    // SAFETY: the caller's promise.
    unsafe {
        let descriptor = product::LAYOUT.open(descriptor)?;
        let [a, b, c, d] = layouts.map(|layout| matrix::LAYOUT.open(layout));
        Plan::new(descriptor, [a?, b?, c?, d?])
    }
}

pub(crate) unsafe fn cublasLtMatmulAlgoGetHeuristic(
    handle: *mut c_void,
    descriptor: *mut c_void,
    a: *mut c_void,
    b: *mut c_void,
    c: *mut c_void,
    d: *mut c_void,
    wishes: *mut c_void,
    requested: i32,
    results: *mut c_void,
    count: *mut i32,
) -> Result {
    check(handle)?;
    require(requested > 0 && !results.is_null() && !count.is_null())?;
    // SAFETY: the contract of this function: room for as many results as requested.
    unsafe {
        count.write(0);
        preference::LAYOUT.open(wishes)?;
        plan(descriptor, [a, b, c, d])?;
        results.cast::<Heuristic>().write(heuristic()?);
        count.write(1);
    }
    Ok(())
}

pub(crate) unsafe fn cublasLtMatmulAlgoGetIds(
    handle: *mut c_void,
    _: u32,
    _: u32,
    _: u32,
    _: u32,
    _: u32,
    _: u32,
    requested: i32,
    ids: *mut i32,
    count: *mut i32,
) -> Result {
    check(handle)?;
    require(requested > 0 && !ids.is_null() && !count.is_null())?;
    // SAFETY: the contract of this function: room for as many ids as requested.
    unsafe {
        ids.write(ID);
        count.write(1);
    }
    Ok(())
}

pub(crate) unsafe fn cublasLtMatmulAlgoInit(
    handle: *mut c_void,
    _: u32,
    _: u32,
    _: u32,
    _: u32,
    _: u32,
    _: u32,
    id: i32,
    algorithm_out: *mut c_void,
) -> Result {
    check(handle)?;
    require(id == ID)?;
    // SAFETY: the contract of this function.
    unsafe { put(algorithm_out.cast(), algorithm()?) }
}

pub(crate) unsafe fn cublasLtMatmulAlgoCheck(
    handle: *mut c_void,
    descriptor: *mut c_void,
    a: *mut c_void,
    b: *mut c_void,
    c: *mut c_void,
    d: *mut c_void,
    algorithm: *const c_void,
    result: *mut c_void,
) -> Result {
    check(handle)?;
    // SAFETY: the contract of this function.
    unsafe {
        algorithm::LAYOUT.open(algorithm)?;
        plan(descriptor, [a, b, c, d])?;
        put(result.cast(), heuristic()?)
    }
}

pub(crate) unsafe fn cublasLtMatmulAlgoConfigGetAttribute(
    algorithm: *const c_void,
    attribute: u32,
    to: *mut c_void,
    size: usize,
    written: *mut usize,
) -> Result {
    // SAFETY: the contract of this function.
    unsafe {
        algorithm::LAYOUT
            .open(algorithm)?
            .read(attribute, to, size, written)
    }
}

/// The id cannot be changed.
pub(crate) unsafe fn cublasLtMatmulAlgoConfigSetAttribute(
    algorithm: *mut c_void,
    attribute: u32,
    from: *const c_void,
    size: usize,
) -> Result {
    require(attribute != algorithm::ID)?;
    // SAFETY: the contract of this function.
    unsafe {
        algorithm::LAYOUT
            .open(algorithm)?
            .set(attribute, from, size)
    }
}

/// What the algorithm can do, by `cublasLtMatmulAlgoCapAttributes_t`: numbers of 32 bits, but for the last.
fn capability(attribute: u32) -> Result<(u64, usize)> {
    let value: u64 = match attribute {
        // No parts of sums, no reduction of them, no order of blocks.
        0..=2 => 0,
        // Batches; D that is not C.
        3 | 4 => 1,
        // Only one triangle.
        5 => 0,
        // The largest custom option, math mode, Gaussian complex products.
        7..=9 => 0,
        // Other orders than by columns.
        10 => 1,
        // Pointer modes: all.
        11 => 31,
        // Epilogues: all.
        12 => 0x3ff,
        // Negative leading dimensions.
        14 => 0,
        // What is computed with: fused multiply-add, in singles or doubles.
        15 => return Ok((0x01 | 0x0700, 8)),
        16..=19 => 1,
        _ => return Err(Status::INVALID_VALUE),
    };
    Ok((value, 4))
}

pub(crate) unsafe fn cublasLtMatmulAlgoCapGetAttribute(
    algorithm: *const c_void,
    attribute: u32,
    to: *mut c_void,
    size: usize,
    written: *mut usize,
) -> Result {
    // SAFETY: the contract of this function.
    unsafe { algorithm::LAYOUT.open(algorithm)? };
    // Lists of tiles and stages: one, which is not defined.
    let (value, bytes) = match attribute {
        6 | 13 => (0, 4),
        _ => capability(attribute)?,
    };
    require(if size == 0 {
        !written.is_null()
    } else {
        !to.is_null() && size >= bytes
    })?;
    // SAFETY: the contract of this function.
    unsafe {
        if size != 0 {
            std::ptr::copy_nonoverlapping((&raw const value).cast::<u8>(), to.cast(), bytes);
        }
        if !written.is_null() {
            written.write(bytes);
        }
    }
    Ok(())
}
