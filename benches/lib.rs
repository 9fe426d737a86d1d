//! Measurements of rgpu, as ratios taken in one run on one machine.
//!
//! | module | holds |
//! |---|---|
//! | [`probe`] | what a CUDA program sees: launches, waits, copies; runs under `rgpu run` or `rgpu local` |
//! | [`peer`] | the bare ping-pong and stream that these are compared with |
//! | [`remoting`] | the table of both |
//! | [`kernels`] | kernels with their data, and what they are compared with |
//! | [`reference`](mod@reference) | the C functions that kernels are compared with |
//! | [`softgpu`] | runs both, alternately, and makes the table |
//! | [`compile`] | loading and compiling modules, in a first and a second process |
//! | [`echo`] | the paper's experiment: what was measured, and its figures |
//! | [`startup`] | what a TensorFlow process waits for before its first results |
//! | [`stats`] | medians and spreads |

pub mod compile;
pub mod cuda;
pub mod echo;
pub mod kernels;
pub mod peer;
pub mod probe;
pub mod reference;
pub mod remoting;
pub mod softgpu;
pub mod startup;
pub mod stats;
