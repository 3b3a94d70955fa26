//! What every source of frames offers.

use std::sync::Arc;

use geometry::{Frame, PinholeCamera, Trajectory};

use crate::{DatasetError, TargetTruth};

/// What is known about a source before its first frame.
#[derive(Clone, Debug)]
pub struct SourceInfo {
    /// Short name for reports: `KITTI odometry 00`.
    pub name: String,
    /// The camera of the frames that come out.
    pub camera: Arc<PinholeCamera>,
    /// Number of frames, where known beforehand.
    pub frame_count: Option<usize>,
    /// Frames per second, where known.
    pub frame_rate: Option<f64>,
    /// Whether frames come when they come, and are lost when not taken (a camera).
    pub live: bool,
    /// What had to be assumed for want of information, one sentence each; shown to the user.
    pub assumptions: Vec<String>,
}

/// A source of frames, in the order of their stamps.
pub trait Dataset: Send {
    /// What is known beforehand.
    fn info(&self) -> &SourceInfo;

    /// The next frame; `None` at the end.
    ///
    /// # Errors
    /// [`DatasetError`] where a frame can't be read. The next call goes on with the frame after it.
    fn next_frame(&mut self) -> Result<Option<Frame>, DatasetError>;

    /// Passes over one frame, cheaply where the source can; `false` at the end.
    ///
    /// # Errors
    /// As [`next_frame`](Self::next_frame), where a frame must be read to be passed over. It is passed over then, too.
    fn skip_frame(&mut self) -> Result<bool, DatasetError> {
        self.next_frame().map(|frame| frame.is_some())
    }

    /// What is known to be true about the frames, as far as the source has it.
    fn ground_truth(&self) -> Option<&GroundTruth> {
        None
    }
}

impl<D: Dataset + ?Sized> Dataset for Box<D> {
    fn info(&self) -> &SourceInfo {
        (**self).info()
    }

    fn next_frame(&mut self) -> Result<Option<Frame>, DatasetError> {
        (**self).next_frame()
    }

    fn skip_frame(&mut self) -> Result<bool, DatasetError> {
        (**self).skip_frame()
    }

    fn ground_truth(&self) -> Option<&GroundTruth> {
        (**self).ground_truth()
    }
}

/// Truth that comes with a recorded or made source.
#[derive(Clone, Debug, Default)]
pub struct GroundTruth {
    /// Poses `world_from_camera`, metric.
    pub trajectory: Option<Trajectory>,
    /// The one target of a tracking sequence.
    pub target: Option<TargetTruth>,
}
