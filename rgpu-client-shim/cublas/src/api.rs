//! One function per `local` row.

#![expect(non_snake_case, reason = "functions carry the names of the C API")]
#![expect(clippy::too_many_arguments, reason = "so the C API has it")]

use std::ffi::{CStr, c_char, c_void};
use std::sync::OnceLock;

use cudarc::driver::sys::{CUDA_MEMCPY2D, CUmemorytype};
use rgpu_client_libs::session;
use rgpu_proto::handle::{Blas, Id, Named, Stream};
use rgpu_proto::kinds::{ATOMICS_MODE, MATH_MODE, POINTER_MODE, STREAM};
use rgpu_proto::library::{Client, Fault, derived};

type Result<T = ()> = std::result::Result<T, Fault>;

/// Text of the application.
///
/// # Safety
/// `text` is null or ends with a zero.
pub(crate) unsafe fn lossy(text: *const c_void) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: the caller's promise.
    unsafe { CStr::from_ptr(text.cast()) }
        .to_string_lossy()
        .into_owned()
}

/// What the handle was last given.
fn setting(handle: *mut c_void, number: u8) -> Result<u32> {
    let session = session::get()?;
    let id = Id::<Blas>::from_c(handle).ok_or(Fault::Handle)?;
    (&session).check(Blas::KIND, id.0)?;
    Ok((&session).setting(Blas::KIND, id.0, number))
}

unsafe fn put<T>(place: *mut T, value: T) -> Result {
    if place.is_null() {
        return Err(Fault::Value);
    }
    // SAFETY: the application passed a place for a T, which is not null.
    unsafe { place.write_unaligned(value) };
    Ok(())
}

pub(crate) unsafe fn cublasGetStream_v2(handle: *mut c_void, stream: *mut *mut c_void) -> Result {
    let id = Id::<Stream>::new(setting(handle, STREAM)?);
    // SAFETY: as the C function of this name requires.
    unsafe { put(stream, id.to_c()) }
}

pub(crate) unsafe fn cublasGetPointerMode_v2(handle: *mut c_void, mode: *mut u32) -> Result {
    // SAFETY: as the C function of this name requires.
    unsafe { put(mode, setting(handle, POINTER_MODE)?) }
}

pub(crate) unsafe fn cublasGetMathMode(handle: *mut c_void, mode: *mut u32) -> Result {
    // SAFETY: as the C function of this name requires.
    unsafe { put(mode, setting(handle, MATH_MODE)?) }
}

pub(crate) unsafe fn cublasGetAtomicsMode(handle: *mut c_void, mode: *mut u32) -> Result {
    // SAFETY: as the C function of this name requires.
    unsafe { put(mode, setting(handle, ATOMICS_MODE)?) }
}

/// The version of the server's library, asked for once. Programs pass a null handle, which NVIDIA's takes too.
pub(crate) unsafe fn cublasGetVersion_v2(_: *mut c_void, version: *mut i32) -> Result {
    static VERSION: OnceLock<i32> = OnceLock::new();
    let number = match VERSION.get() {
        Some(number) => *number,
        None => {
            let asked = ask_version()?;
            *VERSION.get_or_init(|| asked)
        }
    };
    // SAFETY: as the C function of this name requires.
    unsafe { put(version, number) }
}

fn ask_version() -> Result<i32> {
    let mut number = 0;
    // MAJOR_VERSION, MINOR_VERSION and PATCH_LEVEL are the properties 0, 1 and 2 (library_types.h).
    for (property, factor) in [(0, 10_000), (1, 100), (2, 1)] {
        let mut value = 0;
        // SAFETY: `value` is live.
        unsafe { derived::client::cublasGetProperty(&session::get()?, property, &raw mut value)? };
        number += value * factor;
    }
    Ok(number)
}

// The log is that of the server's library; here there is none to configure.

pub(crate) unsafe fn cublasLoggerConfigure(
    _on: i32,
    _to_stdout: i32,
    _to_stderr: i32,
    _file: *const c_char,
) -> Result {
    Ok(())
}

pub(crate) unsafe fn cublasSetLoggerCallback(_callback: Option<unsafe extern "C" fn()>) -> Result {
    Ok(())
}

pub(crate) unsafe fn cublasGetLoggerCallback(callback: *mut c_void) -> Result {
    // SAFETY: as the C function of this name requires.
    unsafe { put(callback.cast::<*mut c_void>(), std::ptr::null_mut()) }
}

/// A rectangle of memory: `height` rows of `width` bytes, each `pitch` bytes after the one before.
#[derive(Debug, Clone, Copy)]
struct Plane {
    address: *mut c_void,
    pitch: usize,
}

/// Which way a copy goes.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Way {
    ToDevice,
    ToHost,
}

/// Copies between host and device. With a stream the call returns when the host memory may be used again as
/// `cuMemcpy2DAsync` says.
fn copy(
    way: Way,
    from: Plane,
    to: Plane,
    width: usize,
    height: usize,
    stream: Option<*mut c_void>,
) -> Result {
    if width == 0 || height == 0 {
        return Ok(());
    }
    if from.address.is_null() || to.address.is_null() {
        return Err(Fault::Value);
    }
    let (host, device) = (
        CUmemorytype::CU_MEMORYTYPE_HOST,
        CUmemorytype::CU_MEMORYTYPE_DEVICE,
    );
    let (source, target) = match way {
        Way::ToDevice => (host, device),
        Way::ToHost => (device, host),
    };
    // Of each side, what its kind of memory does not need is not looked at.
    let copy = CUDA_MEMCPY2D {
        srcXInBytes: 0,
        srcY: 0,
        srcMemoryType: source,
        srcHost: from.address,
        srcDevice: from.address as u64,
        srcArray: std::ptr::null_mut(),
        srcPitch: from.pitch,
        dstXInBytes: 0,
        dstY: 0,
        dstMemoryType: target,
        dstHost: to.address,
        dstDevice: to.address as u64,
        dstArray: std::ptr::null_mut(),
        dstPitch: to.pitch,
        WidthInBytes: width,
        Height: height,
    };
    // SAFETY: a live structure; the application vouches for the memory.
    unsafe { session::get()?.copy_2d((&raw const copy).cast(), stream) }
}

fn size(value: i64) -> Result<usize> {
    usize::try_from(value).map_err(|_| Fault::Value)
}

/// Columns of a matrix in column-major order (cuBLAS, "cublasSetMatrix").
fn matrix(
    way: Way,
    [rows, columns, item]: [i64; 3],
    (a, lda): (*const c_void, i64),
    (b, ldb): (*mut c_void, i64),
    stream: Option<*mut c_void>,
) -> Result {
    if rows < 0 || columns < 0 || item <= 0 || lda < rows.max(1) || ldb < rows.max(1) {
        return Err(Fault::Value);
    }
    let item = size(item)?;
    let plane = |address, ld| -> Result<Plane> {
        let pitch = size(ld)?.checked_mul(item).ok_or(Fault::Value)?;
        Ok(Plane { address, pitch })
    };
    let width = size(rows)?.checked_mul(item).ok_or(Fault::Value)?;
    copy(
        way,
        plane(a.cast_mut(), lda)?,
        plane(b, ldb)?,
        width,
        size(columns)?,
        stream,
    )
}

/// Items of a vector (cuBLAS, "cublasSetVector").
fn vector(
    way: Way,
    [count, item]: [i64; 2],
    (x, incx): (*const c_void, i64),
    (y, incy): (*mut c_void, i64),
    stream: Option<*mut c_void>,
) -> Result {
    if count < 0 || item <= 0 || incx <= 0 || incy <= 0 {
        return Err(Fault::Value);
    }
    if incx == 1 && incy == 1 {
        return matrix(
            way,
            [count, 1, item],
            (x, count.max(1)),
            (y, count.max(1)),
            stream,
        );
    }
    matrix(way, [1, count, item], (x, incx), (y, incy), stream)
}

macro_rules! matrices {
    ($($name:ident $async:ident $int:ty, $way:expr;)*) => {$(
        pub(crate) unsafe fn $name(
            rows: $int,
            columns: $int,
            item: $int,
            a: *const c_void,
            lda: $int,
            b: *mut c_void,
            ldb: $int,
        ) -> Result {
            let sizes = [rows.into(), columns.into(), item.into()];
            matrix($way, sizes, (a, lda.into()), (b, ldb.into()), None)
        }

        pub(crate) unsafe fn $async(
            rows: $int,
            columns: $int,
            item: $int,
            a: *const c_void,
            lda: $int,
            b: *mut c_void,
            ldb: $int,
            stream: *mut c_void,
        ) -> Result {
            let sizes = [rows.into(), columns.into(), item.into()];
            matrix($way, sizes, (a, lda.into()), (b, ldb.into()), Some(stream))
        }
    )*};
}

macro_rules! vectors {
    ($($name:ident $async:ident $int:ty, $way:expr;)*) => {$(
        pub(crate) unsafe fn $name(
            count: $int,
            item: $int,
            x: *const c_void,
            incx: $int,
            y: *mut c_void,
            incy: $int,
        ) -> Result {
            let sizes = [count.into(), item.into()];
            vector($way, sizes, (x, incx.into()), (y, incy.into()), None)
        }

        pub(crate) unsafe fn $async(
            count: $int,
            item: $int,
            x: *const c_void,
            incx: $int,
            y: *mut c_void,
            incy: $int,
            stream: *mut c_void,
        ) -> Result {
            let sizes = [count.into(), item.into()];
            vector($way, sizes, (x, incx.into()), (y, incy.into()), Some(stream))
        }
    )*};
}

matrices! {
    cublasSetMatrix cublasSetMatrixAsync i32, Way::ToDevice;
    cublasGetMatrix cublasGetMatrixAsync i32, Way::ToHost;
    cublasSetMatrix_64 cublasSetMatrixAsync_64 i64, Way::ToDevice;
    cublasGetMatrix_64 cublasGetMatrixAsync_64 i64, Way::ToHost;
}

vectors! {
    cublasSetVector cublasSetVectorAsync i32, Way::ToDevice;
    cublasGetVector cublasGetVectorAsync i32, Way::ToHost;
    cublasSetVector_64 cublasSetVectorAsync_64 i64, Way::ToDevice;
    cublasGetVector_64 cublasGetVectorAsync_64 i64, Way::ToHost;
}
