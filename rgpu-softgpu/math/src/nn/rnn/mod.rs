//! Recurrent networks: plain ones, LSTM and GRU; in layers, in one or both directions, on sequences of different lengths.
//!
//! | module | holds |
//! |---|---|
//! | [`parameters`] | where matrices and biases lie among the weights |
//! | [`sequence`] | how sequences lie in memory |
//! | [`reserve`] | what a forward pass leaves for the backward passes |
//! | `forward`, `backward` | the passes |
//!
//! With W, R and b as matrices of the input, of the state and biases, a cell computes, as in cuDNN's manual:
//!
//! - plain: `h = f(W x + bW + R h + bR)`
//! - LSTM: gates i, f, n, o of that form, sigmoids but for n, which is a tanh; `c = f c + i n`, `h = o tanh(c)`
//! - GRU: gates r, z of that form; `n = tanh(W x + bW + r (R h + bR))`, `h = (1 - z) n + z h`
//!
//! Inside, sequences are `[step][sequence][element]`. Where a sequence has ended, everything is zero.

mod backward;
mod forward;
pub mod parameters;
mod product;
pub mod reserve;
pub mod sequence;

pub use backward::{Gradients, backward_data, backward_weights};
pub use forward::{States, forward};

use super::tensor::Real;
use crate::element::Compute;

/// A type that networks are computed with.
pub trait Number: Real + Compute {}

impl Number for f32 {}
impl Number for f64 {}

/// What a network is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cell {
    /// `h = max(0, …)`
    Relu,
    /// `h = tanh(…)`
    Tanh,
    /// Long short-term memory.
    Lstm,
    /// Gated recurrent units.
    Gru,
}

impl Cell {
    /// How many matrices there are for the input, and as many for the state.
    pub fn gates(self) -> usize {
        match self {
            Self::Relu | Self::Tanh => 1,
            Self::Lstm => 4,
            Self::Gru => 3,
        }
    }
}

/// Which biases there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bias {
    /// None.
    None,
    /// Beside the input's matrices.
    Input,
    /// Beside the state's.
    State,
    /// Beside both.
    Both,
}

/// A network.
#[derive(Debug, Clone, PartialEq)]
pub struct Network {
    /// Its cells.
    pub cell: Cell,
    /// Its biases.
    pub bias: Bias,
    /// Whether every layer also goes through sequences from their end.
    pub bidirectional: bool,
    /// The first layer takes its input as it is, without matrices.
    pub skip_input: bool,
    /// Elements of the input.
    pub input: usize,
    /// Elements of a state.
    pub hidden: usize,
    /// Layers.
    pub layers: usize,
    /// How much of what goes from layer to layer is dropped in training.
    pub dropout: f64,
}

impl Network {
    /// Directions of a layer.
    pub fn directions(&self) -> usize {
        if self.bidirectional { 2 } else { 1 }
    }

    /// Elements of a layer's output.
    pub fn output(&self) -> usize {
        self.directions() * self.hidden
    }

    /// Elements of a layer's input.
    pub fn input_of(&self, layer: usize) -> usize {
        if layer == 0 {
            self.input
        } else {
            self.output()
        }
    }

    /// Layers times directions: each has states of its own.
    pub fn lanes(&self) -> usize {
        self.layers * self.directions()
    }

    /// Elements of all gates.
    fn width(&self) -> usize {
        self.cell.gates() * self.hidden
    }
}

/// The sequences of a pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extent {
    /// Steps of the longest that is possible.
    pub steps: usize,
    /// Steps of each.
    pub lengths: Vec<usize>,
}

impl Extent {
    /// How many there are.
    pub fn batch(&self) -> usize {
        self.lengths.len()
    }

    /// Steps times sequences.
    pub fn rows(&self) -> usize {
        self.steps * self.batch()
    }

    /// Whether a sequence goes on at a step.
    fn goes_on(&self, step: usize, sequence: usize) -> bool {
        step < self.lengths[sequence]
    }

    /// The step before, in a direction, if the sequence has one.
    fn before(&self, step: usize, sequence: usize, reverse: bool) -> Option<usize> {
        match reverse {
            false => step.checked_sub(1),
            true => Some(step + 1).filter(|&step| self.goes_on(step, sequence)),
        }
    }

    /// The steps in the order of a direction.
    fn order(&self, reverse: bool) -> impl Iterator<Item = usize> {
        let steps = self.steps;
        (0..steps).map(move |at| if reverse { steps - 1 - at } else { at })
    }
}
