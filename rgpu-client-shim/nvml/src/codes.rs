//! `nvmlReturn_t`: numbers and texts of nvml.h.

use std::ffi::CStr;

/// A return code.
pub(crate) type Code = u32;

macro_rules! codes {
    ($($name:ident = $number:literal $text:literal;)*) => {
        $(#[allow(dead_code, reason = "the table is whole; not every code is returned here")]
        pub(crate) const $name: Code = $number;)*

        /// The text of a code (`nvmlErrorString`).
        pub(crate) const fn text(code: Code) -> &'static CStr {
            match code {
                $($number => $text,)*
                _ => c"Unknown Error",
            }
        }
    };
}

codes! {
    SUCCESS = 0 c"Success";
    UNINITIALIZED = 1 c"Uninitialized";
    INVALID_ARGUMENT = 2 c"Invalid Argument";
    NOT_SUPPORTED = 3 c"Not Supported";
    NO_PERMISSION = 4 c"Insufficient Permissions";
    ALREADY_INITIALIZED = 5 c"Already Initialized";
    NOT_FOUND = 6 c"Not Found";
    INSUFFICIENT_SIZE = 7 c"Insufficient Size";
    INSUFFICIENT_POWER = 8 c"Insufficient External Power";
    DRIVER_NOT_LOADED = 9 c"Driver Not Loaded";
    TIMEOUT = 10 c"Timeout";
    IRQ_ISSUE = 11 c"Interrupt Request Issue";
    LIBRARY_NOT_FOUND = 12 c"NVML Shared Library Not Found";
    FUNCTION_NOT_FOUND = 13 c"Function Not Found";
    GPU_IS_LOST = 15 c"GPU is lost";
    VERSION_MISMATCH = 25 c"API version mismatch";
    UNKNOWN = 999 c"Unknown Error";
}
