//! Fills (`cuMemset*`).

use rgpu_proto::msg::memory::Element;
use rgpu_proto::opcode::Opcode;

use super::*;
use crate::client::get as client;

fn fill(
    dst: u64,
    pitch: usize,
    value: (u32, Element),
    size: (usize, usize),
    stream: u32,
) -> Result {
    let client = client()?;
    client.working_context()?;
    if client.memory.hold().host.covers(dst as usize, 1) {
        return fill_pinned(client, dst as usize, pitch, value, size, stream);
    }
    let fill = crate::copy::fill(dst, pitch, value, size, stream, &*client.memory.hold())?;
    fill.map_or(Ok(()), |fill| client.session.post(Opcode::FILL, &fill))
}

/// Page-locked memory may be filled too; here that is done once the stream has got to it.
fn fill_pinned(
    client: &'static Client,
    at: usize,
    pitch: usize,
    (value, element): (u32, Element),
    (width, height): (usize, usize),
    stream: u32,
) -> Result {
    let size = element as usize;
    let row = width.checked_mul(size).ok_or(INVALID)?;
    let before = pitch.checked_mul(height.saturating_sub(1)).ok_or(INVALID)?;
    let length = before.checked_add(row).ok_or(INVALID)?;
    let overlapping = height > 1 && pitch < row;
    if overlapping || !client.memory.hold().host.covers(at, length) {
        return Err(INVALID);
    }
    wait_for_stream(client, stream)?;
    let value = value.to_le_bytes();
    for start in (0..height).map(|line| at + line * pitch) {
        for place in (start..start + row).step_by(size) {
            // SAFETY: the rows lie inside page-locked memory, as checked; the application gave them to be filled.
            unsafe { std::ptr::copy_nonoverlapping(value.as_ptr(), place as *mut u8, size) };
        }
    }
    Ok(())
}

pub(crate) unsafe fn cuMemsetD8_v2(dst_device: u64, uc: u8, n: usize) -> Result {
    fill(
        dst_device,
        0,
        (u32::from(uc), Element::Byte),
        (n, 1),
        default_stream(),
    )
}

pub(crate) unsafe fn cuMemsetD8Async(
    dst_device: u64,
    uc: u8,
    n: usize,
    h_stream: *mut c_void,
) -> Result {
    fill(
        dst_device,
        0,
        (u32::from(uc), Element::Byte),
        (n, 1),
        stream_here(client()?, h_stream)?,
    )
}

pub(crate) unsafe fn cuMemsetD2D8_v2(
    dst_device: u64,
    dst_pitch: usize,
    uc: u8,
    width: usize,
    height: usize,
) -> Result {
    fill(
        dst_device,
        dst_pitch,
        (u32::from(uc), Element::Byte),
        (width, height),
        default_stream(),
    )
}

pub(crate) unsafe fn cuMemsetD2D8Async(
    dst_device: u64,
    dst_pitch: usize,
    uc: u8,
    width: usize,
    height: usize,
    h_stream: *mut c_void,
) -> Result {
    let stream = stream_here(client()?, h_stream)?;
    fill(
        dst_device,
        dst_pitch,
        (u32::from(uc), Element::Byte),
        (width, height),
        stream,
    )
}

pub(crate) unsafe fn cuMemsetD16_v2(dst_device: u64, us: u16, n: usize) -> Result {
    fill(
        dst_device,
        0,
        (u32::from(us), Element::Short),
        (n, 1),
        default_stream(),
    )
}

pub(crate) unsafe fn cuMemsetD16Async(
    dst_device: u64,
    us: u16,
    n: usize,
    h_stream: *mut c_void,
) -> Result {
    fill(
        dst_device,
        0,
        (u32::from(us), Element::Short),
        (n, 1),
        stream_here(client()?, h_stream)?,
    )
}

pub(crate) unsafe fn cuMemsetD2D16_v2(
    dst_device: u64,
    dst_pitch: usize,
    us: u16,
    width: usize,
    height: usize,
) -> Result {
    fill(
        dst_device,
        dst_pitch,
        (u32::from(us), Element::Short),
        (width, height),
        default_stream(),
    )
}

pub(crate) unsafe fn cuMemsetD2D16Async(
    dst_device: u64,
    dst_pitch: usize,
    us: u16,
    width: usize,
    height: usize,
    h_stream: *mut c_void,
) -> Result {
    let stream = stream_here(client()?, h_stream)?;
    fill(
        dst_device,
        dst_pitch,
        (u32::from(us), Element::Short),
        (width, height),
        stream,
    )
}

pub(crate) unsafe fn cuMemsetD32_v2(dst_device: u64, ui: u32, n: usize) -> Result {
    fill(dst_device, 0, (ui, Element::Word), (n, 1), default_stream())
}

pub(crate) unsafe fn cuMemsetD32Async(
    dst_device: u64,
    ui: u32,
    n: usize,
    h_stream: *mut c_void,
) -> Result {
    fill(
        dst_device,
        0,
        (ui, Element::Word),
        (n, 1),
        stream_here(client()?, h_stream)?,
    )
}

pub(crate) unsafe fn cuMemsetD2D32_v2(
    dst_device: u64,
    dst_pitch: usize,
    ui: u32,
    width: usize,
    height: usize,
) -> Result {
    fill(
        dst_device,
        dst_pitch,
        (ui, Element::Word),
        (width, height),
        default_stream(),
    )
}

pub(crate) unsafe fn cuMemsetD2D32Async(
    dst_device: u64,
    dst_pitch: usize,
    ui: u32,
    width: usize,
    height: usize,
    h_stream: *mut c_void,
) -> Result {
    let stream = stream_here(client()?, h_stream)?;
    fill(
        dst_device,
        dst_pitch,
        (ui, Element::Word),
        (width, height),
        stream,
    )
}
