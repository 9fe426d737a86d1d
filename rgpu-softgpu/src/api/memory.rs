//! Memory: allocation, copies, sets, pointers.

use std::ffi::c_void;

use cudarc::driver::sys::{CUDA_MEMCPY2D, CUDA_MEMCPY3D, CUDA_MEMCPY3D_PEER};

use super::{put, put_if_wanted, read};
use crate::memory::copy::{Wait, copy};
use crate::memory::pointer::{self, Value};
use crate::memory::rect::{self, Box3, End};
use crate::memory::set::{Rows, set};
use crate::memory::{self, Place};
use crate::status::{Result, Status, require};
use crate::{context, stream};

type Handle = *mut c_void;

fn host(pointer: *const c_void) -> Place {
    Place::Host(pointer.expose_provenance() as u64)
}

/// A copy in the default stream.
fn now(to: Place, from: Place, size: usize) -> Result {
    let stream = stream::default_stream()?;
    copy(to, from, size as u64, &stream, Wait::Synchronous)
}

/// A copy in a stream.
fn later(to: Place, from: Place, size: usize, h_stream: Handle) -> Result {
    let stream = stream::resolve(h_stream)?;
    copy(to, from, size as u64, &stream, Wait::Asynchronous)
}

pub(crate) unsafe fn cuMemAlloc_v2(dptr: *mut u64, bytesize: usize) -> Result {
    require(!dptr.is_null())?;
    // SAFETY: the contract of this function.
    unsafe { put(dptr, memory::allocate(bytesize as u64)?) }
}

pub(crate) unsafe fn cuMemAllocPitch_v2(
    dptr: *mut u64,
    p_pitch: *mut usize,
    width_in_bytes: usize,
    height: usize,
    element_size_bytes: u32,
) -> Result {
    require(!dptr.is_null() && !p_pitch.is_null())?;
    let (width, height) = (width_in_bytes as u64, height as u64);
    let (base, pitch) = memory::allocate_pitch(width, height, element_size_bytes)?;
    // SAFETY: the contract of this function.
    unsafe {
        put(dptr, base)?;
        put(p_pitch, pitch as usize)
    }
}

pub(crate) unsafe fn cuMemFree_v2(dptr: u64) -> Result {
    memory::free(dptr)
}

pub(crate) unsafe fn cuMemGetInfo_v2(free: *mut usize, total: *mut usize) -> Result {
    let (left, all) = memory::info()?;
    require(!free.is_null() && !total.is_null())?;
    // SAFETY: the contract of this function.
    unsafe {
        put(free, left as usize)?;
        put(total, all as usize)
    }
}

pub(crate) unsafe fn cuMemGetAddressRange_v2(
    pbase: *mut u64,
    psize: *mut usize,
    dptr: u64,
) -> Result {
    let (base, size) = memory::range(dptr)?;
    // SAFETY: the contract of this function.
    unsafe {
        put_if_wanted(pbase, base);
        put_if_wanted(psize, size as usize);
    }
    Ok(())
}

pub(crate) unsafe fn cuMemAllocHost_v2(pp: Handle, bytesize: usize) -> Result {
    // SAFETY: the contract of this function.
    unsafe { cuMemHostAlloc(pp, bytesize, 0) }
}

pub(crate) unsafe fn cuMemHostAlloc(pp: Handle, bytesize: usize, flags: u32) -> Result {
    require(!pp.is_null())?;
    let pointer = memory::allocate_host(bytesize as u64, flags)?;
    // SAFETY: the contract of this function.
    unsafe { put(pp.cast::<*mut u8>(), pointer) }
}

pub(crate) unsafe fn cuMemFreeHost(p: *mut c_void) -> Result {
    memory::free_host(p.cast())
}

pub(crate) unsafe fn cuMemHostGetDevicePointer_v2(
    pdptr: *mut u64,
    p: *mut c_void,
    flags: u32,
) -> Result {
    let address = memory::device_pointer(p.cast(), flags)?;
    // SAFETY: the contract of this function.
    unsafe { put(pdptr, address) }
}

pub(crate) unsafe fn cuMemHostGetFlags(p_flags: *mut u32, p: *mut c_void) -> Result {
    let flags = memory::host_flags(p.cast())?;
    // SAFETY: the contract of this function.
    unsafe { put(p_flags, flags) }
}

pub(crate) unsafe fn cuMemHostRegister_v2(p: *mut c_void, bytesize: usize, flags: u32) -> Result {
    // SAFETY: the contract of this function.
    unsafe { memory::register(p.cast(), bytesize as u64, flags) }
}

pub(crate) unsafe fn cuMemHostUnregister(p: *mut c_void) -> Result {
    memory::unregister(p.cast())
}

pub(crate) unsafe fn cuMemcpy(dst: u64, src: u64, byte_count: usize) -> Result {
    now(Place::unified(dst), Place::unified(src), byte_count)
}

pub(crate) unsafe fn cuMemcpyAsync(
    dst: u64,
    src: u64,
    byte_count: usize,
    h_stream: Handle,
) -> Result {
    later(
        Place::unified(dst),
        Place::unified(src),
        byte_count,
        h_stream,
    )
}

pub(crate) unsafe fn cuMemcpyHtoD_v2(
    dst_device: u64,
    src_host: *const c_void,
    byte_count: usize,
) -> Result {
    now(Place::Device(dst_device), host(src_host), byte_count)
}

pub(crate) unsafe fn cuMemcpyHtoDAsync_v2(
    dst_device: u64,
    src_host: *const c_void,
    byte_count: usize,
    h_stream: Handle,
) -> Result {
    later(
        Place::Device(dst_device),
        host(src_host),
        byte_count,
        h_stream,
    )
}

pub(crate) unsafe fn cuMemcpyDtoH_v2(
    dst_host: *mut c_void,
    src_device: u64,
    byte_count: usize,
) -> Result {
    now(host(dst_host), Place::Device(src_device), byte_count)
}

pub(crate) unsafe fn cuMemcpyDtoHAsync_v2(
    dst_host: *mut c_void,
    src_device: u64,
    byte_count: usize,
    h_stream: Handle,
) -> Result {
    later(
        host(dst_host),
        Place::Device(src_device),
        byte_count,
        h_stream,
    )
}

pub(crate) unsafe fn cuMemcpyDtoD_v2(
    dst_device: u64,
    src_device: u64,
    byte_count: usize,
) -> Result {
    now(
        Place::Device(dst_device),
        Place::Device(src_device),
        byte_count,
    )
}

pub(crate) unsafe fn cuMemcpyDtoDAsync_v2(
    dst_device: u64,
    src_device: u64,
    byte_count: usize,
    h_stream: Handle,
) -> Result {
    let (to, from) = (Place::Device(dst_device), Place::Device(src_device));
    later(to, from, byte_count, h_stream)
}

pub(crate) unsafe fn cuMemcpyPeer(
    dst_device: u64,
    dst_context: Handle,
    src_device: u64,
    src_context: Handle,
    byte_count: usize,
) -> Result {
    let ends = [context::find(dst_context)?, context::find(src_context)?];
    // Documented: in order with all that is pending in both contexts, and all that comes later.
    let stream = stream::default_stream()?;
    stream::between(&ends, &stream, || {
        let (to, from) = (Place::Device(dst_device), Place::Device(src_device));
        copy(to, from, byte_count as u64, &stream, Wait::Synchronous)
    })
}

pub(crate) unsafe fn cuMemcpyPeerAsync(
    dst_device: u64,
    dst_context: Handle,
    src_device: u64,
    src_context: Handle,
    byte_count: usize,
    h_stream: Handle,
) -> Result {
    context::find(dst_context)?;
    context::find(src_context)?;
    let (to, from) = (Place::Device(dst_device), Place::Device(src_device));
    later(to, from, byte_count, h_stream)
}

/// The place that one end of a structured copy names.
fn place(kind: u32, pointer: *const c_void, device: u64) -> Result<Place> {
    // CU_MEMORYTYPE_…
    match kind {
        1 => Ok(host(pointer)),
        2 => Ok(Place::Device(device)),
        3 => Err(Status::ERROR_NOT_SUPPORTED),
        4 => Ok(Place::unified(device)),
        _ => Err(Status::ERROR_INVALID_VALUE),
    }
}

/// Reads a field of a structure by its name, as the type asked for.
macro_rules! field {
    ($structure:expr, $field:ident as $ty:ty) => {
        read((&raw const (*$structure).$field).cast::<$ty>())?
    };
}

/// # Safety
/// `p_copy` is null or points to a `CUDA_MEMCPY2D`.
unsafe fn read_2d(p_copy: *const c_void) -> Result<Box3> {
    require(!p_copy.is_null())?;
    let p = p_copy.cast::<CUDA_MEMCPY2D>();
    // SAFETY: the caller's promise; every field is read as plain integers or pointers.
    unsafe {
        Ok(Box3 {
            from: End {
                place: place(
                    field!(p, srcMemoryType as u32),
                    field!(p, srcHost as *const c_void),
                    field!(p, srcDevice as u64),
                )?,
                origin: [field!(p, srcXInBytes as u64), field!(p, srcY as u64), 0],
                pitch: field!(p, srcPitch as u64),
                height: 0,
            },
            to: End {
                place: place(
                    field!(p, dstMemoryType as u32),
                    field!(p, dstHost as *const c_void),
                    field!(p, dstDevice as u64),
                )?,
                origin: [field!(p, dstXInBytes as u64), field!(p, dstY as u64), 0],
                pitch: field!(p, dstPitch as u64),
                height: 0,
            },
            extent: [field!(p, WidthInBytes as u64), field!(p, Height as u64), 1],
        })
    }
}

/// Reads `CUDA_MEMCPY3D` or `CUDA_MEMCPY3D_PEER`, whose fields have the same names.
macro_rules! read_3d {
    ($p:expr) => {
        Box3 {
            from: End {
                place: place(
                    field!($p, srcMemoryType as u32),
                    field!($p, srcHost as *const c_void),
                    field!($p, srcDevice as u64),
                )?,
                origin: [
                    field!($p, srcXInBytes as u64),
                    field!($p, srcY as u64),
                    field!($p, srcZ as u64),
                ],
                pitch: field!($p, srcPitch as u64),
                height: field!($p, srcHeight as u64),
            },
            to: End {
                place: place(
                    field!($p, dstMemoryType as u32),
                    field!($p, dstHost as *const c_void),
                    field!($p, dstDevice as u64),
                )?,
                origin: [
                    field!($p, dstXInBytes as u64),
                    field!($p, dstY as u64),
                    field!($p, dstZ as u64),
                ],
                pitch: field!($p, dstPitch as u64),
                height: field!($p, dstHeight as u64),
            },
            extent: [
                field!($p, WidthInBytes as u64),
                field!($p, Height as u64),
                field!($p, Depth as u64),
            ],
        }
    };
}

pub(crate) unsafe fn cuMemcpy2D_v2(p_copy: *const c_void) -> Result {
    let stream = stream::default_stream()?;
    // SAFETY: the contract of this function.
    rect::copy(&unsafe { read_2d(p_copy) }?, &stream, Wait::Synchronous)
}

pub(crate) unsafe fn cuMemcpy2DUnaligned_v2(p_copy: *const c_void) -> Result {
    // SAFETY: the contract of this function.
    unsafe { cuMemcpy2D_v2(p_copy) }
}

pub(crate) unsafe fn cuMemcpy2DAsync_v2(p_copy: *const c_void, h_stream: Handle) -> Result {
    let stream = stream::resolve(h_stream)?;
    // SAFETY: the contract of this function.
    rect::copy(&unsafe { read_2d(p_copy) }?, &stream, Wait::Asynchronous)
}

/// # Safety
/// `p_copy` is null or points to a `CUDA_MEMCPY3D`.
unsafe fn copy_3d(p_copy: *const c_void, h_stream: Handle, wait: Wait) -> Result {
    let stream = stream::resolve(h_stream)?;
    require(!p_copy.is_null())?;
    let p = p_copy.cast::<CUDA_MEMCPY3D>();
    // SAFETY: the caller's promise; every field is read as plain integers or pointers.
    let boxed = unsafe { read_3d!(p) };
    rect::copy(&boxed, &stream, wait)
}

/// # Safety
/// `p_copy` is null or points to a `CUDA_MEMCPY3D_PEER`.
unsafe fn copy_3d_peer(p_copy: *const c_void, h_stream: Handle, wait: Wait) -> Result {
    let stream = stream::resolve(h_stream)?;
    require(!p_copy.is_null())?;
    let p = p_copy.cast::<CUDA_MEMCPY3D_PEER>();
    // SAFETY: the caller's promise; every field is read as plain integers or pointers.
    let (boxed, contexts) = unsafe {
        let contexts = [
            field!(p, dstContext as Handle),
            field!(p, srcContext as Handle),
        ];
        (read_3d!(p), contexts)
    };
    // An end on the host has no context.
    let named = contexts.into_iter().filter(|context| !context.is_null());
    let ends = named.map(context::find).collect::<Result<Vec<_>>>()?;
    match wait {
        Wait::Synchronous => stream::between(&ends, &stream, || rect::copy(&boxed, &stream, wait)),
        Wait::Asynchronous => rect::copy(&boxed, &stream, wait),
    }
}

pub(crate) unsafe fn cuMemcpy3D_v2(p_copy: *const c_void) -> Result {
    // SAFETY: the contract of this function.
    unsafe { copy_3d(p_copy, std::ptr::null_mut(), Wait::Synchronous) }
}

pub(crate) unsafe fn cuMemcpy3DAsync_v2(p_copy: *const c_void, h_stream: Handle) -> Result {
    // SAFETY: the contract of this function.
    unsafe { copy_3d(p_copy, h_stream, Wait::Asynchronous) }
}

pub(crate) unsafe fn cuMemcpy3DPeer(p_copy: *const c_void) -> Result {
    // SAFETY: the contract of this function.
    unsafe { copy_3d_peer(p_copy, std::ptr::null_mut(), Wait::Synchronous) }
}

pub(crate) unsafe fn cuMemcpy3DPeerAsync(p_copy: *const c_void, h_stream: Handle) -> Result {
    // SAFETY: the contract of this function.
    unsafe { copy_3d_peer(p_copy, h_stream, Wait::Asynchronous) }
}

/// The set functions of one element width: line and rows, in the default stream and in any.
macro_rules! sets {
    ($element:ty: $line:ident, $line_async:ident, $rows:ident, $rows_async:ident) => {
        pub(crate) unsafe fn $line(dst_device: u64, value: $element, n: usize) -> Result {
            let stream = stream::default_stream()?;
            set(
                Rows::line(dst_device, n as u64),
                value.to_ne_bytes(),
                &stream,
            )
        }

        pub(crate) unsafe fn $line_async(
            dst_device: u64,
            value: $element,
            n: usize,
            h_stream: Handle,
        ) -> Result {
            let stream = stream::resolve(h_stream)?;
            set(
                Rows::line(dst_device, n as u64),
                value.to_ne_bytes(),
                &stream,
            )
        }

        pub(crate) unsafe fn $rows(
            dst_device: u64,
            dst_pitch: usize,
            value: $element,
            width: usize,
            height: usize,
        ) -> Result {
            // SAFETY: the contract of this function.
            unsafe {
                let stream = std::ptr::null_mut();
                $rows_async(dst_device, dst_pitch, value, width, height, stream)
            }
        }

        pub(crate) unsafe fn $rows_async(
            dst_device: u64,
            dst_pitch: usize,
            value: $element,
            width: usize,
            height: usize,
            h_stream: Handle,
        ) -> Result {
            let rows = Rows {
                to: dst_device,
                pitch: dst_pitch as u64,
                width: width as u64,
                height: height as u64,
            };
            set(rows, value.to_ne_bytes(), &stream::resolve(h_stream)?)
        }
    };
}

sets!(u8: cuMemsetD8_v2, cuMemsetD8Async, cuMemsetD2D8_v2, cuMemsetD2D8Async);
sets!(u16: cuMemsetD16_v2, cuMemsetD16Async, cuMemsetD2D16_v2, cuMemsetD2D16Async);
sets!(u32: cuMemsetD32_v2, cuMemsetD32Async, cuMemsetD2D32_v2, cuMemsetD2D32Async);

/// # Safety
/// `out` is null or takes what `value` is.
unsafe fn put_attribute(out: *mut c_void, value: Value) -> Result {
    // SAFETY: the caller's promise.
    unsafe {
        match value {
            Value::Word(value) => put(out.cast(), value),
            Value::Long(value) => put(out.cast(), value),
            Value::Tokens(value) => put(out.cast(), value),
        }
    }
}

pub(crate) unsafe fn cuPointerGetAttribute(data: *mut c_void, attribute: u32, ptr: u64) -> Result {
    let value = pointer::get(ptr, attribute)?;
    // SAFETY: the contract of this function.
    unsafe { put_attribute(data, value) }
}

pub(crate) unsafe fn cuPointerGetAttributes(
    num_attributes: u32,
    attributes: *mut u32,
    data: *mut c_void,
    ptr: u64,
) -> Result {
    require(!attributes.is_null() && !data.is_null())?;
    for index in 0..num_attributes as usize {
        // SAFETY: the contract of this function: both arrays have as many elements.
        unsafe {
            let attribute = read(attributes.add(index))?;
            let out = read(data.cast::<*mut c_void>().add(index))?;
            put_attribute(out, pointer::get_or_default(ptr, attribute)?)?;
        }
    }
    Ok(())
}

/// `CU_POINTER_ATTRIBUTE_SYNC_MEMOPS`, the only attribute that can be set. Copies of this driver are never
/// visible before they are complete, so it is accepted without effect.
pub(crate) unsafe fn cuPointerSetAttribute(
    value: *const c_void,
    attribute: u32,
    ptr: u64,
) -> Result {
    require(attribute == 6 && !value.is_null())?;
    pointer::get(ptr, attribute).map(drop)
}
