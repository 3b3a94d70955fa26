//! Which range of values the 256 steps of a tensor cover.

use std::str::FromStr;

use super::histogram::Histogram;
use crate::error::NnError;
use crate::kernels::Quantisation;

/// How the range of a tensor is chosen from what it was seen to hold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RangeChoice {
    /// All values.
    MinMax,
    /// This percentage of the values, as many left out above as below.
    Percentile(f64),
    /// The range with the least squared error: outliers are cut off where finer steps are worth more.
    MeanSquare,
}

impl RangeChoice {
    /// The range, which includes 0.
    pub(super) fn range(self, histogram: &Histogram) -> [f32; 2] {
        match self {
            Self::MinMax => histogram.extremes(),
            Self::Percentile(percent) => histogram.percentile(percent / 100.0),
            Self::MeanSquare => histogram.least_squares(),
        }
    }
}

impl FromStr for RangeChoice {
    type Err = NnError;

    /// `min-max`, `mean-square` or `percentile:99.99`.
    ///
    /// # Errors
    /// [`NnError::Shape`] where it is none of these or the percentage is not above 50 and at most 100.
    fn from_str(text: &str) -> Result<Self, NnError> {
        let percent = |text: &str| text.parse().ok().filter(|percent| (50.0..=100.0).contains(percent));
        match text.split_once(':') {
            None if text == "min-max" => Some(Self::MinMax),
            None if text == "mean-square" => Some(Self::MeanSquare),
            Some(("percentile", text)) => percent(text).map(Self::Percentile),
            _ => None,
        }
        .ok_or_else(|| NnError::Shape {
            expected: "min-max, mean-square or percentile:P with P from 50 to 100",
            found: text.to_owned(),
        })
    }
}

/// 256 steps over a range that includes 0, with a byte that stands for 0 exactly.
pub(super) fn steps_over([low, high]: [f32; 2]) -> Quantisation {
    /// The smallest scale: that of a tensor that is never more than this has no steps to lose.
    const SMALLEST: f32 = 1e-12;
    let (low, high) = (f64::from(low), f64::from(high));
    let scale = (((high - low) / 255.0) as f32).max(SMALLEST);
    if high - low < f64::from(SMALLEST) {
        return Quantisation { scale: 1.0, zero_point: 0 };
    }
    let zero_point = (-low / f64::from(scale)).round().clamp(0.0, 255.0) as u8;
    Quantisation { scale, zero_point }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_cover_their_range_and_hold_zero() {
        for range in [[-1.0, 2.0], [0.0, 6.0], [-3.0, 0.0], [-1e-3, 1e5], [0.0, 0.0], [0.0, 1e-30]] {
            let steps = steps_over(range);
            assert!(steps.scale > 0.0 && steps.scale.is_finite());
            assert_eq!(steps.dequantise(steps.quantise(0.0)), 0.0, "{range:?}");
            for end in range {
                let kept = steps.dequantise(steps.quantise(end));
                assert!((kept - end).abs() <= steps.scale * 0.51, "{range:?}: {end} became {kept}");
            }
        }
    }

    #[test]
    fn choices_are_read_from_text() {
        assert_eq!("min-max".parse(), Ok(RangeChoice::MinMax));
        assert_eq!("mean-square".parse(), Ok(RangeChoice::MeanSquare));
        assert_eq!("percentile:99.9".parse(), Ok(RangeChoice::Percentile(99.9)));
        for wrong in ["", "median", "percentile", "percentile:101", "percentile:NaN", "min-max:3"] {
            assert!(wrong.parse::<RangeChoice>().is_err(), "{wrong}");
        }
    }
}
