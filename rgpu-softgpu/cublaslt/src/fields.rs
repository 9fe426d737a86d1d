//! Descriptors: which attributes there are, and where they lie, is `rgpu_proto::library::lt`'s, for this library and the one
//! that forwards. Here are the numbers of those that are looked at.
//!
//! Programs own the memory of descriptors, may put them on their stack, and copy them; so they hold no pointers to
//! anything of ours.

use std::ffi::c_void;

use rgpu_proto::library::Fault;
use rgpu_proto::library::lt::{Descriptor, Shape};
use rgpu_softgpu_math::blas::status::{Result, Status};

/// The status of a fault that descriptors have.
fn status(fault: Fault) -> Status {
    match fault {
        Fault::Memory => Status::ALLOC_FAILED,
        _ => Status::INVALID_VALUE,
    }
}

/// A kind of descriptor.
#[derive(Debug)]
pub(crate) struct Layout(&'static Shape);

impl Layout {
    /// Makes `size` bytes at `pointer` a descriptor with all defaults.
    ///
    /// # Safety
    /// `pointer` is null, or `size` bytes there may be written.
    pub(crate) unsafe fn write(&self, pointer: *mut c_void, size: usize) -> Result<Fields> {
        // SAFETY: the caller's promise.
        let descriptor = unsafe { Descriptor::init(self.0, pointer, size) };
        self.fields(descriptor)
    }

    /// A descriptor in memory of ours; [`Self::free`] takes it back.
    pub(crate) fn create(&self) -> Result<Fields> {
        self.fields(Descriptor::create(self.0))
    }

    /// The descriptor at `pointer`.
    ///
    /// # Safety
    /// `pointer` is null, or a descriptor of any kind.
    pub(crate) unsafe fn open(&self, pointer: *const c_void) -> Result<Fields> {
        // SAFETY: the caller's promise.
        self.fields(unsafe { Descriptor::open(self.0, pointer.cast_mut()) })
    }

    fn fields(&self, descriptor: std::result::Result<Descriptor, Fault>) -> Result<Fields> {
        Ok(Fields {
            descriptor: descriptor.map_err(status)?,
            shape: self.0,
        })
    }

    /// Frees a descriptor of [`Self::create`].
    ///
    /// # Safety
    /// `pointer` is null, or came from there and was not freed.
    pub(crate) unsafe fn free(&self, pointer: *mut c_void) -> Result {
        if pointer.is_null() {
            return Ok(());
        }
        // SAFETY: the caller's promise.
        unsafe { self.open(pointer)?.descriptor.free() };
        Ok(())
    }
}

/// A descriptor of a program.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fields {
    descriptor: Descriptor,
    shape: &'static Shape,
}

impl Fields {
    pub(crate) fn pointer(self) -> *mut c_void {
        self.descriptor.pointer()
    }

    /// The bytes of an attribute, of which a descriptor of an older program may have no room for the newest.
    fn bytes(self, attribute: u32, size: usize) -> [u8; 8] {
        let known = self.shape.attribute(attribute);
        let known = known.expect("an attribute of this layout");
        assert_eq!(known.bytes, size, "attribute {attribute}");
        let value = self.descriptor.get(attribute);
        value.unwrap_or(known.default).to_le_bytes()
    }

    /// The value of an attribute that the layout has.
    ///
    /// # Panics
    /// It has none of that number, or not of that size.
    pub(crate) fn get<T: Copy>(self, attribute: u32) -> T {
        let bytes = self.bytes(attribute, size_of::<T>());
        // SAFETY: an attribute has at most eight bytes; any are a value of the numbers they are read as.
        unsafe { bytes.as_ptr().cast::<T>().read_unaligned() }
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
        // SAFETY: the caller's promise.
        unsafe { self.descriptor.set_attribute(attribute, from, size) }.map_err(status)
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
        // SAFETY: the caller's promise.
        let done = unsafe { self.descriptor.get_attribute(attribute, to, size, written) };
        done.map_err(status)
    }

    /// Refuses attributes that are set and that the software GPU would not heed.
    pub(crate) fn refuse(self, attributes: &[u32]) -> Result {
        let set = |&attribute: &u32| self.get::<u64>(attribute) != 0;
        match attributes.iter().any(set) {
            true => Err(Status::NOT_SUPPORTED),
            false => Ok(()),
        }
    }
}

/// `cublasLtMatmulDescAttributes_t`.
pub(crate) mod product {
    use rgpu_proto::library::lt;

    use super::Layout;

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
    pub(crate) const BIAS_TYPE: u32 = 26;
    /// What the scales of A, B, C, D and the auxiliary matrix are.
    pub(crate) const SCALE_MODES: [u32; 5] = [31, 32, 33, 34, 35];
    /// Scale and maximum of the auxiliary matrix; counters that a product waits for and raises; scales that it computes for D.
    pub(crate) const UNHEEDED: [u32; 5] = [23, 24, 29, 30, 36];

    pub(crate) static LAYOUT: Layout = Layout(&lt::MATMUL);
}

/// `cublasLtMatrixLayoutAttribute_t`.
pub(crate) mod matrix {
    use rgpu_proto::library::lt;

    use super::Layout;

    pub(crate) const TYPE: u32 = 0;
    pub(crate) const ORDER: u32 = 1;
    pub(crate) const ROWS: u32 = 2;
    pub(crate) const COLUMNS: u32 = 3;
    pub(crate) const LD: u32 = 4;
    pub(crate) const COUNT: u32 = 5;
    pub(crate) const STRIDE: u32 = 6;
    pub(crate) const PLANE_OFFSET: u32 = 7;
    /// Whether batches lie at equal distances, which is 0, or at addresses.
    pub(crate) const BATCH_MODE: u32 = 8;

    pub(crate) static LAYOUT: Layout = Layout(&lt::LAYOUT);
}

/// `cublasLtMatmulPreferenceAttributes_t`. None of them matters: no workspace is needed, and there is one algorithm.
pub(crate) mod preference {
    use rgpu_proto::library::lt;

    use super::Layout;

    pub(crate) static LAYOUT: Layout = Layout(&lt::PREFERENCE);
}

/// `cublasLtMatrixTransformDescAttributes_t`.
pub(crate) mod transform {
    use rgpu_proto::library::lt;

    use super::Layout;

    pub(crate) const SCALE_TYPE: u32 = 0;
    pub(crate) const POINTER_MODE: u32 = 1;
    pub(crate) const TRANSA: u32 = 2;
    pub(crate) const TRANSB: u32 = 3;

    pub(crate) static LAYOUT: Layout = Layout(&lt::TRANSFORM);
}

/// `cublasLtMatmulAlgoConfigAttributes_t`: remembered, without effect. What an algorithm holds is each library's own.
pub(crate) mod algorithm {
    use rgpu_proto::library::lt::{Attribute, Shape};

    use super::Layout;

    pub(crate) const ID: u32 = 0;

    static SHAPE: Shape = Shape::new(
        *b"rgLa",
        [64, 64],
        &[
            Attribute::new(ID, 4),
            // Tile, parts of the sum, reduction scheme, order of blocks, option, stages.
            Attribute::new(1, 4),
            Attribute::new(2, 4).or(1),
            Attribute::new(3, 4),
            Attribute::new(4, 4),
            Attribute::new(5, 4),
            Attribute::new(6, 4),
            // Inner shape, shape of clusters.
            Attribute::new(7, 2),
            Attribute::new(8, 2),
        ],
    );

    pub(crate) static LAYOUT: Layout = Layout(&SHAPE);
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn what_would_not_be_heeded_is_refused() {
        let fields = product::LAYOUT.create().unwrap();
        assert_eq!(fields.refuse(&product::UNHEEDED), Ok(()));
        fields.put(product::UNHEEDED[2], 0x1000u64);
        assert_eq!(
            fields.refuse(&product::UNHEEDED),
            Err(Status::NOT_SUPPORTED)
        );
        // SAFETY: it was created here.
        assert_eq!(unsafe { product::LAYOUT.free(fields.pointer()) }, Ok(()));
    }
}
