//! Motion between frames, by a network.

mod description;
mod network;
mod odometry;

pub use description::{PoseDescription, PoseImages, RotationForm};
pub use network::{PoseImage, PoseNetwork};
pub use odometry::NetworkOdometry;
