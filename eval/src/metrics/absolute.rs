//! Absolute pose error (APE): how far each pose is from where it should be.

use super::angle_rad;
use crate::AssociatedFrame;
use crate::association::pairs;

/// One error for each frame with an estimate, in order of time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AbsoluteErrors {
    /// Distance between the positions, metres. Its rmse is the absolute trajectory error, ATE.
    pub translation_m: Vec<f64>,
    /// Angle between the orientations, radians.
    pub rotation_rad: Vec<f64>,
}

/// The errors of aligned `frames`.
pub fn absolute_errors(frames: &[AssociatedFrame]) -> AbsoluteErrors {
    let errors = pairs(frames).map(|(truth, estimate)| {
        let distance = (truth.translation - estimate.translation).norm();
        (distance, angle_rad(&(truth.inverse() * *estimate)))
    });
    let (translation_m, rotation_rad) = errors.unzip();
    AbsoluteErrors { translation_m, rotation_rad }
}
