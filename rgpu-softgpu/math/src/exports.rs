//! The exported C functions of a library, one per row.
//!
//! The crate that uses these has a module `api` with the functions that it implements, under the rows' names, and where
//! the macros stand a `Result` of its statuses, `Status::NOT_SUPPORTED` and `answer`, which runs a body. With
//! `rgpu_proto::cublas_rows!(missing_rows);` in a module `missing`, and `rgpu_proto::cublas_rows!(export_rows);` beside
//! a `use missing::*`, the row `0x4000 reply judged cublasCreate_v2(handle: NewHandle<Blas>);` becomes
//!
//! ```text
//! #[export_name = "cublasCreate_v2"] unsafe extern "C" fn export(handle: *mut *mut c_void) -> u32 {
//!     answer("cublasCreate_v2", || unsafe { cublasCreate_v2(handle) })
//! }
//! ```
//!
//! whose body is the function of `api`, if there is one, else that of `missing`.

/// A function for every row, which answers that it is not supported.
#[macro_export]
macro_rules! missing_rows {
    ($($id:literal $class:ident $why:ident $name:ident ($($param:ident : $kind:ty),*);)*) => {$(
        #[allow(dead_code, reason = "`api` has it")]
        pub(super) unsafe fn $name($(_: <$kind as Kind>::C),*) -> Result {
            $crate::log::absent(stringify!($name));
            Err(Status::NOT_SUPPORTED)
        }
    )*};
}

/// The C function of every row: that of `api` if there is one, as the block looks there first.
#[expect(clippy::crate_in_macro_def, reason = "`api` is the caller's")]
#[macro_export]
macro_rules! export_rows {
    ($($id:literal $class:ident $why:ident $name:ident ($($param:ident : $kind:ty),*);)*) => {$(
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
