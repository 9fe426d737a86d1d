//! The backward passes: by data, which leaves the gradients of the gates in the reserve, and by weights, which uses them.

use super::forward::States;
use super::parameters::Place;
use super::product::{View, multiply};
use super::reserve::Reserve;
use super::{Cell, Extent, Network, Number};

/// Gradients of a network's input and of the states that it started with.
#[derive(Debug, Clone)]
pub struct Gradients<T> {
    /// Of the input.
    pub input: Vec<T>,
    /// Of the states.
    pub states: States<T>,
}

/// The gradients by data, from that of the output and those of the states that were left.
///
/// # Panics
/// When `weights`, `output` or `reserve` are too short.
pub fn backward_data<T: Number>(
    network: &Network,
    extent: &Extent,
    weights: &[T],
    initial: &States<T>,
    output: &[T],
    left: &States<T>,
    reserve: &mut [T],
) -> Gradients<T> {
    let mut reserve = Reserve::new(network, extent, reserve);
    let len = extent.batch() * network.hidden;
    let (mut hidden, mut cell) = (
        vec![T::zero(); network.lanes() * len],
        vec![T::zero(); network.lanes() * len],
    );
    let mut gradient = output.to_vec();
    for layer in (0..network.layers).rev() {
        let columns = network.input_of(layer);
        let mut below = vec![T::zero(); extent.rows() * columns];
        for direction in 0..network.directions() {
            let lane = layer * network.directions() + direction;
            let mut back = Back {
                network,
                extent,
                lane,
                initial,
                hidden: States::of(left.hidden.as_ref(), lane, len),
                cell: States::of(left.cell.as_ref(), lane, len),
                apart: vec![T::zero(); extent.batch() * network.width()],
            };
            let (gates, kept) = (&mut *reserve.gates[lane], &mut *reserve.kept[lane]);
            // Against the direction.
            for step in extent.order(direction == 0) {
                back.step(
                    weights,
                    step,
                    gates,
                    kept,
                    reserve.outputs[layer],
                    &gradient,
                );
            }
            hidden[lane * len..][..len].copy_from_slice(&back.hidden);
            cell[lane * len..][..len].copy_from_slice(&back.cell);
            match network.input_matrices(lane) {
                Some(place) => {
                    let matrices = View::whole(&weights[place.range()], columns);
                    let gates = View::whole(gates, network.width());
                    multiply(gates, matrices, &mut below, columns, true);
                }
                None => {
                    for (at, gate) in gates.chunks_exact(network.hidden).enumerate() {
                        let row = at / network.cell.gates();
                        let below = &mut below[row * columns..][..columns];
                        below
                            .iter_mut()
                            .zip(gate)
                            .for_each(|(sum, gate)| *sum += *gate);
                    }
                }
            }
        }
        if let Some(before) = layer.checked_sub(1) {
            let mask = reserve.masks[before].iter();
            below
                .iter_mut()
                .zip(mask)
                .for_each(|(value, mask)| *value *= *mask);
        }
        gradient = below;
    }
    Gradients {
        input: gradient,
        states: States {
            hidden: Some(hidden),
            cell: Some(cell),
        },
    }
}

/// One lane on its way back through the steps.
struct Back<'a, T> {
    network: &'a Network,
    extent: &'a Extent,
    lane: usize,
    initial: &'a States<T>,
    /// Gradients of the states and cells after the step.
    hidden: Vec<T>,
    cell: Vec<T>,
    /// Gradients of the state's part of the gates of one step.
    apart: Vec<T>,
}

impl<T: Number> Back<'_, T> {
    fn reverse(&self) -> bool {
        self.lane % self.network.directions() == 1
    }

    /// Before a step: a cell or state, from where the steps left it or from the start.
    fn before(
        &self,
        (step, sequence, at): (usize, usize, usize),
        steps: impl Fn(usize) -> T,
        start: Option<&Vec<T>>,
    ) -> T {
        let batch = self.extent.batch();
        match self.extent.before(step, sequence, self.reverse()) {
            Some(step) => steps(step * batch + sequence),
            None => start.map_or_else(T::zero, |start| {
                start[(self.lane * batch + sequence) * self.network.hidden + at]
            }),
        }
    }

    fn step(
        &mut self,
        weights: &[T],
        step: usize,
        gates: &mut [T],
        kept: &mut [T],
        outputs: &[T],
        gradient: &[T],
    ) {
        let (network, extent) = (self.network, self.extent);
        let (hidden, width, batch) = (network.hidden, network.width(), extent.batch());
        let column = self.lane % network.directions() * hidden;
        let one = T::one();
        // What of a state's gradient passes without the matrices.
        let mut straight = vec![T::zero(); batch * hidden];
        for sequence in (0..batch).filter(|&sequence| extent.goes_on(step, sequence)) {
            let row = step * batch + sequence;
            for at in 0..hidden {
                let place = sequence * hidden + at;
                let dh = self.hidden[place] + gradient[row * network.output() + column + at];
                let gate = |number: usize| row * width + number * hidden + at;
                match network.cell {
                    Cell::Relu => {
                        let open = gates[gate(0)] > T::zero();
                        gates[gate(0)] = if open { dh } else { T::zero() };
                    }
                    Cell::Tanh => {
                        let h = gates[gate(0)];
                        gates[gate(0)] = dh * (one - h * h);
                    }
                    Cell::Lstm => {
                        let [i, f, n, o] = [0, 1, 2, 3].map(|number| gates[gate(number)]);
                        let start = self.initial.cell.as_ref();
                        let before =
                            self.before((step, sequence, at), |row| kept[row * hidden + at], start);
                        let shown = kept[row * hidden + at].tanh();
                        let dc = self.cell[place] + dh * o * (one - shown * shown);
                        gates[gate(0)] = dc * n * i * (one - i);
                        gates[gate(1)] = dc * before * f * (one - f);
                        gates[gate(2)] = dc * i * (one - n * n);
                        gates[gate(3)] = dh * shown * o * (one - o);
                        self.cell[place] = dc * f;
                    }
                    Cell::Gru => {
                        let [r, z, n] = [0, 1, 2].map(|number| gates[gate(number)]);
                        let start = self.initial.hidden.as_ref();
                        let at_row = |row: usize| outputs[row * network.output() + column + at];
                        let before = self.before((step, sequence, at), at_row, start);
                        let dn = dh * (one - z) * (one - n * n);
                        gates[gate(0)] = dn * kept[row * hidden + at] * r * (one - r);
                        gates[gate(1)] = dh * (before - n) * z * (one - z);
                        gates[gate(2)] = dn;
                        kept[row * hidden + at] = dn * r;
                        straight[place] = dh * z;
                    }
                }
            }
        }
        let own = &gates[step * batch * width..][..batch * width];
        let own = match network.keeps_state_part() {
            false => own,
            true => {
                self.apart.copy_from_slice(own);
                for (sequence, apart) in self.apart.chunks_exact_mut(width).enumerate() {
                    let row = step * batch + sequence;
                    apart[2 * hidden..].copy_from_slice(&kept[row * hidden..][..hidden]);
                }
                &self.apart
            }
        };
        let place = network.state_matrices(self.lane);
        let matrices = View::whole(&weights[place.range()], hidden);
        multiply(
            View::whole(own, width),
            matrices,
            &mut straight,
            hidden,
            true,
        );
        for sequence in (0..batch).filter(|&sequence| extent.goes_on(step, sequence)) {
            let part = sequence * hidden..(sequence + 1) * hidden;
            self.hidden[part.clone()].copy_from_slice(&straight[part]);
        }
    }
}

/// Adds the gradients by weights to `sums`, after [`backward_data`].
///
/// # Panics
/// When `input`, `sums` or `reserve` are too short.
pub fn backward_weights<T: Number>(
    network: &Network,
    extent: &Extent,
    input: &[T],
    initial: &States<T>,
    reserve: &mut [T],
    sums: &mut [T],
) {
    let reserve = Reserve::new(network, extent, reserve);
    let (hidden, width) = (network.hidden, network.width());
    for lane in 0..network.lanes() {
        let layer = lane / network.directions();
        let between = reserve.input_of(layer);
        let input = between.as_deref().unwrap_or(input);
        let (gates, kept) = (&*reserve.gates[lane], &*reserve.kept[lane]);
        if let Some(place) = network.input_matrices(lane) {
            let by_gates = View::whole(gates, width).transposed();
            let input = View::whole(input, place.columns);
            multiply(
                by_gates,
                input,
                &mut sums[place.range()],
                place.columns,
                true,
            );
        }
        let states = before(network, extent, lane, initial, &reserve);
        let states = View::whole(&states, hidden);
        let place = network.state_matrices(lane);
        let matrices = &mut sums[place.range()];
        // All gates, or those whose state's part is not kept apart.
        let columns = if network.keeps_state_part() {
            2 * hidden
        } else {
            width
        };
        let by_gates = View::rows(gates, columns, width).transposed();
        multiply(by_gates, states, matrices, hidden, true);
        if network.keeps_state_part() {
            let by_last = View::whole(kept, hidden).transposed();
            multiply(
                by_last,
                states,
                &mut matrices[columns * hidden..],
                hidden,
                true,
            );
        }
        let mut add =
            |place: Option<Place>, first: usize, rows: &[T], columns: usize, pitch: usize| {
                let Some(place) = place else { return };
                for row in rows.chunks_exact(pitch) {
                    let sums = &mut sums[place.start + first..][..columns];
                    sums.iter_mut()
                        .zip(row)
                        .for_each(|(sum, gate)| *sum += *gate);
                }
            };
        add(network.input_biases(lane), 0, gates, width, width);
        add(network.state_biases(lane), 0, gates, columns, width);
        if network.keeps_state_part() {
            add(network.state_biases(lane), columns, kept, hidden, hidden);
        }
    }
}

/// The states before every step.
fn before<T: Number>(
    network: &Network,
    extent: &Extent,
    lane: usize,
    initial: &States<T>,
    reserve: &Reserve<'_, T>,
) -> Vec<T> {
    let (hidden, batch) = (network.hidden, extent.batch());
    let (layer, direction) = (lane / network.directions(), lane % network.directions());
    let start = States::of(initial.hidden.as_ref(), lane, batch * hidden);
    let mut states = vec![T::zero(); extent.rows() * hidden];
    for (row, state) in states.chunks_exact_mut(hidden).enumerate() {
        let (step, sequence) = (row / batch, row % batch);
        if !extent.goes_on(step, sequence) {
            continue;
        }
        state.copy_from_slice(match extent.before(step, sequence, direction == 1) {
            Some(step) => {
                let row = step * batch + sequence;
                &reserve.outputs[layer][row * network.output() + direction * hidden..][..hidden]
            }
            None => &start[sequence * hidden..][..hidden],
        });
    }
    states
}
