//! Visual odometry: where the camera is and how far everything else, from images.
//!
//! The entry points are [`VisualOdometry::register_frame`], [`DepthNetwork::predict`] and [`PoseNetwork::predict`]; [`doctor`]
//! says whether a video will do to learn from.

mod affine;
mod bundle;
mod config;
mod corners;
mod covariance;
mod depth;
pub mod doctor;
mod error;
mod estimator;
mod features;
mod initializer;
mod klt;
mod lens;
mod map;
mod median;
mod motion;
pub mod networks;
mod odometry;
mod patch;
mod pose;
mod pyramid;
mod scale;
mod tracking;
#[cfg(feature = "train")]
pub mod train;
mod two_view;

pub use config::VoConfig;
pub use depth::{
    DepthDescription, DepthNetwork, DepthQuantity, NetworkPrior, OutputActivation, PredictedDepth,
};
pub use error::VoError;
pub use estimator::VisualOdometry;
pub use odometry::{KeyframeView, Odometry, PointView, TrackView, TrackingState};
pub use pose::{NetworkOdometry, PoseDescription, PoseImage, PoseImages, PoseNetwork, RotationForm};
pub use scale::{DepthPrior, ScaleSample, ScaleSource};
