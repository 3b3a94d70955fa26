//! Training of detectors by burn. Feature `train`.

pub mod assign;
pub mod augment;
mod batch;
pub mod loss;
mod pictures;
mod quantize;
mod synthetic;
mod trainer;

pub use batch::{Batch, BatchMaker};
pub use pictures::pictures;
pub use quantize::quantized;
pub use synthetic::synthetic_pictures;
pub use trainer::{Losses, TrainConfig, TrainError, Trainer};
