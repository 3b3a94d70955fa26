//! What was seen of depth, for the rerun viewer: a picture, and the points that it is made of, before the camera that saw them.

use geometry::PinholeCamera;

use super::shared_stream::SharedStream;
use super::viewer::{DEPTH, Pace, depth_image, pinhole, set_time};
use crate::graph::{Packet, Stage, StageError};
use crate::stages::DepthEstimate;

/// Sends depths to a viewer, as often as images at most: one is larger than an image.
pub struct DepthView {
    stream: SharedStream,
    pace: Pace,
    /// As it was sent last.
    camera: Option<PinholeCamera>,
}

impl DepthView {
    /// What makes sinks on the stream of a [`RerunSink`](super::RerunSink) that is sent `image_rate_hz` images a second.
    pub fn factory(
        stream: &SharedStream,
        image_rate_hz: f64,
    ) -> impl Fn() -> Result<Self, StageError> + use<> {
        let stream = stream.clone();
        move || Ok(Self { stream: stream.clone(), pace: Pace::new(image_rate_hz), camera: None })
    }
}

impl Stage for DepthView {
    type Input = DepthEstimate;
    type Output = ();

    fn process(&mut self, input: &Packet<DepthEstimate>) -> Result<Option<()>, StageError> {
        let is_due = self.pace.is_due(input.stamp);
        let Some(stream) = self.stream.get().filter(|_| is_due) else { return Ok(Some(())) };
        let DepthEstimate { frame, depth } = &*input.payload;
        set_time(&stream, self.stream.epoch(input.stamp), input.seq, input.stamp);
        let camera = frame.camera.resized(depth.width(), depth.height())?;
        if self.camera.as_ref() != Some(&camera) {
            stream.log(DEPTH, &pinhole(&camera))?;
            self.camera = Some(camera);
        }
        stream.log(DEPTH, &depth_image(depth))?;
        Ok(Some(()))
    }

    fn reset(&mut self) {}
}
