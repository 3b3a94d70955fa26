//! What odometry says about a frame.

use geometry::{Se3, Timestamp};
use nalgebra::{Matrix6, Vector3};

/// How far an [`Odometry`] is to be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrackingState {
    /// Waiting for enough parallax; the pose is the last known one, turned as far as the images tell.
    Initializing,
    /// The pose is estimated from this frame.
    Tracking,
    /// Too little was recognised; the pose is predicted, and ever less certain.
    Lost,
}

/// A feature in the image, for viewers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrackView {
    /// Identity over time.
    pub id: u64,
    /// Pixel `(x, y)` now.
    pub pixel: [f32; 2],
    /// Pixel in the frame before; equal to `pixel` for a new one.
    pub previous_pixel: [f32; 2],
    /// Whether it has a point in the map that agrees with the pose.
    pub inlier: bool,
}

/// A point of the map, for viewers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PointView {
    /// Identity: that of its track.
    pub id: u64,
    /// Position in the world, in the unit of the pose.
    pub point_in_world: Vector3<f64>,
}

/// A keyframe of the window, for viewers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KeyframeView {
    /// Its frame's stamp.
    pub stamp: Timestamp,
    /// Its pose.
    pub world_from_camera: Se3,
}

/// What is known of the camera at one frame.
#[derive(Clone, Debug, PartialEq)]
pub struct Odometry {
    /// Stamp of the frame.
    pub stamp: Timestamp,
    /// Sequence number of the frame.
    pub seq: u64,
    /// The pose; the world is the first tracked camera. In metres where `scale` is known, and else in map units from
    /// where it became unknown.
    pub world_from_camera: Se3,
    /// Velocity in the world, units of the pose per second.
    pub velocity_in_world: Vector3<f64>,
    /// Covariance of the pose's error as a tangent `(translation, rotation)` in the camera's frame, in the unit of the
    /// pose. Where that is the metre, what the scale's uncertainty makes of the whole way is part of it.
    pub covariance: Matrix6<f64>,
    /// How far to believe it.
    pub state: TrackingState,
    /// Counts re-initialisations and jumps; a consumer that sees it change must not difference across it.
    pub reset_count: u32,
    /// Tracks that agree with the pose.
    pub inlier_count: usize,
    /// Metres per map unit; `None` where no source of scale has told it yet, and all lengths here are in map units: one is
    /// the median depth of the scene where the first map began, which later maps keep about. From the first frame with a scale on, positions are what they would be
    /// had it been known before; a consumer must not difference across that frame.
    pub scale: Option<f64>,
    /// Standard deviation of `scale` relative to it; `None` together with it.
    pub scale_sigma: Option<f64>,
    /// The features in this frame.
    pub tracks: Vec<TrackView>,
    /// The map around the camera, without what is very far, where it changed with this frame; empty otherwise.
    pub points: Vec<PointView>,
    /// The keyframes that are still adjusted, in the order of their stamps, where they changed with this frame; empty
    /// otherwise. The first list after [`TrackingState::Initializing`] reaches back to the frame where the map begins.
    pub keyframes: Vec<KeyframeView>,
}
