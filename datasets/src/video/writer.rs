//! Frames into a video file, through OpenCV's `videoio`.

use std::path::{Path, PathBuf};

use geometry::RgbImage;
use opencv::core::{CV_8UC3, LogLevel, Mat, Scalar, Size, set_log_level};
use opencv::prelude::*;
use opencv::videoio;

use crate::DatasetError;

/// MPEG-4 part 2, which every build of FFmpeg can write.
const CODEC: [char; 4] = ['m', 'p', '4', 'v'];

/// A video file (MP4) that is being written; it is complete once this is dropped.
pub struct VideoWriter {
    path: PathBuf,
    writer: videoio::VideoWriter,
    image: Mat,
    size: (usize, usize),
}

impl VideoWriter {
    /// A file at `path` for frames of `(width, height)`; one that is there is replaced.
    ///
    /// # Errors
    /// [`DatasetError::Capture`] where OpenCV can't write such a file.
    pub fn create(path: &Path, (width, height): (usize, usize), rate_hz: f64) -> Result<Self, DatasetError> {
        set_log_level(LogLevel::LOG_LEVEL_ERROR).ok();
        let failed = |reason: String| failed(path, reason);
        let [a, b, c, d] = CODEC;
        let opened = videoio::VideoWriter::fourcc(a, b, c, d).and_then(|codec| {
            let size = Size::new(width as i32, height as i32);
            let writer = videoio::VideoWriter::new(path, codec, rate_hz, size, true)?;
            let image =
                Mat::new_rows_cols_with_default(height as i32, width as i32, CV_8UC3, Scalar::default())?;
            Ok((writer, image))
        });
        let (writer, image) = opened.map_err(|error| failed(error.to_string()))?;
        if !writer.is_opened().unwrap_or(false) {
            return Err(failed("expected that OpenCV can write MPEG-4, found that it can't".to_owned()));
        }
        Ok(Self { path: path.to_owned(), writer, image, size: (width, height) })
    }

    /// Adds a frame.
    ///
    /// # Errors
    /// [`DatasetError::Capture`] where it is of another size than the first or can't be written.
    pub fn write(&mut self, frame: &RgbImage) -> Result<(), DatasetError> {
        if frame.size() != self.size {
            let reason = format!("expected frames of {:?}, found {:?}", self.size, frame.size());
            return Err(failed(&self.path, reason));
        }
        let bytes = self.image.data_bytes_mut().map_err(|error| failed(&self.path, error.to_string()))?;
        for (bgr, rgb) in bytes.chunks_exact_mut(3).zip(frame.as_slice().chunks_exact(3)) {
            bgr.copy_from_slice(&[rgb[2], rgb[1], rgb[0]]);
        }
        self.writer.write(&self.image).map_err(|error| failed(&self.path, error.to_string()))
    }
}

fn failed(path: &Path, reason: String) -> DatasetError {
    DatasetError::Capture { source_name: path.display().to_string(), reason }
}
