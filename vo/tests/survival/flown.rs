//! A flight through the scene beside its truth.

use geometry::{Frame, Se3};
use kestrel_vo::{Odometry, TrackingState, VisualOdometry, VoConfig};

use crate::scene::{FRAME_RATE, Plate, scene};

/// Poses over time in seconds, what is done to each frame, and a vehicle in view.
pub struct Flight<P, C, V> {
    pub pose: P,
    pub change: C,
    pub vehicle: V,
}

/// What came of it, frame by frame.
pub struct Flown {
    pub truth: Vec<Se3>,
    pub odometry: Vec<Odometry>,
}

/// Flies along `pose` with nothing in the way.
pub fn fly(frames: usize, pose: impl Fn(f64) -> Se3) -> Flown {
    fly_through(frames, pose, |_, frame| frame)
}

/// Flies along `pose`; `change` may spoil each frame.
pub fn fly_through(
    frames: usize,
    pose: impl Fn(f64) -> Se3,
    change: impl Fn(usize, Frame) -> Frame,
) -> Flown {
    Flight { pose, change, vehicle: |_| None }.fly(frames, VoConfig::default())
}

impl<P, C, V> Flight<P, C, V>
where
    P: Fn(f64) -> Se3,
    C: Fn(usize, Frame) -> Frame,
    V: Fn(f64) -> Option<Plate>,
{
    pub fn fly(&self, frames: usize, config: VoConfig) -> Flown {
        let mut estimator = VisualOdometry::new(config);
        let truth: Vec<Se3> = (0..frames).map(|i| (self.pose)(i as f64 / FRAME_RATE)).collect();
        let odometry = truth.iter().enumerate().map(|(i, pose)| {
            let vehicle = (self.vehicle)(i as f64 / FRAME_RATE);
            let frame = scene().frame(i, pose, vehicle.as_ref());
            estimator.register_frame(&(self.change)(i, frame))
        });
        let flown = Flown { odometry: odometry.collect(), truth };
        flown.assert_sane();
        flown
    }
}

impl Flown {
    /// Poses and covariances are numbers, and no covariance claims certainty.
    fn assert_sane(&self) {
        for odometry in &self.odometry {
            assert!(odometry.world_from_camera.is_finite());
            assert!(odometry.covariance.iter().all(|v| v.is_finite()));
            let sigmas = odometry.covariance.diagonal();
            assert!(sigmas.iter().all(|v| *v > 0.0), "certain at frame {}: {sigmas}", odometry.seq);
        }
    }

    pub fn state(&self, frame: usize) -> TrackingState {
        self.odometry[frame].state
    }

    pub fn is_tracking(&self, frame: usize) -> bool {
        self.state(frame) == TrackingState::Tracking
    }

    /// Asserts that all these frames are tracked.
    #[track_caller]
    pub fn assert_tracked(&self, frames: std::ops::Range<usize>) {
        let lost: Vec<usize> = frames.clone().filter(|i| !self.is_tracking(*i)).collect();
        assert!(lost.is_empty(), "{lost:?} of {frames:?} are not tracked");
    }

    pub fn resets(&self) -> u32 {
        self.odometry.last().map_or(0, |o| o.reset_count)
    }

    /// True length of the way between two frames over its estimate.
    pub fn metres_per_unit(&self, from: usize, to: usize) -> f64 {
        let length = |a: &Se3, b: &Se3| (b.translation - a.translation).norm();
        length(&self.truth[from], &self.truth[to])
            / length(&self.odometry[from].world_from_camera, &self.odometry[to].world_from_camera)
    }

    /// Motion from one frame to another as estimated, compared with the truth: error in metres and degrees.
    pub fn error(&self, from: usize, to: usize, metres_per_unit: f64) -> (f64, f64) {
        let between = |a: &Se3, b: &Se3| a.inverse() * *b;
        let truth = between(&self.truth[from], &self.truth[to]);
        let estimate = between(&self.odometry[from].world_from_camera, &self.odometry[to].world_from_camera);
        let turned = (truth.rotation.inverse() * estimate.rotation).angle();
        ((estimate.translation * metres_per_unit - truth.translation).norm(), turned.to_degrees())
    }

    #[track_caller]
    pub fn assert_error(&self, from: usize, to: usize, metres_per_unit: f64, max_m: f64, max_deg: f64) {
        let (error_m, error_deg) = self.error(from, to, metres_per_unit);
        assert!(
            error_m < max_m && error_deg < max_deg,
            "frames {from} to {to}: {error_m:.3} m, {error_deg:.2} degrees"
        );
    }
}
