//! Training: described networks as modules of burn, and what every trainer needs around them. Feature `train`.

mod average;
mod checkpoint;
mod fused;
mod network;
mod schedule;
pub mod tflite;

pub use average::MovingAverage;
pub use checkpoint::{Checkpoint, CheckpointError};
pub use network::TrainableNetwork;
pub use schedule::LearningRate;
