//! An image with what was right and wrong in it.

use geometry::{Frame, RgbImage};
use image::Rgb;
use image::imageops::{FilterType, resize};

use super::{ImageVerdict, Rectangle};
use crate::drawing::{Picture, crop, outline};
use crate::{EvalError, SampleFrame};

/// Larger frames are reduced to this width in pixels before boxes are drawn, so that lines stay clear.
const MAX_WIDTH: usize = 960;
/// Pixels between a box and its line: objects of ten pixels must stay visible.
const AROUND: i64 = 2;

const RIGHT: [u8; 3] = [64, 224, 96];
const WRONG: [u8; 3] = [255, 112, 32];
const MISSED: [u8; 3] = [80, 160, 255];

/// The frame with detections that are right (green), detections that are wrong (orange) and objects that were missed
/// (blue); the caption says so.
///
/// # Errors
/// [`EvalError::Frame`] where the picture can't be compressed.
pub fn detection_picture(
    caption: impl Into<String>,
    frame: &Frame,
    verdict: &ImageVerdict,
) -> Result<SampleFrame, EvalError> {
    let (right, wrong, missed) = (verdict.right.len(), verdict.wrong.len(), verdict.missed.len());
    let caption =
        format!("{}: {right} right (green), {wrong} wrong (orange), {missed} missed (blue)", caption.into());
    let (width, height) = frame.size();
    let boxes = [(&verdict.right, RIGHT), (&verdict.missed, MISSED), (&verdict.wrong, WRONG)];
    let whole = crop(frame, &Rectangle::new(0.0, 0.0, width as f64, height as f64));
    drawn(caption, whole, boxes.map(|(rectangles, color)| (rectangles.as_slice(), color)))
}

/// An image with the boxes that a detector is taught: objects (green), and places where it may find something or nothing
/// (blue); the caption says so.
///
/// # Errors
/// [`EvalError::Frame`] where the picture can't be compressed.
pub fn labelled_picture(
    caption: impl Into<String>,
    image: &RgbImage,
    objects: &[Rectangle],
    ignored: &[Rectangle],
) -> Result<SampleFrame, EvalError> {
    let caption =
        format!("{}: {} objects (green), {} ignored (blue)", caption.into(), objects.len(), ignored.len());
    let pixel = |x: u32, y: u32| Rgb(image.pixel(x as usize, y as usize));
    let picture = Picture::from_fn(image.width() as u32, image.height() as u32, pixel);
    drawn(caption, picture, [(ignored, MISSED), (objects, RIGHT)])
}

/// The picture, no wider than [`MAX_WIDTH`], with boxes of each colour.
fn drawn<const COLORS: usize>(
    caption: String,
    mut picture: Picture,
    boxes: [(&[Rectangle], [u8; 3]); COLORS],
) -> Result<SampleFrame, EvalError> {
    let scale = (MAX_WIDTH as f64 / f64::from(picture.width())).min(1.0);
    if scale < 1.0 {
        let side = |of: u32| ((f64::from(of) * scale) as u32).max(1);
        let (width, height) = picture.dimensions();
        picture = resize(&picture, side(width), side(height), FilterType::Triangle);
    }
    for (rectangles, color) in boxes {
        for of in rectangles {
            let corner = |x: f64, y: f64, by: i64| ((x * scale) as i64 + by, (y * scale) as i64 + by);
            let end = corner(of.x + of.width, of.y + of.height, AROUND);
            outline(&mut picture, corner(of.x, of.y, -AROUND), end, Rgb(color));
        }
    }
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    match RgbImage::from_vec(width, height, picture.into_raw()) {
        Ok(picture) => SampleFrame::from_rgb(caption, &picture),
        Err(error) => Err(EvalError::Frame { caption, reason: error.to_string() }),
    }
}
