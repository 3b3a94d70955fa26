//! Where frames come from: recorded, live or made.
//!
//! Every source implements [`Dataset`]. Adding one is one new file and one line in [`open`].

mod dataset;
mod error;

pub use dataset::{Dataset, GroundTruth, SourceInfo};
pub use error::DatasetError;
