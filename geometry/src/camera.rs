//! The pinhole camera.

use nalgebra::{Matrix3, Vector2, Vector3};
use thiserror::Error;

use crate::Distortion;

/// A pinhole camera with a lens: which pixel sees which ray. Pixel centres lie at integers.
#[derive(Clone, Debug, PartialEq)]
pub struct PinholeCamera {
    width: usize,
    height: usize,
    fx: f64,
    fy: f64,
    cx: f64,
    cy: f64,
    distortion: Distortion,
}

/// Why numbers don't make a camera.
#[derive(Clone, Debug, Error, PartialEq)]
pub enum CameraError {
    /// An intrinsic is NaN, infinite or, for a focal length, not positive.
    #[error("expected finite intrinsics with positive focal lengths, found fx {fx} fy {fy} cx {cx} cy {cy}")]
    Intrinsics {
        /// Focal length in pixels, horizontal.
        fx: f64,
        /// Focal length in pixels, vertical.
        fy: f64,
        /// Principal point, column.
        cx: f64,
        /// Principal point, row.
        cy: f64,
    },
    /// A distortion coefficient is NaN or infinite.
    #[error("expected finite distortion coefficients, found {0:?}")]
    Distortion(Distortion),
    /// An image without pixels.
    #[error("expected an image of at least one pixel, found {width}x{height}")]
    Size {
        /// Pixels in a row.
        width: usize,
        /// Rows.
        height: usize,
    },
    /// A field of view that no pinhole has.
    #[error("expected a horizontal field of view between 0 and 180 degrees, found {0}")]
    FieldOfView(f64),
}

impl PinholeCamera {
    /// A camera without distortion.
    ///
    /// # Errors
    /// [`CameraError`] where an intrinsic is not finite, a focal length not positive or the image empty.
    pub fn new(width: usize, height: usize, fx: f64, fy: f64, cx: f64, cy: f64) -> Result<Self, CameraError> {
        if width == 0 || height == 0 {
            return Err(CameraError::Size { width, height });
        }
        let finite = [fx, fy, cx, cy].iter().all(|v| v.is_finite());
        if !finite || fx <= 0.0 || fy <= 0.0 {
            return Err(CameraError::Intrinsics { fx, fy, cx, cy });
        }
        Ok(Self { width, height, fx, fy, cx, cy, distortion: Distortion::None })
    }

    /// The same camera behind a lens.
    ///
    /// # Errors
    /// [`CameraError::Distortion`] where a coefficient is not finite.
    pub fn with_distortion(self, distortion: Distortion) -> Result<Self, CameraError> {
        if distortion.is_finite() {
            Ok(Self { distortion, ..self })
        } else {
            Err(CameraError::Distortion(distortion))
        }
    }

    /// A camera with square pixels, centred, that sees `fov_rad` from the left to the right edge.
    ///
    /// # Errors
    /// [`CameraError::FieldOfView`] outside `(0, pi)`; [`CameraError::Size`] for an empty image.
    pub fn from_horizontal_fov(width: usize, height: usize, fov_rad: f64) -> Result<Self, CameraError> {
        if !(fov_rad > 0.0 && fov_rad < std::f64::consts::PI) {
            return Err(CameraError::FieldOfView(fov_rad.to_degrees()));
        }
        let focal = width as f64 / (2.0 * (fov_rad / 2.0).tan());
        Self::new(width, height, focal, focal, (width as f64 - 1.0) / 2.0, (height as f64 - 1.0) / 2.0)
    }

    /// Pixels in a row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Rows.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Focal lengths `(fx, fy)` in pixels.
    pub fn focal(&self) -> Vector2<f64> {
        Vector2::new(self.fx, self.fy)
    }

    /// Principal point `(cx, cy)` in pixels.
    pub fn center(&self) -> Vector2<f64> {
        Vector2::new(self.cx, self.cy)
    }

    /// The lens.
    pub fn distortion(&self) -> Distortion {
        self.distortion
    }

    /// Angle seen from the left to the right edge of the image, in radians, the lens left aside.
    pub fn horizontal_fov_rad(&self) -> f64 {
        (self.cx + 0.5).atan2(self.fx) + (self.width as f64 - 0.5 - self.cx).atan2(self.fx)
    }

    /// The matrix `K`, without the lens.
    pub fn matrix(&self) -> Matrix3<f64> {
        Matrix3::new(self.fx, 0.0, self.cx, 0.0, self.fy, self.cy, 0.0, 0.0, 1.0)
    }

    /// The same view with images of another size: the outer edges of the image stay where they are.
    ///
    /// # Errors
    /// [`CameraError::Size`] for an empty image.
    pub fn resized(&self, width: usize, height: usize) -> Result<Self, CameraError> {
        let (sx, sy) = (width as f64 / self.width as f64, height as f64 / self.height as f64);
        let (cx, cy) = ((self.cx + 0.5) * sx - 0.5, (self.cy + 0.5) * sy - 0.5);
        Self::new(width, height, self.fx * sx, self.fy * sy, cx, cy)?.with_distortion(self.distortion)
    }

    /// The pixel that sees `point_in_camera`, inside the image or not; `None` for a point not in front.
    pub fn project(&self, point_in_camera: &Vector3<f64>) -> Option<Vector2<f64>> {
        let in_front = point_in_camera.z > 0.0;
        in_front.then(|| {
            let ideal = point_in_camera.xy() / point_in_camera.z;
            self.pixel_from_plane(self.distortion.distort(ideal))
        })
    }

    /// The ray that `pixel` sees, as a point in the camera's frame with `z = 1`; `None` where the lens has none.
    pub fn unproject(&self, pixel: &Vector2<f64>) -> Option<Vector3<f64>> {
        let distorted = Vector2::new((pixel.x - self.cx) / self.fx, (pixel.y - self.cy) / self.fy);
        self.distortion.undistort(distorted).map(|ideal| ideal.push(1.0))
    }

    fn pixel_from_plane(&self, point: Vector2<f64>) -> Vector2<f64> {
        Vector2::new(self.fx * point.x + self.cx, self.fy * point.y + self.cy)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fisheye() -> PinholeCamera {
        let camera = PinholeCamera::new(512, 512, 190.97, 190.97, 254.93, 256.89).unwrap();
        camera.with_distortion(Distortion::KannalaBrandt { k: [0.0034, 0.0007, -0.002, 0.0002] }).unwrap()
    }

    proptest! {
        #[test]
        fn unproject_inverts_project(x in -2.0..2.0, y in -2.0..2.0, z in 1.5..20.0) {
            let point = Vector3::new(x, y, z);
            for camera in [PinholeCamera::from_horizontal_fov(640, 480, 1.2).unwrap(), fisheye()] {
                let ray = camera.unproject(&camera.project(&point).unwrap()).unwrap();
                prop_assert!((ray * z - point).norm() < 1e-7);
            }
        }
    }

    #[test]
    fn a_point_behind_is_not_seen() {
        assert_eq!(fisheye().project(&Vector3::new(0.1, 0.1, -1.0)), None);
    }

    #[test]
    fn field_of_view_survives_resizing() {
        let camera = PinholeCamera::from_horizontal_fov(1280, 720, 1.0).unwrap();
        let half = camera.resized(640, 360).unwrap();
        assert!((half.horizontal_fov_rad() - 1.0).abs() < 1e-9);
        assert_eq!(half, PinholeCamera::from_horizontal_fov(640, 360, 1.0).unwrap());
    }

    #[test]
    fn nan_is_refused_with_its_name() {
        let error = PinholeCamera::new(640, 480, f64::NAN, 500.0, 320.0, 240.0).unwrap_err();
        assert!(error.to_string().contains("fx NaN"), "{error}");
    }
}
