//! Box, frames and ego-motion to tracks.

mod confidence;
mod config;
mod convolution;
mod ego_motion;
mod error;
mod features;
mod fourier;
mod image_motion;
mod kernel;
mod multi;
mod pooling;
mod response;
mod simd;
mod size;
mod stream;
mod target;
mod tracker;

pub use config::TrackerConfig;
pub use error::TrackError;
pub use image_motion::ImageMotion;
pub use multi::{MultiTracker, MultiTrackerConfig};
pub use tracker::Tracker;
