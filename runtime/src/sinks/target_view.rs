//! The target for the rerun viewer: its box on the image, its confidence as a plot.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use geometry::{Se3, Timestamp, Track};
use rerun::RecordingStream;
use vo::{Odometry, TrackingState};

use super::viewer::{IMAGE, Pace, reduction, set_time};
use crate::graph::{Packet, Stage, StageError};
use crate::stages::{Followed, Sight};

const CONFIDENCE: &str = "plots/confidence";

/// Poses that are kept for those who are behind.
const POSES: usize = 256;

/// The stream that several sinks share, the stamp from which its time counts, and where the odometry has been lately. Where a viewer is connected anew it is another
/// stream; before, there is none. Clones are the same.
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
