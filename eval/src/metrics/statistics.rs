//! A set of errors in a few numbers.

use serde::{Deserialize, Serialize};

/// What a set of errors looks like, in the unit of the errors.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Statistics {
    /// Root of the mean square.
    pub rmse: f64,
    /// Arithmetic mean.
    pub mean: f64,
    /// The middle one; the mean of the middle two.
    pub median: f64,
    /// The largest.
    pub max: f64,
    /// Standard deviation of this set (divided by `count`, not `count - 1`).
    pub std: f64,
    /// How many.
    pub count: usize,
}

impl Statistics {
    /// Of `errors`, in any order; `None` where there are none.
    pub fn of(errors: &[f64]) -> Option<Self> {
        let count = errors.len();
        let mut sorted = errors.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (&max, n) = (sorted.last()?, count as f64);
        let mean = errors.iter().sum::<f64>() / n;
        let mean_of = |f: &dyn Fn(f64) -> f64| errors.iter().map(|&e| f(e)).sum::<f64>() / n;
        Some(Self {
            rmse: mean_of(&|e| e * e).sqrt(),
            mean,
            median: (sorted[(count - 1) / 2] + sorted[count / 2]) / 2.0,
            max,
            std: mean_of(&|e| (e - mean) * (e - mean)).sqrt(),
            count,
        })
    }

    /// In another unit: every number but the count times `factor`.
    #[must_use]
    pub fn times(self, factor: f64) -> Self {
        Self {
            rmse: self.rmse * factor,
            mean: self.mean * factor,
            median: self.median * factor,
            max: self.max * factor,
            std: self.std * factor,
            count: self.count,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_numbers() {
        let stats = Statistics::of(&[4.0, 1.0, 3.0, 2.0]).unwrap();
        assert_eq!((stats.mean, stats.median, stats.max, stats.count), (2.5, 2.5, 4.0, 4));
        assert!((stats.rmse - 7.5f64.sqrt()).abs() < 1e-15);
        assert!((stats.std - 1.25f64.sqrt()).abs() < 1e-15);
        assert_eq!(Statistics::of(&[]), None);
    }
}
