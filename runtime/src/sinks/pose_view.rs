//! The pose network's path for the rerun viewer, laid over that of the odometry.

use std::collections::VecDeque;

use geometry::{Se3, Timestamp};

use super::path_fit::PathFit;
use super::shared_stream::SharedStream;
use super::viewer::{PathStrip, place, set_time};
use crate::graph::{Packet, Stage, StageError};
use crate::stages::PoseEstimate;

const PATH: &str = "world/network_trajectory";
const COLOR: [u8; 3] = [230, 120, 220];
/// Frames that the odometry may be behind.
const WAITING: usize = 64;

/// Sends where a network thinks that the camera is. Its unit and its origin are not the odometry's: it is laid over that path,
/// from the frame on where both are known.
pub struct PoseView {
    stream: SharedStream,
    path: PathStrip,
    fit: PathFit,
    /// The number of the map that the fit belongs to.
    map: u32,
    /// Poses that the odometry may still have one for.
    waiting: VecDeque<(Timestamp, Se3)>,
}

impl PoseView {
    /// What makes sinks on the stream of a [`RerunSink`](super::RerunSink).
    pub fn factory(stream: &SharedStream) -> impl Fn() -> Result<Self, StageError> + use<> {
        let stream = stream.clone();
        move || {
            let path = PathStrip::new(PATH, COLOR);
            let (fit, waiting) = (PathFit::default(), VecDeque::new());
            Ok(Self { stream: stream.clone(), path, fit, map: 0, waiting })
        }
    }

    /// Fits the poses for which the odometry has one by now.
    fn fit(&mut self, stream: &rerun::RecordingStream) -> rerun::RecordingStreamResult<()> {
        let mut best = None;
        for (stamp, pose) in std::mem::take(&mut self.waiting) {
            match self.stream.pose_at(stamp) {
                Some((estimate, map)) => {
                    if map != self.map {
                        self.fit.reset();
                        self.map = map;
                    }
                    best = self.fit.add(estimate, pose).or(best);
                }
                None => self.waiting.push_back((stamp, pose)),
            }
        }
        if self.waiting.len() > WAITING {
            self.waiting.pop_front();
        }
        best.map_or(Ok(()), |fitted| place(stream, PATH, fitted))
    }
}

impl Stage for PoseView {
    type Input = PoseEstimate;
    type Output = ();

    fn process(&mut self, input: &Packet<PoseEstimate>) -> Result<Option<()>, StageError> {
        let PoseEstimate { stamp, world_from_camera } = *input.payload;
        let Some(stream) = self.stream.get() else { return Ok(Some(())) };
        set_time(&stream, self.stream.epoch(input.stamp), input.seq, input.stamp);
        self.path.send(&stream, &world_from_camera)?;
        self.waiting.push_back((stamp, world_from_camera));
        self.fit(&stream)?;
        Ok(Some(()))
    }

    fn reset(&mut self) {
        self.path.break_off();
        self.waiting.clear();
    }
}
