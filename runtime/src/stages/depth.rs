//! Frames to how far everything in them is.

use std::sync::Arc;

use geometry::{DepthImage, Frame};
use vo::{DepthNetwork, VoError};

use crate::graph::{Packet, Stage, StageError};

/// What sees depth in a flight, and how often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DepthChoice {
    /// File of the network, or the name of one that comes with the program.
    pub network: String,
    /// Tells its bytes from those of others.
    pub fingerprint: String,
    /// It looks at every so manieth frame.
    pub every: u64,
}

/// Anything that sees depth in single frames: no threads of its own, no clock, the same answers for the same frame.
pub trait DepthEstimator: Send + 'static {
    /// How far everything in `frame` is along the optical axis, as coarse as it is seen, 0 where unknown; in metres, or in a unit
    /// of its own.
    ///
    /// # Errors
    /// [`VoError`] where the frame could not be looked at.
    fn depth(&mut self, frame: &Frame) -> Result<DepthImage, VoError>;
}

impl DepthEstimator for DepthNetwork {
    fn depth(&mut self, frame: &Frame) -> Result<DepthImage, VoError> {
        let predicted = self.predict(frame)?;
        let (width, height) = predicted.size();
        Ok(predicted.depth(width, height))
    }
}

/// Makes a depth estimator.
pub type DepthFactory = Arc<dyn Fn() -> Result<Box<dyn DepthEstimator>, StageError> + Send + Sync>;

/// A frame with its depth.
#[derive(Clone, Debug)]
pub struct DepthEstimate {
    /// The frame; shares its pixels with all other stages.
    pub frame: Frame,
    /// As the estimator has it, of its size.
    pub depth: DepthImage,
}

/// Looks at every so manieth frame, and is silent about the others.
pub struct DepthStage {
    estimator: Box<dyn DepthEstimator>,
    every: u64,
    /// Number of the frame from which on the next look is due.
    next_look: u64,
}

impl DepthStage {
    /// A stage that looks with `estimator` at every `every`th frame.
    pub fn new(estimator: Box<dyn DepthEstimator>, every: u64) -> Self {
        Self { estimator, every: every.max(1), next_look: 0 }
    }
}

impl Stage for DepthStage {
    type Input = Frame;
    type Output = DepthEstimate;

    fn process(&mut self, input: &Packet<Frame>) -> Result<Option<DepthEstimate>, StageError> {
        if input.seq < self.next_look {
            return Ok(None);
        }
        let frame = (*input.payload).clone();
        let depth = self.estimator.depth(&frame)?;
        self.next_look = input.seq.saturating_add(self.every);
        Ok(Some(DepthEstimate { frame, depth }))
    }

    fn reset(&mut self) {
        self.next_look = 0;
    }
}

#[cfg(test)]
mod tests {
    use geometry::{GrayImage, PinholeCamera, Timestamp};

    use super::*;

    /// Sees everything as far as the number of the frame says.
    struct Counting;

    impl DepthEstimator for Counting {
        fn depth(&mut self, frame: &Frame) -> Result<DepthImage, VoError> {
            Ok(DepthImage::filled(4, 2, [frame.seq as f32]))
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
    fn it_looks_at_every_third_frame_that_it_gets() {
        let mut stage = DepthStage::new(Box::new(Counting), 3);
        let mut look = |seq: u64| {
            let seen = stage.process(&packet(seq)).unwrap();
            seen.map(|estimate| estimate.depth.pixel(1, 1)[0])
        };
        let seen: Vec<_> = [0, 1, 2, 3, 4, 9, 10, 12].into_iter().map(&mut look).collect();
        let numbers = [Some(0.0), None, None, Some(3.0), None, Some(9.0), None, Some(12.0)];
        assert_eq!(seen, numbers, "after a gap at once");
    }
}
