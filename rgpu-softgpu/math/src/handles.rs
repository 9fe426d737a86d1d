//! Tables of what a library hands out as opaque pointers.
//!
//! The pointers are numbers that lead nowhere: one that was not handed out, or was taken back, is not found.

use std::collections::HashMap;
use std::ffi::c_void;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

/// The bits of handles of cuBLAS, which cuBLASLt takes too, as documented.
pub const CUBLAS: usize = 0x7262 << 32;
/// The bits of handles of cuBLASLt.
pub const CUBLASLT: usize = 0x726c << 32;

/// Handles and what they stand for.
#[derive(Debug)]
pub struct Handles<T> {
    bits: usize,
    next: AtomicUsize,
    live: RwLock<Option<HashMap<usize, Arc<T>>>>,
}

impl<T> Handles<T> {
    /// A table whose handles have `bits` set above their lower 32.
    pub const fn new(bits: usize) -> Self {
        Self {
            bits,
            next: AtomicUsize::new(1),
            live: RwLock::new(None),
        }
    }

    /// A new handle.
    pub fn add(&self, value: T) -> *mut c_void {
        let number = self.next.fetch_add(1, Ordering::Relaxed) & 0xffff_ffff;
        let mut live = self.live.write().unwrap_or_else(PoisonError::into_inner);
        live.get_or_insert_default()
            .insert(self.bits | number, Arc::new(value));
        std::ptr::without_provenance_mut(self.bits | number)
    }

    /// What a handle stands for.
    pub fn get(&self, handle: *mut c_void) -> Option<Arc<T>> {
        let live = self.live.read().unwrap_or_else(PoisonError::into_inner);
        live.as_ref()?.get(&handle.addr()).cloned()
    }

    /// Takes a handle back.
    pub fn remove(&self, handle: *mut c_void) -> Option<Arc<T>> {
        let mut live = self.live.write().unwrap_or_else(PoisonError::into_inner);
        live.as_mut()?.remove(&handle.addr())
    }
}

/// Whether a handle has these bits.
pub fn has_bits(handle: *mut c_void, bits: usize) -> bool {
    handle.addr() & !0xffff_ffff == bits && handle.addr() != bits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_is_found_until_it_is_taken_back() {
        static TABLE: Handles<u32> = Handles::new(CUBLAS);
        assert!(TABLE.get(std::ptr::null_mut()).is_none());
        let (one, two) = (TABLE.add(1), TABLE.add(2));
        assert_eq!(
            (TABLE.get(one).as_deref(), TABLE.get(two).as_deref()),
            (Some(&1), Some(&2))
        );
        assert!(has_bits(one, CUBLAS) && !has_bits(one, CUBLASLT));
        assert_eq!(TABLE.remove(one).as_deref(), Some(&1));
        assert!(TABLE.get(one).is_none() && TABLE.remove(one).is_none());
    }
}
