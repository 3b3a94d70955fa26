//! Images whose depth is known: by a laser, from the synthetic world, or by a depth camera.

mod kitti;
mod png;
mod tum;
mod world;

use std::path::{Path, PathBuf};

use geometry::{DepthImage, Frame};

use crate::{DatasetError, read_image};

pub(crate) use png::depth_bytes;
pub use png::{DEPTH_VALUES_PER_METRE, read_depth_png, write_depth_png};

/// How images and depths lie on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DepthFormat {
    /// KITTI's object benchmark: `image_2`, `velodyne` and `calib`, files of the same names.
    KittiObject,
    /// What `kestrel world --format kitti` writes: `image_2` and `depth` (16-bit PNG, 1/256 m) below `sequences/00`.
    World,
    /// TUM RGB-D: `rgb.txt` and `depth.txt` (16-bit PNG, 1/5000 m).
    Tum,
}

/// One image whose depth is known.
#[derive(Clone, Debug, PartialEq)]
pub struct DepthSample {
    /// Name of the image's file, without its extension.
    pub name: String,
    image: PathBuf,
    truth: Truth,
}

/// Where the depth is.
#[derive(Clone, Debug, PartialEq)]
enum Truth {
    Png { path: PathBuf, values_per_metre: f64 },
    Lidar { scan: PathBuf, calibration: PathBuf },
}

impl DepthSample {
    /// The image.
    ///
    /// # Errors
    /// [`DatasetError`] where it can't be read.
    pub fn frame(&self) -> Result<Frame, DatasetError> {
        read_image(&self.image)
    }

    /// Its depth in metres along the optical axis, 0 where unknown, for an image of `(width, height)`.
    ///
    /// # Errors
    /// [`DatasetError`] where it can't be read, or is of another size.
    pub fn truth(&self, size: (usize, usize)) -> Result<DepthImage, DatasetError> {
        let truth = match &self.truth {
            Truth::Png { path, values_per_metre } => read_depth_png(path, *values_per_metre)?,
            Truth::Lidar { scan, calibration } => kitti::read(scan, calibration, size)?,
        };
        if truth.size() == size {
            return Ok(truth);
        }
        Err(DatasetError::Content {
            expected: format!("depths of {}x{}, the image's size", size.0, size.1),
            found: format!("{}x{}", truth.width(), truth.height()),
            path: self.truth.path().to_owned(),
        })
    }
}

impl Truth {
    fn path(&self) -> &Path {
        match self {
            Self::Png { path, .. } => path,
            Self::Lidar { scan, .. } => scan,
        }
    }
}

/// The images below `folder` whose depth is known, in the order of their names or stamps.
///
/// # Errors
/// [`DatasetError`] where `folder` is not of the format, an image lacks its depth, or there are none.
pub fn depth_samples(folder: &Path, format: DepthFormat) -> Result<Vec<DepthSample>, DatasetError> {
    let samples = match format {
        DepthFormat::KittiObject => kitti::samples(folder)?,
        DepthFormat::World => world::samples(folder)?,
        DepthFormat::Tum => tum::samples(folder)?,
    };
    if samples.is_empty() {
        return Err(DatasetError::Content {
            expected: "at least one image with its depth".into(),
            found: "none".into(),
            path: folder.to_owned(),
        });
    }
    Ok(samples)
}

/// `folder`, where there is one.
fn existing_folder(folder: PathBuf, what: &str) -> Result<PathBuf, DatasetError> {
    if folder.is_dir() {
        return Ok(folder);
    }
    Err(DatasetError::Content { expected: what.into(), found: "no such folder".into(), path: folder })
}

/// `path`, where it is a file.
fn existing_file(path: PathBuf, what: &str) -> Result<PathBuf, DatasetError> {
    if path.is_file() {
        return Ok(path);
    }
    Err(DatasetError::Content { expected: what.into(), found: "no such file".into(), path })
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}
