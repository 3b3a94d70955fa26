//! The frames of a live flight, to be flown again.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use datasets::{Dataset, DatasetError, SourceInfo};
use geometry::{Frame, GrayImage, PinholeCamera, RgbImage};

use super::{AdmittedRow, FRAMES, MANIFEST, Manifest, read_admitted};
use crate::RuntimeError;
use crate::sinks::{color_file, frame_file};

/// Source of the frames that a live flight let in, as stored in its folder; camera and stamps are those of the flight.
#[derive(Debug)]
pub struct StoredFrames {
    info: SourceInfo,
    folder: PathBuf,
    rows: std::vec::IntoIter<AdmittedRow>,
}

impl StoredFrames {
    /// The frames of the run in `run_dir`.
    ///
    /// # Errors
    /// [`RuntimeError`] where the run's files can't be read.
    pub fn open(run_dir: &Path) -> Result<Self, RuntimeError> {
        let manifest = Manifest::read(run_dir)?;
        let camera = PinholeCamera::try_from(&manifest.source.camera).map_err(|error| {
            RuntimeError::Manifest { path: run_dir.join(MANIFEST), reason: error.to_string() }
        })?;
        let mut rows = read_admitted(run_dir)?;
        rows.retain(|row| row.was_let_in());
        let info = SourceInfo {
            name: manifest.source.name,
            camera: Arc::new(camera),
            frame_count: Some(rows.len()),
            frame_rate: None,
            live: false,
            assumptions: manifest.source.assumptions,
        };
        Ok(Self { info, folder: run_dir.join(FRAMES), rows: rows.into_iter() })
    }
}

impl Dataset for StoredFrames {
    fn info(&self) -> &SourceInfo {
        &self.info
    }

    fn next_frame(&mut self) -> Result<Option<Frame>, DatasetError> {
        let Some(AdmittedRow { seq, stamp, .. }) = self.rows.next() else { return Ok(None) };
        let path = self.folder.join(frame_file(seq));
        let gray = decode(&path)?.into_luma8();
        let (width, height) = (gray.width() as usize, gray.height() as usize);
        let gray = GrayImage::from_vec(width, height, gray.into_raw()).map_err(|e| bad_image(&path, &e))?;
        let rgb = self.color(seq)?.map(Arc::new);
        Ok(Some(Frame { stamp, seq, gray: Arc::new(gray), rgb, camera: Arc::clone(&self.info.camera) }))
    }
}

impl StoredFrames {
    fn color(&self, seq: u64) -> Result<Option<RgbImage>, DatasetError> {
        let path = self.folder.join(color_file(seq));
        if !path.exists() {
            return Ok(None);
        }
        let rgb = decode(&path)?.into_rgb8();
        let (width, height) = (rgb.width() as usize, rgb.height() as usize);
        RgbImage::from_vec(width, height, rgb.into_raw()).map(Some).map_err(|e| bad_image(&path, &e))
    }
}

fn decode(path: &Path) -> Result<image::DynamicImage, DatasetError> {
    image::open(path).map_err(|error| bad_image(path, &error))
}

fn bad_image(path: &Path, reason: &impl ToString) -> DatasetError {
    DatasetError::Image { path: path.to_path_buf(), reason: reason.to_string() }
}
