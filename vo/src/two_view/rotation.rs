//! Two views from one place: how the camera turned, and what a turn does not explain.

use geometry::Se3;
use nalgebra::{Matrix3, UnitQuaternion, Vector3};

use super::Match;
use crate::median::median;

/// Matches further from a rotation than this many times the median one have no say in it.
const OUTLIER_PARALLAXES: f64 = 3.0;

/// Median distance of the matches from each other after `rotation`; on the plane `z = 1`.
pub(crate) fn parallax(matches: &[Match], rotation: &UnitQuaternion<f64>) -> f64 {
    median(matches.iter().map(|m| turn_error(rotation, m))).unwrap_or(0.0)
}

/// Distance of a match from where a rotation takes it, on the plane `z = 1`.
pub(crate) fn turn_error(rotation: &UnitQuaternion<f64>, (a, b): &Match) -> f64 {
    let rotated = rotation * a.push(1.0);
    (rotated.xy() / rotated.z - b).norm()
}

/// The rotation that takes most of the first rays nearest to the second.
pub(crate) fn best_rotation(matches: &[Match]) -> UnitQuaternion<f64> {
    let first = rotation_of(matches.iter());
    let limit = OUTLIER_PARALLAXES * parallax(matches, &first);
    rotation_of(matches.iter().filter(|m| turn_error(&first, m) <= limit))
}

/// The rotation that takes the first rays nearest to the second (Kabsch 1976).
pub(crate) fn rotation_of<'a>(matches: impl Iterator<Item = &'a Match>) -> UnitQuaternion<f64> {
    let correlation = |sum: Matrix3<f64>, (a, b): &Match| {
        sum + b.push(1.0).normalize() * a.push(1.0).normalize().transpose()
    };
    let sum = matches.fold(Matrix3::zeros(), correlation);
    Se3::from_rotation_matrix(&sum, Vector3::zeros()).rotation
}
