//! Visual odometry: where the camera is, from its images.
//!
//! The entry point is [`VisualOdometry::register_frame`].

mod config;
mod estimator;
mod odometry;

pub use config::VoConfig;
pub use estimator::VisualOdometry;
pub use odometry::{KeyframeView, Odometry, PointView, TrackView, TrackingState};
