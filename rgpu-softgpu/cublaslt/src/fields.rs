//! Descriptors: attributes by number, packed one after the other behind a mark that says what it is.
//!
//! Programs own the memory of descriptors, may put them on their stack, and copy them; so they hold no pointers to
//! anything of ours.

use std::ffi::c_void;

use rgpu_softgpu_math::blas::status::{Result, Status, require};

/// One attribute: its number, bytes, and default.
type Field = (u32, usize, u64);

/// A kind of descriptor.
#[derive(Debug)]
pub(crate) struct Layout {
    mark: u64,
    fields: &'static [Field],
}

const MARK: usize = size_of::<u64>();

impl Layout {
    /// Bytes of a descriptor.
    pub(crate) fn bytes(&self) -> usize {
        MARK + self.fields.iter().map(|(_, bytes, _)| bytes).sum::<usize>()
    }

    /// Where an attribute is, and how long.
    fn find(&self, attribute: u32) -> Result<(usize, usize)> {
        let mut at = MARK;
        for &(number, bytes, _) in self.fields {
            if number == attribute {
                return Ok((at, bytes));
            }
            at += bytes;
        }
        Err(Status::INVALID_VALUE)
    }

    /// Makes `size` bytes at `pointer` a descriptor with all defaults.
    ///
    /// # Safety
    /// `pointer` is null, or `size` bytes there may be written.
    pub(crate) unsafe fn write(&'static self, pointer: *mut c_void, size: usize) -> Result<Fields> {
        require(!pointer.is_null() && size >= self.bytes())?;
        let fields = Fields {
            pointer: pointer.cast(),
            layout: self,
        };
        // SAFETY: the caller's promise.
        unsafe { fields.pointer.cast::<u64>().write_unaligned(self.mark) };
        for &(attribute, bytes, default) in self.fields {
            // SAFETY: the caller's promise; `attribute` is one of these fields.
            unsafe { fields.set(attribute, (&raw const default).cast(), bytes)? };
        }
        Ok(fields)
    }

    /// A descriptor in memory of ours; [`Self::free`] takes it back.
    pub(crate) fn create(&'static self) -> Result<Fields> {
        let room = vec![0u64; self.bytes().div_ceil(MARK)].into_boxed_slice();
        let pointer = Box::into_raw(room).cast::<c_void>();
        // SAFETY: the room has as many bytes.
        unsafe { self.write(pointer, self.bytes()) }
    }

    /// The descriptor at `pointer`.
    ///
    /// # Safety
    /// `pointer` is null, or a descriptor of any kind.
    pub(crate) unsafe fn open(&'static self, pointer: *const c_void) -> Result<Fields> {
        require(!pointer.is_null())?;
        let fields = Fields {
            pointer: pointer.cast_mut().cast(),
            layout: self,
        };
        // SAFETY: every descriptor starts with its mark.
        require(unsafe { fields.pointer.cast::<u64>().read_unaligned() } == self.mark)?;
        Ok(fields)
    }

    /// Frees a descriptor of [`Self::create`].
    ///
    /// # Safety
    /// `pointer` is null, or came from there and was not freed.
    pub(crate) unsafe fn free(&'static self, pointer: *mut c_void) -> Result {
        if pointer.is_null() {
            return Ok(());
        }
        // SAFETY: the caller's promise.
        unsafe {
            let fields = self.open(pointer)?;
            fields.pointer.cast::<u64>().write_unaligned(0);
            let room = std::ptr::slice_from_raw_parts_mut(
                pointer.cast::<u64>(),
                self.bytes().div_ceil(MARK),
            );
            drop(Box::from_raw(room));
        }
        Ok(())
    }
}

/// A descriptor of a program.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fields {
    pointer: *mut u8,
    layout: &'static Layout,
}

impl Fields {
    pub(crate) fn pointer(self) -> *mut c_void {
        self.pointer.cast()
    }

    /// The value of an attribute that the layout has.
    ///
    /// # Panics
    /// It has none of that number, or not of that size.
    pub(crate) fn get<T: Copy>(self, attribute: u32) -> T {
        let (at, bytes) = self
            .layout
            .find(attribute)
            .expect("an attribute of this layout");
        assert_eq!(bytes, size_of::<T>(), "attribute {attribute}");
        // SAFETY: a descriptor holds all fields of its layout; any bytes are a value of the numbers they are read as.
        unsafe { self.pointer.add(at).cast::<T>().read_unaligned() }
    }

    /// Writes an attribute that the layout has, as [`Self::get`].
    pub(crate) fn put<T: Copy>(self, attribute: u32, value: T) {
        // SAFETY: the value is a local.
        let done = unsafe { self.set(attribute, (&raw const value).cast(), size_of::<T>()) };
        assert_eq!(done, Ok(()), "attribute {attribute}");
    }

    /// `…SetAttribute`.
    ///
    /// # Safety
    /// `from` is null, or `size` bytes there may be read.
    pub(crate) unsafe fn set(self, attribute: u32, from: *const c_void, size: usize) -> Result {
        let (at, bytes) = self.layout.find(attribute)?;
        require(!from.is_null() && size == bytes)?;
        // SAFETY: the caller's promise; the field lies inside of the descriptor.
        unsafe { std::ptr::copy_nonoverlapping(from.cast::<u8>(), self.pointer.add(at), bytes) };
        Ok(())
    }

    /// `…GetAttribute`: with no size, tells only how long it is.
    ///
    /// # Safety
    /// `to` is null, or `size` bytes there may be written; so may `written`.
    pub(crate) unsafe fn read(
        self,
        attribute: u32,
        to: *mut c_void,
        size: usize,
        written: *mut usize,
    ) -> Result {
        let (at, bytes) = self.layout.find(attribute)?;
        require(if size == 0 {
            !written.is_null()
        } else {
            !to.is_null() && size == bytes
        })?;
        // SAFETY: the caller's promise; the field lies inside of the descriptor.
        unsafe {
            if size != 0 {
                std::ptr::copy_nonoverlapping(self.pointer.add(at), to.cast::<u8>(), bytes);
            }
            if !written.is_null() {
                written.write(bytes);
            }
        }
        Ok(())
    }
}

/// Minus one, as a default.
const NONE: u64 = u64::MAX;

/// `cublasLtMatmulDescAttributes_t`.
pub(crate) mod product {
    use super::{Layout, NONE};

    pub(crate) const COMPUTE_TYPE: u32 = 0;
    pub(crate) const SCALE_TYPE: u32 = 1;
    pub(crate) const POINTER_MODE: u32 = 2;
    pub(crate) const TRANSA: u32 = 3;
    pub(crate) const TRANSB: u32 = 4;
    pub(crate) const TRANSC: u32 = 5;
    pub(crate) const FILL_MODE: u32 = 6;
    pub(crate) const EPILOGUE: u32 = 7;
    pub(crate) const BIAS: u32 = 8;
    pub(crate) const BIAS_STRIDE: u32 = 10;
    pub(crate) const AUX: u32 = 11;
    pub(crate) const AUX_LD: u32 = 12;
    pub(crate) const AUX_STRIDE: u32 = 13;
    pub(crate) const ALPHA_STRIDE: u32 = 14;
    /// Scales of A, B, C and D.
    pub(crate) const SCALES: [u32; 4] = [17, 18, 19, 20];
    pub(crate) const D_MAXIMUM: u32 = 21;
    pub(crate) const AUX_TYPE: u32 = 22;
    pub(crate) const AUX_SCALE: u32 = 23;
    pub(crate) const AUX_MAXIMUM: u32 = 24;
    pub(crate) const BIAS_TYPE: u32 = 26;
    /// What the scales of A, B, C, D and the auxiliary matrix are.
    pub(crate) const SCALE_MODES: [u32; 5] = [31, 32, 33, 34, 35];

    pub(crate) static LAYOUT: Layout = Layout {
        mark: u64::from_le_bytes(*b"rgpuprod"),
        fields: &[
            (COMPUTE_TYPE, 4, 0),
            (SCALE_TYPE, 4, 0),
            (POINTER_MODE, 4, 0),
            (TRANSA, 4, 0),
            (TRANSB, 4, 0),
            (TRANSC, 4, 0),
            (FILL_MODE, 4, 2),
            (EPILOGUE, 4, 1),
            (BIAS, 8, 0),
            (BIAS_STRIDE, 8, 0),
            (AUX, 8, 0),
            (AUX_LD, 8, 0),
            (AUX_STRIDE, 8, 0),
            (ALPHA_STRIDE, 8, 0),
            // How many multiprocessors to use, at most.
            (15, 4, 0),
            (SCALES[0], 8, 0),
            (SCALES[1], 8, 0),
            (SCALES[2], 8, 0),
            (SCALES[3], 8, 0),
            (D_MAXIMUM, 8, 0),
            (AUX_TYPE, 4, NONE),
            (AUX_SCALE, 8, 0),
            (AUX_MAXIMUM, 8, 0),
            // Whether sums of 8-bit floats may be less precise.
            (25, 1, 0),
            (BIAS_TYPE, 4, NONE),
            (SCALE_MODES[0], 4, 0),
            (SCALE_MODES[1], 4, 0),
            (SCALE_MODES[2], 4, 0),
            (SCALE_MODES[3], 4, 0),
            (SCALE_MODES[4], 4, 0),
        ],
    };
}

/// `cublasLtMatrixLayoutAttribute_t`.
pub(crate) mod matrix {
    use super::Layout;

    pub(crate) const TYPE: u32 = 0;
    pub(crate) const ORDER: u32 = 1;
    pub(crate) const ROWS: u32 = 2;
    pub(crate) const COLUMNS: u32 = 3;
    pub(crate) const LD: u32 = 4;
    pub(crate) const COUNT: u32 = 5;
    pub(crate) const STRIDE: u32 = 6;
    pub(crate) const PLANE_OFFSET: u32 = 7;

    pub(crate) static LAYOUT: Layout = Layout {
        mark: u64::from_le_bytes(*b"rgpumatr"),
        fields: &[
            (TYPE, 4, 0),
            (ORDER, 4, 0),
            (ROWS, 8, 0),
            (COLUMNS, 8, 0),
            (LD, 8, 0),
            (COUNT, 4, 1),
            (STRIDE, 8, 0),
            (PLANE_OFFSET, 8, 0),
        ],
    };
}

/// `cublasLtMatmulPreferenceAttributes_t`. None of them matters: no workspace is needed, and there is one algorithm.
pub(crate) mod preference {
    use super::Layout;

    pub(crate) static LAYOUT: Layout = Layout {
        mark: u64::from_le_bytes(*b"rgpupref"),
        fields: &[
            // Search mode, workspace, reduction schemes.
            (0, 4, 0),
            (1, 8, 0),
            (3, 4, 0xffff_ffff),
            // Least alignments of A, B, C and D.
            (5, 4, 256),
            (6, 4, 256),
            (7, 4, 256),
            (8, 4, 256),
            // Most waves, masks of pointer modes, epilogues, implementations.
            (9, 4, 0),
            (10, 4, 0),
            (11, 4, 0xffff_ffff),
            (12, 8, NONE),
        ],
    };
    use super::NONE;
}

/// `cublasLtMatrixTransformDescAttributes_t`.
pub(crate) mod transform {
    use super::Layout;

    pub(crate) const SCALE_TYPE: u32 = 0;
    pub(crate) const POINTER_MODE: u32 = 1;
    pub(crate) const TRANSA: u32 = 2;
    pub(crate) const TRANSB: u32 = 3;

    pub(crate) static LAYOUT: Layout = Layout {
        mark: u64::from_le_bytes(*b"rgputran"),
        fields: &[
            (SCALE_TYPE, 4, 0),
            (POINTER_MODE, 4, 0),
            (TRANSA, 4, 0),
            (TRANSB, 4, 0),
        ],
    };
}

/// `cublasLtMatmulAlgoConfigAttributes_t`: remembered, without effect.
pub(crate) mod algorithm {
    use super::Layout;

    pub(crate) const ID: u32 = 0;

    pub(crate) static LAYOUT: Layout = Layout {
        mark: u64::from_le_bytes(*b"rgpualgo"),
        fields: &[
            (ID, 4, 0),
            // Tile, parts of the sum, reduction scheme, order of blocks, option, stages.
            (1, 4, 0),
            (2, 4, 1),
            (3, 4, 0),
            (4, 4, 0),
            (5, 4, 0),
            (6, 4, 0),
            // Inner shape, shape of clusters.
            (7, 2, 0),
            (8, 2, 0),
        ],
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_fit_where_programs_have_room_for_them() {
        // The opaque structures of `cublasLt.h` 12.
        assert!(product::LAYOUT.bytes() <= 23 * 8);
        assert!(matrix::LAYOUT.bytes() <= 8 * 8);
        assert!(preference::LAYOUT.bytes() <= 8 * 8);
        assert!(transform::LAYOUT.bytes() <= 8 * 8);
        assert!(algorithm::LAYOUT.bytes() <= 8 * 8);
    }

    #[test]
    fn attributes_have_defaults_and_keep_what_is_set() {
        let fields = product::LAYOUT.create().unwrap();
        assert_eq!(fields.get::<u32>(product::EPILOGUE), 1);
        assert_eq!(fields.get::<i32>(product::BIAS_TYPE), -1);
        fields.put(product::BIAS, 0x1234_5678_9abc_u64);
        fields.put(product::EPILOGUE, 6u32);
        assert_eq!(fields.get::<u64>(product::BIAS), 0x1234_5678_9abc);
        assert_eq!(fields.get::<u32>(product::EPILOGUE), 6);
        assert_eq!(fields.get::<u64>(product::BIAS_STRIDE), 0);
        // SAFETY: it was created here; then it is only named.
        unsafe {
            assert!(matrix::LAYOUT.open(fields.pointer()).is_err());
            assert_eq!(product::LAYOUT.free(fields.pointer()), Ok(()));
        }
    }

    #[test]
    fn sizes_must_be_right() {
        let fields = matrix::LAYOUT.create().unwrap();
        let mut value = 0u64;
        let mut written = 0usize;
        // SAFETY: all pointers are to locals.
        unsafe {
            let value = (&raw mut value).cast::<c_void>();
            assert!(fields.set(matrix::ROWS, value, 4).is_err());
            assert!(fields.set(99, value, 8).is_err());
            assert!(
                fields
                    .read(matrix::ROWS, value, 4, &raw mut written)
                    .is_err()
            );
            assert!(
                fields
                    .read(matrix::ROWS, value, 0, std::ptr::null_mut())
                    .is_err()
            );
            assert_eq!(
                fields.read(matrix::ROWS, std::ptr::null_mut(), 0, &raw mut written),
                Ok(())
            );
            assert_eq!(written, 8);
            assert_eq!(matrix::LAYOUT.free(fields.pointer()), Ok(()));
        }
    }
}
