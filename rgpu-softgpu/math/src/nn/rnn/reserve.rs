//! What a forward pass leaves for the backward passes, in memory of the program.

use super::{Cell, Extent, Network, Number};

/// Lengths of the parts, in elements.
#[derive(Debug, Clone, Copy)]
struct Lengths {
    /// A lane's gates.
    gates: usize,
    /// What a lane keeps besides: cells (LSTM), the state's part of the last gate (GRU).
    kept: usize,
    /// A layer's output.
    output: usize,
    /// By what the output is multiplied on its way to the next layer.
    mask: usize,
}

impl Lengths {
    fn of(network: &Network, extent: &Extent) -> Self {
        let rows = extent.rows();
        let output = rows * network.output();
        Self {
            gates: rows * network.width(),
            kept: match network.cell {
                Cell::Lstm | Cell::Gru => rows * network.hidden,
                Cell::Relu | Cell::Tanh => 0,
            },
            output,
            mask: if network.dropout > 0.0 { output } else { 0 },
        }
    }
}

/// Elements of it.
pub fn len(network: &Network, extent: &Extent) -> usize {
    let lengths = Lengths::of(network, extent);
    network.lanes() * (lengths.gates + lengths.kept)
        + network.layers * (lengths.output + lengths.mask)
}

/// The reserve, cut into its parts.
#[derive(Debug)]
pub(super) struct Reserve<'a, T> {
    /// Of each lane: gates as they were after their functions, later their gradients.
    pub(super) gates: Vec<&'a mut [T]>,
    pub(super) kept: Vec<&'a mut [T]>,
    /// Of each layer.
    pub(super) outputs: Vec<&'a mut [T]>,
    pub(super) masks: Vec<&'a mut [T]>,
}

impl<'a, T: Number> Reserve<'a, T> {
    /// # Panics
    /// When there are not [`len`] elements.
    pub(super) fn new(network: &Network, extent: &Extent, mut rest: &'a mut [T]) -> Self {
        let lengths = Lengths::of(network, extent);
        let mut parts = |count: usize, len: usize| -> Vec<&'a mut [T]> {
            let mut part = || {
                let (part, behind) = std::mem::take(&mut rest).split_at_mut(len);
                rest = behind;
                part
            };
            (0..count).map(|_| part()).collect()
        };
        Self {
            gates: parts(network.lanes(), lengths.gates),
            kept: parts(network.lanes(), lengths.kept),
            outputs: parts(network.layers, lengths.output),
            masks: parts(network.layers, lengths.mask),
        }
    }

    /// What a layer took as its input; none is the network's own.
    pub(super) fn input_of(&self, layer: usize) -> Option<Vec<T>> {
        let before = layer.checked_sub(1)?;
        let mut values = self.outputs[before].to_vec();
        // Without dropout there is no mask.
        for (value, mask) in values.iter_mut().zip(self.masks[before].iter()) {
            *value *= *mask;
        }
        Some(values)
    }
}
