//! The trajectory of a run, as good as it gets: a pose is written once the map around it has settled.

use std::collections::VecDeque;
use std::fmt::Write as _;

use geometry::{Se3, Timestamp};
use nalgebra::Vector3;
use vo::{KeyframeView, Odometry, TrackingState};

use super::files::LineFile;

/// Poses held back at most; beyond, the oldest is written as it is.
const MAX_HELD: usize = 1000;
/// The same while the scale is waited for: an hour, about 10 MB.
const MAX_HELD_FOR_SCALE: usize = 100_000;

/// Writes `trajectory.tum` and `trajectory.kitti.txt`.
///
/// The odometry adjusts its newest keyframes again and again. A pose is therefore held until the keyframe it hangs on is
/// no longer adjusted, and moves with it until then. The frames that had to wait for the first map get their
/// pose from between its keyframes. Where a scale is to come, poses are held until it is known, and written in metres.
pub(super) struct TrajectoryLog {
    tum: LineFile,
    kitti: LineFile,
    held: VecDeque<HeldPose>,
    keyframes: Vec<KeyframeView>,
    last_pose: Se3,
    /// Whether poses from before the scale was known are to be written in metres.
    awaits_scale: bool,
    /// Where the poses in map units begin; `None` while they are in metres.
    unscaled_from: Option<Vector3<f64>>,
}

struct HeldPose {
    stamp: Timestamp,
    world_from_camera: Se3,
    /// Whether the pose is an estimate; otherwise it holds the last one.
    is_estimated: bool,
    /// Whether it is in metres, as far as those are known.
    is_metric: bool,
    /// Stamp of the keyframe it hangs on; none while there is no map.
    keyframe: Option<Timestamp>,
}

impl TrajectoryLog {
    pub(super) fn new(mut tum: LineFile, kitti: LineFile) -> Self {
        tum.line(|line| line.push_str("# stamp tx ty tz qx qy qz qw; estimated poses only"));
        Self {
            tum,
            kitti,
            held: VecDeque::new(),
            keyframes: Vec::new(),
            last_pose: Se3::identity(),
            awaits_scale: false,
            unscaled_from: Some(Vector3::zeros()),
        }
    }

    pub(super) fn await_scale(&mut self, awaits: bool) {
        self.awaits_scale = awaits;
    }

    pub(super) fn files(&self) -> [&LineFile; 2] {
        [&self.tum, &self.kitti]
    }

    /// The next input frame, with what the odometry said about it, if anything.
    pub(super) fn push(&mut self, stamp: Timestamp, odometry: Option<&Odometry>) {
        let state = odometry.map(|odometry| odometry.state);
        if let Some(odometry) = odometry {
            self.take_scale(odometry.scale);
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
            is_metric: self.unscaled_from.is_none(),
            keyframe: self.keyframes.last().map(|keyframe| keyframe.stamp).filter(|_| has_map),
        });
        let max_held = if self.is_waiting() { MAX_HELD_FOR_SCALE } else { MAX_HELD };
        while self.held.len() > max_held {
            self.write_oldest();
        }
    }

    /// Writes what is still held.
    pub(super) fn finish(&mut self) {
        while !self.held.is_empty() {
            self.write_oldest();
        }
    }

    fn is_waiting(&self) -> bool {
        self.awaits_scale && self.unscaled_from.is_some()
    }

    /// The first scale holds for all poses since there was none.
    fn take_scale(&mut self, scale: Option<f64>) {
        let Some(factor) = scale else {
            self.unscaled_from.get_or_insert(self.last_pose.translation);
            return;
        };
        let Some(origin) = self.unscaled_from.take() else { return };
        let in_metres = |pose: &mut Se3| pose.translation = origin + (pose.translation - origin) * factor;
        for pose in self.held.iter_mut().filter(|pose| !pose.is_metric) {
            in_metres(&mut pose.world_from_camera);
            pose.is_metric = true;
        }
        self.keyframes.iter_mut().for_each(|keyframe| in_metres(&mut keyframe.world_from_camera));
    }

    fn revise(&mut self, keyframes: &[KeyframeView]) {
        for pose in &mut self.held {
            pose.revise(&self.keyframes, keyframes);
        }
        self.keyframes.clear();
        self.keyframes.extend_from_slice(keyframes);
        let Some(first) = keyframes.first().map(|keyframe| keyframe.stamp) else { return };
        while !self.is_waiting()
            && self.held.front().is_some_and(|pose| pose.keyframe.unwrap_or(pose.stamp) < first)
        {
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

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use nalgebra::Matrix6;

    use super::*;
    use crate::sinks::files::Disk;

    fn at(x: f64) -> Se3 {
        Se3 { translation: Vector3::new(x, 0.0, 0.0), ..Se3::identity() }
    }

    fn stamp(index: i64) -> Timestamp {
        Timestamp::from_nanos(index * 100_000_000)
    }

    /// A tracked frame at `x`, which is a keyframe of a window of two.
    fn keyframe(index: i64, x: [f64; 2], scale: Option<f64>) -> Odometry {
        let view = |i: i64, x| KeyframeView { stamp: stamp(i), world_from_camera: at(x) };
        Odometry {
            stamp: stamp(index),
            seq: index.unsigned_abs(),
            world_from_camera: at(x[1]),
            velocity_in_world: Vector3::zeros(),
            covariance: Matrix6::identity(),
            state: TrackingState::Tracking,
            reset_count: 0,
            inlier_count: 40,
            scale,
            scale_sigma: scale.map(|_| 0.01),
            tracks: Vec::new(),
            points: Vec::new(),
            keyframes: vec![view(index - 1, x[0]), view(index, x[1])],
        }
    }

    /// Places along the first axis, as written.
    fn written(folder: &Path, flight: &[Odometry]) -> Vec<f64> {
        let storage: Arc<dyn super::super::files::Storage> = Arc::new(Disk);
        let file = |name: &str| LineFile::create(&storage, folder.join(name));
        let mut log = TrajectoryLog::new(file("tum"), file("kitti"));
        log.await_scale(true);
        flight.iter().for_each(|odometry| log.push(odometry.stamp, Some(odometry)));
        log.finish();
        drop(log);
        let text = std::fs::read_to_string(folder.join("kitti")).unwrap();
        text.lines().map(|row| row.split(' ').nth(3).unwrap().parse().unwrap()).collect()
    }

    /// One map unit per frame; from frame 4 on ten metres each, those before included.
    fn late_scale() -> Vec<Odometry> {
        let place = |i: i64| if i < 4 { i as f64 } else { 10.0 * i as f64 };
        let frame = |i: i64| match i {
            4 => keyframe(4, [30.0, 40.0], Some(10.0)),
            _ => keyframe(i, [place(i - 1), place(i)], (i > 4).then_some(10.0)),
        };
        (1..8).map(frame).collect()
    }

    #[test]
    fn what_was_flown_before_the_scale_was_known_is_written_in_metres() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(written(folder.path(), &late_scale()), [10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0]);
    }

    #[test]
    fn a_map_without_a_scale_between_two_with_one_is_scaled_from_where_it_begins() {
        let folder = tempfile::tempdir().unwrap();
        let flight = [
            keyframe(1, [0.0, 10.0], Some(10.0)),
            keyframe(2, [10.0, 20.0], Some(10.0)),
            // Another map, in map units from 20 m on.
            keyframe(4, [20.0, 21.0], None),
            keyframe(5, [21.0, 22.0], None),
            keyframe(6, [30.0, 35.0], Some(5.0)),
        ];
        assert_eq!(written(folder.path(), &flight), [10.0, 20.0, 25.0, 30.0, 35.0]);
    }

    #[test]
    fn a_scale_that_never_comes_costs_nothing_but_metres() {
        let folder = tempfile::tempdir().unwrap();
        let flight: Vec<_> = (1..5).map(|i| keyframe(i, [(i - 1) as f64, i as f64], None)).collect();
        assert_eq!(written(folder.path(), &flight), [1.0, 2.0, 3.0, 4.0]);
    }
}
