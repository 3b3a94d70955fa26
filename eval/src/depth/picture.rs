//! An image with its truth, what was predicted, and how far the two are apart.

use geometry::{DepthImage, Frame, RgbImage};

use super::{DepthProtocol, color_depth, inverse_depth_range};
use crate::{EvalError, SampleFrame};

/// Larger images are reduced to about this width in pixels before they are put together.
const PANEL_WIDTH: usize = 640;
/// Pixels between panels.
const GAP: usize = 4;
/// Images wider than this many times their height stand one below the other instead of two by two.
const WIDE: f64 = 2.0;
/// Factor between truth and prediction at which the colour of an error is full: `delta < 1.25` squared.
const FULL_FACTOR: f32 = 1.25 * 1.25;
const RIGHT: [f32; 3] = [235.0, 235.0, 235.0];
const TOO_NEAR: [f32; 3] = [214.0, 84.0, 12.0];
const TOO_FAR: [f32; 3] = [22.0, 92.0, 196.0];

/// The frame, its true depth, the prediction and its error, put together. The prediction is multiplied by `scale`; both
/// depths have the same colours, near bright, far dark. Truth of single points is drawn larger than they are.
///
/// # Errors
/// [`EvalError::Frame`] where the picture can't be compressed.
pub fn depth_picture(
    caption: impl Into<String>,
    frame: &Frame,
    truth: &DepthImage,
    predicted: &DepthImage,
    scale: f64,
    protocol: &DepthProtocol,
) -> Result<SampleFrame, EvalError> {
    let factor = (frame.size().0 / PANEL_WIDTH).max(1);
    let truth = nearest_of_blocks(&kept(truth, protocol), factor);
    let scaled = DepthImage::from_fn(predicted.width(), predicted.height(), |x, y| {
        let [depth] = predicted.pixel(x, y);
        [if depth > 0.0 {
            (f64::from(depth) * scale).clamp(protocol.min_m, protocol.max_m) as f32
        } else {
            0.0
        }]
    });
    let predicted = nearest_of_blocks(&scaled, factor);
    let range = inverse_depth_range(&truth).unwrap_or([0.0, 1.0]);
    let image = match &frame.rgb {
        Some(rgb) => rgb.reduced(factor),
        None => gray_as_rgb(&frame.gray.reduced(factor)),
    };
    let panels = [
        image,
        enlarged(&color_depth(&truth, range)),
        color_depth(&predicted, range),
        enlarged(&error_image(&truth, &predicted)),
    ];
    let caption = format!(
        "{}: image, truth, prediction times {scale:.4}, error (orange too near, blue too far, full at a factor of \
         {FULL_FACTOR:.2})",
        caption.into()
    );
    SampleFrame::from_rgb(caption, &together(&panels))
}

/// The truth that counts; what the crop cuts away is shown all the same.
fn kept(truth: &DepthImage, protocol: &DepthProtocol) -> DepthImage {
    DepthImage::from_fn(truth.width(), truth.height(), |x, y| {
        let [depth] = truth.pixel(x, y);
        let counts = f64::from(depth) > protocol.min_m && f64::from(depth) < protocol.max_m;
        [if counts { depth } else { 0.0 }]
    })
}

/// The image at `1 / factor` of its size: of each block the nearest depth known.
fn nearest_of_blocks(depth: &DepthImage, factor: usize) -> DepthImage {
    DepthImage::from_fn(depth.width() / factor, depth.height() / factor, |x, y| {
        let block =
            (0..factor * factor).map(|i| depth.pixel(x * factor + i % factor, y * factor + i / factor)[0]);
        let nearest = block.filter(|depth| *depth > 0.0).fold(f32::INFINITY, f32::min);
        [if nearest.is_finite() { nearest } else { 0.0 }]
    })
}

fn gray_as_rgb(gray: &geometry::GrayImage) -> RgbImage {
    RgbImage::from_fn(gray.width(), gray.height(), |x, y| [gray.pixel(x, y)[0]; 3])
}

/// Black pixels take the colour of a neighbour, so that the points of a laser are seen.
fn enlarged(image: &RgbImage) -> RgbImage {
    let (width, height) = image.size();
    RgbImage::from_fn(width, height, |x, y| {
        let around = (0..9).map(|i| ((x + i % 3).saturating_sub(1), (y + i / 3).saturating_sub(1)));
        let inside = around.filter(|(x, y)| *x < width && *y < height).map(|(x, y)| image.pixel(x, y));
        let own = Some(image.pixel(x, y));
        own.into_iter().chain(inside).find(|pixel| *pixel != [0; 3]).unwrap_or_default()
    })
}

/// Where the prediction is too near or too far, by the logarithm of the factor; black without truth or prediction.
fn error_image(truth: &DepthImage, predicted: &DepthImage) -> RgbImage {
    RgbImage::from_fn(truth.width(), truth.height(), |x, y| {
        let ([truth], [predicted]) = (truth.pixel(x, y), predicted.pixel(x, y));
        if truth <= 0.0 || predicted <= 0.0 {
            return [0; 3];
        }
        let error = ((predicted / truth).ln() / FULL_FACTOR.ln()).clamp(-1.0, 1.0);
        let end = if error < 0.0 { TOO_NEAR } else { TOO_FAR };
        std::array::from_fn(|c| (RIGHT[c] + error.abs() * (end[c] - RIGHT[c])) as u8)
    })
}

/// Panels of one size two by two, or one below the other.
fn together(panels: &[RgbImage; 4]) -> RgbImage {
    let (width, height) = panels[0].size();
    let columns = if width as f64 > WIDE * height as f64 { 1 } else { 2 };
    let rows = panels.len() / columns;
    let size = |side: usize, count: usize| side * count + GAP * (count - 1);
    RgbImage::from_fn(size(width, columns), size(height, rows), |x, y| {
        let ((column, x), (row, y)) =
            ((x / (width + GAP), x % (width + GAP)), (y / (height + GAP), y % (height + GAP)));
        let panel = &panels[row * columns + column];
        if x < width && y < height { panel.pixel(x, y) } else { [255; 3] }
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use geometry::{GrayImage, PinholeCamera, Timestamp};

    use super::*;

    #[test]
    fn errors_have_the_colour_of_their_direction() {
        let truth = DepthImage::from_vec(4, 1, vec![10.0, 10.0, 10.0, 0.0]).unwrap();
        let predicted = DepthImage::from_vec(4, 1, vec![10.0, 2.0, 90.0, 5.0]).unwrap();
        let image = error_image(&truth, &predicted);
        assert_eq!(image.pixel(0, 0), [235; 3]);
        assert_eq!((image.pixel(1, 0), image.pixel(2, 0)), ([214, 84, 12], [22, 92, 196]));
        assert_eq!(image.pixel(3, 0), [0; 3]);
    }

    #[test]
    fn wide_panels_stand_one_below_the_other() {
        let panels = |width, height| [0_u8, 1, 2, 3].map(|value| RgbImage::filled(width, height, [value; 3]));
        let wide = together(&panels(30, 10));
        assert_eq!((wide.size(), wide.pixel(0, 3 * (10 + GAP))), ((30, 40 + 3 * GAP), [3; 3]));
        let square = together(&panels(10, 10));
        assert_eq!((square.size(), square.pixel(10 + GAP, 0)), ((20 + GAP, 20 + GAP), [1; 3]));
        assert_eq!(square.pixel(10, 0), [255; 3]);
    }

    #[test]
    fn reduction_keeps_the_nearest_point_and_points_grow() {
        let depth = DepthImage::from_vec(2, 2, vec![0.0, 7.0, 5.0, 0.0]).unwrap();
        assert_eq!(nearest_of_blocks(&depth, 2).as_slice(), &[5.0]);
        let mut dots = RgbImage::filled(5, 5, [0; 3]);
        dots.set_pixel(2, 2, [9, 8, 7]);
        let grown = enlarged(&dots);
        assert_eq!((grown.pixel(1, 1), grown.pixel(3, 3), grown.pixel(0, 0)), ([9, 8, 7], [9, 8, 7], [0; 3]));
    }

    #[test]
    fn a_picture_of_a_grey_frame() {
        let frame = Frame {
            stamp: Timestamp::from_nanos(0),
            seq: 0,
            gray: Arc::new(GrayImage::filled(1300, 40, [90])),
            rgb: None,
            camera: Arc::new(PinholeCamera::from_horizontal_fov(1300, 40, 1.0).unwrap()),
        };
        let depth = DepthImage::filled(1300, 40, [12.0]);
        assert!(depth_picture("0", &frame, &depth, &depth, 1.0, &DepthProtocol::default()).is_ok());
    }
}
