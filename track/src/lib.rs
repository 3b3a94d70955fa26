//! Box and frames to a track; detections to identities.
//!
//! [`Tracker`] follows one target that it was shown once. [`MultiTracker`] gives identities to what a detector finds. Both take
//! how the camera moved the image as an [`ImageMotion`], where that is known. Boxes count from the edge of the first pixel:
//! the pixel in the corner reaches from 0 to 1.

mod aim;
mod confidence;
mod config;
mod convolution;
mod ego_motion;
mod error;
mod features;
mod form;
mod fourier;
mod image_motion;
mod kernel;
mod memory;
mod multi;
mod object;
mod place;
mod pooling;
mod response;
mod search;
mod simd;
mod stream;
mod target;
mod tracker;
mod trial;

pub use config::TrackerConfig;
pub use error::TrackError;
pub use image_motion::ImageMotion;
pub use multi::{MultiTracker, MultiTrackerConfig};
pub use object::object_at;
pub use tracker::Tracker;
