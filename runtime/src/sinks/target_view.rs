//! The target for the rerun viewer: its box on the image, its confidence as a plot.

use geometry::Track;

use super::shared_stream::SharedStream;
use super::viewer::{IMAGE, Pace, reduction, set_time};
use crate::graph::{Packet, Stage, StageError};
use crate::stages::{Followed, Sight};

const CONFIDENCE: &str = "plots/confidence";

/// Sends boxes to a viewer: with each image that the [`RerunSink`](super::RerunSink) of the same stream sends, so that each lies where
/// its target is.
pub struct TargetView {
    stream: SharedStream,
    pace: Pace,
}

impl TargetView {
    /// A sink on the stream of a `RerunSink` that is sent `image_rate_hz` images a second.
    pub fn new(stream: SharedStream, image_rate_hz: f64) -> Self {
        Self { stream, pace: Pace::new(image_rate_hz) }
    }

    /// What makes such sinks.
    pub fn factory(
        stream: &SharedStream,
        image_rate_hz: f64,
    ) -> impl Fn() -> Result<Self, StageError> + use<> {
        let stream = stream.clone();
        move || Ok(Self::new(stream.clone(), image_rate_hz))
    }
}

impl Stage for TargetView {
    type Input = Followed;
    type Output = ();

    fn process(&mut self, input: &Packet<Followed>) -> Result<Option<()>, StageError> {
        // The images keep their pace from the first frame on, chosen or not.
        let shows_image = self.pace.is_due(input.stamp);
        let (Some(stream), Some(track)) = (self.stream.get(), &input.payload.target) else {
            return Ok(Some(()));
        };
        set_time(&stream, self.stream.epoch(input.stamp), input.seq, input.stamp);
        stream.log(CONFIDENCE, &rerun::Scalars::new([f64::from(track.confidence)]))?;
        if shows_image {
            let factor = reduction(&input.payload.frame) as f32;
            stream.log(format!("{IMAGE}/target"), &boxes(track, factor))?;
        }
        Ok(Some(()))
    }

    fn reset(&mut self) {}
}

/// The box in the colour of what it is worth; both here and in rerun, pixels are counted from the edge of the first.
fn boxes(track: &Track, factor: f32) -> rerun::Boxes2D {
    let (b, sight) = (&track.bounding_box, Sight::of(track));
    let corner = [b.x, b.y].map(|v| v / factor);
    let size = [b.width, b.height].map(|v| v / factor);
    let label = format!("{} {:.2}", sight.as_str(), track.confidence);
    rerun::Boxes2D::from_mins_and_sizes([corner], [size]).with_colors([color(sight)]).with_labels([label])
}

fn color(sight: Sight) -> [u8; 3] {
    match sight {
        Sight::Confident => [64, 224, 96],
        Sight::Unsure => [255, 200, 0],
        Sight::Lost => [255, 64, 64],
    }
}
