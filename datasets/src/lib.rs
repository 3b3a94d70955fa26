//! Where frames come from: recorded, live or made.
//!
//! Every source implements [`Dataset`]; [`open`] tells from the content what a source is. Adding one is one new file and
//! one line in the table of [`open`]. Adapters change any source: [`Window`] cuts it, [`Undistorted`] takes out the
//! lens, [`ReadAhead`] decodes on a thread of its own. They stack in this order:
//!
//! ```no_run
//! # use kestrel_datasets as datasets;
//! use datasets::{Dataset, ReadAhead, SourceSpec, Undistorted, Window, WindowSpec, open};
//!
//! let source = open(&SourceSpec::new("sequences/00"))?;
//! let part = Window::new(source, WindowSpec { skip: 100, ..WindowSpec::default() });
//! let mut frames = ReadAhead::new(Undistorted::new(part)?, 4)?;
//! while let Some(frame) = frames.next_frame()? {
//!     assert_eq!(frame.camera, frames.info().camera);
//! }
//! # Ok::<(), datasets::DatasetError>(())
//! ```

mod calibration;
mod dataset;
mod decode;
pub mod depth;
mod error;
mod euroc;
mod folder;
mod image_file;
mod kitti;
pub mod labels;
mod open;
mod otb;
mod read_ahead;
mod samples;
#[cfg(test)]
mod scripted;
mod sequence;
mod sfmlearner;
mod target;
mod text;
mod tum;
mod uav123;
mod undistorted;
#[cfg(feature = "video")]
mod video;
mod vot;
mod window;
pub mod world;

pub use calibration::{ASSUMED_HORIZONTAL_FOV_DEG, Calibration};
pub use dataset::{Dataset, GroundTruth, SourceInfo};
pub use error::DatasetError;
pub use image_file::read_image;
pub use open::{SourceSpec, is_target_sequence, open, open_ahead};
pub use read_ahead::ReadAhead;
pub use samples::read_samples;
pub use target::TargetTruth;
pub use undistorted::Undistorted;
#[cfg(feature = "video")]
pub use video::VideoWriter;
pub use window::{Window, WindowSpec};
