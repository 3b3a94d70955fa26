//! What the sinks of one recording, or of one live viewer, have in common.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use geometry::{Se3, Timestamp};
use rerun::RecordingStream;
use vo::{Odometry, TrackingState};

/// Poses that are kept for those who are behind.
const POSES: usize = 256;

/// The stream that several sinks share, the stamp from which its time counts, and where the odometry has been lately. Where a
/// viewer is connected anew it is another stream; before, there is none. Clones are the same.
#[derive(Clone, Default)]
pub struct SharedStream(Arc<Mutex<Shared>>);

#[derive(Default)]
struct Shared {
    stream: Option<RecordingStream>,
    epoch: Option<Timestamp>,
    /// Stamp and pose of frames that were tracked, the oldest first, with the number of the map.
    poses: VecDeque<(Timestamp, Se3, u32)>,
}

impl SharedStream {
    /// One that is open already.
    pub fn of(stream: RecordingStream) -> Self {
        let shared = Self::default();
        shared.open(stream);
        shared
    }

    /// Takes the place of the stream before.
    pub fn open(&self, stream: RecordingStream) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).stream = Some(stream);
    }

    /// The stream, where there is one.
    pub(super) fn get(&self) -> Option<RecordingStream> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).stream.clone()
    }

    /// Keeps where the camera was, if that is known.
    pub(super) fn note(&self, odometry: &Odometry) {
        if odometry.state != TrackingState::Tracking {
            return;
        }
        let poses = &mut self.0.lock().unwrap_or_else(PoisonError::into_inner).poses;
        poses.push_back((odometry.stamp, odometry.world_from_camera, odometry.reset_count));
        if poses.len() > POSES {
            poses.pop_front();
        }
    }

    /// Where the camera was by the odometry at `stamp`, with the number of the map.
    pub(super) fn pose_at(&self, stamp: Timestamp) -> Option<(Se3, u32)> {
        let shared = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = shared.poses.iter().rev().find(|(of, ..)| *of == stamp);
        found.map(|&(_, pose, map)| (pose, map))
    }

    /// The stamp that is time 0: the first that anyone asked with.
    pub(super) fn epoch(&self, now: Timestamp) -> Timestamp {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).epoch.get_or_insert(now)
    }
}
