//! Calls of C functions by name, as an application makes them that was not linked with their library.

use std::ffi::c_void;
use std::process::ExitCode;

use libloading::os::unix::{Library as Loaded, Symbol};

/// A result that is an error: its number.
#[derive(Debug)]
pub(crate) struct Failed(pub(crate) u32);

/// A library that was opened by name.
pub(crate) struct Library(Loaded);

impl Library {
    pub(crate) fn open(name: &str) -> Self {
        // SAFETY: loading a CUDA library has no preconditions.
        Self(unsafe { Loaded::new(name) }.expect("the loader finds the library"))
    }

    /// The function of that name.
    ///
    /// # Safety
    /// It has the type `F`.
    pub(crate) unsafe fn function<F>(&self, name: &str) -> Symbol<F> {
        // SAFETY: the caller's promise.
        let found = unsafe { self.0.get::<F>(name.as_bytes()) };
        found.unwrap_or_else(|_| panic!("no {name}"))
    }
}

/// Calls a function by name and turns its result into a `Result`.
macro_rules! cu {
    ($library:expr, $name:literal $(, $arg:expr => $type:ty)* $(,)?) => {{
        type Entry = unsafe extern "C" fn($($type),*) -> u32;
        // SAFETY: the signature is that of the API's function of this name.
        let function = unsafe { $library.function::<Entry>($name) };
        // SAFETY: the arguments are valid for the function; pointers are to live locals.
        match unsafe { function($($arg),*) } {
            0 => Ok(()),
            error => {
                println!("{} {error}", $name);
                Err($crate::calls::Failed(error))
            }
        }
    }};
}
pub(crate) use cu;

/// No handle.
pub(crate) const fn null() -> *mut c_void {
    std::ptr::null_mut()
}

/// The program's exit status.
pub(crate) fn ended(result: Result<(), Failed>) -> ExitCode {
    let status = |Failed(error)| ExitCode::from(u8::try_from(error % 256).unwrap_or(255));
    result.map_or_else(status, |()| ExitCode::SUCCESS)
}
