//! Where results leave the graph. Each is one file.

pub mod files;
mod progress;
mod recorder;

pub use progress::{Observer, Progress, ProgressSink, Tally};
pub use recorder::{Recorder, RecorderInput, RecorderSink};
pub(crate) use recorder::{color_file, frame_file};
