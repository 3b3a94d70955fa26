//! Camera calibrations, told apart by their content.

mod rows;
mod yaml;

use std::path::{Path, PathBuf};

use geometry::{Distortion, PinholeCamera};

use crate::text::TextFile;
use crate::{DatasetError, SourceSpec};

pub(crate) use rows::kitti_projection;
pub(crate) use yaml::Document;

/// Horizontal field of view assumed for a camera of which nothing is known, in degrees.
///
/// Camera drones carry lenses of 24 to 28 mm equivalent, which see 73.7 to 65.5 degrees across a 36 mm frame; this is
/// the middle, and the focal length is then off by a tenth at most.
pub const ASSUMED_HORIZONTAL_FOV_DEG: f64 = 70.0;

const FORMATS: &str = "a calibration: KITTI calib.txt (`P0:` and 12 numbers), a 3x3 matrix, OpenCV YAML \
                       (camera_matrix) or Kalibr camchain YAML (cam0)";

/// Intrinsics and lens as a file states them.
#[derive(Clone, Debug, PartialEq)]
pub struct Calibration {
    path: PathBuf,
    /// `fx, fy, cx, cy` in pixels.
    intrinsics: [f64; 4],
    distortion: Distortion,
    /// `(width, height)` of the images it was made with, where the file says so.
    image_size: Option<(usize, usize)>,
}

impl Calibration {
    /// Reads the calibration file at `path`: KITTI `calib.txt` (row `P0`), the nine numbers of a camera matrix, OpenCV
    /// `FileStorage` or ROS YAML (`camera_matrix`, `distortion_coefficients`), Kalibr camchain or EuRoC `sensor.yaml`.
    ///
    /// # Errors
    /// [`DatasetError`] with the line, where known, of what is missing, not a number or not a pinhole camera.
    pub fn read(path: &Path) -> Result<Self, DatasetError> {
        let file = TextFile::read(path)?;
        if file.lines().next().is_none() {
            return Err(file.unexpected(FORMATS, "no data"));
        }
        if rows::recognise(&file) { rows::parse(&file) } else { yaml::parse(&file) }
    }

    /// Reads row `P<index>` of a KITTI `calib.txt`.
    pub(crate) fn read_kitti(path: &Path, index: usize) -> Result<Self, DatasetError> {
        let file = TextFile::read(path)?;
        rows::from_projection(&file, &kitti_projection(&file, index)?)
    }

    /// A calibration that has been checked to make a camera.
    fn checked(
        file: &TextFile,
        intrinsics: [f64; 4],
        distortion: Distortion,
        image_size: Option<(usize, usize)>,
    ) -> Result<Self, DatasetError> {
        let calibration = Self { path: file.path.clone(), intrinsics, distortion, image_size };
        let (width, height) = image_size.unwrap_or((1, 1));
        calibration.build(width, height).map(|_| calibration)
    }

    /// The camera for images of `width` x `height`, and a sentence for the user where intrinsics had to be scaled.
    ///
    /// # Errors
    /// [`DatasetError::Content`] where the calibration is of images with another aspect ratio or, not saying its size,
    /// has its principal point outside.
    pub fn camera(
        &self,
        width: usize,
        height: usize,
    ) -> Result<(PinholeCamera, Option<String>), DatasetError> {
        match self.image_size {
            Some(size) if size == (width, height) => Ok((self.build(width, height)?, None)),
            Some(size) => self.resized(size, width, height),
            None => self.inside(width, height).map(|camera| (camera, None)),
        }
    }

    /// `fx, fy, cx, cy` in pixels.
    pub(crate) fn intrinsics(&self) -> [f64; 4] {
        self.intrinsics
    }

    fn build(&self, width: usize, height: usize) -> Result<PinholeCamera, DatasetError> {
        let [fx, fy, cx, cy] = self.intrinsics;
        let camera = PinholeCamera::new(width, height, fx, fy, cx, cy);
        camera
            .and_then(|camera| camera.with_distortion(self.distortion))
            .map_err(|error| self.unexpected("a pinhole camera", error.to_string()))
    }

    fn resized(
        &self,
        (from_width, from_height): (usize, usize),
        width: usize,
        height: usize,
    ) -> Result<(PinholeCamera, Option<String>), DatasetError> {
        let scaled_height = width as f64 * from_height as f64 / from_width as f64;
        // A height that was rounded to whole pixels is the same aspect ratio.
        if (scaled_height - height as f64).abs() > 1.0 {
            let expected = format!("a calibration of images with the aspect ratio of {width}x{height}");
            return Err(self.unexpected(expected, format!("one of {from_width}x{from_height}")));
        }
        let camera = self.build(from_width, from_height)?.resized(width, height);
        let camera = camera.map_err(|error| self.unexpected("a pinhole camera", error.to_string()))?;
        let note = format!(
            "The calibration {} is of {from_width}x{from_height} images; it was scaled to {width}x{height}, which is \
             right if the images were resized and not cropped.",
            self.path.display()
        );
        Ok((camera, Some(note)))
    }

    fn inside(&self, width: usize, height: usize) -> Result<PinholeCamera, DatasetError> {
        let [_, _, cx, cy] = self.intrinsics;
        let within = |v: f64, length: usize| (0.0..length as f64).contains(&v);
        if within(cx, width) && within(cy, height) {
            return self.build(width, height);
        }
        let expected = format!("a principal point inside the {width}x{height} image");
        Err(self.unexpected(expected, format!("({cx}, {cy}), as of images of another size")))
    }

    fn unexpected(&self, expected: impl Into<String>, found: String) -> DatasetError {
        DatasetError::Content { expected: expected.into(), found, path: self.path.clone() }
    }
}

/// The camera of a source: as the user says, else as `own` (the source's calibration, read only if needed) says,
/// else assumed. What was assumed is added to `assumptions`.
pub(crate) fn choose_camera(
    spec: &SourceSpec,
    own: impl FnOnce() -> Result<Option<Calibration>, DatasetError>,
    (width, height): (usize, usize),
    assumptions: &mut Vec<String>,
) -> Result<PinholeCamera, DatasetError> {
    let calibration = match (&spec.calibration, spec.fov_deg) {
        (Some(path), _) => Some(Calibration::read(path)?),
        (None, Some(fov_deg)) => return camera_from_fov(spec, fov_deg, width, height),
        (None, None) => own()?,
    };
    let Some(calibration) = calibration else {
        assumptions.push(format!(
            "Intrinsics unknown: assumed a horizontal field of view of {ASSUMED_HORIZONTAL_FOV_DEG} degrees and no \
             lens distortion; give `--fov DEGREES` or `--calibration FILE` for better."
        ));
        return camera_from_fov(spec, ASSUMED_HORIZONTAL_FOV_DEG, width, height);
    };
    let (camera, note) = calibration.camera(width, height)?;
    assumptions.extend(note);
    assumptions.extend(off_centre(&camera));
    Ok(camera)
}

/// Share of the image's side by which a principal point may miss the middle without a word.
const OFF_CENTRE: f64 = 0.15;

/// A warning where the principal point lies so far from the middle that the calibration may be another camera's.
fn off_centre(camera: &PinholeCamera) -> Option<String> {
    let (width, height) = (camera.width() as f64, camera.height() as f64);
    let center = camera.center();
    let misses = |c: f64, side: f64| (c / side - 0.5).abs() > OFF_CENTRE;
    (misses(center.x, width) || misses(center.y, height)).then(|| {
        format!(
            "The principal point ({:.0}, {:.0}) lies far from the middle of a {width}x{height} image: is this the \
             calibration of this camera at this size?",
            center.x, center.y
        )
    })
}

fn camera_from_fov(
    spec: &SourceSpec,
    fov_deg: f64,
    width: usize,
    height: usize,
) -> Result<PinholeCamera, DatasetError> {
    let camera = PinholeCamera::from_horizontal_fov(width, height, fov_deg.to_radians());
    camera.map_err(|error| DatasetError::Content {
        expected: "a field of view that makes a pinhole camera".into(),
        found: error.to_string(),
        path: PathBuf::from(&spec.source),
    })
}

#[cfg(test)]
mod tests;
