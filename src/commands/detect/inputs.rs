//! Images of a folder, or frames of anything that has frames.

use std::ffi::OsStr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::vec;

use anyhow::Context;
use datasets::labels::LabelledImage;
use datasets::{Dataset, ReadAhead, SourceSpec, Window, WindowSpec};
use geometry::Frame;
use image::ImageReader;
use serde_json::{Value, json};

use crate::cli::WindowArgs;
use crate::images;

/// Frames decoded ahead of use.
const AHEAD: usize = 4;
/// Of sources that don't say how fast they are.
const ASSUMED_RATE_HZ: f64 = 10.0;
/// Frames a second that can be watched: a video of every twentieth frame is not to be a show of slides.
const WATCHABLE_HZ: RangeInclusive<f64> = 5.0..=60.0;

/// What is to be looked at, one after the other.
pub(super) enum Inputs {
    Images(vec::IntoIter<PathBuf>),
    Frames { source: Box<ReadAhead>, stem: String },
}

/// One image.
pub(super) struct Input {
    /// As results call it: the name of an image without its ending, the number of a frame.
    pub(super) id: Value,
    /// Name of the file that shows it drawn.
    pub(super) name: String,
    pub(super) frame: Frame,
}

impl Inputs {
    /// What `source` names, cut to `window`.
    ///
    /// # Errors
    /// Where nothing of that name exists or holds images.
    pub(super) fn open(source: &str, window: &WindowArgs) -> anyhow::Result<Self> {
        let path = Path::new(source);
        if let Some(files) = image_files(path)? {
            let files = files.into_iter().skip(window.skip).step_by(window.stride);
            let files: Vec<PathBuf> = files.take(window.max_frames.unwrap_or(usize::MAX)).collect();
            return Ok(Self::Images(files.into_iter()));
        }
        let spec = WindowSpec { skip: window.skip, stride: window.stride, max_frames: window.max_frames };
        let opened = Window::new(datasets::open(&SourceSpec::new(source))?, spec);
        let stem = path.file_stem().filter(|_| path.exists()).unwrap_or(OsStr::new("video"));
        let stem = stem.to_string_lossy().into_owned();
        Ok(Self::Frames { source: Box::new(ReadAhead::new(opened, AHEAD)?), stem })
    }

    /// How many are left, where that is known.
    pub(super) fn count(&self) -> Option<u64> {
        match self {
            Self::Images(files) => Some(files.len() as u64),
            Self::Frames { source, .. } => source.info().frame_count.map(|count| count as u64),
        }
    }

    /// Name without ending and frames a second of the video that these make; `None` for images of their own.
    pub(super) fn as_video(&self) -> Option<(String, f64)> {
        match self {
            Self::Images(_) => None,
            Self::Frames { source, stem } => {
                let rate_hz = source.info().frame_rate.unwrap_or(ASSUMED_RATE_HZ);
                Some((stem.clone(), rate_hz.clamp(*WATCHABLE_HZ.start(), *WATCHABLE_HZ.end())))
            }
        }
    }

    /// The next image, or why it can't be read; those after it may be.
    pub(super) fn next(&mut self) -> Option<anyhow::Result<Input>> {
        match self {
            Self::Images(files) => files.next().map(|file| image(&file)),
            Self::Frames { source, .. } => source.next_frame().transpose().map(|frame| {
                let frame = frame?;
                Ok(Input { id: json!(frame.seq), name: format!("{:06}.jpg", frame.seq), frame })
            }),
        }
    }
}

/// The images that `path` is or holds, itself or in `images/` as labelled sets have them; `None` where it is something else.
fn image_files(path: &Path) -> anyhow::Result<Option<Vec<PathBuf>>> {
    if path.is_file() {
        let format = ImageReader::open(path)?.with_guessed_format()?.format();
        return Ok(format.is_some().then(|| vec![path.to_owned()]));
    }
    for folder in [path.to_owned(), path.join("images")].into_iter().filter(|folder| folder.is_dir()) {
        let files = images::images(&folder)?;
        if !files.is_empty() {
            return Ok(Some(files));
        }
    }
    Ok(None)
}

fn image(file: &Path) -> anyhow::Result<Input> {
    let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let broken = || format!("{}: expected an image", file.display());
    let reader = ImageReader::open(file).with_context(broken)?.with_guessed_format().with_context(broken)?;
    let (width, height) = reader.into_dimensions().with_context(broken)?;
    let id = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let size = (width as usize, height as usize);
    let image = LabelledImage { id: id.clone(), path: file.to_owned(), size, boxes: Vec::new() };
    Ok(Input { id: json!(id), name, frame: image.frame()? })
}
