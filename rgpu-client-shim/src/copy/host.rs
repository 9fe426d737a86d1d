//! A box of bytes in the application's memory, and which pieces of it a run of packed bytes covers.

use std::io::IoSlice;

/// Rows of host memory. The address belongs to the application, which promised that the rows are valid
/// memory until the copy is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HostBox {
    /// Address of the first byte.
    pub(crate) at: usize,
    /// Bytes from row to row.
    pub(crate) pitch: usize,
    /// Bytes from slice to slice.
    pub(crate) slice: usize,
    /// Bytes of a row.
    pub(crate) width: usize,
    /// Rows of a slice.
    pub(crate) height: usize,
    /// Slices.
    pub(crate) depth: usize,
}

impl HostBox {
    /// `len` bytes in one row.
    pub(crate) const fn linear(at: usize, len: usize) -> Self {
        Self {
            at,
            pitch: len,
            slice: len,
            width: len,
            height: 1,
            depth: 1,
        }
    }

    /// Bytes in all.
    pub(crate) const fn len(&self) -> usize {
        self.width * self.height * self.depth
    }

    /// Whether the bytes lie one after the other.
    const fn is_packed(&self) -> bool {
        (self.height == 1 || self.pitch == self.width)
            && (self.depth == 1 || self.slice == self.width * self.height)
    }

    /// One past the last byte.
    pub(crate) const fn end(&self) -> usize {
        if self.len() == 0 {
            return self.at;
        }
        self.at + self.slice * (self.depth - 1) + self.pitch * (self.height - 1) + self.width
    }

    /// Whether this box and [at, end) could share bytes.
    pub(crate) const fn touches(&self, at: usize, end: usize) -> bool {
        self.at < end && at < self.end()
    }

    /// Address and length of the pieces that `len` packed bytes from `offset` stand for.
    pub(crate) fn pieces(&self, offset: usize, len: usize) -> impl Iterator<Item = (usize, usize)> {
        let this = if self.is_packed() {
            Self::linear(self.at, self.len())
        } else {
            *self
        };
        let end = (offset + len).min(this.len());
        let mut next = offset;
        std::iter::from_fn(move || {
            if next >= end {
                return None;
            }
            let (row, column) = (next / this.width, next % this.width);
            let start = this.at
                + this.slice * (row / this.height)
                + this.pitch * (row % this.height)
                + column;
            let now = (this.width - column).min(end - next);
            next += now;
            Some((start, now))
        })
    }

    /// Gathers `len` packed bytes from `offset`: borrowed where they lie together, else through `scratch`.
    ///
    /// # Safety
    /// The rows are readable, as the application promised; what it returns is used before the copy is over.
    pub(crate) unsafe fn gather<'a>(
        &self,
        offset: usize,
        len: usize,
        scratch: &'a mut Vec<u8>,
    ) -> IoSlice<'a> {
        let mut pieces = self.pieces(offset, len);
        if let (Some((at, now)), None) = (pieces.next(), pieces.next()) {
            // SAFETY: the caller's promise.
            return IoSlice::new(unsafe { std::slice::from_raw_parts(at as *const u8, now) });
        }
        scratch.clear();
        for (at, now) in self.pieces(offset, len) {
            // SAFETY: the caller's promise.
            scratch.extend_from_slice(unsafe { std::slice::from_raw_parts(at as *const u8, now) });
        }
        IoSlice::new(scratch)
    }

    /// Spreads packed bytes from `offset` on over the rows.
    ///
    /// # Safety
    /// The rows are writable, as the application promised.
    pub(crate) unsafe fn scatter(&self, offset: usize, bytes: &[u8]) {
        let mut left = bytes;
        for (at, now) in self.pieces(offset, bytes.len()) {
            let (head, tail) = left.split_at(now);
            // SAFETY: the caller's promise; `head` is memory of ours, so the two do not overlap.
            unsafe { std::ptr::copy_nonoverlapping(head.as_ptr(), at as *mut u8, now) };
            left = tail;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn packed_rows_are_one_piece() {
        let rows = HostBox {
            at: 100,
            pitch: 8,
            slice: 32,
            width: 8,
            height: 4,
            depth: 2,
        };
        assert_eq!(rows.pieces(3, 50).collect::<Vec<_>>(), [(103, 50)]);
    }

    #[test]
    fn pitched_rows_are_a_piece_each() {
        let rows = HostBox {
            at: 100,
            pitch: 10,
            slice: 100,
            width: 4,
            height: 2,
            depth: 2,
        };
        let pieces: Vec<_> = rows.pieces(2, 12).collect();
        assert_eq!(pieces, [(102, 2), (110, 4), (200, 4), (210, 2)]);
        assert_eq!(rows.end(), 214);
    }

    proptest! {
        #[test]
        fn what_is_gathered_is_scattered_back(
            width in 1_usize..20, height in 1_usize..6, depth in 1_usize..4,
            gap in 0_usize..5, chunk in 1_usize..40,
        ) {
            let pitch = width + gap;
            let slice = pitch * height + gap;
            let from: Vec<u8> = (0..slice * depth).map(|i| i as u8).collect();
            let mut to = vec![0_u8; from.len()];
            let source = HostBox { at: from.as_ptr() as usize, pitch, slice, width, height, depth };
            let target = HostBox { at: to.as_mut_ptr() as usize, ..source };
            let mut scratch = Vec::new();
            let mut at = 0;
            while at < source.len() {
                let now = chunk.min(source.len() - at);
                // SAFETY: both boxes lie inside the vectors above.
                unsafe {
                    let piece = source.gather(at, now, &mut scratch);
                    target.scatter(at, &piece);
                }
                at += now;
            }
            for row in 0..height * depth {
                let start = slice * (row / height) + pitch * (row % height);
                prop_assert_eq!(&from[start..start + width], &to[start..start + width]);
            }
        }
    }
}
