//! Depth from single frames, by a network.

mod description;
mod network;
mod prior;

pub use description::{DepthDescription, DepthQuantity, OutputActivation};
pub(crate) use network::colors;
pub use network::{DepthNetwork, PredictedDepth};
pub use prior::NetworkPrior;
