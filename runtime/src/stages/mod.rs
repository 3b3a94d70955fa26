//! The stages that do the work. Each is one file.

mod follow;
mod odometry;

pub use follow::{
    FollowStage, FollowStart, Followed, Follower, FollowerFactory, Pointer, Sight, TargetChoice, TargetMemory,
};
pub use odometry::{Anchor, Estimator, EstimatorFactory, OdometryStage, Registered};
