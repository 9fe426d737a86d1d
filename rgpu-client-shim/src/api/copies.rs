//! Copies, in all their forms.

use cudarc::driver::sys;
use rgpu_proto::msg::memory::{CopyDevice, CopyIn, CopyOut};
use rgpu_proto::opcode::Opcode;

use super::*;
use crate::client::get as client;
use crate::copy::{Operand, Place, Plan, Shape, plan};

/// Who waits for a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wait {
    /// The caller, until the application's memory has been read or written.
    Caller,
    /// A later synchronisation.
    Later,
}

/// Carries a copy out.
fn copy(dst: Operand, src: Operand, shape: Shape, stream: u32, wait: Wait) -> Result {
    let client = client()?;
    client.working_context()?;
    let plan = plan(dst, src, shape, &*client.memory.hold())?;
    let id = Id::new(stream);
    match plan {
        Plan::Nothing => Ok(()),
        Plan::In { dst, extent, src } => {
            settle_source(client, src.at, src.end(), stream)?;
            client.session.copy_in(
                &CopyIn {
                    dst,
                    extent,
                    stream: id,
                },
                src,
            )
        }
        Plan::Out { dst, src, extent } => {
            // A copy to pageable memory returns when it is complete (CUDA Driver API reference, "API
            // synchronization behavior").
            let pinned = client.memory.hold().host.covers(dst.at, dst.end() - dst.at);
            let wait = wait == Wait::Caller || !pinned;
            let body = CopyOut {
                src,
                extent,
                stream: id,
            };
            client.session.copy_out(&body, dst, order_of(stream), wait)
        }
        Plan::Device { dst, src, extent } => client.session.post(
            Opcode::COPY_DEVICE,
            &CopyDevice {
                dst,
                src,
                extent,
                stream: id,
            },
        ),
        Plan::Host { dst, src } => {
            wait_for_stream(client, stream)?;
            let mut scratch = Vec::new();
            // SAFETY: the application passed both boxes for a copy, and the stream has got to it. The bytes go
            // through `scratch`, so that overlapping boxes are no problem.
            unsafe {
                let mut all = Vec::with_capacity(src.len());
                all.extend_from_slice(&src.gather(0, src.len(), &mut scratch));
                dst.scatter(0, &all);
            }
            Ok(())
        }
    }
}

/// The source of a copy is read when the call is made. Where the device would read it later, after something
/// that changes it, that is waited for: earlier copies into it, and host functions before it in the stream.
fn settle_source(client: &'static Client, at: usize, end: usize, stream: u32) -> Result {
    for due in client.session.copies_due(at, end) {
        wait_for_order(client, due)?;
    }
    let functions = client.session.host_functions();
    if !functions.any_in(None) {
        client.streams.hold().no_host_functions();
        return Ok(());
    }
    let pinned = client.memory.hold().host.covers(at, end - at);
    let behind = functions.any_in(Some(order_of(stream)))
        || client.streams.hold().may_be_behind_host(stream);
    if pinned && behind {
        wait_for_stream(client, stream)
    } else {
        Ok(())
    }
}

fn device(address: u64) -> Operand {
    Operand::linear(Place::Device, address)
}

fn host(address: usize) -> Operand {
    Operand::linear(Place::Host, address as u64)
}

fn unified(address: u64) -> Operand {
    Operand::linear(Place::Unified, address)
}

pub(crate) unsafe fn cuMemcpy(dst: u64, src: u64, byte_count: usize) -> Result {
    copy(
        unified(dst),
        unified(src),
        Shape::linear(byte_count),
        default_stream(),
        Wait::Caller,
    )
}

pub(crate) unsafe fn cuMemcpyAsync(
    dst: u64,
    src: u64,
    byte_count: usize,
    h_stream: *mut c_void,
) -> Result {
    let stream = stream_here(client()?, h_stream)?;
    copy(
        unified(dst),
        unified(src),
        Shape::linear(byte_count),
        stream,
        Wait::Later,
    )
}

pub(crate) unsafe fn cuMemcpyPeer(
    dst_device: u64,
    dst_context: *mut c_void,
    src_device: u64,
    src_context: *mut c_void,
    byte_count: usize,
) -> Result {
    let client = client()?;
    named_context(client, dst_context)?;
    named_context(client, src_context)?;
    // SAFETY: the same contract.
    unsafe { cuMemcpyDtoD_v2(dst_device, src_device, byte_count) }
}

pub(crate) unsafe fn cuMemcpyPeerAsync(
    dst_device: u64,
    dst_context: *mut c_void,
    src_device: u64,
    src_context: *mut c_void,
    byte_count: usize,
    h_stream: *mut c_void,
) -> Result {
    let client = client()?;
    named_context(client, dst_context)?;
    named_context(client, src_context)?;
    // SAFETY: the same contract.
    unsafe { cuMemcpyDtoDAsync_v2(dst_device, src_device, byte_count, h_stream) }
}

pub(crate) unsafe fn cuMemcpyHtoD_v2(
    dst_device: u64,
    src_host: *const c_void,
    byte_count: usize,
) -> Result {
    let (dst, src) = (device(dst_device), host(src_host as usize));
    copy(
        dst,
        src,
        Shape::linear(byte_count),
        default_stream(),
        Wait::Caller,
    )
}

pub(crate) unsafe fn cuMemcpyHtoDAsync_v2(
    dst_device: u64,
    src_host: *const c_void,
    byte_count: usize,
    h_stream: *mut c_void,
) -> Result {
    let stream = stream_here(client()?, h_stream)?;
    let (dst, src) = (device(dst_device), host(src_host as usize));
    copy(dst, src, Shape::linear(byte_count), stream, Wait::Later)
}

pub(crate) unsafe fn cuMemcpyDtoH_v2(
    dst_host: *mut c_void,
    src_device: u64,
    byte_count: usize,
) -> Result {
    let (dst, src) = (host(dst_host as usize), device(src_device));
    copy(
        dst,
        src,
        Shape::linear(byte_count),
        default_stream(),
        Wait::Caller,
    )
}

pub(crate) unsafe fn cuMemcpyDtoHAsync_v2(
    dst_host: *mut c_void,
    src_device: u64,
    byte_count: usize,
    h_stream: *mut c_void,
) -> Result {
    let stream = stream_here(client()?, h_stream)?;
    let (dst, src) = (host(dst_host as usize), device(src_device));
    copy(dst, src, Shape::linear(byte_count), stream, Wait::Later)
}

pub(crate) unsafe fn cuMemcpyDtoD_v2(
    dst_device: u64,
    src_device: u64,
    byte_count: usize,
) -> Result {
    let (dst, src) = (device(dst_device), device(src_device));
    copy(
        dst,
        src,
        Shape::linear(byte_count),
        default_stream(),
        Wait::Caller,
    )
}

pub(crate) unsafe fn cuMemcpyDtoDAsync_v2(
    dst_device: u64,
    src_device: u64,
    byte_count: usize,
    h_stream: *mut c_void,
) -> Result {
    let stream = stream_here(client()?, h_stream)?;
    let (dst, src) = (device(dst_device), device(src_device));
    copy(dst, src, Shape::linear(byte_count), stream, Wait::Later)
}

/// One end of a `CUDA_MEMCPY2D` or `CUDA_MEMCPY3D`.
fn end(
    memory_type: u32,
    (host, device): (usize, u64),
    origin: (usize, usize, usize),
    pitch: usize,
    rows: usize,
) -> Result<Operand> {
    let place = Place::of(memory_type)?;
    let address = if place == Place::Host {
        host as u64
    } else {
        device
    };
    Ok(Operand {
        place,
        address,
        origin,
        pitch,
        rows,
    })
}

/// `CUDA_MEMCPY2D` with its memory types as plain numbers: the application may write any.
#[repr(C)]
#[derive(Clone, Copy)]
struct Copy2D {
    src_x: usize,
    src_y: usize,
    src_type: u32,
    src_host: usize,
    src_device: u64,
    src_array: usize,
    src_pitch: usize,
    dst_x: usize,
    dst_y: usize,
    dst_type: u32,
    dst_host: usize,
    dst_device: u64,
    dst_array: usize,
    dst_pitch: usize,
    width: usize,
    height: usize,
}

const _: () = assert!(size_of::<Copy2D>() == size_of::<sys::CUDA_MEMCPY2D>());

/// `CUDA_MEMCPY3D` likewise; `CUDA_MEMCPY3D_PEER` has contexts where this has reserved words.
#[repr(C)]
#[derive(Clone, Copy)]
struct Copy3D {
    src_x: usize,
    src_y: usize,
    src_z: usize,
    src_lod: usize,
    src_type: u32,
    src_host: usize,
    src_device: u64,
    src_array: usize,
    src_reserved: usize,
    src_pitch: usize,
    src_height: usize,
    dst_x: usize,
    dst_y: usize,
    dst_z: usize,
    dst_lod: usize,
    dst_type: u32,
    dst_host: usize,
    dst_device: u64,
    dst_array: usize,
    dst_reserved: usize,
    dst_pitch: usize,
    dst_height: usize,
    width: usize,
    height: usize,
    depth: usize,
}

const _: () = assert!(size_of::<Copy3D>() == size_of::<sys::CUDA_MEMCPY3D>());
const _: () = assert!(size_of::<Copy3D>() == size_of::<sys::CUDA_MEMCPY3D_PEER>());

/// # Safety
/// A non-null `p_copy` points to a `CUDA_MEMCPY2D`.
unsafe fn copy_2d(p_copy: *const c_void, stream: u32, wait: Wait) -> Result {
    // SAFETY: the caller's promise; the layouts agree.
    let c: Copy2D = unsafe { get(p_copy)? };
    let dst = end(
        c.dst_type,
        (c.dst_host, c.dst_device),
        (c.dst_x, c.dst_y, 0),
        c.dst_pitch,
        0,
    )?;
    let src = end(
        c.src_type,
        (c.src_host, c.src_device),
        (c.src_x, c.src_y, 0),
        c.src_pitch,
        0,
    )?;
    copy(
        dst,
        src,
        Shape {
            width: c.width,
            height: c.height,
            depth: 1,
        },
        stream,
        wait,
    )
}

pub(crate) unsafe fn cuMemcpy2D_v2(p_copy: *const c_void) -> Result {
    // SAFETY: the application's structure.
    unsafe { copy_2d(p_copy, default_stream(), Wait::Caller) }
}

pub(crate) unsafe fn cuMemcpy2DUnaligned_v2(p_copy: *const c_void) -> Result {
    // SAFETY: the application's structure.
    unsafe { copy_2d(p_copy, default_stream(), Wait::Caller) }
}

pub(crate) unsafe fn cuMemcpy2DAsync_v2(p_copy: *const c_void, h_stream: *mut c_void) -> Result {
    let stream = stream_here(client()?, h_stream)?;
    // SAFETY: the application's structure.
    unsafe { copy_2d(p_copy, stream, Wait::Later) }
}

/// # Safety
/// A non-null `p_copy` points to a `CUDA_MEMCPY3D` or a `CUDA_MEMCPY3D_PEER`.
unsafe fn copy_3d(p_copy: *const c_void, stream: u32, wait: Wait) -> Result {
    // SAFETY: the caller's promise; the layouts agree.
    let c: Copy3D = unsafe { get(p_copy)? };
    if c.src_lod != 0 || c.dst_lod != 0 {
        return Err(INVALID);
    }
    let dst = end(
        c.dst_type,
        (c.dst_host, c.dst_device),
        (c.dst_x, c.dst_y, c.dst_z),
        c.dst_pitch,
        c.dst_height,
    )?;
    let src = end(
        c.src_type,
        (c.src_host, c.src_device),
        (c.src_x, c.src_y, c.src_z),
        c.src_pitch,
        c.src_height,
    )?;
    copy(
        dst,
        src,
        Shape {
            width: c.width,
            height: c.height,
            depth: c.depth,
        },
        stream,
        wait,
    )
}

pub(crate) unsafe fn cuMemcpy3D_v2(p_copy: *const c_void) -> Result {
    // SAFETY: the application's structure.
    unsafe { copy_3d(p_copy, default_stream(), Wait::Caller) }
}

pub(crate) unsafe fn cuMemcpy3DAsync_v2(p_copy: *const c_void, h_stream: *mut c_void) -> Result {
    let stream = stream_here(client()?, h_stream)?;
    // SAFETY: the application's structure.
    unsafe { copy_3d(p_copy, stream, Wait::Later) }
}

pub(crate) unsafe fn cuMemcpy3DPeer(p_copy: *const c_void) -> Result {
    // SAFETY: the application's structure.
    unsafe { copy_3d(p_copy, default_stream(), Wait::Caller) }
}

pub(crate) unsafe fn cuMemcpy3DPeerAsync(p_copy: *const c_void, h_stream: *mut c_void) -> Result {
    let stream = stream_here(client()?, h_stream)?;
    // SAFETY: the application's structure.
    unsafe { copy_3d(p_copy, stream, Wait::Later) }
}
