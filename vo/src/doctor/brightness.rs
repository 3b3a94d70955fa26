//! How bright a frame is beside the one before.

use geometry::GrayImage;
use nalgebra::Vector2;

use crate::median::median;

/// Grey values that don't count when brightness is compared: noise and the black level.
const BLACK: f64 = 8.0;

/// How much brighter, in stops, the same points are in the second image; `None` without points.
pub(super) fn brightening(
    first: &GrayImage,
    second: &GrayImage,
    points: impl Iterator<Item = [Vector2<f32>; 2]>,
) -> Option<f64> {
    let stops = points.filter_map(|[before, now]| {
        let (before, now) = (brightness(first, before)?, brightness(second, now)?);
        Some(((now + BLACK) / (before + BLACK)).log2())
    });
    median(stops)
}

/// Mean over three by three pixels.
fn brightness(image: &GrayImage, at: Vector2<f32>) -> Option<f64> {
    let (x, y) = (at.x.round() as usize, at.y.round() as usize);
    let is_inside = x >= 1 && y >= 1 && x + 1 < image.width() && y + 1 < image.height();
    let around = (0..9).map(|i| (x + i % 3, y + i / 3));
    is_inside.then(|| around.map(|(x, y)| f64::from(image.pixel(x - 1, y - 1)[0])).sum::<f64>() / 9.0)
}

/// Mean absolute difference of two images of one size, in grey values.
pub(super) fn difference(first: &GrayImage, second: &GrayImage) -> f64 {
    let pairs = first.as_slice().iter().zip(second.as_slice());
    pairs.map(|(a, b)| f64::from(a.abs_diff(*b))).sum::<f64>() / first.as_slice().len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stop_is_twice_as_bright() {
        let dark = GrayImage::filled(20, 20, [50]);
        let bright = GrayImage::filled(20, 20, [108]);
        let points = [[Vector2::new(5.0, 5.0), Vector2::new(7.2, 5.0)], [Vector2::new(0.0, 0.0); 2]];
        let stops = brightening(&dark, &bright, points.into_iter()).unwrap();
        assert!((stops - 1.0).abs() < 1e-9, "{stops}");
        assert!(brightening(&dark, &bright, [].into_iter()).is_none());
        assert_eq!(difference(&dark, &bright), 58.0);
    }
}
