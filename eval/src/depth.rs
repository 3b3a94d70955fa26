//! How well a network sees depth, as papers on KITTI count it since Eigen et al. (NIPS 2014).
//!
//! Errors are measured at the pixels where the truth is known, lies in a range and in a crop of the image
//! ([`DepthProtocol`]), averaged over each image and then over the images. What a single camera has learnt by itself
//! knows no metres: its depth is first multiplied by the ratio of the medians of truth and prediction, of each image or of
//! the whole sequence ([`DepthScaling`]), which makes different figures. [`DepthReport`] has all of them.
//!
//! Depths are metres along the optical axis, 0 where unknown.

mod color;
mod errors;
mod picture;
mod protocol;
mod report;

pub use color::{color_depth, depth_color, inverse_depth_range};
pub use errors::{DepthErrors, DepthPairs};
pub use picture::depth_picture;
pub use protocol::{DepthCrop, DepthProtocol};
pub use report::{DepthReport, DepthScaling, ImageDepth, ScaledErrors};
