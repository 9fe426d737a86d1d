//! What cuBLAS and cuBLASLt share: `cublasStatus_t` (cuBLAS, "cublasStatus_t") and their release.

use std::ffi::CStr;

use rgpu_proto::library::Fault;

/// Of the CUDA release whose functions the libraries have.
pub const CUDART_VERSION: usize = 12090;

const STATUSES: [(u32, &CStr, &CStr); 11] = [
    (0, c"CUBLAS_STATUS_SUCCESS", c"success"),
    (
        1,
        c"CUBLAS_STATUS_NOT_INITIALIZED",
        c"the library was not initialized",
    ),
    (
        3,
        c"CUBLAS_STATUS_ALLOC_FAILED",
        c"the resource allocation failed",
    ),
    (
        7,
        c"CUBLAS_STATUS_INVALID_VALUE",
        c"an invalid value was used",
    ),
    (
        8,
        c"CUBLAS_STATUS_ARCH_MISMATCH",
        c"the device lacks a feature that is needed",
    ),
    (
        11,
        c"CUBLAS_STATUS_MAPPING_ERROR",
        c"an access to the device's memory failed",
    ),
    (
        13,
        c"CUBLAS_STATUS_EXECUTION_FAILED",
        c"the function failed to launch on the GPU",
    ),
    (
        14,
        c"CUBLAS_STATUS_INTERNAL_ERROR",
        c"an internal operation failed",
    ),
    (
        15,
        c"CUBLAS_STATUS_NOT_SUPPORTED",
        c"the functionality is not supported",
    ),
    (
        16,
        c"CUBLAS_STATUS_LICENSE_ERROR",
        c"the functionality needs a license",
    ),
    (u32::MAX, c"cublasStatus_t unknown", c"unknown status"),
];

/// The status of a fault.
pub fn status(fault: Fault) -> u32 {
    match fault {
        Fault::Library(code) => code,
        // CUBLAS_STATUS_NOT_INITIALIZED, as the real library answers a handle that is none.
        Fault::Handle => 1,
        // CUBLAS_STATUS_ALLOC_FAILED
        Fault::Memory => 3,
        // CUBLAS_STATUS_INVALID_VALUE
        Fault::Value => 7,
        // CUBLAS_STATUS_EXECUTION_FAILED
        Fault::Driver(_) => 13,
        // CUBLAS_STATUS_NOT_SUPPORTED
        Fault::Missing => 15,
    }
}

fn row(status: u32) -> &'static (u32, &'static CStr, &'static CStr) {
    STATUSES
        .iter()
        .find(|row| row.0 == status || row.0 == u32::MAX)
        .unwrap_or(&STATUSES[0])
}

/// The name of a status.
pub fn name(status: u32) -> &'static CStr {
    row(status).1
}

/// What it means.
pub fn meaning(status: u32) -> &'static CStr {
    row(status).2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_has_its_name() {
        assert_eq!(name(15), c"CUBLAS_STATUS_NOT_SUPPORTED");
        assert_eq!(name(99), c"cublasStatus_t unknown");
    }
}
