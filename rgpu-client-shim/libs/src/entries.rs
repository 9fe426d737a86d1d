//! The C functions of a library, made from its rows.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;

use rgpu_proto::library::Fault;
use rgpu_proto::status::Status;

/// Runs the body of an entry point. A panic is a bug of ours, and must not unwind into C.
pub fn enter(status: fn(Fault) -> u32, body: impl FnOnce() -> Result<(), Fault>) -> u32 {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(())) => 0,
        Ok(Err(fault)) => status(fault),
        Err(payload) => {
            // Dropping a payload may run foreign code, which may panic again.
            std::mem::forget(payload);
            status(Fault::Driver(Status::ERROR_UNKNOWN))
        }
    }
}

/// The body of an `absent` row: logged once by name.
pub fn missing(name: &'static str) -> Result<(), Fault> {
    static SAID: Mutex<Vec<&str>> = Mutex::new(Vec::new());
    if let (Ok(session), Ok(mut said)) = (crate::session::get(), SAID.lock())
        && !said.contains(&name)
    {
        said.push(name);
        session.log(&format!("{name} is not supported yet"));
    }
    Err(Fault::Missing)
}

/// Makes the C functions of a family of rows. The crate that uses it has a function `status(Fault) -> u32` and a
/// module `api` with one function per `local` and `custom` row:
///
/// ```text
/// 0x4408 posted queued cublasDgemm_v2(handle: Handle<Blas>, …);
/// ```
///
/// becomes
///
/// ```text
/// #[unsafe(no_mangle)]
/// pub unsafe extern "C" fn cublasDgemm_v2(handle: *mut c_void, …) -> u32 {
///     enter(status, || unsafe { derived::cublasDgemm_v2(&session::get()?, handle, …) })
/// }
/// ```
#[macro_export]
macro_rules! entries {
    ($($id:literal $class:ident $why:ident $name:ident ($($param:ident: $kind:ty),*);)*) => {$(
        /// See NVIDIA's reference of this library.
        #[unsafe(no_mangle)]
        #[allow(clippy::too_many_arguments, reason = "the C API has them")]
        pub unsafe extern "C" fn $name($($param: <$kind as $crate::rgpu_proto::kinds::Kind>::C),*) -> u32 {
            $crate::entry!($class $name ($($param),*))
        }
    )*};
}

/// The body of one function.
#[doc(hidden)]
#[macro_export]
macro_rules! entry {
    (posted $($rest:tt)*) => { $crate::entry!(@derived $($rest)*) };
    (reply $($rest:tt)*) => { $crate::entry!(@derived $($rest)*) };
    (absent $name:ident ($($param:ident),*)) => {{
        $(let _ = $param;)*
        $crate::enter(status, || $crate::missing(stringify!($name)))
    }};
    (@derived $name:ident ($($param:ident),*)) => {
        $crate::enter(status, || {
            let session = $crate::session::get()?;
            // SAFETY: the application keeps the contract of the C function of this name.
            unsafe { $crate::rgpu_proto::library::derived::client::$name(&session, $($param),*) }
        })
    };
    // `local` and `custom`.
    ($class:ident $name:ident ($($param:ident),*)) => {
        // SAFETY: the application keeps the contract of the C function of this name.
        $crate::enter(status, || unsafe { api::$name($($param),*) })
    };
}
