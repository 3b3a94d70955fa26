//! Depth from single frames, by a network.

mod description;
mod network;

pub use description::{DepthDescription, DepthQuantity};
pub use network::{DepthNetwork, PredictedDepth};
