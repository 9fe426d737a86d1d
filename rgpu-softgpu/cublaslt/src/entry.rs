//! The exported C functions, one per row.
//!
//! The row `0x5200 reply cublasLtCreate(light_handle: NewHandle<BlasLt>);` becomes
//!
//! ```text
//! #[export_name = "cublasLtCreate"] unsafe extern "C" fn export(light_handle: *mut *mut c_void) -> u32 {
//!     answer("cublasLtCreate", || unsafe { cublasLtCreate(light_handle) })
//! }
//! ```
#![allow(
    non_snake_case,
    clippy::missing_safety_doc,
    clippy::too_many_arguments,
    reason = "names, arguments and contracts are those of the C API"
)]

use std::ffi::c_char;

use rgpu_proto::handle::*;
use rgpu_proto::kinds::*;
use rgpu_softgpu_math::blas::status::{self, Result, Status, answer};
use rgpu_softgpu_math::log;

/// A function for every row, which answers that it is not supported.
mod missing {
    use super::*;

    macro_rules! rows {
        ($($id:literal $class:ident $name:ident ($($param:ident : $kind:ty),*);)*) => {$(
            #[allow(dead_code, reason = "`api` has it")]
            pub(super) unsafe fn $name($(_: <$kind as Kind>::C),*) -> Result {
                log::absent(stringify!($name));
                Err(Status::NOT_SUPPORTED)
            }
        )*};
    }
    rgpu_proto::cublaslt_rows!(rows);
}

/// A function of `api` if there is one: the block looks there first. Else that of [`missing`].
mod exports {
    #[allow(unused_imports, reason = "no row need be missing")]
    use super::missing::*;
    use super::*;

    macro_rules! rows {
        ($($id:literal $class:ident $name:ident ($($param:ident : $kind:ty),*);)*) => {$(
            const _: () = {
                #[unsafe(export_name = stringify!($name))]
                unsafe extern "C" fn export($($param: <$kind as Kind>::C),*) -> u32 {
                    #[allow(unused_imports, reason = "`api` need not have it")]
                    use crate::api::*;
                    // SAFETY: the caller keeps the contract of the C function.
                    answer(stringify!($name), || unsafe { $name($($param),*) })
                }
            };
        )*};
    }
    rgpu_proto::cublaslt_rows!(rows);
}

/// `cublasLtGetStatusName`.
#[unsafe(no_mangle)]
pub extern "C" fn cublasLtGetStatusName(status: u32) -> *const c_char {
    status::name(status)
}

/// `cublasLtGetStatusString`.
#[unsafe(no_mangle)]
pub extern "C" fn cublasLtGetStatusString(status: u32) -> *const c_char {
    status::meaning(status)
}

/// `cublasLtGetCudartVersion`.
#[unsafe(no_mangle)]
pub extern "C" fn cublasLtGetCudartVersion() -> usize {
    12_090
}

/// `cublasLtGetVersion`.
#[unsafe(no_mangle)]
pub extern "C" fn cublasLtGetVersion() -> usize {
    let [major, minor, patch] = status::VERSION.map(|part| part as usize);
    major * 10_000 + minor * 100 + patch
}
