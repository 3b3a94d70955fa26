//! Networks for depth and motion, as data: one description makes the module that learns and the ONNX file that flies.

mod depth;
mod pose;

pub use depth::LightDepth;
pub use pose::LightPose;
