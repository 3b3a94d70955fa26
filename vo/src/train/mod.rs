//! Training of depth and pose networks on video without labels, by burn. Feature `train`.
//!
//! Two networks learn together: one sees the depth of an image, the other the motion from an image to the next. Depth and
//! motion say where each pixel of one image is in its neighbours; the better they are, the more alike it looks there
//! (Zhou et al., Unsupervised Learning of Depth and Ego-Motion from Video, CVPR 2017).

mod batch;
mod clip;
mod fused;
pub mod losses;
pub mod objective;
mod plain;
mod recipe;
pub mod rigid;
mod sight;
mod trainer;

pub use batch::{Augmentation, Batch, BatchMaker, Guide};
pub use clip::{Clip, ClipError, ClipFrame, ClipOptions};
pub use losses::Padding;
pub use recipe::{Recipe, Smoothness};
pub use sight::Sight;
pub use trainer::{Evaluator, Losses, NetworkWeights, Seen, TrainConfig, TrainError, Trainer};
