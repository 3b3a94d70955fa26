//! The stages that do the work. Each is one file.

mod depth;
mod detect;
mod follow;
mod odometry;
mod pose;

pub use depth::{DepthChoice, DepthEstimate, DepthEstimator, DepthFactory, DepthStage};
pub use detect::{
    DetectChoice, DetectStage, Detected, DetectorFactory, Found, IdentityMemory, Object, ObjectDetector,
};
pub use follow::{
    FollowStage, FollowStart, Followed, Follower, FollowerFactory, Pointer, Scene, Sight, TargetChoice,
    TargetMemory,
};
pub use odometry::{Anchor, DepthScaledOdometry, Estimator, EstimatorFactory, OdometryStage, Registered};
pub use pose::{PoseChoice, PoseEstimate, PoseEstimator, PoseFactory, PoseMemory, PoseStage};
