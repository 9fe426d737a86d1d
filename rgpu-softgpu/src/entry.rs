//! The exported C functions, one per row.
//!
//! The row `0x0503 custom backed cuMemAlloc_v2(dptr: Out<u64>, bytesize: In<usize>);` becomes
//!
//! ```text
//! #[no_mangle] pub unsafe extern "C" fn cuMemAlloc_v2(dptr: *mut u64, bytesize: usize) -> u32 {
//!     guard(|| unsafe { api::cuMemAlloc_v2(dptr, bytesize) })
//! }
//! ```
//!
//! so that a row without its function does not compile. A row that is `absent` answers
//! `CUDA_ERROR_NOT_SUPPORTED`. Functions of the families whose null stream is a default stream exist once more with
//! the suffixes `_ptds` and `_ptsz`: there it is the calling thread's own (programs that were compiled with
//! `--default-stream per-thread`).
#![expect(
    clippy::missing_safety_doc,
    reason = "the contract is that of the C function of the same name"
)]

use std::collections::HashMap;
use std::ffi::c_void;
use std::sync::OnceLock;

use rgpu_driver_abi::guard;
use rgpu_proto::handle::*;
use rgpu_proto::kinds::*;
use rgpu_proto::status::Status;

use crate::stream::with_per_thread_default;
use crate::{api, log};

macro_rules! entry {
    (absent $name:ident ($($param:ident : $kind:ty),*)) => {
        #[doc = concat!("`", stringify!($name), "`: not supported.")]
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name($(_: <$kind as Kind>::C),*) -> u32 {
            guard(|| {
                log::absent(stringify!($name));
                Err(Status::ERROR_NOT_SUPPORTED)
            })
        }
    };
    ($class:ident $name:ident ($($param:ident : $kind:ty),*)) => {
        #[doc = concat!("`", stringify!($name), "`.")]
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name($($param: <$kind as Kind>::C),*) -> u32 {
            // SAFETY: the caller keeps the contract of the C function.
            log::call(stringify!($name), guard(|| unsafe { api::$name($($param),*) }))
        }
    };
}

macro_rules! entries {
    ($($id:literal $class:ident $why:ident $name:ident $params:tt;)*) => {
        $(entry!($class $name $params);)*
    };
}

rgpu_proto::driver_rows!(entries);

/// The families with functions whose null stream is a default stream.
macro_rules! per_thread_rows {
    ($then:ident) => {
        rgpu_proto::driver_memory_rows!($then);
        rgpu_proto::driver_vmm_rows!($then);
        rgpu_proto::driver_pool_rows!($then);
        rgpu_proto::driver_stream_rows!($then);
        rgpu_proto::driver_event_rows!($then);
        rgpu_proto::driver_launch_rows!($then);
        rgpu_proto::driver_graph_rows!($then);
        rgpu_proto::driver_interop_rows!($then);
    };
}

/// The same functions with the calling thread's default stream.
mod per_thread {
    use super::*;

    macro_rules! entries {
        ($($id:literal $class:ident $why:ident $name:ident ($($param:ident : $kind:ty),*);)*) => {$(
            pub(super) mod $name {
                use super::*;

                #[unsafe(export_name = concat!(stringify!($name), "_ptsz"))]
                pub(in super::super) unsafe extern "C" fn ptsz($($param: <$kind as Kind>::C),*) -> u32 {
                    // SAFETY: the caller keeps the contract of the C function.
                    with_per_thread_default(|| unsafe { crate::entry::$name($($param),*) })
                }

                #[unsafe(export_name = concat!(stringify!($name), "_ptds"))]
                pub(in super::super) unsafe extern "C" fn ptds($($param: <$kind as Kind>::C),*) -> u32 {
                    // SAFETY: the caller keeps the contract of the C function.
                    unsafe { ptsz($($param),*) }
                }
            }
        )*};
    }

    per_thread_rows!(entries);
}

/// Addresses of a function: as named, and with the thread's own default stream if it has such a form.
#[derive(Clone, Copy)]
struct Addresses {
    plain: *const c_void,
    per_thread: Option<*const c_void>,
}

// SAFETY: addresses of functions mean the same on every thread.
unsafe impl Send for Addresses {}
// SAFETY: as above.
unsafe impl Sync for Addresses {}

/// The address of an exported symbol, for `cuGetProcAddress`.
pub(crate) fn address(symbol: &str) -> Option<*const c_void> {
    static TABLE: OnceLock<HashMap<&'static str, Addresses>> = OnceLock::new();
    let table = TABLE.get_or_init(table);
    let base = symbol
        .strip_suffix("_ptds")
        .or_else(|| symbol.strip_suffix("_ptsz"));
    match base {
        None => table.get(symbol).map(|found| found.plain),
        Some(base) => table.get(base).and_then(|found| found.per_thread),
    }
}

fn table() -> HashMap<&'static str, Addresses> {
    let mut table = HashMap::new();

    macro_rules! plain {
        ($($id:literal $class:ident $why:ident $name:ident $params:tt;)*) => {
            $(table.insert(
                stringify!($name),
                Addresses { plain: $name as *const c_void, per_thread: None },
            );)*
        };
    }
    rgpu_proto::driver_rows!(plain);

    macro_rules! own {
        ($($id:literal $class:ident $why:ident $name:ident $params:tt;)*) => {
            $(if let Some(found) = table.get_mut(stringify!($name)) {
                found.per_thread = Some(per_thread::$name::ptsz as *const c_void);
            })*
        };
    }
    per_thread_rows!(own);
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_has_an_address() {
        for row in &rgpu_proto::spec::driver::ROWS {
            assert!(address(row.name).is_some(), "{}", row.name);
        }
        assert_eq!(address("cuNoSuchFunction"), None);
    }

    #[test]
    fn per_thread_forms_are_functions_of_their_own() {
        let plain = address("cuMemcpyHtoD_v2").unwrap();
        let own = address("cuMemcpyHtoD_v2_ptds").unwrap();
        assert_ne!(plain, own);
        let symbols = rgpu_driver_abi::proc_address::symbols();
        let forms = symbols.map(|(_, symbol)| symbol).filter(|symbol| {
            let base = symbol
                .strip_suffix("_ptds")
                .or_else(|| symbol.strip_suffix("_ptsz"));
            base.is_some_and(|base| address(base).is_some())
        });
        for form in forms {
            assert!(address(form).is_some(), "{form}");
        }
    }
}
