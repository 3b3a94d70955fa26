//! The estimator.

use geometry::{Frame, Se3};
use nalgebra::{Matrix6, Vector3};

use crate::{Odometry, TrackingState, VoConfig};

/// Monocular visual odometry: a value without threads, clock or input of its own.
#[derive(Debug)]
pub struct VisualOdometry {
    _config: VoConfig,
}

impl VisualOdometry {
    /// An estimator that has seen nothing.
    pub fn new(config: VoConfig) -> Self {
        Self { _config: config }
    }

    /// Takes the next frame and says where its camera is.
    pub fn register_frame(&mut self, frame: &Frame) -> Odometry {
        Odometry {
            stamp: frame.stamp,
            seq: frame.seq,
            world_from_camera: Se3::identity(),
            velocity_in_world: Vector3::zeros(),
            covariance: Matrix6::identity(),
            state: TrackingState::Initializing,
            reset_count: 0,
            inlier_count: 0,
            scale_sigma: None,
            tracks: Vec::new(),
            points: Vec::new(),
            keyframes: Vec::new(),
        }
    }
}
