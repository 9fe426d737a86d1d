//! Where matrices and biases lie among the weights: first the matrices of all lanes, then the biases of all lanes.
//!
//! A lane has its matrices of the input, gate after gate, then those of the state. Each has a row for every element of the
//! state. Gates are numbered in the order i, f, n, o (LSTM) and r, z, n (GRU).

use std::ops::Range;

use super::{Bias, Cell, Network};

/// A matrix among the weights, row after row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Its first element.
    pub start: usize,
    /// Its rows.
    pub rows: usize,
    /// Its columns.
    pub columns: usize,
}

impl Place {
    /// Its elements.
    pub fn range(self) -> Range<usize> {
        self.start..self.start + self.rows * self.columns
    }
}

impl Network {
    fn has_input_matrices(&self, lane: usize) -> bool {
        !(self.skip_input && lane < self.directions())
    }

    fn columns_of(&self, lane: usize) -> usize {
        match self.has_input_matrices(lane) {
            true => self.input_of(lane / self.directions()),
            false => 0,
        }
    }

    /// Elements of the matrices of the lanes before one.
    fn matrices_before(&self, lane: usize) -> usize {
        let own = |lane| self.width() * (self.columns_of(lane) + self.hidden);
        (0..lane).map(own).sum()
    }

    /// Biases that a gate has.
    fn biases(&self) -> usize {
        match self.bias {
            Bias::None => 0,
            Bias::Input | Bias::State => 1,
            Bias::Both => 2,
        }
    }

    /// Elements of all weights.
    pub fn weights(&self) -> usize {
        self.matrices_before(self.lanes()) + self.lanes() * self.biases() * self.width()
    }

    /// The matrices of a lane's input, one below the other.
    pub fn input_matrices(&self, lane: usize) -> Option<Place> {
        self.has_input_matrices(lane).then(|| Place {
            start: self.matrices_before(lane),
            rows: self.width(),
            columns: self.columns_of(lane),
        })
    }

    /// The matrices of a lane's state, one below the other.
    pub fn state_matrices(&self, lane: usize) -> Place {
        Place {
            start: self.matrices_before(lane) + self.width() * self.columns_of(lane),
            rows: self.width(),
            columns: self.hidden,
        }
    }

    fn bias_place(&self, lane: usize, nth: usize) -> Place {
        let before = lane * self.biases() + nth;
        Place {
            start: self.matrices_before(self.lanes()) + before * self.width(),
            rows: self.width(),
            columns: 1,
        }
    }

    /// The biases of a lane's input, one below the other.
    pub fn input_biases(&self, lane: usize) -> Option<Place> {
        matches!(self.bias, Bias::Input | Bias::Both).then(|| self.bias_place(lane, 0))
    }

    /// The biases of a lane's state, one below the other.
    pub fn state_biases(&self, lane: usize) -> Option<Place> {
        let has = matches!(self.bias, Bias::State | Bias::Both);
        has.then(|| self.bias_place(lane, self.biases() - 1))
    }

    /// One matrix and its bias: `number` counts the gates, first for the input, then for the state.
    pub fn matrix(&self, lane: usize, number: usize) -> [Option<Place>; 2] {
        let gates = self.cell.gates();
        let (all, biases) = match number < gates {
            true => (self.input_matrices(lane), self.input_biases(lane)),
            false => (Some(self.state_matrices(lane)), self.state_biases(lane)),
        };
        let one = |place: Place| Place {
            start: place.start + number % gates * self.hidden * place.columns,
            rows: self.hidden,
            ..place
        };
        [all.map(one), biases.map(one)]
    }

    /// Whether what a cell keeps besides its gates is the state's part of its last gate.
    pub(super) fn keeps_state_part(&self) -> bool {
        self.cell == Cell::Gru
    }
}
