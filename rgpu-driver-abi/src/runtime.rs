//! Telling NVIDIA's runtime from other callers of the driver.
//!
//! The runtime gives the driver's codes on unchanged and documents codes that `cuda.h` has not, so that the driver must
//! return them to the runtime and to nobody else. What tells it is how it loads its images (docs/cudart-13.md).

/// `CU_LIBRARY_BINARY_IS_PRESERVED` of `CUlibraryOption`: the image stays where it is.
const BINARY_IS_PRESERVED: u32 = 1;

/// Whether a library with these options is the runtime's.
///
/// # Safety
/// `options` has `count` items, or `count` is 0.
pub unsafe fn loads_library(options: *const u32, count: u32) -> bool {
    // SAFETY: the caller's promise.
    let option = |at: u32| unsafe { options.add(at as usize).read_unaligned() };
    !options.is_null() && (0..count).any(|at| option(at) == BINARY_IS_PRESERVED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_runtime_promises_to_keep_its_images() {
        const HOST_TABLE: u32 = 0;
        for (options, is_runtime) in [
            (vec![BINARY_IS_PRESERVED], true),
            (vec![HOST_TABLE, BINARY_IS_PRESERVED], true),
            (vec![HOST_TABLE], false),
            (vec![], false),
        ] {
            // SAFETY: a slice and its length.
            let found = unsafe { loads_library(options.as_ptr(), options.len() as u32) };
            assert_eq!(found, is_runtime, "{options:?}");
        }
        // SAFETY: no items.
        assert!(!unsafe { loads_library(std::ptr::null(), 0) });
    }
}
