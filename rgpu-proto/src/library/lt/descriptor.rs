//! A descriptor in the application's memory, which may copy it.

use std::ffi::c_void;

use super::{Attribute, Attributes, Shape};
use crate::library::Fault;

/// Bytes of what a descriptor starts with: the mark of its kind, and how many bytes it has.
const HEAD: usize = size_of::<u64>();

/// A descriptor in memory: its mark and size, then its attributes one after the other.
#[derive(Debug, Clone, Copy)]
pub struct Descriptor {
    at: *mut u8,
    bytes: usize,
    shape: &'static Shape,
}

impl Descriptor {
    /// Makes a descriptor of the `bytes` at `at`, all attributes at their defaults.
    ///
    /// # Errors
    /// Null, or fewer bytes than any release of CUDA 12 has.
    ///
    /// # Safety
    /// A non-null `at` has as many bytes.
    pub unsafe fn init(
        shape: &'static Shape,
        at: *mut c_void,
        bytes: usize,
    ) -> Result<Self, Fault> {
        let [least, most] = shape.bytes;
        if at.is_null() {
            return Err(Fault::Value);
        }
        if bytes < least {
            // As the C functions say of too little room.
            return Err(Fault::Memory);
        }
        let descriptor = Self {
            at: at.cast(),
            bytes: bytes.min(most),
            shape,
        };
        let head = u64::from(shape.mark) << 32 | descriptor.bytes as u64;
        // SAFETY: the caller's promise; a head fits into the least size.
        unsafe { descriptor.at.cast::<u64>().write_unaligned(head) };
        for attribute in shape.attributes {
            // An attribute that has no room keeps its default, which `get` knows.
            let _ = descriptor.put(attribute.number, attribute.default);
        }
        Ok(descriptor)
    }

    /// The descriptor at `at`.
    ///
    /// # Errors
    /// Null, or what lies there is no descriptor of this kind.
    ///
    /// # Safety
    /// A non-null `at` has as many bytes as a descriptor of this kind has at least.
    pub unsafe fn open(shape: &'static Shape, at: *mut c_void) -> Result<Self, Fault> {
        if at.is_null() {
            return Err(Fault::Value);
        }
        // SAFETY: the caller's promise.
        let head = unsafe { at.cast::<u64>().read_unaligned() };
        let bytes = (head & 0xffff_ffff) as usize;
        let [least, most] = shape.bytes;
        if head >> 32 != u64::from(shape.mark) || !(least..=most).contains(&bytes) {
            return Err(Fault::Value);
        }
        Ok(Self {
            at: at.cast(),
            bytes,
            shape,
        })
    }

    /// A descriptor in memory of its own, as large as the C structure, which [`Self::free`] gives back.
    ///
    /// # Errors
    /// None: sizes of kinds are right.
    pub fn create(shape: &'static Shape) -> Result<Self, Fault> {
        let bytes = shape.bytes[1];
        let memory = Box::into_raw(vec![0u64; bytes / size_of::<u64>()].into_boxed_slice());
        // SAFETY: there are as many bytes.
        unsafe { Self::init(shape, memory.cast(), bytes) }
    }

    /// Gives the memory of a descriptor back.
    ///
    /// # Safety
    /// It comes from [`Self::create`], and is not used again.
    pub unsafe fn free(self) {
        // A pointer that is used again is no descriptor any more, as long as nobody else has the memory.
        // SAFETY: a descriptor has a head.
        unsafe { self.at.cast::<u64>().write_volatile(0) };
        let words = self.shape.bytes[1] / size_of::<u64>();
        let memory = std::ptr::slice_from_raw_parts_mut(self.at.cast::<u64>(), words);
        // SAFETY: the caller's promise; `create` made such a slice.
        drop(unsafe { Box::from_raw(memory) });
    }

    /// Where it is.
    pub const fn pointer(&self) -> *mut c_void {
        self.at.cast()
    }

    /// An attribute that this descriptor has room for, and where.
    fn place(&self, number: u32) -> Option<(&'static Attribute, *mut u8)> {
        let mut offset = HEAD;
        for attribute in self.shape.attributes {
            let end = offset + attribute.bytes;
            if attribute.number == number {
                // SAFETY: within the descriptor, as checked.
                return (end <= self.bytes).then(|| (attribute, unsafe { self.at.add(offset) }));
            }
            offset = end;
        }
        None
    }

    /// The value of an attribute.
    ///
    /// # Errors
    /// There is none of this number, or no room for it.
    pub fn get(&self, number: u32) -> Result<u64, Fault> {
        let (attribute, at) = self.place(number).ok_or(Fault::Value)?;
        let mut value = [0; 8];
        // SAFETY: `place` found as many bytes; a value has at most eight.
        unsafe { std::ptr::copy_nonoverlapping(at, value.as_mut_ptr(), attribute.bytes) };
        Ok(u64::from_le_bytes(value))
    }

    /// Gives an attribute a value.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub fn put(&self, number: u32, value: u64) -> Result<(), Fault> {
        let (attribute, at) = self.place(number).ok_or(Fault::Value)?;
        let value = value.to_le_bytes();
        // SAFETY: `place` found as many bytes; a value has at most eight.
        unsafe { std::ptr::copy_nonoverlapping(value.as_ptr(), at, attribute.bytes) };
        Ok(())
    }

    /// A C function `…SetAttribute`.
    ///
    /// # Errors
    /// Null, another size than the attribute has, or as [`Self::get`].
    ///
    /// # Safety
    /// A non-null `from` has `bytes` bytes.
    pub unsafe fn set_attribute(
        &self,
        number: u32,
        from: *const c_void,
        bytes: usize,
    ) -> Result<(), Fault> {
        let (attribute, at) = self.place(number).ok_or(Fault::Value)?;
        if from.is_null() || bytes != attribute.bytes {
            return Err(Fault::Value);
        }
        // SAFETY: the caller's promise, and as many bytes as `place` found.
        unsafe { std::ptr::copy_nonoverlapping(from.cast(), at, bytes) };
        Ok(())
    }

    /// A C function `…GetAttribute`: 0 `bytes` ask how many there are.
    ///
    /// # Errors
    /// Neither bytes nor `written`, bytes but no `to`, another size than the attribute has, or as [`Self::get`].
    ///
    /// # Safety
    /// A non-null `to` has room for `bytes` bytes, a non-null `written` for a number.
    pub unsafe fn get_attribute(
        &self,
        number: u32,
        to: *mut c_void,
        bytes: usize,
        written: *mut usize,
    ) -> Result<(), Fault> {
        let (attribute, at) = self.place(number).ok_or(Fault::Value)?;
        let asks = bytes == 0;
        if (asks && written.is_null()) || (!asks && (to.is_null() || bytes != attribute.bytes)) {
            return Err(Fault::Value);
        }
        if !asks {
            // SAFETY: the caller's promise, and as many bytes as `place` found.
            unsafe { std::ptr::copy_nonoverlapping(at, to.cast(), bytes) };
        }
        if !written.is_null() {
            // SAFETY: the caller's promise.
            unsafe { written.write_unaligned(attribute.bytes) };
        }
        Ok(())
    }

    /// What differs from the defaults.
    pub fn changed(&self) -> Attributes {
        let mut changed = Attributes::new();
        for attribute in self.shape.attributes {
            if let Ok(value) = self.get(attribute.number)
                && value != attribute.default
            {
                changed.push((attribute.number, value));
            }
        }
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::super::{LAYOUT, MATMUL, PREFERENCE, TRANSFORM};
    use super::*;

    const VALUE: u64 = 0x1122_3344_5566_7788;

    #[test]
    fn every_attribute_of_cuda_12_9_fits_into_its_structure() {
        for shape in [&MATMUL, &LAYOUT, &PREFERENCE, &TRANSFORM] {
            let descriptor = Descriptor::create(shape).unwrap();
            for attribute in shape.attributes {
                assert_eq!(descriptor.get(attribute.number), Ok(attribute.default));
            }
            assert_eq!(descriptor.changed(), vec![]);
            for attribute in shape.attributes {
                descriptor.put(attribute.number, VALUE).unwrap();
            }
            for attribute in shape.attributes {
                let value = descriptor.get(attribute.number);
                assert_eq!(value, Ok(attribute.trim(VALUE)));
            }
            assert_eq!(descriptor.changed().len(), shape.attributes.len());
            // SAFETY: created above.
            unsafe { descriptor.free() };
        }
    }

    #[test]
    fn a_structure_of_cuda_12_0_has_the_attributes_of_its_time() {
        let mut memory = [u64::MAX; 24];
        let at = memory.as_mut_ptr().cast();
        // SAFETY: there are 192 bytes.
        let descriptor = unsafe { Descriptor::init(&MATMUL, at, 184) }.unwrap();
        // CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE is the last of CUDA 12.0.
        descriptor.put(26, 2).unwrap();
        assert_eq!(descriptor.get(26), Ok(2));
        assert_eq!(descriptor.put(37, 1), Err(Fault::Value));
        assert_eq!(memory[23], u64::MAX);
    }

    #[test]
    fn too_little_memory_and_none_are_refused() {
        let mut memory = [0u64; 32];
        let at = memory.as_mut_ptr().cast();
        // SAFETY: there are as many bytes.
        unsafe {
            // The structures of CUDA 11 had 88 and 96 bytes.
            assert!(matches!(
                Descriptor::init(&MATMUL, at, 96),
                Err(Fault::Memory)
            ));
            assert!(matches!(
                Descriptor::init(&LAYOUT, at, 56),
                Err(Fault::Memory)
            ));
            let null = std::ptr::null_mut();
            assert!(matches!(
                Descriptor::init(&LAYOUT, null, 64),
                Err(Fault::Value)
            ));
            assert!(matches!(Descriptor::open(&LAYOUT, null), Err(Fault::Value)));
        }
    }

    #[test]
    fn a_copy_is_a_descriptor() {
        let mut memory = [0u64; 8];
        // SAFETY: there are 64 bytes.
        let original =
            unsafe { Descriptor::init(&LAYOUT, memory.as_mut_ptr().cast(), 64) }.unwrap();
        original.put(2, 640).unwrap();
        let mut copy = memory;
        original.put(2, 480).unwrap();
        // SAFETY: as above.
        let copied = unsafe { Descriptor::open(&LAYOUT, copy.as_mut_ptr().cast()) }.unwrap();
        assert_eq!(copied.changed(), vec![(2, 640)]);
    }

    #[test]
    fn what_is_no_descriptor_of_the_kind_is_refused() {
        let mut memory = [0u64; 32];
        let at = memory.as_mut_ptr().cast();
        // SAFETY: there are 256 bytes.
        unsafe {
            assert!(Descriptor::open(&MATMUL, at).is_err());
            Descriptor::init(&MATMUL, at, 256).unwrap();
            assert!(Descriptor::open(&LAYOUT, at).is_err());
            assert!(Descriptor::open(&MATMUL, at).is_ok());
        }
        // A size that no structure has.
        memory[0] = memory[0] & !0xffff_ffff | 8192;
        // SAFETY: as above.
        assert!(unsafe { Descriptor::open(&MATMUL, memory.as_mut_ptr().cast()) }.is_err());
    }

    #[test]
    fn sizes_must_be_the_attributes_own() {
        let descriptor = Descriptor::create(&PREFERENCE).unwrap();
        let mut value = 32u64 << 20;
        let at = (&raw mut value).cast::<c_void>();
        let mut written = 0;
        let null = std::ptr::null_mut();
        // SAFETY: `value` and `written` are live, and as large as is said or more.
        unsafe {
            // CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES is a uint64_t.
            assert_eq!(descriptor.set_attribute(1, at, 4), Err(Fault::Value));
            assert_eq!(descriptor.set_attribute(1, null, 8), Err(Fault::Value));
            assert_eq!(descriptor.set_attribute(99, at, 8), Err(Fault::Value));
            assert_eq!(descriptor.set_attribute(1, at, 8), Ok(()));
            value = 0;
            let get = |to, bytes, written| descriptor.get_attribute(1, to, bytes, written);
            assert_eq!(get(null, 0, &raw mut written), Ok(()));
            assert_eq!(written, 8);
            assert_eq!(get(null, 0, null.cast()), Err(Fault::Value));
            assert_eq!(get(null, 8, &raw mut written), Err(Fault::Value));
            assert_eq!(get(at, 4, &raw mut written), Err(Fault::Value));
            assert_eq!(get(at, 8, null.cast()), Ok(()));
            assert_eq!(value, 32 << 20);
            descriptor.free();
        }
    }
}
