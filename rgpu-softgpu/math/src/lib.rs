//! The mathematics of the software GPU's libraries (cuBLAS, cuBLASLt, cuDNN), on the CPU.
//!
//! | module | holds |
//! |---|---|
//! | [`nn`] | neural networks, on tensors of any strides |
//! | [`queue`] | how a call becomes work in a stream, and how a pointer into device memory is checked |
//! | [`cpu`] | the threads that do it |
//! | [`copy`] | copies between host and device |
//! | [`element`] | the types of elements, and the types that are computed with |
//! | [`float8`] | floats of 8 bits |
//! | [`gemm`] | products of matrices of any of these types |
//! | [`blas`] | the rest of BLAS: vectors, structured matrices, triangular systems |
//! | [`exports`] | the C functions of a library, from its rows |
//! | [`handles`] | tables of what a library hands out |
//! | [`kind`] | types of elements that are known only at run time |
//! | [`log`] | what goes wrong where nobody can be told, once it was asked for |
//!
//! It reaches the driver as any library does, through the public calls of the `libcuda.so.1` of the process; and asks it
//! for one thing that only the software GPU tells: where the bytes of device memory are ([`queue::Span`]).

pub mod blas;
pub mod copy;
pub mod cpu;
pub mod element;
pub mod exports;
pub mod float8;
pub mod gemm;
pub mod handles;
pub mod kind;
pub mod log;
pub mod nn;
pub mod queue;
