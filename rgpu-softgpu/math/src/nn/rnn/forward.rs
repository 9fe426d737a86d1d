//! The forward pass.

use super::product::{View, multiply};
use super::reserve::Reserve;
use super::{Cell, Extent, Network, Number};

/// States of all lanes, `[lane][sequence][element]`; where there are none, they are zero.
#[derive(Debug, Clone, Default)]
pub struct States<T> {
    /// The states.
    pub hidden: Option<Vec<T>>,
    /// The cells of an LSTM.
    pub cell: Option<Vec<T>>,
}

impl<T: Number> States<T> {
    /// Those of one lane.
    pub(super) fn of(states: Option<&Vec<T>>, lane: usize, len: usize) -> Vec<T> {
        match states {
            Some(states) => states[lane * len..][..len].to_vec(),
            None => vec![T::zero(); len],
        }
    }
}

fn sigmoid<T: Number>(value: T) -> T {
    T::one() / (T::one() + (-value).exp())
}

/// Computes the output of the last layer, and the states that are left. `mask` gives by what elements are multiplied on
/// their way from layer to layer where there is dropout.
///
/// # Panics
/// When `input`, `weights` or `reserve` are too short.
pub fn forward<T: Number>(
    network: &Network,
    extent: &Extent,
    weights: &[T],
    input: &[T],
    initial: &States<T>,
    mut mask: impl FnMut() -> T,
    reserve: &mut [T],
) -> (Vec<T>, States<T>) {
    let mut reserve = Reserve::new(network, extent, reserve);
    let mut left = States {
        hidden: Some(Vec::new()),
        cell: Some(Vec::new()),
    };
    for layer in 0..network.layers {
        if let Some(before) = layer.checked_sub(1) {
            reserve.masks[before].fill_with(&mut mask);
        }
        let between = reserve.input_of(layer);
        let input = between.as_deref().unwrap_or(input);
        for direction in 0..network.directions() {
            let lane = layer * network.directions() + direction;
            let mut walk = Walk::new(network, extent, lane, initial);
            let gates = &mut *reserve.gates[lane];
            walk.inputs(weights, input, gates);
            let (kept, output) = (&mut *reserve.kept[lane], &mut *reserve.outputs[layer]);
            for step in extent.order(direction == 1) {
                walk.step(weights, step, gates, kept, output);
            }
            left.hidden.get_or_insert_default().extend(walk.hidden);
            left.cell.get_or_insert_default().extend(walk.cell);
        }
    }
    let output = reserve.outputs.last().map(|output| output.to_vec());
    (output.unwrap_or_default(), left)
}

/// One lane on its way through the steps.
struct Walk<'a, T> {
    network: &'a Network,
    extent: &'a Extent,
    lane: usize,
    hidden: Vec<T>,
    cell: Vec<T>,
    /// The state's part of the gates of one step, where it is needed apart.
    apart: Vec<T>,
}

impl<'a, T: Number> Walk<'a, T> {
    fn new(network: &'a Network, extent: &'a Extent, lane: usize, initial: &States<T>) -> Self {
        let len = extent.batch() * network.hidden;
        Self {
            network,
            extent,
            lane,
            hidden: States::of(initial.hidden.as_ref(), lane, len),
            cell: States::of(initial.cell.as_ref(), lane, len),
            apart: vec![T::zero(); extent.batch() * network.width()],
        }
    }

    /// The input's part of the gates of all steps, with all biases but that of the state's part that is kept apart.
    fn inputs(&self, weights: &[T], input: &[T], gates: &mut [T]) {
        let (network, hidden) = (self.network, self.network.hidden);
        let width = network.width();
        match network.input_matrices(self.lane) {
            Some(place) => {
                let matrices = View::whole(&weights[place.range()], place.columns);
                let input = View::whole(input, place.columns);
                multiply(input, matrices.transposed(), gates, width, false);
            }
            None => {
                let rows = gates.chunks_exact_mut(hidden).enumerate();
                for (at, gate) in rows {
                    let row = at / network.cell.gates();
                    gate.copy_from_slice(&input[row * hidden..][..hidden]);
                }
            }
        }
        let mut add = |biases: &[T]| {
            for row in gates.chunks_exact_mut(width) {
                row.iter_mut()
                    .zip(biases)
                    .for_each(|(gate, bias)| *gate += *bias);
            }
        };
        if let Some(place) = network.input_biases(self.lane) {
            add(&weights[place.range()]);
        }
        if let Some(place) = network.state_biases(self.lane) {
            let biases = &weights[place.range()];
            match network.keeps_state_part() {
                true => add(&biases[..2 * hidden]),
                false => add(biases),
            }
        }
    }

    fn step(
        &mut self,
        weights: &[T],
        step: usize,
        gates: &mut [T],
        kept: &mut [T],
        output: &mut [T],
    ) {
        let (network, extent) = (self.network, self.extent);
        let (hidden, width, batch) = (network.hidden, network.width(), extent.batch());
        let gates = &mut gates[step * batch * width..][..batch * width];
        let place = network.state_matrices(self.lane);
        let matrices = View::whole(&weights[place.range()], hidden).transposed();
        let states = View::whole(&self.hidden, hidden);
        match network.keeps_state_part() {
            true => multiply(states, matrices, &mut self.apart, width, false),
            false => multiply(states, matrices, gates, width, true),
        }
        let biases = network
            .state_biases(self.lane)
            .map(|place| &weights[place.range()]);
        let direction = self.lane % network.directions();
        for sequence in 0..batch {
            let row = step * batch + sequence;
            let gates = &mut gates[sequence * width..][..width];
            let output = &mut output[row * network.output() + direction * hidden..][..hidden];
            let kept = match kept.is_empty() {
                true => &mut [][..],
                false => &mut kept[row * hidden..][..hidden],
            };
            if !extent.goes_on(step, sequence) {
                gates.fill(T::zero());
                kept.fill(T::zero());
                output.fill(T::zero());
                continue;
            }
            let state = &mut self.hidden[sequence * hidden..][..hidden];
            let cells = &mut self.cell[sequence * hidden..][..hidden];
            match network.cell {
                Cell::Relu => gates
                    .iter_mut()
                    .for_each(|gate| *gate = gate.max(T::zero())),
                Cell::Tanh => gates.iter_mut().for_each(|gate| *gate = gate.tanh()),
                Cell::Lstm => lstm(gates, cells, kept),
                Cell::Gru => {
                    let apart = &self.apart[sequence * width..][..width];
                    gru(
                        gates,
                        apart,
                        biases.map(|biases| &biases[2 * hidden..]),
                        kept,
                    );
                }
            }
            for at in 0..hidden {
                state[at] = match network.cell {
                    Cell::Relu | Cell::Tanh => gates[at],
                    Cell::Lstm => gates[3 * hidden + at] * kept[at].tanh(),
                    Cell::Gru => {
                        let (z, n) = (gates[hidden + at], gates[2 * hidden + at]);
                        (T::one() - z) * n + z * state[at]
                    }
                };
            }
            output.copy_from_slice(state);
        }
    }
}

/// The gates and cells of one sequence.
fn lstm<T: Number>(gates: &mut [T], cells: &mut [T], kept: &mut [T]) {
    let hidden = cells.len();
    for at in 0..hidden {
        let i = sigmoid(gates[at]);
        let f = sigmoid(gates[hidden + at]);
        let n = gates[2 * hidden + at].tanh();
        let o = sigmoid(gates[3 * hidden + at]);
        cells[at] = f * cells[at] + i * n;
        kept[at] = cells[at];
        for (gate, value) in [i, f, n, o].into_iter().enumerate() {
            gates[gate * hidden + at] = value;
        }
    }
}

/// The gates of one sequence; `kept` becomes the state's part of the last.
fn gru<T: Number>(gates: &mut [T], apart: &[T], biases: Option<&[T]>, kept: &mut [T]) {
    let hidden = kept.len();
    for at in 0..hidden {
        let r = sigmoid(gates[at] + apart[at]);
        let z = sigmoid(gates[hidden + at] + apart[hidden + at]);
        kept[at] = apart[2 * hidden + at] + biases.map_or_else(T::zero, |biases| biases[at]);
        let n = (gates[2 * hidden + at] + r * kept[at]).tanh();
        for (gate, value) in [r, z, n].into_iter().enumerate() {
            gates[gate * hidden + at] = value;
        }
    }
}
