//! What was found, for the rerun viewer: boxes on the image, how many of each class as a plot.

use geometry::class_color;
use rerun::RecordingStream;

use super::shared_stream::SharedStream;
use super::viewer::{IMAGE, Pace, reduction, set_time};
use crate::graph::{Packet, Stage, StageError};
use crate::stages::{Detected, Object};

const OBJECTS: &str = "plots/objects";

/// Sends boxes to a viewer: with each image that the [`RerunSink`](super::RerunSink) of the same stream sends, so that each lies where
/// its object is; counts with each look.
pub struct DetectionView {
    stream: SharedStream,
    pace: Pace,
    classes: Vec<String>,
    /// Whether the plot has its legend.
    has_legend: bool,
}

impl DetectionView {
    /// What makes sinks on the stream of a `RerunSink` that is sent `image_rate_hz` images a second; `classes` are the names of the
    /// detector's.
    pub fn factory(
        stream: &SharedStream,
        image_rate_hz: f64,
        classes: &[String],
    ) -> impl Fn() -> Result<Self, StageError> + use<> {
        let (stream, classes) = (stream.clone(), classes.to_vec());
        move || {
            let (stream, classes) = (stream.clone(), classes.clone());
            Ok(Self { stream, pace: Pace::new(image_rate_hz), classes, has_legend: false })
        }
    }

    fn label(&self, object: &Object) -> String {
        let class = self.classes.get(object.class_id as usize).map_or("", String::as_str);
        format!("{class} {} {:.2}", object.track.id, object.track.confidence)
    }

    /// Both here and in rerun, pixels are counted from the edge of the first.
    fn boxes(&self, detected: &Detected) -> rerun::Boxes2D {
        let factor = reduction(&detected.frame) as f32;
        let objects = &detected.objects;
        let of = |object: &Object| object.track.bounding_box;
        let corners = objects.iter().map(|object| [of(object).x, of(object).y].map(|v| v / factor));
        let sizes = objects.iter().map(|object| [of(object).width, of(object).height].map(|v| v / factor));
        rerun::Boxes2D::from_mins_and_sizes(corners, sizes)
            .with_colors(objects.iter().map(|object| class_color(object.class_id as usize)))
            .with_labels(objects.iter().map(|object| self.label(object)))
    }

    fn send_counts(
        &mut self,
        stream: &RecordingStream,
        detected: &Detected,
    ) -> rerun::RecordingStreamResult<()> {
        let Some(look) = &detected.look else { return Ok(()) };
        if !self.has_legend {
            let names = self.classes.iter().map(String::as_str);
            stream.log_static(OBJECTS, &rerun::SeriesLines::new().with_names(names))?;
            self.has_legend = true;
        }
        let count = |class| look.iter().filter(|found| found.detection.class_id as usize == class).count();
        let counts = (0..self.classes.len()).map(|class| count(class) as f64);
        stream.log(OBJECTS, &rerun::Scalars::new(counts))
    }
}

impl Stage for DetectionView {
    type Input = Detected;
    type Output = ();

    fn process(&mut self, input: &Packet<Detected>) -> Result<Option<()>, StageError> {
        let shows_image = self.pace.is_due(input.stamp);
        let Some(stream) = self.stream.get() else { return Ok(Some(())) };
        let detected = &input.payload;
        set_time(&stream, self.stream.epoch(input.stamp), input.seq, input.stamp);
        self.send_counts(&stream, detected)?;
        if shows_image {
            stream.log(format!("{IMAGE}/detections"), &self.boxes(detected))?;
        }
        Ok(Some(()))
    }

    fn reset(&mut self) {}
}
