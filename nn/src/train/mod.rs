//! Training: described networks as modules of burn, and what every trainer needs around them. Feature `train`.

mod adopt;
mod average;
mod best;
mod checkpoint;
mod device;
mod fused;
mod loader;
mod network;
mod plain;
mod schedule;
pub mod tflite;

pub use adopt::{ForeignBackbone, adopt};
pub use average::MovingAverage;
pub use best::Best;
pub use checkpoint::{Checkpoint, CheckpointError};
pub use device::{NoCuda, cpu, cuda, is_processor};
pub use loader::Loader;
pub use network::{TrainableNetwork, learnable};
pub use schedule::LearningRate;

pub use burn::tensor::Device;
