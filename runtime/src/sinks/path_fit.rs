//! Where another path lies in the estimate's world, so that a viewer can show both.

use geometry::Se3;

/// The scale is taken anew each time the way travelled has grown by this factor.
const GROWTH: f64 = 1.5;

/// Fits a path to an estimate that has another origin and another unit of length.
///
/// The frames where they meet are made to coincide, and the scale is the ratio of the ways travelled since.
#[derive(Debug, Default)]
pub(super) struct PathFit {
    /// Where estimate and path were made to meet.
    anchor: Option<(Se3, Se3)>,
    last: Option<(Se3, Se3)>,
    estimated_way: f64,
    other_way: f64,
    fitted_at: f64,
}

/// `x` of the path lies at `pose * (scale * x)` in the estimate's world.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fitted {
    pub(super) pose: Se3,
    pub(super) scale: f64,
}

impl PathFit {
    /// Takes a tracked pose and that of the other path; gives a new fit where there is reason for one.
    pub(super) fn add(&mut self, estimate: Se3, other: Se3) -> Option<Fitted> {
        let (first_estimate, first_other) = *self.anchor.get_or_insert((estimate, other));
        if let Some((estimate_before, other_before)) = self.last.replace((estimate, other)) {
            self.estimated_way += (estimate.translation - estimate_before.translation).norm();
            self.other_way += (other.translation - other_before.translation).norm();
        }
        if self.other_way <= self.fitted_at * GROWTH || self.other_way <= 0.0 {
            return None;
        }
        self.fitted_at = self.other_way;
        let scale = self.estimated_way / self.other_way;
        let rotation = first_estimate.rotation * first_other.rotation.inverse();
        let translation = first_estimate.translation - rotation * first_other.translation * scale;
        Some(Fitted { pose: Se3::new(rotation, translation), scale })
    }

    /// A new map has an origin and a unit of its own.
    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use nalgebra::{UnitQuaternion, Vector3};

    use super::*;

    #[test]
    fn a_path_of_half_the_size_seen_from_elsewhere_is_laid_on_top() {
        let turn = UnitQuaternion::from_euler_angles(0.3, -0.2, 0.5);
        let mut paths = Vec::new();
        for i in 0..20 {
            let point = Vector3::new(f64::from(i), 0.1 * f64::from(i * i), 1.0);
            let estimate = Se3::new(turn, turn * point * 0.5 + Vector3::new(7.0, 8.0, 9.0));
            paths.push((estimate, Se3::new(UnitQuaternion::identity(), point)));
        }
        let mut fit = PathFit::default();
        let fitted = paths.iter().filter_map(|(estimate, other)| fit.add(*estimate, *other)).last().unwrap();
        assert!((fitted.scale - 0.5).abs() < 1e-9);
        let (estimate, other) = paths[19];
        let laid = fitted.pose * (other.translation * fitted.scale);
        assert!((laid - estimate.translation).norm() < 1e-9);
    }
}
