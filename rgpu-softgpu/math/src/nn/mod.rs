//! Neural networks: what cuDNN computes, on tensors of any strides.
//!
//! | module | holds |
//! |---|---|
//! | [`tensor`] | tensors: types, dimensions, strides, where they are; how results are blended into them |
//! | [`walk`] | going through several tensors together, in the order of memory, on all threads |
//! | [`window`] | which elements of the input an element of the output sees |
//! | [`product`] | products of matrices whose first factor is looked up, not copied |
//! | [`conv`] | convolutions, forwards and backwards |
//! | [`pool`], [`norm`], [`softmax`], [`lrn`], [`dropout`] | the layers of those names |
//! | [`rnn`] | recurrent networks, forwards and backwards |
//! | [`pointwise`], [`reduce`] | functions of elements, sums over dimensions |
//!
//! Everything is computed as `f32`, or as `f64` where a tensor holds `f64`. An operation reads its inputs, computes
//! into an [`Output`](tensor::Output), which is the result's own memory where that is possible, and finishes it.

pub mod conv;
pub mod dropout;
pub mod lrn;
pub mod norm;
pub mod pointwise;
pub mod pool;
pub mod product;
pub mod reduce;
pub mod rnn;
pub mod softmax;
pub mod tensor;
pub mod walk;
pub mod window;

/// Why an operation cannot be done on these tensors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Dimensions do not fit together.
    #[error("the shapes do not fit")]
    Shape,
    /// A combination that the software GPU lacks.
    #[error("not supported")]
    Unsupported,
}

/// What an operation returns.
pub type Result<T = ()> = std::result::Result<T, Error>;
