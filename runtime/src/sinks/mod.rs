//! Where results leave the graph. Each is one file.

mod depth;
#[cfg(feature = "viewer")]
mod depth_view;
#[cfg(feature = "viewer")]
mod detection_view;
mod detections;
pub mod files;
#[cfg(feature = "viewer")]
mod path_fit;
mod pose;
#[cfg(feature = "viewer")]
mod pose_view;
mod progress;
mod recorder;
#[cfg(feature = "viewer")]
mod shared_stream;
mod target;
#[cfg(feature = "viewer")]
mod target_view;
mod trajectory_log;
#[cfg(feature = "viewer")]
mod viewer;

pub use depth::{DepthObserver, DepthSink};
#[cfg(feature = "viewer")]
pub use depth_view::DepthView;
#[cfg(feature = "viewer")]
pub use detection_view::DetectionView;
pub use detections::{DetectionObserver, DetectionSink, DetectionTally};
pub use pose::PoseSink;
#[cfg(feature = "viewer")]
pub use pose_view::PoseView;
pub use progress::{Observer, Progress, ProgressSink, Tally};
pub use recorder::{Recorder, RecorderInput, RecorderSink};
pub(crate) use recorder::{color_file, frame_file};
#[cfg(feature = "viewer")]
pub use shared_stream::SharedStream;
pub use target::{TargetObserver, TargetSink, TargetTally};
#[cfg(feature = "viewer")]
pub use target_view::TargetView;
#[cfg(feature = "viewer")]
pub use viewer::{DEFAULT_VIEWER, RerunSink, RerunTarget, open_stream, spawn_viewer};
