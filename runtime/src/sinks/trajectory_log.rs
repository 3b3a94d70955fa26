//! The trajectory of a run, as good as it gets: a pose is written once the map around it has settled.

use std::collections::VecDeque;
use std::fmt::Write as _;

use geometry::{Se3, Timestamp};
use vo::{KeyframeView, Odometry, TrackingState};

use super::files::LineFile;

/// Poses held back at most; beyond, the oldest is written as it is.
const MAX_HELD: usize = 1000;

/// Writes `trajectory.tum` and `trajectory.kitti.txt`.
///
/// The odometry adjusts its newest keyframes again and again. A pose is therefore held until the keyframe it hangs on is
/// no longer adjusted, and moves with it until then. The frames that had to wait for the first map get their
/// pose from between its keyframes.
pub(super) struct TrajectoryLog {
    tum: LineFile,
    kitti: LineFile,
    held: VecDeque<HeldPose>,
    keyframes: Vec<KeyframeView>,
    last_pose: Se3,
}

struct HeldPose {
    stamp: Timestamp,
    world_from_camera: Se3,
    /// Whether the pose is an estimate; otherwise it holds the last one.
    is_estimated: bool,
    /// Stamp of the keyframe it hangs on; none while there is no map.
    keyframe: Option<Timestamp>,
}

impl TrajectoryLog {
    pub(super) fn new(mut tum: LineFile, kitti: LineFile) -> Self {
        tum.line(|line| line.push_str("# stamp tx ty tz qx qy qz qw; estimated poses only"));
        Self { tum, kitti, held: VecDeque::new(), keyframes: Vec::new(), last_pose: Se3::identity() }
    }

    pub(super) fn files(&self) -> [&LineFile; 2] {
        [&self.tum, &self.kitti]
    }

    /// The next input frame, with what the odometry said about it, if anything.
    pub(super) fn push(&mut self, stamp: Timestamp, odometry: Option<&Odometry>) {
        let state = odometry.map(|odometry| odometry.state);
        if let Some(odometry) = odometry {
            if !odometry.keyframes.is_empty() {
                self.revise(&odometry.keyframes);
            }
            if odometry.world_from_camera.is_finite() {
                self.last_pose = odometry.world_from_camera;
            }
        }
        let has_map = state != Some(TrackingState::Initializing);
        self.held.push_back(HeldPose {
            stamp,
            world_from_camera: self.last_pose,
            is_estimated: state == Some(TrackingState::Tracking),
            keyframe: self.keyframes.last().map(|keyframe| keyframe.stamp).filter(|_| has_map),
        });
        while self.held.len() > MAX_HELD {
            self.write_oldest();
        }
    }

    /// Writes what is still held.
    pub(super) fn finish(&mut self) {
        while !self.held.is_empty() {
            self.write_oldest();
        }
    }

    fn revise(&mut self, keyframes: &[KeyframeView]) {
        for pose in &mut self.held {
            pose.revise(&self.keyframes, keyframes);
        }
        self.keyframes.clear();
        self.keyframes.extend_from_slice(keyframes);
        let Some(first) = keyframes.first().map(|keyframe| keyframe.stamp) else { return };
        while self.held.front().is_some_and(|pose| pose.keyframe.unwrap_or(pose.stamp) < first) {
            self.write_oldest();
        }
    }

    fn write_oldest(&mut self) {
        let Some(pose) = self.held.pop_front() else { return };
        let (t, [x, y, z, w]) = (pose.world_from_camera.translation, pose.world_from_camera.xyzw());
        if pose.is_estimated {
            let stamp = pose.stamp;
            self.tum.line(|line| {
                let _ = write!(line, "{stamp} {} {} {} {x} {y} {z} {w}", t.x, t.y, t.z);
            });
        }
        let matrix = pose.world_from_camera.to_matrix3x4();
        self.kitti.line(|line| {
            let rows = (0..3).flat_map(|row| (0..4).map(move |column| (row, column)));
            for (i, at) in rows.enumerate() {
                let _ = write!(line, "{}{:.9e}", if i == 0 { "" } else { " " }, matrix[at]);
            }
        });
    }
}

impl HeldPose {
    /// Moves with its keyframe, or takes its place between the keyframes of a map that was made since.
    fn revise(&mut self, old: &[KeyframeView], new: &[KeyframeView]) {
        if let Some(keyframe) = self.keyframe {
            if let (Some(old), Some(new)) = (pose_of(old, keyframe), pose_of(new, keyframe)) {
                self.world_from_camera = new * old.inverse() * self.world_from_camera;
            }
        } else if let Some((before, between)) = between(new, self.stamp) {
            (self.world_from_camera, self.keyframe, self.is_estimated) = (between, Some(before), true);
        }
    }
}

fn pose_of(keyframes: &[KeyframeView], stamp: Timestamp) -> Option<Se3> {
    let index = keyframes.binary_search_by_key(&stamp, |keyframe| keyframe.stamp).ok()?;
    keyframes.get(index).map(|keyframe| keyframe.world_from_camera)
}

/// The stamp of the keyframe at or before `stamp`, and the pose on the way to the one after.
fn between(keyframes: &[KeyframeView], stamp: Timestamp) -> Option<(Timestamp, Se3)> {
    let after = keyframes.partition_point(|keyframe| keyframe.stamp <= stamp);
    let (from, to) = (keyframes.get(after.checked_sub(1)?)?, keyframes.get(after)?);
    let t = stamp.secs_since(from.stamp) / to.stamp.secs_since(from.stamp);
    Some((from.stamp, from.world_from_camera.interpolate(&to.world_from_camera, t)))
}
