//! Drift over segments of given lengths, as the KITTI odometry devkit defines it (Geiger et al. 2012).

use nalgebra::Vector3;

use super::angle_rad;
use crate::{AssociatedFrame, EvalError};

/// The error over one segment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Segment {
    /// Index of its first frame.
    pub first_frame: usize,
    /// Index of its last frame: the first one further along the ground truth than `length_m`.
    pub last_frame: usize,
    /// Nominal length, metres.
    pub length_m: f64,
    /// Translation error by nominal length, without unit (metres per metre).
    pub translation: f64,
    /// Rotation error by nominal length, radians per metre.
    pub rotation_rad_per_m: f64,
}

/// The segments of one trajectory.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Drift {
    /// In order of first frame, then length.
    pub segments: Vec<Segment>,
}

impl Drift {
    /// Mean translation error over all segments, percent; `None` where no segment was long enough.
    pub fn t_err_percent(&self) -> Option<f64> {
        mean(self.segments.iter().map(|s| s.translation)).map(|t| t * 100.0)
    }

    /// Mean rotation error over all segments, degrees per 100 m.
    pub fn r_err_deg_per_100m(&self) -> Option<f64> {
        mean(self.segments.iter().map(|s| s.rotation_rad_per_m)).map(|r| r.to_degrees() * 100.0)
    }

    /// The segments of one nominal length.
    #[must_use]
    pub fn of_length(&self, length_m: f64) -> Self {
        let same = |s: &&Segment| s.length_m.total_cmp(&length_m).is_eq();
        Self { segments: self.segments.iter().filter(same).copied().collect() }
    }
}

/// Drift over segments of `lengths_m` that start at every `step`-th frame.
///
/// Lengths run along the ground truth. A segment ends at the first frame that is *more* than the length away, so it is
/// a little longer than its name, yet errors are divided by the nominal length; that is how the devkit does it. Segments
/// whose first or last frame has no estimate are left out.
///
/// # Errors
/// [`EvalError::Protocol`] for a step of 0 or a length that is not positive.
pub fn kitti_drift(frames: &[AssociatedFrame], lengths_m: &[f64], step: usize) -> Result<Drift, EvalError> {
    check(lengths_m, step)?;
    let distances = distances(frames);
    let mut segments = Vec::new();
    for first_frame in (0..frames.len()).step_by(step) {
        for &length_m in lengths_m {
            let end = distances[first_frame] + length_m;
            let last_frame = distances.partition_point(|d| *d <= end);
            segments.extend(segment(frames, first_frame, last_frame, length_m));
        }
    }
    Ok(Drift { segments })
}

fn check(lengths_m: &[f64], step: usize) -> Result<(), EvalError> {
    if step == 0 {
        return Err(EvalError::Protocol { expected: "a step of at least one frame", found: "0".to_owned() });
    }
    match lengths_m.iter().find(|l| !(l.is_finite() && **l > 0.0)) {
        Some(bad) => {
            Err(EvalError::Protocol { expected: "segment lengths above 0 m", found: bad.to_string() })
        }
        None => Ok(()),
    }
}

fn segment(
    frames: &[AssociatedFrame],
    first_frame: usize,
    last_frame: usize,
    length_m: f64,
) -> Option<Segment> {
    let (first, last) = (frames.get(first_frame)?, frames.get(last_frame)?);
    let (first_estimate, last_estimate) = (first.estimate?, last.estimate?);
    let truth = first.ground_truth.inverse() * last.ground_truth;
    let estimate = first_estimate.inverse() * last_estimate;
    let error = estimate.inverse() * truth;
    Some(Segment {
        first_frame,
        last_frame,
        length_m,
        translation: error.translation.norm() / length_m,
        rotation_rad_per_m: angle_rad(&error) / length_m,
    })
}

/// Distance along the ground truth from the first frame to each, metres.
pub(crate) fn distances(frames: &[AssociatedFrame]) -> Vec<f64> {
    let mut total = 0.0;
    let mut previous: Option<Vector3<f64>> = None;
    let along = frames.iter().map(|frame| {
        let position = frame.ground_truth.translation;
        total += previous.replace(position).map_or(0.0, |p| (position - p).norm());
        total
    });
    along.collect()
}

fn mean(values: impl ExactSizeIterator<Item = f64>) -> Option<f64> {
    let count = values.len();
    (count > 0).then(|| values.sum::<f64>() / count as f64)
}

#[cfg(test)]
mod tests {
    use geometry::{Se3, Timestamp};
    use nalgebra::UnitQuaternion;

    use super::*;

    /// One metre a frame, straight on; the estimate is `factor` times as long.
    fn straight(count: usize, factor: f64) -> Vec<AssociatedFrame> {
        let pose = |z: f64| Se3::new(UnitQuaternion::identity(), Vector3::new(0.0, 0.0, z));
        let frame = |i: usize| AssociatedFrame {
            stamp: Timestamp::from_nanos(i as i64),
            ground_truth: pose(i as f64),
            estimate: Some(pose(i as f64 * factor)),
        };
        (0..count).map(frame).collect()
    }

    #[test]
    fn two_percent_too_long_is_two_percent_of_the_true_segment() {
        let drift = kitti_drift(&straight(300, 1.02), &[100.0, 200.0], 10).unwrap();
        // The segment of 100 m ends at 101 m: the devkit's rule.
        assert!((drift.of_length(100.0).t_err_percent().unwrap() - 2.02).abs() < 1e-9);
        assert_eq!(drift.of_length(100.0).segments.len(), 20);
        assert_eq!(drift.of_length(200.0).segments.len(), 10);
        assert_eq!(drift.r_err_deg_per_100m(), Some(0.0));
    }

    #[test]
    fn short_flights_have_no_drift_figure() {
        let drift = kitti_drift(&straight(100, 1.02), &[100.0], 10).unwrap();
        assert_eq!((drift.t_err_percent(), drift.r_err_deg_per_100m()), (None, None));
    }

    #[test]
    fn frames_without_estimate_cost_only_their_segments() {
        let mut frames = straight(300, 1.02);
        frames[10].estimate = None;
        let drift = kitti_drift(&frames, &[100.0], 10).unwrap();
        assert_eq!(drift.segments.len(), 19);
        assert!((drift.t_err_percent().unwrap() - 2.02).abs() < 1e-9);
    }

    #[test]
    fn senseless_protocols_are_refused() {
        assert!(kitti_drift(&straight(9, 1.0), &[100.0], 0).is_err());
        let error = kitti_drift(&straight(9, 1.0), &[100.0, -1.0], 10).unwrap_err().to_string();
        assert_eq!(error, "expected segment lengths above 0 m, found -1");
    }
}
