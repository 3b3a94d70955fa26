//! Frames to motion, by a network alone: beside the odometry, not instead of it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use geometry::{Frame, Se3, Timestamp};
use vo::{NetworkOdometry, VoError};

use crate::graph::{Packet, Stage, StageError};

/// What sees motion in a flight.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoseChoice {
    /// File of the network, or the name of one that comes with the program.
    pub network: String,
    /// Tells its bytes from those of others.
    pub fingerprint: String,
}

/// Anything that adds motion to motion from frame to frame: no threads of its own, no clock, the same answers for the same
/// frames.
pub trait PoseEstimator: Send + 'static {
    /// Where the camera of the next `frame` is, in a unit of its own; that of the first frame is the world.
    ///
    /// # Errors
    /// [`VoError`] where the frame could not be looked at.
    fn register_frame(&mut self, frame: &Frame) -> Result<Se3, VoError>;
}

impl PoseEstimator for NetworkOdometry {
    fn register_frame(&mut self, frame: &Frame) -> Result<Se3, VoError> {
        Self::register_frame(self, frame)
    }
}

/// Makes a pose estimator that has seen nothing.
pub type PoseFactory = Arc<dyn Fn() -> Result<Box<dyn PoseEstimator>, StageError> + Send + Sync>;

/// Where a network thinks that the camera is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PoseEstimate {
    /// Stamp of the frame.
    pub stamp: Timestamp,
    /// In the network's unit; the first camera of the flight is the world.
    pub world_from_camera: Se3,
}

/// Runs a [`PoseEstimator`], and goes on after a restart from where it was; what moved meanwhile is not known.
pub struct PoseStage {
    estimator: Box<dyn PoseEstimator>,
    memory: PoseMemory,
    generation: u64,
    /// Where the estimator's world lies in the flight's.
    world_from_first: Se3,
}

/// Where the camera was last, which outlives a restart. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct PoseMemory(Arc<Mutex<LastPose>>);

#[derive(Debug)]
struct LastPose {
    /// Counts the restarts, so that a stage that was given up can no longer change anything.
    generation: u64,
    world_from_camera: Se3,
}

impl Default for LastPose {
    fn default() -> Self {
        Self { generation: 0, world_from_camera: Se3::identity() }
    }
}

impl PoseMemory {
    fn lock(&self) -> MutexGuard<'_, LastPose> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of the stage that begins now, and where it begins.
    fn begin(&self) -> (u64, Se3) {
        let mut last = self.lock();
        last.generation += 1;
        (last.generation, last.world_from_camera)
    }

    fn note(&self, generation: u64, world_from_camera: Se3) {
        let mut last = self.lock();
        if last.generation == generation {
            last.world_from_camera = world_from_camera;
        }
    }
}

impl PoseStage {
    /// A stage with an `estimator` that has seen nothing, which begins where `memory` says.
    pub fn new(estimator: Box<dyn PoseEstimator>, memory: PoseMemory) -> Self {
        let (generation, world_from_first) = memory.begin();
        Self { estimator, memory, generation, world_from_first }
    }
}

impl Stage for PoseStage {
    type Input = Frame;
    type Output = PoseEstimate;

    fn process(&mut self, input: &Packet<Frame>) -> Result<Option<PoseEstimate>, StageError> {
        let first_from_camera = self.estimator.register_frame(&input.payload)?;
        let world_from_camera = self.world_from_first * first_from_camera;
        if !world_from_camera.is_finite() {
            return Err("expected a finite pose, found NaN or infinity".into());
        }
        self.memory.note(self.generation, world_from_camera);
        Ok(Some(PoseEstimate { stamp: input.payload.stamp, world_from_camera }))
    }

    /// What the source left out was not seen: the motion over it is seen at once.
    fn reset(&mut self) {}
}

#[cfg(test)]
mod tests {
    use geometry::{GrayImage, PinholeCamera};
    use nalgebra::Vector3;

    use super::*;

    /// One unit forward for each frame; what comes as the fifth frame or later is nowhere.
    #[derive(Default)]
    struct Walking(f64);

    impl PoseEstimator for Walking {
        fn register_frame(&mut self, _: &Frame) -> Result<Se3, VoError> {
            let at = if self.0 < 4.0 { self.0 } else { f64::NAN };
            self.0 += 1.0;
            Ok(Se3 { translation: Vector3::new(0.0, 0.0, at), ..Se3::identity() })
        }
    }

    fn packet(seq: u64) -> Packet<Frame> {
        let stamp = Timestamp::from_nanos(seq as i64 * 100_000_000);
        let camera = PinholeCamera::from_horizontal_fov(16, 8, 1.0).unwrap();
        let gray = GrayImage::filled(16, 8, [0]);
        let frame = Frame { stamp, seq, gray: Arc::new(gray), rgb: None, camera: Arc::new(camera) };
        Packet { stamp, seq, payload: Arc::new(frame), trace: None }
    }

    #[test]
    fn a_restart_goes_on_from_where_the_camera_was() {
        let memory = PoseMemory::default();
        let place = |stage: &mut PoseStage, seq: u64| {
            stage.process(&packet(seq)).map(|pose| pose.unwrap().world_from_camera.translation.z)
        };
        let mut stage = PoseStage::new(Box::new(Walking::default()), memory.clone());
        let places: Vec<f64> = (0..4).map(|seq| place(&mut stage, seq).unwrap()).collect();
        assert_eq!(places, [0.0, 1.0, 2.0, 3.0]);
        assert!(place(&mut stage, 4).is_err(), "a pose that is none");
        let mut next = PoseStage::new(Box::new(Walking::default()), memory.clone());
        assert_eq!([5, 6].map(|seq| place(&mut next, seq).unwrap()), [3.0, 4.0]);
        // One that was given up moves nothing any more.
        stage.estimator = Box::new(Walking(1.0));
        place(&mut stage, 7).unwrap();
        let mut last = PoseStage::new(Box::new(Walking::default()), memory);
        assert_eq!(place(&mut last, 8).unwrap(), 4.0);
    }
}
