//! Training: described networks as modules of burn, and what every trainer needs around them. Feature `train`.

mod average;
mod checkpoint;
mod network;
mod schedule;

pub use average::MovingAverage;
pub use checkpoint::{Checkpoint, CheckpointError};
pub use network::TrainableNetwork;
pub use schedule::LearningRate;
