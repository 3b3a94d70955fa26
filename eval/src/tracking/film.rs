//! Moments of a sequence in a row, for the report.

use geometry::{Frame, RgbImage};
use image::Rgb;
use image::imageops::{FilterType, overlay, resize};

use super::{FrameScore, Loss, Rectangle};
use crate::drawing::{Picture, crop, outline};
use crate::{EvalError, SampleFrame};

/// Pictures of a strip.
const PICTURES: usize = 4;
/// Width and height of each in pixels: four fill what a report embeds.
const SIZE: (u32, u32) = (238, 178);
/// Pixels between two.
const GAP: u32 = 2;
/// A picture shows so many times the larger side of truth and estimate together.
const AROUND: f64 = 3.0;
/// At least so many pixels of the frame across.
const LEAST_ACROSS: f64 = 96.0;
const TRUTH: [u8; 3] = [64, 224, 96];
const ESTIMATE: [u8; 3] = [255, 112, 32];

impl Loss<'_> {
    /// The moments that a strip shows, as indices into [`OnePassReport::scores`](super::OnePassReport::scores): the last
    /// frame before, the first of the loss, one in its middle, and the first behind it or the last of the sequence.
    pub fn moments(&self) -> Vec<usize> {
        let last = self.sequence.report.scores.len().saturating_sub(1);
        let (before, behind) = (self.first.saturating_sub(1), (self.first + self.frames).min(last));
        let mut moments = vec![before, self.first, self.first + self.frames / 2, behind];
        moments.dedup();
        moments.truncate(PICTURES);
        moments
    }
}

/// Crops around truth (green) and estimate (orange) of some frames, side by side.
///
/// # Errors
/// [`EvalError::Frame`] where the strip can't be compressed.
pub fn film_strip(
    caption: impl Into<String>,
    moments: &[(Frame, FrameScore)],
) -> Result<SampleFrame, EvalError> {
    let pictures: Vec<_> = moments.iter().map(|(frame, score)| FilmPicture(picture(frame, score))).collect();
    FilmPicture::strip(caption, &pictures)
}

/// One picture of a strip, small enough to be kept while the frame goes its way.
#[derive(Clone, Debug)]
pub struct FilmPicture(Picture);

impl FilmPicture {
    /// Pictures that fill the width of a strip.
    pub const PER_STRIP: usize = PICTURES;

    /// The part of `frame` around `target`, which is drawn in `color` (8-bit RGB).
    pub fn of_target(frame: &Frame, target: &Rectangle, color: [u8; 3]) -> Self {
        Self(drawn(frame, target, target, &[(target, color)]))
    }

    /// Pictures side by side. A short row is filled up with white, so that all rows are of one scale.
    ///
    /// # Errors
    /// [`EvalError::Frame`] where the strip can't be compressed.
    pub fn strip(caption: impl Into<String>, pictures: &[Self]) -> Result<SampleFrame, EvalError> {
        let count = pictures.len().max(PICTURES) as u32;
        let (width, height) = (count * SIZE.0 + (count - 1) * GAP, SIZE.1);
        let mut strip = Picture::from_pixel(width, height, Rgb([255; 3]));
        for (picture, index) in pictures.iter().zip(0_i64..) {
            overlay(&mut strip, &picture.0, index * i64::from(SIZE.0 + GAP), 0);
        }
        let strip = RgbImage::from_vec(width as usize, height as usize, strip.into_raw());
        let caption = caption.into();
        match strip {
            Ok(strip) => SampleFrame::from_rgb(caption, &strip),
            Err(error) => Err(EvalError::Frame { caption, reason: error.to_string() }),
        }
    }
}

/// The part of the frame around truth and estimate, with both drawn.
fn picture(frame: &Frame, score: &FrameScore) -> Picture {
    let (truth, estimate) = (&score.truth, &score.estimate);
    drawn(frame, truth, estimate, &[(truth, TRUTH), (estimate, ESTIMATE)])
}

/// The part of the frame around two boxes, with some drawn.
fn drawn(frame: &Frame, a: &Rectangle, b: &Rectangle, boxes: &[(&Rectangle, [u8; 3])]) -> Picture {
    let view = view(frame.size(), a, b);
    let scale = f64::from(SIZE.0) / view.width;
    let mut picture = resize(&crop(frame, &view), SIZE.0, SIZE.1, FilterType::Triangle);
    for (rectangle, color) in boxes {
        let corner = |x: f64, y: f64| (((x - view.x) * scale) as i64, ((y - view.y) * scale) as i64);
        let start = corner(rectangle.x, rectangle.y);
        let end = corner(rectangle.x + rectangle.width, rectangle.y + rectangle.height);
        outline(&mut picture, start, end, Rgb(*color));
    }
    picture
}

/// What is shown: whole pixels inside the frame, of a picture's proportions as far as the frame has room. Where both boxes
/// don't fit, `a` is seen.
fn view((width, height): (usize, usize), a: &Rectangle, b: &Rectangle) -> Rectangle {
    let (left, top) = (a.x.min(b.x), a.y.min(b.y));
    let (right, bottom) = ((a.x + a.width).max(b.x + b.width), (a.y + a.height).max(b.y + b.height));
    let proportion = f64::from(SIZE.0) / f64::from(SIZE.1);
    let largest = (width as f64).min(height as f64 * proportion);
    let wanted = AROUND * (right - left).max((bottom - top) * proportion);
    let across = wanted.max(LEAST_ACROSS).min(largest);
    let down = across / proportion;
    let (x, y) = match right - left <= across && bottom - top <= down {
        true => ((left + right) / 2.0, (top + bottom) / 2.0),
        false => (a.x + a.width / 2.0, a.y + a.height / 2.0),
    };
    let inside = |start: f64, side: f64, room: usize| start.min(room as f64 - side).max(0.0).floor();
    Rectangle::new(
        inside(x - across / 2.0, across, width),
        inside(y - down / 2.0, down, height),
        across,
        down,
    )
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use geometry::{PinholeCamera, Timestamp};

    use super::*;
    use crate::tracking::{OnePassReport, SequenceReport};

    fn frame() -> Frame {
        let camera = PinholeCamera::new(320, 240, 300.0, 300.0, 160.0, 120.0).unwrap();
        Frame {
            stamp: Timestamp::from_nanos(0),
            seq: 0,
            gray: Arc::new(geometry::GrayImage::filled(320, 240, [90])),
            rgb: None,
            camera: Arc::new(camera),
        }
    }

    fn score(truth: Rectangle, estimate: Rectangle) -> FrameScore {
        FrameScore { frame: 0, truth, estimate, overlap: truth.iou(&estimate), center_error_px: 0.0 }
    }

    #[test]
    fn the_view_stays_inside_and_shows_the_target() {
        let size = (320, 240);
        for (truth, estimate) in [
            (Rectangle::new(0.0, 0.0, 10.0, 10.0), Rectangle::new(4.0, 4.0, 10.0, 10.0)),
            (Rectangle::new(300.0, 220.0, 20.0, 20.0), Rectangle::new(5.0, 5.0, 10.0, 10.0)),
            (Rectangle::new(0.0, 0.0, 320.0, 240.0), Rectangle::new(-50.0, -50.0, 900.0, 900.0)),
        ] {
            let view = view(size, &truth, &estimate);
            assert!(view.x >= 0.0 && view.y >= 0.0 && view.x + view.width <= 321.0, "{view:?}");
            assert!(
                view.y + view.height <= 241.0
                    && view.common_area(&truth) >= 0.5 * truth.area().min(view.area()),
                "{view:?}"
            );
        }
    }

    #[test]
    fn both_boxes_are_drawn_in_their_colours() {
        let truth = Rectangle::new(100.0, 100.0, 30.0, 20.0);
        let picture = picture(&frame(), &score(truth, Rectangle { x: 140.0, ..truth }));
        let count = |color: [u8; 3]| picture.pixels().filter(|pixel| pixel.0 == color).count();
        assert!(count(TRUTH) > 50 && count(ESTIMATE) > 50 && count([90; 3]) > 1000);
    }

    #[test]
    fn a_target_is_drawn_and_short_rows_are_kept_to_scale() {
        let target = Rectangle::new(100.0, 100.0, 30.0, 20.0);
        let picture = FilmPicture::of_target(&frame(), &target, [255, 64, 64]);
        assert!(picture.0.pixels().filter(|pixel| pixel.0 == [255, 64, 64]).count() > 50);
        assert_eq!(picture.0.dimensions(), SIZE);
        assert!(FilmPicture::strip("one", &[picture]).is_ok());
        // A guess that lies outside the frame is no reason to fail.
        FilmPicture::of_target(&frame(), &Rectangle::new(-90.0, 900.0, 30.0, 20.0), [255, 64, 64]);
    }

    #[test]
    fn a_strip_shows_before_begin_middle_and_end() {
        let (target, away) =
            (Rectangle::new(10.0, 10.0, 40.0, 20.0), Rectangle::new(210.0, 10.0, 40.0, 20.0));
        let mut estimate = vec![target; 20];
        estimate[5..15].fill(away);
        let report = OnePassReport::measure(&[target; 20], &estimate).unwrap();
        let sequence = SequenceReport { name: "car".to_owned(), attributes: Vec::new(), report };
        let moments = |first, frames| Loss { sequence: &sequence, first, frames }.moments();
        assert_eq!((moments(5, 10), moments(19, 1)), (vec![4, 5, 10, 15], vec![18, 19]));
        let shown: Vec<_> =
            moments(5, 10).into_iter().map(|index| (frame(), sequence.report.scores[index])).collect();
        assert!(film_strip("car", &shown).is_ok());
    }

    #[test]
    fn colour_is_kept() {
        let rgb = RgbImage::filled(320, 240, [10, 20, 200]);
        let frame = Frame { rgb: Some(Arc::new(rgb)), ..frame() };
        let image = crop(&frame, &Rectangle::new(310.0, 230.0, 40.0, 30.0));
        assert!(image.dimensions() == (40, 30) && image.pixels().all(|pixel| pixel.0 == [10, 20, 200]));
    }
}
