//! Visual odometry: where the camera is, from its images.
//!
//! The entry point is [`VisualOdometry::register_frame`].

mod affine;
mod bundle;
mod config;
mod corners;
mod covariance;
mod estimator;
mod features;
mod initializer;
mod klt;
mod lens;
mod map;
mod median;
mod motion;
mod odometry;
mod patch;
mod pyramid;
mod scale;
mod tracking;
mod two_view;

pub use config::VoConfig;
pub use estimator::VisualOdometry;
pub use odometry::{KeyframeView, Odometry, PointView, TrackView, TrackingState};
pub use scale::{DepthPrior, ScaleSample, ScaleSource};
