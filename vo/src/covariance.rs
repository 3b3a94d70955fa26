//! How far a pose may be off.
//!
//! Bundle adjustment tells how sure the newest keyframe is against those that it holds. What is held has drifted itself, so its own
//! covariance is carried along rigidly: a chain of windows, each with an error of its own. What a pose is off is then a
//! random walk, as it is for all odometry.

use geometry::{Se3, skew};
use nalgebra::{Matrix6, Vector3};

/// Covariance of the twist `(translation, rotation)` by which a camera is off, about its centre, along the world's axes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct PoseCovariance(pub(crate) Matrix6<f64>);

/// Errors of observations are alike along a track, because all its frames are registered to the same first sight, and so do not
/// average out as independent ones would: by how much variances are larger. Measured on rendered flights of 640x480.
pub(crate) const ALIKE: f64 = 2.5;

impl PoseCovariance {
    /// That of a pose known exactly.
    pub(crate) fn zero() -> Self {
        Self(Matrix6::zeros())
    }

    /// From a tangent `(translation, rotation)` in the camera's frame.
    pub(crate) fn from_camera_frame(covariance: &Matrix6<f64>, world_from_camera: &Se3) -> Self {
        let turn = rotation_only(world_from_camera).adjoint();
        Self(turn * covariance * turn.transpose())
    }

    /// As a tangent `(translation, rotation)` in the camera's frame.
    pub(crate) fn in_camera_frame(&self, world_from_camera: &Se3) -> Matrix6<f64> {
        let turn = rotation_only(&world_from_camera.inverse()).adjoint();
        turn * self.0 * turn.transpose()
    }

    /// That of something `way` further along which moves rigidly with this camera.
    pub(crate) fn carried(&self, way: &Vector3<f64>) -> Self {
        let mut lever = Matrix6::identity();
        lever.fixed_view_mut::<3, 3>(0, 3).copy_from(&-skew(way));
        Self(lever * self.0 * lever.transpose())
    }

    /// With an independent error of its own.
    pub(crate) fn plus(&self, other: &Matrix6<f64>) -> Self {
        Self(self.0 + other)
    }
}

fn rotation_only(pose: &Se3) -> Se3 {
    Se3 { translation: Vector3::zeros(), ..*pose }
}

#[cfg(test)]
mod tests {
    use nalgebra::{Matrix3, UnitQuaternion, Vector6};

    use super::*;

    #[test]
    fn a_turn_at_the_start_is_an_arc_further_on() {
        let mut covariance = Matrix6::zeros();
        covariance.fixed_view_mut::<3, 3>(3, 3).copy_from(&Matrix3::from_diagonal_element(0.01 * 0.01));
        let carried = PoseCovariance(covariance).carried(&Vector3::new(100.0, 0.0, 0.0)).0;
        assert!(carried[(0, 0)].abs() < 1e-12, "along the way nothing is gained or lost");
        assert!((carried[(1, 1)].sqrt() - 1.0).abs() < 1e-9 && (carried[(2, 2)].sqrt() - 1.0).abs() < 1e-9);
        assert!((carried[(3, 3)].sqrt() - 0.01).abs() < 1e-12);
    }

    #[test]
    fn frames_of_reference_are_there_and_back_again() {
        let rotation = UnitQuaternion::from_euler_angles(0.3, -0.8, 2.0);
        let pose = Se3::new(rotation, Vector3::new(1.0, 2.0, 3.0));
        let covariance = Matrix6::from_diagonal(&Vector6::new(1.0, 2.0, 3.0, 4.0, 5.0, 6.0));
        let there = PoseCovariance::from_camera_frame(&covariance, &pose);
        assert!((there.in_camera_frame(&pose) - covariance).norm() < 1e-12);
        assert!((there.0.trace() - covariance.trace()).abs() < 1e-12);
    }
}
