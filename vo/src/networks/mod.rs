//! Networks for depth and motion, as data: one description makes the module that learns and the ONNX file that flies.

mod choice;
mod depth;
mod pose;
mod sfmlearner;

pub use choice::{DepthArchitecture, PoseArchitecture};
pub use depth::LightDepth;
pub use pose::LightPose;
pub use sfmlearner::{DispNet, PoseExpNet};
