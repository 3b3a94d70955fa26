//! Truth and prediction of one image, and how far apart they are.

use geometry::DepthImage;
use serde::{Deserialize, Serialize};

use super::DepthProtocol;
use crate::EvalError;

/// How wrong depths are; Eigen et al. (NIPS 2014), section 4.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DepthErrors {
    /// Mean of `|truth - prediction| / truth`.
    pub abs_rel: f64,
    /// Mean of `(truth - prediction)^2 / truth`, in metres.
    pub sq_rel: f64,
    /// Root of the mean of `(truth - prediction)^2`, in metres.
    pub rmse: f64,
    /// Root of the mean of `(ln truth - ln prediction)^2`.
    pub rmse_log: f64,
    /// Share of pixels where the greater of truth and prediction is below 1.25 times the other.
    pub delta1: f64,
    /// The same for `1.25^2`.
    pub delta2: f64,
    /// The same for `1.25^3`.
    pub delta3: f64,
}

impl DepthErrors {
    /// Each error's mean over `images`; zeros for none.
    pub(super) fn mean<'a>(images: impl ExactSizeIterator<Item = &'a Self>) -> Self {
        let count = images.len().max(1) as f64;
        let sum = images.fold([0.0; 7], |sum, of| {
            let values = of.values();
            std::array::from_fn(|index| sum[index] + values[index])
        });
        let [abs_rel, sq_rel, rmse, rmse_log, delta1, delta2, delta3] = sum.map(|sum| sum / count);
        Self { abs_rel, sq_rel, rmse, rmse_log, delta1, delta2, delta3 }
    }

    /// All seven, in the order of papers' tables.
    pub fn values(&self) -> [f64; 7] {
        [self.abs_rel, self.sq_rel, self.rmse, self.rmse_log, self.delta1, self.delta2, self.delta3]
    }
}

/// Truth and prediction at the pixels of one image that count, in metres.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DepthPairs {
    truth: Vec<f32>,
    predicted: Vec<f32>,
    /// Pixels that count but have no prediction.
    missing: usize,
}

impl DepthPairs {
    /// What `protocol` lets count.
    ///
    /// # Errors
    /// [`EvalError::Protocol`] where truth and prediction have different sizes.
    pub fn new(
        truth: &DepthImage,
        predicted: &DepthImage,
        protocol: &DepthProtocol,
    ) -> Result<Self, EvalError> {
        if truth.size() != predicted.size() {
            let found = format!("{:?} for a truth of {:?}", predicted.size(), truth.size());
            return Err(EvalError::Protocol { expected: "a prediction of the truth's size", found });
        }
        let mut pairs = Self::default();
        for index in protocol.pixels(truth) {
            let prediction = predicted.as_slice()[index];
            if prediction > 0.0 && prediction.is_finite() {
                pairs.truth.push(truth.as_slice()[index]);
                pairs.predicted.push(prediction);
            } else {
                pairs.missing += 1;
            }
        }
        Ok(pairs)
    }

    /// Pixels that are compared.
    pub fn len(&self) -> usize {
        self.truth.len()
    }

    /// Whether no pixel is compared.
    pub fn is_empty(&self) -> bool {
        self.truth.is_empty()
    }

    /// Pixels whose truth counts but that have no prediction.
    pub fn missing(&self) -> usize {
        self.missing
    }

    /// Median of the truth over that of the prediction; `None` where nothing is compared.
    pub fn median_ratio(&self) -> Option<f64> {
        Some(median(&self.truth)? / median(&self.predicted)?)
    }

    /// The same truth beside a prediction that is everywhere the same: what anyone can do.
    pub fn constant(&self) -> Self {
        Self { predicted: vec![1.0; self.truth.len()], ..self.clone() }
    }

    /// Errors of the prediction times `scale`, kept in the range of `protocol`; `None` where nothing is compared.
    pub fn errors(&self, scale: f64, protocol: &DepthProtocol) -> Option<DepthErrors> {
        let mut sum = [0.0_f64; 7];
        for (&truth, &predicted) in self.truth.iter().zip(&self.predicted) {
            let predicted = (f64::from(predicted) * scale).clamp(protocol.min_m, protocol.max_m);
            let terms = pixel_terms(truth.into(), predicted);
            sum.iter_mut().zip(terms).for_each(|(sum, term)| *sum += term);
        }
        let count = self.truth.len() as f64;
        let [abs_rel, sq_rel, squared, squared_log, delta1, delta2, delta3] = sum.map(|sum| sum / count);
        let (rmse, rmse_log) = (squared.sqrt(), squared_log.sqrt());
        (count > 0.0).then_some(DepthErrors { abs_rel, sq_rel, rmse, rmse_log, delta1, delta2, delta3 })
    }
}

/// What one pixel adds to the sums of [`DepthErrors`], roots not yet taken.
fn pixel_terms(truth: f64, predicted: f64) -> [f64; 7] {
    let difference = truth - predicted;
    let log_difference = truth.ln() - predicted.ln();
    let ratio = (truth / predicted).max(predicted / truth);
    let within = |power: i32| f64::from(u8::from(ratio < 1.25_f64.powi(power)));
    [
        difference.abs() / truth,
        difference * difference / truth,
        difference * difference,
        log_difference * log_difference,
        within(1),
        within(2),
        within(3),
    ]
}

/// The value in the middle, or the mean of the two there; `None` where there are none.
pub(super) fn median<T: Copy + Into<f64>>(values: &[T]) -> Option<f64> {
    let mut values: Vec<f64> = values.iter().map(|value| (*value).into()).collect();
    let middle = values.len().checked_sub(1)? / 2;
    let is_odd = values.len() % 2 == 1;
    let (_, lower, above) = values.select_nth_unstable_by(middle, f64::total_cmp);
    let lower = *lower;
    let upper = above.iter().copied().min_by(f64::total_cmp).filter(|_| !is_odd);
    Some(upper.map_or(lower, |upper| (lower + upper) / 2.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(values: &[f32]) -> DepthImage {
        DepthImage::from_vec(values.len(), 1, values.to_vec()).unwrap()
    }

    fn pairs(truth: &[f32], predicted: &[f32]) -> DepthPairs {
        DepthPairs::new(&image(truth), &image(predicted), &DepthProtocol::default()).unwrap()
    }

    #[test]
    fn errors_of_two_pixels_by_hand() {
        let errors =
            pairs(&[10.0, 20.0], &[11.0, 10.0]).errors(1.0, &DepthProtocol::default()).unwrap().values();
        let log = ((1.1_f64.ln().powi(2) + 2.0_f64.ln().powi(2)) / 2.0).sqrt();
        let expected = [0.3, (0.1 + 5.0) / 2.0, 50.5_f64.sqrt(), log, 0.5, 0.5, 0.5];
        assert!(errors.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12), "{errors:?}");
    }

    #[test]
    fn a_prediction_in_another_unit_is_right_once_scaled() {
        let pairs = pairs(&[10.0, 20.0, 0.0, 40.0], &[1.0, 2.0, 7.0, 4.0]);
        assert_eq!((pairs.len(), pairs.median_ratio()), (3, Some(10.0)));
        let errors = pairs.errors(10.0, &DepthProtocol::default()).unwrap();
        assert_eq!((errors.abs_rel, errors.delta1), (0.0, 1.0));
        let constant = pairs.constant();
        assert_eq!(constant.median_ratio(), Some(20.0));
        assert!(constant.errors(20.0, &DepthProtocol::default()).unwrap().abs_rel > 0.4);
    }

    #[test]
    fn scaled_predictions_stay_in_the_range() {
        let errors = pairs(&[70.0], &[100.0]).errors(10.0, &DepthProtocol::default()).unwrap();
        assert_eq!(errors.rmse, 10.0);
    }

    #[test]
    fn what_has_no_prediction_is_counted_as_missing() {
        let pairs = pairs(&[10.0, 20.0, 30.0, 0.0], &[0.0, f32::NAN, 15.0, 0.0]);
        assert_eq!((pairs.len(), pairs.missing(), pairs.median_ratio()), (1, 2, Some(2.0)));
        assert!(self::pairs(&[0.0], &[1.0]).errors(1.0, &DepthProtocol::default()).is_none());
        let error = DepthPairs::new(&image(&[1.0]), &image(&[1.0, 2.0]), &DepthProtocol::default());
        assert!(error.unwrap_err().to_string().contains("the truth's size, found (2, 1)"));
    }

    #[test]
    fn the_median_of_an_even_count_is_between() {
        assert_eq!(median(&[4.0_f32, 1.0, 3.0, 2.0]), Some(2.5));
        assert_eq!(median(&[4.0_f32, 1.0, 3.0]), Some(3.0));
        assert_eq!(median::<f32>(&[]), None);
    }
}
