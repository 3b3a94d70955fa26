//! The last pose known, and where the camera should be after it.

use geometry::{Se3, Timestamp};
use nalgebra::{Matrix6, Vector3, Vector6};

/// Motion is taken to go on for so long, in seconds.
const MAX_COAST_S: f64 = 2.0;
/// Share by which a speed and a turn may be others than they were, as a standard deviation.
const CHANGE: f64 = 0.5;
/// Displacement by an unknown acceleration after a second, as a share of the scene's depth: 1.5 m at 30 m height.
const UNKNOWN_MOTION: f64 = 0.05;
/// Unknown turn after a second, in radians.
const UNKNOWN_TURN_RAD: f64 = 0.2;

/// What is kept of the frame before.
#[derive(Clone, Debug)]
pub(crate) struct LastFrame {
    pub(crate) stamp: Timestamp,
    pub(crate) camera_from_world: Se3,
    /// Motion per second as a twist in the camera's frame: `current_from_previous = exp(twist dt)`.
    pub(crate) twist: Vector6<f64>,
    pub(crate) covariance: Matrix6<f64>,
}

impl LastFrame {
    /// Velocity in the world, in map units per second.
    pub(crate) fn velocity_in_world(&self) -> Vector3<f64> {
        // The twist moves points into the camera; the camera itself moves the other way.
        let velocity_in_camera = -self.twist.fixed_rows::<3>(0).into_owned();
        self.camera_from_world.rotation.inverse() * velocity_in_camera
    }

    /// The pose at `stamp` if the camera goes on as it did.
    pub(crate) fn predict(&self, stamp: Timestamp) -> Se3 {
        let dt_s = stamp.secs_since(self.stamp).clamp(0.0, MAX_COAST_S);
        Se3::exp(&(self.twist * dt_s)) * self.camera_from_world
    }

    /// What is left of it at `stamp` where nothing was seen since; `depth` is that of the scene, in map units.
    pub(crate) fn coasted(&self, stamp: Timestamp, depth: f64) -> Self {
        let t = stamp.secs_since(self.stamp).max(0.0);
        let (speed, rate) = (self.twist.fixed_rows::<3>(0).norm(), self.twist.fixed_rows::<3>(3).norm());
        let position = CHANGE * speed * t + UNKNOWN_MOTION * depth * t * t;
        let rotation = CHANGE * rate * t + UNKNOWN_TURN_RAD * t;
        let growth = Vector6::from_fn(|i, _| if i < 3 { position.powi(2) } else { rotation.powi(2) });
        let covariance = self.covariance + Matrix6::from_diagonal(&growth);
        Self { stamp, camera_from_world: self.predict(stamp), twist: self.twist, covariance }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn last(speed: f64) -> LastFrame {
        LastFrame {
            stamp: Timestamp::from_nanos(0),
            camera_from_world: Se3::identity(),
            twist: Vector6::new(-speed, 0.0, 0.0, 0.0, 0.0, 0.0),
            covariance: Matrix6::identity() * 1e-6,
        }
    }

    #[test]
    fn the_unseen_camera_goes_on_as_it_did() {
        let after = last(2.0).coasted(Timestamp::from_nanos(500_000_000), 1.0);
        let center = after.camera_from_world.inverse().translation;
        assert!((center - Vector3::new(1.0, 0.0, 0.0)).norm() < 1e-12, "{center}");
        assert!((after.velocity_in_world() - Vector3::new(2.0, 0.0, 0.0)).norm() < 1e-12);
    }

    #[test]
    fn what_is_not_seen_grows_uncertain_even_at_rest() {
        for speed in [0.0, 0.3] {
            let after = |ms: i64| last(speed).coasted(Timestamp::from_nanos(ms * 1_000_000), 1.0).covariance;
            let sigma = |ms| after(ms)[(0, 0)].sqrt();
            assert!(sigma(100) > last(speed).covariance[(0, 0)].sqrt());
            assert!(sigma(1000) > 2.0 * sigma(500), "an error of acceleration grows with the square of time");
            assert!(after(1000)[(4, 4)] > after(500)[(4, 4)]);
        }
    }
}
