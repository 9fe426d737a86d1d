//! The exported C functions, one per row.
//!
//! The row `0x4000 reply cublasCreate_v2(handle: NewHandle<Blas>);` becomes
//!
//! ```text
//! #[export_name = "cublasCreate_v2"] unsafe extern "C" fn export(handle: *mut *mut c_void) -> u32 {
//!     answer("cublasCreate_v2", || unsafe { cublasCreate_v2(handle) })
//! }
//! ```
#![allow(
    non_snake_case,
    clippy::missing_safety_doc,
    clippy::too_many_arguments,
    reason = "names, arguments and contracts are those of the C API"
)]

use std::ffi::{c_char, c_int};

use rgpu_proto::handle::*;
use rgpu_proto::kinds::*;
use rgpu_softgpu_math::blas::status::{self, answer};
use rgpu_softgpu_math::log;

use crate::status::{Result, Status};

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
    rgpu_proto::cublas_rows!(rows);
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
    rgpu_proto::cublas_rows!(rows);
}

/// `cublasGetStatusName`.
#[unsafe(no_mangle)]
pub extern "C" fn cublasGetStatusName(status: u32) -> *const c_char {
    status::name(status)
}

/// `cublasGetStatusString`.
#[unsafe(no_mangle)]
pub extern "C" fn cublasGetStatusString(status: u32) -> *const c_char {
    status::meaning(status)
}

/// `cublasGetCudartVersion`.
#[unsafe(no_mangle)]
pub extern "C" fn cublasGetCudartVersion() -> usize {
    12_090
}

/// `cublasXerbla`: says which argument of a function is wrong.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cublasXerbla(name: *const c_char, argument: c_int) {
    log::start();
    if !name.is_null() {
        // SAFETY: the caller passes a C string.
        let name = unsafe { std::ffi::CStr::from_ptr(name) };
        tracing::error!(?name, argument, "an argument is wrong");
    }
}
