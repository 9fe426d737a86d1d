//! The mathematics of the software GPU's libraries (cuBLAS, cuBLASLt, cuDNN), on the CPU.
//!
//! | module | holds |
//! |---|---|
//! | [`queue`] | how a call becomes work in a stream, and how a pointer into device memory is checked |
//! | [`cpu`] | the threads that do it |
//! | [`element`] | the types of elements, and the types that are computed with |
//! | [`gemm`] | products of matrices of any of these types |
//! | [`log`] | what goes wrong where nobody can be told, once it was asked for |
//!
//! It reaches the driver as any library does, through the public calls of the `libcuda.so.1` of the process; and asks it
//! for one thing that only the software GPU tells: where the bytes of device memory are ([`queue::Span`]).

pub mod cpu;
pub mod element;
pub mod gemm;
pub mod log;
pub mod queue;
