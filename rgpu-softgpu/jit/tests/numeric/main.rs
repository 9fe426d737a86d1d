//! Numeric instructions against independent references: `rustc_apfloat` for float arithmetic and conversions, plain
//! Rust integers, and functions in double precision for the approximate ones. All values of 16-bit operands, or many
//! at random from a fixed seed; `RGPU_SEED=N` takes another.

mod approximate;
mod compare;
mod conversions;
mod floats;
mod halves;
mod integers;
mod kernel;
mod reference;
mod samples;
#[path = "../support/mod.rs"]
mod support;
