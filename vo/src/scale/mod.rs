//! Metres: what tells them, how sure they are, and what becomes metric.
//!
//! [`MetricScale`] stands behind the estimator. It sees each odometry in map units, reads the scale from what its
//! source says (`ground` finds the plane that heights are measured from, `samples` keeps heights and speeds, `filter`
//! weighs the readings) and gives the odometry back in metres (`chain`).

mod chain;
mod filter;
mod ground;
mod metric;
mod samples;
mod source;

pub(crate) use metric::MetricScale;
pub use source::{DepthPrior, ScaleSample, ScaleSource};
