//! What is measured between two joined and aligned trajectories.
//!
//! All work on [`AssociatedFrame`](crate::AssociatedFrame)s, poses `world_from_camera`, metres and radians.

mod absolute;
mod drift;
mod relative;
mod snippet;
mod statistics;

pub use absolute::{AbsoluteErrors, absolute_errors};
pub(crate) use drift::distances;
pub use drift::{Drift, Segment, kitti_drift};
pub use relative::{Delta, PairChoice, RelativeErrors, RelativeProtocol, relative_errors};
pub use snippet::{SNIPPET_PROTOCOL, SnippetErrors, constant_velocity_errors, snippet_errors};
pub use statistics::Statistics;

use geometry::Se3;

/// The rotation's angle in `[0, pi]`, exact near 0 too, where an arc cosine has lost half its digits.
fn angle_rad(pose: &Se3) -> f64 {
    let q = pose.rotation.quaternion();
    2.0 * q.imag().norm().atan2(q.w.abs())
}
