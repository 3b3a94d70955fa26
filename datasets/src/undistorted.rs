//! Frames without their lens.

use std::path::PathBuf;
use std::sync::Arc;

use geometry::{Distortion, Frame, UndistortMap};

use crate::decode::FramePools;
use crate::{Dataset, DatasetError, GroundTruth, SourceInfo};

/// A source whose frames look as if an ideal pinhole camera had taken them, with the focal lengths, principal point and
/// size of the real one. Pixels that the real camera does not see are black. Without a lens, frames pass untouched.
pub struct Undistorted<D> {
    source: D,
    info: SourceInfo,
    lens: Option<(UndistortMap, FramePools)>,
}

impl<D: Dataset> Undistorted<D> {
    /// `source` without its lens.
    ///
    /// # Errors
    /// [`DatasetError::Content`] where the camera's intrinsics make no ideal camera.
    pub fn new(source: D) -> Result<Self, DatasetError> {
        let mut info = source.info().clone();
        if info.camera.distortion() == Distortion::None {
            return Ok(Self { source, info, lens: None });
        }
        let map = UndistortMap::new(&info.camera).map_err(|error| DatasetError::Content {
            expected: "a camera whose lens can be taken out".into(),
            found: error.to_string(),
            path: PathBuf::from(&info.name),
        })?;
        info.camera = Arc::new(map.camera().clone());
        let pools = FramePools::new(info.camera.width(), info.camera.height());
        Ok(Self { source, info, lens: Some((map, pools)) })
    }
}

impl<D: Dataset> Dataset for Undistorted<D> {
    fn info(&self) -> &SourceInfo {
        &self.info
    }

    fn next_frame(&mut self) -> Result<Option<Frame>, DatasetError> {
        let Some(frame) = self.source.next_frame()? else { return Ok(None) };
        let Some((map, pools)) = &self.lens else { return Ok(Some(frame)) };
        let mut gray = pools.gray.take();
        if frame.size() != gray.size() {
            let ((width, height), found) = (gray.size(), frame.size());
            return Err(DatasetError::Content {
                expected: format!("frames of {width}x{height}, the camera's size"),
                found: format!("{}x{} in frame {}", found.0, found.1, frame.seq),
                path: PathBuf::from(&self.info.name),
            });
        }
        map.remap_gray(&frame.gray, &mut gray);
        let rgb = frame.rgb.as_ref().map(|source| {
            let mut rgb = pools.rgb.take();
            map.remap_rgb(source, &mut rgb);
            Arc::new(rgb)
        });
        Ok(Some(Frame { gray: Arc::new(gray), rgb, camera: Arc::clone(&self.info.camera), ..frame }))
    }

    fn skip_frame(&mut self) -> Result<bool, DatasetError> {
        self.source.skip_frame()
    }

    fn ground_truth(&self) -> Option<&GroundTruth> {
        self.source.ground_truth()
    }
}

#[cfg(test)]
mod tests {
    use geometry::PinholeCamera;

    use super::*;
    use crate::scripted::Scripted;

    #[test]
    fn frames_carry_the_ideal_camera_and_moved_pixels() {
        let lens = Distortion::RadialTangential { k1: 0.3, k2: 0.0, p1: 0.0, p2: 0.0, k3: 0.0 };
        let real = PinholeCamera::from_horizontal_fov(64, 48, 1.5).unwrap().with_distortion(lens).unwrap();
        let mut source = Undistorted::new(Scripted::with_camera(9, real)).unwrap();
        assert!(source.skip_frame().unwrap());
        let frame = source.next_frame().unwrap().unwrap();
        assert_eq!(frame.camera.distortion(), Distortion::None);
        assert_eq!(&frame.camera, &source.info().camera);
        // A pincushion lens shows the ideal image's corner outside the real one.
        assert_eq!((frame.gray.pixel(32, 24), frame.gray.pixel(0, 0)), ([1], [0]));
    }

    #[test]
    fn without_a_lens_the_same_pixels_pass() {
        let mut plain = Undistorted::new(Scripted::of(3)).unwrap();
        assert!(plain.lens.is_none());
        assert_eq!(plain.next_frame().unwrap().unwrap().seq, 0);
    }
}
