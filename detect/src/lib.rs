//! Frame to detections.
//!
//! So far the part that every detector ends with: non-maximum suppression.

mod suppression;

pub use suppression::non_maximum_suppression;
