//! Motion between frames, by a network.

mod description;
mod network;

pub use description::PoseDescription;
pub use network::PoseNetwork;
