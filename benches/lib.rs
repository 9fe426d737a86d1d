//! Measurements of rgpu, as ratios taken in one run on one machine.
//!
//! | module | holds |
//! |---|---|
//! | [`probe`] | what a CUDA program sees: launches, waits, copies; runs under `rgpu run` or `rgpu local` |
//! | [`peer`] | the bare ping-pong and stream that these are compared with |
//! | [`remoting`] | runs both, alternately, and makes the table |
//! | [`stats`] | medians and spreads |

pub mod cuda;
pub mod peer;
pub mod probe;
pub mod remoting;
pub mod stats;
