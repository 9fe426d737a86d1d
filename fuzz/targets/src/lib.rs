//! What the fuzz targets do, one function each: bytes from anywhere in, a panic where a promise is broken.
//!
//! `cargo fuzz run NAME` drives them on nightly; the tests of this crate replay `fuzz/corpus/NAME` and mutate it on
//! stable. A target never fails because its input is nonsense, only because our code made something wrong of it.
#![deny(unsafe_code)]

mod address;
mod body;
mod frame;
#[cfg(feature = "platform")]
mod function;
mod greeting;
mod image;
mod ptx;
mod seeds;
mod session;

pub use address::url;
pub use body::call_body;
pub use frame::frame_decode;
#[cfg(feature = "platform")]
pub use function::function_yaml;
pub use greeting::hello;
pub use image::fatbin;
#[cfg(feature = "compiler")]
pub use ptx::ptx_compile;
pub use ptx::ptx_parse;
pub use seeds::{Seed, seeds};
pub use session::session_ops;

/// A target: takes bytes, panics where a promise is broken.
pub type Target = fn(&[u8]);

/// Every target by the name of its folder in `fuzz/corpus`.
pub const TARGETS: &[(&str, Target)] = &[
    ("frame_decode", frame_decode),
    ("hello", hello),
    ("call_body", call_body),
    ("session_ops", session_ops),
    ("url", url),
    ("fatbin", fatbin),
    ("ptx_parse", ptx_parse),
    #[cfg(feature = "compiler")]
    ("ptx_compile", ptx_compile),
    #[cfg(feature = "platform")]
    ("function_yaml", function_yaml),
];
