//! The stages that do the work. Each is one file.

mod odometry;

pub use odometry::{Anchor, Estimator, EstimatorFactory, OdometryStage, Registered};
