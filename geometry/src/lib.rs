//! The words every crate of Kestrel speaks.
//!
//! Frames of reference: a camera looks along +z with x to the right and y down; pixel `(0, 0)` is the
//! *centre* of the top-left pixel. A transform is named after what it maps: `world_from_camera` takes points
//! in the camera's frame to the world's. Lengths are metres unless a name says otherwise, angles radians,
//! stamps integer nanoseconds.

mod assignment;
mod boxes;
mod camera;
mod distortion;
mod frame;
mod image;
mod pool;
mod se3;
#[cfg(feature = "test-data")]
pub mod test_data;
mod timestamp;
mod trajectory;
mod undistort;

pub use assignment::assign;
pub use boxes::{BoundingBox, Detection, Track, TrackState, class_color};
pub use camera::{CameraError, PinholeCamera};
pub use distortion::Distortion;
pub use frame::Frame;
pub use image::{DepthImage, FlowImage, GrayImage, Image, ImageError, RgbImage};
pub use pool::ImagePool;
pub use se3::{Se3, skew};
pub use timestamp::Timestamp;
pub use trajectory::{Trajectory, TrajectoryError};
pub use undistort::UndistortMap;
