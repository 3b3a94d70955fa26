//! How the image of a still scene moved from one frame to the next.

use nalgebra::Matrix3;

/// A homography from pixels of the last frame to those of this one; `(0, 0)` is the centre of the first pixel.
///
/// Exact where the scene is flat or the camera only turned, and near enough for a search window elsewhere.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ImageMotion {
    current_from_previous: Matrix3<f32>,
}

impl ImageMotion {
    /// By a homography `current_from_previous`.
    pub fn from_homography(current_from_previous: Matrix3<f32>) -> Self {
        Self { current_from_previous }
    }

    /// Everything moved by `(x, y)` pixels.
    pub fn from_shift(x: f32, y: f32) -> Self {
        Self::from_homography(Matrix3::new(1.0, 0.0, x, 0.0, 1.0, y, 0.0, 0.0, 1.0))
    }

    /// Where the scene at `pixel` of the last frame is in this one; `pixel` itself where the homography has no finite answer.
    pub fn apply(&self, pixel: [f32; 2]) -> [f32; 2] {
        let [x, y, w] = (self.current_from_previous * nalgebra::Vector3::new(pixel[0], pixel[1], 1.0)).into();
        let moved = [x / w, y / w];
        if w > 0.0 && moved.iter().all(|v| v.is_finite()) { moved } else { pixel }
    }

    /// By how many pixels the scene at `pixel` moved.
    pub(crate) fn shift_at(&self, pixel: [f32; 2]) -> [f32; 2] {
        let moved = self.apply(pixel);
        [moved[0] - pixel[0], moved[1] - pixel[1]]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_homography_moves_points_and_nonsense_moves_none() {
        assert_eq!(ImageMotion::from_shift(3.0, -2.0).apply([10.0, 10.0]), [13.0, 8.0]);
        let zoom = ImageMotion::from_homography(Matrix3::new(2.0, 0.0, 0.0, 0.0, 2.0, 0.0, 0.0, 0.0, 1.0));
        assert_eq!(zoom.shift_at([5.0, 7.0]), [5.0, 7.0]);
        assert_eq!(ImageMotion::from_homography(Matrix3::zeros()).apply([5.0, 7.0]), [5.0, 7.0]);
        assert_eq!(ImageMotion::from_shift(f32::NAN, 0.0).apply([5.0, 7.0]), [5.0, 7.0]);
    }
}
