//! How sequences lie in memory.

use std::borrow::Cow;

use super::{Extent, Number};
use crate::nn::tensor::{Layout, Tensor, Type};
use crate::nn::{Error, Result};

/// In which order elements come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Step by step, all sequences of a step together, also those that have ended.
    Steps,
    /// Step by step, without those that have ended; sequences that end later come first.
    Packed,
    /// Sequence by sequence, all of them with as many steps.
    Sequences,
}

/// Sequences of vectors.
#[derive(Debug, Clone)]
pub struct Sequences {
    /// What elements are stored as.
    pub kind: Type,
    /// How they lie.
    pub order: Order,
    /// Elements of a vector.
    pub width: usize,
    /// How many and how long they are.
    pub extent: Extent,
    /// What stands where a sequence has ended; as it is there, without.
    pub fill: Option<f64>,
}

impl Sequences {
    /// Checks that the numbers fit together.
    pub fn check(&self) -> Result {
        let lengths = &self.extent.lengths;
        let fits = lengths.iter().all(|&len| len <= self.extent.steps);
        let sorted = lengths.windows(2).all(|pair| pair[0] >= pair[1]);
        match fits && (self.order != Order::Packed || sorted) {
            true => Ok(()),
            false => Err(Error::Shape),
        }
    }

    /// The memory that they take.
    pub fn layout(&self) -> Layout {
        let rows = match self.order {
            Order::Packed => self.extent.lengths.iter().sum(),
            Order::Steps | Order::Sequences => self.extent.rows(),
        };
        Layout::packed(self.kind, &[rows, self.width])
    }

    /// Calls with the place of every vector here, and inside; without a place inside, where a sequence has ended.
    fn each(&self, mut work: impl FnMut(usize, Option<usize>)) {
        let Extent { steps, .. } = self.extent;
        let batch = self.extent.batch();
        let mut packed = 0;
        for step in 0..steps {
            for sequence in 0..batch {
                let inside = step * batch + sequence;
                let goes_on = self.extent.goes_on(step, sequence);
                let own = match self.order {
                    Order::Steps => inside,
                    Order::Sequences => sequence * steps + step,
                    Order::Packed if !goes_on => continue,
                    Order::Packed => {
                        packed += 1;
                        packed - 1
                    }
                };
                work(own, goes_on.then_some(inside));
            }
        }
    }

    /// The vectors as they are inside.
    pub fn gather<'a, T: Number>(&self, tensor: &'a Tensor) -> Cow<'a, [T]> {
        let values = tensor.read::<T>();
        let whole = |len: &usize| *len == self.extent.steps;
        if self.order == Order::Steps && self.extent.lengths.iter().all(whole) {
            return values;
        }
        let width = self.width;
        let mut gathered = vec![T::default(); self.extent.rows() * width];
        self.each(|own, inside| {
            if let Some(inside) = inside {
                let values = &values[own * width..][..width];
                gathered[inside * width..][..width].copy_from_slice(values);
            }
        });
        Cow::Owned(gathered)
    }

    /// Stores vectors that are as inside.
    pub fn scatter<T: Number>(&self, values: &[T], tensor: &Tensor) {
        let width = self.width;
        let mut all = match self.fill {
            Some(fill) => vec![T::of(fill); tensor.layout.elements()],
            // What is there stays.
            None => tensor.read::<T>().into_owned(),
        };
        self.each(|own, inside| {
            if let Some(inside) = inside {
                all[own * width..][..width].copy_from_slice(&values[inside * width..][..width]);
            }
        });
        let mut output = tensor.output::<T>(1.0, 0.0, &[]);
        output.values().copy_from_slice(&all);
        output.finish();
    }
}
