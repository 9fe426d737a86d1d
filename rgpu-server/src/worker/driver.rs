//! A `libcuda.so.1`, NVIDIA's or ours, as typed functions.
//!
//! The functions come from the rows: `driver.cuStreamDestroy_v2(stream)` calls the driver's function of
//! that name, or answers `CUDA_ERROR_NOT_SUPPORTED` where this driver has none.

use std::ffi::c_void;
use std::path::Path;

use libloading::os::unix::{Library as SharedObject, RTLD_LOCAL, RTLD_NOW};
use rgpu_proto::handle::*;
use rgpu_proto::kinds::*;
use rgpu_proto::spec::{Class, driver::ROWS};
use rgpu_proto::status::Status;

/// A driver library, loaded.
pub(super) struct Driver {
    /// Address of each row's function, by row id; null where this driver has none.
    symbols: Box<[*const c_void]>,
    // Never unloaded: threads of the driver may outlive any owner.
    _library: SharedObject,
}

// SAFETY: the CUDA driver API is thread-safe (CUDA Driver API reference, "API synchronization behavior"),
// and the table is never written after `load`.
unsafe impl Send for Driver {}
// SAFETY: as above.
unsafe impl Sync for Driver {}

impl std::fmt::Debug for Driver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Driver").finish_non_exhaustive()
    }
}

impl Driver {
    /// Loads the library at `path` (or found as `dlopen` finds a bare name).
    ///
    /// # Errors
    /// `dlopen`'s words where the library cannot be loaded.
    pub(super) fn load(path: &Path) -> Result<Self, libloading::Error> {
        // SAFETY: a CUDA driver's initialisers are safe to run in a process of our own.
        let library = unsafe { SharedObject::open(Some(path), RTLD_NOW | RTLD_LOCAL) }?;
        let ids = ROWS.last().map_or(0, |row| usize::from(row.id) + 1);
        let mut symbols = vec![std::ptr::null(); ids].into_boxed_slice();
        for row in ROWS.iter().filter(|row| row.class != Class::Absent) {
            // SAFETY: the symbol is only stored here; it is called with the row's signature.
            if let Ok(symbol) = unsafe { library.get::<*const c_void>(row.name.as_bytes()) } {
                symbols[usize::from(row.id)] = symbol.into_raw();
            }
        }
        Ok(Self {
            symbols,
            _library: library,
        })
    }

    /// Address of the function of row `id`, if this driver has it.
    pub(super) fn symbol(&self, id: u16) -> Option<*const c_void> {
        self.symbols
            .get(usize::from(id))
            .copied()
            .filter(|symbol| !symbol.is_null())
    }
}

// `0x0804 custom ended cuStreamDestroy_v2(h_stream: Handle<Stream>);` becomes
// `pub unsafe fn cuStreamDestroy_v2(&self, h_stream: *mut c_void) -> Result<(), Status>`.
macro_rules! function {
    (absent $($rest:tt)*) => {};
    ($class:ident $id:literal $name:ident ($($param:ident : $kind:ty),*)) => {
        pub(super) unsafe fn $name(&self, $($param: <$kind as Kind>::C),*) -> Result<(), Status> {
            type Entry = unsafe extern "C" fn($(<$kind as Kind>::C),*) -> u32;
            let symbol = self.symbol($id).ok_or(Status::ERROR_NOT_SUPPORTED)?;
            // SAFETY: `symbol` is this driver's function of the row, whose signature the row states.
            let entry = unsafe { std::mem::transmute::<*const c_void, Entry>(symbol) };
            // SAFETY: the caller keeps the contract of the C function of this name.
            Status(unsafe { entry($($param),*) }).ok()
        }
    };
}

macro_rules! functions {
    ($($id:literal $class:ident $why:ident $name:ident $params:tt;)*) => {
        #[allow(non_snake_case, reason = "functions carry the names of the C API")]
        #[allow(dead_code, reason = "the rows name more functions than a worker calls")]
        #[allow(clippy::missing_safety_doc, reason = "the contract is that of the C function of the same name")]
        #[allow(clippy::too_many_arguments, reason = "so the C API has it")]
        impl Driver {
            $(function!($class $id $name $params);)*
        }
    };
}

rgpu_proto::driver_rows!(functions);
