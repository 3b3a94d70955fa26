//! Frame to detections: a quantised MobileNet with the heads of SSD, and what trains it (feature `train`).

mod description;
mod detector;
mod error;
pub mod network;
mod priors;
mod suppression;
#[cfg(feature = "train")]
pub mod train;
mod window;

pub use description::Description;
pub use detector::Detector;
pub use error::DetectError;
pub use priors::{Level, all_priors, decode, encode, fit_priors};
pub use suppression::non_maximum_suppression;
pub use window::Tiling;
