//! What a calibration left of the lens's distortion.
//!
//! A rectified image is seldom straight to the last tenth of a pixel (Cvisic et al. 2021 find it in KITTI), and a hundredth of radial distortion
//! makes a trajectory bend and its scale drift. So one radial coefficient is estimated along with poses and points.

use nalgebra::Vector2;

/// Radial residual: the true ray of the observed point `r` on the plane `z = 1` is `r (1 + k |r|^2)`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct LensResidual {
    pub(crate) k: f64,
}

impl LensResidual {
    /// The true ray of an observed one.
    pub(crate) fn correct(&self, ray: &Vector2<f64>) -> Vector2<f64> {
        ray * (1.0 + self.k * ray.norm_squared())
    }

    /// Where a true ray is observed, to first order in the residual.
    pub(crate) fn observe(&self, ray: &Vector2<f64>) -> Vector2<f64> {
        ray / (1.0 + self.k * ray.norm_squared())
    }

    /// Derivative of [`Self::correct`] by `k`.
    pub(crate) fn derivative(ray: &Vector2<f64>) -> Vector2<f64> {
        ray * ray.norm_squared()
    }
}

/// What is believed of the residual.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LensEstimate {
    mean: f64,
    variance: f64,
}

/// How far from straight a calibrated lens may be expected to be.
const PRIOR_SIGMA: f64 = 0.01;
/// A calibration is taken at its word until the images contradict it by so many standard deviations.
const BEYOND_DOUBT: f64 = 3.0;
/// Residuals this large are no rest of a calibration, but something else: a rolling shutter, a wrong focal length.
const IMPLAUSIBLE: f64 = 0.04;
/// Windows differ by so much more than the noise of single observations explains, because errors along a track are
/// alike; measured on flights with a perfect lens.
const SPREAD: f64 = 7.0;
/// Successive windows share two thirds of their keyframes.
const OVERLAP: f64 = 3.0;
/// A change of the residual worth adjusting the map for.
const WORTHWHILE: f64 = 5e-4;

impl Default for LensEstimate {
    fn default() -> Self {
        Self { mean: 0.0, variance: PRIOR_SIGMA * PRIOR_SIGMA }
    }
}

impl LensEstimate {
    /// The residual to be used.
    pub(crate) fn residual(&self) -> LensResidual {
        let beyond_doubt = self.mean.abs() > BEYOND_DOUBT * self.variance.sqrt();
        LensResidual { k: if beyond_doubt { self.mean } else { 0.0 } }
    }

    /// Takes what a window found, with its standard deviation for independent observations; whether the residual to
    /// be used is noticeably another one now.
    pub(crate) fn update(&mut self, k: f64, sigma: f64) -> bool {
        let variance = (SPREAD * sigma).powi(2) * OVERLAP;
        if !(variance.is_finite() && variance > 0.0 && k.abs() < IMPLAUSIBLE) {
            return false;
        }
        let before = self.residual().k;
        let gain = self.variance / (self.variance + variance);
        self.mean += gain * (k - self.mean);
        self.variance *= 1.0 - gain;
        (self.residual().k - before).abs() > WORTHWHILE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_calibration_is_believed_until_it_is_beyond_doubt_wrong() {
        let mut lens = LensEstimate::default();
        assert!(!lens.update(-0.015, 1e-3), "one window is no proof");
        assert_eq!(lens.residual(), LensResidual::default());
        let changed: Vec<bool> = (0..8).map(|_| lens.update(-0.015, 4e-4)).collect();
        assert!(changed.contains(&true));
        assert!((lens.residual().k + 0.015).abs() < 2e-3, "{lens:?}");
    }

    #[test]
    fn windows_that_scatter_around_zero_change_nothing() {
        let mut lens = LensEstimate::default();
        for i in 0..40 {
            let k = [0.004, -0.006, 0.003, -0.002][i % 4];
            assert!(!lens.update(k, 8e-4));
        }
        assert_eq!(lens.residual(), LensResidual::default());
    }

    #[test]
    fn what_is_no_lens_is_not_taken_for_one() {
        let mut lens = LensEstimate::default();
        for wild in [0.2, -0.13, f64::NAN, f64::INFINITY] {
            assert!(!lens.update(wild, 1e-5));
        }
        assert!(!lens.update(0.01, f64::NAN));
        assert_eq!(lens.residual(), LensResidual::default());
    }

    #[test]
    fn what_is_observed_is_corrected_back() {
        let lens = LensResidual { k: -0.015 };
        let ray = Vector2::new(0.6, -0.3);
        assert!((lens.correct(&lens.observe(&ray)) - ray).norm() < 1e-4);
    }
}
