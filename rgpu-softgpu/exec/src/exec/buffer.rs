//! Memory for the threads of a block: local memory, and frames. Zeros at first, later what the last block has left.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};

/// A cache line.
const ALIGN: usize = 64;
/// Vector loads of the last elements stay inside.
const SLACK: usize = 64;

/// A buffer that only kernels read and write.
#[derive(Debug)]
pub(crate) struct Buffer {
    pointer: *mut u8,
    layout: Option<Layout>,
}

impl Buffer {
    pub(crate) fn new(size: usize) -> Self {
        if size == 0 {
            return Self {
                pointer: std::ptr::without_provenance_mut(ALIGN),
                layout: None,
            };
        }
        let Ok(layout) = Layout::from_size_align(size + SLACK, ALIGN) else {
            handle_alloc_error(Layout::new::<[u8; ALIGN]>())
        };
        // SAFETY: the size is not zero.
        let pointer = unsafe { alloc_zeroed(layout) };
        if pointer.is_null() {
            handle_alloc_error(layout);
        }
        Self {
            pointer,
            layout: Some(layout),
        }
    }

    pub(crate) fn pointer(&self) -> *mut u8 {
        self.pointer
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if let Some(layout) = self.layout {
            // SAFETY: allocated in `new` with this layout.
            unsafe { dealloc(self.pointer, layout) };
        }
    }
}
