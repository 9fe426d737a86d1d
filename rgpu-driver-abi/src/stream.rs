//! Stream handles that are numbers, not objects (`cuda.h`).

/// The null stream: what it means, legacy or per-thread, is decided by the entry point it is passed to.
pub const DEFAULT: usize = 0;

/// `CU_STREAM_LEGACY`: the stream that synchronises with all blocking streams of its context.
pub const LEGACY: usize = 1;

/// `CU_STREAM_PER_THREAD`: the calling thread's own default stream.
pub const PER_THREAD: usize = 2;

/// The stream that `handle` means in an entry point: a `_ptds` or `_ptsz` one takes the null stream for the
/// thread's own, any other for the legacy one. Handles of created streams come back unchanged.
pub const fn resolve(handle: usize, per_thread_entry_point: bool) -> usize {
    match (handle, per_thread_entry_point) {
        (DEFAULT, true) => PER_THREAD,
        (DEFAULT, false) => LEGACY,
        _ => handle,
    }
}

/// `CUstreamBatchMemOpParams`: its operation with what the members of the union have in common, numbers as they come.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct BatchMemOp {
    /// `CUstreamBatchMemOpType`.
    pub operation: u32,
    /// Flags of a barrier or flush.
    pub own_flags: u32,
    pub address: u64,
    pub value: u64,
    /// Flags of a wait or write.
    pub flags: u32,
    rest: [u32; 5],
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batched_operation_is_as_long_as_the_union() {
        let union = size_of::<cudarc::driver::sys::CUstreamBatchMemOpParams>();
        assert_eq!(size_of::<BatchMemOp>(), union);
    }

    #[test]
    fn only_the_null_stream_depends_on_the_entry_point() {
        assert_eq!(resolve(DEFAULT, false), LEGACY);
        assert_eq!(resolve(DEFAULT, true), PER_THREAD);
        for handle in [LEGACY, PER_THREAD, 0x1000] {
            assert_eq!(resolve(handle, false), handle);
            assert_eq!(resolve(handle, true), handle);
        }
    }
}
