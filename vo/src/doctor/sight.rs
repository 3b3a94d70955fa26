//! One frame by itself, and beside the one before.

use geometry::GrayImage;
use nalgebra::Vector2;

use crate::median::median;

/// Half the length over which an image is smeared to see how much sharper it was.
const REACH: usize = 4;
/// Grey values that don't count when brightness is compared: noise and the black level.
const BLACK: f64 = 8.0;

/// How blurred an image is, from 0 to 1: the share of its grey-value steps that another blur leaves (Crété et al., "The blur
/// effect", 2007), along the rows or the columns, whichever is worse.
pub(super) fn blur(image: &GrayImage) -> f64 {
    let (width, height) = image.size();
    let pixels = image.as_slice();
    let along_rows = (0..height).map(|y| steps(image.row(y).iter().copied()));
    let along_columns = (0..width).map(|x| steps((0..height).map(|y| pixels[y * width + x])));
    let left = |sum: [f64; 2]| if sum[0] > 0.0 { 1.0 - sum[1] / sum[0] } else { 1.0 };
    left(total(along_rows)).max(left(total(along_columns)))
}

fn total(steps: impl Iterator<Item = [f64; 2]>) -> [f64; 2] {
    steps.fold([0.0; 2], |sum, of| [sum[0] + of[0], sum[1] + of[1]])
}

/// Sum of the steps between neighbours on a line, and of how much of each another blur takes.
fn steps(line: impl Iterator<Item = u8>) -> [f64; 2] {
    let values: Vec<f64> = line.map(f64::from).collect();
    let mut sums = vec![0.0; values.len() + 1];
    for (index, value) in values.iter().enumerate() {
        sums[index + 1] = sums[index] + value;
    }
    let smeared = |at: usize| (sums[at + REACH + 1] - sums[at - REACH]) / (2 * REACH + 1) as f64;
    let inner = REACH + 1..values.len().saturating_sub(REACH);
    inner.fold([0.0; 2], |sum, at| {
        let step = (values[at] - values[at - 1]).abs();
        let step_left = (smeared(at) - smeared(at - 1)).abs();
        [sum[0] + step, sum[1] + (step - step_left).max(0.0)]
    })
}

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

    fn noise(width: usize, height: usize) -> GrayImage {
        let mut random = fastrand::Rng::with_seed(5);
        // Blocks of three pixels, so that there is a shape to be blurred.
        let blocks: Vec<u8> = (0..width * height).map(|_| random.u8(20..220)).collect();
        GrayImage::from_fn(width, height, |x, y| [blocks[y / 3 * width + x / 3]])
    }

    fn smeared_along_rows(image: &GrayImage, length: usize) -> GrayImage {
        GrayImage::from_fn(image.width(), image.height(), |x, y| {
            let sum: usize =
                (0..length).map(|d| usize::from(image.pixel((x + d).min(image.width() - 1), y)[0])).sum();
            [(sum / length) as u8]
        })
    }

    #[test]
    fn blur_grows_with_the_length_of_the_smear() {
        let sharp = noise(120, 90);
        let blurs: Vec<f64> = [1, 5, 9, 15].map(|length| blur(&smeared_along_rows(&sharp, length))).into();
        assert!(blurs[0] < 0.35 && blurs[3] > 0.6, "{blurs:?}");
        assert!(blurs.windows(2).all(|pair| pair[1] > pair[0] + 0.03), "{blurs:?}");
        assert_eq!(blur(&GrayImage::filled(40, 40, [90])), 1.0, "nothing is sharp where nothing is");
        assert_eq!(blur(&GrayImage::filled(4, 4, [90])), 1.0);
    }

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
