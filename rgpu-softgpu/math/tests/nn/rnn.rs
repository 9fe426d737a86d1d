//! Recurrent networks: forwards against the formulas of cuDNN's manual, one sequence and one element at a time; backwards
//! against differences.

use rgpu_softgpu_math::nn::rnn::{
    Bias, Cell, Extent, Network, States, backward_data, backward_weights, forward, reserve,
};

const CELLS: [Cell; 4] = [Cell::Relu, Cell::Tanh, Cell::Lstm, Cell::Gru];
const BIASES: [Bias; 4] = [Bias::None, Bias::Input, Bias::State, Bias::Both];

fn numbers(count: usize, seed: usize) -> Vec<f64> {
    let one = |at: usize| ((at * 7919 + seed * 104_729 + 17) % 1009) as f64 / 1009.0 - 0.5;
    (0..count).map(one).collect()
}

fn sigmoid(value: f64) -> f64 {
    1.0 / (1.0 + (-value).exp())
}

/// One step of one sequence in one lane.
fn step(
    network: &Network,
    weights: &[f64],
    lane: usize,
    input: &[f64],
    state: &mut [f64],
    cell: &mut [f64],
) {
    let gates = network.cell.gates();
    let part = |number: usize, at: usize, values: &[f64]| {
        let [matrix, bias] = network.matrix(lane, number);
        let product: f64 = match matrix {
            Some(place) => {
                let row = &weights[place.start + at * place.columns..][..place.columns];
                row.iter()
                    .zip(values)
                    .map(|(weight, value)| weight * value)
                    .sum()
            }
            None => values[at],
        };
        product + bias.map_or(0.0, |place| weights[place.start + at])
    };
    let old = state.to_vec();
    for at in 0..network.hidden {
        let x = |gate: usize| part(gate, at, input);
        let h = |gate: usize| part(gates + gate, at, &old);
        state[at] = match network.cell {
            Cell::Relu => (x(0) + h(0)).max(0.0),
            Cell::Tanh => (x(0) + h(0)).tanh(),
            Cell::Lstm => {
                let [i, f, o] = [0, 1, 3].map(|gate| sigmoid(x(gate) + h(gate)));
                cell[at] = f * cell[at] + i * (x(2) + h(2)).tanh();
                o * cell[at].tanh()
            }
            Cell::Gru => {
                let [r, z] = [0, 1].map(|gate| sigmoid(x(gate) + h(gate)));
                (1.0 - z) * (x(2) + r * h(2)).tanh() + z * old[at]
            }
        };
    }
}

/// The output, and the states and cells that are left.
fn slowly(
    network: &Network,
    extent: &Extent,
    weights: &[f64],
    input: &[f64],
    initial: &States<f64>,
) -> (Vec<f64>, Vec<f64>, Vec<f64>) {
    let (batch, hidden) = (extent.batch(), network.hidden);
    let mut states = initial.hidden.clone().unwrap();
    let mut cells = initial.cell.clone().unwrap();
    let mut values = input.to_vec();
    for layer in 0..network.layers {
        let columns = network.input_of(layer);
        let mut output = vec![0.0; extent.rows() * network.output()];
        for direction in 0..network.directions() {
            let lane = layer * network.directions() + direction;
            for (sequence, &len) in extent.lengths.iter().enumerate() {
                let own =
                    (lane * batch + sequence) * hidden..(lane * batch + sequence + 1) * hidden;
                let mut state = states[own.clone()].to_vec();
                for at in 0..len {
                    let row = batch * if direction == 0 { at } else { len - 1 - at } + sequence;
                    let input = &values[row * columns..][..columns];
                    step(
                        network,
                        weights,
                        lane,
                        input,
                        &mut state,
                        &mut cells[own.clone()],
                    );
                    let place = row * network.output() + direction * hidden;
                    output[place..][..hidden].copy_from_slice(&state);
                }
                states[own].copy_from_slice(&state);
            }
        }
        values = output;
    }
    (values, states, cells)
}

struct Case {
    network: Network,
    extent: Extent,
    weights: Vec<f64>,
    input: Vec<f64>,
    initial: States<f64>,
}

impl Case {
    fn new(cell: Cell, bias: Bias, bidirectional: bool, layers: usize, skip_input: bool) -> Self {
        let network = Network {
            cell,
            bias,
            bidirectional,
            skip_input,
            input: if skip_input { 3 } else { 4 },
            hidden: 3,
            layers,
            dropout: 0.0,
        };
        let extent = Extent {
            steps: 5,
            lengths: vec![5, 3, 0, 4],
        };
        let states = network.lanes() * extent.batch() * network.hidden;
        let mut input = numbers(extent.rows() * network.input, 1);
        for (row, values) in input.chunks_exact_mut(network.input).enumerate() {
            if row / 4 >= extent.lengths[row % 4] {
                values.fill(0.0);
            }
        }
        Self {
            weights: numbers(network.weights(), 2),
            input,
            initial: States {
                hidden: Some(numbers(states, 3)),
                cell: Some(numbers(states, 4)),
            },
            network,
            extent,
        }
    }

    fn reserve(&self) -> Vec<f64> {
        vec![0.0; reserve::len(&self.network, &self.extent)]
    }

    fn forward(&self, reserve: &mut [f64]) -> (Vec<f64>, States<f64>) {
        let (network, extent) = (&self.network, &self.extent);
        let mask = || unreachable!("nothing is dropped");
        forward(
            network,
            extent,
            &self.weights,
            &self.input,
            &self.initial,
            mask,
            reserve,
        )
    }
}

fn cases() -> impl Iterator<Item = Case> {
    CELLS.into_iter().flat_map(|cell| {
        BIASES.into_iter().flat_map(move |bias| {
            [(false, 1, false), (true, 2, false), (true, 2, true)]
                .map(|(both, layers, skip)| Case::new(cell, bias, both, layers, skip))
        })
    })
}

fn near(got: &[f64], want: &[f64], what: &str) {
    assert_eq!(got.len(), want.len(), "{what}");
    for (at, (got, want)) in got.iter().zip(want).enumerate() {
        assert!((got - want).abs() < 1e-12, "{what} {at}: {got}, not {want}");
    }
}

#[test]
fn outputs_and_states_follow_the_formulas() {
    for case in cases() {
        let what = format!("{:?}", case.network);
        let (output, left) = case.forward(&mut case.reserve());
        let Case {
            network,
            extent,
            weights,
            input,
            initial,
        } = &case;
        let (want, states, cells) = slowly(network, extent, weights, input, initial);
        near(&output, &want, &what);
        near(&left.hidden.unwrap(), &states, &what);
        near(&left.cell.unwrap(), &cells, &what);
    }
}

#[test]
fn gradients_are_differences() {
    for case in cases() {
        let what = format!("{:?}", case.network);
        let mut kept = case.reserve();
        let (output, left) = case.forward(&mut kept);
        // Of the sum of everything times these.
        let by_output = numbers(output.len(), 5);
        let by_left = States {
            hidden: Some(numbers(left.hidden.unwrap().len(), 6)),
            cell: Some(numbers(left.cell.unwrap().len(), 7)),
        };
        let value = |case: &Case| {
            let (output, left) = case.forward(&mut case.reserve());
            let sum = |values: &[f64], by: &[f64]| -> f64 {
                values.iter().zip(by).map(|(a, b)| a * b).sum()
            };
            let cells = match case.network.cell {
                Cell::Lstm => sum(&left.cell.unwrap(), by_left.cell.as_ref().unwrap()),
                _ => 0.0,
            };
            sum(&output, &by_output)
                + sum(&left.hidden.unwrap(), by_left.hidden.as_ref().unwrap())
                + cells
        };
        let Case {
            network,
            extent,
            weights,
            input,
            initial,
        } = &case;
        let found = backward_data(
            network, extent, weights, initial, &by_output, &by_left, &mut kept,
        );
        let mut by_weights = vec![0.0; weights.len()];
        backward_weights(network, extent, input, initial, &mut kept, &mut by_weights);
        type Part = fn(&mut Case) -> &mut Vec<f64>;
        let parts: [(&[f64], Part); 4] = [
            (&found.input, |case| &mut case.input),
            (&by_weights, |case| &mut case.weights),
            (found.states.hidden.as_ref().unwrap(), |case| {
                case.initial.hidden.as_mut().unwrap()
            }),
            (found.states.cell.as_ref().unwrap(), |case| {
                case.initial.cell.as_mut().unwrap()
            }),
        ];
        for (number, (found, part)) in parts.into_iter().enumerate() {
            if number == 3 && case.network.cell != Cell::Lstm {
                continue;
            }
            for (at, &got) in found.iter().enumerate() {
                const STEP: f64 = 1e-5;
                let moved = |by: f64| {
                    let mut case = Case {
                        network: case.network.clone(),
                        extent: case.extent.clone(),
                        weights: case.weights.clone(),
                        input: case.input.clone(),
                        initial: case.initial.clone(),
                    };
                    part(&mut case)[at] += by;
                    value(&case)
                };
                let want = (moved(STEP) - moved(-STEP)) / (2.0 * STEP);
                assert!(
                    (got - want).abs() < 1e-7,
                    "{what}: part {number} at {at}: {got}, not {want}"
                );
            }
        }
    }
}

#[test]
fn what_is_dropped_between_layers_has_no_gradient() {
    let mut case = Case::new(Cell::Tanh, Bias::None, false, 2, false);
    case.network.dropout = 0.5;
    let mut kept = case.reserve();
    let Case {
        network,
        extent,
        weights,
        input,
        initial,
    } = &case;
    // Everything is dropped: the second layer sees only its own states.
    let (output, _) = forward(network, extent, weights, input, initial, || 0.0, &mut kept);
    let zero = vec![0.0; input.len()];
    let (want, _) = forward(
        network,
        extent,
        weights,
        &zero,
        initial,
        || 0.0,
        &mut case.reserve(),
    );
    near(&output, &want, "the output");
    let ones = vec![1.0; output.len()];
    let found = backward_data(
        network,
        extent,
        weights,
        initial,
        &ones,
        &States::default(),
        &mut kept,
    );
    assert!(found.input.iter().all(|value| *value == 0.0));
}
