//! Vectors and matrices between host and device: plain copies, of one element or column after the other.

use std::ffi::c_void;

use rgpu_softgpu_math::copy::{Ends, Rows, copy};
use rgpu_softgpu_math::queue::{Context, Stream};

use crate::args::{Index, size};
use crate::names::named;
use crate::status::{Result, Status, require};

/// Where a copy goes, as a type, so that functions can be named for it.
trait Way {
    const ENDS: Ends;
}

struct ToDevice;
struct ToHost;

impl Way for ToDevice {
    const ENDS: Ends = Ends::HostToDevice;
}

impl Way for ToHost {
    const ENDS: Ends = Ends::DeviceToHost;
}

/// `count` rows of `width` bytes.
///
/// # Safety
/// The host's end is valid.
unsafe fn transfer<W: Way>(
    rows: Rows,
    from: *const c_void,
    to: *mut c_void,
    stream: Option<Stream>,
) -> Result {
    if rows.width == 0 || rows.count == 0 {
        return Ok(());
    }
    Context::current_or_primary()?;
    // SAFETY: the caller's promise.
    let copied = unsafe { copy(W::ENDS, rows, from, to, stream) };
    copied.map_err(|_| Status::MAPPING_ERROR)
}

/// # Safety
/// The host's end is valid.
unsafe fn vector<W: Way, I: Index>(
    [n, bytes, from_inc, to_inc]: [I; 4],
    from: *const c_void,
    to: *mut c_void,
    stream: Option<Stream>,
) -> Result {
    let [bytes, from_inc, to_inc] = [size(bytes)?, size(from_inc)?, size(to_inc)?];
    require(bytes > 0 && from_inc > 0 && to_inc > 0)?;
    let Ok(count) = size(n) else { return Ok(()) };
    let rows = match (from_inc, to_inc) {
        (1, 1) => Rows::one(count.saturating_mul(bytes)),
        _ => Rows {
            width: bytes,
            count,
            from: from_inc.saturating_mul(bytes),
            to: to_inc.saturating_mul(bytes),
        },
    };
    // SAFETY: the caller's promise.
    unsafe { transfer::<W>(rows, from, to, stream) }
}

/// # Safety
/// The host's end is valid.
unsafe fn matrix<W: Way, I: Index>(
    [rows, columns, bytes, from_ld, to_ld]: [I; 5],
    from: *const c_void,
    to: *mut c_void,
    stream: Option<Stream>,
) -> Result {
    let [rows, columns, bytes] = [size(rows)?, size(columns)?, size(bytes)?];
    let [from_ld, to_ld] = [size(from_ld)?, size(to_ld)?];
    require(bytes > 0 && from_ld >= rows.max(1) && to_ld >= rows.max(1))?;
    let rows = Rows {
        width: rows.saturating_mul(bytes),
        count: columns,
        from: from_ld.saturating_mul(bytes),
        to: to_ld.saturating_mul(bytes),
    };
    // SAFETY: the caller's promise.
    unsafe { transfer::<W>(rows, from, to, stream) }
}

named! {
    /// A vector; the call waits for the copy.
    unsafe fn vector_now<T: Way, I: Index>(
        n: I, bytes: I, from: *const c_void, from_inc: I, to: *mut c_void, to_inc: I,
    ) -> Result {
        // SAFETY: the contract of this function.
        unsafe { vector::<T, I>([n, bytes, from_inc, to_inc], from, to, None) }
    }
    cublasSetVector, cublasSetVector_64: ToDevice;
    cublasGetVector, cublasGetVector_64: ToHost;
}

named! {
    /// A vector, in a stream.
    unsafe fn vector_later<T: Way, I: Index>(
        n: I, bytes: I, from: *const c_void, from_inc: I, to: *mut c_void, to_inc: I, stream: *mut c_void,
    ) -> Result {
        // SAFETY: the contract of this function.
        unsafe { vector::<T, I>([n, bytes, from_inc, to_inc], from, to, Some(Stream(stream))) }
    }
    cublasSetVectorAsync, cublasSetVectorAsync_64: ToDevice;
    cublasGetVectorAsync, cublasGetVectorAsync_64: ToHost;
}

named! {
    /// A matrix; the call waits for the copy.
    unsafe fn matrix_now<T: Way, I: Index>(
        rows: I, columns: I, bytes: I, from: *const c_void, from_ld: I, to: *mut c_void, to_ld: I,
    ) -> Result {
        // SAFETY: the contract of this function.
        unsafe { matrix::<T, I>([rows, columns, bytes, from_ld, to_ld], from, to, None) }
    }
    cublasSetMatrix, cublasSetMatrix_64: ToDevice;
    cublasGetMatrix, cublasGetMatrix_64: ToHost;
}

named! {
    /// A matrix, in a stream.
    unsafe fn matrix_later<T: Way, I: Index>(
        rows: I, columns: I, bytes: I, from: *const c_void, from_ld: I, to: *mut c_void, to_ld: I,
        stream: *mut c_void,
    ) -> Result {
        // SAFETY: the contract of this function.
        unsafe { matrix::<T, I>([rows, columns, bytes, from_ld, to_ld], from, to, Some(Stream(stream))) }
    }
    cublasSetMatrixAsync, cublasSetMatrixAsync_64: ToDevice;
    cublasGetMatrixAsync, cublasGetMatrixAsync_64: ToHost;
}
