//! What a copy or a fill means: which of its ends is where, whether it stays inside its memory, and what has to
//! be sent. Pure: what is device memory is asked of [`Lookup`].

pub(crate) mod host;
#[cfg(test)]
mod tests;

use rgpu_proto::handle::{Id, Stream};
use rgpu_proto::msg::memory::{Element, Extent, Fill, Pitched};
use rgpu_proto::status::Status;

use host::HostBox;

/// What is known of device memory.
pub(crate) trait Lookup {
    /// The range of device memory [start, end) that holds `address`.
    fn device_range(&self, address: u64) -> Option<(u64, u64)>;
    /// Whether `address` lies where device memory could be.
    fn could_be_device(&self, address: u64) -> bool;
}

/// Where the application says an end of a copy is. The numbers are `CUmemorytype`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Host memory.
    Host,
    /// Device memory.
    Device,
    /// The address tells.
    Unified,
}

impl Place {
    /// The place of a `CUmemorytype`; arrays are not supported.
    pub(crate) const fn of(memory_type: u32) -> Result<Self, Status> {
        match memory_type {
            1 => Ok(Self::Host),
            2 => Ok(Self::Device),
            3 => Err(Status::ERROR_NOT_SUPPORTED),
            4 => Ok(Self::Unified),
            _ => Err(Status::ERROR_INVALID_VALUE),
        }
    }
}

/// An end of a copy as the application describes it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Operand {
    /// Where it is.
    pub(crate) place: Place,
    /// Address of the whole object.
    pub(crate) address: u64,
    /// Where in the object: bytes of a row, rows, slices.
    pub(crate) origin: (usize, usize, usize),
    /// Bytes from row to row; 0 for rows without gaps.
    pub(crate) pitch: usize,
    /// Rows from slice to slice; 0 for slices without gaps.
    pub(crate) rows: usize,
}

impl Operand {
    /// A plain address.
    pub(crate) const fn linear(place: Place, address: u64) -> Self {
        Self {
            place,
            address,
            origin: (0, 0, 0),
            pitch: 0,
            rows: 0,
        }
    }
}

/// How much is copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Bytes of a row.
    pub(crate) width: usize,
    /// Rows.
    pub(crate) height: usize,
    /// Slices.
    pub(crate) depth: usize,
}

impl Shape {
    /// One row.
    pub(crate) const fn linear(width: usize) -> Self {
        Self {
            width,
            height: 1,
            depth: 1,
        }
    }

    /// Bytes in all.
    pub(crate) fn bytes(&self) -> Result<usize, Status> {
        self.width
            .checked_mul(self.height)
            .and_then(|slice| slice.checked_mul(self.depth))
            .filter(|bytes| *bytes as u64 <= rgpu_proto::limits::MAX_TRANSFER)
            .ok_or(Status::ERROR_INVALID_VALUE)
    }
}

/// What a copy comes to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Plan {
    /// Nothing to copy.
    Nothing,
    /// Host to device.
    In {
        dst: Pitched,
        extent: Extent,
        src: HostBox,
    },
    /// Device to host.
    Out {
        dst: HostBox,
        src: Pitched,
        extent: Extent,
    },
    /// Device to device.
    Device {
        dst: Pitched,
        src: Pitched,
        extent: Extent,
    },
    /// Host to host.
    Host { dst: HostBox, src: HostBox },
}

#[derive(Debug, Clone, Copy)]
enum End {
    Host(HostBox),
    Device {
        address: u64,
        pitch: u64,
        slice: u64,
    },
}

/// Decides what a copy means, or why it cannot be.
pub(crate) fn plan(
    dst: Operand,
    src: Operand,
    shape: Shape,
    memory: &impl Lookup,
) -> Result<Plan, Status> {
    if shape.bytes()? == 0 {
        return Ok(Plan::Nothing);
    }
    let (dst, src) = (locate(dst, shape, memory)?, locate(src, shape, memory)?);
    Ok(match (dst, src) {
        (End::Host(dst), End::Host(src)) => Plan::Host { dst, src },
        (
            End::Device {
                address,
                pitch,
                slice,
            },
            End::Host(src),
        ) => {
            let (dst, extent) = simplest(
                Pitched {
                    address,
                    pitch,
                    slice,
                },
                shape,
            );
            Plan::In { dst, extent, src }
        }
        (
            End::Host(dst),
            End::Device {
                address,
                pitch,
                slice,
            },
        ) => {
            let (src, extent) = simplest(
                Pitched {
                    address,
                    pitch,
                    slice,
                },
                shape,
            );
            Plan::Out { dst, src, extent }
        }
        (
            End::Device {
                address,
                pitch,
                slice,
            },
            End::Device {
                address: from,
                pitch: from_pitch,
                slice: from_slice,
            },
        ) => {
            let dst = Pitched {
                address,
                pitch,
                slice,
            };
            let src = Pitched {
                address: from,
                pitch: from_pitch,
                slice: from_slice,
            };
            if is_packed(&dst, shape) && is_packed(&src, shape) {
                let extent = Extent::linear((shape.width * shape.height * shape.depth) as u64);
                Plan::Device {
                    dst: Pitched::linear(address),
                    src: Pitched::linear(from),
                    extent,
                }
            } else {
                Plan::Device {
                    dst,
                    src,
                    extent: extent(shape),
                }
            }
        }
    })
}

const fn extent(shape: Shape) -> Extent {
    Extent {
        width: shape.width as u64,
        height: shape.height as u64,
        depth: shape.depth as u64,
    }
}

const fn is_packed(place: &Pitched, shape: Shape) -> bool {
    (shape.height == 1 || place.pitch == shape.width as u64)
        && (shape.depth == 1 || place.slice == (shape.width * shape.height) as u64)
}

/// One row where the rows lie one after the other.
fn simplest(place: Pitched, shape: Shape) -> (Pitched, Extent) {
    if is_packed(&place, shape) {
        let bytes = (shape.width * shape.height * shape.depth) as u64;
        (Pitched::linear(place.address), Extent::linear(bytes))
    } else {
        (place, extent(shape))
    }
}

fn locate(operand: Operand, shape: Shape, memory: &impl Lookup) -> Result<End, Status> {
    const BAD: Status = Status::ERROR_INVALID_VALUE;
    let (x, y, z) = operand.origin;
    let row = x.checked_add(shape.width).ok_or(BAD)?;
    let pitch = if operand.pitch == 0 {
        row
    } else {
        operand.pitch
    };
    let rows = if operand.rows == 0 {
        y.checked_add(shape.height).ok_or(BAD)?
    } else {
        operand.rows
    };
    let many_rows = shape.height > 1 || shape.depth > 1;
    if operand.address == 0
        || (many_rows && pitch < row)
        || (shape.depth > 1 && rows < shape.height)
    {
        return Err(BAD);
    }
    let slice = pitch.checked_mul(rows).ok_or(BAD)?;
    let offset = slice
        .checked_mul(z)
        .and_then(|at| at.checked_add(pitch.checked_mul(y)?))
        .and_then(|at| at.checked_add(x))
        .ok_or(BAD)?;
    let address = operand.address.checked_add(offset as u64).ok_or(BAD)?;
    let place = Pitched {
        address,
        pitch: pitch as u64,
        slice: slice as u64,
    };
    let end = place.end(&extent(shape)).ok_or(BAD)?;
    let on_device = match operand.place {
        Place::Host => false,
        Place::Device => true,
        Place::Unified => memory.could_be_device(operand.address),
    };
    if !on_device {
        if memory.could_be_device(address) {
            return Err(BAD);
        }
        return Ok(End::Host(HostBox {
            at: address as usize,
            pitch,
            slice,
            width: shape.width,
            height: shape.height,
            depth: shape.depth,
        }));
    }
    match memory.device_range(address) {
        Some((_, limit)) if end <= limit => Ok(End::Device {
            address,
            pitch: place.pitch,
            slice: place.slice,
        }),
        _ => Err(BAD),
    }
}

/// Decides what a fill means; `None` where there is nothing to fill.
pub(crate) fn fill(
    dst: u64,
    pitch: usize,
    (value, element): (u32, Element),
    (width, height): (usize, usize),
    stream: u32,
    memory: &impl Lookup,
) -> Result<Option<Fill>, Status> {
    const BAD: Status = Status::ERROR_INVALID_VALUE;
    let size = element as u64;
    if !dst.is_multiple_of(size) {
        return Err(BAD);
    }
    if width == 0 || height == 0 {
        return Ok(None);
    }
    let row = (width as u64).checked_mul(size).ok_or(BAD)?;
    let pitch = pitch as u64;
    let place = Pitched {
        address: dst,
        pitch,
        slice: 0,
    };
    let extent = Extent {
        width: row,
        height: height as u64,
        depth: 1,
    };
    let end = place.end(&extent).ok_or(BAD)?;
    let aligned = height == 1 || pitch.is_multiple_of(size);
    let inside = memory
        .device_range(dst)
        .is_some_and(|(_, limit)| end <= limit);
    if !aligned || !inside || (height > 1 && pitch < row) {
        return Err(BAD);
    }
    let (width, height, pitch) = match height > 1 && pitch == row {
        true => (width as u64 * height as u64, 1, 0),
        false => (width as u64, height as u64, pitch),
    };
    Ok(Some(Fill {
        dst,
        pitch,
        value,
        element,
        width,
        height,
        stream: Id::<Stream>::new(stream),
    }))
}
