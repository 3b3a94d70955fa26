//! Which pose of the estimate belongs to which pose of the ground truth.

use std::time::Duration;

use geometry::{Se3, Timestamp, Trajectory};

use crate::{EvalError, TrajectoryFile};

/// A moment of the ground truth and what was estimated for it.
#[derive(Clone, Debug, PartialEq)]
pub struct AssociatedFrame {
    /// Stamp in the ground truth (the estimate's where the ground truth is interpolated).
    pub stamp: Timestamp,
    /// `world_from_camera`, true.
    pub ground_truth: Se3,
    /// `world_from_camera`, estimated; `None` where the estimate has no pose.
    pub estimate: Option<Se3>,
}

/// Two trajectories joined.
#[derive(Clone, Debug, PartialEq)]
pub struct Association {
    /// Moments in order of time. Joined by frame number: all of the ground truth's, with or without estimate. Joined by
    /// stamp: those with an estimate, because the ground truth is often sampled much faster.
    pub frames: Vec<AssociatedFrame>,
    /// How they were joined, in words.
    pub protocol: String,
}

impl Association {
    /// The moments with an estimate: `(ground_truth, estimate)`.
    pub fn pairs(&self) -> impl Iterator<Item = (&Se3, &Se3)> {
        pairs(&self.frames)
    }

    /// Number of moments with an estimate.
    pub fn pair_count(&self) -> usize {
        self.pairs().count()
    }

    /// Both trajectories seen from their first common pose, which becomes the identity in both. What an odometry
    /// calls the world is wherever it started, so only this makes "no alignment" a fair comparison.
    #[must_use]
    pub fn relative_to_first(&self) -> Self {
        let (first_truth, first_estimate) = self
            .pairs()
            .next()
            .map_or((Se3::identity(), Se3::identity()), |(g, e)| (g.inverse(), e.inverse()));
        self.map(|pose| first_truth * *pose, |pose| first_estimate * *pose)
    }

    /// Every pose replaced.
    #[must_use]
    pub fn map(&self, ground_truth: impl Fn(&Se3) -> Se3, estimate: impl Fn(&Se3) -> Se3) -> Self {
        let frames = self.frames.iter().map(|frame| AssociatedFrame {
            stamp: frame.stamp,
            ground_truth: ground_truth(&frame.ground_truth),
            estimate: frame.estimate.as_ref().map(&estimate),
        });
        Self { frames: frames.collect(), protocol: self.protocol.clone() }
    }
}

/// The frames with an estimate: `(ground_truth, estimate)`.
pub(crate) fn pairs(frames: &[AssociatedFrame]) -> impl Iterator<Item = (&Se3, &Se3)> {
    frames.iter().filter_map(|frame| frame.estimate.as_ref().map(|estimate| (&frame.ground_truth, estimate)))
}

/// How stamped trajectories are joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JoinRule {
    /// Poses further apart in time are not the same moment. Default 20 ms, as TUM's `associate.py`; evo's default is
    /// 10 ms.
    pub max_time_difference: Duration,
    /// Take the ground truth between its two neighbours instead of the nearest sample. The nearest sample must still lie
    /// within `max_time_difference`, so that long gaps are not bridged.
    pub interpolate_ground_truth: bool,
}

impl Default for JoinRule {
    fn default() -> Self {
        Self { max_time_difference: Duration::from_millis(20), interpolate_ground_truth: false }
    }
}

/// Joins two files: by frame number where both are KITTI, by stamp where both have stamps, and else row by row, which
/// is possible only with equally many rows.
///
/// # Errors
/// [`EvalError::CannotJoin`] for numbered frames against stamps with different numbers of rows;
/// [`EvalError::NothingMatches`] where no pose has a partner.
pub fn join(
    ground_truth: &TrajectoryFile,
    estimate: &TrajectoryFile,
    rule: JoinRule,
) -> Result<Association, EvalError> {
    match (ground_truth.format.has_stamps(), estimate.format.has_stamps()) {
        (true, true) => join_by_stamp(&ground_truth.trajectory, &estimate.trajectory, rule),
        (false, false) => join_by_frame_number(&ground_truth.trajectory, &estimate.trajectory),
        _ => join_by_row(ground_truth, estimate),
    }
}

/// Joins two trajectories by stamp: each pose of the one with fewer poses meets its nearest in the other, the earlier of
/// two. That is evo's rule, so counts and errors agree with it; a pose of the longer one may be met twice beside a gap.
///
/// # Errors
/// [`EvalError::NothingMatches`] where no pose has a partner.
pub fn join_by_stamp(
    ground_truth: &Trajectory,
    estimate: &Trajectory,
    rule: JoinRule,
) -> Result<Association, EvalError> {
    let limit_s = rule.max_time_difference.as_secs_f64();
    let (frames, protocol) = if rule.interpolate_ground_truth {
        let protocol = format!("by stamp, ground truth interpolated where a sample lies within {limit_s} s");
        (interpolated(ground_truth, estimate, rule.max_time_difference), protocol)
    } else {
        let protocol = format!("by nearest stamp within {limit_s} s");
        (nearest(ground_truth, estimate, rule.max_time_difference), protocol)
    };
    matched(Association { frames, protocol }, ground_truth, estimate, Timestamp::to_string)
}

fn nearest(ground_truth: &Trajectory, estimate: &Trajectory, limit: Duration) -> Vec<AssociatedFrame> {
    let indices: Vec<(usize, usize)> = if estimate.len() <= ground_truth.len() {
        nearest_indices(estimate, ground_truth, limit).map(|(estimated, truth)| (truth, estimated)).collect()
    } else {
        nearest_indices(ground_truth, estimate, limit).collect()
    };
    let frame = |(truth, estimated): (usize, usize)| AssociatedFrame {
        stamp: ground_truth.stamps()[truth],
        ground_truth: ground_truth.poses()[truth],
        estimate: Some(estimate.poses()[estimated]),
    };
    indices.into_iter().map(frame).collect()
}

/// For each pose of `short` its nearest in `long`, as indices, where that is within `limit`.
fn nearest_indices(
    short: &Trajectory,
    long: &Trajectory,
    limit: Duration,
) -> impl Iterator<Item = (usize, usize)> {
    short.stamps().iter().enumerate().filter_map(move |(index, &stamp)| {
        let nearest = long.nearest(stamp)?;
        (long.stamps()[nearest].abs_diff(stamp) <= limit).then_some((index, nearest))
    })
}

fn interpolated(ground_truth: &Trajectory, estimate: &Trajectory, limit: Duration) -> Vec<AssociatedFrame> {
    let between = |(stamp, pose): (Timestamp, &Se3)| {
        let close =
            ground_truth.nearest(stamp).is_some_and(|i| ground_truth.stamps()[i].abs_diff(stamp) <= limit);
        let truth = ground_truth.at(stamp).filter(|_| close)?;
        Some(AssociatedFrame { stamp, ground_truth: truth, estimate: Some(*pose) })
    };
    estimate.iter().filter_map(between).collect()
}

/// Frame numbers are stored as whole seconds, so equal frames have equal stamps.
fn join_by_frame_number(ground_truth: &Trajectory, estimate: &Trajectory) -> Result<Association, EvalError> {
    let estimate_at = |stamp: Timestamp| {
        let index = estimate.nearest(stamp).filter(|&i| estimate.stamps()[i] == stamp)?;
        estimate.poses().get(index).copied()
    };
    let frames = ground_truth.iter().map(|(stamp, pose)| AssociatedFrame {
        stamp,
        ground_truth: *pose,
        estimate: estimate_at(stamp),
    });
    let joined = Association { frames: frames.collect(), protocol: "by frame number".to_owned() };
    matched(joined, ground_truth, estimate, |stamp| format!("frame {}", stamp.as_nanos() / 1_000_000_000))
}

fn join_by_row(ground_truth: &TrajectoryFile, estimate: &TrajectoryFile) -> Result<Association, EvalError> {
    let (truth, estimated) = (&ground_truth.trajectory, &estimate.trajectory);
    if truth.len() != estimated.len() {
        return Err(EvalError::CannotJoin {
            ground_truth: ground_truth.format.to_string(),
            ground_truth_rows: truth.len(),
            estimate: estimate.format.to_string(),
            estimate_rows: estimated.len(),
        });
    }
    let frames = truth.iter().zip(estimated.poses()).map(|((stamp, pose), estimated)| AssociatedFrame {
        stamp,
        ground_truth: *pose,
        estimate: Some(*estimated),
    });
    let protocol = format!(
        "row by row, stamps ignored ({} ground truth, {} estimate, equally many rows)",
        ground_truth.format, estimate.format
    );
    Ok(Association { frames: frames.collect(), protocol })
}

fn matched(
    joined: Association,
    ground_truth: &Trajectory,
    estimate: &Trajectory,
    show: impl Fn(&Timestamp) -> String,
) -> Result<Association, EvalError> {
    if joined.pairs().next().is_some() {
        return Ok(joined);
    }
    let span = |trajectory: &Trajectory| match (trajectory.stamps().first(), trajectory.stamps().last()) {
        (Some(first), Some(last)) => format!("{} to {}", show(first), show(last)),
        _ => "empty".to_owned(),
    };
    Err(EvalError::NothingMatches {
        ground_truth: ground_truth.len(),
        ground_truth_span: span(ground_truth),
        estimate: estimate.len(),
        estimate_span: span(estimate),
        rule: joined.protocol,
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use nalgebra::{UnitQuaternion, Vector3};

    use super::*;
    use crate::parse_trajectory;

    fn at(millis: &[i64]) -> Trajectory {
        let mut trajectory = Trajectory::new();
        for &ms in millis {
            let pose = Se3::new(UnitQuaternion::identity(), Vector3::new(ms as f64, 0.0, 0.0));
            trajectory.push(Timestamp::from_nanos(ms * 1_000_000), pose).unwrap();
        }
        trajectory
    }

    fn file(text: &str) -> TrajectoryFile {
        parse_trajectory(Path::new("poses.txt"), text).unwrap()
    }

    fn xs(joined: &Association) -> Vec<(f64, f64)> {
        joined.pairs().map(|(g, e)| (g.translation.x, e.translation.x)).collect()
    }

    #[test]
    fn the_sparser_trajectory_looks_for_partners_within_the_limit() {
        let (dense, sparse) = (at(&[0, 50, 100, 150, 200, 250, 300]), at(&[95, 221, 310]));
        let joined = join_by_stamp(&dense, &sparse, JoinRule::default()).unwrap();
        assert_eq!(xs(&joined), [(100.0, 95.0), (300.0, 310.0)]);
        let joined = join_by_stamp(&sparse, &dense, JoinRule::default()).unwrap();
        assert_eq!(xs(&joined), [(95.0, 100.0), (310.0, 300.0)]);
    }

    #[test]
    fn interpolation_meets_the_moment() {
        let rule = JoinRule { interpolate_ground_truth: true, ..JoinRule::default() };
        let joined = join_by_stamp(&at(&[0, 10, 20, 500]), &at(&[4, 17, 300, 600]), rule).unwrap();
        assert_eq!(xs(&joined), [(4.0, 4.0), (17.0, 17.0)]);
    }

    #[test]
    fn nothing_in_common_tells_the_spans() {
        let error =
            join_by_stamp(&at(&[0, 100]), &at(&[5_000, 6_000]), JoinRule::default()).unwrap_err().to_string();
        assert!(error.contains("2 ground-truth poses (0.000000000 to 0.100000000)"), "{error}");
        assert!(error.contains("2 estimated poses (5.000000000 to 6.000000000)"), "{error}");
    }

    const KITTI_ROW: &str = "1 0 0 0 0 1 0 0 0 0 1 0\n";

    #[test]
    fn an_index_column_meets_row_numbers_and_gaps_stay() {
        let truth = file(&KITTI_ROW.repeat(4));
        let joined =
            join(&truth, &file(&format!("1 {KITTI_ROW}3 {KITTI_ROW}")), JoinRule::default()).unwrap();
        let present: Vec<bool> = joined.frames.iter().map(|frame| frame.estimate.is_some()).collect();
        assert_eq!(present, [false, true, false, true]);
    }

    #[test]
    fn frame_numbers_are_never_taken_for_stamps() {
        let stamped = "0.0 0 0 0 0 0 0 1\n1.0 0 0 0 0 0 0 1\n";
        let error =
            join(&file(&KITTI_ROW.repeat(3)), &file(stamped), JoinRule::default()).unwrap_err().to_string();
        assert!(error.contains("equally many rows, found 3 and 2"), "{error}");
        let joined = join(&file(&KITTI_ROW.repeat(2)), &file(stamped), JoinRule::default()).unwrap();
        assert_eq!(joined.pair_count(), 2);
        assert!(joined.protocol.starts_with("row by row"), "{}", joined.protocol);
    }
}
