//! Medians and spreads of repeated measurements.

use serde::{Deserialize, Serialize};

/// Repeated measurements of one thing, in seconds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Samples(pub Vec<f64>);

impl Samples {
    /// The value in the middle; 0 without any.
    pub fn median(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        match sorted.len() {
            0 => 0.0,
            len if len % 2 == 1 => sorted[len / 2],
            len => f64::midpoint(sorted[len / 2 - 1], sorted[len / 2]),
        }
    }

    /// Least and greatest.
    pub fn spread(&self) -> (f64, f64) {
        let least = self.0.iter().copied().fold(f64::INFINITY, f64::min);
        let greatest = self.0.iter().copied().fold(0.0, f64::max);
        if self.0.is_empty() {
            (0.0, 0.0)
        } else {
            (least, greatest)
        }
    }
}

/// Seconds, for people.
pub fn show_seconds(seconds: f64) -> String {
    match seconds {
        s if s < 1e-6 => format!("{:.0} ns", s * 1e9),
        s if s < 1e-3 => format!("{:.2} µs", s * 1e6),
        s if s < 1.0 => format!("{:.2} ms", s * 1e3),
        s => format!("{s:.2} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(Samples(vec![3.0, 1.0, 2.0]).median(), 2.0);
        assert_eq!(Samples(vec![4.0, 1.0, 2.0, 3.0]).median(), 2.5);
        assert_eq!(Samples::default().median(), 0.0);
        assert_eq!(Samples(vec![3.0, 1.0]).spread(), (1.0, 3.0));
    }

    #[test]
    fn seconds_are_shown_in_fitting_units() {
        assert_eq!(show_seconds(2.5e-7), "250 ns");
        assert_eq!(show_seconds(2.5e-5), "25.00 µs");
        assert_eq!(show_seconds(0.25), "250.00 ms");
    }
}
