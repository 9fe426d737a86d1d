//! Calls of C functions by name, as an application makes them that was not linked with their library.

use std::process::ExitCode;

pub(crate) use rgpu_tests::loader::{Library, null};

/// A result that is an error: its number.
#[derive(Debug)]
pub(crate) struct Failed(pub(crate) u32);

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

/// The program's exit status.
pub(crate) fn ended(result: Result<(), Failed>) -> ExitCode {
    let status = |Failed(error)| ExitCode::from(u8::try_from(error % 256).unwrap_or(255));
    result.map_or_else(status, |()| ExitCode::SUCCESS)
}
