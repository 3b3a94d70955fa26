//! Where a network thinks that the camera is: into the counts and into `trajectory.network.tum`.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::files::{LineFile, Storage};
use crate::graph::{Packet, Stage, StageError};
use crate::run::{RunDirectory, TRAJECTORY_NETWORK};
use crate::stages::PoseEstimate;

/// The sink of the pose network. Clones share count and file, so that a restart goes on where it was.
#[derive(Clone, Default)]
pub struct PoseSink {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Default)]
struct Shared {
    poses: u64,
    file: Option<LineFile>,
}

impl PoseSink {
    /// Writes `trajectory.network.tum` into `run` too. A file that can't be made is a fault to be told at the end.
    pub fn recording_into(self, run: &RunDirectory, storage: &Arc<dyn Storage>) -> Self {
        let mut file = LineFile::create(storage, run.path().join(TRAJECTORY_NETWORK));
        file.line(|line| line.push_str("# stamp tx ty tz qx qy qz qw; the pose network's, in its own unit"));
        self.lock().file = Some(file);
        self
    }

    /// Poses so far.
    pub fn poses(&self) -> u64 {
        self.lock().poses
    }

    /// Why the file is not complete.
    pub fn fault(&self) -> Option<String> {
        self.lock().file.as_ref().and_then(|file| file.fault().map(str::to_owned))
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stage for PoseSink {
    type Input = PoseEstimate;
    type Output = ();

    fn process(&mut self, input: &Packet<PoseEstimate>) -> Result<Option<()>, StageError> {
        let PoseEstimate { stamp, world_from_camera } = *input.payload;
        let (t, [x, y, z, w]) = (world_from_camera.translation, world_from_camera.xyzw());
        let mut shared = self.lock();
        shared.poses += 1;
        if let Some(file) = &mut shared.file {
            file.line(|line| {
                let _ = write!(line, "{stamp} {} {} {} {x} {y} {z} {w}", t.x, t.y, t.z);
            });
        }
        Ok(Some(()))
    }

    fn reset(&mut self) {}
}
