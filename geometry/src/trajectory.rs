//! Poses over time.

use thiserror::Error;

use crate::{Se3, Timestamp};

/// Poses `world_from_camera` with strictly increasing stamps.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trajectory {
    stamps: Vec<Timestamp>,
    poses: Vec<Se3>,
}

/// Why a pose can't be added.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum TrajectoryError {
    /// The stamp is not after the one before.
    #[error("expected a stamp after {last} s, found {found} s")]
    NotIncreasing {
        /// Stamp of the last pose.
        last: Timestamp,
        /// Stamp of the refused pose.
        found: Timestamp,
    },
    /// A number of the pose is NaN or infinite.
    #[error("expected a finite pose, found NaN or infinity at stamp {stamp} s")]
    NotFinite {
        /// Stamp of the refused pose.
        stamp: Timestamp,
    },
}

impl Trajectory {
    /// No poses yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the pose at `stamp`.
    ///
    /// # Errors
    /// [`TrajectoryError`] where `stamp` is not after the last one or the pose is not finite; nothing is added then.
    pub fn push(&mut self, stamp: Timestamp, world_from_camera: Se3) -> Result<(), TrajectoryError> {
        if let Some(&last) = self.stamps.last().filter(|last| **last >= stamp) {
            return Err(TrajectoryError::NotIncreasing { last, found: stamp });
        }
        if !world_from_camera.is_finite() {
            return Err(TrajectoryError::NotFinite { stamp });
        }
        self.stamps.push(stamp);
        self.poses.push(world_from_camera);
        Ok(())
    }

    /// Number of poses.
    pub fn len(&self) -> usize {
        self.poses.len()
    }

    /// Whether there are no poses.
    pub fn is_empty(&self) -> bool {
        self.poses.is_empty()
    }

    /// The stamps, increasing.
    pub fn stamps(&self) -> &[Timestamp] {
        &self.stamps
    }

    /// The poses `world_from_camera`, in the order of the stamps.
    pub fn poses(&self) -> &[Se3] {
        &self.poses
    }

    /// Stamps with their poses.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (Timestamp, &Se3)> {
        self.stamps.iter().copied().zip(&self.poses)
    }

    /// The pose at `stamp`, between its neighbours where it was not sampled; `None` outside the time covered.
    pub fn at(&self, stamp: Timestamp) -> Option<Se3> {
        let next = self.stamps.partition_point(|s| *s < stamp);
        if self.stamps.get(next) == Some(&stamp) {
            return self.poses.get(next).copied();
        }
        let previous = next.checked_sub(1)?;
        let (from, to) = (self.stamps[previous], *self.stamps.get(next)?);
        let t = stamp.secs_since(from) / to.secs_since(from);
        Some(self.poses[previous].interpolate(&self.poses[next], t))
    }

    /// Index of the pose nearest to `stamp` in time; `None` where there are no poses.
    pub fn nearest(&self, stamp: Timestamp) -> Option<usize> {
        let next = self.stamps.partition_point(|s| *s < stamp);
        let candidates = next.saturating_sub(1)..(next + 1).min(self.len());
        candidates.min_by_key(|&i| self.stamps[i].abs_diff(stamp))
    }

    /// Distance travelled from the first pose to each, in metres (or whatever unit the poses have); starts with 0.
    pub fn distances(&self) -> Vec<f64> {
        let mut total = 0.0;
        let steps = self.poses.windows(2).map(|pair| (pair[1].translation - pair[0].translation).norm());
        let mut distances: Vec<f64> = self.poses.first().map(|_| 0.0).into_iter().collect();
        distances.extend(steps.map(|step| {
            total += step;
            total
        }));
        distances
    }

    /// Length of the path.
    pub fn path_length(&self) -> f64 {
        self.distances().last().copied().unwrap_or(0.0)
    }

    /// Every pose `p` replaced by `map(p)`.
    pub fn map(&self, map: impl Fn(&Se3) -> Se3) -> Self {
        Self { stamps: self.stamps.clone(), poses: self.poses.iter().map(map).collect() }
    }
}

#[cfg(test)]
mod tests {
    use nalgebra::{UnitQuaternion, Vector3};

    use super::*;

    fn line() -> Trajectory {
        let mut trajectory = Trajectory::new();
        for i in 0..4 {
            let pose = Se3::new(UnitQuaternion::identity(), Vector3::new(f64::from(i), 0.0, 0.0));
            trajectory.push(Timestamp::from_nanos(i64::from(i) * 100), pose).unwrap();
        }
        trajectory
    }

    #[test]
    fn interpolates_inside_and_refuses_outside() {
        let line = line();
        assert_eq!(line.at(Timestamp::from_nanos(150)).unwrap().translation.x, 1.5);
        assert_eq!(line.at(Timestamp::from_nanos(300)).unwrap().translation.x, 3.0);
        assert_eq!(line.at(Timestamp::from_nanos(301)), None);
        assert_eq!(line.at(Timestamp::from_nanos(-1)), None);
        assert_eq!(Trajectory::new().at(Timestamp::ZERO), None);
    }

    #[test]
    fn nearest_is_nearest() {
        let line = line();
        assert_eq!(line.nearest(Timestamp::from_nanos(149)), Some(1));
        assert_eq!(line.nearest(Timestamp::from_nanos(151)), Some(2));
        assert_eq!(line.nearest(Timestamp::from_nanos(9_999)), Some(3));
        assert_eq!(Trajectory::new().nearest(Timestamp::ZERO), None);
    }

    #[test]
    fn backwards_stamps_and_nan_are_refused() {
        let mut line = line();
        let error = line.push(Timestamp::from_nanos(300), Se3::identity()).unwrap_err();
        assert!(matches!(error, TrajectoryError::NotIncreasing { .. }));
        let nan = Se3::new(UnitQuaternion::identity(), Vector3::new(f64::NAN, 0.0, 0.0));
        assert!(line.push(Timestamp::from_nanos(400), nan).is_err());
        assert_eq!(line.len(), 4);
    }

    #[test]
    fn distances_add_up() {
        assert_eq!(line().distances(), vec![0.0, 1.0, 2.0, 3.0]);
        assert_eq!(Trajectory::new().path_length(), 0.0);
    }
}
