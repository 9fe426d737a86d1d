//! The layers against independent loops over indices, at random shapes, types and strides.

mod conv;
mod layers;
mod rnn;
mod support;
