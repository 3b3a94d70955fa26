//! What looks at frames beside the odometry, each on a branch of its own: of a camera it takes what it can, because whatever
//! ails it must not cost the odometry a frame.

use std::sync::Arc;

use geometry::Frame;

use super::{DEPTH, DETECT, FOLLOW, Flight, POSE, RECORDER_ROOM, ROOM, Sinks};
use crate::graph::{Graph, Input, Port, Supervision};
use crate::stages::{
    DepthEstimate, DepthStage, DetectStage, Detected, FollowStage, Followed, IdentityMemory, Pointer,
    PoseEstimate, PoseMemory, PoseStage, Scene, TargetChoice, TargetMemory,
};

impl Flight {
    /// The tracker, where there is something to follow: in what the detector saw where that has the target's identity.
    pub(super) fn add_follower(
        &self,
        graph: &mut Graph,
        frames: &Port<Frame>,
        detected: Option<&Port<Detected>>,
        is_live: bool,
        sinks: &Sinks,
    ) -> Option<Port<Followed>> {
        let (choice, target) = self.config.follow.zip(sinks.target.clone())?;
        let followed = match (choice.target, detected) {
            (Pointer::Identity(_), Some(detected)) => self.follow_in(graph, detected, choice, is_live),
            _ => self.follow_in(graph, frames, choice, is_live),
        };
        graph.sink("target", followed.block(RECORDER_ROOM), Supervision::default(), move || {
            Ok(target.clone())
        });
        Some(followed)
    }

    fn follow_in<S: Scene>(
        &self,
        graph: &mut Graph,
        scenes: &Port<S>,
        choice: TargetChoice,
        is_live: bool,
    ) -> Port<Followed> {
        let scenes = taken(scenes, is_live);
        let (follower, memory) = (Arc::clone(&self.follower), TargetMemory::default());
        let deadline = Supervision::with_deadline(self.config.follow_deadline);
        graph.stage(FOLLOW, scenes, deadline, move || {
            Ok(FollowStage::new(Arc::clone(&follower), choice, memory.clone()))
        })
    }

    /// The detector, where there is one.
    pub(super) fn add_detector(
        &self,
        graph: &mut Graph,
        frames: &Port<Frame>,
        is_live: bool,
        sinks: &Sinks,
    ) -> Option<Port<Detected>> {
        let ((choice, factory), sink) = self.detector.clone().zip(sinks.detections.clone())?;
        let frames = taken(frames, is_live);
        let (memory, every) = (IdentityMemory::default(), choice.every);
        let deadline = Supervision::with_deadline(self.config.detect_deadline);
        let detected = graph
            .stage(DETECT, frames, deadline, move || Ok(DetectStage::new(factory()?, every, memory.clone())));
        graph.sink("detections", detected.block(RECORDER_ROOM), Supervision::default(), move || {
            Ok(sink.clone())
        });
        Some(detected)
    }

    /// The depth network, where there is one.
    pub(super) fn add_depth(
        &self,
        graph: &mut Graph,
        frames: &Port<Frame>,
        is_live: bool,
        sinks: &Sinks,
    ) -> Option<Port<DepthEstimate>> {
        let ((choice, factory), sink) = self.depth.clone().zip(sinks.depth.clone())?;
        let frames = taken(frames, is_live);
        let every = choice.every;
        let deadline = Supervision::with_deadline(self.config.depth_deadline);
        let depth = graph.stage(DEPTH, frames, deadline, move || Ok(DepthStage::new(factory()?, every)));
        graph.sink("depths", depth.block(ROOM), Supervision::default(), move || Ok(sink.clone()));
        Some(depth)
    }

    /// The pose network, where there is one.
    pub(super) fn add_pose(
        &self,
        graph: &mut Graph,
        frames: &Port<Frame>,
        is_live: bool,
        sinks: &Sinks,
    ) -> Option<Port<PoseEstimate>> {
        let ((_, factory), sink) = self.pose.clone().zip(sinks.pose.clone())?;
        let frames = taken(frames, is_live);
        let memory = PoseMemory::default();
        let deadline = Supervision::with_deadline(self.config.pose_deadline);
        let pose =
            graph.stage(POSE, frames, deadline, move || Ok(PoseStage::new(factory()?, memory.clone())));
        graph.sink("poses", pose.block(RECORDER_ROOM), Supervision::default(), move || Ok(sink.clone()));
        Some(pose)
    }
}

/// Everything of a recording, what can be taken of a camera.
fn taken<T: Send + Sync + 'static>(port: &Port<T>, is_live: bool) -> Input<T> {
    if is_live { port.latest() } else { port.block(ROOM) }
}
