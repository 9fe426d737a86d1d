//! What the software GPU's driver tells the libraries that belong to it, beside what it tells every program.

/// A `CUpointer_attribute` of our own: where the process itself finds the byte that a device pointer means, if the
/// current context's device may load and store there (`void *`; else `CUDA_ERROR_INVALID_VALUE`).
///
/// The addresses that programs see are never accessible on the host. The distance between both is the same for all
/// memory of a device, so what follows in one follows in the other.
pub const POINTER_ATTRIBUTE_VIEW: u32 = 0x7267_7075;
