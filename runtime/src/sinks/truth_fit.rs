//! Where the true path lies in the estimate's world, so that a viewer can show both.

use geometry::{Se3, Timestamp, Trajectory};

/// The scale is taken anew each time the way travelled has grown by this factor.
const GROWTH: f64 = 1.5;

/// Fits the truth to an estimate that has another origin and another unit of length.
///
/// The frames where they meet are made to coincide, and the scale is the ratio of the ways travelled since.
#[derive(Debug)]
pub(super) struct TruthFit {
    truth: Trajectory,
    /// Where estimate and truth were made to meet.
    anchor: Option<(Se3, Se3)>,
    last: Option<(Se3, Se3)>,
    estimated_way: f64,
    true_way: f64,
    fitted_at: f64,
}

/// `x` of the truth lies at `pose * (scale * x)` in the estimate's world.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fitted {
    pub(super) pose: Se3,
    pub(super) scale: f64,
}

impl TruthFit {
    pub(super) fn new(truth: Trajectory) -> Self {
        Self { truth, anchor: None, last: None, estimated_way: 0.0, true_way: 0.0, fitted_at: 0.0 }
    }

    /// Takes a tracked pose; gives a new fit where there is reason for one.
    pub(super) fn add(&mut self, stamp: Timestamp, world_from_camera: &Se3) -> Option<Fitted> {
        let truth = self.truth.at(stamp)?;
        let (first_estimate, first_truth) = *self.anchor.get_or_insert((*world_from_camera, truth));
        if let Some((estimate_before, truth_before)) = self.last.replace((*world_from_camera, truth)) {
            self.estimated_way += (world_from_camera.translation - estimate_before.translation).norm();
            self.true_way += (truth.translation - truth_before.translation).norm();
        }
        if self.true_way <= self.fitted_at * GROWTH || self.true_way <= 0.0 {
            return None;
        }
        self.fitted_at = self.true_way;
        let scale = self.estimated_way / self.true_way;
        let rotation = first_estimate.rotation * first_truth.rotation.inverse();
        let translation = first_estimate.translation - rotation * first_truth.translation * scale;
        Some(Fitted { pose: Se3::new(rotation, translation), scale })
    }

    /// A new map has an origin and a unit of its own.
    pub(super) fn reset(&mut self) {
        (self.anchor, self.last) = (None, None);
        (self.estimated_way, self.true_way, self.fitted_at) = (0.0, 0.0, 0.0);
    }
}

#[cfg(test)]
mod tests {
    use nalgebra::{UnitQuaternion, Vector3};

    use super::*;

    #[test]
    fn a_path_of_half_the_size_seen_from_elsewhere_is_laid_on_top() {
        let turn = UnitQuaternion::from_euler_angles(0.3, -0.2, 0.5);
        let (mut truth, mut estimate) = (Trajectory::new(), Vec::new());
        for i in 0..20 {
            let point = Vector3::new(f64::from(i), 0.1 * f64::from(i * i), 1.0);
            let stamp = Timestamp::from_nanos(i64::from(i));
            truth.push(stamp, Se3::new(UnitQuaternion::identity(), point)).unwrap();
            estimate.push((stamp, Se3::new(turn, turn * point * 0.5 + Vector3::new(7.0, 8.0, 9.0))));
        }
        let mut fit = TruthFit::new(truth.clone());
        let fitted = estimate.iter().filter_map(|(stamp, pose)| fit.add(*stamp, pose)).last().unwrap();
        assert!((fitted.scale - 0.5).abs() < 1e-9);
        let laid = fitted.pose * (truth.poses()[19].translation * fitted.scale);
        assert!((laid - estimate[19].1.translation).norm() < 1e-9);
    }
}
