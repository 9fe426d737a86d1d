//! Device memory: backing, copies, fills, physical handles.

use crate::handle::{Id, Physical, Stream};
use crate::{choice, message};

message! {
    /// Puts memory behind [address, +size) of the window; both multiples of the granularity. Posted.
    pub struct Back {
        /// First address.
        address: u64,
        /// Bytes.
        size: u64,
    }

    /// Takes the memory behind [address, +size), backed as one, away. Posted.
    pub struct Unback {
        /// First address.
        address: u64,
        /// Bytes.
        size: u64,
    }

    /// A box of bytes in device memory: `depth` slices of `height` rows of `width` bytes.
    pub struct Pitched {
        /// Address of the first byte.
        address: u64,
        /// Bytes from row to row.
        pitch: u64,
        /// Bytes from slice to slice.
        slice: u64,
    }

    /// Extent of a copy.
    pub struct Extent {
        /// Bytes of a row.
        width: u64,
        /// Rows of a slice.
        height: u64,
        /// Slices.
        depth: u64,
    }

    /// Host bytes, packed row after row, into device memory. Posted; the bytes follow the struct in the body
    /// where there are at most [`crate::limits::INLINE_DATA`], else in DATA frames.
    pub struct CopyIn {
        /// Where to.
        dst: Pitched,
        /// How much.
        extent: Extent,
        /// In which stream.
        stream: Id<Stream>,
    }

    /// Device bytes to the host, packed row after row. The reply carries the bytes after its head where there
    /// are at most [`crate::limits::INLINE_DATA`], else in DATA frames after it.
    pub struct CopyOut {
        /// From where.
        src: Pitched,
        /// How much.
        extent: Extent,
        /// In which stream.
        stream: Id<Stream>,
    }

    /// Device memory to device memory. Posted.
    pub struct CopyDevice {
        /// Where to.
        dst: Pitched,
        /// From where.
        src: Pitched,
        /// How much.
        extent: Extent,
        /// In which stream.
        stream: Id<Stream>,
    }

    /// Fills rows of device memory with a value (`cuMemset*`). Posted.
    pub struct Fill {
        /// Address of the first element.
        dst: u64,
        /// Bytes from row to row; ignored for one row.
        pitch: u64,
        /// The value, in the low bits.
        value: u32,
        /// Its width.
        element: Element,
        /// Elements of a row.
        width: u64,
        /// Rows.
        height: u64,
        /// In which stream.
        stream: Id<Stream>,
    }

    /// Creates physical memory (`cuMemCreate`). Posted.
    pub struct PhysicalCreate {
        /// Its id.
        id: Id<Physical>,
        /// Bytes, a multiple of the granularity.
        size: u64,
    }

    /// Releases physical memory (`cuMemRelease`). Posted.
    pub struct PhysicalRelease {
        /// Its id.
        id: Id<Physical>,
    }

    /// Maps physical memory at an address of the window (`cuMemMap`). Posted.
    pub struct PhysicalMap {
        /// First address.
        address: u64,
        /// Bytes.
        size: u64,
        /// Offset into the physical memory.
        offset: u64,
        /// Which.
        id: Id<Physical>,
    }

    /// Unmaps a range of the window (`cuMemUnmap`). Posted.
    pub struct Unmap {
        /// First address.
        address: u64,
        /// Bytes.
        size: u64,
    }

    /// Sets the access of a mapped range (`cuMemSetAccess`). Posted.
    pub struct SetAccess {
        /// First address.
        address: u64,
        /// Bytes.
        size: u64,
        /// `CUmemAccess_flags`.
        flags: u32,
    }
}

choice! {
    /// Width of a fill's element.
    pub enum Element {
        /// 8 bits.
        Byte = 1,
        /// 16 bits.
        Short = 2,
        /// 32 bits.
        Word = 4,
    }
}

impl Extent {
    /// Bytes in all, or `None` where that overflows.
    pub fn bytes(&self) -> Option<u64> {
        self.width.checked_mul(self.height)?.checked_mul(self.depth)
    }

    /// `len` bytes in one row.
    pub const fn linear(len: u64) -> Self {
        Self {
            width: len,
            height: 1,
            depth: 1,
        }
    }
}

impl Pitched {
    /// Bytes in one row at `address`.
    pub const fn linear(address: u64) -> Self {
        Self {
            address,
            pitch: 0,
            slice: 0,
        }
    }

    /// One past the last byte that a copy of `extent` touches, or `None` where that overflows.
    pub fn end(&self, extent: &Extent) -> Option<u64> {
        if extent.bytes()? == 0 {
            return Some(self.address);
        }
        let rows = self.pitch.checked_mul(extent.height - 1)?;
        let slices = self.slice.checked_mul(extent.depth - 1)?;
        self.address
            .checked_add(slices)?
            .checked_add(rows)?
            .checked_add(extent.width)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_box_is_its_last_row() {
        let dst = Pitched {
            address: 100,
            pitch: 16,
            slice: 64,
        };
        assert_eq!(
            dst.end(&Extent {
                width: 4,
                height: 3,
                depth: 2
            }),
            Some(100 + 64 + 32 + 4)
        );
        assert_eq!(
            dst.end(&Extent {
                width: 0,
                height: 3,
                depth: 2
            }),
            Some(100)
        );
        assert_eq!(
            dst.end(&Extent {
                width: u64::MAX,
                height: 2,
                depth: 1
            }),
            None
        );
    }
}
