//! What a flight shows: the recording and the live viewer.

#[cfg(feature = "viewer")]
use geometry::Trajectory;
#[cfg(feature = "viewer")]
use rerun::RecordingStream;

use super::{Flight, Looks, Sinks};
#[cfg(feature = "viewer")]
use super::{ROOM, Viewer};
#[cfg(feature = "viewer")]
use crate::RuntimeError;
#[cfg(feature = "viewer")]
use crate::graph::Supervision;
use crate::graph::{Graph, Port};
#[cfg(feature = "viewer")]
use crate::run::RECORDING;
#[cfg(feature = "viewer")]
use crate::sinks::{
    DEFAULT_VIEWER, DepthView, DetectionView, PoseView, RerunSink, RerunTarget, SharedStream, TargetView,
    open_stream, spawn_viewer,
};
use crate::stages::Registered;

impl Flight {
    #[cfg(not(feature = "viewer"))]
    pub(super) fn add_views(&self, _: &mut Graph, _: &Port<Registered>, _: &Looks, _: &Sinks) {}

    /// The recording, which shows everything, and the live viewer, which delays nothing.
    #[cfg(feature = "viewer")]
    pub(super) fn add_views(
        &self,
        graph: &mut Graph,
        odometry: &Port<Registered>,
        Looks { followed, detected, depth, pose }: &Looks,
        sinks: &Sinks,
    ) {
        let image_rate_hz = self.config.image_rate_hz;
        let classes = self.detector.as_ref().map_or(&[][..], |(choice, _)| &choice.classes);
        if let Some(stream) = sinks.recording.clone() {
            let shared = SharedStream::of(stream.clone());
            if let Some(followed) = followed {
                let open = TargetView::factory(&shared, image_rate_hz);
                graph.sink("target recording", followed.block(ROOM), Supervision::default(), open);
            }
            if let Some(detected) = detected {
                let open = DetectionView::factory(&shared, image_rate_hz, classes);
                graph.sink("detection recording", detected.block(ROOM), Supervision::default(), open);
            }
            if let Some(depth) = depth {
                let open = DepthView::factory(&shared, image_rate_hz);
                graph.sink("depth recording", depth.block(ROOM), Supervision::default(), open);
            }
            if let Some(pose) = pose {
                let open = PoseView::factory(&shared);
                graph.sink("pose recording", pose.block(ROOM), Supervision::default(), open);
            }
            let truth = sinks.truth.clone();
            let open =
                move || Ok(RerunSink::new(stream.clone(), shared.clone(), truth.clone(), image_rate_hz));
            graph.sink("recording", odometry.block(ROOM), Supervision::default(), open);
        }
        if let Some(target) = sinks.viewer.clone() {
            let shared = SharedStream::default();
            if let Some(followed) = followed {
                let open = TargetView::factory(&shared, image_rate_hz);
                graph.sink("target viewer", followed.latest(), Supervision::default(), open);
            }
            if let Some(detected) = detected {
                let open = DetectionView::factory(&shared, image_rate_hz, classes);
                graph.sink("detection viewer", detected.latest(), Supervision::default(), open);
            }
            if let Some(depth) = depth {
                let open = DepthView::factory(&shared, image_rate_hz);
                graph.sink("depth viewer", depth.latest(), Supervision::default(), open);
            }
            if let Some(pose) = pose {
                let open = PoseView::factory(&shared);
                graph.sink("pose viewer", pose.latest(), Supervision::default(), open);
            }
            // Opened on the viewer's own thread, which alone waits where nobody reads at the other end.
            let truth = sinks.truth.clone();
            let open = move || {
                let stream = open_stream(&target, truth.as_ref())?;
                Ok(RerunSink::new(stream, shared.clone(), truth.clone(), image_rate_hz).ending_stream())
            };
            graph.sink("viewer", odometry.latest(), Supervision::default(), open);
        }
    }

    #[cfg(feature = "viewer")]
    pub(super) fn open_recording(
        &self,
        truth: Option<&Trajectory>,
    ) -> Result<Option<RecordingStream>, RuntimeError> {
        let run = self.run.as_ref().filter(|_| self.config.recording);
        run.map(|run| open_stream(&RerunTarget::File(run.path().join(RECORDING)), truth)).transpose()
    }

    #[cfg(feature = "viewer")]
    pub(super) fn open_viewer(&self) -> Result<Option<RerunTarget>, RuntimeError> {
        match &self.config.viewer {
            Viewer::Headless => Ok(None),
            Viewer::Connect(address) => Ok(Some(RerunTarget::Address(address.clone()))),
            Viewer::Spawn => {
                spawn_viewer()?;
                Ok(Some(RerunTarget::Address(DEFAULT_VIEWER.into())))
            }
        }
    }
}
